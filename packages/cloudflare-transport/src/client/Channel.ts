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
import { Emitter } from "./Emitter.ts"
import type { Part } from "./FrameCodec.ts"
import { Inbox } from "./Inbox.ts"
import type { Journal } from "./Journal.ts"
import { message } from "./Message.ts"
import { PendingAsks, type PendingAsk } from "./PendingAsks.ts"
import { Resume } from "./Resume.ts"
import { Sender, type SenderOptions } from "./Sender.ts"
import type { Waiting } from "./SendQueue.ts"
import type { SocketLike } from "./Socket.ts"
import { Wanted, type Outcome, type Refused } from "./Wanted.ts"

export interface ChannelOptions extends SenderOptions {
  /** Milliseconds that a request to the hub may take. */
  readonly requestTimeout: number
}

export class Channel {
  readonly inbox: Inbox
  readonly sender: Sender
  readonly session: Resume
  readonly acks: Acks
  /** Where what is reliable is kept beyond this process. */
  readonly journal: Journal | undefined
  /** Wants that the hub granted once and refused on a later connection. */
  readonly refusals = new Emitter<Refused>()
  /** Called once when nothing will come any more. */
  readonly ended = new Emitter<void>()
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
          const envelope = this.#toHub(type, payload)
          this.pending.add(envelope.id, {
            deadline: this.#now() + options.requestTimeout,
            transmitted: true,
            settle: judged(settle),
          })
          const part = frames.encode(envelope)
          this.#first.push({ envelope, part, since: this.#now(), passing: true })
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
    this.inbox = new Inbox(frames.codec, this.pending, this.wanted, this.acks, {
      resumed: () => this.sender.drain(),
      acknowledged: (through) => this.sender.unacknowledged.acknowledge(through),
      taken: (seq) => journal?.taken(seq),
    })
    this.sender = new Sender(options, this.pending, this.inbox.paused, () => this.#rider())
    this.session = new Resume(this.sender.unacknowledged, this.acks, this.pending, journal)
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
    this.pending.add(envelope.id, {
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

  /** Sends `hub:connect`; `onAnswer` is called at most once. */
  hello(metadata: Envelope.Metadata, onAnswer: (answer: Envelope.Envelope) => void): void {
    const hello = this.#toHub("hub:connect", null, metadata)
    this.pending.add(hello.id, {
      deadline: Infinity,
      transmitted: true,
      // Without an answer the attempt itself ends.
      settle: (outcome) => {
        if (!("_tag" in outcome)) onAnswer(outcome)
      },
    })
    this.sender.push(hello)
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
    const tells = this.sender.take(() => true).filter(({ pattern }) => pattern === "tell")
    this.session.lose("closed")
    const error = new TransportError({ reason: "closed", message: why })
    this.pending.end(() => error)
    this.wanted.end(error)
    return tells
  }

  /** What leaves with a frame that leaves anyway. */
  #rider(): Part | undefined {
    return this.acks.isOwed ? this.#options.frames.encode(this.#ack()) : undefined
  }

  #ack(): Envelope.Envelope {
    return message("tell", HUB_ADDRESS, "hub:ack", this.acks.take(), this.#now())
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
