/** Lists of known violations: a check fails on what is not in its list, and on what is in it without need. */
import { readFileSync } from "node:fs"
import { join } from "node:path"

/** By kind of violation: how often each file has it. */
export type Counts = { readonly [violation: string]: number }

/** The committed lists, by the name of the check. */
export const exceptionsOf = (check: string): Counts => {
  const lists = JSON.parse(readFileSync(join(import.meta.dirname, "exceptions.json"), "utf8")) as {
    readonly [check: string]: Counts
  }
  return lists[check] ?? {}
}

/** What differs between the violations that were found and those that are excepted: a line for each. */
export const differences = (found: Counts, excepted: Counts): ReadonlyArray<string> => [
  ...Object.entries(found)
    .filter(([violation, count]) => count > (excepted[violation] ?? 0))
    .map(([violation, count]) => `${violation}: ${count}, of which ${excepted[violation] ?? 0} are excepted`),
  ...Object.entries(excepted)
    .filter(([violation, count]) => count > (found[violation] ?? 0))
    .map(
      ([violation, count]) =>
        `${violation}: excepted ${count} times, found ${found[violation] ?? 0} times: lower it in scripts/exceptions.json`,
    ),
]

/** Prints the differences, and ends the process with 1 where there are any. */
export const report = (check: string, found: Counts, remedy: string): void => {
  const lines = differences(found, exceptionsOf(check))
  for (const line of lines) process.stderr.write(`${check}: ${line}\n`)
  if (lines.length > 0) process.stderr.write(`${remedy}\n`)
  else {
    const left = Object.values(found).reduce((sum, count) => sum + count, 0)
    process.stdout.write(`${check}: nothing new; ${left} known exceptions\n`)
  }
  process.exitCode = lines.length > 0 ? 1 : process.exitCode
}
