/**
 * What others sent to a durable actor, from its coming until it is done. What is reliable, or an ask, is
 * done once: that it was done is remembered with its answer, by a row where it is reliable or changed
 * something, in memory where it is an ask that did neither. What is not done soon becomes a row, before
 * its sender hears that it is taken.
 */
import type { Envelope } from "@signal-hub/actor-core"
import { isTooLarge, type Sql } from "../storage/Sql.ts"
import { fromRow, type StoredValue, toRow } from "../storage/StoredValue.ts"
import { type Answer, DEDUPE_WINDOW, type Delivery, type Outcome, TAKEN } from "./ActorRpc.ts"
import type { DurableAlarm } from "./DurableAlarm.ts"

/** After so many, what is too old to be remembered goes. */
const PURGE_EVERY = 64
/** How many answers are remembered that are no rows. */
const MOST_RECENT = 1_000
/** When what is a row is looked at, should memory be lost, milliseconds. */
const RECOVERY = 30_000

const soon = Promise.resolve()

/** Something that came and is to be done once. */
export class Taken {
  readonly delivery: Delivery
  isStored = false
  outcome: Outcome | null = null
  #waiting: Array<() => void> = []

  constructor(delivery: Delivery) {
    this.delivery = delivery
  }

  get isAsk(): boolean {
    return this.delivery.envelope.pattern === "ask"
  }

  /** Whether a call waits for what becomes of it. */
  get isWaitedFor(): boolean {
    return this.#waiting.length > 0
  }

  settle(outcome: Outcome): void {
    this.outcome = outcome
    for (const told of this.#waiting.splice(0)) told()
  }

  /** Until all are done, or the time is over. */
  static wait(all: ReadonlyArray<Taken>, millis: number): Promise<void> {
    return new Promise((resolve) => {
      let open = all.length
      const told = (): void => {
        if (--open > 0) return
        clearTimeout(timer)
        resolve()
      }
      let timer: ReturnType<typeof setTimeout> | null = null
      for (const taken of all) {
        if (taken.outcome === null) taken.#waiting.push(told)
        else told()
      }
      // After the actor's turn, which nearly always does it all: then there is nothing to wait for.
      const wait = (): void => {
        if (open <= 0) return
        timer = setTimeout(() => {
          for (const taken of all) taken.#waiting = taken.#waiting.filter((one) => one !== told)
          resolve()
        }, millis)
      }
      void soon.then(wait)
    })
  }
}

export interface InboxOptions {
  readonly sql: Sql
  readonly alarm: DurableAlarm
  readonly now: () => number
  /** Writes together. */
  readonly transaction: (writes: () => void) => void
  /** Runs what follows once what is being written is. */
  readonly follow: (task: () => void) => void
  /** Gives it to the actor. */
  readonly receive: (envelope: Envelope.Envelope) => void
}

export class Inbox {
  readonly #options: InboxOptions
  readonly #taken = new Map<string, Taken>()
  /** Answers of asks that changed nothing: no rows, as they would cost the only write that there is. */
  readonly #recent = new Map<string, Answer>()
  /** Senders of whom it is known whether there are rows, so that none is looked for where there is none. */
  readonly #remembers = new Map<string, boolean>()
  #closed = 0

  constructor(options: InboxOptions) {
    this.#options = options
  }

  /** Takes a message, once. What became of it, where that is known at once. */
  take(delivery: Delivery): Outcome | Taken {
    const { receive } = this.#options
    const { envelope } = delivery
    if (envelope.pattern === "tell" && envelope.seq === undefined) {
      receive(envelope)
      return TAKEN
    }
    const key = keyOf(envelope.from, envelope.id)
    const same = this.#taken.get(key)
    if (same !== undefined) return same
    const recent = this.#recent.get(key)
    if (recent !== undefined) return { status: "answered", answer: recent }
    const before = this.#handled(envelope.from, envelope.id)
    if (before !== undefined) {
      if (before.answer === null) return TAKEN
      return { status: "answered", answer: fromRow(before.answer) as Answer }
    }
    const taken = new Taken(delivery)
    this.#taken.set(key, taken)
    receive(envelope)
    return taken
  }

