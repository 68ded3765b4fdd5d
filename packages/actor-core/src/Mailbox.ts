/**
 * Mailboxes: where messages wait for their actor, first in, first out, and what happens when one is full.
 *
 * What the runtime itself tells an actor (that it is to stop, that a watched actor ended) waits elsewhere,
 * needs no room, and comes first.
 */
import type { Message } from "./Message.ts"

/**
 * What happens to a message that finds its mailbox full.
 * - `backpressure`: `offer` and `ask` wait for room; a `tell`, which can't, becomes a dead letter
 * - `drop-newest`: it becomes a dead letter
 * - `drop-oldest`: it is taken, and the oldest in the mailbox becomes a dead letter
 * - `fail`: as `drop-newest`, and who offers it is told: `offer` fails `NotDelivered`
 *
 * An ask that is dropped ends `ActorFailed` with the code `mailbox_full`, retryable.
 */
export type Overflow = "backpressure" | "drop-newest" | "drop-oldest" | "fail"

/** How much a mailbox holds. */
export interface Mailbox {
  /** Messages, the one being handled not counted. */
  readonly capacity: number
  readonly overflow: Overflow
}

/** Takes whatever comes. The default. */
export const unbounded: Mailbox = { capacity: Infinity, overflow: "fail" }

/** Holds that many messages. Throws a `RangeError` for less than one. */
export const bounded = (capacity: number, overflow: Overflow = "backpressure"): Mailbox => {
  if (!(capacity >= 1)) throw new RangeError(`a mailbox of ${capacity} messages would hold none`)
  return { capacity: Math.trunc(capacity), overflow }
}

/** Messages in a row, linked through themselves. */
export class MessageQueue {
  #head: Message | null = null
  #tail: Message | null = null
  size = 0

  push(message: Message): void {
    if (this.#tail === null) this.#head = message
    else this.#tail.next = message
    this.#tail = message
    this.size++
  }

  /** Puts it before all others. */
  unshift(message: Message): void {
    message.next = this.#head
    this.#head = message
    this.#tail ??= message
    this.size++
  }

  shift(): Message | null {
    const head = this.#head
    if (head === null) return null
    this.#head = head.next
    if (this.#head === null) this.#tail = null
    head.next = null
    this.size--
    return head
  }
}
