/** Messages that could not be delivered: the last of them, to look into. Without their payloads. */
import type { Envelope } from "@signal-hub/actor-core"

/** The cause for which a message was not delivered. */
export type DeadLetterReason =
  | "unknown_actor"
  | "disconnected"
  | "expired"
  | "no_such_ask"
  | "slow_consumer"
  | "not_encoded"

/** A message that was not delivered, without its payload. */
export interface DeadLetter {
  readonly id: string
  readonly from: string
  readonly to: string
  readonly type: string
  readonly reason: DeadLetterReason
  /** Epoch milliseconds. */
  readonly at: number
}

/** The last dead letters, in a ring of fixed size in memory. */
export class DeadLetters {
  readonly #ring: Array<DeadLetter> = []
  readonly #capacity: number
  #next = 0

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  add(envelope: Envelope.Envelope, reason: DeadLetterReason, at: number): void {
    const { id, from, to, type } = envelope
    this.#ring[this.#next] = { id, from, to, type, reason, at }
    this.#next = (this.#next + 1) % this.#capacity
  }

  /** The letters kept, oldest first. */
  recent(): ReadonlyArray<DeadLetter> {
    return [...this.#ring.slice(this.#next), ...this.#ring.slice(0, this.#next)]
  }
}
