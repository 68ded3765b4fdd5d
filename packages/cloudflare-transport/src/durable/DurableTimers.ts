/**
 * The timers of a durable actor while it runs: rows, and a cache of when each is due. The messages of those
 * that are due come from `OwnMessages`.
 */
import type { Protocol, Timers } from "@signal-hub/actor-core"
import * as Duration from "effect/Duration"
import { type Sql, upsert } from "../object/Sql.ts"
import { toRow } from "../object/StoredValue.ts"
import type { DurableAlarm } from "./DurableAlarm.ts"
import type { OwnTimers } from "./OwnMessages.ts"
import { encodePayload, LONGEST } from "./Stored.ts"

const STORE_TIMER = upsert("actor_timer", ["key"], ["at", "every", "name", "payload"])

export interface DurableTimersOptions {
  readonly sql: Sql
  readonly alarm: DurableAlarm
  readonly protocol: Protocol.Any
  readonly now: () => number
  /** Writes with the step that is under way, or at once. */
  readonly stage: (write: () => void) => void
}

export class DurableTimers implements Timers<Protocol.Any>, OwnTimers {
  readonly #options: DurableTimersOptions
  #dueAt: Map<string, number>

  constructor(options: DurableTimersOptions) {
    this.#options = options
    this.#dueAt = this.#read()
  }

  once(key: string, delay: Duration.Input, name: string, payload: unknown): void {
    this.#set(key, Math.max(0, Duration.toMillis(delay)), null, name, payload)
  }

  every(key: string, interval: Duration.Input, name: string, payload: unknown): void {
    const millis = Duration.toMillis(interval)
    if (!(millis >= 1)) throw new RangeError(`a timer can't tick every ${millis} ms: 1 ms at least`)
    this.#set(key, millis, millis, name, payload)
  }

  has(key: string): boolean {
    return this.#dueAt.has(key)
  }

  cancel(key: string): boolean {
    const { sql, stage } = this.#options
    if (!this.#dueAt.delete(key)) return false
    stage(() => sql.run("DELETE FROM actor_timer WHERE key = ?", key))
    return true
  }

  cancelAll(): void {
    const { sql, stage } = this.#options
    this.#dueAt.clear()
    stage(() => sql.run("DELETE FROM actor_timer"))
  }

  isDue(key: string, at: number): boolean {
    return this.#dueAt.get(key) === at
  }

  fired(key: string, at: number): void {
    const { alarm, now, sql } = this.#options
    const query = "SELECT every FROM actor_timer WHERE key = ? AND at = ?"
    const [row] = sql.all<{ every: number | null }>(query, key, at)
    if (row === undefined) return
    if (row.every === null) {
      sql.run("DELETE FROM actor_timer WHERE key = ?", key)
      if (this.isDue(key, at)) this.#dueAt.delete(key)
      return
    }
    // Ticks that are past already are left out, and the rate is kept.
    const late = Math.max(0, Math.floor((now() - at) / row.every))
    const next = at + (late + 1) * row.every
    sql.run("UPDATE actor_timer SET at = ? WHERE key = ?", next, key)
    if (this.isDue(key, at)) this.#dueAt.set(key, next)
    alarm.atLatest(next)
  }

  /** There are none any more. Part of a step. */
  forget(): void {
    this.#options.sql.run("DELETE FROM actor_timer")
    this.#dueAt.clear()
  }

  /** The step came to nothing: they are what their rows say. */
  abort(): void {
    this.#dueAt = this.#read()
  }

  #set(key: string, delay: number, every: number | null, name: string, payload: unknown): void {
    const { alarm, now, protocol, sql, stage } = this.#options
    const encoded = encodePayload(protocol, name, payload)
    const at = Math.ceil(now() + Math.min(delay, LONGEST))
    this.#dueAt.set(key, at)
    stage(() => {
      sql.run(STORE_TIMER, key, at, every, name, toRow(encoded))
      alarm.atLatest(at)
    })
  }

  #read(): Map<string, number> {
    if (!this.#options.alarm.isArmed) return new Map()
    const rows = this.#options.sql.all<{ key: string; at: number }>("SELECT key, at FROM actor_timer")
    return new Map(rows.map(({ at, key }) => [key, at]))
  }
}
