/**
 * The Durable Object of a hub: a thin shell that gives `HubCore` its storage, sockets, alarm and
 * timers, and moves bytes. Holds no state of its own.
 */
import { DurableObject } from "cloudflare:workers"
import {
  type Authenticate,
  type Authentication,
  authenticationOf,
  type VerifyToken,
} from "../auth/Authentication.ts"
import type { Claims } from "../auth/Claims.ts"
import { TokenRefused } from "../auth/TokenRefused.ts"
import type { Limits } from "../protocol/Limits.ts"
import { claimsIn } from "../worker/Upgrade.ts"
import { type HubEnv, limitsOf } from "../worker/HubEnv.ts"
import { WebSocketBridge } from "../bridge/WebSocketBridge.ts"
import { durableObjectSql } from "../storage/Sql.ts"
import { migrate } from "../storage/Schema.ts"
import { HubCore } from "./HubCore.ts"
import type { HubHost } from "./HubHost.ts"
import { makeLog } from "./Log.ts"

export class SignalHub extends DurableObject<HubEnv> {
  readonly #host: HubHost
  readonly #bridge: WebSocketBridge
  #core!: HubCore

  /** `verify`: a scheme of your own for tokens, the same that the Worker has. See `makeHub`. */
  constructor(ctx: DurableObjectState, env: HubEnv, verify?: VerifyToken) {
    super(ctx, env)
    const limits = limitsOf(env)
    const log = makeLog(env.LOG_LEVEL)
    this.#bridge = new WebSocketBridge(
      ctx,
      {
        opened: (connection) => this.#core.opened(connection),
        received: (connection, envelope, receivedAt) => this.#core.received(connection, envelope, receivedAt),
        addressOf: (connection) => this.#core.addressOf(connection),
        closed: (connection, cause) => this.#core.closed(connection, cause),
        violated: (connection, code, cause) => this.#core.violated(connection, code, cause),
        failed: (error, connection) => this.#failed(error, connection.id),
      },
      limits,
    )
    const later: HubHost["later"] = (milliseconds, task) => {
      const core = this.#core
      const timer = setTimeout(() => {
        // A core that failed meanwhile has no say any more.
        if (this.#core !== core) return
        try {
          task()
        } catch (error) {
          this.#failed(error, null)
        }
        this.#bridge.flush()
      }, milliseconds)
      return () => clearTimeout(timer)
    }
    this.#host = {
      sql: durableObjectSql(ctx.storage),
      limits,
      connection: (id) => this.#bridge.connection(id),
      connections: () => this.#bridge.connections(),
      setAlarm: (at) => void (at === null ? ctx.storage.deleteAlarm() : ctx.storage.setAlarm(at)),
      later,
      authenticate: this.#authenticator(authenticationOf(env, verify), later, limits),
      name: ctx.id.name ?? "",
      soon: (task) => void later(0, task),
      now: () => Date.now(),
      log,
    }
    void ctx.blockConcurrencyWhile(async () => {
      migrate(this.#host.sql)
      this.#core = new HubCore(this.#host, await ctx.storage.getAlarm())
    })
  }

  override fetch(request: Request): Response {
    return this.#bridge.upgrade(request, this.#host.authenticate === null ? null : claimsIn(request))
  }

  override webSocketMessage(socket: WebSocket, frame: string | ArrayBuffer): void {
    this.#bridge.webSocketMessage(socket, frame)
  }

  override webSocketClose(socket: WebSocket, code: number, reason: string): void {
    this.#bridge.webSocketClose(socket, code, reason)
  }

  override webSocketError(socket: WebSocket): void {
    this.#bridge.webSocketError(socket)
  }

  override alarm(): void {
    this.#core.alarm()
    this.#bridge.flush()
  }

  /** The check of tokens, in bounded time. While it runs, its timer keeps the object from hibernating. */
  #authenticator(
    authentication: Authentication,
    later: HubHost["later"],
    { connectTimeout }: Limits,
  ): HubHost["authenticate"] {
    if (authentication.mode === "open") return null
    const unavailable = new TokenRefused({ code: "internal_error", message: "tokens can't be verified now" })
    const check: Authenticate =
      authentication.mode === "token" ? authentication.authenticate : () => Promise.reject(unavailable)
    const verify = async (token: string): Promise<Claims | TokenRefused> => {
      const late = Promise.withResolvers<TokenRefused>()
      const cancel = later(connectTimeout, () => late.resolve(unavailable))
      const checked = check(token).catch((error: TokenRefused) => error)
      return Promise.race([checked, late.promise]).finally(cancel)
    }
    return async (token, done) => {
      const core = this.#core
      const found = await verify(token)
      // A core that failed meanwhile closed the connection.
      if (this.#core === core) later(0, () => done(found))
    }
  }

  /** What memory held is in doubt after a failure: begins again from the rows, as after an eviction. */
  #failed(error: unknown, connectionId: string | null): void {
    this.#host.log("error", "internal_error", { connectionId, error: String(error) })
    this.#bridge.forgetSessions()
    this.#core = new HubCore(this.#host, null)
    this.#core.state.alarm.rearm(this.#host.now() + this.#host.limits.sweepInterval)
  }
}
