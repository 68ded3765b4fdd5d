/**
 * The timers of one object. All share one timer of the platform, because setting and clearing a platform timer
 * costs as much as a message. A short platform timer is left to fire even if nothing waits for it any more. A long
 * one is cleared, because a running timer keeps the object from hibernating.
 */

interface Waiting {
  at: number
  readonly task: () => void
}

/** Milliseconds up to which a platform timer is left to fire. Most tasks are cancelled sooner than that. */
const SHORT_TIMER_MS = 20

/** Runs tasks later in the life of the object's memory. An eviction waits for them, a crash loses them. */
export class ObjectTimers {
  readonly #run: (task: () => void) => void
  readonly #waiting = new Set<Waiting>()
  #timer: ReturnType<typeof setTimeout> | null = null
  /** The last reading of the clock, epoch milliseconds. */
  #seenAt = 0
  /** When the platform timer fires, epoch milliseconds. */
  #at = Number.POSITIVE_INFINITY
  /** True if the platform timer was set for longer than `SHORT_TIMER_MS`. */
  #isLong = false

  /** `run` runs a task that is due. It must not throw. */
  constructor(run: (task: () => void) => void) {
    this.#run = run
  }

  /** Runs the task once, after so many milliseconds. The returned function cancels it. */
  readonly later = (milliseconds: number, task: () => void): (() => void) => {
    const now = Date.now()
    this.#setBack(this.#seenAt - now)
    this.#seenAt = now
    const waiting = { at: now + milliseconds, task }
    this.#waiting.add(waiting)
    this.#atLatest(this.#waiting.size === 1 ? Math.min(waiting.at, now + SHORT_TIMER_MS) : waiting.at, now)
    return () => {
      if (this.#waiting.delete(waiting) && this.#waiting.size === 0 && this.#isLong) this.#disarm()
    }
  }

  /** True if no task waits. */
  get isIdle(): boolean {
    return this.#waiting.size === 0
  }

  #atLatest(at: number, now: number): void {
    if (this.#at <= at) return
    clearTimeout(this.#timer)
    this.#at = at
    this.#isLong = at - now > SHORT_TIMER_MS
    this.#timer = setTimeout(() => this.#fire(), at - now)
  }

  /** If the clock was set back by so many milliseconds, all that waits is moved back with it. */
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
    // The platform timer fired in time. If the clock says that it is early, the clock was set back.
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
