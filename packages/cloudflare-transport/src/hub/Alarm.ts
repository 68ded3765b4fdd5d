/**
 * The one alarm of a hub. It is armed for the earliest deadline there is, may come early, and is
 * absent when there is none: an alarm is a wake-up and a row written.
 */
import { earliestOf } from "../object/Sql.ts"
import type { HubPort } from "./HubPort.ts"

/** The earliest of each kind of deadline that is a row. */
const EARLIEST = [
  "SELECT min(grace_until) AS at FROM session WHERE grace_until IS NOT NULL",
  "SELECT min(token_until) AS at FROM session WHERE token_until IS NOT NULL",
  "SELECT min(lease_until) AS at FROM registration WHERE lease_until IS NOT NULL",
  "SELECT min(deadline) AS at FROM ask",
]
/** The last, as what is stored is deleted whole: those before it go with it, or while others are served. */
const LAST_RELEASED = "SELECT max(released_at) AS at FROM identity WHERE released_at IS NOT NULL"
const FIRST_UNUSED = "SELECT min(unused_since) AS at FROM subscription WHERE unused_since IS NOT NULL"

/** Arms the alarm of the object for the earliest stored deadline, and disarms it where there is none. */
export class Alarm {
  readonly #port: HubPort
  readonly #peersDueAt: () => number | undefined
  /** `undefined`: nobody had to know in this memory. */
  #armedAt: number | null | undefined
  /** The earliest deadline of those that came up while that is looked up. */
  #wanted: number | undefined

  /** `peersDueAt`: when it must come for what is not in these rows. */
  constructor(port: HubPort, peersDueAt: () => number | undefined) {
    this.#port = port
    this.#peersDueAt = peersDueAt
  }

  /** There is a deadline: the alarm comes then at the latest. */
  atLatest(at: number): void {
    if (this.#armedAt === undefined) return this.#lookUp(at)
    if (this.#armedAt !== null && this.#armedAt <= at) return
    this.#armedAt = at
    this.#port.setAlarm(at)
  }

  #lookUp(at: number): void {
    const isLookedUp = this.#wanted !== undefined
    this.#wanted = Math.min(this.#wanted ?? at, at)
    if (isLookedUp) return
    this.#port.armedAt((armedAt) => {
      const wanted = this.#wanted!
      this.#wanted = undefined
      // Armed anew meanwhile.
      if (this.#armedAt !== undefined) return
      this.#armedAt = armedAt
      this.atLatest(wanted)
    })
  }

  /** There is no deadline. */
  disarm(): void {
    this.#armedAt = null
    this.#port.setAlarm(null)
  }

  /**
   * Arms it anew for what there is left to wait for, or disarms it. `nextSweep` is absent where no socket is there:
   * then it comes for the epochs that are stored still, as nothing else has them forgotten.
   */
  rearm(nextSweep: number | undefined): void {
    const { limits, sql } = this.#port
    const never = Number.POSITIVE_INFINITY
    let at = Math.min(nextSweep ?? never, this.#peersDueAt() ?? never)
    for (const query of EARLIEST) at = Math.min(at, earliestOf(sql, query) ?? never)
    at = Math.min(at, (earliestOf(sql, FIRST_UNUSED) ?? never) + limits.durableSubscriptionFor)
    if (nextSweep === undefined)
      at = Math.min(at, (earliestOf(sql, LAST_RELEASED) ?? never) + limits.identityKeptFor)
    this.#armedAt = at === Number.POSITIVE_INFINITY ? null : at
    this.#port.setAlarm(this.#armedAt)
  }
}
