/**
 * The synchronous half of the client: asks and requests, and the parts through which they go out and what
 * comes in is taken, whether there is a connection or not. Plain code, no fiber a message. Which socket is
 * the one, and for how long, is decided in `Connection`.
 */
import { AskError, TransportError, type Address, type Envelope } from "@signal-hub/actor-core/vocabulary"
import { type Connected, HUB_ADDRESS } from "../protocol/HubMessage.ts"
import { DEFAULT_RESUME_THRESHOLD } from "../protocol/Limits.ts"
import { Acks } from "./Acks.ts"
import type { RequestError } from "./ClientError.ts"
import { Emitter, End } from "./Emitter.ts"
import type { Part } from "./FrameCodec.ts"
import { Inbox } from "./Inbox.ts"
import type { Journal } from "./Journal.ts"
import { message } from "./Message.ts"
import { PendingAsks, type PendingAsk } from "./PendingAsks.ts"
import { Receivers, type UnclaimedReason } from "./Receivers.ts"
import { Resume } from "./Resume.ts"
import { Sender, type SenderOptions } from "./Sender.ts"
import type { Waiting } from "./SendQueue.ts"
import type { SocketLike } from "./Socket.ts"
import type { Timers } from "./Timers.ts"
import { invalid, unreadable } from "./Validation.ts"
import { Wanted, type Fields, type Outcome, type Refused, type WantedType } from "./Wanted.ts"

export interface ChannelOptions extends SenderOptions {
  /** Milliseconds that a request to the hub may take. */
  readonly requestTimeout: number
  /** Milliseconds that an envelope waits for an actor or a listener. */
  readonly unclaimedTimeout: number
  /** Called now and then with how many envelopes nobody took in time, and the first of them. */
  readonly onUnclaimed: (count: number, first: Envelope.Envelope) => void
}

export class Channel {
  readonly inbox: Inbox
  readonly sender: Sender
  readonly session: Resume
  readonly acks: Acks
  readonly timers: Timers
  /** Where what is reliable is kept beyond this process. */
  readonly journal: Journal | undefined
  /** Wants that the hub granted once and refused on a later connection. */
  readonly refusals = new Emitter<Refused>()
  /** Comes when nothing else will come any more. */
  readonly ended = new End()
  readonly pending: PendingAsks
  readonly wanted: Wanted
  /** The subprotocol to offer. */
  readonly subprotocol: string
  readonly #options: ChannelOptions
  /** What is wanted, on a new connection, before it leaves. */
  #first: Array<Waiting> = []

