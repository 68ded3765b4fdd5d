/**
 * `npm start`: serves the hub by `wrangler dev` until it is stopped, on port 8787 or `PORT`. Further
 * arguments go to Wrangler: `npm start -- --var AUTH_MODE:token`.
 */
import { spawn } from "node:child_process"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const port = process.env.PORT ?? "8787"
const here = dirname(fileURLToPath(import.meta.url))
const wrangler = createRequire(import.meta.url).resolve("wrangler/package.json")
const url = `ws://127.0.0.1:${port}/ws`

const server = spawn(
  process.execPath,
  [
    join(dirname(wrangler), "bin/wrangler.js"),
    "dev",
    "--config",
    join(here, "wrangler.jsonc"),
    "--ip",
    "127.0.0.1",
    "--port",
    port,
    "--show-interactive-dev-session=false",
    ...process.argv.slice(2),
  ],
  {
    stdio: "inherit",
    env: { ...process.env, WRANGLER_SEND_METRICS: "false", CLOUDFLARE_CF_FETCH_ENABLED: "false" },
  },
)
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => server.kill(signal))
// npm that is told to end does not tell its scripts: they are left to another parent.
if (process.env.npm_lifecycle_event !== undefined) {
  const { ppid } = process
  setInterval(() => process.ppid !== ppid && server.kill("SIGTERM"), 500).unref()
}
const ended = new Promise<number>((resolve) => server.on("exit", (code) => resolve(code ?? 0)))
void ended.then((code) => process.exit(code))

/** Asks for the hub's health until it answers. */
const isUp = async (): Promise<boolean> => {
  try {
    return (await fetch(`http://127.0.0.1:${port}/health`)).ok
  } catch {
    return false
  }
}
while (!(await isUp())) await new Promise((resolve) => setTimeout(resolve, 100))

console.log(`
The hub is up at ${url} (health: http://127.0.0.1:${port}/health). Ctrl-C ends it.
A client to paste into a .mjs file here, two lines:

  import { connect } from "@signal-hub/cloudflare-transport/client"
  await using hub = await connect("${url}"); console.log(hub.sessionId, await hub.metrics())
`)
