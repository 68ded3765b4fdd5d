/**
 * The simulator as one module: the packages' sources, with `cloudflare:workers` and the ids of messages
 * from the simulated platform; and, where wanted, a deliberate fault.
 */
import { readFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { build, type Plugin } from "esbuild"

const HERE = import.meta.dirname
const ROOT = resolve(HERE, "../..")
/** Other sources than these may be tried: a checkout beside this one. */
const PACKAGES = join(process.env.SIMULATION_OF ?? ROOT, "packages")

/** A change of the packages' code. */
export interface Change {
  /** The file, below `packages`. */
  readonly file: string
  /** Texts that each stand in the file exactly once, and what takes their place. */
  readonly edits: ReadonlyArray<readonly [find: string, replace: string]>
}

/** Where the packages' sources are, by the names that they are imported by. */
const sourceOf = (name: string): string | undefined => {
  const match = /^@signal-hub\/([a-z-]+)(?:\/(.+))?$/.exec(name)
  if (match === null) return undefined
  const root = join(PACKAGES, match[1]!)
  const { exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    readonly exports: { readonly [path: string]: { readonly default: string } }
  }
  const target = exports[match[2] === undefined ? "." : `./${match[2]}`]!.default
  return join(root, target.replace("./dist/", "src/").replace(/\.js$/, ".ts"))
}

const plugin = (change: Change | undefined): Plugin => ({
  name: "simulation",
  setup: ({ onLoad, onResolve }) => {
    onResolve({ filter: /^@signal-hub\// }, ({ path }) => ({ path: sourceOf(path)! }))
    onResolve({ filter: /^cloudflare:workers$/ }, () => ({
      path: join(HERE, "platform/cloudflareWorkers.ts"),
    }))
    onResolve({ filter: /\/MessageId\.ts$/ }, () => ({ path: join(HERE, "platform/globals.ts") }))
    const changed = change === undefined ? "" : join(PACKAGES, change.file)
    onLoad({ filter: /\.ts$/ }, ({ path }) => {
      const isPerProcess = path.endsWith("/client/ConnectTurn.ts")
      if (path !== changed && !isPerProcess) return undefined
      const contents = path === changed ? edited(change!) : readFileSync(path, "utf8")
      return { contents: isPerProcess ? perProcess(contents) : contents, loader: "ts" as const }
    })
  },
})

/** A module of the packages whose map is that of the simulated process that uses it. */
const perProcess = (text: string): string => {
  const parts = text.split(/new Map<.*>\(\)/)
  if (parts.length !== 2) throw new Error("the module does not hold one map")
  const globals = JSON.stringify(join(HERE, "platform/globals.ts"))
  return `import { mapOfProcess } from ${globals}\n${parts.join("mapOfProcess()")}`
}

/** The file with the fault in it. */
export const edited = ({ edits, file }: Change): string => {
  let text = readFileSync(join(PACKAGES, file), "utf8")
  for (const [find, replace] of edits) {
    const parts = text.split(find)
    if (parts.length !== 2) {
      throw new Error(`${JSON.stringify(find)} stands ${parts.length - 1} times in ${file}, not once`)
    }
    text = parts.join(replace)
  }
  return text
}

/** Writes the module. */
export const bundle = async (outfile: string, change?: Change): Promise<void> => {
  await build({
    entryPoints: [join(HERE, "entry.ts")],
    outfile,
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node24",
    logLevel: "error",
    plugins: [plugin(change)],
    absWorkingDir: resolve(HERE, "../.."),
    sourcemap: "inline",
  })
}
