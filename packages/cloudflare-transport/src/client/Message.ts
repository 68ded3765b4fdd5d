/** Envelopes as a client makes them. */
import { Envelope, type Address } from "@signal-hub/actor-core/vocabulary"
import { messageId } from "../protocol/MessageId.ts"

/** What may be said of a message beside its type and payload. */
export interface MessageOptions {
  /** Carried to the receiver; ≤ 4 KiB as JSON. */
  readonly metadata?: Envelope.Metadata
  /** Milliseconds after which it must not be delivered any more. None by default. */
  readonly ttl?: number
  /** Another address that this client has registered, to speak for. The identity by default. */
  readonly from?: Address.Address
}

/** A message, sent at `now`. `from` is left to the hub unless it is said. */
export const message = (
  pattern: "tell" | "ask",
  to: Address.Address,
  type: string,
  payload: unknown,
  now: number,
  options: MessageOptions = {},
  correlationId: string | null = null,
): Envelope.Envelope => ({
  id: messageId(),
  from: options.from ?? "",
  to,
  type,
  payload: payload ?? null,
  pattern,
  correlationId,
  timestamp: now,
  metadata: options.metadata ?? Envelope.NO_METADATA,
  ttl: options.ttl ?? null,
  signature: null,
})
