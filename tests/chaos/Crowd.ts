/** Who speaks for the identities: processes that crash, take over from one another and take back. */
import { setTimeout as sleep } from "node:timers/promises"
import { Process, type Surroundings } from "./Process.ts"

/** The part of changes in which the process before crashes, and how long nobody is there then at most. */
const CRASHES = 0.4
const LONGEST_ABSENCE = 1_500
/** The part of superseded processes that take the identity back, and how long they wait at most. */
const RECLAIMS = 0.15
const LONGEST_WAIT = 500
/** How often it is looked whether a process knows already, in milliseconds. */
const LOOK = 20

export class Crowd {
  readonly counts = { processes: 0, takeovers: 0, crashes: 0, reclaims: 0 }
  readonly #world: Surroundings
  /** Who speaks for each identity, as far as is known here, and who did before and has not ended. */
  readonly #current = new Map<string, Process>()
  readonly #others = new Set<Process>()
  /** Identities whose process changes now. */
  readonly #changing = new Set<string>()
  readonly #tasks = new Set<Promise<void>>()

  constructor(world: Surroundings) {
    this.#world = world
  }

  /** Everybody is there before anybody speaks. */
  async begin(): Promise<void> {
    await Promise.all(this.#world.identities.map((identity) => this.#appoint(identity).start()))
    for (const process of this.#current.values()) this.#run(process.talk())
  }

  /** Another process takes over, from one that lives or one that crashes. */
  change(): void {
    const identity = this.#world.random.one(this.#world.identities)
    if (this.#changing.has(identity)) return
    this.#changing.add(identity)
    this.#run(this.#change(identity).finally(() => this.#changing.delete(identity)))
  }

  /** Waits for what is under way. */
  async rest(): Promise<void> {
    await Promise.all(this.#tasks)
  }

  /** Whether everybody who should be is connected. */
  get isConnected(): boolean {
    return [...this.#current.values()].every((process) => process.isConnected)
  }

  /** One live epoch an identity, and that the last, here and as it is stored. */
  judge(stored: ReadonlyMap<string, number>): void {
    const { ledger } = this.#world
    const rule = "one live epoch an identity"
    for (const [identity, process] of this.#current) {
      const last = ledger.epochOf(identity)
      const here = process.isConnected ? process.epoch : undefined
      const there = stored.get(identity)
      if (here === last && there === last) continue
      const detail = `${identity}: the last epoch is ${last}; ${process.name} has ${here}, stored is ${there}`
      ledger.violated(rule, undefined, detail)
    }
    for (const { identity, isConnected, name } of this.#others) {
      if (isConnected) ledger.violated(rule, undefined, `${name} of ${identity} is connected, too`)
    }
  }

  async end(): Promise<void> {
    await Promise.all([...this.#current.values(), ...this.#others].map((process) => process.close()))
  }

  async #change(identity: Process["identity"]): Promise<void> {
    const { random } = this.#world
    const old = this.#current.get(identity)!
    const isCrash = random.chance(CRASHES)
    if (isCrash) {
      this.counts.crashes++
      old.crash()
      await sleep(random.between(0, LONGEST_ABSENCE))
    }
    const next = this.#appoint(identity)
    await next.start()
    this.counts.takeovers++
    this.#run(next.talk())
    if (!isCrash) await this.#supersede(old, next)
  }

  /** Who lost its identity ends, or takes it back, and the winner ends. */
  async #supersede(loser: Process, winner: Process): Promise<void> {
    const { random } = this.#world
    this.#others.add(loser)
    // It learns of it when its connection lets it.
    while (!loser.isSuperseded) await sleep(LOOK)
    await sleep(random.between(0, LONGEST_WAIT))
    this.#others.delete(loser)
    if (!random.chance(RECLAIMS)) return loser.close()
    this.counts.reclaims++
    this.#current.set(loser.identity, loser)
    this.#others.add(winner)
    loser.reclaim()
    this.#run(loser.talk())
    while (!winner.isSuperseded) await sleep(LOOK)
    this.#others.delete(winner)
    await winner.close()
  }

  #appoint(identity: Process["identity"]): Process {
    const process = new Process(`p${++this.counts.processes}`, identity, this.#world)
    this.#current.set(identity, process)
    return process
  }

  #run(task: Promise<void>): void {
    const tracked = task.finally(() => this.#tasks.delete(tracked))
    this.#tasks.add(tracked)
  }
}
