/** Server processes: none outlives the bench, however that ends. */
import type { ChildProcess } from "node:child_process"

const running = new Set<ChildProcess>()
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL")
})

export interface Owned {
  /** Settles when the process is gone, by whatever cause. */
  readonly ended: Promise<void>
  readonly end: () => Promise<void>
}

/** Makes the process end with ours. Called in the turn that started it. */
export const own = (child: ChildProcess): Owned => {
  running.add(child)
  const ended = new Promise<void>((resolve) => {
    child.once("exit", () => {
      running.delete(child)
      resolve()
    })
  })
  return {
    ended,
    end: () => {
      child.kill("SIGKILL")
      return ended
    },
  }
}
