/**
 * The Worker's entry: health, and upgrades, to the hub that the path names or to the gateway of whoever
 * asks, for those who may enter.
 */
import { Address } from "@signal-hub/actor-core"
import { type Authentication, authenticationOf, type VerifyToken } from "../auth/Authentication.ts"
import { mayEnter } from "../auth/Authorization.ts"
import type { Claims } from "../auth/Claims.ts"
import { closeOf, TokenRefused } from "../auth/TokenRefused.ts"
import { offeredToken } from "../bridge/Subprotocol.ts"
import { makeLog } from "../object/Log.ts"
import { isReserved } from "../protocol/HubMessage.ts"
import { CloseCode } from "../protocol/CloseCode.ts"
import { SERVER_VERSION } from "../protocol/Version.ts"
import { type HubEnv, limitsOf, oncePerEnv } from "../object/HubEnv.ts"
import { type Refused, Refusals } from "./Refusals.ts"
import { toHub } from "../bridge/Upgrade.ts"

const HUB_PATH = /^\/ws\/([A-Za-z0-9_-]{1,64})$/

/** The path of the request, without a slash at its end: proxies and frameworks add one. */
const pathOf = (request: Request): string => {
  const { pathname } = new URL(request.url)
  return pathname.length > 1 && pathname.endsWith("/") ? pathname.slice(0, -1) : pathname
}

/** The name of the hub that the path leads to, or `undefined` where it leads to none. */
const hubOf = (path: string): string | undefined =>
  path === "/ws" || path === "/" ? "default" : HUB_PATH.exec(path)?.[1]

export interface WorkerOptions<Env extends HubEnv> {
  /** A scheme of your own for tokens. */
  readonly verify?: VerifyToken<Env>
  /** Whether clients may have this identity at a gateway. */
  readonly isIdentity?: (address: Address.Address) => boolean
}

/** A Worker that serves `GET /health`, `/ws`, `/ws/:hub`, `/` and, where it has gateways, `/gateway`. */
export const makeHubWorker = <Env extends HubEnv>({
  verify,
  isIdentity = () => true,
}: WorkerOptions<Env> = {}): ExportedHandler<Env> => {
  const authenticationIn = oncePerEnv((env: Env): Authentication => {
    const authentication = authenticationOf(env, verify)
    warn(env, authentication)
    return authentication
  })
  const refusals = new Refusals()
  const limitsIn = oncePerEnv((env: Env) => limitsOf(env))
  return {
    fetch: async (request, env) => {
      const refuse = (refused: Refused, close: CloseCode): Response =>
        refusals.refuse(request, refused, close, limitsIn(env).maxClosedSockets)
      const path = pathOf(request)
      if (path === "/health") return health(request)
      const { SESSION_GATEWAY: gateways } = env
      const isGateway = path === "/gateway" && gateways !== undefined
      // Who may enter the default hub has a gateway.
      const hub = isGateway ? "default" : hubOf(path)
      if (hub === undefined) return new Response("not found\n", { status: 404 })
      if (request.headers.get("Upgrade")?.toLowerCase() !== "websocket") {
        return new Response("expected a WebSocket upgrade\n", {
          status: 426,
          headers: { Upgrade: "websocket" },
        })
      }
      const origin = request.headers.get("Origin")
      if (origin !== null && !isAllowed(origin, env.ALLOWED_ORIGINS)) {
        makeLog(env.LOG_LEVEL)("warn", "origin_rejected", { origin: origin.slice(0, 256), hub })
        return new Response("this origin is not allowed\n", { status: 403 })
      }
      const authentication = authenticationIn(env)
      const admitted = await admit(request, hub, env, authentication)
      if (admitted instanceof TokenRefused) return refuse(admitted, closeOf(admitted.code))
      if (!isGateway) return env.SIGNAL_HUB.getByName(hub).fetch(toHub(request, admitted))
      const identity = identityOf(request, admitted, authentication.mode === "open", isIdentity)
      return typeof identity === "string"
        ? gateways.getByName(identity).fetch(toHub(request, admitted))
        : refuse(identity, identity.close)
    },
  }
}

