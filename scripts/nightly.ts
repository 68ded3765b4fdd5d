/**
 * `npm run nightly`: an hour of simulation, all of its mutants, 100,000 messages of chaos, its mutants, the
 * conformance of gateways that are evicted before each frame, and a million hostile frames: they take too long for
 * each change. The hour is beside the rest. Leaves all figures in one JSON; fails where any part does.
 *
 * Shorter: `--minutes T` of simulation, `--sample N` every Nth mutant, `--messages N` of chaos, `--frames N`;
 * `--only PART`, more than once; `--seed N`; `--json FILE`, `nightly.json` by default.
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"

const ROOT = join(import.meta.dirname, "..")
/** Frames of one run: the next have other seeds, and a server of their own. */
const FRAMES = 20_000
/** Seeds that one run of frames uses up. */
const LANES = 8

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "60" },
    sample: { type: "string", default: "1" },
    messages: { type: "string", default: "100000" },
    frames: { type: "string", default: "1000000" },
    seed: { type: "string", default: String(Math.floor(Date.now() / 86_400_000)) },
    only: { type: "string", multiple: true, default: [] },
    json: { type: "string", default: "nightly.json" },
  },
})
const { minutes, messages, sample, seed } = values
const frames = Number(values.frames)

/** Something to run; where it writes a report, `FILE` stands for its path. */
interface Step {
  readonly args: ReadonlyArray<string>
  readonly env?: Readonly<Record<string, string>>
}

const FILE = "FILE"
const vitest = join(ROOT, "node_modules/vitest/vitest.mjs")
const fuzz = ["--root", "tests/integration", "--project", "fuzz"]
const fuzzing = (run: number): Step => ({
  args: [vitest, "run", ...fuzz],
  env: {
    FUZZ_CASES: String(Math.min(FRAMES, frames - run * FRAMES)),
    FUZZ_SEED: String(Number(seed) + run * LANES),
  },
})

const PARTS: { readonly [part: string]: ReadonlyArray<Step> } = {
  simulation: [{ args: ["tests/simulation/main.ts", "--seed", seed, "--minutes", minutes, "--json", FILE] }],
  mutants: [{ args: ["tests/simulation/mutants.ts", "--sample", sample, "--json", FILE] }],
  chaos: [{ args: ["tests/chaos/main.ts", "--seed", seed, "--messages", messages, "--json", FILE] }],
  chaosMutants: [{ args: ["tests/chaos/main.ts", "--mutants", "--seed", seed] }],
  evictions: [
    {
      args: [vitest, "run", "--root", "tests/integration", "--project", "gateway-evicting"],
      env: { NIGHTLY: "1" },
    },
  ],
  fuzz: Array.from({ length: Math.ceil(frames / FRAMES) }, (_, run) => fuzzing(run)),
}

interface Result {
  readonly command: string
  readonly ok: boolean
  readonly seconds: number
  /** What it left, where it leaves something. */
  readonly report?: unknown
}

const run = async ({ args, env }: Step): Promise<Result> => {
  const folder = mkdtempSync(join(tmpdir(), "signal-hub-nightly-"))
  const file = join(folder, "report.json")
  const began = performance.now()
  try {
    const child = spawn(
      process.execPath,
      args.map((arg) => (arg === FILE ? file : arg)),
      {
        cwd: ROOT,
        env: { ...process.env, ...env },
        stdio: "inherit",
      },
    )
    const [code] = (await once(child, "exit")) as [number | null]
    const given = Object.entries(env ?? {}).map(([name, value]) => `${name}=${value} `)
    return {
      command: `${given.join("")}node ${args.join(" ").replaceAll(`${ROOT}/`, "")}`,
      ok: code === 0,
      seconds: Math.round((performance.now() - began) / 1_000),
      ...(args.includes(FILE) && code !== null && { report: reportIn(file) }),
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** `null`: it ended before it could write one. */
const reportIn = (file: string): unknown => {
  try {
    return JSON.parse(readFileSync(file, "utf8"))
  } catch {
    return null
  }
}

const unknown = values.only.find((part) => !(part in PARTS))
if (unknown !== undefined || !(frames > 0)) {
  process.stderr.write(`--frames takes a number, --only one of ${Object.keys(PARTS).join(", ")}\n`)
  process.exit(2)
}

const results: { [part: string]: Array<Result> } = {}
const runParts = async (parts: ReadonlyArray<string>): Promise<void> => {
  for (const part of parts) {
    if (values.only.length > 0 && !values.only.includes(part)) continue
    const steps = PARTS[part]!
    const done: Array<Result> = (results[part] = [])
    for (const [index, step] of steps.entries()) {
      process.stdout.write(`\n${part}, ${index + 1} of ${steps.length}\n`)
      done.push(await run(step))
      // Each is worth its time: what was done so far is there, whatever comes next.
      writeFileSync(values.json, `${JSON.stringify(results, null, 2)}\n`)
    }
  }
}
// The simulation ends when its time is over, whatever it shares the processors with.
const [simulation, ...others] = Object.keys(PARTS)
await Promise.all([runParts([simulation!]), runParts(others)])

let failed = 0
process.stdout.write("\n")
for (const [part, done] of Object.entries(results)) {
  const bad = done.filter(({ ok }) => !ok)
  failed += bad.length
  const seconds = done.reduce((sum, result) => sum + result.seconds, 0)
  const verdict = bad.length === 0 ? "ok" : `failed: ${bad.map(({ command }) => command).join("; ")}`
  process.stdout.write(`${part.padEnd(14)} ${String(seconds).padStart(6)} s  ${verdict}\n`)
}
process.exit(failed === 0 ? 0 : 1)
