/** What was sent while there was no connection, in order, until there is one. Bounded. */
import type { Envelope } from "@signal-hub/actor-core/vocabulary"
import type { Part } from "./FrameCodec.ts"

/** An envelope that waits. */
export interface Waiting {
  readonly envelope: Envelope.Envelope
  readonly part: Part
  /** When it was given to the queue, epoch milliseconds. */
  readonly since: number
}

export class SendQueue {
  #waiting: Array<Waiting> = []
  readonly limit: number

  constructor(limit: number) {
    this.limit = limit
  }

  get size(): number {
    return this.#waiting.length
  }

  /** Whether it was taken: `false` where the queue is full. */
  push(waiting: Waiting): boolean {
    if (this.#waiting.length >= this.limit) return false
    this.#waiting.push(waiting)
    return true
  }

  /** Takes at most this many, oldest first. */
  take(count: number): ReadonlyArray<Waiting> {
    return this.#waiting.splice(0, count)
  }

  /** Takes out the envelope with this id. */
  remove(id: string): void {
    const at = this.#waiting.findIndex((waiting) => waiting.envelope.id === id)
    if (at >= 0) this.#waiting.splice(at, 1)
  }
}
