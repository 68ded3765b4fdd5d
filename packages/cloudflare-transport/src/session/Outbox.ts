/**
 * The outbox of a session: reliable envelopes for its client, in rows until the client has acknowledged
 * them, in order. What leaves in one turn is one row, and the frame that is sent is what is stored. An
 * envelope gets its number when it is first transmitted; what comes while there is no connection, or while
 * an earlier connection's rest is replayed, waits without one. Knows no socket and no session's fate.
 *
 * Numbers and rows: architecture as in MQTT 5 (session state, section 4.1), numbers as in TCP.
 */
import { type Address, type Codec, Envelope } from "@signal-hub/actor-core/vocabulary"
import { MsgPackCodec } from "@signal-hub/actor-core/codec/msgpack"
import { errorEnvelope } from "../protocol/HubEnvelope.ts"
import type { Limits } from "../protocol/Limits.ts"
import type { Sql } from "../object/Sql.ts"
import type { Connection } from "./Connection.ts"
import type { Flow } from "./Flow.ts"
import { type Chunk, type Kept, OutboxRows } from "./OutboxRows.ts"
import { encodedAs, frameOf } from "./OutgoingFrames.ts"
import { addressOf, type Session } from "./Session.ts"
import { endOfRow, type Framed, framed, joined } from "./StoredFrame.ts"

/** How far behind all that comes meanwhile the rows are of what is kept back. */
const BEHIND = 2 ** 32

export type OutboxLimits = Pick<
  Limits,
  "maxOutboxEnvelopes" | "maxOutboxBytes" | "maxParked" | "replayWindow"
>

/** Told of what an outbox does not keep. Called in the middle of a step. */
export interface OutboxEvents {
  /** The envelope can't be encoded, for what its encoder threw: it was not taken, or is taken out. */
  readonly notEncoded: (envelope: Envelope.Envelope, error: unknown) => void
  /** A row can't be read: what it held is lost. */
  readonly unreadable: (error: unknown) => void
}

/** An envelope that was taken, encoded. */
interface Fresh extends Framed {
  readonly envelope: Envelope.Envelope
}

/** One that leaves. */
type Sent = Pick<Fresh, "envelope" | "frame">

