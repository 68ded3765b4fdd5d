/**
 * What goes out: at once where it may, else it waits in line for a connection, its receiver or the hub's
 * rate. What is reliable gets its number as it leaves, and leaves again on each connection until it is
 * acknowledged, before anything else. Plain code, no fiber a message.
 */
import { TransportError, type Address, type Envelope } from "@signal-hub/actor-core/vocabulary"
import type { AdvertisedLimits } from "../protocol/HubMessage.ts"
import { DEFAULT_MAX_MESSAGE_SIZE } from "../protocol/Limits.ts"
import { FRAME_OVERHEAD, type FrameCodec, type Part } from "./FrameCodec.ts"
import type { Journal } from "./Journal.ts"
import { Outgoing } from "./Outgoing.ts"
import { Pace } from "./Pace.ts"
import type { PendingAsks } from "./PendingAsks.ts"
import { SendQueue, type Waiting } from "./SendQueue.ts"
import type { SocketLike } from "./Socket.ts"
import type { Timers } from "./Timers.ts"
import { MOST, Unacknowledged } from "./Unacknowledged.ts"

/** Milliseconds after which more of what waits for the hub's rate leaves. */
export const DRAIN_INTERVAL = 100

export interface SenderOptions {
  readonly timers: Timers
  readonly frames: FrameCodec
  /** Envelopes that may wait. */
  readonly queueLimit: number
  /** Where what is reliable is kept beyond this process. */
  readonly journal: Journal | undefined
}

export class Sender {
  readonly unacknowledged: Unacknowledged
  /** Why nothing is taken any more, or for now. */
  refusal: string | undefined
  readonly #options: SenderOptions
  readonly #pending: PendingAsks
  readonly #paused: ReadonlySet<string>
  readonly #acknowledgment: () => Part | undefined
  readonly #queue: SendQueue
  readonly #pace = new Pace()
  #out: Outgoing | undefined
  #live = false
  /** Whether the hub takes numbers; believed of one that is not known yet. */
  #numbers = true
  /** Whether something waits for the hub's rate, or the network's. */
  #behind = false
  #disarm = (): void => {}
  #maxFrame = DEFAULT_MAX_MESSAGE_SIZE

  /** `paused` are the addresses that nothing is sent to now; `acknowledgment` is what leaves along. */
  constructor(
    options: SenderOptions,
    pending: PendingAsks,
    paused: ReadonlySet<string>,
    acknowledgment: () => Part | undefined,
  ) {
    this.#options = options
    this.#pending = pending
    this.#paused = paused
    this.#acknowledgment = acknowledgment
    this.#queue = new SendQueue(options.queueLimit)
    this.unacknowledged = new Unacknowledged(options.frames, options.journal, (id) =>
      pending.acknowledged(id),
    )
  }

  /** Whether the hub has accepted this connection. */
  get live(): boolean {
    return this.#live
  }

  /** Whether something that may leave has not yet. */
  get draining(): boolean {
    return this.#behind
  }

