/** Envelopes as a client makes them. */
import { type Address, Envelope, messageId } from "@signal-hub/actor-core/vocabulary"

/** What may be said of a message beside its type and payload. */
export interface MessageOptions {
  /** Carried to the receiver; ≤ 4 KiB as JSON. */
  readonly metadata?: Envelope.Metadata
  /**
   * Milliseconds after which it must not be delivered any more: a number from 0. `Infinity`, the default, is
   * no limit. A negative number and `NaN` are rejected.
   */
  readonly ttl?: number
  /** Another address that this client has registered, to speak for. The identity by default. */
  readonly from?: Address.Address
  /**
   * Whether it is sent again after a lost connection until the hub has it, once and in order. Asks are by
   * default, tells are not. Only hubs that resume sessions can; to others it makes no difference.
   */
  readonly reliable?: boolean
  /** When a tell ends: as it has left or waits for a connection. */
  readonly until?: "accepted"
}

/** Of a tell that ends when the hub has acknowledged it, and so has it for good. It is reliable. */
export interface AcknowledgedOptions extends Omit<MessageOptions, "reliable" | "until"> {
  readonly until: "acknowledged"
  readonly reliable?: true
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
): Envelope.Envelope => {
  const envelope: Envelope.Envelope = {
    id: messageId(),
    from: options.from ?? "",
    to,
    type,
    payload: payload ?? null,
    pattern,
    correlationId,
    timestamp: now,
    metadata: options.metadata ?? Envelope.NO_METADATA,
    ttl: options.ttl === undefined || options.ttl === Infinity ? null : options.ttl,
    signature: null,
  }
  return options.reliable === true ? Envelope.reliably(envelope) : envelope
}

/** The fields that are not `undefined`: a codec may have a form for it, and the protocol has none. */
export const given = (fields: { readonly [name: string]: unknown }): Envelope.Metadata =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
