/** A connection on a hibernatable WebSocket: its fields live in the socket's attachment. */
import { type Codec, Envelope, JsonCodec } from "@signal-hub/actor-core"
import { MsgPackCodec } from "@signal-hub/actor-core/codec/msgpack"
import { frameBytes } from "../protocol/Frame.ts"
import type { Limits } from "../protocol/Limits.ts"
import type { ProtocolMajor } from "../protocol/Version.ts"
import type { Connection } from "../session/Connection.ts"
import type { ConnectionState } from "../session/ConnectionState.ts"
import { Flow, type FlowLimits } from "../session/Flow.ts"
import type { Multicast } from "../session/Multicast.ts"
import { RateBucket, type RateLimits } from "../session/RateBucket.ts"
import type { Session } from "../session/Session.ts"
import type { Attachment } from "./Attachment.ts"

/** `readyState` of an open WebSocket. */
const OPEN = 1

/**
 * Counters are written down once in each life of the object; then where a frame came in so many milliseconds
 * later, and where they have moved by this part of their limits. An attachment costs more than a message.
 * What is forgotten of bytes is made good by the next `hub:ack`.
 */
const TOKENS_DRIFT = 1 / 8
const BYTES_DRIFT = 1 / 16
const NOTE_EVERY = 1_000

export type ConnectionLimits = RateLimits & FlowLimits & Pick<Limits, "maxMessageSize">

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
  frame: string | Uint8Array | undefined
  readonly rate: RateBucket
  readonly flow: Flow
  parked: Connection["parked"] = null
  replies: Connection["replies"] = null
  readonly #ctx: DurableObjectState
  readonly #markDirty: (connection: SocketConnection) => void
  readonly #limits: ConnectionLimits
  /** When this life of the object last wrote the attachment, and its counters as they are there. */
  #savedAt = 0
  #savedTokens: number
  #savedBytes: number
  /** Where one envelope is in line: what it is a copy of. */
  #copyOf: Multicast | undefined

  /** `markDirty` is called when there is something to flush and was not before. */
  constructor(
    socket: WebSocket,
    attachment: Attachment,
    ctx: DurableObjectState,
    limits: ConnectionLimits,
    markDirty: (connection: SocketConnection) => void,
  ) {
    this.socket = socket
    this.#limits = limits
    this.#ctx = ctx
    this.#markDirty = markDirty
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
    this.rate = new RateBucket(limits, attachment)
    this.flow = new Flow(limits, attachment)
    this.#savedTokens = attachment.tokens
    this.#savedBytes = attachment.sent
  }

  /** A frame arrived. */
  heard(now: number): void {
    this.heardAt = now
    this.rate.refill(now)
  }

  /** A frame was worked on: what changed by it is written down, if that is due. */
  noted(now: number): void {
    const drift = Math.abs(this.rate.tokens - this.#savedTokens)
    if (now - this.#savedAt >= NOTE_EVERY || drift > this.#limits.envelopeBurst * TOKENS_DRIFT) this.save()
  }

  pingedAt(): number {
    return this.#ctx.getWebSocketAutoResponseTimestamp(this.socket)?.getTime() ?? 0
  }

  send(envelope: Envelope.Envelope, copyOf?: Multicast): void {
    if (this.outgoing.length === 0) this.#markDirty(this)
    this.frame = undefined
    this.#copyOf = this.outgoing.length === 0 ? copyOf : undefined
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
    this.frame = undefined
    if (frame !== undefined && frameBytes(frame, maxFrameBytes) <= maxFrameBytes) {
      outgoing.length = 0
      this.#sendFrame(frame)
    } else if (outgoing.length === 1) this.#sendOne(outgoing.pop()!)
    else if (this.major === 1 || this.codec === MsgPackCodec) {
      this.#sendBatch(outgoing.splice(0), maxFrameBytes)
    } else for (const envelope of outgoing.splice(0)) this.#sendOne(envelope)
    const drift = this.flow.sent - this.#savedBytes
    if (this.#savedAt === 0 || drift > this.#limits.pauseThreshold * BYTES_DRIFT) this.save()
  }

  save(): void {
    this.#savedAt = Date.now()
    this.#savedTokens = this.rate.tokens
    this.#savedBytes = this.flow.sent
    if (this.socket.readyState > OPEN + 1) return
    const attachment: Attachment = {
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
      tokens: this.rate.tokens,
      filledAt: this.rate.filledAt,
      refusals: this.rate.refusals,
      refusedSince: this.rate.refusedSince,
      sent: this.flow.sent,
      acked: this.flow.acked,
      slow: this.flow.slow,
    }
    this.socket.serializeAttachment(attachment)
  }

  close(code: number, reason: string): void {
    this.flush(Number.POSITIVE_INFINITY)
    if (this.state === "connected") this.state = "disconnecting"
    else if (this.state === "connecting") this.state = "disconnected"
    this.save()
    if (this.socket.readyState === OPEN) this.socket.close(code, reason)
  }

  #sendOne(envelope: Envelope.Envelope): void {
    const copyOf = this.#copyOf
    if (copyOf === undefined) this.#sendFrame(this.codec.encode([envelope]))
    else this.#sendFrame(copyOf.frameFor(envelope.to, this.codec), copyOf)
  }

  /** Asking the socket first whether it is open would cost as much as sending. */
  #sendFrame(frame: string | Uint8Array, copyOf?: Multicast): void {
    // Of 0.x nobody acknowledges.
    if (this.major !== 0) {
      const bytes = typeof frame !== "string" ? frame.length : (copyOf ?? Envelope).utf8Length(frame)
      if (this.flow.count(bytes)) this.save()
    }
    try {
      this.socket.send(frame)
    } catch {
      // Closed meanwhile: its close event is on its way.
    }
  }

  /** One frame, or as many as it takes to keep each within the limit that the receiver was told. */
  #sendBatch(batch: ReadonlyArray<Envelope.Envelope>, maxFrameBytes: number): void {
    const frame = this.codec.encode(batch)
    if (batch.length === 1 || frameBytes(frame, maxFrameBytes) <= maxFrameBytes) {
      this.#sendFrame(frame)
      return
    }
    const half = batch.length >> 1
    this.#sendBatch(batch.slice(0, half), maxFrameBytes)
    this.#sendBatch(batch.slice(half), maxFrameBytes)
  }
}
