/**
 * The clock and all that is to happen, in one queue: one event at a time, each as its host, with all the
 * microtasks that it brings. Who runs twice from one seed sees the same twice.
 */
import type { Host } from "./Host.ts"
import { Queue, type Scheduled } from "./Queue.ts"
import { Random } from "./Random.ts"
import { real } from "./real.ts"
import { Trace } from "./Trace.ts"

/** When simulations begin, epoch milliseconds. */
export const EPOCH = 1_800_000_000_000

/** So many events are no life any more but a loop. */
const MOST_EVENTS = 400_000

export class Simulation {
  readonly random: Random
  readonly trace: Trace
  /** Milliseconds since it began: what no clock that jumps changes. */
  now = 0
  /** Whose code runs. */
  current: Host | undefined
  events = 0
  /** Called for each error that nobody caught, and each line that is logged. */
  onError: (host: Host | undefined, error: unknown) => void = () => {}
  onLog: (host: Host | undefined, level: string, line: string) => void = () => {}
  /** Called after each event. */
  afterEvent: () => void = () => {}
  readonly #queue = new Queue()

  constructor(seed: number, keepsTrace: boolean) {
    this.random = new Random(`seed ${seed}`)
    this.trace = new Trace(keepsTrace)
  }

  /** Runs the task later, as this host if it still lives then. */
  schedule(delay: number, task: () => void, host?: Host): Scheduled {
    return this.at(this.now + Math.max(0, delay), task, host)
  }

  /** Runs the task at that time. Times that are to be equal must not be sums. */
  at(time: number, task: () => void, host?: Host): Scheduled {
    return this.#queue.add(time, task, host)
  }

  /** The event under way is this host's. */
  enter(host: Host): void {
    this.current = host
  }

  note(what: string, detail?: string): void {
    this.trace.note(this.now, what, detail)
  }

  /** What the clock says: `Date.now()`. */
  dateNow(): number {
    return Math.floor(EPOCH + this.now + (this.current?.clockOffset ?? 0))
  }

  /** Runs all there is until then, or until `stop` says so. */
  run(until: number, stop: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const next = (): void => {
        this.#end()
        const event = this.#queue.take(until)
        if (event === undefined || stop()) {
          if (event === undefined) this.now = Math.max(this.now, until)
          return resolve()
        }
        if (++this.events > MOST_EVENTS) return reject(new Error(`more than ${MOST_EVENTS} events`))
        this.now = event.at
        this.current = event.host
        try {
          event.task()
        } catch (error) {
          this.onError(this.current, error)
        }
        // Not before all microtasks have run.
        real.setImmediate(next)
      }
      next()
    })
  }

  #end(): void {
    const host = this.current
    if (host?.isAlive === true) {
      try {
        host.endTurn()
      } catch (error) {
        this.onError(host, error)
      }
    }
    this.current = undefined
    this.afterEvent()
  }
}
