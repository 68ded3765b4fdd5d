/**
 * What a durable actor tells itself: a timer's message when it is due, and the answer to an ask of its own.
 * Each is a row until it is handled; what is on its way to the actor is known here.
 */
import { type Address, AskError, type Envelope } from "@signal-hub/actor-core"
import { Continuation } from "@signal-hub/actor-core/hosting"
import { isTooLarge, type Sql } from "../object/Sql.ts"
import { fromRow, NotStorable, type StoredValue, toRow } from "../object/StoredValue.ts"
import type { DurableAlarm } from "./DurableAlarm.ts"

/** What a message comes from. */
type Own =
  | { readonly _tag: "Timer"; readonly key: string; readonly at: number }
  | { readonly _tag: "Answer"; readonly ask: string }

interface AskRow {
  readonly id: string
  readonly target: Address.Address
  /** The address that was asked, where somebody else has the ask now. */
  readonly asked: Address.Address | null
  readonly next: string
  readonly about: StoredValue
  readonly answer: StoredValue | null
}

interface TimerRow {
  readonly key: string
  readonly at: number
  readonly name: string
  readonly payload: StoredValue
}

/** The timers, as the journal of the actor has them. */
export interface OwnTimers {
  /** Whether the timer still waits for its message of that time. */
  readonly isDue: (key: string, at: number) => boolean
  /** A timer's message is done with. Part of a step. */
  readonly fired: (key: string, at: number) => void
}

export interface OwnMessagesOptions {
  readonly sql: Sql
  readonly alarm: DurableAlarm
  readonly timers: () => OwnTimers | undefined
  readonly transaction: (writes: () => void) => void
  readonly follow: (task: () => void) => void
  /** Gives the actor a message of its own. */
  readonly tell: (id: string, type: string, payload: unknown) => void
}

export class OwnMessages {
  readonly #options: OwnMessagesOptions
  readonly #coming = new Map<string, Own>()
  /** Called when the last of them is done. */
  #idle: () => void = () => undefined

  constructor(options: OwnMessagesOptions) {
    this.#options = options
  }

  has(id: string): boolean {
    return this.#coming.has(id)
  }

  /** Whether it is still to be handled: that of a timer that was cancelled is not. */
  isWanted(id: string): boolean {
    const { sql, timers } = this.#options
    const own = this.#coming.get(id)
    if (own === undefined) return true
    const wanted =
      own._tag === "Timer"
        ? timers()?.isDue(own.key, own.at) === true
        : sql.all("SELECT 1 FROM actor_ask WHERE id = ?", own.ask).length > 0
    if (!wanted) this.forget(id)
    return wanted
  }

  /** It is done with. Part of a step. */
  done(id: string): void {
    const { follow, sql, timers } = this.#options
    const own = this.#coming.get(id)
    if (own?._tag === "Timer") timers()?.fired(own.key, own.at)
    else if (own !== undefined) sql.run("DELETE FROM actor_ask WHERE id = ?", own.ask)
    follow(() => this.forget(id))
  }

  /** It is not on its way any more: its row, where there is one, has it told again. */
  forget(id: string): void {
    this.#coming.delete(id)
    if (this.#coming.size === 0) this.#idle()
  }

  /** The actor asks; `about` is told it with the answer, as the message `next`. Part of a step. */
  asked(id: string, target: Address.Address, deadline: number, next: string, about: unknown): void {
    const { alarm, sql } = this.#options
    sql.run(
      "INSERT INTO actor_ask (id, target, next, about, deadline) VALUES (?, ?, ?, ?, ?)",
      id,
      target,
      next,
      toRow(about),
      deadline,
    )
    alarm.atLatest(deadline)
  }

  /** Somebody else has the ask now. */
  forwarded(id: string, target: string): void {
    const query = "UPDATE actor_ask SET target = ?, asked = coalesce(asked, target) WHERE id = ?"
    this.#options.sql.run(query, target, id)
  }

  /** Who was asked and who has the ask now, where it is open. */
  find(id: string): { readonly asked: Address.Address; readonly target: Address.Address } | undefined {
    const query = "SELECT target, asked FROM actor_ask WHERE id = ?"
    const [row] = this.#options.sql.all<Pick<AskRow, "asked" | "target">>(query, id)
    return row && { target: row.target, asked: row.asked ?? row.target }
  }

  /** The answer to an ask: a row first, then a message. */
  answered(id: string, envelope: Envelope.Envelope): void {
    const { follow, transaction } = this.#options
    transaction(() => {
      try {
        this.#keep(id, read(envelope))
      } catch (error) {
        if (error instanceof NotStorable) this.#keep(id, NOT_STORABLE)
        else if (isTooLarge(error)) this.#keep(id, TOO_LARGE)
        else throw error
      }
      follow(() => this.#continue(id))
    })
  }

  #keep(id: string, answer: unknown): void {
    // The first answer is the answer.
    const query = "UPDATE actor_ask SET answer = ? WHERE id = ? AND answer IS NULL"
    this.#options.sql.run(query, toRow(answer), id)
  }

  /** Goes on with the answers that are there. */
  recover(): void {
    const query = "SELECT id FROM actor_ask WHERE answer IS NOT NULL"
    for (const { id } of this.#options.sql.all<{ id: string }>(query)) this.#continue(id)
  }

  /** The asks that nobody has answered in time. */
  overdue(now: number): ReadonlyArray<Pick<AskRow, "id" | "target">> {
    const query = "SELECT id, target FROM actor_ask WHERE deadline <= ? AND answer IS NULL"
    return this.#options.sql.all<AskRow>(query, now)
  }

  /** Tells of the timers that are due. */
  fire(now: number): void {
    const query = "SELECT key, at, name, payload FROM actor_timer WHERE at <= ? ORDER BY at"
    for (const { at, key, name, payload } of this.#options.sql.all<TimerRow>(query, now)) {
      this.#tell(`timer~${at}~${key}`, { _tag: "Timer", key, at }, name, fromRow(payload))
    }
  }

  /** When all are done, or have had the time to be. */
  settled(millis: number): Promise<void> {
    if (this.#coming.size === 0) return Promise.resolve()
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, millis)
      this.#idle = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  #continue(id: string): void {
    const [ask] = this.#options.sql.all<AskRow>("SELECT * FROM actor_ask WHERE id = ?", id)
    if (ask?.answer == null) return
    const payload = { about: fromRow(ask.about), answer: fromRow(ask.answer) }
    this.#tell(`answer~${id}`, { _tag: "Answer", ask: id }, ask.next, payload)
  }

  #tell(id: string, own: Own, type: string, payload: unknown): void {
    if (this.#coming.has(id)) return
    this.#coming.set(id, own)
    this.#options.tell(id, type, payload)
  }
}

/** How the ask ended, encoded as its continuation has it. */
const read = (envelope: Envelope.Envelope): unknown => {
  const failure = AskError.fromEnvelope(envelope)
  if (failure === undefined) return { _tag: "Success", value: envelope.payload }
  const isTyped = failure._tag === "ActorFailed" && failure.data !== undefined
  return isTyped ? { _tag: "Failure", error: failure.data } : Continuation.fromError(failure)
}

/** In the place of an answer that can't be encoded. */
const NOT_STORABLE = {
  _tag: "Refused",
  code: "invalid_message",
  message: "the answer could not be encoded, to be stored until the asker has it",
  retryable: false,
}

/** In the place of an answer that no row takes. */
const TOO_LARGE = {
  _tag: "Refused",
  code: "message_too_large",
  message:
    "the answer, with what is remembered of the ask, is larger than a row of the asker's database, 2 MB",
  retryable: false,
}
