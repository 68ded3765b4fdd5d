/**
 * The hibernatable WebSockets of one Durable Object, as connections that speak envelopes: upgrade,
 * subprotocol, tags, the heartbeat that wakes nothing, frames to envelopes and back, the closing
 * handshake. Usable alone in any Durable Object; what the envelopes mean is its handler's.
 */
import { type Address, Envelope, PayloadValue, UndecodableFrame } from "@signal-hub/actor-core"
import { CloseCode, closeCodeToEcho } from "../protocol/CloseCode.ts"
import {
  BRIDGE_PING,
  bridgePong,
  frameBytes,
  PING,
  PONG,
  ratedBytes,
  SUBPROTOCOL_MSGPACK,
} from "../protocol/Frame.ts"
import { errorEnvelope } from "../protocol/HubEnvelope.ts"
import type { HubErrorCode } from "../protocol/HubError.ts"
import { HUB_ADDRESS } from "../protocol/HubMessage.ts"
import { DEFAULT_LIMITS, type Limits } from "../protocol/Limits.ts"
import { Backlog } from "../session/Backlog.ts"
import type { Connection } from "../session/Connection.ts"
import { NO_FLOW } from "../session/Flow.ts"
import type { Order } from "../session/InSequence.ts"
import { fullBucket, RateBucket, VALUES_A_TOKEN } from "../session/RateBucket.ts"
import { readAttachment } from "./Attachment.ts"
import { pongFor, pongForText } from "./Ping.ts"
import {
  type ConnectionEvents,
  type ConnectionContext,
  type ConnectionLimits,
  OPEN,
  SocketConnection,
} from "./SocketConnection.ts"
import { chosenSubprotocol } from "./Subprotocol.ts"
import { tooManyClosed } from "./tooManyClosed.ts"

/** Told what happens on the sockets. Called synchronously, one event at a time. */
export interface BridgeHandler {
  /** A socket was accepted. */
  readonly opened: (connection: Connection) => void
  /**
   * A well-formed envelope arrived: `from` is what the client wrote, to be enforced or ignored. On a connection
   * of protocol 0.x, which only a handler can make one, `to` may be no address.
   */
  readonly received: (connection: Connection, envelope: Envelope.Envelope, receivedAt: number) => void
  /** The address that the bridge answers a connection at, where it refuses a frame. */
  readonly addressOf: (connection: Connection) => Address.Address
  /** The socket closed or failed. May be told more than once. */
  readonly closed: (connection: Connection, cause: string) => void
  /** The handler threw. The envelope was answered `internal_error`; what memory holds is in doubt. */
  readonly failed: (error: unknown, connection: Connection) => void
  /**
   * An envelope that was in line can't be encoded and is left out, for what its encoder threw. What else is in line
   * leaves. Who sent it is to be told.
   */
  readonly notEncoded: (connection: Connection, envelope: Envelope.Envelope, error: unknown) => void
  /**
   * The bridge closes the connection after this, with the code: it sent what it may not again and again,
   * or left too much unread.
   */
  readonly violated: (connection: Connection, code: CloseCode, cause: string) => void
  /** Who minds the order of reliable envelopes; without it `seq` means nothing. */
  readonly sequences?: SequenceHandler
  /** The version of what the object stores, to be kept with each socket. */
  readonly storedVersion?: () => number
}

/** Told of reliable envelopes, before anything is done with them. */
interface SequenceHandler {
  /** An envelope of this number came: it is taken, or refused, only where it is `next`. `undefined`: it means nothing. */
  readonly order: (connection: Connection, seq: number) => Order | undefined
  /** Whether the connection's client has sent reliable envelopes. */
  readonly isSequenced: (connection: Connection) => boolean
  /** Tells the client, surely, that its reliable envelope was refused. */
  readonly refuse: (connection: Connection, refusal: Envelope.Envelope) => void
  /** An event is over: what has to be stored before what is in line leaves, is stored now. */
  readonly settle: () => void
}

export type BridgeLimits = ConnectionLimits & Pick<Limits, "maxStrikes" | "maxValues" | "maxClosedSockets">

/** So many upgrades without claims may wake an object before it counts the closed sockets of its earlier lives. */
const FEW_UPGRADES = 8

