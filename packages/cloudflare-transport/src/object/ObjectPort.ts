/** The port that the core of every Durable Object asks its platform through. */
import type { Limits } from "../protocol/Limits.ts"
import type { Log } from "./Log.ts"
import type { Sql } from "./Sql.ts"

/**
 * Storage, one alarm, timers, the clock and the log of one object. `ObjectRuntime` implements it in a Durable
 * Object; tests implement it on Node. No task given to it has an effect once the core that gave it has failed.
 */
export interface ObjectPort {
  /** The name of the object. */
  readonly name: string
  readonly limits: Limits
  readonly sql: Sql
  /** The time, epoch milliseconds. */
  readonly now: () => number
  readonly log: Log
  /** True if lines of the level `debug` are written. A line for each message is made only then. */
  readonly logsDebug: boolean
  /** Calls `done` once, at once or later in this turn, with the time of the alarm, or `null` if it is not armed. */
  readonly armedAt: (done: (at: number | null) => void) => void
  /** Arms the one alarm, epoch milliseconds, or disarms it with `null`. */
  readonly setAlarm: (at: number | null) => void
  /**
   * Runs the task after so many milliseconds, then sends what it gave. A crash loses it. Until it ran or the
   * returned function cancelled it, the object does not hibernate.
   */
  readonly later: (milliseconds: number, task: () => void) => () => void
  /** Runs the task when the current event has been processed, before any other event; then sends what it gave. */
  readonly defer: (task: () => void) => void
  /** Deletes all that is stored, tables and alarm too, unless newer code may have stored something else beside it. */
  readonly forget: () => void
}
