/**
 * `npm run faults`: brings each fault of `mutations.ts` back, in a copy of the packages, and runs the
 * tests that are named after it. They must pass without the mutation and go red on it. Prints a line
 * a mutation; fails if any goes unnoticed.
 *
 * `npm run faults -- 8 9` runs these rows only.
 */
import { spawn } from "node:child_process"
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join, resolve } from "node:path"
import type { Mutation } from "./Mutation.ts"
import { MUTATIONS } from "./mutations.ts"

const ROOT = resolve(import.meta.dirname, "../..")
const VITEST = join(ROOT, "node_modules/vitest/vitest.mjs")
/** How many are tried at once. */
const LANES = 2

interface Outcome {
  readonly passed: number
  readonly failed: ReadonlyArray<string>
}

interface Report {
  readonly numPassedTests: number
  readonly testResults: ReadonlyArray<{
    readonly status: string
    readonly name: string
    readonly assertionResults: ReadonlyArray<{ readonly status: string; readonly title: string }>
  }>
}

/** Runs the tests of the mutation's row in a copy of its package. */
const run = async (lane: string, { package: name, test, fault }: Mutation): Promise<Outcome> => {
  const output = join(lane, "report.json")
  rmSync(output, { force: true })
  const child = spawn(
    process.execPath,
    [
      VITEST,
      "run",
      "--root",
      join(lane, "packages", name),
      "--reporter",
      "json",
      "--outputFile",
      output,
      "-t",
      `fault ${fault}:`,
      join("test", test),
    ],
    { stdio: "ignore" },
  )
  await new Promise((done) => child.on("exit", done))
  const report = JSON.parse(readFileSync(output, "utf8")) as Report
  const failed = report.testResults.flatMap(({ assertionResults, status, name: file }) => {
    const titles = assertionResults.filter((result) => result.status === "failed").map(({ title }) => title)
    // A file that does not even load fails without a test: that notices nothing.
    return titles.length === 0 && status === "failed" ? [`${file} did not run`] : titles
  })
  return { passed: report.numPassedTests, failed }
}

/** Puts the fault into the lane's copy; gives back what takes it out again. */
const mutate = (lane: string, mutation: Mutation): (() => void) => {
  const file = join(lane, "packages", mutation.package, "src", mutation.file)
  const source = readFileSync(file, "utf8")
  const parts = source.split(mutation.find)
  if (parts.length !== 2) {
    throw new Error(
      `fault ${mutation.fault}: its text stands ${parts.length - 1} times in ${mutation.file}, not once`,
    )
  }
  writeFileSync(file, parts.join(mutation.replace))
  return () => writeFileSync(file, source)
}

/** Why the mutation went unnoticed, or the tests that noticed it. */
const tryOne = async (lane: string, mutation: Mutation): Promise<{ noticed: boolean; line: string }> => {
  const clean = await run(lane, mutation)
  const restore = mutate(lane, mutation)
  const mutated = await run(lane, mutation).finally(restore)
  const row = `fault ${String(mutation.fault).padStart(2)}  ${mutation.breaks}`
  if (clean.passed === 0 || clean.failed.length > 0) {
    return {
      noticed: false,
      line: `✗ ${row}\n      its tests do not pass without it: ${clean.failed.join("; ") || "there are none"}`,
    }
  }
  const noticed = mutated.failed.some((title) => title.startsWith(`fault ${mutation.fault}:`))
  return noticed
    ? { noticed, line: `✓ ${row}\n      red: ${mutated.failed.join("; ")}` }
    : { noticed, line: `✗ ${row}\n      green: no test of ${mutation.test} noticed` }
}

const wanted = new Set(process.argv.slice(2).map(Number))
const queue = MUTATIONS.filter(({ fault }) => wanted.size === 0 || wanted.has(fault))
const total = queue.length
let unnoticed = 0

const work = async (): Promise<void> => {
  // Within the repository, so that packages are found from there.
  const lane = mkdtempSync(join(ROOT, ".faults-"))
  try {
    cpSync(join(ROOT, "packages"), join(lane, "packages"), {
      recursive: true,
      filter: (path) => !/[\\/](dist|node_modules)$/.test(path),
    })
    cpSync(join(ROOT, "tsconfig.base.json"), join(lane, "tsconfig.base.json"))
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const { noticed, line } = await tryOne(lane, next)
      if (!noticed) unnoticed++
      console.log(line)
    }
  } finally {
    rmSync(lane, { recursive: true, force: true })
  }
}
await Promise.all(Array.from({ length: LANES }, work))
console.log(`\n${total - unnoticed} of ${total} mutations noticed`)
process.exitCode = unnoticed === 0 && total > 0 ? 0 : 1
