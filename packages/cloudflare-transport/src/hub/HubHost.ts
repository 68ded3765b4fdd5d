/**
 * What the core of a hub needs from whoever runs it: storage, the open connections, one alarm, timers
 * that may be lost, a log. Everything else it is told: envelopes, closes and the clock's reading.
 */
import type { Address } from "@signal-hub/actor-core"
import type { Claims } from "../auth/Claims.ts"
import type { TokenRefused } from "../auth/TokenRefused.ts"
import type { Limits } from "../protocol/Limits.ts"
import type { Connection } from "../session/Connection.ts"
import type { Sql } from "../object/Sql.ts"

export type LogLevel = "debug" | "info" | "warn" | "error"

/** Fields of a log line. Never a payload, never a token or its claims. */
export type LogFields = { readonly [field: string]: unknown }

export interface HubHost {
  readonly sql: Sql
  readonly limits: Limits
  /** The open connection of this id. By index, never a scan. */
  readonly connection: (id: string) => Connection | undefined
  /** All open connections. Only the sweep walks them. */
  readonly connections: () => Iterable<Connection>
  /** Tells, once, at once or later in this turn, for when the alarm is armed; `null`: it is not. */
  readonly armedAt: (done: (at: number | null) => void) => void
  /** Arms the one alarm, or with `null` disarms it. */
  readonly setAlarm: (at: number | null) => void
  /**
   * Runs the task later in this memory's life, then flushes. A crash loses it; until it ran or was
   * cancelled, by what is given back, the object does not hibernate.
   */
  readonly later: (milliseconds: number, task: () => void) => () => void
  /** Runs the task once what came in together was taken, then flushes. A crash loses it. */
  readonly soon: (task: () => void) => void
  /**
   * Verifies a token and calls `done` once, later, within `connectTimeout`; then flushes. A crash loses it.
   * `null`: the hub is open.
   */
  readonly authenticate: ((token: string, done: (claims: Claims | TokenRefused) => void) => void) | null
  /** The hub's name, as tokens know it. */
  readonly name: string
  /** The one identity that connections to this object speak for; `undefined`: each names its own. */
  readonly identity?: Address.Address
  readonly now: () => number
  readonly log: (level: LogLevel, event: string, fields: LogFields) => void
  /** Whether lines of the level `debug` are written. What is logged of each message is made only then. */
  readonly logsDebug: boolean
}
