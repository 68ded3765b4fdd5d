/**
 * The synchronous half of the client: what goes out, whether there is a connection or not. Plain code, no
 * fiber a message. What comes in is for `Inbox`; which socket is the one, and for how long, is decided in
 * `Connection`.
 */
import { AskError, TransportError, type Address, type Envelope } from "@signal-hub/actor-core/vocabulary"
import { HUB_ADDRESS } from "../protocol/HubMessage.ts"
import { DEFAULT_MAX_MESSAGE_SIZE } from "../protocol/Limits.ts"
import type { RequestError } from "./ClientError.ts"
import { Emitter } from "./Emitter.ts"
import { FRAME_OVERHEAD, type FrameCodec, type Part } from "./FrameCodec.ts"
import { Inbox } from "./Inbox.ts"
import { message } from "./Message.ts"
import { Outgoing } from "./Outgoing.ts"
import { PendingAsks } from "./PendingAsks.ts"
import { SendQueue } from "./SendQueue.ts"
import type { SocketLike } from "./Socket.ts"
import type { Timers } from "./Timers.ts"
import { Wanted, type Outcome, type Refused } from "./Wanted.ts"

/** Queued envelopes that leave at once on a new connection: well within the burst that a hub allows. */
const DRAIN_BURST = 256

export interface ChannelOptions {
  readonly timers: Timers
  readonly frames: FrameCodec
  /** Envelopes that may wait while offline. */
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
  #out: Outgoing | undefined
  #live = false
  /** Queued envelopes, of the time before the connection, that leave at the hub's rate. */
  #backlog = 0
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
          this.#out?.push(options.frames.encode(envelope))
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
    this.inbox = new Inbox(options.frames.codec, this.pending, this.wanted)
  }

  /** Sends it, or queues it while there is no connection; or says why neither. */
  send(envelope: Envelope.Envelope): TransportError | undefined {
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
    const out = this.#out
    if (this.#live && out !== undefined && out.open && this.#queue.size === 0) {
      if (out.full) {
        return new TransportError({
          reason: "queue_full",
          message: "the network takes less than is sent: wait, then send again",
        })
      }
      out.push(part)
      this.pending.transmitted(envelope.id)
      return undefined
    }
    if (this.#queue.push({ envelope, part, since: this.#now() })) return undefined
    return new TransportError({
      reason: "queue_full",
      message: `${this.#queue.limit} messages wait for the connection: wait for "connected", then send again`,
    })
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

  /** Forgets the ask; whether it had been sent already. */
  abandon(id: string): boolean {
    const ask = this.pending.delete(id)
    if (ask === undefined || ask.transmitted) return ask !== undefined
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
    this.inbox.retryAfterMs = undefined
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
  establish(maxMessageSize: number): void {
    this.#maxFrame = maxMessageSize
    if (this.#out !== undefined) this.#out.maxFrame = maxMessageSize
    this.#live = true
    this.wanted.replay()
    this.#backlog = this.#queue.size
    this.drain(DRAIN_BURST)
  }

  /** Whether some of what waited for the connection has not left yet. */
  get draining(): boolean {
    return this.#backlog > 0
  }

  /** Sends at most this many of what waited for the connection; with the last, all that came since. */
  drain(count: number): void {
    if (!this.#live || this.#out?.open !== true) return
    const now = this.#now()
    this.#backlog -= count
    for (const { envelope, part, since } of this.#queue.take(this.#backlog > 0 ? count : Infinity)) {
      if (envelope.ttl === null) this.#out.push(part)
      else {
        // The hub counts from when it receives: what was waited here is taken off.
        const ttl = envelope.ttl - (now - since)
        if (ttl <= 0) continue
        this.#out.push(this.#options.frames.encode({ ...envelope, ttl }))
      }
      this.pending.transmitted(envelope.id)
    }
  }

  /** The connection is gone: asks that went out on it end; what is sent from now on waits. */
  detach(code: number, cause: string): void {
    this.#live = false
    this.#out = undefined
    this.pending.lose(code, cause)
  }

  /** Takes nothing more and says why; what waits goes on waiting. `undefined` takes again. */
  refuse(why: string | undefined): void {
    this.#refusal = why
  }

  /** Takes nothing more, for good. The result is what was never sent, without the asks, which fail. */
  stop(why: string): ReadonlyArray<Envelope.Envelope> {
    this.#refusal = why
    const unsent = this.#queue.take(this.#queue.size).map(({ envelope }) => envelope)
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
