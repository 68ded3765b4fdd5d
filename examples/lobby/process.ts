/** A Node process of the lobby: one player, who reports to its parent. `process.ts URL NAME` */
import { play } from "./player.ts"

const [url, name] = process.argv.slice(2) as [string, string]
const hub = await play(url, name, (line) => process.send?.(line))
process.once("message", () => {
  void hub.close().then(() => process.disconnect())
})
