/**
 * What others sent to a durable actor, from its coming until it is done. What is reliable, or an ask, is
 * done once: that it was done is remembered with its answer, by a row where it is reliable or changed
 * something, in memory where it is an ask that did neither. What is not done soon becomes a row, before
 * its sender hears that it is taken.
 */
import { type Envelope, PayloadValue } from "@signal-hub/actor-core"
import type { Sql } from "../object/Sql.ts"
import { fromRow, isUnstorable, type StoredValue, toRow } from "../object/StoredValue.ts"
import { type Answer, DEDUPE_WINDOW, type Delivery, type Outcome, TAKEN } from "../delivery/ActorRpc.ts"
import type { DurableAlarm } from "./DurableAlarm.ts"

/** After so many, what is too old to be remembered goes. */
const PURGE_EVERY = 64
/**
 * How many answers are remembered that are no rows, and bytes of them, and as many before them: those of a call, as
 * they may be large.
 */
const MOST_RECENT = 256
const MAX_RECENT_BYTES = 4 * 1_048_576
/** Of how many senders it is remembered whether there are rows. */
const MOST_SENDERS = 1_000
/** When what is a row is looked at, should memory be lost, milliseconds. */
const RECOVERY = 30_000

const soon = Promise.resolve()

/** Something that came and is to be done once. */
export class Taken {
  readonly delivery: Delivery
  readonly key: string
  isStored = false
  outcome: Outcome | null = null
  /**
   * Whether the call that brought it is in its first turn still, and waits for it without a promise. Who took it
   * says when that is over.
   */
  isInFirstTurn = false
  #waiting: Array<() => void> = []

  constructor(delivery: Delivery, key: string) {
    this.delivery = delivery
    this.key = key
  }

  /** Whether it is the one of this id from this sender. */
  is(sender: string, id: string): boolean {
    const { envelope } = this.delivery
    return envelope.id === id && envelope.from === sender
  }

  get isAsk(): boolean {
    return this.delivery.envelope.pattern === "ask"
  }

  /** Whether a call waits for what becomes of it. */
  get isWaitedFor(): boolean {
    return this.isInFirstTurn || this.#waiting.length > 0
  }

  settle(outcome: Outcome): void {
    this.outcome = outcome
    const waiting = this.#waiting
    this.#waiting = []
    for (const told of waiting) told()
  }

