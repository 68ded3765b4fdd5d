/**
 * Gives what comes for this client's addresses to its actors and listeners. An envelope that none of them takes
 * waits, and all that comes later for its address behind it, until an actor is served there, a listener comes,
 * or its time is over.
 */
import { type Address, AnswerStream, type Envelope, type Receiver } from "@signal-hub/actor-core/vocabulary"
import { Emitter, reportUncaught } from "./Emitter.ts"
import type { Timers } from "./Timers.ts"

/** Most envelopes and bytes that wait: a hub has no more for a session that acknowledges nothing. */
const MAX_UNCLAIMED = 10_000
const MAX_UNCLAIMED_BYTES = 16 * 1_048_576

/** An envelope that waits. */
interface Unclaimed {
  readonly envelope: Envelope.Envelope
  readonly bytes: number
  readonly since: number
  isOver: boolean
}

/** How much waits. */
class Backlog {
  count = 0
  bytes = 0

  get isFull(): boolean {
    return this.count >= MAX_UNCLAIMED || this.bytes >= MAX_UNCLAIMED_BYTES
  }

  change(by: 1 | -1, bytes: number): void {
    this.count += by
    this.bytes += by * bytes
  }
}

/** Why an envelope was given up: nobody came in `unclaimedTimeout`, or in its own `ttl`, or too many waited. */
export type UnclaimedReason = "timeout" | "expired" | "full"

/** Told of envelopes that waited. */
export interface ReceiversPort {
  /** Some wait no more. */
  readonly moved: () => void
  /** Nobody has taken this one. */
  readonly unclaimed: (envelope: Envelope.Envelope, reason: UnclaimedReason) => void
  /** So many were not taken since the last call. The first of them stands for all. */
  readonly report: (count: number, first: Envelope.Envelope) => void
}

export class Receivers {
  /** Never changed but replaced. */
  #receivers: ReadonlyArray<{ readonly call: Receiver }> = []
  readonly #listeners = new Emitter<Envelope.Envelope>()
  /** Addresses at which an actor is about to be served. */
  readonly #expected = new Set<Address.Address>()
  #waiting: Array<Unclaimed> = []
  /** How many wait for each address. */
  readonly #counts = new Map<Address.Address, number>()
  readonly #all = new Backlog()
  /** The part of it that is reliable, which has room of its own. */
  readonly #reliable = new Backlog()
  readonly #timers: Timers
  readonly #timeout: number
  readonly #port: ReceiversPort
  #disarm: (() => void) | undefined
  #isOffering = false
  #isMoreToOffer = false
  #isClosed = false
  #isStopped = false
  #unreported = 0
  #firstUnreported: Envelope.Envelope | undefined

  /** An envelope waits at most `timeout` milliseconds. */
  constructor(timers: Timers, timeout: number, port: ReceiversPort) {
    this.#timers = timers
    this.#timeout = timeout
    this.#port = port
  }

  /** Adds a listener, which takes everything, from the next envelope on; first those that wait. The result removes it. */
  on(listener: (envelope: Envelope.Envelope) => void): () => void {
    const off = this.#listeners.on(listener)
    this.offerAgain()
    return off
  }

  /** Adds a receiver, which takes the envelopes for its actors. The result removes it. */
  receive(receiver: Receiver): () => void {
    const own = { call: receiver }
    this.#receivers = [...this.#receivers, own]
    this.offerAgain()
    return () => {
      this.#receivers = this.#receivers.filter((other) => other !== own)
    }
  }

  /**
   * An actor is about to be served at the address: until it is, or the result is called, all that is for it
   * waits.
   */
  expect(address: Address.Address): () => void {
    this.#expected.add(address)
    return () => this.offerAgain(address)
  }

