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
import { CloseCode } from "../protocol/CloseCode.ts"
import { errorEnvelope } from "../protocol/HubEnvelope.ts"
import { provisionalAddress } from "../protocol/HubMessage.ts"
import type { Limits } from "../protocol/Limits.ts"
import type { Connection } from "../session/Connection.ts"
import { durableObjectSql } from "../object/Sql.ts"
import { RECHECK_MS, rejectionFields, StorageRejected } from "../object/StorageRejected.ts"
import { type Schema, Tables } from "../object/Tables.ts"
import type { HubEnv } from "../worker/HubEnv.ts"
import { claimsIn } from "../worker/Upgrade.ts"
import type { HubCore } from "./HubCore.ts"
import type { HubHost } from "./HubHost.ts"
import { logsDebug, makeLog } from "../object/Log.ts"
import { Timers } from "../object/Timers.ts"

/** Bytes of a blank database. */
const PAGE = 4_096

export abstract class HubShell<Core, Env extends HubEnv = HubEnv> extends DurableObject<Env> {
  protected readonly host: HubHost
  protected readonly bridge: WebSocketBridge
  #core: Core | undefined
  /** Whether it was found, and logged, that this code can't read what is stored. */
  #isRejected = false
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
        opened: (connection) =>
          this.isReadable ? this.#hub.opened(connection) : this.#refuseConnection(connection),
        received: (connection, envelope, receivedAt) => this.#hub.received(connection, envelope, receivedAt),
        addressOf: (connection) => this.#hub.addressOf(connection),
        closed: (connection, cause) => {
          if (this.isReadable) this.#hub.closed(connection, cause)
        },
        violated: (connection, code, cause) => this.#hub.violated(connection, code, cause),
        failed: (error, connection) => this.failed(error, connection.id),
        notEncoded: (connection, envelope, error) => this.#hub.notEncoded(connection, envelope, error),
        sequences: {
          order: (connection, seq) => this.#hub.order(connection, seq),
          isSequenced: (connection) => this.#hub.isSequenced(connection),
          refuse: (connection, refusal) => this.#hub.refuse(connection, refusal),
          settle: () => this.#settle(),
        },
        storedVersion: () => this.#tables.storedVersion,
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
      logsDebug: logsDebug(env.LOG_LEVEL),
    }
  }

  protected abstract start(): Core
  /** What the core's sockets and alarm are for. */
  protected abstract hubOf(core: Core): HubCore

  protected get core(): Core {
    return this.#core ?? this.#begin()
  }

  #begin(): Core {
    this.open()
    const core = (this.#core = this.start())
    // After what has woken the object, which need not wait for it.
    this.host.soon(() => this.hubOf(core).recover())
    return core
  }

  /** Whether this code can read what is stored. Asked before anything else in each event of the platform's. */
  protected get isReadable(): boolean {
    try {
      this.open()
      return true
    } catch (error) {
      if (!(error instanceof StorageRejected)) throw error
      return false
    }
  }

  /**
   * Looks what is stored, once in each life of the object, and upgrades it. Throws `StorageRejected` where this
   * code can't read it: nothing of it is read, written or deleted then.
   */
  protected open(): void {
    if (this.#core !== undefined) return
    try {
      const isUpgraded = this.#tables.open()
      if (isUpgraded) this.bridge.restamp(this.#tables.storedVersion)
    } catch (error) {
      if (error instanceof StorageRejected) this.#rejected(error)
      throw error
    }
  }

  /** Nobody is served: all who are here are told to come back, as the code that can read it may be deployed then. */
  #rejected(error: StorageRejected): void {
    if (this.#isRejected) return
    this.#isRejected = true
    this.host.log("error", "storage_rejected", { name: this.ctx.id.name, ...rejectionFields(error) })
    for (const connection of this.bridge.connections()) this.#refuseConnection(connection)
  }

  #refuseConnection(connection: Connection): void {
    const message = "the server is being upgraded, and can't serve this yet"
    const to = provisionalAddress(connection.id)
    connection.send(errorEnvelope(connection.major, to, "internal_error", message, this.host.now(), null))
    connection.close(CloseCode.Unavailable, "storage_rejected")
  }

  /** Whether nothing is stored or under way: nobody is here. */
  protected get isFresh(): boolean {
    this.open()
    return this.#tables.isEmpty() && this.isQuiet
  }

  /** Whether the database is blank: without even what the platform keeps of an alarm. */
  protected get isBlank(): boolean {
    return this.#tables.isEmpty() && this.ctx.storage.sql.databaseSize <= PAGE
  }

  /**
   * Whether nothing is under way, and no socket is open: the object may sleep for ever. Of one that is closed here
   * only its end is still to come, which finds nothing to do.
   */
  protected get isQuiet(): boolean {
    return this.#timers.isIdle && !this.bridge.isOpen
  }

  /**
   * Deletes all that is stored, the tables and the alarm too. What is only in memory stays: how much of
   * its rate an identity has spent.
   */
  protected forget(): void {
    // What newer code has stored beside it may be all that there is to lose.
    if (this.#tables.isNewer) return
    this.#hub.forget()
    void this.ctx.storage.deleteAll()
    this.#tables.forget()
  }

  get #hub(): HubCore {
    return this.hubOf(this.core)
  }

  override fetch(request: Request): Response {
    // Before the socket is given the version of what is stored.
    void this.isReadable
    try {
      const response = this.bridge.upgrade(
        request,
        this.host.authenticate === null ? null : claimsIn(request),
      )
      if (response.status === 503) {
        const reason = `${this.bridge.closingCount} closed connections are not closed by their clients`
        this.host.log("warn", "connection_rejected", { code: response.status, reason })
      }
      return response
    } finally {
      this.eventOver()
    }
  }

  /**
   * What a frame wakes. Its socket outlives a memory that was evicted, which had nothing under way, but not a
   * crash: there is nothing to recover.
   */
  #wokenByFrame(socket: WebSocket): boolean {
    if (this.#core !== undefined) return true
    // The first that it asks for, and mostly the only one: the look-up of tables is spared, and that of their
    // version, where the socket knows that it is this code's.
    const isOwn = this.bridge.schemaOf(socket) === this.#tables.storedVersion
    if (isOwn && this.bridge.hasSession(socket)) this.#tables.know("session")
    else if (!this.isReadable) return false
    this.#core = this.start()
    return true
  }

  override webSocketMessage(socket: WebSocket, frame: string | ArrayBuffer): void {
    if (!this.#wokenByFrame(socket)) return
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
    // Its deadlines are for newer code, and the alarm is gone that would have woken it for them.
    if (!this.isReadable) return void this.ctx.storage.setAlarm(Date.now() + RECHECK_MS)
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
    if (error instanceof StorageRejected) {
      this.#core = undefined
      return this.#rejected(error)
    }
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