export class Outbox {
  readonly #rows: OutboxRows
  readonly #session: Session
  readonly #limits: OutboxLimits
  readonly #on: OutboxEvents
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
  #fresh: Array<Fresh> = []
  #freshAt = 0
  /** The codec of their frames. */
  #freshCodec: Codec = MsgPackCodec
  /** What is not to leave yet: behind the chunks, also for a memory that finds its rows. */
  #keptBack: Array<Chunk> = []
  /** Volatile envelopes that came after what is still to be replayed: in memory only. */
  #held: Array<{
    readonly after: number
    readonly envelope: Envelope.Envelope
    readonly bytes: number
  }> = []

  constructor(sql: Sql, session: Session, limits: OutboxLimits, on: OutboxEvents) {
    this.#on = on
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

  /**
   * Takes an envelope: it leaves now on the connection, or when there is one and its turn has come. What is for a
   * slow reader waits until that has caught up. It is encoded here: one that can't be is refused alone, before it
   * has a number.
   */
  offer(envelope: Envelope.Envelope, connection: Connection | undefined, now: number): void {
    if (connection?.flow.slow === true && this.#session.replayed === null) {
      this.write(connection)
      this.#session.replayed = this.#last
    }
    const live = connection !== undefined && this.#session.replayed === null ? connection : undefined
    const taken = live === undefined ? Envelope.unnumbered(envelope) : { ...envelope, seq: this.#last + 1 }
    const codec = live?.codec ?? MsgPackCodec
    const fresh = this.#encoded(taken, codec)
    if (fresh === undefined) return
    if (codec !== this.#freshCodec) this.write(connection)
    this.#freshAt = now
    this.#freshCodec = codec
    this.#fresh.push(fresh)
    if (live === undefined) this.#waiting++
    else {
      this.#last++
      live.send(taken, encodedAs(fresh.frame))
    }
  }

  #encoded(envelope: Envelope.Envelope, codec: Codec): Fresh | undefined {
    try {
      return { envelope, ...framed(envelope, codec) }
    } catch (error) {
      this.#on.notEncoded(envelope, error)
      return undefined
    }
  }

  /**
   * Stores an envelope that is not to leave yet. What is given back takes it out again, to be offered; `false`:
   * another connection has it, or another session. `undefined`: it can't be encoded.
   */
  keepBack(envelope: Envelope.Envelope, now: number): (() => boolean) | undefined {
    const position = Math.max(this.#position + BEHIND, this.#keptBack.at(-1)?.position ?? 0) + 1
    const fresh = this.#encoded(Envelope.unnumbered(envelope), MsgPackCodec)
    if (fresh === undefined) return undefined
    const chunk = this.#store(position, [fresh], fresh.row, now)
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

  /** Whether it holds no more volatile envelopes, however small. */
  get isHoldFull(): boolean {
    return this.#held.length >= this.#limits.maxParked
  }

  /** A volatile envelope for this connection waits until what came before was replayed. `false`: too much waits. */
  hold(envelope: Envelope.Envelope, flow: Flow): boolean {
    this.write()
    if (this.isHoldFull || flow.isFull) return false
    // One that can't be encoded is refused alone.
    const bytes = this.#encoded(envelope, MsgPackCodec)?.frame.length
    if (bytes === undefined) return true
    this.#held.push({ after: this.#position, envelope, bytes })
    flow.hold(bytes)
    return true
  }

  /** Makes a row of what was given in this turn. */
  write(connection?: Connection): void {
    const batch = this.#fresh
    if (batch.length === 0) return
    this.#fresh = []
    for (let from = 0, to = 0; from < batch.length; from = to) {
      to = endOfRow(batch, from)
      const frame = this.#insert(batch.slice(from, to), this.#freshCodec)
      const isLive = batch[0]!.envelope.seq !== undefined && connection?.codec === this.#freshCodec
      // What is in line on the connection is this: it is joined already.
      if (isLive && to - from === batch.length && connection.outgoing.length === batch.length) {
        connection.frame = frame
      }
    }
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
      for (const { envelope, frame } of this.#transmit(chunk, connection, now, late)) {
        connection.send(envelope, encodedAs(frame))
      }
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
          .readAll(this.#on.unreadable)
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
      const fresh = this.#encoded(Envelope.unnumbered(envelope), MsgPackCodec)
      if (fresh === undefined) continue
      if (this.#freshCodec !== MsgPackCodec) this.write()
      this.#freshAt = receivedAt
      this.#freshCodec = MsgPackCodec
      this.#fresh.push(fresh)
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
  ): ReadonlyArray<Sent> {
    const session = this.#session
    const { codec } = connection
    const { envelopes, receivedAt } = this.#read(chunk, now)
    if (chunk.first !== null) {
      this.#cursor++
      this.#inFlight += chunk.bytes
      session.replayed = lastOf(chunk)
      return envelopes
        .filter(({ seq }) => seq! > session.outAcked)
        .map((envelope) => this.#again(envelope, codec, now))
    }
    const waited = Math.max(0, now - receivedAt)
    const numbered: Array<Fresh> = []
    for (const envelope of envelopes) {
      const ttl = envelope.ttl === null ? null : envelope.ttl - waited
      if (ttl !== null && ttl <= 0) late.push(envelope)
      else {
        const seq = this.#last + numbered.length + 1
        const fresh = this.#encoded({ ...envelope, ttl, seq }, codec)
        if (fresh !== undefined) numbered.push(fresh)
      }
    }
    this.#waiting -= chunk.count
    this.#bytes -= chunk.bytes
    if (numbered.length === 0) {
      this.#rows.delete(chunk)
      this.#chunks.splice(this.#cursor, 1)
      return numbered
    }
    const { row } = joined(numbered, codec)
    chunk.first = this.#last + 1
    chunk.count = numbered.length
    chunk.bytes = row.length
    this.#rows.update(chunk, row)
    this.#last = lastOf(chunk)
    this.#bytes += chunk.bytes
    this.#cursor++
    this.#inFlight += chunk.bytes
    session.replayed = this.#last
    return numbered
  }

  /** One that has its number already: where it can't be encoded for this connection, something else takes that. */
  #again(envelope: Envelope.Envelope, codec: Codec, now: number): Sent {
    const frame = frameOf(codec, envelope, undefined, this.#on.notEncoded)
    if (frame !== undefined) return { envelope, frame }
    const lost = lostAt(envelope.seq!, envelope.to, envelope.correlationId, now)
    return { envelope: lost, frame: codec.encode([lost]) }
  }

  /** What the row of the chunk holds. Of one that can't be read only the numbers are left, where it has any. */
  #read(chunk: Chunk, now: number): ReturnType<OutboxRows["read"]> {
    try {
      return this.#rows.read(chunk)
    } catch (error) {
      this.#on.unreadable(error)
      const { count, first } = chunk
      const to = addressOf(this.#session)
      const envelopes = Array.from({ length: first === null ? 0 : count }, (_, i) =>
        lostAt(first! + i, to, null, now),
      )
      return { receivedAt: now, envelopes }
    }
  }

  #insert(batch: ReadonlyArray<Fresh>, codec: Codec): string | Uint8Array {
    const { frame, row } = joined(batch, codec)
    const chunk = this.#store(++this.#position, batch, row, this.#freshAt)
    this.#chunks.push(chunk)
    if (chunk.first !== null) {
      this.#cursor++
      this.#inFlight += chunk.bytes
    }
    return frame
  }

  #store(position: number, batch: ReadonlyArray<Fresh>, row: string | Uint8Array, receivedAt: number): Chunk {
    const chunk: Chunk = {
      position,
      first: batch[0]!.envelope.seq ?? null,
      count: batch.length,
      bytes: row.length,
    }
    this.#rows.insert(chunk, row, receivedAt)
    this.#bytes += chunk.bytes
    return chunk
  }

  #release(connection: Connection, before: number): void {
    let count = 0
    for (const { after, bytes, envelope } of this.#held) {
      if (after >= before) break
      connection.send(envelope)
      connection.flow.hold(-bytes)
      count++
    }
    this.#held.splice(0, count)
  }

  #isTransmitted(chunk: Chunk): boolean {
    const { replayed } = this.#session
    return chunk.first !== null && (replayed === null || lastOf(chunk) <= replayed)
  }
}

/** Has the number of an envelope that is lost: its client would miss it. Whoever waits for an answer hears so. */
const lostAt = (
  seq: number,
  to: Address.Address,
  correlationId: string | null,
  now: number,
): Envelope.Envelope => {
  const message = "a message that waited for this client can't be encoded any more"
  return { ...errorEnvelope(1, to, "internal_error", message, now, correlationId), seq }
}

const lastOf = ({ first, count }: Chunk): number => first! + count - 1
