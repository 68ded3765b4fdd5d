/**
 * The outbox of a session: reliable envelopes for its client, in rows until the client has acknowledged
 * them, in order. What leaves in one turn is one row, and the frame that is sent is what is stored. An
 * envelope gets its number when it is first transmitted; what comes while there is no connection, or while
 * an earlier connection's rest is replayed, waits without one. Knows no socket and no session's fate.
 *
 * Numbers and rows: architecture as in MQTT 5 (session state, section 4.1), numbers as in TCP.
 */
import { Envelope } from "@signal-hub/actor-core/vocabulary"
import { MsgPackCodec } from "@signal-hub/actor-core/codec/msgpack"
import type { Limits } from "../protocol/Limits.ts"
import type { Sql } from "../storage/Sql.ts"
import type { Connection } from "./Connection.ts"
import { type Chunk, type Kept, OutboxRows } from "./OutboxRows.ts"
import type { Session } from "./Session.ts"
import { isRow } from "./StoredFrame.ts"

/** How far behind all that comes meanwhile the rows are of what is kept back. */
const BEHIND = 2 ** 32

export type OutboxLimits = Pick<
  Limits,
  "maxOutboxEnvelopes" | "maxOutboxBytes" | "replayWindow" | "maxParked"
>

export class Outbox {
  readonly #rows: OutboxRows
  readonly #session: Session
  readonly #limits: OutboxLimits
  readonly #chunks: Array<Chunk>
  /** How many of the chunks were transmitted on this connection. */
  #cursor: number
  /** Their bytes. */
  #inFlight = 0
  #bytes = 0
  #last: number
  #position = 0
  /** Up to here rows are acknowledged, and still there; 0: none is. */
  #gone = 0
  #waiting = 0
  /** What was given in this turn, all with numbers or all without: not yet a row. */
  #fresh: Array<Envelope.Envelope> = []
  #freshAt = 0
  /** What is not to leave yet: behind the chunks, also for a memory that finds its rows. */
  #keptBack: Array<Chunk> = []
  /** Volatile envelopes that came after what is still to be replayed: in memory only. */
  #held: Array<{ readonly after: number; readonly envelope: Envelope.Envelope }> = []

  constructor(sql: Sql, session: Session, limits: OutboxLimits) {
    this.#rows = new OutboxRows(sql, session.id)
    this.#session = session
    this.#limits = limits
    this.#chunks = this.#rows.chunks()
    this.#last = session.outAcked
    this.#cursor = 0
    for (const chunk of this.#chunks) {
      this.#position = chunk.position
      this.#bytes += chunk.bytes
      if (chunk.first === null) this.#waiting += chunk.count
      else this.#last = lastOf(chunk)
      if (!this.#isTransmitted(chunk)) continue
      this.#cursor++
      this.#inFlight += chunk.bytes
    }
  }

  /** The last number given. */
  get last(): number {
    return this.#last
  }

  /** How many envelopes it holds. */
  get count(): number {
    return this.#last - this.#session.outAcked + this.#waiting
  }

  /** Whether it takes no more of what can be refused. Refusals, and what ends asks and watches, can't be. */
  get isFull(): boolean {
    return this.#holds(1)
  }

  /** Whether what can't be refused has filled it as much again: its client must read first. */
  get isOverfull(): boolean {
    return this.#holds(2)
  }

  #holds(limits: number): boolean {
    const { maxOutboxEnvelopes, maxOutboxBytes } = this.#limits
    return this.count >= limits * maxOutboxEnvelopes || this.#bytes >= limits * maxOutboxBytes
  }

