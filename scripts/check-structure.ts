/**
 * `npm run check:structure`: the layering of the packages, circles of imports, doc comments and names. Each check
 * has a list of exceptions in `exceptions.json` that only shrinks.
 */
import { join } from "node:path"
import { retiredNames, undocumented } from "./declarations.ts"
import { report } from "./exceptions.ts"
import { layerViolations } from "./layers.ts"

const ROOT = join(import.meta.dirname, "..")

report(
  "layers",
  layerViolations(ROOT),
  "Move the code to the folder that it belongs to, or turn the import around.",
)
report(
  "comments",
  undocumented(ROOT),
  "Say in a doc comment what each exported declaration does, beyond its name.",
)
report("names", retiredNames(ROOT), "Use the field's term: docs/glossary.md has it.")
