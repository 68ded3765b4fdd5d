/**
 * A dispatcher whose order a test decides: by a seed, which gives the same order each time, or step by
 * step. It decides which actor's turn is next. What fibers and promises inside handlers do in between is
 * theirs.
 */
import * as Scheduler from "effect/Scheduler"
import type { Address } from "../Address.ts"
import type { Dispatcher, Runnable } from "../Dispatcher.ts"
import { makeRandom, type Random } from "./Random.ts"

export interface TestDispatcherOptions {
  /** Decides whose turn is next among those that are ready. Without one: who has been ready longest. */
  readonly seed?: number
  /** Messages that an actor handles in one turn. Default: 1, so that actors mix as finely as they can. */
  readonly throughput?: number
}

/** Turns in one go before timers and sockets have theirs. */
const BUDGET = 1_024
/** Turns after which `runAll` takes it that the actors keep each other busy for ever. */
const ENDLESS = 1_000_000

const soon = Promise.resolve()

export class TestDispatcher implements Dispatcher {
  readonly throughput: number
  readonly #random: Random | null
  readonly #automatic: boolean
  readonly #scheduler = new Scheduler.MixedScheduler()
  readonly #ready: Array<Runnable> = []
  #scheduled = false
  /** How many turns there were. */
  turns = 0

  private constructor(automatic: boolean, options: TestDispatcherOptions) {
    this.#automatic = automatic
    this.#random = options.seed === undefined ? null : makeRandom(options.seed)
    this.throughput = options.throughput ?? 1
  }

  /** Runs by itself, soon, in an order that the seed decides. */
  static seeded(seed: number, options: Omit<TestDispatcherOptions, "seed"> = {}): TestDispatcher {
    return new TestDispatcher(true, { ...options, seed })
  }

  /** Runs nothing but by `step` and `runAll`. */
  static stepwise(options: TestDispatcherOptions = {}): TestDispatcher {
    return new TestDispatcher(false, options)
  }

  /** The actors that have something to do, those that are so longest first. */
  get ready(): ReadonlyArray<Address> {
    return this.#ready.map(({ address }) => address)
  }

  schedule(runnable: Runnable): void {
    this.#ready.push(runnable)
    if (!this.#automatic || this.#scheduled) return
    this.#scheduled = true
    void soon.then(this.#drain)
  }

  /** One turn: of this actor, or of the one whose turn it is. Says whose; `null` where it has none. */
  step(actor?: { readonly address: Address }): Address | null {
    const index =
      actor === undefined ? this.#next() : this.#ready.findIndex(({ address }) => address === actor.address)
    return this.#turn(index)?.address ?? null
  }

  /** Steps until nobody is ready, and says how many turns that were. Throws where there is no end to it. */
  runAll(): number {
    let turns = 0
    while (this.#turn(this.#next()) !== undefined) {
      if (++turns >= ENDLESS) throw new Error(`the actors were not done after ${ENDLESS} turns`)
    }
    return turns
  }

  #turn(index: number): Runnable | undefined {
    const [runnable] = index < 0 ? [] : this.#ready.splice(index, 1)
    if (runnable === undefined) return undefined
    this.turns++
    runnable.run()
    return runnable
  }

  #next(): number {
    return this.#random === null ? 0 : Math.floor(this.#random() * this.#ready.length)
  }

  /** One turn in each microtask: what promises wake has its turn among them. */
  readonly #drain = (): void => {
    this.#turn(this.#next())
    if (this.#ready.length === 0) this.#scheduled = false
    else if (this.turns % BUDGET !== 0) void soon.then(this.#drain)
    else this.#scheduler.makeDispatcher().scheduleTask(this.#drain, 0)
  }
}
