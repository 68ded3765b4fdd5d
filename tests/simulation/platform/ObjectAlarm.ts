/**
 * The one alarm of a Durable Object: it comes at its time or later, until its handler has ended well, and at
 * times once more.
 */
import type { Instance } from "./Incarnation.ts"
import type { ObjectPlace } from "./ObjectPlace.ts"
import { EPOCH } from "./Simulation.ts"

/** Milliseconds until a failed alarm comes again. */
const RETRY = 2_000
const LATEST = 60_000

export class ObjectAlarm {
  /** Set while the handler runs and has not set another: for when the alarm was. */
  ringing: number | null = null
  readonly #place: ObjectPlace

  constructor(place: ObjectPlace) {
    this.#place = place
  }

  /** For when it is armed, as the object sees it. */
  get at(): number | null {
    return this.ringing === null ? this.#place.storage.alarm : null
  }

  /** It may be another, or the clock may have jumped. */
  arm(): void {
    const { random, storage, world } = this.#place
    const at = storage.alarm
    if (at === null) return
    const late = random.chance(world.faults().alarmLate) ? random.next() * LATEST : 0
    // A whole millisecond later: its clock has no parts of one.
    const delay = Math.ceil(at - this.#now()) + 1
    world.simulation.schedule(delay + late, () => this.#ring(at))
  }

  #now(): number {
    const { clockOffset, simulation } = this.#place.world
    return EPOCH + simulation.now + clockOffset()
  }

  #ring(at: number): void {
    if (this.#place.storage.alarm !== at || this.ringing !== null) return
    if (this.#now() < at) return this.arm()
    this.#place.dispatch({ label: "alarm", run: (instance) => this.#run(instance, at), lost: () => {} })
  }

  async #run(instance: Instance, at: number): Promise<void> {
    const { random, storage, world } = this.#place
    if (storage.alarm !== at || this.ringing !== null) return
    const life = this.#place.incarnation!
    this.ringing = at
    try {
      // Not awaited where it need not be: the turn ends with the handler.
      const result = instance.alarm()
      if (result instanceof Promise) await result
    } catch (error) {
      if (!life.isAlive) return
      this.ringing = null
      world.simulation.schedule(RETRY, () => this.#ring(at), life)
      throw error
    }
    if (!life.isAlive) return
    const isSetAnew = this.ringing === null
    this.ringing = null
    if (isSetAnew) return
    if (random.chance(world.faults().alarmTwice)) {
      world.simulation.schedule(random.next() * RETRY, () => this.#ring(at), life)
    } else storage.setAlarm(null)
  }
}
