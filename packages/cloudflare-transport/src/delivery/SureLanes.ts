/**
 * What leaves an object reliably: rows from the turn that takes it until its target has taken or refused it. It
 * leaves in the lines of `Lanes`, in its place among what is volatile. Where a call's fate is unknown, what it
 * carried is sent again, later each time, by the alarm, under the same numbers; what comes meanwhile waits in
 * rows behind it.
 */
import type { Limits } from "../protocol/Limits.ts"
import type { Sql } from "../object/Sql.ts"
import { Numbers } from "./Numbers.ts"
import { CallFailed, type Delivery, type Outcome } from "./Rpc.ts"
import type { Framed } from "../session/StoredFrame.ts"
import { type RowHead, type Sender, SendingRows, stored, type Stored } from "./SendingRows.ts"

/** Milliseconds until a call is repeated of which nothing is known: doubled each time, up to an hour. */
const FIRST_RETRY = 1_000
const LONGEST_RETRY = 3_600_000
/** Calls after which nobody is expected to take it any more: about a day. */
const MOST_ATTEMPTS = 34
/** Envelopes that are read back at once. */
const PAGE = 256

/** A reliable envelope on its way, and whose it is. */
export interface Sending extends Sender {
  delivery: Delivery
  /** Epoch milliseconds. */
  readonly takenAt: number
  /** Whether an earlier call may have brought it. */
  isRepeat: boolean
  /** Whether it is over before it left: it could not be encoded. It is still in line, and leaves no more. */
  isOver?: boolean
}

/** A row. */
interface Chunk {
  head: RowHead
  /** Those of it that are in line; `undefined`: it is in line no more, or not yet. */
  open: Array<Sending> | undefined
}

interface Lane {
  readonly name: string
  readonly chunks: Array<Chunk>
  /** What was taken in this turn: not yet rows. */
  fresh: Array<Sending>
  count: number
  bytes: number
  /** How many are in line. */
  inLine: number
  /** Whether rows wait that are not in line: what comes waits behind them. */
  isBehind: boolean
  /** Calls that failed since one did not. */
  attempts: number
  /** When the next may be made, epoch milliseconds. */
  dueAt: number
}

export interface SureLanesOptions {
  readonly sql: Sql
  readonly limits: Limits
  readonly now: () => number
  /** Puts it in line for its target; `done` is told once, later, what became of it. */
  readonly push: (lane: string, sending: Sending, done: (result: Outcome | CallFailed) => void) => void
  /** Empties the line: what is in it fails. */
  readonly drop: (lane: string, why: CallFailed) => void
  /** Told what became of each, in the turn in which its row ends. */
  readonly settled: (sending: Sending, outcome: Outcome) => void
  /** Told of one that can't be encoded, for what its encoder threw: it is no row, and does not leave. */
  readonly notEncoded: (sending: Sending, error: unknown) => void
  /** Told of a row that can't be read: what it held is lost. */
  readonly unreadable: (error: unknown) => void
  /** The alarm is to come then at the latest. */
  readonly atLatest: (at: number) => void
}

export class SureLanes {
  readonly numbers: Numbers
  readonly #options: SureLanesOptions
  readonly #rows: SendingRows
  /** Those that have rows; `undefined`: not looked for in this memory. */
  #known: Map<string, Lane> | undefined
  /** Lanes that were given something in this turn. */
  readonly #filled = new Set<Lane>()
  /** Rows of which something was settled in this turn. */
  readonly #settled = new Map<Chunk, Lane>()

  constructor(options: SureLanesOptions) {
    this.#options = options
    this.numbers = new Numbers(options.sql)
    this.#rows = new SendingRows(options.sql)
  }

  /** Whether what is volatile may not be put in line: it would overtake what waits. */
  isBehind(lane: string): boolean {
    return this.#lanes.get(lane)?.isBehind === true
  }

  /** Takes it. `bounded`: only where not too much waits already; gives whether it did. */
  put(name: string, sending: Sending, bounded: boolean): boolean {
    const { limits } = this.#options
    const lane = this.#lane(name)
    if (bounded && (lane.count >= limits.maxLane || lane.bytes >= limits.maxOutboxBytes)) return false
    lane.count++
    lane.fresh.push(sending)
    this.#filled.add(lane)
    if (!lane.isBehind) this.#line(lane, sending)
    return true
  }

