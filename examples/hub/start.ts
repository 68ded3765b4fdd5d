/**
 * `npm start`: serves the hub by `wrangler dev` until it is stopped, on port 8787 or `PORT`. Further
 * arguments go to Wrangler: `npm start -- --var AUTH_MODE:token`.
 */
import { spawn } from "node:child_process"
import { createRequire } from "node:module"
import { createServer } from "node:net"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

const port = process.env.PORT ?? "8787"
const here = dirname(fileURLToPath(import.meta.url))
const wrangler = createRequire(import.meta.url).resolve("wrangler/package.json")
const url = `ws://127.0.0.1:${port}/ws`

/** Why the port can't be listened on; `undefined`: it is free. */
const portError = (): Promise<NodeJS.ErrnoException | undefined> =>
  new Promise((resolve) => {
    const probe = createServer()
    probe.on("error", resolve)
    probe.listen({ port: Number(port), host: "127.0.0.1", exclusive: true }, () =>
      probe.close(() => resolve(undefined)),
    )
  })

if (!/^\d{1,5}$/.test(port) || Number(port) < 1 || Number(port) > 65_535) {
  console.error(`PORT is "${port}": it must be a number from 1 to 65535.`)
  process.exit(1)
}
// Wrangler would serve on another port or fail late, and meanwhile the server that has the port would
// answer for the hub.
const taken = await portError()
if (taken !== undefined) {
  const cause = taken.code === "EADDRINUSE" ? "another program listens there" : taken.message
  console.error(
    `The hub can't be served on port ${port}: ${cause}. Stop it, or choose a free port: PORT=8788 npm start`,
  )
  process.exit(1)
}

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

/** Whether the hub answers at the port. Another server's health page does not count. */
const isUp = async (): Promise<boolean> => {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/health`)
    const health = (await response.json()) as { readonly service?: unknown }
    return response.ok && health.service === "signal-hub"
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
