/**
 * What the Durable Objects of hubs and gateways are alike in: a thin shell that gives a core its storage,
 * sockets, alarm and timers, and moves bytes. Holds no state of its own.
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
import { WebSocketBridge } from "../bridge/WebSocketBridge.ts"
import type { Limits } from "../protocol/Limits.ts"
import { durableObjectSql } from "../storage/Sql.ts"
import { type Schema, Tables } from "../storage/Tables.ts"
import type { HubEnv } from "../worker/HubEnv.ts"
import { claimsIn } from "../worker/Upgrade.ts"
import type { HubCore } from "./HubCore.ts"
import type { HubHost } from "./HubHost.ts"
import { makeLog } from "./Log.ts"
import { Timers } from "./Timers.ts"

/** Bytes of a blank database. */
const PAGE = 4_096

export abstract class HubShell<Core, Env extends HubEnv = HubEnv> extends DurableObject<Env> {
  protected readonly host: HubHost
  protected readonly bridge: WebSocketBridge
  #core: Core | undefined
  readonly #tables: Tables
  readonly #timers: Timers

  constructor(
    ctx: DurableObjectState,
    env: Env,
    options: {
      readonly verify: VerifyToken | undefined
      readonly limits: Limits
      readonly schema: Schema
      /** The hub's name, as tokens know it. */
      readonly name: string
    },
  ) {
    super(ctx, env)
    const { limits, name, schema } = options
    this.#tables = new Tables(durableObjectSql(ctx.storage), schema)
    this.bridge = new WebSocketBridge(
      ctx,
      {
        opened: (connection) => this.#hub.opened(connection),
        received: (connection, envelope, receivedAt) => this.#hub.received(connection, envelope, receivedAt),
        addressOf: (connection) => this.#hub.addressOf(connection),
        closed: (connection, cause) => this.#hub.closed(connection, cause),
        violated: (connection, code, cause) => this.#hub.violated(connection, code, cause),
        failed: (error, connection) => this.failed(error, connection.id),
        sequences: {
          order: (connection, seq) => this.#hub.order(connection, seq),
          isSequenced: (connection) => this.#hub.isSequenced(connection),
          refuse: (connection, refusal) => this.#hub.refuse(connection, refusal),
          settle: () => this.#settle(),
        },
      },
      limits,
    )
    this.#timers = new Timers((task) => this.run(task))
    const later: HubHost["later"] = (milliseconds, task) => {
      const core = this.#core
      return this.#timers.later(milliseconds, () => {
        // A core that failed meanwhile has no say any more.
        if (this.#core === core) task()
      })
    }
    this.host = {
      sql: this.#tables,
      limits,
      connection: (id) => this.bridge.connection(id),
      connections: () => this.bridge.connections(),
      // Where storage is SQLite it is known at once: what follows is stored with the turn's other writes.
      armedAt: async (done) => {
        const core = this.#core
        const at = await ctx.storage.getAlarm()
        // A core that failed meanwhile has no say any more.
        if (this.#core === core) done(at)
      },
      setAlarm: (at) => void (at === null ? ctx.storage.deleteAlarm() : ctx.storage.setAlarm(at)),
      later,
      authenticate: this.#authenticator(authenticationOf(env, options.verify), later, limits),
      name,
      soon: (task) => void later(0, task),
      now: () => Date.now(),
      log: makeLog(env.LOG_LEVEL),
    }
  }

  protected abstract start(): Core
  /** What the core's sockets and alarm are for. */
  protected abstract hubOf(core: Core): HubCore

  protected get core(): Core {
    return this.#core ?? this.#begin()
  }

  #begin(): Core {
    const core = (this.#core = this.start())
    // After what has woken the object, which need not wait for it.
    this.host.soon(() => this.hubOf(core).recover())
    return core
  }

  /** Whether nothing is stored or under way: nobody is here. */
  protected get isFresh(): boolean {
    return this.#tables.isEmpty() && this.isQuiet
  }

  /** Whether the database is blank: without even what the platform keeps of an alarm. */
  protected get isBlank(): boolean {
    return this.#tables.isEmpty() && this.ctx.storage.sql.databaseSize <= PAGE
  }

  /** Whether nothing is under way, and no socket is there: the object may sleep for ever. */
  protected get isQuiet(): boolean {
    return this.#timers.isIdle && !this.bridge.hasSockets
  }

  /**
   * Deletes all that is stored, the tables and the alarm too. What is only in memory stays: how much of
   * its rate an identity has spent.
   */
  protected forget(): void {
    this.#hub.forget()
    void this.ctx.storage.deleteAll()
    this.#tables.forget()
  }

  get #hub(): HubCore {
    return this.hubOf(this.core)
  }

  override fetch(request: Request): Response {
    try {
      return this.bridge.upgrade(request, this.host.authenticate === null ? null : claimsIn(request))
    } finally {
      this.eventOver()
    }
  }

  /**
   * What a frame wakes. Its socket outlives a memory that was evicted, which had nothing under way, but not a
   * crash: there is nothing to recover.
   */
  #wokenByFrame(socket: WebSocket): void {
    if (this.#core !== undefined) return
    // The first that it asks for, and mostly the only one: the look-up of tables is spared.
    if (this.bridge.hasSession(socket)) this.#tables.know("session")
    this.#core = this.start()
  }

  override webSocketMessage(socket: WebSocket, frame: string | ArrayBuffer): void {
    this.#wokenByFrame(socket)
    try {
      this.bridge.webSocketMessage(socket, frame)
    } finally {
      this.eventOver()
    }
  }

  override webSocketClose(socket: WebSocket, code: number, reason: string): void {
    this.run(() => this.bridge.webSocketClose(socket, code, reason))
  }

  override webSocketError(socket: WebSocket): void {
    this.run(() => this.bridge.webSocketError(socket))
  }

  override alarm(): void {
    this.run(() => this.#hub.alarm())
  }

  /**
   * Stores what is to be stored before anything leaves. What can't be must not leave either: the object
   * crashes, which loses this turn and its sockets, and nothing that anybody was told of.
   */
  #settle(): void {
    if (this.#core === undefined) return
    try {
      this.#hub.settle()
    } catch (error) {
      this.host.log("error", "not_stored", { error: String(error) })
      this.ctx.abort(`what a frame led to could not be stored: ${String(error)}`)
    }
  }

  /** Runs a task of the core's, then sends what it gave. */
  protected run(task: () => void): void {
    try {
      task()
    } catch (error) {
      this.failed(error, null)
    }
    this.bridge.flush()
    this.eventOver()
  }

  /** An event was taken whole, and what it gave is on its way. */
  protected eventOver(): void {}

  /** What memory held is in doubt after a failure: begins again from the rows, as after an eviction. */
  protected failed(error: unknown, connectionId: string | null): void {
    this.host.log("error", "internal_error", { connectionId, error: String(error) })
    // What others had of it before is stored by the core that gave it, or would leave without that.
    this.bridge.flush()
    // Receipts wait in memory: who sends nothing more would wait for them for ever.
    this.#hub.state.sequences.tellOwed()
    this.bridge.forgetSessions()
    // What was under way is due at once: the alarm has it go on.
    this.#core = this.start()
    this.#hub.state.alarm.rearm(this.host.now() + this.host.limits.sweepInterval)
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
}
