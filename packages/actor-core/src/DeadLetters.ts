/**
 * Dead letters: the messages that reached nobody, and why. The last ones are kept to look at, all are
 * counted, and who subscribes hears of each. Nothing is sent again from here.
 */
import type * as Cause from "effect/Cause"
import type { Envelope } from "./Envelope.ts"
import { memoryOf } from "./PayloadValue.ts"

/**
 * Why a message is dead.
 * - `unknown_actor`: nobody is at the address
 * - `unknown_message`, `invalid_payload`: it is outside the actor's protocol, or its sender's
 * - `invalid_message`: it was told with a `ttl` that is none; the error is in the letter
 * - `forbidden`: a client forwarded it, and the actor takes no such forwards
 * - `expired`: its `ttl` ran out before it was handled
 * - `terminated`: the actor stopped with the message in its mailbox
 * - `failed`: the actor failed at it; its cause is in the letter
 * - `mailbox_full`: the actor's mailbox had no room for it
 * - `late_answer`: nobody waits for this answer, or no longer; of a local one, the ask is what is kept
 * - `unexpected_answer`: it claims to answer an ask that went to somebody else
 * - `duplicate`: the same ask is being answered already
 * - `refused`: the hub said that it did not take what its `correlationId` names
 * - `undeliverable`: the transport did not take it, or there is none
 * - `unclaimed`: it waited for an actor at its address, and none was served there in time
 */
export type Reason =
  | "unknown_actor"
  | "unknown_message"
  | "invalid_payload"
  | "invalid_message"
  | "forbidden"
  | "expired"
  | "terminated"
  | "failed"
  | "mailbox_full"
  | "late_answer"
  | "unexpected_answer"
  | "duplicate"
  | "refused"
  | "undeliverable"
  | "unclaimed"

export interface DeadLetter {
  readonly reason: Reason
  /** A message that never left the process holds its payload as it was, not encoded. */
  readonly envelope: Envelope
  /** When it died, epoch milliseconds. */
  readonly at: number
  /** What the actor failed with, where the reason is `failed`; what is wrong with an `invalid_message`. */
  readonly cause?: Cause.Cause<unknown>
}

/** How many are kept, unless told otherwise. */
export const DEFAULT_CAPACITY = 1_000
/** Bytes of messages that are kept, roughly: whoever sends what nobody takes must not fill the memory. */
const MAX_KEPT_BYTES = 16 * 1_048_576

export interface DeadLetters {
  /** How many there were, those no longer kept included. */
  readonly total: number
  /** How many there were of each reason that occurred. */
  readonly counts: { readonly [reason in Reason]?: number }
  /** Those that are kept, oldest first. */
  readonly recent: () => ReadonlyArray<DeadLetter>
  /**
   * Calls back for each from now on, until the returned function is called. What it throws is dropped.
   * `ended` is called once when the system has ended. As a stream: `DeadLetterStream`.
   */
  readonly subscribe: (listener: (letter: DeadLetter) => void, ended?: () => void) => () => void
}

/** Dead letters, from the side that writes them. */
export class DeadLetterOffice implements DeadLetters {
  readonly #capacity: number
  /** Those that are kept, and their bytes, each at its number modulo the capacity. */
  readonly #ring: Array<{ readonly letter: DeadLetter; readonly bytes: number } | undefined> = []
  /** The number of the oldest of them. */
  #oldest = 0
  #bytes = 0
  readonly #listeners = new Map<(letter: DeadLetter) => void, (() => void) | undefined>()
  #closed = false
  total = 0
  readonly counts: { [reason in Reason]?: number } = {}

  constructor(capacity: number = DEFAULT_CAPACITY) {
    this.#capacity = Math.max(0, Math.trunc(capacity))
  }

  readonly recent = (): ReadonlyArray<DeadLetter> => {
    const letters: Array<DeadLetter> = []
    for (let n = this.#oldest; n < this.total; n++) letters.push(this.#ring[n % this.#capacity]!.letter)
    return letters
  }

  readonly subscribe: DeadLetters["subscribe"] = (listener, ended) => {
    // A function given twice is two subscriptions, each with its own end.
    const own = (letter: DeadLetter) => listener(letter)
    this.#listeners.set(own, ended)
    if (this.#closed) ended?.()
    return () => void this.#listeners.delete(own)
  }

  /** Takes in a message that reached nobody. */
  add(reason: Reason, envelope: Envelope, at: number, cause?: Cause.Cause<unknown>): DeadLetter {
    const letter: DeadLetter = { reason, envelope, at, ...(cause !== undefined && { cause }) }
    this.#keep(letter)
    this.counts[reason] = (this.counts[reason] ?? 0) + 1
    for (const listener of this.#listeners.keys()) {
      try {
        listener(letter)
      } catch {
        // Whoever looks on must not stop the delivery of other messages.
      }
    }
    return letter
  }

  /** Keeps it in place of the oldest, as many as it takes for its bytes. */
  #keep(letter: DeadLetter): void {
    const bytes = bytesOf(letter)
    while (
      this.#oldest < this.total &&
      (this.total - this.#oldest >= this.#capacity || this.#bytes + bytes > MAX_KEPT_BYTES)
    ) {
      const at = this.#oldest++ % this.#capacity
      this.#bytes -= this.#ring[at]!.bytes
      this.#ring[at] = undefined
    }
    if (this.#capacity > 0) {
      this.#ring[this.total % this.#capacity] = { letter, bytes }
      this.#bytes += bytes
    } else this.#oldest++
    this.total++
  }

  /** Tells the listeners that it is over; what comes after is still counted, and heard. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    for (const ended of this.#listeners.values()) ended?.()
  }
}

const bytesOf = ({ envelope }: DeadLetter): number => {
  try {
    return memoryOf(envelope, MAX_KEPT_BYTES)
  } catch {
    // A message that never left the process may hold what throws when it is looked at.
    return 0
  }
}