  /** Sends it, or queues it, or says why neither; gives what it is while it waits for anything but a connection. */
  offer(envelope: Envelope.Envelope): TransportError | Waiting | undefined {
    if (this.refusal !== undefined) return new TransportError({ reason: "closed", message: this.refusal })
    const { frames, journal } = this.#options
    const isReliable = envelope.seq !== undefined
    let part: Part
    try {
      part = frames.encode(envelope)
    } catch (error) {
      return new TransportError({
        reason: "refused",
        code: "invalid_message",
        message: `the message cannot be encoded: ${String(error)}`,
      })
    }
    const most = this.#maxFrame - FRAME_OVERHEAD
    if (frames.sizeOf(part, most) > most) {
      return new TransportError({
        reason: "too_large",
        message: `the message is larger than the hub's limit of ${this.#maxFrame} bytes: send it in parts`,
      })
    }
    if (isReliable && this.unacknowledged.isFull) return queueFull(MOST, "are not acknowledged")
    const now = this.#options.timers.now()
    const out = this.#out
    const paused = this.#paused.has(envelope.to)
    const live = this.#live && out?.open === true
    if (live && !paused && !this.#behind && !out.full && this.#pace.take(now)) {
      if (isReliable) this.#leave({ envelope, part, since: now }, out, now)
      else {
        out.push(part)
        this.#pending.transmitted(envelope.id, false)
      }
      return undefined
    }
    const waiting: Waiting = { envelope, part, since: now }
    if (!this.#queue.push(waiting)) return queueFull(this.#queue.limit, "wait already")
    // Who asked is gone where this process is: its ask is not kept beyond it.
    if (isReliable && envelope.pattern === "tell") journal?.keep(waiting)
    if (live && !paused && !this.#behind) this.#fallBehind()
    return live ? waiting : undefined
  }

  /** Puts it before all that waits. */
  first(waiting: ReadonlyArray<Waiting>): void {
    this.#queue.unshift(waiting)
  }

  /** Takes out what waits under this id. */
  remove(id: string): void {
    this.#queue.remove(id)
    this.#options.journal?.drop(id)
  }

  /** The last message to this address that waits for anything but a connection. */
  waitingFor(address: Address.Address): Waiting | undefined {
    return this.#live ? this.#queue.lastFor(address) : undefined
  }

  /** From now on this socket is the one. Nothing of what waits leaves yet. */
  attach(socket: SocketLike): void {
    const { frames, journal } = this.#options
    this.#out = new Outgoing(socket, frames, this.#maxFrame, this.#acknowledgment, journal)
  }

  /** Sends it now, past what waits. */
  push(envelope: Envelope.Envelope): void {
    this.#out?.push(this.#options.frames.encode(envelope))
  }

  /** As `push`, of what counts against the hub's rate. */
  pushCounted(envelope: Envelope.Envelope): void {
    this.#pace.take(this.#options.timers.now())
    this.push(envelope)
  }

  /** The hub takes messages from now on, numbered ones where `numbers`. */
  open(maxFrame: number, limits: Partial<AdvertisedLimits> | undefined, numbers: boolean): void {
    this.#maxFrame = maxFrame
    if (this.#out !== undefined) this.#out.maxFrame = maxFrame
    this.#pace.allow(limits)
    this.#numbers = numbers
    this.#live = true
    this.unacknowledged.rewind()
  }

  /** Sends what waits, as far as it may leave now. */
  drain(): void {
    const out = this.#out
    if (!this.#live || out?.open !== true) return
    const now = this.#options.timers.now()
    const { unacknowledged } = this
    const isPaused = ({ envelope }: Waiting): boolean => this.#paused.has(envelope.to)
    this.#disarm()
    const mayLeave = (): boolean => !out.full && this.#pace.take(now)
    while (unacknowledged.isBehind && mayLeave()) out.push(unacknowledged.again().part)
    let held = false
    const expired: Array<string> = []
    const taken = this.#queue.take((waiting) => {
      if (held || isPaused(waiting)) return false
      held = (waiting.envelope.seq !== undefined && unacknowledged.isFull) || !mayLeave()
      if (held) return false
      if (!this.#leave(waiting, out, now)) expired.push(waiting.envelope.id)
      return true
    })
    this.#behind = false
    if (unacknowledged.isBehind || this.#queue.some((waiting) => !isPaused(waiting))) this.#fallBehind()
    // Last, as who hears of it may send at once.
    for (const { left } of taken) left?.()
    for (const id of expired) {
      this.#options.journal?.drop(id)
      this.#pending.expire(id)
    }
  }

  /**
   * It leaves, with what is left of its time, and with a number where it is reliable. `false`: its time is
   * over.
   */
  #leave(waiting: Waiting, out: Outgoing, now: number): boolean {
    const { envelope, since } = waiting
    const { id } = envelope
    const isReliable = envelope.seq !== undefined
    const isNumbered = isReliable && this.#numbers
    if (envelope.ttl !== null || isReliable !== isNumbered) {
      // The hub counts from when it receives: what was waited here is taken off.
      const ttl = envelope.ttl === null ? null : envelope.ttl - (now - since)
      if (ttl !== null && ttl <= 0) return false
      const { seq: _, ...plain } = envelope
      waiting.envelope = { ...(isNumbered ? envelope : plain), ttl }
      waiting.part = this.#options.frames.encode(waiting.envelope)
    }
    if (isNumbered) this.unacknowledged.add(waiting)
    else if (isReliable) this.#options.journal?.drop(id)
    out.push(waiting.part)
    this.#pending.transmitted(id, isNumbered)
    return true
  }

  #fallBehind(): void {
    this.#behind = true
    this.#disarm = this.#options.timers.after(DRAIN_INTERVAL, () => this.drain())
  }

  /** The connection is gone: what is sent from now on waits. */
  detach(): void {
    this.#live = false
    this.#out = undefined
    this.#behind = false
    this.#disarm()
    this.#queue.take((waiting) => {
      waiting.left?.()
      return waiting.passing === true
    })
  }

  /** Takes out what was never sent and `goes` lets. */
  take(goes: (waiting: Waiting) => boolean): ReadonlyArray<Envelope.Envelope> {
    return this.#queue.take(goes).map(({ envelope }) => {
      this.#options.journal?.drop(envelope.id)
      return envelope
    })
  }
}

const queueFull = (most: number, what: string): TransportError =>
  new TransportError({
    reason: "queue_full",
    message: `${most} messages, or 16 MiB, ${what}: wait for each tell, then send again`,
  })
