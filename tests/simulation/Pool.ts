/** Worker processes that live lives: each its own globals, one life at a time. */
import { type ChildProcess, fork } from "node:child_process"
import { join } from "node:path"
import type { Outcome } from "./entry.ts"

/** What a worker is asked for. `again`: whether the life is lived twice, to see that both are the same. */
export interface Order {
  readonly seed: number
  readonly steps: number
  readonly again: boolean
}

interface Work {
  readonly order: Order
  readonly done: (outcome: Outcome) => void
}

/** Milliseconds that a life may take: some never end, with a fault in the code. */
const MOST = 20_000

class Worker {
  readonly #module: string
  #child: ChildProcess | undefined

  constructor(module: string) {
    this.#module = module
  }

  live(order: Order): Promise<Outcome> {
    this.#child ??= fork(join(import.meta.dirname, "worker.ts"), [this.#module], {
      execArgv: ["--no-warnings"],
    })
    const child = this.#child
    return new Promise((resolve) => {
      const end = (outcome: Outcome): void => {
        clearTimeout(timer)
        child.removeAllListeners()
        resolve(outcome)
      }
      const broken = (invariant: string): void => {
        this.stop()
        end(failed(order.seed, invariant))
      }
      const timer = setTimeout(() => broken(`a life ends within ${MOST / 1_000} s`), MOST)
      child.once("message", (outcome) => end(outcome as Outcome))
      child.once("exit", (code) => broken(`a life does not end its process (${code})`))
      child.send(order)
    })
  }

  stop(): void {
    this.#child?.kill("SIGKILL")
    this.#child = undefined
  }
}

const failed = (seed: number, invariant: string): Outcome => ({
  seed,
  hash: "",
  invariant,
  detail: "",
  counts: {},
})

export class Pool {
  readonly #workers: ReadonlyArray<Worker>
  readonly #free: Array<Worker>
  readonly #waiting: Array<Work> = []

  constructor(module: string, size: number) {
    this.#workers = Array.from({ length: size }, () => new Worker(module))
    this.#free = [...this.#workers]
  }

  live(order: Order): Promise<Outcome> {
    return new Promise((done) => {
      this.#waiting.push({ order, done })
      void this.#next()
    })
  }

  stop(): void {
    for (const worker of this.#workers) worker.stop()
  }

  async #next(): Promise<void> {
    const worker = this.#free.pop()
    if (worker === undefined) return
    const work = this.#waiting.shift()
    if (work === undefined) {
      this.#free.push(worker)
      return
    }
    const outcome = await worker.live(work.order)
    this.#free.push(worker)
    work.done(outcome)
    void this.#next()
  }
}
