/**
 * What a durable actor sends: rows of the outbox, one call at a time for each target, in order, with all
 * that waits. A row stays until its target has taken it; a call that fails is repeated later, by the alarm,
 * and what came of it the first time is the target's to know.
 */
import type { Address } from "@signal-hub/actor-core"
import type { Sql } from "../object/Sql.ts"
import { fromRow, type StoredValue, toRow } from "../object/StoredValue.ts"
import {
  type ActorRpc,
  type Batch,
  type Delivery,
  isUnsupported,
  type Outcome,
} from "../delivery/ActorRpc.ts"
import type { DurableAlarm } from "./DurableAlarm.ts"

/** Most envelopes of one call. */
const MOST_ITEMS = 256
/**
 * Most bytes of them, as rows. The platform's calls take 32 MiB, and an empty list, one byte in a row, is five
 * there.
 */
const MOST_BYTES = 4_194_304
/** Rows that are read at once: they may be of 2 MB each. */
const PAGE = 16
/** Objects that are asked in turn for one address. */
const MOST_HOPS = 3
/** Milliseconds until a call that failed, or was never made, is made again: doubled each time. */
const FIRST_RETRY = 5_000
const LONGEST_RETRY = 3_600_000
/** Calls after which nobody is expected to take it any more: about a day. */
const MOST_ATTEMPTS = 32

interface Row {
  readonly n: number
  readonly delivery: StoredValue
  readonly attempts: number
  readonly due_at: number
}

/** What the row holds: its time runs by this clock, as that of who made the envelope may be another. */
interface Stored extends Delivery {
  /** When it was put there, epoch milliseconds. */
  readonly at: number
}

export interface CourierOptions {
  readonly sql: Sql
  readonly alarm: DurableAlarm
  readonly home: Address.Address
  readonly reach: (address: Address.Address) => Pick<ActorRpc, "deliver"> | undefined
  readonly now: () => number
  /** Told what became of each, together with its row's end. */
  readonly settled: (delivery: Delivery, outcome: Outcome) => void
  /** Writes together, and then does what follows from it. */
  readonly transaction: (writes: () => void) => void
}

export class Courier {
  readonly #options: CourierOptions
  readonly #calling = new Set<string>()
  #line: string | undefined

  constructor(options: CourierOptions) {
    this.#options = options
  }

  /** Stores what is to be sent. Part of a step; `kick` sends it. */
  put(target: Address.Address, delivery: Delivery): void {
    const { alarm, now, sql } = this.#options
    const stored: Stored = { ...delivery, at: now() }
    const dueAt = stored.at + FIRST_RETRY
    sql.run(
      "INSERT INTO actor_outbox (target, delivery, due_at) VALUES (?, ?, ?)",
      target,
      toRow(stored),
      dueAt,
    )
    alarm.atLatest(dueAt)
  }

  /** Sends what is due. */
  kickAll(): void {
    const { now, sql } = this.#options
    const query = "SELECT DISTINCT target FROM actor_outbox WHERE attempts = 0 OR due_at <= ?"
    for (const { target } of sql.all<{ target: Address.Address }>(query, now())) this.kick(target)
  }

  kick(target: Address.Address): void {
    if (this.#calling.has(target)) return
    this.#calling.add(target)
    void this.#run(target)
  }

  /** Sends an envelope that is no row: who waits for it does so in memory. */
  async once(delivery: Delivery): Promise<Outcome> {
    const { to } = delivery.envelope
    try {
      return (await this.carry(to, [delivery]))[0]!
    } catch {
      return { status: "refused", code: "actor_terminated", message: `${to} can't be reached` }
    }
  }

  async #run(target: Address.Address): Promise<void> {
    try {
      while (await this.#callOnce(target)) continue
    } catch (error) {
      this.#calling.delete(target)
      throw error
    }
  }

  /** Nothing waits: in the same turn, or what is put there meanwhile would wait for the alarm. */
  #rests(target: Address.Address): false {
    this.#calling.delete(target)
    return false
  }

