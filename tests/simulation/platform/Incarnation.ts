/**
 * One life of a Durable Object in memory. What it does in a turn (the event with all its microtasks) is
 * heard outside only when what was written until then is durable: the output gate.
 */
import { Host } from "./Host.ts"
import type { ObjectPlace } from "./ObjectPlace.ts"
import type { Random } from "./Random.ts"

/** An event for the object. */
export interface Job {
  readonly label: string
  /** A promise tells when it is done, or that it has failed. */
  readonly run: (instance: Instance) => unknown
  /** The object crashed before its turn. */
  readonly lost: () => void
}

/** What the platform calls in the class of an object. */
export interface Instance {
  readonly fetch: (request: Request) => unknown
  readonly alarm: () => unknown
  readonly webSocketMessage: (socket: unknown, frame: unknown) => unknown
  readonly webSocketClose: (socket: unknown, code: number, reason: string, wasClean: boolean) => unknown
  readonly webSocketError: (socket: unknown, error: unknown) => unknown
  readonly [method: string]: (...args: ReadonlyArray<never>) => unknown
}

interface Gate {
  readonly turn: number
  readonly outputs: Array<() => void>
}

export class Incarnation extends Host {
  readonly place: ObjectPlace
  instance: Instance | undefined
  /** Events that wait until the object is ready. */
  readonly waiting: Array<Job> = []
  /** Calls of the object that run, each to be told that it is lost. */
  readonly served = new Set<() => void>()
  isBlocked = false
  isDraining = false
  #outputs: Array<() => void> = []
  readonly #gates: Array<Gate> = []

  constructor(place: ObjectPlace, name: string, random: Random) {
    super(name, random)
    this.place = place
  }

  override output(task: () => void): void {
    if (this.isAlive) this.#outputs.push(task)
  }

  /** Whether nothing keeps it in memory. */
  get isIdle(): boolean {
    const isBusy = this.isBlocked || this.timers + this.calls + this.served.size + this.waiting.length > 0
    return !isBusy && this.#gates.length === 0
  }

  override endTurn(): void {
    const { storage } = this.place
    const outputs = this.#outputs
    this.#outputs = []
    if (storage.seal()) this.place.commit(storage.lastTurn)
    if (storage.isDurable) for (const output of outputs) output()
    else if (outputs.length > 0) this.#gates.push({ turn: storage.lastTurn, outputs })
  }

  /** What was written up to this turn is durable. */
  committed(turn: number): void {
    while (this.#gates.length > 0 && this.#gates[0]!.turn <= turn) {
      for (const output of this.#gates.shift()!.outputs) output()
    }
  }

  /** Its memory is gone; of what waited for writes that became durable, the first so many still leave. */
  die(turn: number, random: Random): void {
    this.isAlive = false
    const outputs = this.#gates.filter((gate) => gate.turn <= turn).flatMap((gate) => gate.outputs)
    const leaving = outputs.slice(0, random.below(outputs.length + 1))
    for (const output of leaving) output()
    for (const job of this.waiting.splice(0)) job.lost()
    for (const lost of this.served) lost()
  }
}
