/** A connection on a hibernatable WebSocket: its fields live in the socket's attachment. */
import { type Address, type Codec, Envelope, JsonCodec, TransportError } from "@signal-hub/actor-core"
import { MsgPackCodec } from "@signal-hub/actor-core/codec/msgpack"
import { CloseCode, closeViolation } from "../protocol/CloseCode.ts"
import { frameBytes } from "../protocol/Frame.ts"
import { hubEnvelope } from "../protocol/HubEnvelope.ts"
import { newNonce } from "../protocol/Nonce.ts"
import type { ProtocolMajor } from "../protocol/Version.ts"
import type { Backlog, BacklogLimits } from "../session/Backlog.ts"
import type { Connection } from "../session/Connection.ts"
import type { ConnectionState } from "../session/ConnectionState.ts"
import { Flow, type FlowLimits } from "../session/Flow.ts"
import { type Encoded, frameOf, framesOf, type NotEncoded } from "../session/OutgoingFrames.ts"
import { RateBucket, type RateLimits, type RateRefusal } from "../session/RateBucket.ts"
import type { Session } from "../session/Session.ts"
import type { Attachment } from "./Attachment.ts"
import { elapsedSince } from "../protocol/WallTime.ts"

/** `readyState` of an open WebSocket. */
export const OPEN = 1

/**
 * Counters are written down once in each life of the object; then where a frame came in so many milliseconds
 * later, and where they have moved by this part of their limits. An attachment costs more than a message.
 * What is forgotten of bytes is made good by the next `hub:ack`.
 */
const RATE_DRIFT = 1 / 8
const NOTE_EVERY = 1_000

/** The bridge of a connection, as that sees it: told what it has to know, and asked. */
export interface ConnectionEvents {
  /** There is something to flush, and was not before. */
  readonly dirty: (connection: SocketConnection) => void
  /** An envelope that was in line can't be encoded, for what its encoder threw: it is left out. */
  readonly notEncoded: (connection: SocketConnection, envelope: Envelope.Envelope, error: unknown) => void
  /** The socket was closed from our side: its client has yet to answer. */
  readonly closing: () => void
  /** Gives the address that the connection's client is known by. */
  readonly addressOf: (connection: Connection) => Address.Address
}

/** The parts that all connections of one bridge share. */
export interface ConnectionContext {
  readonly ctx: DurableObjectState
  readonly limits: ConnectionLimits
  /** The bucket of all that are anonymous. */
  readonly shared: RateBucket
  /** The bytes that wait for all slow readers. */
  readonly backlog: Backlog
  readonly on: ConnectionEvents
}

const NO_POSITIONS: Connection["positions"] = { count: 0, addresses: [] }

export type ConnectionLimits = RateLimits & FlowLimits & BacklogLimits

export class SocketConnection implements Connection {
  readonly id: string
  readonly codec: Codec
  readonly openedAt: number
  readonly socket: WebSocket
  readonly outgoing: Array<Envelope.Envelope> = []
  state: ConnectionState
  sessionId: string | null
  session: Session | undefined
  major: ProtocolMajor | null
  strikes: number
  failures: number
  heardAt: number
  claims: string | null
  received: number
  schema: number
  frame: string | Uint8Array | undefined
  /** Whether it was closed from our side, and its client has yet to answer. */
  isClosing: boolean
  isAnonymous: boolean
  positions: Connection["positions"]
  readonly #own: RateBucket
  readonly #shared: RateBucket
  readonly flow: Flow
  parked: Connection["parked"] = null
  replies: Connection["replies"] = null
  readonly #ctx: DurableObjectState
  readonly #on: ConnectionEvents
  /** The attachment as it was found. */
  readonly #kept: Omit<Attachment, "isAnonymous" | "positions">
  readonly #limits: ConnectionLimits
  /** When this life of the object last wrote the attachment, and its counters as they are there. */
  #savedAt = 0
  #savedTokenPart: number
  #savedBytePart: number
  #savedBytes: number
  /** Of what is in line: at the index of an envelope its frame, where it was encoded already. */
  #encoded: Array<Encoded | undefined> = []
  readonly #notEncoded: NotEncoded

