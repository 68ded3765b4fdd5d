/**
 * What comes in: frames to envelopes, and each envelope to the one place that it is for: the ask that
 * it answers, the readers of its topic, this client's actors, or, said by the hub itself, the events.
 */
import { AskError, Envelope, type Codec } from "@signal-hub/actor-core/vocabulary"
import type { HubErrorPayload } from "../protocol/HubError.ts"
import { type Ack, HUB_ADDRESS, type HubEvents } from "../protocol/HubMessage.ts"
import type { Acks } from "./Acks.ts"
import { Emitter } from "./Emitter.ts"
import type { PendingAsks } from "./PendingAsks.ts"
import type { Receivers } from "./Receivers.ts"
import type { Wanted } from "./Wanted.ts"

/** The client's own word on a tell, as the hub says it of others; `undeliverable`: no connection survived it. */
interface ErrorEvent extends Omit<HubErrorPayload, "code"> {
  readonly code: HubErrorPayload["code"] | "undeliverable"
}

/** What the hub says unasked. `correlationId` names the message that an error is about. */
export type HubEvent = {
  [type in keyof HubEvents]: {
    readonly type: type
    readonly payload: type extends "hub:error" ? ErrorEvent : HubEvents[type]
    readonly correlationId: string | null
  }
}[keyof HubEvents]

/** What the hub says that is for who sends. */
export interface InboxPort {
  /** The address is not paused any more. */
  readonly resumed: () => void
  /** The hub has all reliable messages through this number. */
  readonly acknowledged: (through: number) => void
  /** All through this number was taken. Told at once: what the next one leads to may take the receipt along. */
  readonly taken: (seq: number) => void
}

/** The parts that an inbox works with. */
export interface InboxParts {
  readonly codec: Codec
  readonly messages: Receivers
  readonly pending: PendingAsks
  readonly wanted: Wanted
  readonly acks: Acks
  readonly port: InboxPort
}

export class Inbox {
  /** Who takes envelopes for this client's addresses: direct ones, broadcasts, publications that nobody here reads. */
  readonly messages: Receivers
  readonly events = new Emitter<HubEvent>()
  /** Readers of publications, by topic. */
  readonly topics = new Map<string, Emitter<Envelope.Envelope>>()
  /** Addresses whose readers are slow: what is for them waits. */
  readonly paused = new Set<string>()
  /** Milliseconds that the hub last asked to wait, on this connection. */
  retryAfterMs: number | undefined
  /** True once the hub has said `hub:disconnect` on this connection, asked or unasked. */
  saidGoodbye = false
  #isClosed = false
  readonly #codec: Codec
  readonly #pending: PendingAsks
  readonly #wanted: Wanted
  readonly #acks: Acks
  readonly #port: InboxPort

  constructor({ acks, codec, messages, pending, port, wanted }: InboxParts) {
    this.messages = messages
    this.#codec = codec
    this.#pending = pending
    this.#wanted = wanted
    this.#acks = acks
    this.#port = port
  }

  /**
   * The client is told to end: nothing is delivered to the program any more, also of the frame that is being read.
   * Answers to what it has asked are, and all that its goodbye needs.
   */
  close(): void {
    this.#isClosed = true
    this.messages.close()
  }

  /** A new connection begins. */
  attach(): void {
    this.paused.clear()
    this.saidGoodbye = false
    this.retryAfterMs = undefined
  }

  /**
   * Takes a data frame, text or bytes. What is no envelope is left out, and what came before. `false`:
   * something is missing, and nothing after it was taken.
   */
  receive(data: unknown): boolean {
    const acks = this.#acks
    const frame = typeof data === "string" ? data : bytesOf(data as Bytes)
    const bytes = typeof frame === "string" ? Envelope.utf8Length(frame) : frame.length
    acks.bytes += bytes
    let values: ReadonlyArray<unknown>
    try {
      values = this.#codec.decode(frame)
    } catch {
      return true
    }
    for (const value of values) {
      const seq = Envelope.seqOf(value)
      if (seq !== undefined && seq > acks.arrived + 1) return false
      if (seq !== undefined && seq <= acks.arrived) continue
      const envelope = Envelope.check(value)
      if (!(envelope instanceof Envelope.Malformed)) this.#dispatch(envelope, bytes / values.length)
      if (seq === undefined) continue
      acks.arrived = seq
      this.settle()
    }
    return true
  }

