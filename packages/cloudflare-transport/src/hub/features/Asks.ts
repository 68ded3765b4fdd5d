/**
 * Open asks: who asked whom, and until when. Either side may be elsewhere; then in place of its session's
 * id stands the address of the object where it is. An ask begins in memory and becomes a row when it is a
 * second old, so that quick ones cost no row and slow ones outlive eviction; a reliable one is a row at once.
 * Ends exactly once.
 */
import { type Address, AnswerStream, type Envelope } from "@signal-hub/actor-core/vocabulary"
import { isRemote } from "../peers/Peers.ts"
import type { Session } from "../../session/Session.ts"
import { countOf, type Sql, upsert } from "../../object/Sql.ts"

const STORE_ASK = upsert(
  "ask",
  ["asker", "id"],
  ["asker_session", "target", "target_session", "timeout", "deadline", "reliable", "asked", "type", "parts"],
)

/** What an ask is opened with. */
export interface NewAsk {
  /** The address that asks, as answers must name it in `to`. */
  readonly asker: Address.Address
  readonly id: string
  /** Id of the session that asks, or the address of the object where the asker is. */
  readonly askerSession: string
  /** The address that was asked, whoever has the ask now. */
  readonly asked: Address.Address
  /** Of the message; `null` where a row of an earlier version does not say. */
  readonly type: string | null
  /** The ask's holder, who alone may answer: the address that was asked, or that it was forwarded to last. */
  readonly target: Address.Address
  readonly targetSession: string
  /** Milliseconds that it may take; for a stream, from one answer to the next. */
  readonly timeout: number
  /** Whether it ends by a reliable answer. */
  readonly reliable: boolean
}

/** An open ask. */
export interface Ask extends NewAsk {
  /** What memory knows it by. */
  readonly key: string
  target: Address.Address
  targetSession: string
  /** Parts of a stream that passed; `null` where a row of an earlier version does not say. */
  parts: number | null
  /** Epoch milliseconds. */
  deadline: number
  /** When it becomes a row, epoch milliseconds; `0`: it is one. */
  storeAt: number
}

interface AskRow {
  readonly asker: Address.Address
  readonly id: string
  readonly asker_session: string
  readonly target: Address.Address
  readonly target_session: string
  readonly timeout: number
  readonly deadline: number
  readonly reliable: number
  readonly asked: Address.Address | null
  readonly type: string | null
  readonly parts: number | null
}

const keyOf = (asker: string, id: string): string => `${asker}\n${id}`

/** The open asks, in memory and in the table `ask`. */
export class Asks {
  readonly #sql: Sql
  readonly #session: (id: string) => Session | undefined
  readonly #volatileFor: number
  readonly #onQuiet: () => void
  /** Open asks that memory knows, oldest first. */
  readonly #open = new Map<string, Ask>()
  /** How many of them are not yet rows. */
  #volatile = 0
  /** How many rows there are, so that no row is looked for where there is none; `undefined`: not counted yet. */
  #stored: number | undefined
  /** Sessions whose asks memory knows all. */
  readonly #known = new WeakSet<Session>()

  /** `onQuiet`: told when the last ask that was only in memory has ended. */
  constructor(
    sql: Sql,
    volatileFor: number,
    session: (id: string) => Session | undefined,
    onQuiet: () => void,
  ) {
    this.#sql = sql
    this.#onQuiet = onQuiet
    this.#volatileFor = volatileFor
    this.#session = (id) => (isRemote(id) ? undefined : session(id))
  }

