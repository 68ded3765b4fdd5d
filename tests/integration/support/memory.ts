/** What the runtimes that a test started use of the machine's memory. */
import { execFileSync } from "node:child_process"

interface Process {
  readonly pid: number
  readonly parent: number
  readonly kilobytes: number
  readonly command: string
}

const processes = (): ReadonlyArray<Process> =>
  execFileSync("ps", ["-A", "-o", "pid=,ppid=,rss=,comm="], { encoding: "utf8" })
    .trim()
    .split("\n")
    .map((line) => {
      const [pid, parent, kilobytes, ...command] = line.trim().split(/\s+/)
      return {
        pid: Number(pid),
        parent: Number(parent),
        kilobytes: Number(kilobytes),
        command: command.join(" "),
      }
    })

/** Resident bytes of every workerd that this process has started, and that runs. */
export const runtimeMemory = (): number => {
  const all = processes()
  const family = new Set([process.pid])
  for (let size = 0; size < family.size;) {
    size = family.size
    for (const { parent, pid } of all) if (family.has(parent)) family.add(pid)
  }
  const runtimes = all.filter(({ command, pid }) => family.has(pid) && command.includes("workerd"))
  if (runtimes.length === 0) throw new Error("this process has started no workerd")
  return runtimes.reduce((sum, { kilobytes }) => sum + kilobytes * 1_024, 0)
}
