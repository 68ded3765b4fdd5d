/**
 * How far this object has taken in what others send it reliably: a row for each line, stored in the turn in
 * which what was taken has its effect. What comes again is told by that, has no second effect, and the same
 * outcome.
 */
import { earliestOf, type Sql, upsert } from "../object/Sql.ts"
import { DEDUPE_WINDOW, isOnward, type Outcome, TAKEN } from "./Rpc.ts"

const STORE_WATERMARK = upsert("watermark", ["line"], ["last", "at", "refused"])

/** Lines that are known without a look at their rows. */
const MOST_KNOWN = 1_000

interface Watermark {
  /** The last that was taken, or refused. */
  last: number
  /** Those not taken of which the sender may not have heard yet, by their numbers. */
  refused: Array<readonly [seq: number, outcome: Outcome]>
}

interface Row {
  readonly last: number
  readonly refused: string | null
}

export class Watermarks {
  readonly #sql: Sql
  readonly #now: () => number
  /** A cache of the rows. */
  readonly #known = new Map<string, Watermark>()
  /** Lines of which something came in this turn. */
  readonly #moved = new Set<string>()
  /** When the oldest row was written, or before; `null`: not looked up yet. */
  #oldest: number | null = null

  constructor(sql: Sql, now: () => number) {
    this.#sql = sql
    this.#now = now
  }

  /** A call brings these and later ones: of those before, their sender has heard. */
  begin(line: string, first: number): void {
    const mark = this.#get(line)
    if (mark !== undefined && mark.refused.length > 0) {
      mark.refused = mark.refused.filter(([seq]) => seq >= first)
    }
  }

  /** What became of it when it came before; `undefined`: it comes for the first time. */
  outcome(line: string, seq: number): Outcome | undefined {
    const mark = this.#get(line)
    if (mark === undefined || seq > mark.last) return undefined
    return mark.refused.find(([refused]) => refused === seq)?.[1] ?? TAKEN
  }

  /** This became of it. What is not for this object may come again and be judged anew, unless a later one was. */
  note(line: string, seq: number, outcome: Outcome): void {
    let mark = this.#get(line)
    if (mark === undefined) this.#known.set(line, (mark = { last: 0, refused: [] }))
    // Judged anew, it is what it is now.
    if (mark.refused.length > 0) mark.refused = mark.refused.filter(([refused]) => refused !== seq)
    if (outcome.status !== "taken" && outcome.status !== "answered") mark.refused.push([seq, outcome])
    if (isOnward(outcome)) return
    mark.last = seq
    this.#moved.add(line)
  }

  /** The turn is over: what has moved is stored. */
  write(): void {
    if (this.#moved.size > 0) this.#writeMoved()
    if (this.#known.size > MOST_KNOWN) this.#known.clear()
  }

  #writeMoved(): void {
    const now = this.#now()
    for (const line of this.#moved) {
      const { last, refused } = this.#known.get(line)!
      this.#sql.run(STORE_WATERMARK, line, last, now, refused.length === 0 ? null : JSON.stringify(refused))
    }
    this.#moved.clear()
    this.#oldest = Math.min(this.#oldestAt(), now)
  }

  /** When something is to be forgotten, epoch milliseconds. */
  dueAt(): number | undefined {
    const oldest = this.#oldestAt()
    return oldest === Number.POSITIVE_INFINITY ? undefined : oldest + DEDUPE_WINDOW
  }

  /** Forgets lines of which nothing came for so long that nothing can come again. */
  forget(now: number): void {
    if (this.#oldestAt() + DEDUPE_WINDOW > now) return
    this.#sql.run("DELETE FROM watermark WHERE at <= ?", now - DEDUPE_WINDOW)
    this.#known.clear()
    this.#oldest = null
  }

  /** The storage is deleted. */
  forgetAll(): void {
    this.#known.clear()
    this.#oldest = null
  }

  #get(line: string): Watermark | undefined {
    const known = this.#known.get(line)
    if (known !== undefined) return known
    const [row] = this.#sql.all<Row>("SELECT last, refused FROM watermark WHERE line = ?", line)
    if (row === undefined) return undefined
    const refused = row.refused === null ? [] : (JSON.parse(row.refused) as Watermark["refused"])
    const mark = { last: row.last, refused }
    this.#known.set(line, mark)
    return mark
  }

  /** Later ones only make it later: an alarm for it may be early. */
  #oldestAt(): number {
    if (this.#oldest === null) {
      this.#oldest = earliestOf(this.#sql, "SELECT min(at) AS at FROM watermark") ?? Number.POSITIVE_INFINITY
    }
    return this.#oldest
  }
}
