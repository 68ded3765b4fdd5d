/** The Worker's entry: health, and upgrades to the hub that the path names. */
import { CloseCode } from "../protocol/CloseCode.ts"
import { errorEnvelope } from "../protocol/HubEnvelope.ts"
import { provisionalAddress } from "../protocol/HubMessage.ts"
import { SERVER_VERSION } from "../protocol/Version.ts"
import { makeLog } from "../hub/Log.ts"
import type { HubEnv } from "./HubEnv.ts"

const HUB_PATH = /^\/ws\/([A-Za-z0-9_-]{1,64})$/

/** The name of the hub that the path leads to, or `undefined` where it leads to none. */
const hubOf = (path: string): string | undefined =>
  path === "/ws" || path === "/" ? "default" : HUB_PATH.exec(path)?.[1]

/** Serves `GET /health`, `/ws`, `/ws/:hub` and `/`. Use it as the Worker's default export. */
export const hubWorker: ExportedHandler<HubEnv> = {
  fetch: (request, env) => {
    const { pathname } = new URL(request.url)
    if (pathname === "/health") return health(request)
    const hub = hubOf(pathname)
    if (hub === undefined) return new Response("not found\n", { status: 404 })
    if (request.headers.get("Upgrade")?.toLowerCase() !== "websocket") {
      return new Response("expected a WebSocket upgrade\n", {
        status: 426,
        headers: { Upgrade: "websocket" },
      })
    }
    if (env.AUTH_MODE !== "open") return refuseUnconfigured(env)
    warnOpen(env)
    return env.SIGNAL_HUB.getByName(hub).fetch(toHub(request))
  },
}

const health = (request: Request): Response => {
  if (request.method !== "GET" && request.method !== "HEAD") {
    return new Response("method not allowed\n", { status: 405, headers: { Allow: "GET, HEAD" } })
  }
  const body = { status: "ok", service: "signal-hub", version: SERVER_VERSION, timestamp: Date.now() }
  return Response.json(body, { headers: { "Cache-Control": "no-store" } })
}

/** The upgrade as the hub gets it: only what the handshake needs, so that no client speaks for another. */
const toHub = (request: Request): Request => {
  const headers = new Headers({ Upgrade: "websocket" })
  const subprotocol = request.headers.get("Sec-WebSocket-Protocol")
  if (subprotocol !== null) headers.set("Sec-WebSocket-Protocol", subprotocol)
  return new Request("https://hub/ws", { headers })
}

let warnedOpen = false

/** An open hub says so, once in each isolate. */
const warnOpen = (env: HubEnv): void => {
  if (warnedOpen) return
  warnedOpen = true
  const message = "AUTH_MODE is open: everybody may connect as anybody; for local development only"
  makeLog(env.LOG_LEVEL)("warn", "auth_mode_open", { message })
}

/**
 * Nobody gets in before somebody said who may. Accepted first, then refused: a browser can't see the
 * HTTP status of a failed upgrade, and would retry for ever.
 */
const refuseUnconfigured = (env: HubEnv): Response => {
  makeLog(env.LOG_LEVEL)("error", "connection_rejected", {
    code: CloseCode.Unauthorized,
    reason: "authentication is on and not configured: set AUTH_MODE=open for local development",
  })
  const [client, server] = Object.values(new WebSocketPair()) as [WebSocket, WebSocket]
  server.accept()
  const message = "this deployment accepts no connections: its authentication is not configured"
  const to = provisionalAddress("none")
  server.send(JSON.stringify(errorEnvelope(null, to, "unauthorized", message, Date.now(), null)))
  server.close(CloseCode.Unauthorized, "unauthorized")
  return new Response(null, { status: 101, webSocket: client })
}
