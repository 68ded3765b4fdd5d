/**
 * The reliable envelopes that come in from a session's client: contiguous from 1, each taken once. What is
 * taken is stored with its effects before the client is told, so that it may forget it. Pure.
 */

/** What an envelope of this number is: to be taken, taken already, or one after a missing one. */
export type Order = "next" | "repeat" | "gap"

export class InSequence {
  /** The last that is stored as taken. */
  taken: number
  /** The last that was worked on, or refused. */
  done: number
  /** The last that came. Those after `done` wait for an earlier one that takes time. */
  arrived: number
  /** The last that the client was told of, on this connection, and when: epoch milliseconds. */
  told = 0
  toldAt = 0
  /** Whether the client is to be told again: it repeated what was taken. */
  wasRepeated = false

  constructor(taken: number) {
    this.taken = taken
    this.done = taken
    this.arrived = taken
  }

  /** Judges what came; what is next has arrived by that. */
  order(seq: number): Order {
    if (seq > this.arrived + 1) return "gap"
    if (seq <= this.arrived) {
      this.wasRepeated = true
      return "repeat"
    }
    this.arrived = seq
    return "next"
  }

  /** Whether the client is to be told what was taken. */
  get isDue(): boolean {
    return this.taken > this.told || this.wasRepeated
  }

  /** The client is told now. */
  tell(now: number): void {
    this.told = this.taken
    this.toldAt = now
    this.wasRepeated = false
  }

  /** A new connection: what the old one left unfinished comes again. */
  restart(): void {
    this.arrived = this.done
    // The answer to `hub:connect` says what need not come again; the receipt, that there is no more to be said of it.
    this.told = 0
    this.wasRepeated = false
  }
}
