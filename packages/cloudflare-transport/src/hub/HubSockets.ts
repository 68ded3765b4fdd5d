/** The sockets of an object with clients: what hubs and gateways have in common towards the platform's WebSockets. */
import type { Authentication } from "../auth/Authentication.ts"
import { type BridgeHandler, WebSocketBridge } from "../bridge/WebSocketBridge.ts"
import type { ObjectPart, ObjectRuntime } from "../object/ObjectRuntime.ts"
import { CloseCode } from "../protocol/CloseCode.ts"
import { errorEnvelope } from "../protocol/HubEnvelope.ts"
import { provisionalAddress } from "../protocol/HubMessage.ts"
import type { Connection } from "../session/Connection.ts"
import { claimsIn } from "../bridge/Upgrade.ts"
import type { HubCore } from "./HubCore.ts"
import type { ConnectionsPort } from "./HubPort.ts"
import { tokenCheck } from "./session/TokenCheck.ts"

/** Hands the events of the sockets to the core, and sends what the core gives. */
export class HubSockets<Core extends { readonly hub: HubCore }> implements ObjectPart {
  readonly port: ConnectionsPort
  readonly #ctx: DurableObjectState
  readonly #runtime: ObjectRuntime<Core>
  readonly #bridge: WebSocketBridge

  constructor(ctx: DurableObjectState, runtime: ObjectRuntime<Core>, authentication: Authentication) {
    this.#ctx = ctx
    this.#runtime = runtime
    const bridge = (this.#bridge = new WebSocketBridge(ctx, this.#makeHandler(), runtime.port.limits))
    this.port = {
      connection: (id) => bridge.connection(id),
      connections: () => bridge.connections(),
      authenticate: tokenCheck(authentication, runtime),
    }
    runtime.attach(this)
  }

  #makeHandler(): BridgeHandler {
    const runtime = this.#runtime
    return {
      opened: (connection) => {
        if (runtime.isReadable) this.#hub.opened(connection)
        else this.#reject(connection)
      },
      received: (connection, envelope, receivedAt) => this.#hub.received(connection, envelope, receivedAt),
      addressOf: (connection) => this.#hub.addressOf(connection),
      closed: (connection, cause) => {
        if (runtime.isReadable) this.#hub.closed(connection, cause)
      },
      violated: (connection, code, cause) => this.#hub.violated(connection, code, cause),
      failed: (error, { id }) => runtime.fail(error, { connectionId: id }),
      notEncoded: (connection, envelope, error) => this.#hub.notEncoded(connection, envelope, error),
      sequences: {
        order: (connection, seq) => this.#hub.order(connection, seq),
        isSequenced: (connection) => this.#hub.isSequenced(connection),
        refuse: (connection, refusal) => this.#hub.refuse(connection, refusal),
        settle: () => this.#settle(),
      },
      storedVersion: () => runtime.storage.tables.storedVersion,
    }
  }

  get #hub(): HubCore {
    return this.#runtime.core.hub
  }

  /** True if any socket is open. A socket that was closed here has only its end to come, which finds nothing to do. */
  get isOpen(): boolean {
    return this.#bridge.isOpen
  }

  /** Answers a request for a WebSocket. */
  upgrade(request: Request): Response {
    // Before the socket is given the version of what is stored.
    void this.#runtime.isReadable
    try {
      const claims = this.port.authenticate === null ? null : claimsIn(request)
      const response = this.#bridge.upgrade(request, claims)
      if (response.status === 503) {
        const reason = `${this.#bridge.closingCount} closed connections are not closed by their clients`
        this.#runtime.port.log("warn", "connection_rejected", { code: response.status, reason })
      }
      return response
    } finally {
      this.#runtime.endEvent()
    }
  }

  /** For the object's `webSocketMessage`. */
  received(socket: WebSocket, frame: string | ArrayBuffer): void {
    if (!this.#isWokenBy(socket)) return
    try {
      this.#bridge.webSocketMessage(socket, frame)
    } finally {
      this.#runtime.endEvent()
    }
  }

  /** For the object's `webSocketClose`. */
  closed(socket: WebSocket, code: number, reason: string): void {
    this.#runtime.run(() => this.#bridge.webSocketClose(socket, code, reason))
  }

  /** For the object's `webSocketError`. */
  broken(socket: WebSocket): void {
    this.#runtime.run(() => this.#bridge.webSocketError(socket))
  }

  /**
   * Returns true if a core is there for the frame. A socket outlives an eviction, before which nothing was under way, but
   * not a crash: there is nothing to recover.
   */
  #isWokenBy(socket: WebSocket): boolean {
    const runtime = this.#runtime
    if (runtime.isRunning) return true
    const { tables } = runtime.storage
    // The frame's session is the first row that is asked for, and mostly the only one. If the socket knows that
    // the stored version is this code's, the queries for the version and for the tables are spared.
    const isOwn = this.#bridge.schemaOf(socket) === tables.storedVersion
    if (isOwn && this.#bridge.hasSession(socket)) tables.know("session")
    else if (!runtime.isReadable) return false
    runtime.begin()
    return true
  }

  /**
   * Stores what is to be stored before anything leaves. If it can't be stored, nothing may leave: the object
   * crashes, which loses this turn and its sockets, and nothing that anybody was told of.
   */
  #settle(): void {
    if (!this.#runtime.isRunning) return
    try {
      this.#hub.settle()
    } catch (error) {
      this.#runtime.port.log("error", "not_stored", { error: String(error) })
      this.#ctx.abort(`what a frame led to could not be stored: ${String(error)}`)
    }
  }

  #reject(connection: Connection): void {
    const message = "the server is being upgraded, and can't serve this yet"
    const to = provisionalAddress(connection.id)
    const now = this.#runtime.port.now()
    connection.send(errorEnvelope(connection.major, to, "internal_error", message, now, null))
    connection.close(CloseCode.Unavailable, "storage_rejected")
  }

  upgraded(): void {
    this.#bridge.restamp(this.#runtime.storage.tables.storedVersion)
  }

  /** Tells all clients to come back later, when the code that can read the storage may be deployed. */
  rejected(): void {
    for (const connection of this.#bridge.connections()) this.#reject(connection)
  }

  /** Goes on with what an earlier memory had under way, after the event that has woken the object. */
  started(): void {
    const { core, port } = this.#runtime
    port.later(0, () => core.hub.recover())
  }

  failing(): void {
    // The core that failed stores what others had of it before; otherwise it would leave without that.
    this.flush()
    // Acks wait in memory. A client that sends nothing more would wait for them for ever.
    this.#hub.state.sequences.tellOwed()
  }

  /** Starts the next core at once, because work under way is due now: its alarm goes on with that. */
  dropped(): void {
    const { limits, now } = this.#runtime.port
    const { hub } = this.#runtime.begin()
    this.#bridge.forgetSessions()
    hub.state.alarm.rearm(now() + limits.sweepInterval)
  }

  flush(): void {
    this.#bridge.flush()
  }
}