  /** Takes an envelope: it leaves now on the connection, or when there is one and its turn has come. */
  offer(envelope: Envelope.Envelope, connection: Connection | undefined, now: number): void {
    const live = connection !== undefined && this.#session.replayed === null
    this.#freshAt = now
    if (live) {
      const numbered = { ...envelope, seq: ++this.#last }
      this.#fresh.push(numbered)
      connection.send(numbered)
    } else {
      this.#fresh.push(Envelope.unnumbered(envelope))
      this.#waiting++
    }
  }

  /**
   * Stores an envelope that is not to leave yet. What is given back takes it out again, to be offered; `false`:
   * another connection has it, or another session.
   */
  keepBack(envelope: Envelope.Envelope, now: number): () => boolean {
    const position = Math.max(this.#position + BEHIND, this.#keptBack.at(-1)?.position ?? 0) + 1
    const batch = [Envelope.unnumbered(envelope)]
    const chunk = this.#store(position, batch, MsgPackCodec.encode(batch), now)
    this.#keptBack.push(chunk)
    this.#waiting++
    return () => {
      const at = this.#keptBack.indexOf(chunk)
      if (at < 0) return false
      this.#keptBack.splice(at, 1)
      this.#waiting--
      this.#bytes -= chunk.bytes
      this.#rows.delete(chunk)
      return true
    }
  }

  /** A volatile envelope waits until what came before it was replayed. `false`: too many wait. */
  hold(envelope: Envelope.Envelope): boolean {
    this.write()
    if (this.#held.length >= this.#limits.maxParked) return false
    this.#held.push({ after: this.#position, envelope })
    return true
  }

  /** Makes a row of what was given in this turn. */
  write(connection?: Connection): void {
    const batch = this.#fresh
    if (batch.length === 0) return
    this.#fresh = []
    const isLive = batch[0]!.seq !== undefined
    const frame = this.#insert(batch, this.#freshAt, isLive ? connection : undefined)
    // What is in line on the connection is this: it is encoded already.
    if (isLive && connection?.outgoing.length === batch.length) connection.frame = frame
  }

  /**
   * The client has all through this number. Its own number that is not yet given is refused before. Rows go
   * with `forget`: until then a crash is as if it had not been told.
   */
  acknowledge(through: number): void {
    const session = this.#session
    if (through <= session.outAcked) return
    session.outAcked = through
    let gone = 0
    for (const chunk of this.#chunks) {
      if (chunk.first === null || lastOf(chunk) > through) break
      gone++
      this.#bytes -= chunk.bytes
      if (gone <= this.#cursor) this.#inFlight -= chunk.bytes
    }
    if (gone === 0) return
    this.#gone = this.#chunks[gone - 1]!.position
    this.#chunks.splice(0, gone)
    this.#cursor = Math.max(0, this.#cursor - gone)
  }

  /** Deletes the rows of what was acknowledged. */
  forget(): void {
    if (this.#gone === 0) return
    this.#rows.deleteThrough(this.#gone)
    this.#gone = 0
  }

  /** A new connection: whatever is there is transmitted on it, from the start. */
  rewind(): void {
    this.write()
    for (const chunk of this.#keptBack.splice(0)) {
      this.#chunks.push(chunk)
      this.#position = chunk.position
    }
    this.#session.replayed = this.#session.outAcked
    this.#cursor = 0
    this.#inFlight = 0
    this.#held = []
  }

  /**
   * Transmits what is there, as far as the client has acknowledged what it was sent. Gives the envelopes that
   * were not transmitted in time.
   */
  replay(connection: Connection, now: number): ReadonlyArray<Envelope.Envelope> {
    const session = this.#session
    const late: Array<Envelope.Envelope> = []
    this.write(connection)
    while (session.replayed !== null) {
      const chunk = this.#chunks[this.#cursor]
      if (chunk === undefined) {
        session.replayed = null
        this.#release(connection, Number.POSITIVE_INFINITY)
        break
      }
      if (this.#inFlight > 0 && this.#inFlight + chunk.bytes > this.#limits.replayWindow) break
      this.#release(connection, chunk.position)
      for (const envelope of this.#transmit(chunk, connection, now, late)) connection.send(envelope)
    }
    return late
  }

  /** Empties it, and gives what it held. */
  drain(): ReadonlyArray<Kept> {
    this.write()
    this.forget()
    const isEmpty = this.#chunks.length + this.#keptBack.length === 0
    const kept = isEmpty
      ? []
      : this.#rows
          .readAll()
          .filter(({ envelope: { seq } }) => seq === undefined || seq > this.#session.outAcked)
    if (!isEmpty) this.#rows.deleteAll()
    this.#chunks.length = 0
    this.#keptBack = []
    this.#cursor = 0
    this.#inFlight = 0
    this.#bytes = 0
    this.#waiting = 0
    this.#held = []
    this.#session.outAcked = this.#last
    return kept
  }

  /** Takes what another held: it is transmitted before what comes from now on. */
  adopt(kept: ReadonlyArray<Kept>): void {
    if (kept.length === 0) return
    this.write()
    this.#session.replayed ??= this.#last
    for (const { envelope, receivedAt } of kept) {
      if (this.#freshAt !== receivedAt) this.write()
      this.#freshAt = receivedAt
      this.#fresh.push(Envelope.unnumbered(envelope))
      this.#waiting++
    }
    this.write()
  }

  /** Gives a chunk that waits its numbers; takes what is acknowledged out of one that has them. */
  #transmit(
    chunk: Chunk,
    connection: Connection,
    now: number,
    late: Array<Envelope.Envelope>,
  ): ReadonlyArray<Envelope.Envelope> {
    const session = this.#session
    const { envelopes, receivedAt } = this.#rows.read(chunk)
    if (chunk.first !== null) {
      this.#cursor++
      this.#inFlight += chunk.bytes
      session.replayed = lastOf(chunk)
      return envelopes.filter(({ seq }) => seq! > session.outAcked)
    }
    const waited = Math.max(0, now - receivedAt)
    const numbered: Array<Envelope.Envelope> = []
    for (const envelope of envelopes) {
      const ttl = envelope.ttl === null ? null : envelope.ttl - waited
      if (ttl !== null && ttl <= 0) late.push(envelope)
      else numbered.push({ ...envelope, ttl, seq: this.#last + numbered.length + 1 })
    }
    this.#waiting -= chunk.count
    this.#bytes -= chunk.bytes
    if (numbered.length === 0) {
      this.#rows.delete(chunk)
      this.#chunks.splice(this.#cursor, 1)
      return numbered
    }
    const frame = connection.codec.encode(numbered)
    chunk.first = this.#last + 1
    chunk.count = numbered.length
    chunk.bytes = frame.length
    this.#rows.update(chunk, numbered, frame)
    this.#last = lastOf(chunk)
    this.#bytes += chunk.bytes
    this.#cursor++
    this.#inFlight += chunk.bytes
    session.replayed = this.#last
    return numbered
  }

  #insert(
    batch: ReadonlyArray<Envelope.Envelope>,
    receivedAt: number,
    connection: Connection | undefined,
  ): string | Uint8Array | undefined {
    const frame = (connection?.codec ?? MsgPackCodec).encode(batch)
    if (batch.length > 1 && !isRow(frame)) {
      const half = batch.length >> 1
      this.#insert(batch.slice(0, half), receivedAt, connection)
      this.#insert(batch.slice(half), receivedAt, connection)
      return undefined
    }
    const chunk = this.#store(++this.#position, batch, frame, receivedAt)
    this.#chunks.push(chunk)
    if (chunk.first !== null) {
      this.#cursor++
      this.#inFlight += chunk.bytes
    }
    return frame
  }

  #store(
    position: number,
    batch: ReadonlyArray<Envelope.Envelope>,
    frame: string | Uint8Array,
    receivedAt: number,
  ): Chunk {
    const chunk: Chunk = {
      position,
      first: batch[0]!.seq ?? null,
      count: batch.length,
      bytes: frame.length,
    }
    this.#rows.insert(chunk, batch, frame, receivedAt)
    this.#bytes += chunk.bytes
    return chunk
  }

  #release(connection: Connection, before: number): void {
    let count = 0
    for (const { after, envelope } of this.#held) {
      if (after >= before) break
      connection.send(envelope)
      count++
    }
    this.#held.splice(0, count)
  }

  #isTransmitted(chunk: Chunk): boolean {
    const { replayed } = this.#session
    return chunk.first !== null && (replayed === null || lastOf(chunk) <= replayed)
  }
}

const lastOf = ({ first, count }: Chunk): number => first! + count - 1