  constructor(
    socket: WebSocket,
    attachment: Attachment,
    { backlog, ctx, limits, on, shared }: ConnectionContext,
  ) {
    const { isAnonymous = false, positions = NO_POSITIONS, ...kept } = attachment
    this.#kept = kept
    this.socket = socket
    this.#limits = limits
    this.#ctx = ctx
    this.#on = on
    this.#notEncoded = (envelope, error) => on.notEncoded(this, envelope, error)
    this.id = attachment.id
    this.codec = attachment.codec === "msgpack" ? MsgPackCodec : JsonCodec
    this.openedAt = attachment.openedAt
    this.state = attachment.state
    this.sessionId = attachment.sessionId
    this.major = attachment.major
    this.strikes = attachment.strikes
    this.failures = attachment.failures
    this.heardAt = attachment.heardAt
    this.claims = attachment.claims
    this.received = attachment.received
    this.schema = attachment.schema
    this.isClosing = this.state === "disconnecting" || this.state === "disconnected"
    this.isAnonymous = isAnonymous
    this.positions = positions
    this.#own = new RateBucket(limits, attachment)
    this.#shared = shared
    if (this.isAnonymous) shared.inherit(new RateBucket(limits, attachment), Date.now())
    this.flow = new Flow(limits, attachment, backlog)
    this.#savedTokenPart = this.rate.tokenPart
    this.#savedBytePart = this.rate.bytePart
    this.#savedBytes = attachment.sent
  }

  get rate(): RateBucket {
    return this.isAnonymous ? this.#shared : this.#own
  }