  /** The row of what was done before. */
  #handled(sender: string, id: string): { readonly answer: StoredValue | null } | undefined {
    const { sql } = this.#options
    let remembers = this.#remembers.get(sender)
    if (remembers === undefined) {
      remembers = sql.all("SELECT 1 FROM handled WHERE sender = ? LIMIT 1", sender).length > 0
      if (this.#remembers.size >= MOST_RECENT) this.#remembers.clear()
      this.#remembers.set(sender, remembers)
    }
    if (!remembers) return undefined
    const query = "SELECT answer FROM handled WHERE sender = ? AND id = ?"
    return sql.all<{ answer: StoredValue | null }>(query, sender, id)[0]
  }

  find(sender: string, id: string): Taken | undefined {
    return this.#taken.get(keyOf(sender, id))
  }

  /** Stores those that are not done: a crash does not lose them. */
  store(all: ReadonlyArray<Taken>): void {
    const { alarm, now, transaction } = this.#options
    const open = all.filter(({ isStored, outcome }) => outcome === null && !isStored)
    if (open.length === 0) return
    transaction(() => {
      for (const taken of open) this.#store(taken)
      alarm.atLatest(now() + RECOVERY)
    })
  }

  #store(taken: Taken): void {
    const { follow, sql } = this.#options
    const { envelope } = taken.delivery
    try {
      sql.run(
        "INSERT OR IGNORE INTO inbox (sender, id, delivery) VALUES (?, ?, ?)",
        envelope.from,
        envelope.id,
        toRow(taken.delivery),
      )
      follow(() => void (taken.isStored = true))
    } catch (error) {
      // Volatile, it may be lost with the memory. What is reliable is its sender's until it is done.
      if (!isTooLarge(error) || envelope.seq !== undefined) throw error
    }
  }

  /** Takes again what is stored and not under way. */
  recover(): void {
    const rows = this.#options.sql.all<{ delivery: StoredValue }>("SELECT delivery FROM inbox ORDER BY n")
    for (const row of rows) {
      const delivery = fromRow(row.delivery) as Delivery
      const { envelope } = delivery
      if (this.find(envelope.from, envelope.id) !== undefined) continue
      const taken = new Taken(delivery)
      taken.isStored = true
      this.#taken.set(keyOf(envelope.from, envelope.id), taken)
      this.#options.receive(envelope)
    }
  }

  /** Done: that is remembered, with the answer, if there is one. Part of a step. */
  close(taken: Taken, answer: Answer | null): void {
    const { now, sql } = this.#options
    const { envelope } = taken.delivery
    this.#remembers.set(envelope.from, true)
    sql.run(
      "INSERT INTO handled (sender, id, at, answer) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
      envelope.from,
      envelope.id,
      now(),
      answer === null ? null : toRow(answer),
    )
    if (this.#closed++ % PURGE_EVERY === 0) {
      sql.run(
        "DELETE FROM handled WHERE n IN (SELECT n FROM handled ORDER BY n LIMIT ?) AND at < ?",
        2 * PURGE_EVERY,
        now() - DEDUPE_WINDOW,
      )
    }
    this.discard(taken, answer === null ? TAKEN : { status: "answered", answer })
  }

  /** An ask that changed nothing, and need not be known for longer than memory lasts. */
  closeLightly(taken: Taken, answer: Answer): void {
    const { from, id } = taken.delivery.envelope
    this.#recent.set(keyOf(from, id), answer)
    if (this.#recent.size > MOST_RECENT) {
      for (const oldest of this.#recent.keys()) {
        this.#recent.delete(oldest)
        break
      }
    }
    this.discard(taken, { status: "answered", answer })
  }

  /** Over, without a trace: the same may be tried again. */
  discard(taken: Taken, outcome: Outcome): void {
    const { follow, sql } = this.#options
    const { envelope } = taken.delivery
    if (taken.isStored) sql.run("DELETE FROM inbox WHERE sender = ? AND id = ?", envelope.from, envelope.id)
    follow(() => this.leave(taken, outcome))
  }

  /** Out of memory: what is stored of it stays. */
  leave(taken: Taken, outcome: Outcome): void {
    const { from, id } = taken.delivery.envelope
    this.#taken.delete(keyOf(from, id))
    taken.settle(outcome)
  }
}

const keyOf = (sender: string, id: string): string => `${sender} ${id}`
