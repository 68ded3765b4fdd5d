/** The heap of this process, after everything that can go has gone. */
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

setFlagsFromString("--expose-gc")
const collect = runInNewContext("gc") as () => void

export const heapUsed = (): number => {
  collect()
  return process.memoryUsage().heapUsed
}
