/**
 * When actors run: never in the stack of who sends to them, soon after, in the order they became ready.
 *
 * One microtask serves all that is ready. An actor handles a limited number of messages and goes to the
 * end of the line; after `BUDGET` messages the rest waits for a macrotask, so that actors who write to
 * each other without end don't starve timers and sockets.
 */
import type * as Scheduler from "effect/Scheduler"
import type { Address } from "./Address.ts"

/** Messages in one go before timers and sockets have their turn. */
export const BUDGET = 8_192
/** Messages that an actor handles before others have their turn. */
const THROUGHPUT = 64

/** An actor that has something to do. */
export interface Runnable {
  readonly address: Address
  /** Does some of it and says how many messages that was. Must not throw. */
  readonly run: () => number
}

/** Runs what is ready. */
export interface Dispatcher {
  /** Messages that an actor handles before others have their turn. */
  readonly throughput: number
  /** Runs it soon, once. */
  readonly schedule: (runnable: Runnable) => void
}

const soon = Promise.resolve()

/** The dispatcher of an actor system. */
export class MicrotaskDispatcher implements Dispatcher {
  readonly throughput = THROUGHPUT
  readonly #scheduler: Scheduler.Scheduler
  #ready: Array<Runnable> = []
  #scheduled = false
  /** Whether timers and sockets have their turn. */
  #yields = false

  constructor(scheduler: Scheduler.Scheduler) {
    this.#scheduler = scheduler
  }

  schedule(runnable: Runnable): void {
    this.#ready.push(runnable)
    if (this.#scheduled) return
    this.#scheduled = true
    void soon.then(this.#runReady)
  }

  /**
   * Does the work, then runs what it has made ready, and what that makes ready, in the stack of the caller: for a
   * host at the edge of its system, which would else wait for a microtask. Not for who is run by this.
   */
  runAfter(work: () => void): void {
    this.#scheduled = true
    try {
      work()
    } finally {
      this.#runReady()
    }
  }

  readonly #runReady = (): void => {
    if (this.#yields) return
    let steps = 0
    while (this.#ready.length > 0) {
      const batch = this.#ready
      // What becomes ready meanwhile is for the next round.
      this.#ready = []
      for (const runnable of batch) steps += runnable.run() + 1
      if (steps >= BUDGET && this.#ready.length > 0) {
        this.#yields = true
        this.#scheduler.makeDispatcher().scheduleTask(this.#goOn, 0)
        return
      }
    }
    this.#scheduled = false
  }

  readonly #goOn = (): void => {
    this.#yields = false
    this.#runReady()
  }
}
