/** Which folder may import which, and that no files import each other in a circle at run time. */
import { spawnSync } from "node:child_process"
import { join, relative } from "node:path"
import type { Counts } from "./exceptions.ts"

const OXLINT = join(import.meta.dirname, "../node_modules/.bin/oxlint")
const CONFIG = join(import.meta.dirname, "layers.oxlintrc.json")

interface Diagnostic {
  readonly code: string
  readonly message: string
  readonly filename: string
}

/**
 * The violations in the packages below `root`: `FILE imports FILE`, where the layering forbids that, and
 * `FILE is in a circle`. Throws where the linter does not run.
 */
export const layerViolations = (root: string): Counts => {
  const { stdout, stderr } = spawnSync(OXLINT, ["-c", CONFIG, "-f", "json", "packages"], {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 64 * 1_048_576,
  })
  let diagnostics: ReadonlyArray<Diagnostic>
  try {
    ;({ diagnostics } = JSON.parse(stdout) as { readonly diagnostics: ReadonlyArray<Diagnostic> })
  } catch (cause) {
    throw new Error(`oxlint did not run: ${stderr}`, { cause })
  }
  const counts: { [violation: string]: number } = {}
  for (const { code, filename, message } of diagnostics) {
    const file = relative(root, join(root, filename))
    const imported = /^'([^']+)'/.exec(message)?.[1]
    const violation = code === "import(no-cycle)" ? `${file} is in a circle` : `${file} imports ${imported}`
    counts[violation] = code === "import(no-cycle)" ? 1 : (counts[violation] ?? 0) + 1
  }
  return counts
}
