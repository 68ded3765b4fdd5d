/** `npm run check:mutations`: whether each deliberate fault still finds the text in which it is to be put, once. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { MUTATIONS } from "./mutations.ts"
import { MUTANTS as CHAOS } from "../chaos/mutations.ts"
import { MUTANTS as SIMULATION } from "../simulation/mutations/index.ts"

const PACKAGES = join(import.meta.dirname, "../../packages")

const all = [...MUTATIONS, ...SIMULATION, ...CHAOS]
let amiss = 0
for (const { breaks, edits, file } of all) {
  let text = readFileSync(join(PACKAGES, file), "utf8")
  for (const [find, replace] of edits) {
    const parts = text.split(find)
    if (parts.length !== 2) {
      amiss++
      console.error(
        `"${breaks}": ${JSON.stringify(find)} stands ${parts.length - 1} times in ${file}, not once`,
      )
    }
    text = parts.join(replace)
  }
}
console.log(`${all.length} deliberate faults, ${amiss} without their place`)
process.exitCode = amiss === 0 ? 0 : 1
