/**
 * What was sent and has not left, in order: there is no connection, its receiver asked to pause, or the
 * hub's rate is spent. Bounded.
 */
import type { Envelope } from "@signal-hub/actor-core/vocabulary"
import type { Part } from "./FrameCodec.ts"

/** Characters or bytes that may wait, beside the number of messages. */
const MOST = 16 * 1_048_576

/** An envelope that waits. */
export interface Waiting {
  /** As it was given; as it left, once it did. */
  envelope: Envelope.Envelope
  part: Part
  /** Values in it, no fewer. */
  readonly values: number
  /** Of a reliable one, from its first transmission on. */
  seq?: number
  /** When it was given to the queue, monotonic milliseconds. */
  readonly since: number
  /** Of this connection alone: the next one asks anew. */
  readonly passing?: boolean
  /** Called once, when it waits no more or only for a connection. */
  left?: () => void
}

export class SendQueue {
  #waiting: Array<Waiting> = []
  #bulk = 0
  readonly limit: number

  constructor(limit: number) {
    this.limit = limit
  }

  /** Whether it was taken: `false` where the queue is full. */
  push(waiting: Waiting): boolean {
    if (this.#waiting.length >= this.limit || this.#bulk + waiting.part.length > MOST) return false
    this.#waiting.push(waiting)
    this.#bulk += waiting.part.length
    return true
  }

  /** Puts it before all that waits. */
  unshift(waiting: ReadonlyArray<Waiting>): void {
    this.#waiting.unshift(...waiting)
    for (const { part } of waiting) this.#bulk += part.length
  }

  /** Takes those that `goes` lets, oldest first; the others go on waiting. */
  take(goes: (waiting: Waiting) => boolean): ReadonlyArray<Waiting> {
    const taken: Array<Waiting> = []
    this.#waiting = this.#waiting.filter((waiting) => {
      if (!goes(waiting)) return true
      this.#bulk -= waiting.part.length
      taken.push(waiting)
      return false
    })
    return taken
  }

  /** Takes out the envelope with this id. */
  remove(id: string): void {
    this.take(({ envelope }) => envelope.id === id)
  }

  /** The last one that is for this address. */
  lastFor(address: string): Waiting | undefined {
    return this.#waiting.findLast(({ envelope }) => envelope.to === address)
  }

  some(is: (waiting: Waiting) => boolean): boolean {
    return this.#waiting.some(is)
  }
}
