/** A storm in a process of its own, so that it takes nothing from who measures: `stormProcess.ts NAME URL`. */
import { STORMS, type Tally } from "./storms.ts"

const [name = "", url = ""] = process.argv.slice(2)
const storm = STORMS[name]
if (storm === undefined) throw new Error(`there is no storm "${name}"`)

const ending = new AbortController()
const tally: Tally = { connections: 0, frames: 0 }
process.on("SIGTERM", () => ending.abort())
process.stdout.write("raging\n")
await storm(url, ending.signal, tally)
process.stdout.write(`${JSON.stringify(tally)}\n`)
process.exit()