/** Serves `GET /health`, `/ws`, `/ws/:hub`, `/` and `/gateway`. Use it as the Worker's default export. */
export const hubWorker: ExportedHandler<HubEnv> = makeHubWorker()

/** Whose gateway is meant: the token's bearer's; in open mode, that of the identity in the query. */
const identityOf = (
  request: Request,
  claims: Claims | null,
  isOpen: boolean,
  isIdentity: (address: Address.Address) => boolean,
): Address.Address | (Refused & { readonly close: CloseCode }) => {
  const identity = isOpen ? new URL(request.url).searchParams.get("identity") : (claims?.identity ?? null)
  if (identity === null) {
    const message = isOpen
      ? 'whose gateway is meant must be in the query, percent-encoded: "?identity=%40(user%2Fada)"'
      : "there is no token: a gateway needs it with the upgrade"
    return { code: "unauthorized", message, close: CloseCode.Unauthorized }
  }
  if (!Address.isAddress(identity)) {
    const message = '"identity" is no address: it must be "@(type/name)"'
    return { code: "invalid_address", message, close: CloseCode.ProtocolViolation }
  }
  if (isReserved(identity) || !isIdentity(identity)) {
    const message = `${identity} can't be the identity of a client`
    return { code: "forbidden", message, close: CloseCode.Forbidden }
  }
  return identity
}

/** Without a scheme of its own a deployment may be open to all, which must be seen. */
const warn = (env: HubEnv, { mode }: Authentication): void => {
  const log = makeLog(env.LOG_LEVEL)
  if (mode === "open") {
    const message = "AUTH_MODE is open: everybody may connect as anybody; for local development only"
    log("warn", "auth_mode_open", { message })
  } else if (mode === "token" && env.JWT_SECRET && env.JWT_SECRET.length < 32) {
    const message = "JWT_SECRET is shorter than 32 characters: whoever has a token may guess it"
    log("warn", "weak_secret", { message })
  }
}

const isAllowed = (origin: string, allowed: string | undefined): boolean =>
  allowed === undefined || allowed.split(",").some((one) => one.trim() === origin)

/**
 * The claims of the upgrade's token; `null` where everybody may enter, or the token is yet to come with
 * `hub:connect`. What is refused is logged here, the token never.
 */
const admit = async (
  request: Request,
  hub: string,
  env: HubEnv,
  authentication: Authentication,
): Promise<Claims | TokenRefused | null> => {
  const log = makeLog(env.LOG_LEVEL)
  if (authentication.mode === "open") return null
  if (authentication.mode === "misconfigured") {
    const { message: reason } = authentication.error
    log("error", "connection_rejected", { code: CloseCode.Unauthorized, hub, reason })
    const message = "this deployment accepts no connections: its authentication is not configured"
    return new TokenRefused({ code: "unauthorized", message })
  }
  const token = bearerToken(request) ?? offeredToken(request)
  if (token === undefined) return null
  try {
    const claims = await authentication.authenticate(token)
    if (mayEnter(claims, hub)) return claims
    throw new TokenRefused({ code: "forbidden", message: "the token does not open this hub" })
  } catch (error) {
    if (!(error instanceof TokenRefused)) throw error
    log("warn", "connection_rejected", { code: closeOf(error.code), hub, reason: error.message })
    return error
  }
}

const bearerToken = (request: Request): string | undefined =>
  /^bearer +(.+)$/i.exec(request.headers.get("Authorization") ?? "")?.[1]

const health = (request: Request): Response => {
  if (request.method !== "GET" && request.method !== "HEAD") {
    return new Response("method not allowed\n", { status: 405, headers: { Allow: "GET, HEAD" } })
  }
  const body = { status: "ok", service: "signal-hub", version: SERVER_VERSION, timestamp: Date.now() }
  return Response.json(body, { headers: { "Cache-Control": "no-store" } })
}