  get(asker: Address.Address, id: string): Ask | undefined {
    const ask = this.#open.get(keyOf(asker, id))
    if (ask !== undefined || this.#rows === 0) return ask
    const row = this.#sql.all<AskRow>("SELECT * FROM ask WHERE asker = ? AND id = ?", asker, id)[0]
    return row === undefined ? undefined : this.#remember(fromRow(row))
  }

  open(asked: NewAsk, now: number): Ask {
    const { asker, askerSession, id, reliable, target, targetSession, timeout, type } = asked
    const ask = this.#remember({
      key: keyOf(asker, id),
      asker,
      id,
      askerSession,
      asked: asked.asked,
      type,
      target,
      targetSession,
      parts: 0,
      timeout,
      deadline: now + timeout,
      reliable,
      storeAt: reliable ? 0 : now + this.#volatileFor,
    })
    if (reliable) {
      this.#stored = this.#rows + 1
      this.#write(ask)
    } else this.#volatile++
    return ask
  }

  /** How many the session has asked and has open. */
  countOf(session: Session): number {
    if (this.#rows === 0 || this.#known.has(session)) return session.asked.size
    this.#known.add(session)
    const stored = this.#sql.all<AskRow>("SELECT * FROM ask WHERE asker_session = ?", session.id)
    for (const row of stored) if (!this.#open.has(keyOf(row.asker, row.id))) this.#remember(fromRow(row))
    return session.asked.size
  }

  /** The ask is over. May be told again: what ends one ask may end others that are about to end. */
  close(ask: Ask): void {
    const { key } = ask
    if (!this.#open.delete(key)) return
    this.#session(ask.askerSession)?.asked.delete(key)
    this.#session(ask.targetSession)?.answering.delete(key)
    if (ask.storeAt > 0) {
      if (--this.#volatile === 0) this.#onQuiet()
    } else {
      this.#stored = this.#rows - 1
      this.#sql.run("DELETE FROM ask WHERE asker = ? AND id = ?", ask.asker, ask.id)
    }
  }

  /** Another actor may answer in the target's place. */
  forward(ask: Ask, target: Address.Address, targetSession: string): void {
    const { key } = ask
    this.#session(ask.targetSession)?.answering.delete(key)
    ask.target = target
    ask.targetSession = targetSession
    this.#session(targetSession)?.answering.add(key)
    if (ask.storeAt === 0) this.#write(ask)
  }

  /** Whether it is the answer's turn: parts of a stream pass in their order, each once. */
  isNext({ parts }: Ask, answer: Envelope.Envelope): boolean {
    const n = AnswerStream.partNumber(answer)
    return n === null || (parts === null ? n >= 1 : n === parts + 1)
  }

  /** An answer passes: the ask ends with it, or, where it is a part of a stream, has as long again. */
  answered(ask: Ask, answer: Envelope.Envelope, now: number): void {
    if (!AnswerStream.isMoreToCome(answer)) return this.close(ask)
    if (this.isNext(ask, answer)) ask.parts = AnswerStream.partNumber(answer)
    this.extend(ask, now)
  }

  /** It goes on: what comes next may take as long again. */
  extend(ask: Ask, now: number): void {
    ask.deadline = now + ask.timeout
    if (ask.storeAt === 0) this.#write(ask)
  }

  /** The open asks that the session asked, and those that it was asked. */
  of(session: Session): { readonly asked: ReadonlyArray<Ask>; readonly answering: ReadonlyArray<Ask> } {
    if (this.#rows > 0) {
      const rows = this.#sql.all<AskRow>(
        "SELECT * FROM ask WHERE asker_session = ?1 UNION SELECT * FROM ask WHERE target_session = ?1",
        session.id,
      )
      for (const row of rows) {
        const key = keyOf(row.asker, row.id)
        if (!this.#open.has(key)) this.#remember(fromRow(row))
        // The session may be over, and not be found by its id any more.
        if (row.asker_session === session.id) session.asked.add(key)
        if (row.target_session === session.id) session.answering.add(key)
      }
    }
    // A session that is over is not told of each ask that ended since.
    const asks = (keys: ReadonlySet<string>) => [...keys].flatMap((key) => this.#open.get(key) ?? [])
    return { asked: asks(session.asked), answering: asks(session.answering) }
  }

  /** Those whose time is over, of the ones that are no rows. */
  overdueVolatile(now: number): ReadonlyArray<Ask> {
    if (this.#volatile === 0) return []
    return [...this.#open.values()].filter(({ deadline, storeAt }) => storeAt > 0 && deadline <= now)
  }

  /** Those whose time is over. */
  overdue(now: number): ReadonlyArray<Ask> {
    const overdue = [...this.overdueVolatile(now)]
    if (this.#rows > 0) {
      for (const row of this.#sql.all<AskRow>("SELECT * FROM ask WHERE deadline <= ?", now)) {
        const known = this.#open.get(keyOf(row.asker, row.id))
        if (known === undefined) overdue.push(this.#remember(fromRow(row)))
        else if (!overdue.includes(known)) overdue.push(known)
      }
    }
    return overdue
  }

  /** Makes rows of the asks that are old enough. Gives the earliest deadline among them. */
  storeOld(now: number): number | undefined {
    let earliest: number | undefined
    for (const ask of this.#open.values()) {
      if (ask.storeAt === 0 || ask.storeAt > now) continue
      ask.storeAt = 0
      this.#volatile--
      this.#stored = this.#rows + 1
      this.#write(ask)
      earliest = Math.min(earliest ?? ask.deadline, ask.deadline)
    }
    return earliest
  }

  /** When memory's part has to be looked at next; `undefined` where nothing is only in memory. */
  nextLook(): number | undefined {
    if (this.#volatile === 0) return undefined
    let next = Number.POSITIVE_INFINITY
    for (const ask of this.#open.values()) {
      if (ask.storeAt > 0) next = Math.min(next, ask.storeAt, ask.deadline)
    }
    return next
  }

  get #rows(): number {
    return (this.#stored ??= countOf(this.#sql, "SELECT count(*) AS n FROM ask"))
  }

  #write(ask: Ask): void {
    this.#sql.run(
      STORE_ASK,
      ask.asker,
      ask.id,
      ask.askerSession,
      ask.target,
      ask.targetSession,
      ask.timeout,
      ask.deadline,
      ask.reliable ? 1 : 0,
      ask.asked,
      ask.type,
      ask.parts,
    )
  }

  #remember(ask: Ask): Ask {
    const { key } = ask
    this.#open.set(key, ask)
    this.#session(ask.askerSession)?.asked.add(key)
    this.#session(ask.targetSession)?.answering.add(key)
    return ask
  }
}

const fromRow = (row: AskRow): Ask => ({
  key: keyOf(row.asker, row.id),
  asker: row.asker,
  id: row.id,
  askerSession: row.asker_session,
  asked: row.asked ?? row.target,
  type: row.type,
  parts: row.parts,
  target: row.target,
  targetSession: row.target_session,
  timeout: row.timeout,
  deadline: row.deadline,
  reliable: row.reliable === 1,
  storeAt: 0,
})
