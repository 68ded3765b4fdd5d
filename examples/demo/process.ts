/** A Node process of the demo: hosts one actor and reports to its parent. `process.ts URL ADDRESS` */
import { Address } from "@signal-hub/actor-core"
import { host } from "./host.ts"

const [url, address] = process.argv.slice(2) as [string, string]
const hub = await host(url, Address.parse(address), (line) => process.send?.(line))
process.once("message", () => {
  void hub.close().then(() => process.disconnect())
})
