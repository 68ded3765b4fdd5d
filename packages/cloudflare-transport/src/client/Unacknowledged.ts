/**
 * What was sent reliably and is not acknowledged, in the order of its numbers. Bounded. It is sent again,
 * as it was, on each connection that takes up the session.
 */
import type { FrameCodec } from "./FrameCodec.ts"
import type { Journal } from "./Journal.ts"
import type { Waiting } from "./SendQueue.ts"
import { type Oldest, Suspect } from "./Suspect.ts"

/** Envelopes, and characters or bytes, that may be unacknowledged. */
export const MOST = 10_000
const MOST_BULK = 16 * 1_048_576

export class Unacknowledged {
  readonly #frames: FrameCodec
  readonly #journal: Journal | undefined
  readonly #onAcknowledged: (id: string) => void
  #sent: Array<Waiting> = []
  /** Where in `#sent` that begins which has not left on this connection. */
  #rest = 0
  #bulk = 0
  #next = 1
  /** What the hub had when it took up the session. */
  #has = 0
  /** Finds the message that no connection survives. */
  readonly suspect = new Suspect()

  /** `onAcknowledged` hears the id of each envelope that the hub has. */
  constructor(frames: FrameCodec, journal: Journal | undefined, onAcknowledged: (id: string) => void) {
    this.#frames = frames
    this.#journal = journal
    this.#onAcknowledged = onAcknowledged
  }

  get isFull(): boolean {
    return this.#sent.length >= MOST || this.#bulk >= MOST_BULK
  }

  get isEmpty(): boolean {
    return this.#sent.length === 0
  }

  /** Gives it its number: it leaves now. */
  add(waiting: Waiting): void {
    this.#number(waiting, this.#next++)
    this.#push(waiting)
    this.#rest++
  }

  #number(waiting: Waiting, seq: number): void {
    waiting.seq = seq
    waiting.envelope = { ...waiting.envelope, seq }
    waiting.part = this.#frames.number(waiting.part, seq)
    this.#journal?.keep(waiting)
  }

  /** The oldest that the hub is not known to have. */
  get oldest(): Oldest | undefined {
    const at = this.#oldestAt
    const seq = this.#sent[at]?.seq
    return seq === undefined ? undefined : { seq, hasLeft: at < this.#rest }
  }

  get #oldestAt(): number {
    return Math.max(0, this.#has + 1 - this.#next + this.#sent.length)
  }

  /** Puts another in the place of the oldest, under its number. Gives the one that is not sent again. */
  replaceOldest(other: Waiting): Waiting {
    const at = this.#oldestAt
    const given = this.#sent[at]!
    this.suspect.replaced()
    this.#journal?.drop(given.envelope.id)
    this.#number(other, given.seq!)
    this.#sent[at] = other
    this.#bulk += other.part.length - given.part.length
    return given
  }

  /** What an earlier process sent, in order. */
  restore(sent: ReadonlyArray<Waiting>): void {
    for (const waiting of sent) {
      this.#next = waiting.seq! + 1
      this.#push(waiting)
    }
  }

  #push(waiting: Waiting): void {
    this.#sent.push(waiting)
    this.#bulk += waiting.part.length
  }

  /**
   * The hub, which takes up the session, has all through this number: it is not sent again. That some of it was
   * refused may still come, before the hub acknowledges it.
   */
  resume(through: number): void {
    this.#has = through
    // What an earlier process sent last, and the hub acknowledged, only the hub remembers.
    if (this.isEmpty) this.#next = through + 1
  }

  /** The hub has all through this number. What was never sent, it cannot have. */
  acknowledge(through: number): void {
    const first = this.#next - this.#sent.length
    if (!Number.isInteger(through) || through < first || through >= this.#next) return
    const gone = this.#sent.splice(0, through - first + 1)
    this.#rest = Math.max(0, this.#rest - gone.length)
    for (const { envelope, part } of gone) {
      this.#bulk -= part.length
      this.#journal?.drop(envelope.id)
      this.#onAcknowledged(envelope.id)
    }
  }

  /** All of it is to leave again that the hub does not have. */
  rewind(): void {
    this.#rest = this.#oldestAt
  }

  /** Whether some of it has not left on this connection. */
  get isBehind(): boolean {
    return this.#rest < this.#sent.length
  }

  /** The next that has not left on this connection. There is one while `isBehind`. */
  get next(): Waiting {
    return this.#sent[this.#rest]!
  }

  /** The same; it leaves now. */
  again(): Waiting {
    return this.#sent[this.#rest++]!
  }

  /** The session is over: gives what was not acknowledged. Numbers begin at 1 again. */
  end(): ReadonlyArray<Waiting> {
    const sent = this.#sent
    for (const { envelope } of sent) this.#journal?.drop(envelope.id)
    this.#sent = []
    this.#rest = 0
    this.#bulk = 0
    this.#next = 1
    this.#has = 0
    this.suspect.clear()
    return sent
  }
}
