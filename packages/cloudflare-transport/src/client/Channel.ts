/**
 * The synchronous half of the client: what goes out, whether there is a connection or not. Plain code, no
 * fiber a message. What comes in is for `Inbox`; which socket is the one, and for how long, is decided in
 * `Connection`.
 */
import { AskError, TransportError, type Address, type Envelope } from "@signal-hub/actor-core/vocabulary"
import { type Connected, HUB_ADDRESS } from "../protocol/HubMessage.ts"
import { DEFAULT_MAX_MESSAGE_SIZE, DEFAULT_RESUME_THRESHOLD } from "../protocol/Limits.ts"
import type { RequestError } from "./ClientError.ts"
import { Emitter } from "./Emitter.ts"
import { FRAME_OVERHEAD, type FrameCodec, type Part } from "./FrameCodec.ts"
import { Inbox } from "./Inbox.ts"
import { message } from "./Message.ts"
import { Outgoing } from "./Outgoing.ts"
import { Pace } from "./Pace.ts"
import { PendingAsks } from "./PendingAsks.ts"
import { SendQueue, type Waiting } from "./SendQueue.ts"
import type { SocketLike } from "./Socket.ts"
import type { Timers } from "./Timers.ts"
import { Wanted, type Outcome, type Refused } from "./Wanted.ts"

/** Milliseconds after which more of what waits for the hub's rate leaves. */
export const DRAIN_INTERVAL = 100

export interface ChannelOptions {
  readonly timers: Timers
  readonly frames: FrameCodec
  /** Envelopes that may wait. */
  readonly queueLimit: number
  /** Milliseconds that a request to the hub may take. */
  readonly requestTimeout: number
}

export class Channel {
  readonly inbox: Inbox
  /** Wants that the hub granted once and refused on a later connection. */
  readonly refusals = new Emitter<Refused>()
  /** Called once when nothing will come any more. */
  readonly ended = new Emitter<void>()
  readonly pending: PendingAsks
  readonly wanted: Wanted
  /** The subprotocol to offer. */
  readonly subprotocol: string
  readonly #options: ChannelOptions
  readonly #queue: SendQueue
  readonly #pace = new Pace()
  #out: Outgoing | undefined
  #live = false
  /** Whether something waits for the hub's rate, or the network's. */
  #behind = false
  #disarm = (): void => {}
  /** What is wanted, on a new connection, before it leaves. */
  #first: Array<Waiting> = []
  /** Bytes received on this socket that are acknowledged, and those after which more are. */
  #acked = 0
  #ackEvery = Infinity
  #maxFrame = DEFAULT_MAX_MESSAGE_SIZE
  #refusal: string | undefined

