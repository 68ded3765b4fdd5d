/**
 * What is to happen later in one actor system: time limits of asks, timers, receive timeouts. All wait in
 * one heap behind one sleeping fiber, so that a deadline that is set and taken back, as that of each ask,
 * costs no fiber.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { monotonicMillis } from "./MonotonicTime.ts"

/** Something to do at a time. */
export abstract class Deadline {
  /** When it is due, by `Deadlines.now`. */
  at = 0
  /** Its place in the heap; -1: none. */
  index = -1
  order = 0
  /** Called once when it is due. Must not throw. */
  abstract fire(): void
}

/** Longest sleep in one go, milliseconds: what a platform's timer holds. */
const MAX_SLEEP = 2 ** 31 - 1

const before = (a: Deadline, b: Deadline): boolean => a.at < b.at || (a.at === b.at && a.order < b.order)

export class Deadlines {
  readonly #clock: Clock.Clock
  readonly #fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>
  readonly #heap: Array<Deadline> = []
  #order = 0
  #sleeper: Fiber.Fiber<void> | undefined
  /** What the sleeper sleeps for. May be earlier than the first deadline, as one taken back stays. */
  #wakesAt = Infinity

  constructor(clock: Clock.Clock, fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>) {
    this.#clock = clock
    this.#fork = fork
  }

  /** How many are set. */
  get size(): number {
    return this.#heap.length
  }

  /** Monotonic milliseconds: no jump of the wall clock holds a deadline up, or brings it on. */
  now(): number {
    return monotonicMillis(this.#clock)
  }

  /** Sets it, anew where it is set already. */
  set(deadline: Deadline, at: number): void {
    if (deadline.index >= 0) this.clear(deadline)
    deadline.at = at
    deadline.order = this.#order++
    this.#heap.push(deadline)
    this.#up(this.#heap.length - 1, deadline)
    if (at < this.#wakesAt) this.#sleepUntil(at)
  }

  /** Takes it back, if it is set. */
  clear(deadline: Deadline): void {
    const { index } = deadline
    if (index < 0) return
    deadline.index = -1
    const last = this.#heap.pop()!
    if (last === deadline) return
    this.#down(index, last)
    this.#up(last.index, last)
  }

  /** Sleeps no longer where nothing is set: who waits for a process to be idle need not wait for that. */
  rest(): void {
    if (this.#heap.length === 0) this.close()
  }

  /** Forgets all. */
  close(): void {
    for (const deadline of this.#heap) deadline.index = -1
    this.#heap.length = 0
    this.#wakesAt = Infinity
    this.#sleeper?.interruptUnsafe()
    this.#sleeper = undefined
  }

  #sleepUntil(at: number): void {
    this.#sleeper?.interruptUnsafe()
    const sleep = Math.min(Math.max(0, at - this.now()), MAX_SLEEP)
    this.#wakesAt = at
    this.#sleeper = this.#fork(
      Effect.flatMap(this.#clock.sleep(Duration.millis(sleep)), () => Effect.sync(this.#wake)),
    )
  }

  readonly #wake = (): void => {
    this.#sleeper = undefined
    this.#wakesAt = Infinity
    const now = this.now()
    let first = this.#heap[0]
    while (first !== undefined && first.at <= now) {
      this.clear(first)
      first.fire()
      first = this.#heap[0]
    }
    if (first !== undefined && first.at < this.#wakesAt) this.#sleepUntil(first.at)
  }

  #up(index: number, deadline: Deadline): void {
    while (index > 0) {
      const above = (index - 1) >> 1
      const parent = this.#heap[above]!
      if (!before(deadline, parent)) break
      this.#place(index, parent)
      index = above
    }
    this.#place(index, deadline)
  }

  #down(index: number, deadline: Deadline): void {
    const { length } = this.#heap
    for (;;) {
      let below = 2 * index + 1
      if (below >= length) break
      if (below + 1 < length && before(this.#heap[below + 1]!, this.#heap[below]!)) below++
      const child = this.#heap[below]!
      if (!before(child, deadline)) break
      this.#place(index, child)
      index = below
    }
    this.#place(index, deadline)
  }

  #place(index: number, deadline: Deadline): void {
    this.#heap[index] = deadline
    deadline.index = index
  }
}
