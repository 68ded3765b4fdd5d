/**
 * The timers of one object, on one of the platform's: to set and clear one costs as much as a message.
 * It runs while there is something to wait for, and no longer, as it keeps the object from hibernating.
 */

interface Waiting {
  readonly at: number
  readonly task: () => void
}

export class Timers {
  readonly #run: (task: () => void) => void
  readonly #waiting = new Set<Waiting>()
  #timer: ReturnType<typeof setTimeout> | null = null
  /** When it comes. */
  #at = Number.POSITIVE_INFINITY

  /** `run` runs a task that is due; must not throw. */
  constructor(run: (task: () => void) => void) {
    this.#run = run
  }

  /** Runs the task once, after so many milliseconds; the result cancels it. */
  readonly later = (milliseconds: number, task: () => void): (() => void) => {
    const waiting = { at: Date.now() + milliseconds, task }
    this.#waiting.add(waiting)
    this.#atLatest(waiting.at)
    return () => {
      if (this.#waiting.delete(waiting) && this.#waiting.size === 0) this.#disarm()
    }
  }

  /** Whether there is nothing to wait for. */
  get isIdle(): boolean {
    return this.#waiting.size === 0
  }

  #atLatest(at: number): void {
    if (this.#at <= at) return
    this.#disarm()
    this.#at = at
    this.#timer = setTimeout(() => this.#fire(), at - Date.now())
  }

  #disarm(): void {
    clearTimeout(this.#timer)
    this.#at = Number.POSITIVE_INFINITY
  }

  #fire(): void {
    this.#at = Number.POSITIVE_INFINITY
    const now = Date.now()
    const due = [...this.#waiting].filter(({ at }) => at <= now).toSorted((a, b) => a.at - b.at)
    for (const waiting of due) if (this.#waiting.delete(waiting)) this.#run(waiting.task)
    let earliest = Number.POSITIVE_INFINITY
    for (const { at } of this.#waiting) earliest = Math.min(earliest, at)
    this.#atLatest(earliest)
  }
}
