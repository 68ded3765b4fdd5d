/** What a process of the operating system uses, asked from outside of it. */
import { execFileSync } from "node:child_process"
import { readFileSync } from "node:fs"

/** Resident memory, in bytes. */
export const residentMemory = (pid: number): number => {
  if (process.platform === "linux") {
    const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]
    return Number(kilobytes) * 1_024
  }
  return Number(execFileSync("ps", ["-o", "rss=", "-p", String(pid)], { encoding: "utf8" })) * 1_024
}

/** Processor time since its start, in microseconds, to 10 ms; NaN where the system doesn't tell. */
export const processorTime = (pid: number): number => {
  if (process.platform !== "linux") return Number.NaN
  // The second field, the command in parentheses, may hold spaces; what follows it may not.
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? []
  return (Number(fields[11]) + Number(fields[12])) * 10_000
}

/** Files that a process started from here may have open. */
export const openFiles = (): number => Number(execFileSync("sh", ["-c", "ulimit -n"], { encoding: "utf8" }))
