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
  /** The exported Durable Object classes, by the names of their bindings. */
  readonly durableObjects: Readonly<Record<string, string>>
  readonly vars?: Readonly<Record<string, string>>
  /** Where it listens; a free port by default. */
  readonly port?: number
  /** A folder for what objects store, which outlives the server; by default one that does not. */
  readonly storage?: string
}

export interface Workerd extends AsyncDisposable {
  readonly pid: number
  readonly port: number
  /**
   * Evicts an object as the platform does by itself after 10 idle seconds; its sockets hibernate, or are closed,
   * as a deploy does it.
   */
  readonly evict: (binding: string, name: string, webSockets?: "hibernate" | "close") => Promise<void>
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
    external: ["cloudflare:*", "node:*", "workerd:*"],
    logLevel: "silent",
  }).then(({ outputFiles }) => outputFiles[0]!.text)
  bundles.set(script, bundling)
  return bundling
}

/** Runs the Worker on a free port until it is disposed of. */
export const startWorkerd = async (options: WorkerdOptions): Promise<Workerd> => {
  const script = await bundle(options.script)
  const evictor = await bundle(join(import.meta.dirname, "evictor.worker.ts"))
  const directory = await mkdtemp(join(tmpdir(), "signal-hub-bench-"))
  const storage = options.storage ?? join(directory, "storage")
  await mkdir(storage, { recursive: true })
  await writeFile(join(directory, "worker.js"), script)
  await writeFile(join(directory, "evictor.js"), evictor)
  await writeFile(join(directory, "config.capnp"), configuration(options, storage))
  const args = ["serve", "--experimental", "--control-fd=3", join(directory, "config.capnp")]
  const child = spawn(binary(), args, { stdio: ["ignore", "ignore", "pipe", "pipe"] })
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
    const [port, control] = await Promise.race([
      listening(child.stdio[3] as Readable),
      owned.ended.then(() => Promise.reject(new Error(`workerd did not start: ${complaints}`))),
    ])
    const evict: Workerd["evict"] = async (binding, name, webSockets = "hibernate") => {
      const path = `${binding}/${encodeURIComponent(name)}?webSockets=${webSockets}`
      const { ok, status } = await fetch(`http://127.0.0.1:${control}/${path}`)
      if (!ok) throw new Error(`${binding} "${name}" was not evicted: ${status}`)
    }
    return { pid: child.pid!, port, evict, [Symbol.asyncDispose]: end }
  } catch (error) {
    await end()
    throw error
  }
}

/** The ports, from the lines that workerd writes to its control channel once it listens. */
const listening = (control: Readable): Promise<readonly [http: number, evictor: number]> =>
  new Promise((resolve) => {
    let text = ""
    const portOf = (socket: string): string | undefined =>
      text
        .split("\n")
        .find((line) => line.includes(`"socket":"${socket}"`))
        ?.match(/"port":(\d+)/)?.[1]
    control.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk
      const [http, evictor] = [portOf("http"), portOf("evictor")]
      if (http !== undefined && evictor !== undefined) resolve([Number(http), Number(evictor)])
    })
  })

const configuration = (options: WorkerdOptions, storage: string): string => {
  const { durableObjects, vars = {}, port = 0 } = options
  const list = (lines: ReadonlyArray<string>): string => lines.map((line) => `    ${line},`).join("\n")
  const classes = [...new Set(Object.values(durableObjects))]
  const bindings = Object.entries(durableObjects)
  return `
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "worker", worker = .worker),
    (name = "evictor", worker = .evictor),
    (name = "storage", disk = (path = ${JSON.stringify(storage)}, writable = true)),
  ],
  sockets = [
    (name = "http", address = "127.0.0.1:${port}", http = (), service = "worker"),
    (name = "evictor", address = "127.0.0.1:0", http = (), service = "evictor"),
  ],
);
const worker :Workerd.Worker = (
  modules = [(name = "worker.js", esModule = embed "worker.js")],
  compatibilityDate = "${COMPATIBILITY_DATE}",
  durableObjectNamespaces = [
${list(classes.map((name) => `(className = "${name}", uniqueKey = "bench-${name}", enableSql = true)`))}
  ],
  durableObjectStorage = (localDisk = "storage"),
  bindings = [
${list(bindings.map(([name, className]) => `(name = "${name}", durableObjectNamespace = "${className}")`))}
${list(Object.entries(vars).map(([name, value]) => `(name = "${name}", text = ${JSON.stringify(value)})`))}
  ],
);
const evictor :Workerd.Worker = (
  modules = [(name = "evictor.js", esModule = embed "evictor.js")],
  compatibilityDate = "${COMPATIBILITY_DATE}",
  compatibilityFlags = ["unsafe_module"],
  bindings = [
${list(
  bindings.map(
    ([name, className]) =>
      `(name = "${name}", durableObjectNamespace = (className = "${className}", serviceName = "worker"))`,
  ),
)}
  ],
);
`
}
