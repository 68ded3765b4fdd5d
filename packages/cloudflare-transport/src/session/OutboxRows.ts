/** The rows of an outbox: chunks of envelopes that were given out together, each with its frame. Its table alone. */
import type { Envelope } from "@signal-hub/actor-core/vocabulary"
import type { Sql } from "../object/Sql.ts"
import type { Session } from "./Session.ts"
import { readRow, type StoredFrame } from "./StoredFrame.ts"

/** A row without its frame. */
export interface Chunk {
  readonly position: number
  /** The number of its first envelope; `null`: it waits to be transmitted for the first time. */
  first: number | null
  count: number
  bytes: number
}

/** What the outbox holds, as it was given. */
export interface Kept {
  readonly envelope: Envelope.Envelope
  /** When it was received; epoch milliseconds. */
  readonly receivedAt: number
}

interface Row {
  readonly received_at: number
  readonly frame: StoredFrame
}

export class OutboxRows {
  readonly #sql: Sql
  readonly #session: Session["id"]

  constructor(sql: Sql, session: Session["id"]) {
    this.#sql = sql
    this.#session = session
  }

  /** All there are, in order. */
  chunks(): Array<Chunk> {
    return [
      ...this.#sql.all<Chunk>(
        "SELECT position, first_seq AS first, count, bytes FROM outbox WHERE session = ? ORDER BY position",
        this.#session,
      ),
    ]
  }

  /** Stores the envelopes of a chunk, as the frame that they are. */
  insert({ bytes, count, first, position }: Chunk, frame: string | Uint8Array, receivedAt: number): void {
    this.#sql.run(
      `INSERT INTO outbox (session, position, first_seq, count, bytes, received_at, frame)
       VALUES (?, ?, ?, ?, ?, ?, ?)`,
      this.#session,
      position,
      first,
      count,
      bytes,
      receivedAt,
      frame,
    )
  }

  /** What was stored under the chunk's position, is this now. */
  update({ bytes, count, first, position }: Chunk, frame: string | Uint8Array): void {
    this.#sql.run(
      "UPDATE outbox SET first_seq = ?, count = ?, bytes = ?, frame = ? WHERE session = ? AND position = ?",
      first,
      count,
      bytes,
      frame,
      this.#session,
      position,
    )
  }

  read({ position }: Chunk): {
    readonly receivedAt: number
    readonly envelopes: ReadonlyArray<Envelope.Envelope>
  } {
    const query = "SELECT received_at, frame FROM outbox WHERE session = ? AND position = ?"
    const [row] = this.#sql.all<Row>(query, this.#session, position)
    return { receivedAt: row!.received_at, envelopes: readRow(row!.frame) }
  }

  /** The envelopes of all. `unreadable` is told of a row that can't be read: it gives none. */
  readAll(unreadable: (error: unknown) => void): ReadonlyArray<Kept> {
    const query = "SELECT received_at, frame FROM outbox WHERE session = ? ORDER BY position"
    return this.#sql.all<Row>(query, this.#session).flatMap(({ frame, received_at: receivedAt }) => {
      try {
        return readRow(frame).map((envelope) => ({ envelope, receivedAt }))
      } catch (error) {
        unreadable(error)
        return []
      }
    })
  }

  delete({ position }: Chunk): void {
    this.#sql.run("DELETE FROM outbox WHERE session = ? AND position = ?", this.#session, position)
  }

  deleteThrough(position: number): void {
    this.#sql.run("DELETE FROM outbox WHERE session = ? AND position <= ?", this.#session, position)
  }

  deleteAll(): void {
    this.#sql.run("DELETE FROM outbox WHERE session = ?", this.#session)
  }
}
