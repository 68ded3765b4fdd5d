/**
 * The timers of one object, on one of the platform's, as to set and clear one costs as much as a message. One
 * that comes soon is left to come, though nothing waits for it any more; a longer one is cleared, as it would
 * keep the object from hibernating.
 */

interface Waiting {
  at: number
  readonly task: () => void
}

/** How soon a timer comes that is left to come, milliseconds. Most of what is waited for takes less. */
const SOON = 20

export class Timers {
  readonly #run: (task: () => void) => void
  readonly #waiting = new Set<Waiting>()
  #timer: ReturnType<typeof setTimeout> | null = null
  /** What the clock said last. */
  #seenAt = 0
  /** When it comes. */
  #at = Number.POSITIVE_INFINITY
  /** Whether it was set for longer than `SOON`. */
  #isLong = false

  /** `run` runs a task that is due; must not throw. */
  constructor(run: (task: () => void) => void) {
    this.#run = run
  }

  /** Runs the task once, after so many milliseconds; the result cancels it. */
  readonly later = (milliseconds: number, task: () => void): (() => void) => {
    const now = Date.now()
    this.#setBack(this.#seenAt - now)
    this.#seenAt = now
    const waiting = { at: now + milliseconds, task }
    this.#waiting.add(waiting)
    this.#atLatest(this.#waiting.size === 1 ? Math.min(waiting.at, now + SOON) : waiting.at, now)
    return () => {
      if (this.#waiting.delete(waiting) && this.#waiting.size === 0 && this.#isLong) this.#disarm()
    }
  }

  /** Whether there is nothing to wait for. */
  get isIdle(): boolean {
    return this.#waiting.size === 0
  }

  #atLatest(at: number, now: number): void {
    if (this.#at <= at) return
    clearTimeout(this.#timer)
    this.#at = at
    this.#isLong = at - now > SOON
    this.#timer = setTimeout(() => this.#fire(), at - now)
  }

  /** The clock was set back by so many milliseconds, if above 0: all that waits comes as much earlier by it. */
  #setBack(by: number): void {
    if (by <= 0) return
    this.#at -= by
    for (const waiting of this.#waiting) waiting.at -= by
  }

  #disarm(): void {
    clearTimeout(this.#timer)
    this.#at = Number.POSITIVE_INFINITY
    this.#isLong = false
  }

  #fire(): void {
    const now = Date.now()
    // The platform's timer came in its time: a clock that is not there yet was set back.
    this.#setBack(this.#at - now)
    this.#seenAt = now
    this.#disarm()
    const due = [...this.#waiting].filter(({ at }) => at <= now).toSorted((a, b) => a.at - b.at)
    for (const waiting of due) if (this.#waiting.delete(waiting)) this.#run(waiting.task)
    if (this.#waiting.size === 0) return
    let earliest = Number.POSITIVE_INFINITY
    for (const { at } of this.#waiting) earliest = Math.min(earliest, at)
    this.#atLatest(earliest, now)
  }
}