  constructor(options: ChannelOptions) {
    const { frames, journal, timers } = options
    this.#options = options
    this.journal = journal
    this.timers = timers
    this.subprotocol = frames.codec.subprotocol
    this.acks = new Acks(timers, () => this.sender.pushCounted(this.#ack()))
    this.pending = new PendingAsks(timers, (id, ask) => {
      if (!ask.transmitted) this.sender.remove(id)
    })
    const judged = (settle: (outcome: Outcome) => void) => (outcome: Envelope.Envelope | RequestError) =>
      settle(outcomeOf(outcome))
    this.wanted = new Wanted(
      {
        live: () => this.sender.live,
        request: (type, payload, settle) => this.request(type, payload, judged(settle)),
        requestFirst: (type, payload, settle) => {
          const waiting = this.sender.prepare(this.#toHub(type, payload))
          // As it was when it was first asked for, it was fine: the hub's limits are less than they were.
          if (waiting instanceof TransportError) return settle({ error: waiting })
          const { envelope } = waiting
          this.pending.add(envelope.id, {
            to: HUB_ADDRESS,
            deadline: timers.now() + options.requestTimeout,
            transmitted: true,
            settle: judged(settle),
          })
          this.#first.push({ ...waiting, passing: true })
        },
        forget: (id) => void this.abandon(id),
      },
      timers,
      (type, name, payload) => {
        if (type === "hub:watch" && !(payload as { readonly registered: boolean }).registered) {
          this.inbox.gone({ actorAddress: name as Address.Address, reason: "unregistered" })
        }
      },
      (refused) => this.refusals.emit(refused),
    )
    const messages = new Receivers(timers, options.unclaimedTimeout, {
      moved: () => {
        this.inbox.settle()
        this.acks.received()
      },
      unclaimed: (envelope, reason) => this.#unclaimed(envelope, reason),
      report: options.onUnclaimed,
    })
    this.inbox = new Inbox({
      codec: frames.codec,
      messages,
      pending: this.pending,
      wanted: this.wanted,
      acks: this.acks,
      port: {
        resumed: () => this.sender.drain(),
        acknowledged: (through) => this.sender.acknowledge(through),
        taken: (through) => journal?.taken(through),
      },
    })
    this.sender = new Sender(
      options,
      this.pending,
      this.inbox.paused,
      () => this.#rider(),
      (answered) => this.#askProgress(answered),
    )
    this.sender.onDropped = ({ id }, { message, reason }) => {
      const payload = {
        code: reason === "undeliverable" ? reason : "message_too_large",
        message,
        resolution: "",
        retryable: false,
        details: {},
      } as const
      this.inbox.events.emit({ type: "hub:error", payload, correlationId: id })
    }
    this.session = new Resume(this.sender.unacknowledged, this.inbox, this.pending, journal)
  }

  /** Sends it, or queues it; or says why neither. */
  send(envelope: Envelope.Envelope): TransportError | undefined {
    const taken = this.sender.offer(envelope)
    return taken instanceof TransportError ? taken : undefined
  }

  /** Takes a data frame, and acknowledges it where it is due: after what it led to was sent. */
  receive(data: unknown): boolean {
    const whole = this.inbox.receive(data)
    this.acks.received()
    return whole
  }

  /** Sends an ask and keeps it until it ends; `settle` is called once, unless this returns an error. */
  ask(
    envelope: Envelope.Envelope,
    timeout: number,
    settle: PendingAsk["settle"],
    acknowledged?: () => void,
  ): TransportError | undefined {
    if (this.pending.has(envelope.id)) return invalid('"id" is that of an ask that is still open')
    this.pending.add(envelope.id, {
      to: envelope.to,
      deadline: this.#now() + timeout,
      transmitted: false,
      settle,
      ...(acknowledged && { acknowledged }),
    })
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

  /**
   * Wants something of the hub until the result is called; `waiter` is called once with the hub's answer. It is
   * asked for again as it is now, whatever becomes of `fields`.
   */
  hold(
    type: WantedType,
    name: { readonly [field: string]: string },
    fields: object,
    waiter: (outcome: Outcome) => void,
  ): () => void {
    try {
      const waiting = this.sender.prepare(this.#toHub(type, { ...fields, ...name }))
      if (!(waiting instanceof TransportError)) {
        const { payload } = this.#options.frames.decode(waiting.part)
        return this.wanted.hold(type, name, payload as Fields, waiter)
      }
      waiter({ error: waiting })
    } catch (error) {
      waiter({ error: unreadable({ payload: fields }, error) })
    }
    return () => {}
  }

  /** Forgets the ask, or the message that waits; the ask, where it had been sent already. */
  abandon(id: string): PendingAsk | undefined {
    const ask = this.pending.delete(id)
    if (ask?.transmitted) return ask
    this.sender.remove(id)
    return undefined
  }

  /** From now on this socket is the one. */
  attach(socket: SocketLike): void {
    this.acks.attach()
    this.inbox.attach()
    this.sender.attach(socket)
  }

  /** Sends `hub:connect`; `onAnswer` is called at most once. Or says why the hub would not take it. */
  hello(
    metadata: Envelope.Metadata,
    onAnswer: (answer: Envelope.Envelope) => void,
  ): TransportError | undefined {
    const waiting = this.sender.prepare(this.#toHub("hub:connect", null, metadata))
    if (waiting instanceof TransportError) return waiting
    const hello = waiting.envelope
    this.pending.add(hello.id, {
      to: HUB_ADDRESS,
      deadline: Infinity,
      transmitted: true,
      // Without an answer the attempt itself ends.
      settle: (outcome) => {
        if (!("_tag" in outcome)) onAnswer(outcome)
      },
    })
    this.sender.pushNow(waiting)
    return undefined
  }

  /**
   * The hub accepted: what it has not acknowledged goes first, then what is wanted, then what waited, then
   * what is sent from now on. As `Resume.accept`.
   */
  establish(connected: Connected): ReturnType<Resume["accept"]> {
    const { maxMessageSize, capabilities, limits, session } = connected
    const resumed = this.session.accept(connected)
    this.sender.open(maxMessageSize, limits, session !== undefined)
    // So that what stays unacknowledged never keeps its senders from being told to resume.
    if (capabilities?.supportsBackpressure) {
      this.acks.countBytes((limits?.resumeThreshold ?? DEFAULT_RESUME_THRESHOLD) / 2)
    }
    this.wanted.replay(resumed === true)
    this.sender.first(this.#first.splice(0))
    this.sender.drain()
    return resumed
  }

  /** Says `hub:disconnect` where there is a connection, at once and past all that waits; hears no answer. */
  sayGoodbye(): void {
    if (this.sender.live) this.sender.pushCounted(this.#toHub("hub:disconnect", {}))
  }

  /** The connection is gone: asks that went out on it end, but for those that outlive it. */
  detach(code: number, cause: string): void {
    this.acks.detach()
    this.sender.detach()
    this.pending.lose(code, cause)
  }

  /** Takes nothing more and says why; what waits goes on waiting. `undefined` takes again. */
  refuse(why: string | undefined): void {
    this.sender.refusal = why
  }

  /** Takes nothing more, for good. The result is what was never sent, without the asks, which fail. */
  stop(why: string): ReadonlyArray<Envelope.Envelope> {
    this.refuse(why)
    this.inbox.messages.stop()
    const tells = this.sender.take(() => true).filter(({ pattern }) => pattern === "tell")
    this.session.lose("closed")
    const error = new TransportError({ reason: "closed", message: why })
    this.pending.end(() => error)
    this.wanted.end(error)
    return tells
  }

  /** Nobody has taken the envelope: who asks hears so, and so does the program. */
  #unclaimed(envelope: Envelope.Envelope, reason: UnclaimedReason): void {
    const { from, id, pattern, seq, to } = envelope
    if (pattern === "ask") {
      const payload = {
        code: "unclaimed",
        message: `nothing was served at ${to} within ${this.#options.unclaimedTimeout} ms`,
        retryable: true,
      }
      const how = { from: to, reliable: seq !== undefined }
      this.send(message("tell", from as Address.Address, "actor:error", payload, this.#timestamp(), how, id))
    }
    this.session.events.emit({ type: "unclaimed", envelope, reason })
  }

  /** A heartbeat is answered in its turn, and so behind the pauses that what left before it leads to. */
  #askProgress(answered: () => void): void {
    const envelope = this.#toHub("hub:heartbeat", { timestamp: this.#timestamp() })
    const settle = (): void => answered()
    this.pending.add(envelope.id, { to: HUB_ADDRESS, deadline: Infinity, transmitted: true, settle })
    this.sender.pushCounted(envelope)
  }

  /** What leaves with a frame that leaves anyway. */
  #rider(): Part | undefined {
    return this.acks.isOwed ? this.#options.frames.encode(this.#ack()) : undefined
  }

  #ack(): Envelope.Envelope {
    return message("tell", HUB_ADDRESS, "hub:ack", this.acks.take(), this.#timestamp())
  }

  #toHub(type: string, payload: unknown, metadata?: Envelope.Metadata): Envelope.Envelope {
    return message(
      "ask",
      HUB_ADDRESS,
      type,
      payload,
      this.#timestamp(),
      metadata === undefined ? {} : { metadata },
    )
  }

  #now(): number {
    return this.timers.now()
  }

  #timestamp(): number {
    return this.timers.timestamp()
  }
}

/** The payload of an answer, or the failure that it tells. */
export const outcomeOf = (outcome: Envelope.Envelope | RequestError): Outcome => {
  if ("_tag" in outcome) return { error: outcome }
  const error = AskError.fromEnvelope(outcome)
  return error === undefined ? { payload: outcome.payload } : { error }
}
