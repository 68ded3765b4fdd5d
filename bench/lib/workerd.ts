/**
 * A Worker in bare workerd: the script bundled, the configuration written to a temporary directory,
 * the binary run as a child process. `wrangler dev` would be simpler, but its proxy costs most of the
 * throughput.
 */
import { spawn } from "node:child_process"
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Readable } from "node:stream"
import { build } from "esbuild"
import { own } from "./childProcess.ts"

export interface WorkerdOptions {
  /** Path of the Worker's module. */
  readonly script: string
  /** The exported Durable Object class, and the name of its binding. */
  readonly durableObject: { readonly className: string; readonly binding: string }
  readonly vars?: Readonly<Record<string, string>>
  /** Where it listens; a free port by default. */
  readonly port?: number
  /** A folder for what objects store, which outlives the server; by default one that does not. */
  readonly storage?: string
}

export interface Workerd extends AsyncDisposable {
  readonly pid: number
  readonly port: number
}

const COMPATIBILITY_DATE = "2026-11-01"

const binary = (): string => {
  // workerd comes with Wrangler, which need not hoist it.
  const require = createRequire(createRequire(import.meta.url).resolve("wrangler"))
  const { default: path }: { readonly default: string } = require("workerd")
  return path
}

const bundles = new Map<string, Promise<string>>()

const bundle = (script: string): Promise<string> => {
  const known = bundles.get(script)
  if (known !== undefined) return known
  const bundling = build({
    entryPoints: [script],
    bundle: true,
    write: false,
    format: "esm",
    target: "es2024",
    conditions: ["workerd", "worker"],
    external: ["cloudflare:*", "node:*"],
    logLevel: "silent",
  }).then(({ outputFiles }) => outputFiles[0]!.text)
  bundles.set(script, bundling)
  return bundling
}

/** Runs the Worker on a free port until it is disposed of. */
export const startWorkerd = async (options: WorkerdOptions): Promise<Workerd> => {
  const script = await bundle(options.script)
  const directory = await mkdtemp(join(tmpdir(), "signal-hub-bench-"))
  const storage = options.storage ?? join(directory, "storage")
  await mkdir(storage, { recursive: true })
  await writeFile(join(directory, "worker.js"), script)
  await writeFile(join(directory, "config.capnp"), configuration(options, storage))
  const child = spawn(binary(), ["serve", "--control-fd=3", join(directory, "config.capnp")], {
    stdio: ["ignore", "ignore", "pipe", "pipe"],
  })
  let complaints = ""
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    complaints = (complaints + text).slice(-2_000)
  })
  const owned = own(child)
  const end = async () => {
    await owned.end()
    await rm(directory, { recursive: true, force: true })
  }
  try {
    const port = await Promise.race([
      listening(child.stdio[3] as Readable),
      owned.ended.then(() => Promise.reject(new Error(`workerd did not start: ${complaints}`))),
    ])
    return { pid: child.pid!, port, [Symbol.asyncDispose]: end }
  } catch (error) {
    await end()
    throw error
  }
}

/** The port, from the line that workerd writes to its control channel once it listens. */
const listening = (control: Readable): Promise<number> =>
  new Promise((resolve) => {
    let text = ""
    control.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk
      const port = /"event":"listen".*?"port":(\d+)/.exec(text)?.[1]
      if (port !== undefined) resolve(Number(port))
    })
  })

const configuration = ({ durableObject, vars = {}, port = 0 }: WorkerdOptions, storage: string): string => `
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "worker", worker = .worker),
    (name = "storage", disk = (path = ${JSON.stringify(storage)}, writable = true)),
  ],
  sockets = [(name = "http", address = "127.0.0.1:${port}", http = (), service = "worker")],
);
const worker :Workerd.Worker = (
  modules = [(name = "worker.js", esModule = embed "worker.js")],
  compatibilityDate = "${COMPATIBILITY_DATE}",
  durableObjectNamespaces = [
    (className = "${durableObject.className}", uniqueKey = "bench", enableSql = true),
  ],
  durableObjectStorage = (localDisk = "storage"),
  bindings = [
    (name = "${durableObject.binding}", durableObjectNamespace = "${durableObject.className}"),
${Object.entries(vars)
  .map(([name, value]) => `    (name = "${name}", text = ${JSON.stringify(value)}),`)
  .join("\n")}
  ],
);
`