  /** Sends what waits. Whether there may be more to send now. */
  async #callOnce(target: Address.Address): Promise<boolean> {
    const { now } = this.#options
    const rows = this.#waiting(target)
    if (rows.length === 0) return this.#rests(target)
    const deliveries = rows.map(({ delivery, n }) => aged(fromRow(delivery) as Stored, n, now()))
    let outcomes: ReadonlyArray<Outcome>
    try {
      outcomes = await this.carry(target, deliveries, `${this.#lineId()} ${target}`)
    } catch {
      this.#later(rows, deliveries)
      return this.#rests(target)
    }
    return this.#settle(rows, deliveries, outcomes) || this.#rests(target)
  }

  #waiting(target: Address.Address): ReadonlyArray<Row> {
    const { now, sql } = this.#options
    const query =
      "SELECT n, delivery, attempts, due_at FROM actor_outbox WHERE target = ? AND n > ? ORDER BY n LIMIT ?"
    const rows: Array<Row> = []
    let bytes = 0
    let page: ReadonlyArray<Row>
    do {
      page = sql.all<Row>(query, target, rows.at(-1)?.n ?? 0, PAGE)
      for (const row of page) {
        // What failed before holds up what is behind it: order is kept.
        if (rows.length === 0 && row.attempts > 0 && isHeld(row, now())) return []
        bytes += sizeOf(row.delivery)
        if (rows.length > 0 && bytes > MOST_BYTES) return rows
        rows.push(row)
      }
    } while (page.length === PAGE && rows.length < MOST_ITEMS)
    return rows
  }

  /**
   * Calls the object of an address, or the one that it names. Rejects where that fails. `line`: that of
   * what is reliable.
   */
  async carry(
    target: Address.Address,
    deliveries: ReadonlyArray<Delivery>,
    line?: string,
  ): Promise<ReadonlyArray<Outcome>> {
    const outcomes: Array<Outcome> = deliveries.map(() => nobody(target))
    let at = target
    let going = deliveries.map((_, index) => index)
    for (let hop = 0; hop < MOST_HOPS && going.length > 0; hop++) {
      const stub = this.#options.reach(at)
      if (stub === undefined) break
      const batch: Batch = {
        caller: { home: this.#options.home, claims: null, ...(line !== undefined && { line }) },
        deliveries: going.map((index) => deliveries[index]!),
      }
      let results: ReadonlyArray<Outcome>
      try {
        results = await stub.deliver(batch)
      } catch (error) {
        if (isUnsupported(error, "deliver")) break
        throw error
      }
      const onward: Array<number> = []
      for (const [i, index] of going.entries()) {
        const outcome = results[i]!
        if (outcome.status !== "elsewhere") outcomes[index] = outcome
        else if (outcome.at !== undefined) {
          at = outcome.at
          onward.push(index)
        }
      }
      going = onward
    }
    return outcomes
  }

  /** The name of what is sent reliably: random, one for each life of the storage. */
  #lineId(): string {
    return (this.#line ??= this.#loadLine())
  }

  #loadLine(): string {
    const { sql } = this.#options
    const [row] = sql.all<{ id: string }>("SELECT id FROM actor_line")
    if (row !== undefined) return row.id
    const id = crypto.randomUUID()
    sql.run("INSERT INTO actor_line (id) VALUES (?)", id)
    return id
  }

  /** Whether there may be more to send now. */
  #settle(
    rows: ReadonlyArray<Row>,
    deliveries: ReadonlyArray<Delivery>,
    outcomes: ReadonlyArray<Outcome>,
  ): boolean {
    const { settled, sql, transaction } = this.#options
    const full = outcomes.findIndex(
      (outcome) => outcome.status === "refused" && outcome.code === "queue_full",
    )
    const done = full === -1 ? rows.length : full
    transaction(() => {
      for (let i = 0; i < done; i++) {
        sql.run("DELETE FROM actor_outbox WHERE n = ?", rows[i]!.n)
        settled(deliveries[i]!, outcomes[i]!)
      }
    })
    if (full !== -1) this.#later(rows.slice(full), deliveries.slice(full))
    return full === -1
  }

  /** Tries again later; what was tried too often has failed. */
  #later(rows: ReadonlyArray<Row>, deliveries: ReadonlyArray<Delivery>): void {
    const { alarm, now, settled, sql, transaction } = this.#options
    const { attempts } = rows[0]!
    transaction(() => {
      for (const [i, row] of rows.entries()) {
        if (attempts + 1 >= MOST_ATTEMPTS) {
          sql.run("DELETE FROM actor_outbox WHERE n = ?", row.n)
          settled(deliveries[i]!, GONE)
          continue
        }
        const dueAt = now() + delayAfter(attempts)
        sql.run("UPDATE actor_outbox SET attempts = ?, due_at = ? WHERE n = ?", attempts + 1, dueAt, row.n)
        alarm.atLatest(dueAt)
      }
    })
  }
}

/** Milliseconds to the next attempt after so many failed. */
const delayAfter = (attempts: number): number => Math.min(FIRST_RETRY * 2 ** attempts, LONGEST_RETRY)

/** True while it waits for its next attempt; not where the clock was set back since, by more than the wait. */
const isHeld = ({ attempts, due_at }: Pick<Row, "attempts" | "due_at">, now: number): boolean =>
  due_at > now && due_at - now <= delayAfter(attempts)

const sizeOf = (row: StoredValue): number => (typeof row === "string" ? row.length : row.byteLength)

const GONE: Outcome = { status: "refused", code: "actor_terminated", message: "it can't be reached" }

const nobody = (address: Address.Address): Outcome => ({
  status: "refused",
  code: "unknown_actor",
  message: `nobody is at ${address}`,
})

/** With what is left of its time; what is reliable, under the number of its row. */
const aged = ({ ask, at, envelope }: Stored, n: number, now: number): Delivery => {
  const age = Math.max(0, now - at)
  const left = envelope.ttl === null ? null : Math.max(0, envelope.ttl - age)
  return {
    envelope: { ...envelope, ttl: left, ...(envelope.seq !== undefined && { seq: n }) },
    ...(ask !== undefined && { ask: { ...ask, timeout: Math.max(0, ask.timeout - age) } }),
  }
}
