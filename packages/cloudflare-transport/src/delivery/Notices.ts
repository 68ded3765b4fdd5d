/**
 * What others must hear, such as that an address has ended: rows from the step in which it came to be so
 * until it was heard. Told at once; after a failure again by the alarm, later each time.
 */
import type { Address, Envelope } from "@signal-hub/actor-core"
import type { ObjectPort } from "../object/ObjectPort.ts"
import type { TerminatedReason } from "../protocol/HubMessage.ts"
import { Pending } from "./Pending.ts"

/** The session of this address is over, or these could not be told: it is on these topics no more, and watches these no more. */
export interface Released {
  readonly do: "released"
  readonly address: Address.Address
  readonly topics: ReadonlyArray<string>
  readonly targets: ReadonlyArray<Address.Address>
}

export type Notice =
  /** An envelope for whoever is at an object. */
  | { readonly do: "deliver"; readonly envelope: Envelope.Envelope; readonly at: Address.Address }
  | Released
  /** A registration here is over. */
  | { readonly do: "ended"; readonly address: Address.Address; readonly reason: TerminatedReason }

/** Those that this code can tell. */
const KNOWN: ReadonlySet<string> = new Set<Notice["do"]>(["deliver", "released", "ended"])

/** What notices need from the object that has them. */
export interface NoticesPort extends Pick<ObjectPort, "sql" | "now" | "log"> {
  /** Does this once the step under way is written. */
  readonly announce: (task: () => void) => void
  /** The alarm is to come then at the latest. */
  readonly atLatest: (at: number) => void
  /** Nothing is under way any more: the alarm may be armed anew. */
  readonly idle: () => void
}

/** Milliseconds until a notice that failed is told again: doubled each time, up to an hour. */
const FIRST_RETRY = 5_000
const LONGEST_RETRY = 3_600_000
/** Attempts after which nobody is expected to hear it any more: about a day. */
const MOST_ATTEMPTS = 32

interface NoticeRow {
  readonly id: number
  readonly body: string
  readonly attempts: number
}

/** The longest wait from now for what failed so often: what is due later is so by a clock that was set back since. */
const LATEST = "?1 + min(?2 << min(attempts, 30), ?3)"
const DUE = `SELECT * FROM notice WHERE due_at <= ?1 OR due_at > ${LATEST} LIMIT 100`
const EARLIEST = `SELECT min(min(due_at, ${LATEST})) AS at FROM notice`

export class Notices {
  readonly #port: NoticesPort
  readonly #tell: (notice: Notice, done: (heard: boolean) => void) => void
  /** Notices on their way. */
  readonly #telling = new Map<number, Pending<void>>()

  /** `tell` carries a notice, and says once, later, whether it was heard. */
  constructor(port: NoticesPort, tell: (notice: Notice, done: (heard: boolean) => void) => void) {
    this.#port = port
    this.#tell = tell
  }

  /** Stores the notice, as part of a step, and tells it after. What is given back ends with the first attempt. */
  put(notice: Notice): Pending<void> {
    const { announce, atLatest, now, sql } = this.#port
    const dueAt = now() + FIRST_RETRY
    const { id } = sql.all<{ id: number }>(
      "INSERT INTO notice (body, attempts, due_at) VALUES (?, 0, ?) RETURNING id",
      JSON.stringify(notice),
      dueAt,
    )[0]!
    const pending = new Pending<void>()
    announce(() => {
      atLatest(dueAt)
      this.#attempt(id, notice, 0, pending)
    })
    return pending
  }

  /**
   * Tells again what is due. The clock is read here: by the time at which a step began, a row that this step has
   * written is due later than any wait, as if the clock had been set back.
   */
  retry(): void {
    const { sql } = this.#port
    const now = this.#port.now()
    const due = sql.all<NoticeRow>(DUE, now, FIRST_RETRY, LONGEST_RETRY)
    for (const { id, body, attempts } of due) {
      // Also of one that is still on its way: the alarm must not come for it again and again.
      const dueAt = now + Math.min(FIRST_RETRY * 2 ** attempts, LONGEST_RETRY)
      sql.run("UPDATE notice SET attempts = attempts + 1, due_at = ? WHERE id = ?", dueAt, id)
      const notice = JSON.parse(body) as Notice
      // Newer code has left what only it can tell: it stays until that is back.
      if (this.#telling.has(id) || !KNOWN.has(notice.do)) continue
      this.#attempt(id, notice, attempts + 1, new Pending<void>())
    }
  }

  /** When something is due. */
  dueAt(): number | undefined {
    const { now, sql } = this.#port
    return sql.all<{ at: number | null }>(EARLIEST, now(), FIRST_RETRY, LONGEST_RETRY)[0]?.at ?? undefined
  }

  #attempt(id: number, notice: Notice, attempts: number, pending: Pending<void>): void {
    const { idle, log, sql } = this.#port
    this.#telling.set(id, pending)
    this.#tell(notice, (heard) => {
      this.#telling.delete(id)
      if (heard || attempts >= MOST_ATTEMPTS) {
        if (!heard) log("error", "notice_dropped", { notice: notice.do })
        sql.run("DELETE FROM notice WHERE id = ?", id)
      }
      pending.settle()
      if (this.#telling.size === 0) idle()
    })
  }
}
