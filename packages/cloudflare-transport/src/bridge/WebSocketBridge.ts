/**
 * The hibernatable WebSockets of one Durable Object, as connections that speak envelopes: upgrade,
 * subprotocol, tags, the heartbeat that wakes nothing, frames to envelopes and back, the closing
 * handshake. Usable alone in any Durable Object; what the envelopes mean is its handler's.
 */
import { type Address, Envelope, UndecodableFrame } from "@signal-hub/actor-core"
import { CloseCode, closeCodeToEcho } from "../protocol/CloseCode.ts"
import { BRIDGE_PING, bridgePong, frameBytes, PING, PONG, SUBPROTOCOL_MSGPACK } from "../protocol/Frame.ts"
import { errorEnvelope } from "../protocol/HubEnvelope.ts"
import type { HubErrorCode } from "../protocol/HubError.ts"
import { DEFAULT_LIMITS, type Limits } from "../protocol/Limits.ts"
import type { Connection } from "../session/Connection.ts"
import { NO_FLOW } from "../session/Flow.ts"
import type { Order } from "../session/InSequence.ts"
import { fullBucket } from "../session/RateBucket.ts"
import { readAttachment } from "./Attachment.ts"
import { type ConnectionLimits, SocketConnection } from "./SocketConnection.ts"
import { chosenSubprotocol } from "./Subprotocol.ts"

/** Told what happens on the sockets. Called synchronously, one event at a time. */
export interface BridgeHandler {
  /** A socket was accepted. */
  readonly opened: (connection: Connection) => void
  /** A well-formed envelope arrived: `from` is what the client wrote, to be enforced or ignored. */
  readonly received: (connection: Connection, envelope: Envelope.Envelope, receivedAt: number) => void
  /** The address that the bridge answers a connection at, where it refuses a frame. */
  readonly addressOf: (connection: Connection) => Address.Address
  /** The socket closed or failed. May be told more than once. */
  readonly closed: (connection: Connection, cause: string) => void
  /** The handler threw. The envelope was answered `internal_error`; what memory holds is in doubt. */
  readonly failed: (error: unknown, connection: Connection) => void
  /**
   * The bridge closes the connection after this, with the code: it sent what it may not again and again,
   * or left too much unread.
   */
  readonly violated: (connection: Connection, code: CloseCode, cause: string) => void
  /** Who minds the order of reliable envelopes; without it `seq` means nothing. */
  readonly sequences?: SequenceHandler
}

/** Told of reliable envelopes, before anything is done with them. */
export interface SequenceHandler {
  /** An envelope of this number came: it is taken, or refused, only where it is `next`. `undefined`: it means nothing. */
  readonly order: (connection: Connection, seq: number) => Order | undefined
  /** Whether the connection's client has sent reliable envelopes. */
  readonly isSequenced: (connection: Connection) => boolean
  /** Tells the client, surely, that its reliable envelope was refused. */
  readonly refuse: (connection: Connection, refusal: Envelope.Envelope) => void
  /** An event is over: what has to be stored before what is in line leaves, is stored now. */
  readonly settle: () => void
}

export type BridgeLimits = ConnectionLimits & Pick<Limits, "maxStrikes">

export class WebSocketBridge {
  readonly #ctx: DurableObjectState
  readonly #handler: BridgeHandler
  readonly #limits: BridgeLimits
  /** Connections that memory knows. After hibernation they are rebuilt from their attachments. */
  readonly #connections = new Map<string, SocketConnection>()
  readonly #bySocket = new WeakMap<WebSocket, SocketConnection>()
  #dirty: Array<SocketConnection> = []