  /** The number of the first reliable envelope that waits; `undefined`: none does. */
  get firstWaiting(): number | undefined {
    if (this.#reliable.count === 0) return undefined
    return this.#waiting.find(({ envelope, isOver }) => !isOver && envelope.seq !== undefined)?.envelope.seq
  }

  /** Gives the envelope, one of so many bytes, to who takes it, or keeps it. */
  deliver(envelope: Envelope.Envelope, bytes: number): void {
    const { to, type } = envelope
    const isHeld =
      (this.#all.count > 0 && this.#counts.has(to)) || (this.#expected.size > 0 && this.#expected.has(to))
    // It waits behind its ask. Without one there, that is over.
    const isAboutAsk = AnswerStream.isAboutAsk(type)
    if ((!isHeld || isAnswer(envelope)) && this.#offer(envelope)) return
    if (isHeld || !isAboutAsk) this.#keep({ envelope, bytes, since: this.#timers.now(), isOver: false })
  }

  /** Offers the envelopes that wait, those for the address or all, to who may take them by now. */
  offerAgain(address?: Address.Address): void {
    if (address !== undefined) this.#expected.delete(address)
    if (address === undefined ? this.#all.count === 0 : !this.#counts.has(address)) return
    this.#isMoreToOffer = true
    // Who takes one may serve another actor, or listen.
    if (this.#isOffering) return
    this.#isOffering = true
    while (this.#isMoreToOffer) {
      this.#isMoreToOffer = false
      this.#offerOnce()
    }
    this.#isOffering = false
    this.#settle()
  }

  /** The session is over: the hub has what is reliable, and sends it again or gives it up. */
  dropReliable(): void {
    for (const entry of this.#waiting) if (entry.envelope.seq !== undefined) this.#remove(entry)
    this.#compact()
  }

  /** Gives nothing to anybody any more: what comes is the hub's still, which is not told that it was taken. */
  close(): void {
    this.#isClosed = true
  }

  /** Keeps nothing any more. */
  stop(): void {
    this.#isStopped = true
    for (const entry of this.#waiting) this.#remove(entry)
    this.#compact()
    this.#report()
  }

  /** True where somebody took it. */
  #offer(envelope: Envelope.Envelope): boolean {
    if (this.#isClosed) return false
    const isTaken = this.#call(envelope, false)
    const isHeard = this.#listeners.size > 0
    this.#listeners.emit(envelope)
    return isTaken || isHeard
  }

  #call(envelope: Envelope.Envelope, isUnclaimed: boolean): boolean {
    let isTaken = false
    for (const { call } of this.#receivers) {
      try {
        if (call(envelope, isUnclaimed) !== false) isTaken = true
      } catch (error) {
        isTaken = true
        reportUncaught(error)
      }
    }
    return isTaken
  }

  #offerOnce(): void {
    const refused = new Set<Address.Address>(this.#expected)
    // What comes meanwhile is at the end of the same array.
    for (const entry of this.#waiting) {
      const { to } = entry.envelope
      if (entry.isOver || refused.has(to)) continue
      const envelope = this.#aged(entry)
      if (envelope === undefined) this.#giveUp(entry, "expired")
      else if (this.#offer(envelope)) this.#remove(entry)
      // Nothing overtakes it.
      else refused.add(to)
    }
  }

  /** The envelope with what is left of its time; `undefined`: nothing is. */
  #aged({ envelope, since }: Unclaimed): Envelope.Envelope | undefined {
    if (envelope.ttl === null) return envelope
    const ttl = envelope.ttl - Math.max(0, this.#timers.now() - since)
    return ttl > 0 ? { ...envelope, ttl } : undefined
  }

  #keep(entry: Unclaimed): void {
    const { envelope, bytes } = entry
    const isReliable = envelope.seq !== undefined
    if (this.#isStopped) return
    if ((isReliable ? this.#reliable : this.#all).isFull) return this.#dead(envelope, "full")
    this.#waiting.push(entry)
    this.#counts.set(envelope.to, (this.#counts.get(envelope.to) ?? 0) + 1)
    this.#all.change(1, bytes)
    if (isReliable) this.#reliable.change(1, bytes)
    this.#arm()
  }

  #remove(entry: Unclaimed): void {
    if (entry.isOver) return
    entry.isOver = true
    const { envelope, bytes } = entry
    const count = this.#counts.get(envelope.to)! - 1
    if (count === 0) this.#counts.delete(envelope.to)
    else this.#counts.set(envelope.to, count)
    this.#all.change(-1, bytes)
    if (envelope.seq !== undefined) this.#reliable.change(-1, bytes)
  }

  #giveUp(entry: Unclaimed, reason: UnclaimedReason): void {
    this.#remove(entry)
    this.#dead(entry.envelope, reason)
  }

  #dead(envelope: Envelope.Envelope, reason: UnclaimedReason): void {
    // It was for nobody, if not for a listener.
    if (isAnswer(envelope) || AnswerStream.isAboutAsk(envelope.type)) return
    if (envelope.metadata.publication === true) return
    this.#unreported++
    this.#firstUnreported ??= envelope
    this.#call(envelope, true)
    this.#port.unclaimed(envelope, reason)
  }

  /** After entries were removed. */
  #settle(): void {
    this.#compact()
    this.#port.moved()
  }

  #compact(): void {
    if (this.#isOffering) return
    this.#waiting = this.#waiting.filter(({ isOver }) => !isOver)
    if (this.#waiting.length > 0) return
    this.#disarm?.()
    this.#disarm = undefined
  }

  #arm(): void {
    if (this.#disarm !== undefined || this.#timeout === Infinity) return
    const wait = this.#waiting[0]!.since + this.#timeout - this.#timers.now()
    this.#disarm = this.#timers.after(Math.max(0, wait), () => this.#expire())
  }

  #expire(): void {
    this.#disarm = undefined
    const before = this.#timers.now() - this.#timeout
    for (const entry of this.#waiting) {
      if (entry.since > before) break
      if (!entry.isOver) this.#giveUp(entry, this.#aged(entry) === undefined ? "expired" : "timeout")
    }
    this.#settle()
    this.#report()
    if (this.#waiting.length > 0) this.#arm()
  }

  #report(): void {
    if (this.#firstUnreported === undefined) return
    this.#port.report(this.#unreported, this.#firstUnreported)
    this.#unreported = 0
    this.#firstUnreported = undefined
  }
}

/** True for an answer to an ask that nobody here waits for: of an earlier process, or too late. */
const isAnswer = ({ correlationId, pattern, type }: Envelope.Envelope): boolean =>
  correlationId !== null && pattern === "tell" && !AnswerStream.isAboutAsk(type)
