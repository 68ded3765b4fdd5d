/**
 * `npm run faults`: brings each fault of `mutations.ts` back, in a copy of the packages, and runs the
 * tests that are named after it. They must pass without the mutation and go red on it. Prints a line
 * a mutation; fails if any goes unnoticed.
 *
 * `npm run faults -- 8 9` runs these only, by their numbers.
 */
import { spawn, type ChildProcess } from "node:child_process"
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { namesFault, type Mutation } from "./Mutation.ts"
import { MUTATIONS } from "./mutations.ts"

const ROOT = resolve(import.meta.dirname, "../..")
const VITEST = join(ROOT, "node_modules/vitest/vitest.mjs")
/** How many are tried at once. */
const LANES = 2
/** Milliseconds that one test may take, and one run of a test file. A mutation may well make a loop endless. */
const TEST_TIMEOUT = 30_000
const RUN_TIMEOUT = 180_000

interface Result {
  /** With the names of the test's groups. */
  readonly fullName: string
  readonly status: string
  readonly failureMessages: ReadonlyArray<string | null>
}

interface Report {
  readonly testResults: ReadonlyArray<{
    readonly message: string
    readonly assertionResults: ReadonlyArray<Result>
  }>
}

/** The tests of one run, or why there was none. */
type Outcome = ReadonlyArray<Result> | string

const running = new Set<ChildProcess>()
const lanes = new Set<string>()

/** Runs the tests of a file in the lane whose names match. */
const run = async (lane: string, test: string, names: RegExp): Promise<Outcome> => {
  const [name, ...path] = test.split("/") as [string, ...Array<string>]
  const output = join(lane, "report.json")
  rmSync(output, { force: true })
  const child = spawn(
    process.execPath,
    [
      VITEST,
      "run",
      "--root",
      join(lane, "packages", name),
      // Starting a platform that no test of the run needs takes longer than the run.
      ...(name === "cloudflare-transport"
        ? ["--project", path.includes("workerd") ? "workerd" : "node"]
        : []),
      "--reporter=json",
      // So that one that hangs by the mutation is told as red, and not cut off with its run.
      `--testTimeout=${TEST_TIMEOUT}`,
      `--outputFile=${output}`,
      `--testNamePattern=${names.source}`,
      path.join("/"),
    ],
    { stdio: "ignore" },
  )
  running.add(child)
  let timedOut = false
  const timer = setTimeout(() => {
    timedOut = true
    child.kill("SIGKILL")
  }, RUN_TIMEOUT)
  await new Promise((done) => child.on("exit", done))
  clearTimeout(timer)
  running.delete(child)
  if (timedOut) return `the run did not end within ${RUN_TIMEOUT / 1_000} s`
  let report: Report
  try {
    report = JSON.parse(readFileSync(output, "utf8")) as Report
  } catch {
    return "vitest did not report"
  }
  const results = report.testResults.flatMap(({ assertionResults }) =>
    assertionResults.filter(({ status }) => status === "passed" || status === "failed"),
  )
  // A file that does not even load fails without a test: that notices nothing.
  const [first] = report.testResults
  return results.length > 0 ? results : firstLine(first?.message) || "there are no such tests"
}

const firstLine = (text: string | null | undefined): string => (text?.split("\n")[0] ?? "").slice(0, 160)

const copyPackages = (): string => {
  // Within the repository, so that packages are found from there.
  const lane = mkdtempSync(join(ROOT, ".faults-"))
  lanes.add(lane)
  cpSync(join(ROOT, "packages"), join(lane, "packages"), {
    recursive: true,
    filter: (path) => !/[\\/](dist|node_modules|\.wrangler)$|\.tsbuildinfo$/.test(path),
  })
  cpSync(join(ROOT, "tsconfig.base.json"), join(lane, "tsconfig.base.json"))
  return lane
}

const cleanUp = (): void => {
  for (const child of running) child.kill("SIGKILL")
  for (const lane of lanes) rmSync(lane, { recursive: true, force: true, maxRetries: 5 })
}

/** Puts the fault into the lane's copy; gives back what takes it out again. */
const mutate = (lane: string, { edits, file }: Mutation): (() => void) => {
  const path = join(lane, "packages", file)
  const source = readFileSync(path, "utf8")
  let mutated = source
  for (const [find, replace] of edits) {
    const parts = mutated.split(find)
    if (parts.length !== 2) {
      throw new Error(`${JSON.stringify(find)} stands ${parts.length - 1} times in ${file}, not once`)
    }
    mutated = parts.join(replace)
  }
  writeFileSync(path, mutated)
  return () => writeFileSync(path, source)
}

/** What the tests of a file that are named after faults say without any mutation. Run once a file. */
const unmutated = new Map<string, Promise<Outcome>>()
const runUnmutated = (lane: string, test: string): Promise<Outcome> => {
  let outcome = unmutated.get(test)
  if (outcome === undefined) unmutated.set(test, (outcome = run(lane, test, /\bfaults? \d/)))
  return outcome
}

interface Verdict {
  readonly noticed: boolean
  readonly because: string
}

/** Whether the row's tests go red on the mutation, and only on it. */
const tryOne = async (lane: string, mutation: Mutation): Promise<Verdict> => {
  const { fault, test } = mutation
  const names = namesFault(fault)
  const before = await runUnmutated(lane, test)
  if (typeof before === "string") return { noticed: false, because: `${test}: ${before}` }
  const own = before.filter(({ fullName }) => names.test(fullName))
  const broken = own.filter(({ status }) => status === "failed")
  if (own.length === 0) return { noticed: false, because: `${test} has no test of it` }
  if (broken.length > 0) {
    return { noticed: false, because: `red without the mutation too: ${broken[0]!.fullName}` }
  }
  let restore: () => void
  try {
    restore = mutate(lane, mutation)
  } catch (error) {
    return { noticed: false, because: (error as Error).message }
  }
  const after = await run(lane, test, names).finally(restore)
  if (typeof after === "string") return { noticed: false, because: `${test}: ${after}` }
  const red = after.filter(({ status }) => status === "failed")
  if (red.length === 0) return { noticed: false, because: `green: no test of ${test} noticed` }
  const lines = red.map(
    ({ fullName, failureMessages }) => `${fullName}\n          ${firstLine(failureMessages[0])}`,
  )
  return { noticed: true, because: `red: ${lines.join("\n      red: ")}` }
}

const wanted = new Set(process.argv.slice(2).map(Number))
const queue = MUTATIONS.filter(({ fault }) => wanted.size === 0 || wanted.has(fault))
const total = queue.length
let unnoticed = 0

const work = async (): Promise<void> => {
  const lane = copyPackages()
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const { because, noticed } = await tryOne(lane, next)
    if (!noticed) unnoticed++
    console.log(
      `${noticed ? "✓" : "✗"} fault ${String(next.fault).padStart(2)}  ${next.breaks}\n      ${because}`,
    )
  }
}

process.on("exit", cleanUp)
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => process.exit(1))

const startedAt = Date.now()
await Promise.all(Array.from({ length: LANES }, work))
const faults = new Set(MUTATIONS.map(({ fault }) => fault)).size
const seconds = Math.round((Date.now() - startedAt) / 1_000)
console.log(
  `\n${total - unnoticed} of ${total} mutations noticed${wanted.size === 0 ? `, of ${faults} faults` : ""}, in ${seconds} s`,
)
process.exitCode = unnoticed === 0 && total > 0 ? 0 : 1
