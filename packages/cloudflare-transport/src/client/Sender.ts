/**
 * What goes out: at once where it may, else it waits in line for a connection, its receiver or the hub's
 * rate. What is reliable gets its number as it leaves, and leaves again on each connection until it is
 * acknowledged, before anything else. Plain code, no fiber a message.
 */
import { TransportError, type Address, Envelope } from "@signal-hub/actor-core/vocabulary"
import { type AdvertisedLimits, HUB_ADDRESS } from "../protocol/HubMessage.ts"
import { DEFAULT_MAX_MESSAGE_SIZE, DEFAULT_MAX_VALUES } from "../protocol/Limits.ts"
import { Credit } from "./Credit.ts"
import { FRAME_OVERHEAD, type FrameCodec, type Part } from "./FrameCodec.ts"
import type { Journal } from "./Journal.ts"
import { message } from "./Message.ts"
import { type FrameLimits, Outgoing } from "./Outgoing.ts"
import { Pace } from "./Pace.ts"
import type { PendingAsks } from "./PendingAsks.ts"
import { SendQueue, type Waiting } from "./SendQueue.ts"
import type { SocketLike } from "./Socket.ts"
import { MAX_QUICK_END_MS } from "./Suspect.ts"
import type { Timers } from "./Timers.ts"
import { MOST, Unacknowledged } from "./Unacknowledged.ts"
import { ENVELOPE_VALUES, tooLarge, unreadable, validate, valuesOf } from "./Validation.ts"

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
  /**
   * Hears of a tell that was taken and does not arrive after all: the hub's limits are less than was known, or no
   * connection survives it.
   */
  onDropped = (_envelope: Envelope.Envelope, _error: TransportError): void => {}
  readonly #options: SenderOptions
  readonly #pending: PendingAsks
  readonly #paused: ReadonlySet<string>
  readonly #acknowledgment: () => Part | undefined
  readonly #queue: SendQueue
  readonly #pace = new Pace()
  readonly #askProgress: (answered: () => void) => void
  #credit = new Credit(undefined)
  #out: Outgoing | undefined
  #live = false
  /** Whether the hub takes numbers; believed of one that is not known yet. */
  #numbers = true
  /** Whether something waits for the hub's rate, or the network's. */
  #behind = false
  /** The number of the message that leaves alone: all else waits until the hub has it. */
  #alone: number | undefined
  /** When the hub accepted this connection. */
  #openedAt = 0
  #disarm = (): void => {}
  /** What the hub said of its limits, once it has. */
  #limits: Partial<AdvertisedLimits> & FrameLimits = {
    maxMessageSize: DEFAULT_MAX_MESSAGE_SIZE,
    maxValues: DEFAULT_MAX_VALUES,
  }

  /**
   * `paused` are the addresses that nothing is sent to now; `acknowledgment` is what leaves along; `askProgress`
   * asks the hub to answer once it has worked on all that left before.
   */
  constructor(
    options: SenderOptions,
    pending: PendingAsks,
    paused: ReadonlySet<string>,
    acknowledgment: () => Part | undefined,
    askProgress: (answered: () => void) => void,
  ) {
    this.#askProgress = askProgress
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

  /** Bytes that the hub is known to have worked on, of this connection. */
  get handled(): number {
    return this.#credit.handled
  }

  /** True while what is to leave waits for the hub's word on what has left. */
  get isStalled(): boolean {
    return this.#alone !== undefined || this.#credit.isSpent
  }

  /** Whether something that may leave has not yet. */
  get draining(): boolean {
    return this.#behind
  }

  /**
   * The envelope as it may leave, encoded: nothing of the user's is read after this. Or why the hub would not
   * take it.
   */
  prepare(envelope: Envelope.Envelope): TransportError | Waiting {
    try {
      const waiting = this.encode(envelope, this.#options.timers.now())
      return waiting instanceof TransportError ? waiting : (this.#excess(waiting) ?? waiting)
    } catch (error) {
      return unreadable(envelope, error)
    }
  }

  /** The same, however large it is. Throws where what the user gave does. */
  encode(given: Envelope.Envelope, since: number): TransportError | Waiting {
    const envelope = validate(given, this.#limits)
    if (envelope instanceof TransportError) return envelope
    const { frames } = this.#options
    const part = frames.encode(envelope)
    return { envelope, part, values: valuesOf(part, frames), since }
  }

  /** Why no frame can hold it, where that is so. */
  #excess({ part, values }: Waiting): TransportError | undefined {
    const { frames } = this.#options
    const { maxMessageSize, maxValues } = this.#limits
    const most = maxMessageSize - FRAME_OVERHEAD
    if (frames.sizeOf(part, most) > most)
      return tooLarge(`is larger than the hub's limit of ${maxMessageSize} bytes`)
    if (values < maxValues || frames.codec.measure(part).values < maxValues) return undefined
    return tooLarge(`holds more values than the hub's limit of ${maxValues} for a frame`)
  }

  /** Sends it, or queues it, or says why neither; gives what it is while it waits for anything but a connection. */
  offer(offered: Envelope.Envelope): TransportError | Waiting | undefined {
    if (this.refusal !== undefined) return new TransportError({ reason: "closed", message: this.refusal })
    const waiting = this.prepare(offered)
    if (waiting instanceof TransportError) return waiting
    const { envelope, since: now } = waiting
    const isReliable = envelope.seq !== undefined
    if (isReliable && this.unacknowledged.isFull) return queueFull(MOST, "are not acknowledged")
    const out = this.#out
    const paused = this.#paused.has(envelope.to)
    const live = this.#live && out?.open === true
    if (live && !paused && !this.#behind && this.#mayLeave(waiting, out, now)) {
      if (!this.#leave(waiting, out, now)) this.#pending.expire(envelope.id)
      return undefined
    }
    if (!this.#queue.push(waiting)) return queueFull(this.#queue.limit, "wait already")
    // Who asked is gone where this process is: its ask is not kept beyond it.
    if (isReliable && envelope.pattern === "tell") this.#options.journal?.keep(waiting)
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
    const onFrame = (bytes: number): void => this.#pace.spend(bytes)
    this.#out = new Outgoing(socket, this.#limits, { frames, journal, rider: this.#acknowledgment, onFrame })
  }

  /** Sends it now, past what waits. */
  pushNow(prepared: Pick<Waiting, "part" | "values">): void {
    this.#out?.push(prepared)
  }

  /** Sends one of the client's own now. It counts against the hub's rate. */
  pushCounted(envelope: Envelope.Envelope): void {
    this.#pace.take(this.#options.timers.now(), 0, 0)
    this.pushNow({ part: this.#options.frames.encode(envelope), values: 2 * ENVELOPE_VALUES })
  }

  /** The hub takes messages from now on, numbered ones where `numbers`. */
  open(maxMessageSize: number, limits: Partial<AdvertisedLimits> | undefined, numbers: boolean): void {
    this.#limits = { ...limits, maxMessageSize, maxValues: limits?.maxValues ?? DEFAULT_MAX_VALUES }
    if (this.#out !== undefined) this.#out.limits = this.#limits
    this.#pace.allow(limits)
    this.#numbers = numbers
    this.#credit = new Credit(limits?.pauseThreshold)
    this.#live = true
    this.#openedAt = this.#options.timers.now()
    const { unacknowledged } = this
    const { suspect } = unacknowledged
    unacknowledged.rewind()
    if (suspect.isUndeliverable(unacknowledged.oldest)) this.#giveUp()
    this.#alone = suspect.isCareful ? unacknowledged.oldest?.seq : undefined
    if (this.#out !== undefined) this.#out.isSingle = suspect.isCareful
  }

  /** A heartbeat takes the place of the message that no connection survived, and who sent it is told. */
  #giveUp(): void {
    const { now, timestamp } = this.#options.timers
    const at = timestamp()
    const filler = message("tell", HUB_ADDRESS, "hub:heartbeat", { timestamp: at }, at, { reliable: true })
    const part = this.#options.frames.encode(filler)
    const { envelope } = this.unacknowledged.replaceOldest({
      envelope: filler,
      part,
      values: 2 * ENVELOPE_VALUES,
      since: now(),
    })
    const error = new TransportError({
      reason: "undeliverable",
      code: "undeliverable",
      message: `each connection ended on which the "${envelope.type}" for ${envelope.to} was sent, also alone: something on the way may refuse it; it is not sent again, send it in parts`,
    })
    if (!this.#pending.fail(envelope.id, error)) this.onDropped(envelope, error)
  }

  /** The hub has all reliable messages through this number. */
  acknowledge(through: number): void {
    this.unacknowledged.acknowledge(through)
    if (this.#alone === undefined || through < this.#alone) return
    this.#alone = this.unacknowledged.oldest?.seq
    this.drain()
  }

  /** Sends what waits, as far as it may leave now. */
  drain(): void {
    const out = this.#out
    if (!this.#live || out?.open !== true) return
    const now = this.#options.timers.now()
    const { unacknowledged } = this
    const isPaused = ({ envelope }: Waiting): boolean => this.#paused.has(envelope.to)
    this.#disarm()
    // The connection lasts: its end, when it comes, has another cause.
    if (now - this.#openedAt >= MAX_QUICK_END_MS) this.#alone = undefined
    const alone = this.#alone
    const isNext = (): boolean => alone === undefined || unacknowledged.next.seq === alone
    while (unacknowledged.isBehind && isNext() && this.#mayLeave(unacknowledged.next, out, now)) {
      this.#push(unacknowledged.again(), out)
    }
    let held = unacknowledged.isBehind || alone !== undefined
    const expired: Array<string> = []
    const excessive: Array<[Waiting, TransportError]> = []
    const taken = this.#queue.take((waiting) => {
      if (held || isPaused(waiting)) return false
      // It was within the limits that were known when it was sent.
      const excess = this.#excess(waiting)
      if (excess !== undefined) excessive.push([waiting, excess])
      if (excess !== undefined) return true
      held =
        (waiting.envelope.seq !== undefined && unacknowledged.isFull) || !this.#mayLeave(waiting, out, now)
      if (held) return false
      if (!this.#leave(waiting, out, now)) expired.push(waiting.envelope.id)
      return true
    })
    this.#behind = false
    if (alone !== undefined || unacknowledged.isBehind || this.#queue.some((waiting) => !isPaused(waiting)))
      this.#fallBehind()
    // Last, as who hears of it may send at once.
    for (const { left } of taken) left?.()
    for (const id of expired) {
      this.#options.journal?.drop(id)
      this.#pending.expire(id)
    }
    for (const [{ envelope }, error] of excessive) {
      this.#options.journal?.drop(envelope.id)
      if (!this.#pending.fail(envelope.id, error)) this.onDropped(envelope, error)
    }
  }

  /** Whether the hub, its rate and the network have room for it. */
  #mayLeave({ part, values }: Waiting, out: Outgoing, now: number): boolean {
    return !out.full && !this.#credit.isSpent && this.#pace.take(now, values, out.bytes + part.length)
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
    // The hub counts from when it receives: the time that it waited in this client is taken off.
    const waited = Math.max(0, now - since)
    const ttl = envelope.ttl === null ? null : envelope.ttl - waited
    if (ttl !== null && ttl <= 0 && waited > 0) return false
    if (ttl !== envelope.ttl || isReliable !== isNumbered) {
      const left = { ...(isNumbered ? envelope : Envelope.unnumbered(envelope)), ttl }
      // From what was encoded, as what the user gave may have changed since.
      const { metadata, payload } = this.#options.frames.decode(waiting.part)
      waiting.envelope = left
      waiting.part = this.#options.frames.encode({ ...left, metadata, payload })
    }
    if (isNumbered) this.unacknowledged.add(waiting)
    else if (isReliable) this.#options.journal?.drop(id)
    this.#push(waiting, out)
    this.#pending.transmitted(id, isNumbered)
    return true
  }

  #push(waiting: Waiting, out: Outgoing): void {
    this.#credit.spend(waiting.part.length)
    if (this.#credit.isDue) this.#askHub(this.#credit)
    out.push(waiting)
  }

  /** Asks the hub how far it is, at the end of the turn. Again as it has answered, where more left meanwhile. */
  #askHub(credit: Credit): void {
    const isOver = (): boolean => credit !== this.#credit || !this.#live
    credit.claim()
    // Before the turn's frame leaves, and so in it.
    queueMicrotask(() => {
      if (isOver()) return
      credit.asked()
      this.#askProgress(() => {
        credit.answered()
        if (isOver()) return
        if (credit.isDue) this.#askHub(credit)
        if (this.#behind) this.drain()
      })
    })
  }

  #fallBehind(): void {
    this.#behind = true
    this.#disarm = this.#options.timers.after(DRAIN_INTERVAL, () => this.drain())
  }

  /** The connection is gone: what is sent from now on waits. */
  detach(): void {
    const { suspect, oldest } = this.unacknowledged
    if (this.#live) suspect.ended(this.#options.timers.now() - this.#openedAt, oldest)
    this.#live = false
    this.#alone = undefined
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
