/**
 * The rows of what is on its way to other objects: one for all that leaves for one target in one turn. The
 * envelopes in it have their numbers.
 */
import type { Address, Envelope } from "@signal-hub/actor-core"
import { MsgPackCodec } from "@signal-hub/actor-core/codec/msgpack"
import { endOfRow, type Framed, framed, joined, readRow, type StoredFrame } from "../session/StoredFrame.ts"
import type { Sql } from "../object/Sql.ts"
import type { AskHome, Caller, Delivery } from "./Rpc.ts"

/** What is the same for all that a row holds. */
export interface Sender {
  /** The address here on whose behalf it leaves. */
  readonly sender: Address.Address
  /** The session that hears what is refused; `null`: none does. */
  readonly session: string | null
  /** What the receiver may know of its rights. */
  readonly claims: Caller["claims"]
  /** The object that is known to serve the address. */
  readonly at: Address.Address | null
}

/** A row without what it holds. */
export interface RowHead {
  readonly lane: string
  /** The number of the first that it was made for. */
  readonly position: number
  readonly count: number
  readonly bytes: number
  /** Of the first of a lane: calls that failed, and when the next is due, epoch milliseconds. */
  readonly attempts: number
  readonly due_at: number
}

interface Row extends RowHead {
  readonly sender: Address.Address
  readonly session: string | null
  readonly claims: string | null
  readonly at: Address.Address | null
  readonly taken_at: number
  readonly asks: string | null
  readonly envelopes: StoredFrame
}

/** What a row holds. */
export interface Stored extends Sender {
  /** Epoch milliseconds. */
  readonly takenAt: number
  readonly deliveries: ReadonlyArray<Delivery>
}

/** Who asks, for how long, and whom; `null` of a tell. */
type StoredAsk = readonly [home: Address.Address, timeout: number, asked?: Address.Address] | null

export class SendingRows {
  readonly #sql: Sql

  constructor(sql: Sql) {
    this.#sql = sql
  }

  /** Makes rows of the deliveries, of which these are the frames. Gives their heads. */
  insert(
    lane: string,
    sender: Sender,
    deliveries: ReadonlyArray<Delivery>,
    frames: ReadonlyArray<Framed>,
    takenAt: number,
  ): ReadonlyArray<RowHead> {
    const heads: Array<RowHead> = []
    for (let from = 0, to = 0; from < deliveries.length; from = to) {
      to = endOfRow(frames, from)
      const { row } = joined(frames.slice(from, to), MsgPackCodec)
      heads.push(this.#insert(lane, sender, deliveries.slice(from, to), row, takenAt))
    }
    return heads
  }

  #insert(
    lane: string,
    sender: Sender,
    deliveries: ReadonlyArray<Delivery>,
    envelopes: string | Uint8Array,
    takenAt: number,
  ): RowHead {
    const head: RowHead = {
      lane,
      position: deliveries[0]!.envelope.seq!,
      count: deliveries.length,
      bytes: envelopes.length,
      attempts: 0,
      due_at: 0,
    }
    this.#sql.run(
      `INSERT INTO sending (lane, position, count, bytes, sender, session, claims, at, taken_at, asks, envelopes)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      lane,
      head.position,
      head.count,
      head.bytes,
      sender.sender,
      sender.session,
      sender.claims === null ? null : JSON.stringify(sender.claims),
      sender.at,
      takenAt,
      asksOf(deliveries),
      envelopes,
    )
    return head
  }

  /** Only these, of which these are the frames, are left of what the row holds; of none, it goes. */
  keep({ lane, position }: RowHead, left: ReadonlyArray<Delivery>, frames: ReadonlyArray<Framed>): void {
    if (left.length === 0) {
      return this.#sql.run("DELETE FROM sending WHERE lane = ? AND position = ?", lane, position)
    }
    this.#sql.run(
      "UPDATE sending SET count = ?, asks = ?, envelopes = ?, attempts = 0, due_at = 0 WHERE lane = ? AND position = ?",
      left.length,
      asksOf(left),
      joined(frames, MsgPackCodec).row,
      lane,
      position,
    )
  }

  /** The first of a lane is not to leave before that. */
  hold({ lane, position }: RowHead, attempts: number, dueAt: number): void {
    this.#sql.run(
      "UPDATE sending SET attempts = ?, due_at = ? WHERE lane = ? AND position = ?",
      attempts,
      dueAt,
      lane,
      position,
    )
  }

  /** All there are, in the order of each lane. */
  heads(): ReadonlyArray<RowHead> {
    return this.#sql.all<RowHead>(
      "SELECT lane, position, count, bytes, attempts, due_at FROM sending ORDER BY lane, position",
    )
  }

  /** What the row holds. */
  read({ lane, position }: RowHead): Stored {
    const [row] = this.#sql.all<Row>("SELECT * FROM sending WHERE lane = ? AND position = ?", lane, position)
    const { at, claims, sender, session, taken_at: takenAt } = row!
    const asks = row!.asks === null ? [] : (JSON.parse(row!.asks) as ReadonlyArray<StoredAsk>)
    const deliveries = readRow(row!.envelopes).map((envelope, i) => {
      const ask = asks[i] ?? null
      return ask === null ? { envelope } : { envelope, ask: readAsk(ask) }
    })
    return {
      sender,
      session,
      at,
      claims: claims === null ? null : (JSON.parse(claims) as Caller["claims"]),
      takenAt,
      deliveries,
    }
  }
}

/** An envelope that leaves, as it is stored. Throws what its encoder throws, and where no row takes it. */
export const stored = (envelope: Envelope.Envelope): Framed => framed(envelope, MsgPackCodec)

const readAsk = ([home, timeout, asked]: NonNullable<StoredAsk>): AskHome =>
  asked === undefined ? { home, timeout } : { home, timeout, asked }

const asksOf = (deliveries: ReadonlyArray<Delivery>): string | null => {
  if (deliveries.every(({ ask }) => ask === undefined)) return null
  const asks = deliveries.map(({ ask }): StoredAsk => {
    if (ask === undefined) return null
    const { asked, home, timeout } = ask
    return asked === undefined ? [home, timeout] : [home, timeout, asked]
  })
  return JSON.stringify(asks)
}
