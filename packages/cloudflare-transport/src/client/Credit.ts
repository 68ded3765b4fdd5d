/**
 * The bytes that may be on their way to the hub. A slow reader's pause is heard a round trip late: without a bound,
 * a burst is past its sender by then, and the hub must refuse what it has no room for.
 */

/** The part of the hub's `pauseThreshold` that may be on its way: many senders may have one reader. */
const WINDOW_PART = 1 / 2

export class Credit {
  /** Infinite where the hub names no threshold: it pauses nobody. */
  readonly #window: number
  #sent = 0
  /** The part of it that the hub has worked on, as far as is known. */
  #handled = 0
  /** What was sent when the hub was last asked. */
  #askedAt = 0
  #isAsking = false

  constructor(pauseThreshold: number | undefined) {
    this.#window = pauseThreshold === undefined ? Infinity : pauseThreshold * WINDOW_PART
  }

  /** True where nothing more may leave until the hub has worked on some of it. */
  get isSpent(): boolean {
    return this.#sent - this.#handled >= this.#window
  }

  /** Bytes that the hub is known to have worked on. */
  get handled(): number {
    return this.#handled
  }

  /** True where the hub is to be asked now how far it is. */
  get isDue(): boolean {
    return !this.#isAsking && this.#sent - this.#askedAt >= this.#window / 2
  }

  /** So many bytes leave. */
  spend(bytes: number): void {
    this.#sent += bytes
  }

  /** The hub is to be asked: nobody else asks it until it has answered. */
  claim(): void {
    this.#isAsking = true
  }

  /** The question leaves now. */
  asked(): void {
    this.#askedAt = this.#sent
  }

  /** The hub has answered, as it does in order. */
  answered(): void {
    this.#isAsking = false
    this.#handled = this.#askedAt
  }
}