  /**
   * One envelope was refused for its rate, or for that of another bucket which it counts against too. Refusals
   * count against the connection alone.
   */
  refuse(now: number, other: RateBucket = this.rate): RateRefusal {
    const emptier = other.tokens < this.rate.tokens ? other : this.rate
    return emptier.refuse(now, this.#own)
  }

  /** A frame of so many bytes was. */
  refuseBytes(size: number, now: number, other: RateBucket = this.rate): RateRefusal {
    const emptier = other.bytes < this.rate.bytes ? other : this.rate
    return emptier.refuseBytes(size, now, this.#own)
  }

  /** A frame arrived. */
  heard(now: number): void {
    this.heardAt = now
    if (this.major !== 1) this.flow.heard()
    this.rate.refill(now)
  }

  /** A frame was worked on: what changed by it is written down, if that is due. */
  noted(now: number): void {
    const drift = Math.max(
      Math.abs(this.rate.tokenPart - this.#savedTokenPart),
      Math.abs(this.rate.bytePart - this.#savedBytePart),
    )
    if (elapsedSince(this.#savedAt, now) >= NOTE_EVERY || drift > RATE_DRIFT) this.save()
  }

  /** Whether its reader is so far behind that it must end. */
  get isLost(): boolean {
    if (!this.flow.isLost || this.state !== "connected") return false
    if (this.major !== 1) this.flow.look(this.pingedAt())
    return this.flow.isLost
  }

  pingedAt(): number {
    return this.#ctx.getWebSocketAutoResponseTimestamp(this.socket)?.getTime() ?? 0
  }

  send(envelope: Envelope.Envelope, encoded?: Encoded): void {
    if (this.outgoing.length === 0) this.#on.dirty(this)
    this.frame = undefined
    if (encoded !== undefined) this.#encoded[this.outgoing.length] = encoded
    this.outgoing.push(envelope)
  }

  /**
   * Sends what is in line, in one frame where the receiver understands batches. What can't be sent as
   * the socket closed meanwhile is lost with it, like what was under way.
   */
  flush(maxFrameBytes: number = this.#limits.maxMessageSize): void {
    const { outgoing } = this
    if (outgoing.length === 0) return
    const { frame } = this
    const encoded = this.#encoded
    this.frame = undefined
    if (encoded.length > 0) this.#encoded = []
    if (frame !== undefined && frameBytes(frame, maxFrameBytes) <= maxFrameBytes) {
      outgoing.length = 0
      this.#sendFrame(frame)
    } else if (outgoing.length === 1) this.#sendOne(outgoing.pop()!, encoded[0])
    else if (this.major === 1 || this.codec === MsgPackCodec) {
      this.#sendBatch(outgoing.splice(0), encoded, maxFrameBytes)
    } else for (const [i, envelope] of outgoing.splice(0).entries()) this.#sendOne(envelope, encoded[i])
    const drift = this.flow.sent - this.#savedBytes
    if (this.#savedAt === 0 || drift > this.flow.maxUnsaved) this.save()
  }

  save(): void {
    this.#savedAt = Date.now()
    this.#savedTokenPart = this.rate.tokenPart
    this.#savedBytePart = this.rate.bytePart
    this.#savedBytes = this.flow.sent
    if (this.socket.readyState > OPEN + 1) return
    const attachment: Attachment = {
      // What newer code keeps there beside this stays.
      ...this.#kept,
      id: this.id,
      codec: this.codec === MsgPackCodec ? "msgpack" : "json",
      openedAt: this.openedAt,
      state: this.state,
      sessionId: this.sessionId,
      major: this.major,
      strikes: this.strikes,
      failures: this.failures,
      heardAt: this.heardAt,
      claims: this.claims,
      received: this.received,
      schema: this.schema,
      ...(this.isAnonymous && { isAnonymous: true }),
      ...(this.positions.count > 0 && { positions: this.positions }),
      tokens: this.rate.tokens,
      bytes: this.rate.bytes,
      claimedRates: this.rate.claimedRates,
      filledAt: this.rate.filledAt,
      refusals: this.#own.refusals,
      refusedSince: this.#own.refusedSince,
      sent: this.flow.sent,
      acked: this.flow.acked,
      slow: this.flow.slow,
      proven: this.flow.proven,
      probes: this.flow.probes,
      pingSeenAt: this.flow.pingSeenAt,
    }
    this.socket.serializeAttachment(attachment)
  }

  close(code: number, reason: string): void {
    const violation = closeViolation(code, reason)
    if (violation !== undefined) {
      throw new TransportError({
        reason: "refused",
        code: "invalid_message",
        message: `the connection is not closed: ${violation}`,
      })
    }
    this.flush(Number.POSITIVE_INFINITY)
    // First, as the rest is only true of a closed socket: it would be open, and deaf, for ever.
    this.#closeSocket(code, reason)
    if (this.state === "connected") this.state = "disconnecting"
    else if (this.state === "connecting") this.state = "disconnected"
    this.save()
  }

  /** Answers a heartbeat at once, past what is in line. */
  pong(frame: string): void {
    this.#write(frame)
  }

  /** Closes the socket without another word. Its attachment stays as it was last written. */
  fail(): void {
    this.outgoing.length = 0
    this.#encoded = []
    this.frame = undefined
    this.#closeSocket(CloseCode.InternalError, "internal_error")
  }

  #closeSocket(code: number, reason: string): void {
    if (this.socket.readyState !== OPEN) return
    this.socket.close(code, reason)
    this.isClosing = true
    this.#on.closing()
  }

  #sendOne(envelope: Envelope.Envelope, encoded: Encoded | undefined): void {
    const frame = frameOf(this.codec, envelope, encoded, this.#notEncoded)
    if (frame !== undefined) this.#sendFrame(frame, encoded)
  }

  /** Asking the socket first whether it is open would cost as much as sending. */
  #sendFrame(frame: string | Uint8Array, encoded?: Encoded): void {
    const { flow } = this
    const bytes =
      typeof frame !== "string" ? frame.length : (encoded?.utf8Length?.(frame) ?? Envelope.utf8Length(frame))
    if (this.major === 1) {
      // Before what it would be needed for, so that whoever has read that can say so.
      if (flow.isCheckDue(bytes)) this.#probe()
      if (flow.count(bytes)) this.save()
      this.#write(frame)
      if (flow.isCheckDue(0)) this.#probe()
    } else {
      if (flow.isCheckDue(bytes)) flow.look(this.pingedAt())
      flow.countUnheard(bytes)
      this.#write(frame)
    }
  }

  /** Sends what only a client that has read so far can know. It is written down: an eviction must not forget it. */
  #probe(): void {
    const nonce = newNonce()
    const to = this.#on.addressOf(this)
    const frame = this.codec.encode([hubEnvelope("hub:probe", to, { nonce }, Date.now())])
    this.flow.probed(nonce, typeof frame === "string" ? Envelope.utf8Length(frame) : frame.length)
    this.save()
    this.#write(frame)
  }

  #write(frame: string | Uint8Array): void {
    try {
      this.socket.send(frame)
    } catch {
      // Closed meanwhile: its close event is on its way.
    }
  }

  /** One frame, or as many as it takes to keep each within the limit that the receiver was told. */
  #sendBatch(
    batch: ReadonlyArray<Envelope.Envelope>,
    encoded: ReadonlyArray<Encoded | undefined>,
    maxFrameBytes: number,
  ): void {
    for (const frame of framesOf(this.codec, batch, encoded, maxFrameBytes, this.#notEncoded)) {
      this.#sendFrame(frame)
    }
  }
}