  constructor(options: ChannelOptions) {
    this.#options = options
    this.subprotocol = options.frames.codec.subprotocol
    this.#queue = new SendQueue(options.queueLimit)
    this.pending = new PendingAsks(options.timers, (id, ask) => {
      if (!ask.transmitted) this.#queue.remove(id)
    })
    const judged = (settle: (outcome: Outcome) => void) => (outcome: Envelope.Envelope | RequestError) =>
      settle(outcomeOf(outcome))
    this.wanted = new Wanted(
      {
        live: () => this.#live,
        request: (type, payload, settle) => this.request(type, payload, judged(settle)),
        requestFirst: (type, payload, settle) => {
          const envelope = this.#toHub(type, payload)
          this.pending.add(envelope.id, {
            deadline: this.#now() + options.requestTimeout,
            transmitted: true,
            settle: judged(settle),
          })
          const part = options.frames.encode(envelope)
          this.#first.push({ envelope, part, since: this.#now(), passing: true })
        },
        forget: (id) => void this.abandon(id),
      },
      options.timers,
      (type, name, payload) => {
        if (type === "hub:watch" && !(payload as { readonly registered: boolean }).registered) {
          this.inbox.gone({ actorAddress: name as Address.Address, reason: "unregistered" })
        }
      },
      (refused) => this.refusals.emit(refused),
    )
    this.inbox = new Inbox(options.frames.codec, this.pending, this.wanted, () => this.#drain())
  }

  /** Sends it, or queues it; or says why neither. */
  send(envelope: Envelope.Envelope): TransportError | undefined {
    const taken = this.offer(envelope)
    return taken instanceof TransportError ? taken : undefined
  }

  /** As `send`; gives what it is while it waits for anything but a connection. */
  offer(envelope: Envelope.Envelope): TransportError | Waiting | undefined {
    if (this.#refusal !== undefined) {
      return new TransportError({ reason: "closed", message: this.#refusal })
    }
    let part: Part
    try {
      part = this.#options.frames.encode(envelope)
    } catch (error) {
      return new TransportError({
        reason: "refused",
        code: "invalid_message",
        message: `the message cannot be encoded: ${String(error)}`,
      })
    }
    const most = this.#maxFrame - FRAME_OVERHEAD
    if (this.#options.frames.sizeOf(part, most) > most) {
      return new TransportError({
        reason: "too_large",
        message: `the message is larger than the hub's limit of ${this.#maxFrame} bytes: send it in parts`,
      })
    }
    const now = this.#now()
    const out = this.#out
    const paused = this.inbox.paused.has(envelope.to)
    const live = this.#live && out?.open === true
    if (live && !paused && !this.#behind && !out.full && this.#pace.take(now)) {
      out.push(part)
      this.pending.transmitted(envelope.id)
      return undefined
    }
    const waiting: Waiting = { envelope, part, since: now }
    if (!this.#queue.push(waiting)) {
      return new TransportError({
        reason: "queue_full",
        message: `${this.#queue.limit} messages, or 16 MiB, wait already: wait for each tell, then send again`,
      })
    }
    if (live && !paused && !this.#behind) this.#fallBehind()
    return live ? waiting : undefined
  }

  /** The last message to this address that waits for anything but a connection. */
  waitingFor(address: Address.Address): Waiting | undefined {
    return this.#live ? this.#queue.lastFor(address) : undefined
  }

  /** Takes a data frame, and acknowledges it where enough has come: after what it led to was sent. */
  receive(data: unknown): void {
    const { inbox } = this
    inbox.receive(data)
    if (inbox.bytes - this.#acked < this.#ackEvery) return
    this.#acked = inbox.bytes
    const payload = { through: 0, bytes: inbox.bytes }
    const now = this.#now()
    this.#pace.take(now)
    this.#out?.push(this.#options.frames.encode(message("tell", HUB_ADDRESS, "hub:ack", payload, now)))
  }

  /** Sends an ask and keeps it until it ends; `settle` is called once, unless this returns an error. */
  ask(
    envelope: Envelope.Envelope,
    timeout: number,
    settle: (outcome: Envelope.Envelope | RequestError) => boolean | void,
  ): TransportError | undefined {
    this.pending.add(envelope.id, { deadline: this.#now() + timeout, transmitted: false, settle })
    const error = this.send(envelope)
    if (error !== undefined) this.pending.delete(envelope.id)
    return error
  }

  /** Asks the hub; the id of the request. An error to send is given to `settle` too. */
  request(
    type: string,
    payload: unknown,
    settle: (outcome: Envelope.Envelope | RequestError) => void,
    metadata?: Envelope.Metadata,
  ): string {
    const envelope = this.#toHub(type, payload, metadata)
    const error = this.ask(envelope, this.#options.requestTimeout, settle)
    if (error !== undefined) settle(error)
    return envelope.id
  }

  /** Forgets the ask, or the message that waits; whether it was an ask that had been sent already. */
  abandon(id: string): boolean {
    const ask = this.pending.delete(id)
    if (ask?.transmitted) return true
    this.#queue.remove(id)
    return false
  }

  /** From now on this socket is the one. Sends `hub:connect`; `onAnswer` is called at most once. */
  attach(
    socket: SocketLike,
    metadata: Envelope.Metadata,
    onAnswer: (answer: Envelope.Envelope) => void,
  ): void {
    const out = new Outgoing(socket, this.#options.frames, this.#maxFrame)
    const hello = this.#toHub("hub:connect", null, metadata)
    this.#out = out
    this.#acked = 0
    this.#ackEvery = Infinity
    this.inbox.attach()
    this.pending.add(hello.id, {
      deadline: Infinity,
      transmitted: true,
      // Without an answer the attempt itself ends.
      settle: (outcome) => {
        if (!("_tag" in outcome)) onAnswer(outcome)
      },
    })
    out.push(this.#options.frames.encode(hello))
    out.flush()
  }

  /** The hub accepted: what is wanted goes first, then what waited, then what is sent from now on. */
  establish({ maxMessageSize, capabilities, limits }: Connected): void {
    this.#maxFrame = maxMessageSize
    if (this.#out !== undefined) this.#out.maxFrame = maxMessageSize
    this.#pace.allow(limits)
    // So that what stays unacknowledged never keeps its senders from being told to resume.
    if (capabilities?.supportsBackpressure) {
      this.#ackEvery = (limits?.resumeThreshold ?? DEFAULT_RESUME_THRESHOLD) / 2
    }
    this.#live = true
    this.wanted.replay()
    this.#queue.unshift(this.#first.splice(0))
    this.#drain()
  }

  /** Whether something that may leave has not yet. */
  get draining(): boolean {
    return this.#behind
  }

  /** Sends what waits, as far as it may leave now. */
  #drain(): void {
    const out = this.#out
    if (!this.#live || out?.open !== true) return
    const now = this.#now()
    const { paused } = this.inbox
    const isPaused = ({ envelope }: Waiting): boolean => paused.has(envelope.to)
    this.#disarm()
    const taken = this.#queue.take((waiting) => !isPaused(waiting) && !out.full && this.#pace.take(now))
    for (const { envelope, part, since } of taken) {
      if (envelope.ttl === null) out.push(part)
      else {
        // The hub counts from when it receives: what was waited here is taken off.
        const ttl = envelope.ttl - (now - since)
        if (ttl <= 0) continue
        out.push(this.#options.frames.encode({ ...envelope, ttl }))
      }
      this.pending.transmitted(envelope.id)
    }
    this.#behind = false
    if (this.#queue.some((waiting) => !isPaused(waiting))) this.#fallBehind()
    // Last, as who hears of it may send at once.
    for (const { left } of taken) left?.()
  }

  #fallBehind(): void {
    this.#behind = true
    this.#disarm = this.#options.timers.after(DRAIN_INTERVAL, () => this.#drain())
  }

  /** The connection is gone: asks that went out on it end; what is sent from now on waits. */
  detach(code: number, cause: string): void {
    this.#live = false
    this.#out = undefined
    this.#behind = false
    this.#disarm()
    this.#queue.take((waiting) => {
      waiting.left?.()
      return waiting.passing === true
    })
    this.pending.lose(code, cause)
  }

  /** Takes nothing more and says why; what waits goes on waiting. `undefined` takes again. */
  refuse(why: string | undefined): void {
    this.#refusal = why
  }

  /** Takes nothing more, for good. The result is what was never sent, without the asks, which fail. */
  stop(why: string): ReadonlyArray<Envelope.Envelope> {
    this.#refusal = why
    const unsent = this.#queue.take(() => true).map(({ envelope }) => envelope)
    const tells = unsent.filter((envelope) => !this.pending.has(envelope.id))
    const error = new TransportError({ reason: "closed", message: why })
    this.pending.end(() => error)
    this.wanted.end(error)
    return tells
  }

  #toHub(type: string, payload: unknown, metadata?: Envelope.Metadata): Envelope.Envelope {
    return message("ask", HUB_ADDRESS, type, payload, this.#now(), metadata === undefined ? {} : { metadata })
  }

  #now(): number {
    return this.#options.timers.now()
  }
}

/** The payload of an answer, or the failure that it tells. */
export const outcomeOf = (outcome: Envelope.Envelope | RequestError): Outcome => {
  if ("_tag" in outcome) return { error: outcome }
  const error = AskError.fromEnvelope(outcome)
  return error === undefined ? { payload: outcome.payload } : { error }
}