  /** Until all are done, or the time is over. Answers go with the call that waits. */
  static wait(all: ReadonlyArray<Taken>, millis: number): Promise<void> {
    return new Promise((resolve) => {
      const open = all.filter(({ outcome }) => outcome === null)
      let count = open.length
      if (count === 0) return resolve()
      const told = (): void => {
        if (--count > 0) return
        clearTimeout(timer)
        resolve()
      }
      let timer: ReturnType<typeof setTimeout> | null = null
      for (const taken of open) taken.#waiting.push(told)
      // What is ready takes a microtask: a timer costs more than that.
      const wait = (): void => {
        if (count <= 0) return
        timer = setTimeout(() => {
          for (const taken of open) taken.#waiting = taken.#waiting.filter((one) => one !== told)
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
  /**
   * Answers of asks that changed nothing: no rows, as they would cost the only write that there is. The latest,
   * and those before them.
   */
  #recent = new Map<string, Answer>()
  #older = new Map<string, Answer>()
  #recentBytes = 0
  /** The one that came last: whose turn it mostly is. */
  #last: Taken | undefined
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
    if (same !== undefined) {
      same.isInFirstTurn = true
      return same
    }
    const recent = this.#recent.get(key) ?? this.#older.get(key)
    if (recent !== undefined) return { status: "answered", answer: recent }
    const before = this.#handled(envelope.from, envelope.id)
    if (before !== undefined) {
      if (before.answer === null) return TAKEN
      return { status: "answered", answer: fromRow(before.answer) as Answer }
    }
    const taken = (this.#last = new Taken(delivery, key))
    // Before it is received: what is outside the protocol is refused as it comes.
    taken.isInFirstTurn = true
    this.#taken.set(key, taken)
    receive(envelope)
    return taken
  }

  /** The row of what was done before. */
  #handled(sender: string, id: string): { readonly answer: StoredValue | null } | undefined {
    const { sql } = this.#options
    let remembers = this.#remembers.get(sender)
    if (remembers === undefined) {
      remembers = sql.all("SELECT 1 FROM actor_handled WHERE sender = ? LIMIT 1", sender).length > 0
      if (this.#remembers.size >= MOST_SENDERS) this.#remembers.clear()
      this.#remembers.set(sender, remembers)
    }
    if (!remembers) return undefined
    const query = "SELECT answer FROM actor_handled WHERE sender = ? AND id = ?"
    return sql.all<{ answer: StoredValue | null }>(query, sender, id)[0]
  }

  find(sender: string, id: string): Taken | undefined {
    if (this.#last?.is(sender, id) === true) return this.#last
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
        "INSERT OR IGNORE INTO actor_inbox (sender, id, delivery) VALUES (?, ?, ?)",
        envelope.from,
        envelope.id,
        toRow(taken.delivery),
      )
      follow(() => void (taken.isStored = true))
    } catch (error) {
      // Volatile, it may be lost with the memory. What is reliable is its sender's until it is done.
      if (!isUnstorable(error) || envelope.seq !== undefined) throw error
    }
  }

  /** Takes again what is stored and not under way. */
  recover(): void {
    const rows = this.#options.sql.all<{ delivery: StoredValue }>(
      "SELECT delivery FROM actor_inbox ORDER BY n",
    )
    for (const row of rows) {
      const delivery = fromRow(row.delivery) as Delivery
      const { envelope } = delivery
      if (this.find(envelope.from, envelope.id) !== undefined) continue
      const taken = new Taken(delivery, keyOf(envelope.from, envelope.id))
      taken.isStored = true
      this.#taken.set(taken.key, taken)
      this.#options.receive(envelope)
    }
  }

  /** Done: that is remembered, with the answer, if there is one. Part of a step. */
  close(taken: Taken, answer: Answer | null): void {
    const { now, sql } = this.#options
    const { envelope } = taken.delivery
    this.#remembers.set(envelope.from, true)
    sql.run(
      "INSERT INTO actor_handled (sender, id, at, answer) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
      envelope.from,
      envelope.id,
      now(),
      answer === null ? null : toRow(answer),
    )
    if (this.#closed++ % PURGE_EVERY === 0) {
      sql.run(
        "DELETE FROM actor_handled WHERE n IN (SELECT n FROM actor_handled ORDER BY n LIMIT ?) AND at < ?",
        2 * PURGE_EVERY,
        now() - DEDUPE_WINDOW,
      )
    }
    this.discard(taken, answer === null ? TAKEN : { status: "answered", answer })
  }

  /** An ask that changed nothing, and need not be known for longer than memory lasts. */
  closeLightly(taken: Taken, answer: Answer): void {
    this.#recentBytes += PayloadValue.memoryOf(answer)
    if (this.#recent.size >= MOST_RECENT || this.#recentBytes > MAX_RECENT_BYTES) {
      this.#older = this.#recent
      this.#recent = new Map()
      this.#recentBytes = PayloadValue.memoryOf(answer)
    }
    this.#recent.set(taken.key, answer)
    this.discard(taken, { status: "answered", answer })
  }

  /** Over, without a trace: the same may be tried again. */
  discard(taken: Taken, outcome: Outcome): void {
    const { follow, sql } = this.#options
    const { envelope } = taken.delivery
    if (taken.isStored)
      sql.run("DELETE FROM actor_inbox WHERE sender = ? AND id = ?", envelope.from, envelope.id)
    follow(() => this.leave(taken, outcome))
  }

  /** Out of memory: what is stored of it stays. */
  leave(taken: Taken, outcome: Outcome): void {
    this.#taken.delete(taken.key)
    if (this.#last === taken) this.#last = undefined
    taken.settle(outcome)
  }
}

const keyOf = (sender: string, id: string): string => `${sender} ${id}`
