/**
 * The one alarm of a durable actor, armed for the earliest of its deadlines, which are rows. It may come
 * early; there is none where there is no deadline, nor anything that a lost memory would have left undone. So it
 * says also whether there are such rows.
 */
import { earliestOf, type Sql } from "../object/Sql.ts"

/** The earliest of each kind of deadline. */
const EARLIEST = [
  "SELECT min(at) AS at FROM actor_timer",
  "SELECT min(deadline) AS at FROM actor_ask WHERE answer IS NULL",
  "SELECT min(deadline) AS at FROM actor_owed",
  "SELECT min(due_at) AS at FROM actor_outbox",
  "SELECT at FROM actor_receive_timeout",
]
/** What is only to be tried again. */
const UNDONE = [
  "SELECT 1 FROM actor_inbox LIMIT 1",
  "SELECT 1 FROM actor_ask WHERE answer IS NOT NULL LIMIT 1",
  "SELECT 1 FROM actor_stream LIMIT 1",
  "SELECT 1 FROM actor_watching WHERE begun = 0 OR reason IS NOT NULL LIMIT 1",
]

/** Milliseconds until what could not be done is tried again. */
const AGAIN = 30_000
/** Milliseconds until what is overdue is looked at again, as it is being done. */
const SOON = 1_000

export class DurableAlarm {
  readonly #sql: Sql
  readonly #set: (at: number | null) => void
  #armedAt: number | null

  constructor(sql: Sql, armedAt: number | null, set: (at: number | null) => void) {
    this.#sql = sql
    this.#armedAt = armedAt
    this.#set = set
  }

  /** Where it is not, there is no row that waits for something: none need be looked for. */
  get isArmed(): boolean {
    return this.#armedAt !== null
  }

  /** Looks whether it should be: the platform gives up on an alarm that fails again and again. */
  check(now: number): void {
    if (this.isArmed) return
    const at = this.#earliest(now)
    if (at !== Infinity) this.atLatest(Math.max(at, now + SOON))
  }

  /** Runs the writes; undone, they leave it armed as it was. */
  within(writes: () => void): void {
    const before = this.#armedAt
    try {
      writes()
    } catch (error) {
      this.#armedAt = before
      throw error
    }
  }

  /** There is a deadline: the alarm comes then at the latest. */
  atLatest(at: number): void {
    if (this.#armedAt !== null && this.#armedAt <= at) return
    this.#armedAt = at
    this.#set(at)
  }

  /** Arms it anew, after it came. */
  rearm(now: number): void {
    const at = this.#earliest(now)
    this.#armedAt = at === Infinity ? null : Math.max(at, now + SOON)
    this.#set(this.#armedAt)
  }

  #earliest(now: number): number {
    const isUndone = UNDONE.some((query) => this.#sql.all(query).length > 0)
    const deadlines = EARLIEST.map((query) => earliestOf(this.#sql, query) ?? Infinity)
    return Math.min(isUndone ? now + AGAIN : Infinity, ...deadlines)
  }
}
