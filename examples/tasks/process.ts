/** A Node process of the example: one worker, who reports to its parent. `process.ts HOST NAME COORDINATOR` */
import type { Address } from "@signal-hub/actor-core"
import { work } from "./worker.ts"

const [host, name, coordinator] = process.argv.slice(2) as [string, string, Address.Address]
const hub = await work(host, name, coordinator, (line) => process.send?.(line))
process.once("message", () => {
  void hub.close().then(() => process.disconnect())
})