  /** The turn is over: what it took is stored before anything of it leaves, what was settled goes. */
  write(): void {
    if (this.#filled.size > 0) {
      for (const lane of this.#filled) this.#insert(lane)
      this.#filled.clear()
    }
    if (this.#settled.size === 0) return
    const lanes = new Set(this.#settled.values())
    for (const [chunk, lane] of this.#settled) this.#keep(lane, chunk)
    this.#settled.clear()
    for (const lane of lanes) {
      if (lane.chunks.length === 0) this.#lanes.delete(lane.name)
      else if (lane.isBehind && lane.inLine === 0 && lane.attempts === 0) this.#advance(lane)
    }
  }

  /** Sends again what is due. */
  retry(now: number): void {
    for (const lane of this.#lanes.values()) {
      if (!lane.isBehind || lane.inLine > 0 || dueAt(lane, now) > now) continue
      if (lane.attempts < MOST_ATTEMPTS) this.#advance(lane)
      else this.#giveUp(lane)
    }
  }

  /** When something is due, epoch milliseconds. */
  dueAt(): number | undefined {
    const { limits, now } = this.#options
    if (this.#lanes.size === 0) return undefined
    // What is under way needs an alarm only where this memory is lost.
    let due = now() + limits.sweepInterval
    for (const lane of this.#lanes.values()) {
      if (lane.isBehind && lane.inLine === 0) due = Math.min(due, Math.max(dueAt(lane, now()), now()))
    }
    return due
  }

  get #lanes(): Map<string, Lane> {
    return this.#known ?? this.#load()
  }

  /** What an earlier memory has left. */
  #load(): Map<string, Lane> {
    this.#known = new Map()
    for (const head of this.#rows.heads()) {
      const lane = this.#lane(head.lane)
      if (!lane.isBehind) {
        lane.attempts = head.attempts
        lane.dueAt = head.due_at
      }
      lane.isBehind = true
      lane.chunks.push({ head, open: undefined })
      lane.count += head.count
      lane.bytes += head.bytes
    }
    return this.#known
  }

  #lane(name: string): Lane {
    let lane = this.#lanes.get(name)
    if (lane === undefined) {
      lane = {
        name,
        chunks: [],
        fresh: [],
        count: 0,
        bytes: 0,
        inLine: 0,
        isBehind: false,
        attempts: 0,
        dueAt: 0,
      }
      this.#lanes.set(name, lane)
    }
    return lane
  }

  #line(lane: Lane, sending: Sending): void {
    lane.inLine++
    this.#options.push(lane.name, sending, (result) => this.#done(lane, sending, result))
  }

  /** Gives what was taken its numbers, and makes rows of it: one for all that has the same sender. */
  #insert(lane: Lane): void {
    const { atLatest, limits, now } = this.#options
    const fresh: Array<Sending> = []
    const frames: Array<Framed> = []
    for (const sending of lane.fresh) {
      const { delivery } = sending
      sending.delivery = { ...delivery, envelope: { ...delivery.envelope, seq: this.numbers.next() } }
      try {
        frames.push(stored(sending.delivery.envelope))
        fresh.push(sending)
      } catch (error) {
        sending.isOver = true
        lane.count--
        this.#options.notEncoded(sending, error)
      }
    }
    lane.fresh = []
    for (let from = 0, to = 1; from < fresh.length; from = to++) {
      const first = fresh[from]!
      while (to < fresh.length && isSameSender(first, fresh[to]!)) to++
      const deliveries = fresh.slice(from, to).map(({ delivery }) => delivery)
      let at = from
      const rows = this.#rows.insert(lane.name, first, deliveries, frames.slice(from, to), first.takenAt)
      for (const head of rows) {
        const open = lane.isBehind ? undefined : fresh.slice(at, at + head.count)
        lane.chunks.push({ head, open })
        lane.bytes += head.bytes
        at += head.count
      }
    }
    atLatest(now() + limits.sweepInterval)
    if (lane.chunks.length === 0) this.#lanes.delete(lane.name)
  }

