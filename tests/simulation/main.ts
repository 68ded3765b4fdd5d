/**
 * `npm run simulate`: lives by their seeds, in two worker processes, until one fails or all are lived. What
 * fails is made small, and told with what replays it.
 *
 * `--seed N` the first seed, `--seeds K` how many, or `--minutes T` for how long; `--steps M` of each life;
 * `--json FILE` for the figures; `--only 3,8` of one seed's steps, `--trace` to see it all.
 */
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { bundle } from "./bundle.ts"
import type * as Simulator from "./entry.ts"
import { Pool } from "./Pool.ts"
import { shrink } from "./shrink.ts"

/** Worker processes. */
const WORKERS = 2
/** One seed of so many is lived twice: the same must happen. */
const TWICE_EVERY = 25
/** Failures that are told; with more the run ends. */
const MOST_FAILURES = 3
/** Lines of a trace that are printed: the last of them. */
const MOST_LINES = 150

const OUT = join(import.meta.dirname, ".out")

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    seeds: { type: "string", default: "1000" },
    steps: { type: "string", default: "60" },
    minutes: { type: "string" },
    json: { type: "string" },
    only: { type: "string" },
    trace: { type: "boolean", default: false },
  },
})
const first = Number(values.seed)
const steps = Number(values.steps)

mkdirSync(OUT, { recursive: true })
const module = join(OUT, "simulation.mjs")
await bundle(module)

const simulator = async (): Promise<typeof Simulator> => (await import(module)) as typeof Simulator

interface Failure {
  readonly seed: number
  readonly invariant: string
  readonly detail: string
  readonly replay: string
}

/** Makes the failure small, prints it, and says how it is seen again. */
const explain = async (seed: number, invariant: string): Promise<Failure> => {
  const { live, makePlan } = await simulator()
  const whole = makePlan(seed, steps)
  const { only, plan, tries } = await shrink(whole, invariant, (smaller) => live(smaller, false))
  const outcome = await live(plan, true)
  const calm = Object.entries(plan.faults)
    .filter(([, chance]) => chance === 0)
    .map(([name]) => name)
  const replay = `npm run simulate -- --seed ${seed} --steps ${steps} --only ${only.join(",")}`
  const { topology, auth } = whole
  console.log(`\n✗ seed ${seed}: ${outcome.invariant ?? invariant}\n  ${outcome.detail ?? ""}`)
  console.log(
    `  ${topology}, ${auth}; ${only.length} of ${whole.steps.length} steps are left after ${tries} tries`,
  )
  console.log(`  no chance of ${calm.join(", ")}`)
  console.log(`  ${replay}`)
  const lines = outcome.trace ?? []
  const file = join(OUT, `seed-${seed}.trace`)
  writeFileSync(file, `${lines.join("\n")}\n`)
  if (lines.length > MOST_LINES) console.log(`  … ${lines.length - MOST_LINES} more lines in ${file}`)
  for (const line of lines.slice(-MOST_LINES)) console.log(line)
  return { seed, invariant, detail: outcome.detail ?? "", replay }
}

/** One life, or the steps of it that are asked for, seen whole. */
const replay = async (only: ReadonlySet<number> | undefined): Promise<boolean> => {
  const { live, makePlan } = await simulator()
  const plan = makePlan(first, steps)
  const kept = only === undefined ? plan.steps : plan.steps.filter((_, at) => only.has(at))
  const outcome = await live({ ...plan, steps: kept }, true)
  for (const line of outcome.trace ?? []) console.log(line)
  console.log(`seed ${first}: ${outcome.invariant ?? "all is well"} ${outcome.detail ?? ""}\n${outcome.hash}`)
  return outcome.invariant === undefined
}

const run = async (): Promise<boolean> => {
  const startedAt = performance.now()
  const minutes = values.minutes === undefined ? undefined : Number(values.minutes)
  const last = minutes === undefined ? first + Number(values.seeds) - 1 : Number.POSITIVE_INFINITY
  const until = minutes === undefined ? Number.POSITIVE_INFINITY : startedAt + minutes * 60_000
  const failures: Array<{ readonly seed: number; readonly invariant: string }> = []
  const counts: { [what: string]: number } = {}
  const pool = new Pool(module, WORKERS)
  let next = first
  let lived = 0
  const work = async (): Promise<void> => {
    while (next <= last && performance.now() < until && failures.length < MOST_FAILURES) {
      const seed = next++
      const outcome = await pool.live({ seed, steps, again: seed % TWICE_EVERY === 0 })
      lived++
      for (const [what, count] of Object.entries(outcome.counts)) counts[what] = (counts[what] ?? 0) + count
      if (outcome.invariant !== undefined) failures.push({ seed, invariant: outcome.invariant })
    }
  }
  await Promise.all(Array.from({ length: WORKERS }, work))
  pool.stop()
  const seconds = (performance.now() - startedAt) / 1_000
  const told: Array<Failure> = []
  for (const { invariant, seed } of failures) told.push(await explain(seed, invariant))
  const millisecondsPerSeed = Math.round((seconds * 1_000 * 10) / Math.max(1, lived)) / 10
  const report = {
    first,
    seeds: lived,
    steps,
    seconds: Math.round(seconds),
    millisecondsPerSeed,
    counts,
    failures: told,
  }
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`)
  const many = Object.entries(counts).map(([what, count]) => `${count} ${what}`)
  console.log(
    `\n${lived} seeds from ${first}, ${steps} steps each, in ${Math.round(seconds)} s: ${millisecondsPerSeed} ms a seed`,
  )
  console.log(many.join(", "))
  console.log(failures.length === 0 ? "all promises were kept" : `${failures.length} seeds broke a promise`)
  return failures.length === 0
}

const only = values.only === undefined ? undefined : new Set(values.only.split(",").map(Number))
const isFine = values.trace || only !== undefined ? await replay(only) : await run()
process.exit(isFine ? 0 : 1)
