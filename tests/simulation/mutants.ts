/**
 * `npm run simulate:mutants`: deliberate faults in the code that keeps the promises, one after another. For
 * each the lives must break a promise within 2,000 seeds; the seed and the promise are told. Fails if a fault
 * goes unnoticed.
 *
 * `npm run simulate:mutants -- 3 17` tries these, by their places in the list; `--sample N` every Nth;
 * `--seeds K` gives up earlier; `--json FILE` for the figures.
 */
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { bundle } from "./bundle.ts"
import { MUTANTS, type Mutant } from "./mutations/index.ts"
import { Pool } from "./Pool.ts"

/** Worker processes. */
const WORKERS = 2
const STEPS = 60
const OUT = join(import.meta.dirname, ".out")

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    sample: { type: "string", default: "1" },
    seeds: { type: "string", default: "2000" },
    json: { type: "string" },
  },
})
const wanted = new Set(positionals.map(Number))
const chosen = MUTANTS.map((mutant, index) => ({ mutant, index })).filter(({ index }) =>
  wanted.size > 0 ? wanted.has(index) : index % Number(values.sample) === 0,
)
const most = Number(values.seeds)

interface Verdict {
  readonly index: number
  readonly breaks: string
  readonly seed?: number
  readonly invariant?: string
  /** Where the fault could not even be put in. */
  readonly error?: string
}

/** The first seed whose life breaks a promise, with the fault in the code. */
const hunt = async ({ breaks, edits, file }: Mutant, index: number): Promise<Verdict> => {
  const module = join(OUT, `mutant-${index}.mjs`)
  try {
    await bundle(module, { file, edits })
  } catch (error) {
    return { index, breaks, error: (error as Error).message.split("\n").at(-1)! }
  }
  const pool = new Pool(module, WORKERS)
  let next = 1
  const caught: Array<{ readonly seed: number; readonly invariant: string }> = []
  const work = async (): Promise<void> => {
    while (caught.length === 0 && next <= most) {
      const seed = next++
      const { invariant } = await pool.live({ seed, steps: STEPS, again: false })
      if (invariant !== undefined) caught.push({ seed, invariant })
    }
  }
  await Promise.all(Array.from({ length: WORKERS }, work))
  pool.stop()
  const [first] = caught.toSorted((a, b) => a.seed - b.seed)
  return { index, breaks, ...first }
}

mkdirSync(OUT, { recursive: true })
const startedAt = performance.now()
const verdicts: Array<Verdict> = []
for (const { index, mutant } of chosen) {
  const verdict = await hunt(mutant, index)
  verdicts.push(verdict)
  const { breaks, error, invariant, seed } = verdict
  const how = error ?? (seed === undefined ? `unnoticed in ${most} seeds` : `seed ${seed}: ${invariant}`)
  console.log(`${seed === undefined ? "✗" : "✓"} ${String(index).padStart(2)}  ${breaks}\n       ${how}`)
}
const unnoticed = verdicts.filter(({ seed }) => seed === undefined)
const seconds = Math.round((performance.now() - startedAt) / 1_000)
console.log(`\n${verdicts.length - unnoticed.length} of ${verdicts.length} faults caught, in ${seconds} s`)
if (values.json !== undefined)
  writeFileSync(values.json, `${JSON.stringify({ seconds, verdicts }, null, 2)}\n`)
process.exit(unnoticed.length === 0 && verdicts.length > 0 ? 0 : 1)
