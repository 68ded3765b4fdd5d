/**
 * The one alarm of a hub. It is armed for the earliest deadline there is, may come early, and is
 * absent when there is none: an alarm is a wake-up and a row written.
 */
import type { HubHost } from "./HubHost.ts"

/** The earliest of each kind of deadline that is a row. */
const EARLIEST = `SELECT min(at) AS at FROM (
  SELECT min(grace_until) AS at FROM session WHERE grace_until IS NOT NULL
  UNION ALL SELECT min(token_until) FROM session WHERE token_until IS NOT NULL
  UNION ALL SELECT min(lease_until) FROM registration WHERE lease_until IS NOT NULL
  UNION ALL SELECT min(deadline) FROM ask
  UNION ALL SELECT min(unused_since) + ?1 FROM subscription WHERE unused_since IS NOT NULL
)`

export class Alarm {
  readonly #host: HubHost
  readonly #elsewhere: () => number | undefined
  /** `undefined`: nobody had to know in this memory. */
  #armedAt: number | null | undefined
  /** The earliest deadline of those that came up while that is looked up. */
  #wanted: number | undefined

  /** `elsewhere`: when it must come for what is not in these rows. */
  constructor(host: HubHost, elsewhere: () => number | undefined) {
    this.#host = host
    this.#elsewhere = elsewhere
  }

  /** There is a deadline: the alarm comes then at the latest. */
  atLatest(at: number): void {
    if (this.#armedAt === undefined) return this.#lookUp(at)
    if (this.#armedAt !== null && this.#armedAt <= at) return
    this.#armedAt = at
    this.#host.setAlarm(at)
  }

  #lookUp(at: number): void {
    const isLookedUp = this.#wanted !== undefined
    this.#wanted = Math.min(this.#wanted ?? at, at)
    if (isLookedUp) return
    this.#host.armedAt((armedAt) => {
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
    this.#host.setAlarm(null)
  }

  /** Arms it anew for what there is left to wait for, or disarms it. */
  rearm(nextSweep: number | undefined): void {
    const stored = this.#host.sql.all<{ at: number | null }>(
      EARLIEST,
      this.#host.limits.durableSubscriptionFor,
    )[0]!.at
    const never = Number.POSITIVE_INFINITY
    const at = Math.min(stored ?? never, nextSweep ?? never, this.#elsewhere() ?? never)
    this.#armedAt = at === Number.POSITIVE_INFINITY ? null : at
    this.#host.setAlarm(this.#armedAt)
  }
}