  /**
   * Notes how far all was taken. Not before: what is acknowledged is done. What is no envelope uses its number up:
   * it would come for ever. What nobody takes yet keeps what came behind it from being acknowledged.
   */
  settle(): void {
    const { firstWaiting } = this.messages
    const through = firstWaiting === undefined ? this.#acks.arrived : firstWaiting - 1
    if (through <= this.#acks.through) return
    this.#acks.through = through
    this.#port.taken(through)
  }

  /** The number through which all was taken. */
  get through(): number {
    return this.#acks.through
  }

  /** Goes on after this number, as an earlier process took all through it. */
  restore(through: number): void {
    this.#acks.restart(through)
  }

  /** The session is over. In a new one numbers begin at 1. */
  reset(): void {
    this.#acks.restart(0)
    this.messages.dropReliable()
  }

  /** The watched actor is gone, as the hub would say it. */
  gone(payload: HubEvents["hub:terminated"]): void {
    this.#wanted.drop("hub:watch", payload.actorAddress)
    this.events.emit({ type: "hub:terminated", payload, correlationId: null })
  }

  #dispatch(envelope: Envelope.Envelope, bytes: number): void {
    const { type, correlationId, metadata } = envelope
    const ofHub = type.startsWith("hub:")
    // `hub:*` is believed from the hub alone: actors can write any type.
    if (ofHub && envelope.from !== HUB_ADDRESS) return
    if (ofHub) this.#noteRetryAfter(envelope)
    if (type === "hub:disconnect") this.saidGoodbye = true
    if (correlationId !== null && this.#pending.answer(correlationId, envelope)) return
    if (ofHub) return this.#onHub(envelope)
    const topic = metadata.publication === true ? this.topics.get(metadata.topic as string) : undefined
    if (topic === undefined) this.messages.deliver(envelope, bytes)
    else if (!this.#isClosed) topic.emit(envelope)
  }

  #onHub({ type, payload, correlationId }: Envelope.Envelope): void {
    const { actorAddress, nonce, through } = (payload ?? {}) as {
      readonly actorAddress?: string
    } & Partial<Ack>
    if (type === "hub:terminated" && !this.#wanted.drop("hub:watch", String(actorAddress))) return
    if (type === "hub:pause") this.paused.add(String(actorAddress))
    if (type === "hub:resume" && this.paused.delete(String(actorAddress))) this.#port.resumed()
    // The answer to one that took the place of an undeliverable message.
    if (type === "hub:heartbeat_ack") return
    if (type === "hub:probe") return void (this.#acks.nonce = nonce)
    if (type === "hub:ack") return this.#port.acknowledged(through ?? 0)
    // With a correlation id it is the late answer to an unregister of ours.
    if (type === "hub:unregistered" && correlationId === null) {
      if (!this.#wanted.drop("hub:register", String(actorAddress))) return
    }
    if (this.#isClosed && type !== "hub:disconnect") return
    this.events.emit({ type, payload, correlationId } as HubEvent)
  }

  #noteRetryAfter(envelope: Envelope.Envelope): void {
    const refusal = AskError.fromEnvelope(envelope)
    if (refusal instanceof AskError.AskRefused && refusal.code === "rate_limited") {
      this.retryAfterMs = refusal.retryAfterMs
    }
  }
}

type Bytes = ArrayBuffer | ArrayBufferView<ArrayBuffer>

/** The same bytes: never a subclass, as `Buffer`, since what is decoded may be a part of it. */
const bytesOf = (data: Bytes): Uint8Array =>
  ArrayBuffer.isView(data)
    ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    : new Uint8Array(data)