  constructor(ctx: DurableObjectState, handler: BridgeHandler, limits: BridgeLimits = DEFAULT_LIMITS) {
    this.#ctx = ctx
    this.#handler = handler
    this.#limits = limits
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair(PING, PONG))
  }

  /**
   * Accepts a WebSocket upgrade; anything else is answered 426. `claims`, as text, is what was verified of
   * who opens it, kept for the handler until that has no more need of it.
   */
  upgrade(request: Request, claims: string | null = null): Response {
    if (request.headers.get("Upgrade")?.toLowerCase() !== "websocket") {
      return new Response("expected a WebSocket upgrade\n", {
        status: 426,
        headers: { Upgrade: "websocket" },
      })
    }
    const subprotocol = chosenSubprotocol(request)
    const [client, server] = Object.values(new WebSocketPair()) as [WebSocket, WebSocket]
    const now = Date.now()
    const connection = this.#track(
      new SocketConnection(
        server,
        {
          id: crypto.randomUUID(),
          codec: subprotocol === SUBPROTOCOL_MSGPACK ? "msgpack" : "json",
          openedAt: now,
          state: "connecting",
          sessionId: null,
          major: null,
          strikes: 0,
          failures: 0,
          heardAt: now,
          claims,
          received: 0,
          ...fullBucket(this.#limits, now),
          ...NO_FLOW,
        },
        this.#ctx,
        this.#limits,
        this.#markDirty,
      ),
    )
    // Tags are fixed at accept; a session is found by its connection's id.
    this.#ctx.acceptWebSocket(server, [connection.id])
    connection.save()
    this.#handler.opened(connection)
    this.flush()
    const headers = new Headers()
    if (subprotocol !== undefined) headers.set("Sec-WebSocket-Protocol", subprotocol)
    return new Response(null, { status: 101, webSocket: client, headers })
  }

  /** A frame arrived. Call it from the object's `webSocketMessage`. */
  webSocketMessage(socket: WebSocket, frame: string | ArrayBuffer): void {
    const now = Date.now()
    const connection = this.#connectionOf(socket)
    if (
      connection === undefined ||
      connection.state === "disconnecting" ||
      connection.state === "disconnected"
    )
      return
    connection.heard(now)
    if (frame === PING) socket.send(PONG)
    else if (frame === BRIDGE_PING) {
      if (this.#admits(connection, undefined, now)) socket.send(bridgePong(now))
    } else this.#take(connection, frame, now)
    this.flush()
    connection.noted(now)
  }

  #take(connection: SocketConnection, frame: string | ArrayBuffer, now: number): void {
    const { maxMessageSize } = this.#limits
    const size = frameBytes(frame, maxMessageSize)
    connection.received += size
    if (size <= maxMessageSize) {
      this.#read(connection, typeof frame === "string" ? frame : new Uint8Array(frame), now)
    } else if (this.#admits(connection, undefined, now)) {
      const message = `the frame has ${size} bytes; at most ${maxMessageSize} are taken`
      const sizes = { messageSize: size, actualSize: size, maxSize: maxMessageSize }
      this.#refuse(connection, "message_too_large", message, undefined, null, now, sizes)
    }
  }

  /** A socket closed. Call it from the object's `webSocketClose`. */
  webSocketClose(socket: WebSocket, code: number, reason: string): void {
    this.#gone(socket, `closed ${code}`)
    try {
      socket.close(closeCodeToEcho(code), reason)
    } catch {
      // The runtime answered the close already.
    }
  }

  /** A socket failed. Call it from the object's `webSocketError`. */
  webSocketError(socket: WebSocket): void {
    this.#gone(socket, "socket error")
  }

  /** The open connection of this id. */
  connection(id: string): Connection | undefined {
    const known = this.#connections.get(id)
    if (known !== undefined) return isUsable(known) ? known : undefined
    for (const socket of this.#ctx.getWebSockets(id)) {
      const connection = this.#connectionOf(socket)
      if (connection !== undefined && isUsable(connection)) return connection
    }
    return undefined
  }

  /** The open connections. */
  *connections(): Generator<Connection> {
    for (const socket of this.#ctx.getWebSockets()) {
      const connection = this.#connectionOf(socket)
      if (connection !== undefined && isUsable(connection)) yield connection
    }
  }

  /** Whether any socket is there still, one that is closing included. */
  get hasSockets(): boolean {
    return this.#ctx.getWebSockets().some((socket) => {
      const connection = this.#connectionOf(socket)
      return connection !== undefined && this.#connections.has(connection.id)
    })
  }

  /** Whether the socket carries a session, or did when it was last written down. */
  hasSession(socket: WebSocket): boolean {
    return typeof this.#connectionOf(socket)?.sessionId === "string"
  }

  /** How many connections are open. */
  get connectionCount(): number {
    let count = 0
    for (const _ of this.connections()) count++
    return count
  }

  /** Sends the envelope to every open connection, but to `except`. */
  broadcast(envelope: Envelope.Envelope, except?: Connection): void {
    for (const connection of this.connections()) if (connection !== except) connection.send(envelope)
    this.flush()
  }

  /** Sends what is in line on any connection. The bridge does so itself after each event. */
  flush(): void {
    this.#handler.sequences?.settle()
    while (this.#dirty.length > 0) {
      const dirty = this.#dirty
      this.#dirty = []
      for (const connection of dirty) {
        connection.flush()
        if (connection.flow.isLost && connection.major === 1 && connection.state === "connected") {
          this.#violated(connection, CloseCode.SlowConsumer, "slow_consumer")
        }
      }
    }
  }

  /** Forgets which session a connection has: it is looked up again by the attachment's id. */
  forgetSessions(): void {
    for (const connection of this.#connections.values()) {
      connection.session = undefined
      // What waited is lost with the memory that held it: its sender must not wait for answers.
      if (connection.parked !== null || connection.replies !== null)
        connection.close(CloseCode.InternalError, "internal_error")
    }
  }

  #read(connection: SocketConnection, frame: string | Uint8Array, now: number): void {
    let values: ReadonlyArray<unknown>
    try {
      values = connection.codec.decode(frame)
    } catch (error) {
      if (!(error instanceof UndecodableFrame)) throw error
      if (!this.#admits(connection, undefined, now)) return
      this.#strike(connection, error.message, undefined, null, now)
      // What it held may have been numbered: nothing can come after it.
      if (this.#handler.sequences?.isSequenced(connection) === true)
        this.#violated(connection, CloseCode.ProtocolViolation, "invalid_message")
      return
    }
    for (const value of values) {
      if (connection.state === "disconnecting" || connection.state === "disconnected") return
      const order = this.#orderOf(connection, value)
      if (order === "gap") return this.#violated(connection, CloseCode.SequenceGap, "sequence_gap")
      if (!this.#admits(connection, value, now, order)) continue
      const envelope = Envelope.check(value)
      if (envelope instanceof Envelope.Malformed)
        this.#strike(connection, envelope.reason, order, envelope.id, now)
      else this.#receive(connection, envelope, now)
    }
  }

  #receive(connection: SocketConnection, envelope: Envelope.Envelope, now: number): void {
    if (connection.strikes > 0) {
      connection.strikes = 0
      connection.save()
    }
    try {
      this.#handler.received(connection, envelope, now)
    } catch (error) {
      const order = envelope.seq === undefined ? undefined : "next"
      this.#refuse(connection, "internal_error", "the hub failed on this message", order, envelope.id, now)
      this.#handler.failed(error, connection)
    }
  }

  /** Where the value stands among the reliable envelopes of its connection; `undefined`: it is none. */
  #orderOf(connection: Connection, value: unknown): Order | undefined {
    const seq = Envelope.seqOf(value)
    return seq === undefined ? undefined : this.#handler.sequences?.order(connection, seq)
  }

  /**
   * Whether this, an envelope or what should be one, is within what its connection may send. Asked before
   * anything is done with it. Who goes on regardless is closed.
   */
  #admits(connection: SocketConnection, value: unknown, now: number, order?: Order): boolean {
    // What was taken before is dropped, but not for nothing.
    if (connection.rate.take()) return order !== "repeat"
    const { retryAfterMs, tooMany } = connection.rate.refuse(now)
    const limit = this.#limits.maxEnvelopesPerSecond
    const message = `more than ${limit} envelopes a second`
    const details = { retryAfter: retryAfterMs, retryAfterMs, limit }
    if (order !== "repeat")
      this.#refuse(connection, "rate_limited", message, order, Envelope.idOf(value), now, details)
    if (tooMany) this.#violated(connection, CloseCode.RateLimited, "rate_limited")
    return false
  }

  #violated(connection: SocketConnection, code: CloseCode, cause: string): void {
    this.#handler.violated(connection, code, cause)
    connection.close(code, cause)
  }

  /** What is no envelope is told so; too many in a row close the connection. */
  #strike(
    connection: SocketConnection,
    reason: string,
    order: Order | undefined,
    id: string | null,
    now: number,
  ): void {
    this.#refuse(connection, "invalid_message", reason, order, id, now)
    connection.strikes++
    connection.save()
    if (connection.strikes < this.#limits.maxStrikes) return
    this.#violated(connection, CloseCode.ProtocolViolation, "invalid_message")
  }

  #refuse(
    connection: SocketConnection,
    code: HubErrorCode,
    message: string,
    order: Order | undefined,
    id: string | null,
    now: number,
    details?: { readonly [key: string]: unknown },
  ): void {
    const { addressOf, sequences } = this.#handler
    const refusal = errorEnvelope(connection.major, addressOf(connection), code, message, now, id, details)
    if (order === undefined || sequences === undefined) connection.send(refusal)
    else sequences.refuse(connection, refusal)
  }

  /** The one clean-up of a socket that is gone. */
  #gone(socket: WebSocket, cause: string): void {
    const connection = this.#connectionOf(socket)
    if (connection === undefined || !this.#connections.delete(connection.id)) return
    this.#handler.closed(connection, cause)
    this.flush()
  }

  #connectionOf(socket: WebSocket): SocketConnection | undefined {
    const known = this.#bySocket.get(socket)
    if (known !== undefined) return known
    const attachment = readAttachment(socket)
    return attachment === undefined
      ? undefined
      : this.#track(new SocketConnection(socket, attachment, this.#ctx, this.#limits, this.#markDirty))
  }

  #track(connection: SocketConnection): SocketConnection {
    this.#connections.set(connection.id, connection)
    this.#bySocket.set(connection.socket, connection)
    return connection
  }

  readonly #markDirty = (connection: SocketConnection): void => {
    this.#dirty.push(connection)
  }
}

const isUsable = (connection: SocketConnection): boolean =>
  connection.socket.readyState === 1 &&
  connection.state !== "disconnecting" &&
  connection.state !== "disconnected"
