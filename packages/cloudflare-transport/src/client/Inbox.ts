/**
 * What comes in: frames to envelopes, and each envelope to the one place that it is for: the ask that
 * it answers, the readers of its topic, this client's actors, or, said by the hub itself, the events.
 */
import { AskError, Envelope, type Codec } from "@signal-hub/actor-core/vocabulary"
import { type Ack, HUB_ADDRESS, type HubEvents } from "../protocol/HubMessage.ts"
import type { Acks } from "./Acks.ts"
import { Emitter, READER_LIMIT } from "./Emitter.ts"
import type { PendingAsks } from "./PendingAsks.ts"
import type { Wanted } from "./Wanted.ts"

/** What the hub says unasked. `correlationId` names the message that an error is about. */
export type HubEvent = {
  [type in keyof HubEvents]: {
    readonly type: type
    readonly payload: HubEvents[type]
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

export class Inbox {
  /**
   * Envelopes for this client's actors: direct ones, broadcasts, publications that nobody here reads. Kept
   * for who listens first: what a session brings along comes with the hub's acceptance, before anybody can.
   */
  readonly messages = new Emitter<Envelope.Envelope>(READER_LIMIT)
  readonly events = new Emitter<HubEvent>()
  /** Readers of publications, by topic. */
  readonly topics = new Map<string, Emitter<Envelope.Envelope>>()
  /** Addresses whose readers are slow: what is for them waits. */
  readonly paused = new Set<string>()
  /** Milliseconds that the hub last asked to wait, on this connection. */
  retryAfterMs: number | undefined
  readonly #codec: Codec
  readonly #pending: PendingAsks
  readonly #wanted: Wanted
  readonly #acks: Acks
  readonly #port: InboxPort

  constructor(codec: Codec, pending: PendingAsks, wanted: Wanted, acks: Acks, port: InboxPort) {
    this.#codec = codec
    this.#pending = pending
    this.#wanted = wanted
    this.#acks = acks
    this.#port = port
  }

  /** A new connection begins. */
  attach(): void {
    this.paused.clear()
    this.retryAfterMs = undefined
  }

  /**
   * Takes a data frame, text or bytes. What is no envelope is left out, and what came before. `false`:
   * something is missing, and nothing after it was taken.
   */
  receive(data: unknown): boolean {
    const acks = this.#acks
    const frame = typeof data === "string" ? data : bytesOf(data as Bytes)
    acks.bytes += typeof frame === "string" ? Envelope.utf8Length(frame) : frame.length
    let values: ReadonlyArray<unknown>
    try {
      values = this.#codec.decode(frame)
    } catch {
      return true
    }
    for (const value of values) {
      const seq = Envelope.seqOf(value)
      if (seq !== undefined && seq > acks.through + 1) return false
      if (seq !== undefined && seq <= acks.through) continue
      const envelope = Envelope.check(value)
      if (!(envelope instanceof Envelope.Malformed)) this.#dispatch(envelope)
      if (seq === undefined) continue
      // Not before: what is acknowledged is done. What is no envelope uses its number up: it would come for ever.
      acks.through = seq
      this.#port.taken(seq)
    }
    return true
  }

  /** The watched actor is gone, as the hub would say it. */
  gone(payload: HubEvents["hub:terminated"]): void {
    this.#wanted.drop("hub:watch", payload.actorAddress)
    this.events.emit({ type: "hub:terminated", payload, correlationId: null })
  }

  #dispatch(envelope: Envelope.Envelope): void {
    const { type, correlationId, metadata } = envelope
    const ofHub = type.startsWith("hub:")
    // `hub:*` is believed from the hub alone: actors can write any type.
    if (ofHub && envelope.from !== HUB_ADDRESS) return
    if (ofHub) this.#noteRetryAfter(envelope)
    if (correlationId !== null && this.#pending.answer(correlationId, envelope)) return
    if (ofHub) return this.#onHub(envelope)
    const topic = metadata.publication === true ? this.topics.get(metadata.topic as string) : undefined
    ;(topic ?? this.messages).emit(envelope)
  }

  #onHub({ type, payload, correlationId }: Envelope.Envelope): void {
    const { actorAddress, through } = (payload ?? {}) as { readonly actorAddress?: string } & Partial<Ack>
    if (type === "hub:terminated" && !this.#wanted.drop("hub:watch", String(actorAddress))) return
    if (type === "hub:pause") this.paused.add(String(actorAddress))
    if (type === "hub:resume" && this.paused.delete(String(actorAddress))) this.#port.resumed()
    if (type === "hub:ack") return this.#port.acknowledged(through ?? 0)
    // With a correlation id it is the late answer to an unregister of ours.
    if (type === "hub:unregistered" && correlationId === null) {
      if (!this.#wanted.drop("hub:register", String(actorAddress))) return
    }
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
