/**
 * Outgoing calls, a lane for each target: what is put into one arrives in that order, as there is one call
 * in flight, and what comes meanwhile travels together in the next. Lanes don't wait for one another.
 */
import { PayloadValue } from "@signal-hub/actor-core"
import { CallFailed } from "./Rpc.ts"

/** Most bytes of a call: the platform takes 32 MiB, of which this leaves room for how it encodes them. */
const MAX_CALL_BYTES = 8 * 1_048_576

interface Lane<Item, Result> {
  /** What waits, the bytes of each, and who is told of it. */
  items: Array<Item>
  sizes: Array<number>
  bytes: number
  dones: Array<(result: Result | CallFailed) => void>
  isCalling: boolean
}

export interface LanesOptions<Item, Result> {
  /** Carries the items to the target in one call; `done` gets a result for each, or why there is none. */
  readonly call: (
    target: string,
    items: ReadonlyArray<Item>,
    done: (results: ReadonlyArray<Result> | CallFailed) => void,
  ) => void
  /** Runs the task once the event under way was taken whole, so that what it gave travels together. */
  readonly defer: (task: () => void) => void
  /** Most items of a call. */
  readonly maxItems: number
  /** Most items that may wait in a lane. */
  readonly maxWaiting: number
  /** Bytes that may wait in a lane. */
  readonly maxWaitingBytes: number
  /** Most calls in flight at once, of all lanes. */
  readonly maxCalls: number
}

export class Lanes<Item, Result> {
  readonly #options: LanesOptions<Item, Result>
  readonly #lanes = new Map<string, Lane<Item, Result>>()
  /** Targets of lanes that may call, in the order in which they became ready. */
  #ready: Array<string> = []
  #calls = 0
  #isDeferred = false

  constructor(options: LanesOptions<Item, Result>) {
    this.#options = options
  }

  /**
   * Puts an item in line. `done` is told once, later, what became of it; that the line is full, too, unless it
   * is `unbounded` for this one.
   */
  push(target: string, item: Item, done: (result: Result | CallFailed) => void, unbounded = false): void {
    let lane = this.#lanes.get(target)
    if (lane === undefined) this.#lanes.set(target, (lane = emptyLane()))
    const { maxWaiting, maxWaitingBytes } = this.#options
    if (!unbounded && (lane.items.length >= maxWaiting || lane.bytes >= maxWaitingBytes)) {
      const full = new CallFailed("queue_full", `${lane.items.length} messages wait for ${target} already`)
      return this.#options.defer(() => done(full))
    }
    const size = PayloadValue.memoryOf(item)
    lane.bytes += size
    lane.sizes.push(size)
    lane.items.push(item)
    lane.dones.push(done)
    if (lane.items.length === 1 && !lane.isCalling) this.#becomesReady(target)
  }

  /** Takes all that waits out of the line; `done` of each is told why. What is under way goes on. */
  drop(target: string, why: CallFailed): void {
    const lane = this.#lanes.get(target)
    if (lane === undefined) return
    const { dones } = lane
    lane.items = []
    lane.sizes = []
    lane.bytes = 0
    lane.dones = []
    if (!lane.isCalling) this.#lanes.delete(target)
    for (const done of dones) done(why)
  }

  /** Whether anything is in line or under way. */
  get isIdle(): boolean {
    return this.#lanes.size === 0
  }

  /** Whether a call to the target is in flight. */
  isCalling(target: string): boolean {
    return this.#lanes.get(target)?.isCalling === true
  }

  #becomesReady(target: string): void {
    this.#ready.push(target)
    if (this.#isDeferred) return
    this.#isDeferred = true
    this.#options.defer(this.#startDeferred)
  }

  readonly #startDeferred = (): void => {
    this.#isDeferred = false
    this.#start()
  }

  #start(): void {
    while (this.#calls < this.#options.maxCalls) {
      const target = this.#ready.shift()
      if (target === undefined) return
      const lane = this.#lanes.get(target)
      // What was in line may have been dropped meanwhile, and come to be ready again.
      if (lane !== undefined && !lane.isCalling && lane.items.length > 0) this.#callNext(target, lane)
    }
  }

  /** How many of those in line one call takes: one at least. */
  #fitting({ bytes, sizes }: Lane<Item, Result>): number {
    const most = Math.min(sizes.length, this.#options.maxItems)
    if (bytes <= MAX_CALL_BYTES) return most
    let count = 1
    for (let sum = sizes[0]!; count < most; count++) {
      sum += sizes[count]!
      if (sum > MAX_CALL_BYTES) break
    }
    return count
  }

  #callNext(target: string, lane: Lane<Item, Result>): void {
    const { items, dones, sizes } = lane
    const count = this.#fitting(lane)
    lane.items = items.length > count ? items.splice(count) : []
    lane.dones = dones.length > count ? dones.splice(count) : []
    lane.sizes = sizes.length > count ? sizes.splice(count) : []
    for (const size of sizes) lane.bytes -= size
    lane.isCalling = true
    this.#calls++
    this.#options.call(target, items, (results) => {
      this.#calls--
      lane.isCalling = false
      if (lane.items.length > 0) this.#becomesReady(target)
      else this.#lanes.delete(target)
      for (let at = 0; at < dones.length; at++) {
        dones[at]!(results instanceof CallFailed ? results : results[at]!)
      }
      this.#start()
    })
  }
}

const emptyLane = <Item, Result>(): Lane<Item, Result> => ({
  items: [],
  sizes: [],
  bytes: 0,
  dones: [],
  isCalling: false,
})
