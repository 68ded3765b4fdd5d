/** The receive timeout of a durable actor while it runs: a row, and a cache of it. */
import { type Sql, upsert } from "../object/Sql.ts"
import type { DurableAlarm } from "./DurableAlarm.ts"

const STORE_RECEIVE_TIMEOUT = upsert("actor_receive_timeout", ["one"], ["at", "millis"])

/** It may come that much of its length too late, at most; milliseconds at least. */
const SLACK = 0.1
const LEAST_SLACK = 1_000
/** Milliseconds until one that the actor did not come to is signaled again. */
const AGAIN = 30_000

interface Row {
  readonly at: number
  readonly millis: number
}

const read = (sql: Sql): Row | null =>
  sql.all<{ at: number; millis: number }>("SELECT at, millis FROM actor_receive_timeout")[0] ?? null

/** Whether it is time for the signal. */
export const takeDue = (sql: Sql, now: number): boolean => {
  const row = read(sql)
  if (row === null || row.at > now) return false
  // The signal's own step sets it for the next time; without one, as after a crash, it comes again.
  sql.run("UPDATE actor_receive_timeout SET at = ?", now + Math.min(row.millis, AGAIN))
  return true
}

export interface DurableReceiveTimeoutOptions {
  readonly sql: Sql
  readonly alarm: DurableAlarm
  readonly now: () => number
  /** Writes with the step that is under way, or at once. */
  readonly stage: (write: () => void) => void
}

export class DurableReceiveTimeout {
  readonly #options: DurableReceiveTimeoutOptions
  #row: Row | null

  constructor(options: DurableReceiveTimeoutOptions) {
    this.#options = options
    this.#row = this.#read()
  }

  /** Milliseconds, or `null`: none. */
  set(millis: number | null): void {
    const { alarm, now, sql, stage } = this.#options
    // Set again by each start: it goes on where it was.
    if (this.#row?.millis === millis) return
    if (millis === null) {
      this.#row = null
      return stage(() => sql.run("DELETE FROM actor_receive_timeout"))
    }
    const at = now() + millis
    this.#row = { at, millis }
    stage(() => {
      sql.run(STORE_RECEIVE_TIMEOUT, 1, at, millis)
      alarm.atLatest(at)
    })
  }

  /** The actor has been at work; with a message, a write is worth it only now and then. Part of a step. */
  touched(byMessage: boolean): void {
    const { now, sql } = this.#options
    if (this.#row === null) return
    const { millis } = this.#row
    const at = now() + millis
    const slack = Math.max(LEAST_SLACK, millis * SLACK)
    if (byMessage && at - this.#row.at <= slack) return
    this.#row = { at, millis }
    sql.run("UPDATE actor_receive_timeout SET at = ?", at)
  }

  /** There is none any more. Part of a step. */
  forget(): void {
    this.#options.sql.run("DELETE FROM actor_receive_timeout")
    this.#row = null
  }

  /** The step came to nothing: it is what its row says. */
  abort(): void {
    this.#row = this.#read()
  }

  #read(): Row | null {
    const { alarm, sql } = this.#options
    return alarm.isArmed ? read(sql) : null
  }
}