  #done(lane: Lane, sending: Sending, result: Outcome | CallFailed): void {
    lane.inLine--
    if (!(result instanceof CallFailed)) this.#settle(lane, sending, result)
    else if (isKnown(result, sending)) this.#settle(lane, sending, { status: "refused", ...result })
    else this.#hold(lane, result)
  }

  #settle(lane: Lane, sending: Sending, outcome: Outcome): void {
    const chunk = lane.chunks.find(({ open }) => open?.includes(sending) === true)
    // Another of the same call has failed.
    if (chunk === undefined) return
    chunk.open!.splice(chunk.open!.indexOf(sending), 1)
    this.#settled.set(chunk, lane)
    lane.attempts = 0
    lane.dueAt = 0
    this.#options.settled(sending, outcome)
  }

  /** Nothing is known of a call: it is made again later, and nothing overtakes it. */
  #hold(lane: Lane, why: CallFailed): void {
    const { atLatest, drop, now } = this.#options
    const inLine = lane.chunks.filter(({ open }) => open !== undefined)
    // Told of it already, by another of the same call.
    if (inLine.length === 0) return
    lane.isBehind = true
    for (const chunk of inLine) {
      if (this.#settled.delete(chunk)) this.#keep(lane, chunk)
      chunk.open = undefined
    }
    lane.dueAt = now() + delayAfter(lane.attempts)
    lane.attempts++
    // In the first: what is behind it waits for it.
    this.#rows.hold(lane.chunks[0]!.head, lane.attempts, lane.dueAt)
    atLatest(lane.dueAt)
    drop(lane.name, why)
  }

  /** Stores what is left of a row. */
  #keep(lane: Lane, chunk: Chunk): void {
    const { head, open } = chunk
    const left = open!.map(({ delivery }) => delivery)
    let frames: ReadonlyArray<Framed>
    try {
      frames = left.map(({ envelope }) => stored(envelope))
    } catch {
      // The row stays whole: what comes again is known by its number.
      return
    }
    this.#rows.keep(head, left, frames)
    lane.count -= head.count - left.length
    chunk.head = { ...head, count: left.length }
    if (left.length > 0) return
    lane.bytes -= head.bytes
    lane.chunks.splice(lane.chunks.indexOf(chunk), 1)
  }

  /** Puts the next rows in line, as many as have the same rights and are not too many. */
  #advance(lane: Lane): void {
    if (this.#filled.delete(lane)) this.#insert(lane)
    let claims: string | undefined
    let count = 0
    for (const chunk of lane.chunks.slice()) {
      if (count > 0 && count + chunk.head.count > PAGE) break
      const row = this.#read(lane, chunk)
      if (row === undefined) continue
      const rights = JSON.stringify(row.claims)
      if (claims !== undefined && claims !== rights) break
      claims = rights
      const { at, claims: of, deliveries, sender, session, takenAt } = row
      chunk.open = deliveries.map((delivery) => ({
        delivery,
        takenAt,
        sender,
        session,
        at,
        claims: of,
        isRepeat: true,
      }))
      count += chunk.head.count
    }
    lane.isBehind = lane.chunks.some(({ open }) => open === undefined)
    for (const { open } of lane.chunks) for (const sending of open ?? []) this.#line(lane, sending)
    if (lane.chunks.length === 0) this.#lanes.delete(lane.name)
  }

  /** What the row holds. One that can't be read goes: it would hold up what is behind it for ever. */
  #read(lane: Lane, chunk: Chunk): Stored | undefined {
    try {
      return this.#rows.read(chunk.head)
    } catch (error) {
      this.#rows.keep(chunk.head, [], [])
      lane.count -= chunk.head.count
      lane.bytes -= chunk.head.bytes
      lane.chunks.splice(lane.chunks.indexOf(chunk), 1)
      this.#options.unreadable(error)
      return undefined
    }
  }

  /** Nobody was there for a day. */
  #giveUp(lane: Lane): void {
    for (const chunk of lane.chunks.slice()) {
      const row = this.#read(lane, chunk)
      if (row === undefined) continue
      chunk.open = []
      this.#settled.set(chunk, lane)
      for (const delivery of row.deliveries) {
        this.#options.settled({ ...row, delivery, isRepeat: true }, GONE)
      }
    }
    lane.attempts = 0
    if (lane.chunks.length === 0) this.#lanes.delete(lane.name)
  }
}

const GONE: Outcome = {
  status: "refused",
  code: "timeout",
  message: "it could not be reached for a day; whether it has taken it is not known",
}

/** Whether the call's failure says what became of it. Once it may have arrived, only its target can say. */
const isKnown = ({ code }: CallFailed, { isRepeat }: Sending): boolean =>
  code === "actor_failed" || code === "unknown_actor" || (code === "queue_full" && !isRepeat)

const isSameSender = (one: Sending, other: Sending): boolean =>
  one.session === other.session &&
  one.sender === other.sender &&
  one.at === other.at &&
  one.takenAt === other.takenAt

/** The delivery as it leaves now, with what is left of its time. */
export const aged = ({ delivery, takenAt }: Sending, now: number): Delivery => {
  const { ask, envelope } = delivery
  const waited = Math.max(0, now - takenAt)
  const { ttl } = envelope
  return {
    envelope: ttl === null ? envelope : { ...envelope, ttl: Math.max(0, ttl - waited) },
    ...(ask !== undefined && { ask: { ...ask, timeout: Math.max(0, ask.timeout - waited) } }),
  }
}

/** Milliseconds to the next attempt after so many failed. */
const delayAfter = (attempts: number): number => Math.min(FIRST_RETRY * 2 ** attempts, LONGEST_RETRY)

/** When the lane is tried again. No later than the longest wait from now: the clock may have been set back since. */
const dueAt = (lane: Pick<Lane, "attempts" | "dueAt">, now: number): number =>
  lane.dueAt - now > delayAfter(lane.attempts) ? now : lane.dueAt
