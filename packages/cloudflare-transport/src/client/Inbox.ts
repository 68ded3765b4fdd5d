/**
 * What comes in: frames to envelopes, and each envelope to the one place that it is for: the ask that
 * it answers, the readers of its topic, this client's actors, or, said by the hub itself, the events.
 */
import { AskError, Envelope, type Codec } from "@signal-hub/actor-core/vocabulary"
import { HUB_ADDRESS, type HubEvents } from "../protocol/HubMessage.ts"
import { Emitter } from "./Emitter.ts"
import type { PendingAsks } from "./PendingAsks.ts"
import { retryAfter, type Wanted } from "./Wanted.ts"

/** What the hub says unasked. `correlationId` names the message that an error is about. */
export type HubEvent = {
  [type in keyof HubEvents]: {
    readonly type: type
    readonly payload: HubEvents[type]
    readonly correlationId: string | null
  }
}[keyof HubEvents]

export class Inbox {
  /** Envelopes for this client's actors: direct ones, broadcasts, publications that nobody here reads. */
  readonly messages = new Emitter<Envelope.Envelope>()
  readonly events = new Emitter<HubEvent>()
  /** Readers of publications, by topic. */
  readonly topics = new Map<string, Emitter<Envelope.Envelope>>()
  /** Milliseconds that the hub last asked to wait, on this connection. */
  retryAfterMs: number | undefined
  readonly #codec: Codec
  readonly #pending: PendingAsks
  readonly #wanted: Wanted

  constructor(codec: Codec, pending: PendingAsks, wanted: Wanted) {
    this.#codec = codec
    this.#pending = pending
    this.#wanted = wanted
  }

  /** Takes a data frame, text or bytes. What is no envelope is left out. */
  receive(data: unknown): void {
    let values: ReadonlyArray<unknown>
    try {
      values = this.#codec.decode(typeof data === "string" ? data : bytesOf(data as Bytes))
    } catch {
      return
    }
    for (const value of values) {
      const envelope = Envelope.check(value)
      if (!(envelope instanceof Envelope.Malformed)) this.#dispatch(envelope)
    }
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
    const { actorAddress } = (payload ?? {}) as { readonly actorAddress?: string }
    if (type === "hub:terminated") this.#wanted.drop("hub:watch", String(actorAddress))
    // With a correlation id it is the late answer to an unregister of ours.
    if (type === "hub:unregistered" && correlationId === null) {
      this.#wanted.drop("hub:register", String(actorAddress))
    }
    this.events.emit({ type, payload, correlationId } as HubEvent)
  }

  #noteRetryAfter(envelope: Envelope.Envelope): void {
    const refusal = AskError.fromEnvelope(envelope)
    if (refusal instanceof AskError.AskRefused && refusal.code === "rate_limited") {
      this.retryAfterMs = retryAfter(refusal)
    }
  }
}

type Bytes = ArrayBuffer | ArrayBufferView<ArrayBuffer>

/** The same bytes: never a subclass, as `Buffer`, since what is decoded may be a part of it. */
const bytesOf = (data: Bytes): Uint8Array =>
  ArrayBuffer.isView(data)
    ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    : new Uint8Array(data)
