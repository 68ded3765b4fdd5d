/**
 * When actors run: never in the stack of who sends to them, soon after, in the order they became ready.
 *
 * One microtask serves all that is ready. After `BUDGET` runs the rest waits for a macrotask, so that
 * actors who write to each other without end don't starve timers and sockets.
 */
import type * as Scheduler from "effect/Scheduler"

/** Runs in one go before timers and sockets have their turn. */
export const BUDGET = 1_024

export class Dispatcher {
  readonly #scheduler: Scheduler.Scheduler
  #ready: Array<() => void> = []
  #scheduled = false

  constructor(scheduler: Scheduler.Scheduler) {
    this.#scheduler = scheduler
  }

  /** Runs the task soon. It must not throw. */
  schedule(task: () => void): void {
    this.#ready.push(task)
    if (this.#scheduled) return
    this.#scheduled = true
    void Promise.resolve().then(this.#drain)
  }

  readonly #drain = (): void => {
    let runs = 0
    while (this.#ready.length > 0) {
      const batch = this.#ready
      this.#ready = []
      for (const task of batch) task()
      runs += batch.length
      if (runs >= BUDGET && this.#ready.length > 0) {
        this.#scheduler.makeDispatcher().scheduleTask(this.#drain, 0)
        return
      }
    }
    this.#scheduled = false
  }
}