export class WebSocketBridge {
  readonly #ctx: DurableObjectState
  readonly #handler: BridgeHandler
  readonly #limits: BridgeLimits
  /** Connections that memory knows. After hibernation they are rebuilt from their attachments. */
  readonly #connections = new Map<string, SocketConnection>()
  readonly #bySocket = new WeakMap<WebSocket, SocketConnection>()
  #dirty: Array<SocketConnection> = []
  /** How many sockets are closed here and not by their clients: those of this memory, until all are counted. */
  #closing = 0
  #isCounted = false
  /** Upgrades without claims in this memory, until all closed sockets are counted. */
  #upgrades = 0
  /** What connections without identity may send together, and those that have not said `hub:connect` beside that. */
  readonly #shared: RateBucket
  readonly #context: ConnectionContext
  /** What flushes could not encode, and nobody was told of yet. */
  #notEncoded: Array<{
    readonly connection: SocketConnection
    readonly envelope: Envelope.Envelope
    readonly error: unknown
  }> = []

  constructor(ctx: DurableObjectState, handler: BridgeHandler, limits: BridgeLimits = DEFAULT_LIMITS) {
    this.#ctx = ctx
    this.#handler = handler
    this.#limits = limits
    this.#shared = new RateBucket(limits, fullBucket(limits, Date.now()))
    const backlog = new Backlog(limits, () => this.#wakeAll())
    this.#context = { ctx, limits, shared: this.#shared, backlog, on: this.#on }
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair(PING, PONG))
  }

  /**
   * Accepts a WebSocket upgrade; anything else is answered 426. `claims`, as text, is what was verified of
   * who opens it, kept for the handler until that has no more need of it. Without them it is answered 503 while
   * `maxClosedSockets` are closed here and not by their clients: the platform has no way to end those.
   */
  upgrade(request: Request, claims: string | null = null): Response {
    if (request.headers.get("Upgrade")?.toLowerCase() !== "websocket") {
      return new Response("expected a WebSocket upgrade\n", {
        status: 426,
        headers: { Upgrade: "websocket" },
      })
    }
    if (claims === null && this.#isFull()) return tooManyClosed()
    const subprotocol = chosenSubprotocol(request)
    const [client, server] = Object.values(new WebSocketPair()) as [WebSocket, WebSocket]
    const now = Date.now()
    const connection = new SocketConnection(
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
        schema: this.#handler.storedVersion?.() ?? 0,
        ...fullBucket(this.#limits, now),
        ...NO_FLOW,
      },
      this.#context,
    )
    // Tags are fixed at accept; a session is found by its connection's id.
    this.#ctx.acceptWebSocket(server, [connection.id])
    this.#track(connection)
    this.#open(connection)
    this.flush()
    const headers = new Headers()
    if (subprotocol !== undefined) headers.set("Sec-WebSocket-Protocol", subprotocol)
    return new Response(null, { status: 101, webSocket: client, headers })
  }

  /** The socket is accepted, whatever the handler does: where that fails, its client sees a close and comes back. */
  #open(connection: SocketConnection): void {
    try {
      connection.save()
      this.#handler.opened(connection)
    } catch (error) {
      connection.fail()
      this.#handler.failed(error, connection)
    }
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
    if (frame === PING) connection.pong(PONG)
    else if (frame === BRIDGE_PING) {
      if (this.#admits(connection, undefined, now)) connection.pong(bridgePong(now))
    } else this.#take(connection, frame, now)
    this.flush()
    connection.noted(now)
  }

  #take(connection: SocketConnection, frame: string | ArrayBuffer, now: number): void {
    const { maxMessageSize } = this.#limits
    const size = frameBytes(frame, maxMessageSize)
    connection.received += size
    if (!this.#admitsBytes(connection, ratedBytes(frame, maxMessageSize), now)) return
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
    try {
      this.#gone(socket, `closed ${code}`)
    } finally {
      answerClose(socket, code, reason)
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

  /** Whether any connection is open. */
  get isOpen(): boolean {
    for (const _ of this.connections()) return true
    return false
  }

  /** What is stored is of another version now: each socket is to say so when it wakes the object. */
  restamp(schema: number): void {
    for (const socket of this.#ctx.getWebSockets()) {
      const connection = this.#connectionOf(socket)
      if (connection === undefined || connection.schema === schema) continue
      connection.schema = schema
      connection.save()
    }
  }

  /** The version of what the object stored when the socket was last written down. */
  schemaOf(socket: WebSocket): number | undefined {
    return this.#connectionOf(socket)?.schema
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

  /** How many sockets are closed here while their clients have yet to answer. Looks at all sockets once in a life of the object. */
  get closingCount(): number {
    if (!this.#isCounted) {
      this.#isCounted = true
      this.#closing = 0
      for (const socket of this.#ctx.getWebSockets()) {
        if (socket.readyState === OPEN) continue
        if (this.#connectionOf(socket)?.isClosing === true) this.#closing++
      }
    }
    return this.#closing
  }

  /** Whether no more may be let in without claims. An object that few wake by an upgrade does not look for old ones. */
  #isFull(): boolean {
    const mustCount = !this.#isCounted && ++this.#upgrades > FEW_UPGRADES
    const closing = mustCount ? this.closingCount : this.#closing
    return closing >= this.#limits.maxClosedSockets
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
      for (const connection of dirty) this.#flushOne(connection)
      if (this.#notEncoded.length > 0) this.#tellNotEncoded()
    }
  }

  /** One connection's failure is its own: those behind it are flushed all the same. */
  #flushOne(connection: SocketConnection): void {
    try {
      connection.flush()
      if (connection.isLost) {
        this.#violated(connection, CloseCode.SlowConsumer, "slow_consumer")
      }
    } catch (error) {
      // What of it has left is not known: its client comes back to its session.
      connection.fail()
      this.#handler.failed(error, connection)
    }
  }

  #tellNotEncoded(): void {
    for (const { connection, envelope, error } of this.#notEncoded.splice(0)) {
      this.#handler.notEncoded(connection, envelope, error)
    }
    // What their senders are told is stored before it leaves, as all else.
    this.#handler.sequences?.settle()
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
    const { maxValues } = this.#limits
    let values: ReadonlyArray<unknown>
    try {
      // Each value takes a byte at least.
      if (frame.length >= maxValues && !this.#holdsFew(connection, frame, maxValues, now)) return
      values = connection.codec.decode(frame)
    } catch (error) {
      if (!(error instanceof UndecodableFrame)) throw error
      if (!this.#admits(connection, undefined, now)) return
      const pong = pongForText(frame, now)
      if (pong !== undefined) return connection.pong(pong)
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
      if (envelope instanceof Envelope.Malformed) {
        const pong = pongFor(value, now)
        if (pong !== undefined) {
          connection.pong(pong)
          continue
        }
        const misaddressed = connection.major === 0 ? misaddressedFrom(value) : undefined
        if (misaddressed !== undefined) this.#receive(connection, misaddressed, now)
        else this.#strike(connection, envelope.reason, order, envelope.id, now)
      } else {
        // What holds so many values has as many bytes.
        if (frame.length >= VALUES_A_TOKEN) connection.rate.charge(costOf(envelope))
        this.#receive(connection, envelope, now)
      }
    }
  }

  /** Whether the frame, which is not decoded yet, holds at most so many values. One that holds more is refused. */
  #holdsFew(
    connection: SocketConnection,
    frame: string | Uint8Array,
    maxValues: number,
    now: number,
  ): boolean {
    const { values, depth } = connection.codec.measure(frame)
    if (values <= maxValues) return true
    if (depth > PayloadValue.MAX_DEPTH) {
      throw new UndecodableFrame({
        message: `an envelope is nested deeper than ${PayloadValue.MAX_DEPTH} levels`,
      })
    }
    if (!this.#admits(connection, undefined, now)) return false
    const size = frameBytes(frame, this.#limits.maxMessageSize)
    const message = `the frame holds ${values} values; at most ${maxValues} are taken`
    const sizes = { messageSize: size, actualSize: size, maxSize: this.#limits.maxMessageSize }
    this.#refuse(connection, "message_too_large", message, undefined, null, now, {
      ...sizes,
      values,
      maxValues,
    })
    return false
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
    const early = isEarly(connection, value)
    if (connection.rate.take() && (!early || this.#takeShared(now))) return order !== "repeat"
    const { retryAfterMs, tooMany } = connection.refuse(now, early ? this.#shared : undefined)
    const limit = connection.rate.rates.maxEnvelopesPerSecond
    const message = `more than ${limit} envelopes a second`
    const details = rateDetails(retryAfterMs, limit)
    if (order !== "repeat")
      this.#refuse(connection, "rate_limited", message, order, Envelope.idOf(value), now, details)
    if (tooMany) this.#violated(connection, CloseCode.RateLimited, "rate_limited")
    return false
  }

  /**
   * Whether a frame is within the bytes that its connection may send. Asked before it is decoded. It may have
   * held reliable envelopes, after which nothing can come: on a sequenced connection it is the last.
   */
  #admitsBytes(connection: SocketConnection, size: number, now: number): boolean {
    const isOdd = size > MAX_CONNECT_BYTES && isEarly(connection, undefined)
    if (connection.rate.takeBytes(size) && (!isOdd || this.#takeSharedBytes(size, now))) return true
    const { retryAfterMs, tooMany } = connection.refuseBytes(size, now, isOdd ? this.#shared : undefined)
    const limit = connection.rate.rates.maxBytesPerSecond
    const message = `more than ${limit} bytes a second`
    const details = { ...rateDetails(retryAfterMs, limit), unit: "bytes" }
    this.#refuse(connection, "rate_limited", message, undefined, null, now, details)
    if (tooMany || this.#handler.sequences?.isSequenced(connection) === true)
      this.#violated(connection, CloseCode.RateLimited, "rate_limited")
    return false
  }

  #takeShared(now: number): boolean {
    this.#shared.refill(now)
    return this.#shared.take()
  }

  #takeSharedBytes(size: number, now: number): boolean {
    this.#shared.refill(now)
    return this.#shared.takeBytes(size)
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
    connection.flow.end()
    if (connection.isClosing) this.#closing = Math.max(0, this.#closing - 1)
    this.#handler.closed(connection, cause)
    this.flush()
  }

  #connectionOf(socket: WebSocket): SocketConnection | undefined {
    const known = this.#bySocket.get(socket)
    if (known !== undefined) return known
    const attachment = readAttachment(socket)
    return attachment === undefined
      ? undefined
      : this.#track(new SocketConnection(socket, attachment, this.#context))
  }

  #wakeAll(): void {
    for (const socket of this.#ctx.getWebSockets()) this.#connectionOf(socket)
  }

  #track(connection: SocketConnection): SocketConnection {
    this.#connections.set(connection.id, connection)
    this.#bySocket.set(connection.socket, connection)
    return connection
  }

  readonly #on: ConnectionEvents = {
    dirty: (connection) => void this.#dirty.push(connection),
    notEncoded: (connection, envelope, error) => void this.#notEncoded.push({ connection, envelope, error }),
    addressOf: (connection) => this.#handler.addressOf(connection),
    closing: () => void this.#closing++,
  }
}

/** Values of an envelope that are neither in its payload nor in its metadata. */
const ENVELOPE_VALUES = 10

/** What an envelope costs beside the one that each costs. */
const costOf = ({ payload, metadata }: Envelope.Envelope): number =>
  Math.floor(
    (ENVELOPE_VALUES + PayloadValue.valuesIn(payload) + PayloadValue.valuesIn(metadata)) / VALUES_A_TOKEN,
  )

/** Bytes that a frame with a `hub:connect` stays below. */
const MAX_CONNECT_BYTES = 16_384

/**
 * Whether this comes before any `hub:connect`, and is none: nobody needs it, and a new socket costs its opener
 * little. So it counts against all such sockets together.
 */
const isEarly = ({ claims, parked, state }: Connection, value: unknown): boolean =>
  state === "connecting" &&
  claims === null &&
  parked === null &&
  (typeof value !== "object" || value === null || !("type" in value) || value.type !== "hub:connect")

/** The envelope that the value is but for its `to`, a text that is no address and stays as it is. */
const misaddressedFrom = (value: unknown): Envelope.Envelope | undefined => {
  const { to } = (typeof value === "object" && value !== null ? value : {}) as { readonly to?: unknown }
  if (typeof to !== "string") return undefined
  const envelope = Envelope.check({ ...(value as object), to: HUB_ADDRESS })
  return envelope instanceof Envelope.Malformed ? undefined : { ...envelope, to: to as Address.Address }
}

const answerClose = (socket: WebSocket, code: number, reason: string): void => {
  try {
    socket.close(closeCodeToEcho(code), reason)
  } catch {
    // The runtime answered the close already.
  }
}

/** Both in milliseconds. */
const rateDetails = (retryAfterMs: number, limit: number) => ({
  retryAfter: retryAfterMs,
  retryAfterMs,
  limit,
})

const isUsable = (connection: SocketConnection): boolean =>
  connection.socket.readyState === OPEN &&
  connection.state !== "disconnecting" &&
  connection.state !== "disconnected"
