/**
 * The reliable message after which connections end, as where something on the way refuses its frame. Sent again
 * on each connection, it would hold up everything behind it for ever.
 */

/** Milliseconds that a connection lasts at least whose end is nobody's fault. */
export const MAX_QUICK_END_MS = 10_000

/** Connections in a row that end quickly with the same message, before it is sent alone. */
const MAX_QUICK_ENDS = 3

/** The oldest message that the hub is not known to have. */
export interface Oldest {
  readonly seq: number
  /** True once it has left on this connection. */
  readonly hasLeft: boolean
}

export class Suspect {
  #seq: number | undefined
  #ends = 0
  /**
   * True from the first suspicion until a connection lasts. What is sent again leaves in frames of its own then,
   * each as the hub has the one before: the frames may be too large, and not their messages.
   */
  isCareful = false

  /** A connection has ended after so many milliseconds. */
  ended(lastedMs: number, oldest: Oldest | undefined): void {
    if (lastedMs >= MAX_QUICK_END_MS) return this.clear()
    if (oldest?.hasLeft === false) return
    this.#ends = oldest !== undefined && oldest.seq === this.#seq ? this.#ends + 1 : 1
    this.#seq = oldest?.seq
    if (oldest !== undefined && this.#ends >= MAX_QUICK_ENDS) this.isCareful = true
  }

  /** True where the connection that it was sent alone on has ended, too. */
  isUndeliverable(oldest: Oldest | undefined): boolean {
    return oldest !== undefined && oldest.seq === this.#seq && this.#ends > MAX_QUICK_ENDS
  }

  /** Another message has its number now. */
  replaced(): void {
    this.#ends = 0
  }

  /** The numbers begin anew, or a connection has lasted. */
  clear(): void {
    this.#seq = undefined
    this.#ends = 0
    this.isCareful = false
  }
}
