/**
 * Prints the tables of `docs/actor-design/sizing.md`. Each number of the model is a flag:
 * `npm run sizing -- --chat.connected 0.5 --assumed.callMs 30 --identities 50000,5e6`.
 */
import { DEFAULT_MODEL, flagsOf, modelOf } from "./Model.ts"
import { tablesOf } from "./tables.ts"
import { parseArgs } from "node:util"

try {
  const { values } = parseArgs({ options: flagsOf(DEFAULT_MODEL) })
  for (const { title, lines } of tablesOf(modelOf(values))) console.log(`${title}\n\n${lines.join("\n")}\n`)
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  console.error(`flags: ${Object.keys(flagsOf(DEFAULT_MODEL)).join(", ")}`)
  process.exitCode = 1
}
