/**
 * What a page downloads to speak with the hub: `./client` minified and gzipped, beside the clients of
 * others measured the same way. What is loaded on demand only, as the msgpack codec, is counted apart.
 */
import { gzipSync } from "node:zlib"
import { build } from "esbuild"
import type { Row, Suite } from "../Suite.ts"

const BASELINE = "socket.io-client"

/** What the page imports, by subject. */
const entries = {
  [BASELINE]: `export { io } from "socket.io-client"`,
  "signal-hub": `export * from "@signal-hub/cloudflare-transport/client"`,
}

/** Sizes after gzip, in kB: of what the entry needs at once, and of what it may load later. */
const measure = async (entry: string) => {
  const { outputFiles, metafile } = await build({
    stdin: { contents: entry, resolveDir: import.meta.dirname },
    bundle: true,
    minify: true,
    splitting: true,
    format: "esm",
    platform: "browser",
    target: "es2023",
    outdir: "out",
    write: false,
    metafile: true,
  })
  const outputs = Object.entries(metafile.outputs)
  const atOnce = new Set<string>()
  const need = (path: string) => {
    if (atOnce.has(path)) return
    atOnce.add(path)
    for (const imported of metafile.outputs[path]?.imports ?? [])
      if (imported.kind === "import-statement") need(imported.path)
  }
  need(outputs.find(([, output]) => output.entryPoint === "<stdin>")?.[0] ?? "")
  let [now, later] = [0, 0]
  for (const file of outputFiles) {
    const size = gzipSync(file.contents, { level: 9 }).length / 1_000
    if ([...atOnce].some((path) => file.path.endsWith(path))) now += size
    else later += size
  }
  return { now, later }
}

export const client: Suite = {
  name: "client",
  baseline: BASELINE,
  run: async ({ log }) => {
    const rows: Array<Row> = []
    const failures: Array<string> = []
    let baseline: number | null = null
    for (const [subject, entry] of Object.entries(entries)) {
      log(`bundle of ${subject}`)
      try {
        const { now, later } = await measure(entry)
        baseline ??= now
        const common = { suite: "client", subject, unit: "kB", baseline }
        rows.push({ ...common, metric: "bundle_gz", value: now, ratio: now / baseline })
        if (later > 0)
          rows.push({ ...common, metric: "bundle_on_demand_gz", value: later, ratio: later / baseline })
      } catch (error) {
        failures.push(`bundle of ${subject}: ${String(error)}`)
      }
    }
    return { rows, failures }
  },
}
