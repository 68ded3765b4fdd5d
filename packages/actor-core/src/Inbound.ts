/**
 * What comes in from other processes: judged, decoded and given to the actor it is for. Asks that can't
 * be given to one are answered with why; tells become dead letters.
 */
import * as Result from "effect/Result"
import type { ActorCell } from "./ActorCell.ts"
import { isAddress, type Address } from "./Address.ts"
import { isAboutAsk } from "./AnswerStream.ts"
import type { ActorErrorPayload } from "./AskError.ts"
import type { Border } from "./Border.ts"
import type { Reason } from "./DeadLetters.ts"
import type { Envelope, Metadata } from "./Envelope.ts"
import { accepts, forwarderOf } from "./Forwarding.ts"
import { demandOf, mark } from "./StreamPart.ts"
import { type Answer, Message, type RemoteAsk } from "./Message.ts"
import { outsideProtocol } from "./Outbound.ts"
import * as Protocol from "./Protocol.ts"
import type { Runtime } from "./Runtime.ts"
import * as Schemas from "./Schemas.ts"
import { type Sink, StreamProducer } from "./StreamProducer.ts"
import type { Transport, TransportError } from "./Transport.ts"

/** The type of an actor's answer. An asker goes by `correlationId`, not by this. */
export const REPLY = "actor:reply"

/**
 * Takes one envelope off the transport. Never throws. `false`: no actor is at its address, and the transport
 * keeps it until one is.
 */
export const receive = (border: Border, transport: Transport, envelope: Envelope): boolean => {
  const { runtime } = border
  const { correlationId, pattern, to, type } = envelope
  if (isAboutAsk(type) || (correlationId !== null && pattern === "tell")) {
    takeFollowUp(border, transport, envelope)
    return true
  }
  const cell = runtime.reach(to)
  if (cell === null && transport.served !== undefined) return false
  take({ border, runtime, transport, envelope }, cell)
  return true
}

/** Takes an answer to an ask of this system, or what an asker says about an ask that is held here. */
const takeFollowUp = (border: Border, transport: Transport, envelope: Envelope): void => {
  const { runtime } = border
  if (envelope.type === "actor:cancel") return cancel(runtime, envelope)
  if (envelope.type === "actor:demand") {
    const message = heldAsk(runtime, envelope)
    // Not of a stream that is over by now.
    return message && border.streams.get(message)?.grant(demandOf(envelope))
  }
  const verdict = border.asks.answer(envelope, transport)
  if (verdict !== "settled") runtime.dead(verdict, envelope)
}

/** Gives it to the actor, or says why not. */
const take = (from: Origin, cell: ActorCell | null): void => {
  const { envelope } = from
  if (cell === null) {
    return turnAway(from, "unknown_actor", {
      code: "unknown_actor",
      message: `nobody is at ${envelope.to}`,
      retryable: true,
    })
  }
  if (envelope.ttl === 0) {
    return turnAway(from, "expired", {
      code: "message_expired",
      message: "the message expired on its way",
      retryable: true,
    })
  }
  if (!accepts(cell.options.acceptForwards, envelope.metadata)) {
    return turnAway(from, "forbidden", {
      code: "forbidden",
      message: `${envelope.to} takes no messages that ${forwarderOf(envelope.metadata)} forwards`,
      retryable: false,
    })
  }
  // Transports vouch for who sent it; of what was handed on, the payload is another's word.
  const byItself = envelope.from === cell.address && forwarderOf(envelope.metadata) === null
  const definition = Protocol.find(cell.protocol, envelope.type)
  const streamed = definition?.pattern === "stream" && envelope.pattern === "ask"
  const pattern = streamed ? "stream" : envelope.pattern
  const outside = outsideProtocol(cell.protocol, envelope.type, pattern, byItself)
  if (outside !== undefined || definition === undefined) {
    return turnAway(from, "unknown_message", outside ?? INVALID)
  }
  const payload = Schemas.decode(definition.payload, envelope.payload)
  if (Result.isFailure(payload)) {
    return turnAway(from, "invalid_payload", {
      ...INVALID,
      message: `the payload of ${JSON.stringify(envelope.type)} is outside the protocol: ${payload.failure.message}`,
    })
  }
  deliver(from, cell, definition, payload.success)
}

const INVALID: ActorErrorPayload = {
  code: "invalid_payload",
  message: "the payload is outside the protocol",
  retryable: false,
}

/** An envelope, and what it came by: its answer goes back the same way. */
interface Origin {
  readonly border: Border
  readonly runtime: Runtime
  readonly transport: Transport
  readonly envelope: Envelope
}

const deliver = (from: Origin, cell: ActorCell, definition: Protocol.AnyMessage, payload: unknown): void => {
  const { border, envelope, runtime } = from
  const sender = isAddress(envelope.from) ? envelope.from : null
  const deadline = envelope.ttl === null ? Infinity : runtime.now() + envelope.ttl
  if (envelope.pattern === "ask" && definition.pattern !== "tell") {
    const key = askKey(envelope.from, envelope.id)
    cell.asks ??= new Map()
    // Delivery to an identity may repeat an ask; its effect must not.
    if (cell.asks.has(key)) return runtime.dead("duplicate", envelope)
    const plain = new InboundAsk(from, definition, cell, key)
    const stream =
      definition.pattern === "stream" ? new StreamProducer(definition, sinkTo(from, definition, plain)) : null
    const message = new Message(
      envelope.type,
      payload,
      sender,
      envelope.metadata,
      deadline,
      stream ?? plain,
      envelope.id,
    )
    message.holder = cell
    cell.asks.set(key, message)
    if (stream !== null) {
      stream.message = message
      border.streams.set(message, stream)
    }
    return cell.deliver(message)
  }
  const told = new Message(envelope.type, payload, sender, envelope.metadata, deadline, null, envelope.id)
  told.reliable = envelope.seq !== undefined
  cell.deliver(told)
}

/** Only who asked can cancel: the key is made of the sender that the hub vouches for. */
const cancel = (runtime: Runtime, envelope: Envelope): void => {
  const message = heldAsk(runtime, envelope)
  // An answer that crossed the cancel on its way: nothing is left to stop.
  if (message === undefined) return
  runtime.cells.get(envelope.to)?.asks?.delete(askKey(envelope.from, envelope.correlationId ?? ""))
  message.holder?.cancel(message)
}

/** The open ask that its asker says something about. */
const heldAsk = (runtime: Runtime, { correlationId, from, to }: Envelope): Message | undefined =>
  runtime.cells.get(to)?.asks?.get(askKey(from, correlationId ?? ""))

const askKey = (asker: string, id: string): string => `${asker} ${id}`

const turnAway = (from: Origin, reason: Reason, refusal: ActorErrorPayload): void => {
  if (from.envelope.pattern === "tell") from.runtime.dead(reason, from.envelope)
  else respond(from, "actor:error", refusal)
}

/** An ask from elsewhere, and its answer: encoded, in an envelope. */
class InboundAsk implements Answer, RemoteAsk {
  readonly #from: Origin
  readonly #definition: Protocol.Ask | Protocol.Stream
  readonly #cell: ActorCell
  readonly #key: string

  constructor(from: Origin, definition: Protocol.Ask | Protocol.Stream, cell: ActorCell, key: string) {
    this.#from = from
    this.#definition = definition
    this.#cell = cell
    this.#key = key
  }

  get remote(): RemoteAsk {
    return this
  }

  get envelope(): Envelope {
    return this.#from.envelope
  }

  get transport(): Transport {
    return this.#from.transport
  }

  letGo(): void {
    this.#cell.asks?.delete(this.#key)
  }

  succeed(value: unknown): void {
    this.#end(Result.succeed(value))
  }

  fail(error: unknown): void {
    this.#end(Result.fail(error))
  }

  refuse(refusal: ActorErrorPayload): void {
    this.letGo()
    respond(this.#from, "actor:error", refusal)
  }

  #end(answer: Result.Result<unknown, unknown>): void {
    this.letGo()
    respond(this.#from, ...encodeAnswer(this.#definition, this.envelope.type, answer))
  }
}

/** The type and the payload of the envelope that answers the ask of this name. */
export const encodeAnswer = (
  definition: Protocol.Ask | Protocol.Stream,
  name: string,
  answer: Result.Result<unknown, unknown>,
): readonly [type: string, payload: unknown] => {
  if (Result.isSuccess(answer)) {
    const payload = Schemas.encode(definition.success, answer.success)
    if (Result.isSuccess(payload)) return [REPLY, payload.success]
    return ["actor:error", unencodable(name, "answer")]
  }
  // In the payload of the failure, it is a level deeper.
  const data = Schemas.encode(definition.error, answer.failure, { name: "error", level: 3 })
  return ["actor:error", Result.isSuccess(data) ? typedError(data.success) : unencodable(name, "error")]
}

/** Where a stream to elsewhere goes: elements numbered, its end as that of any ask. */
const sinkTo = (from: Origin, definition: Protocol.Stream, ask: InboundAsk): Sink => {
  let n = 0
  return {
    next: (value) => {
      const payload = Schemas.encode(definition.success, value)
      if (Result.isFailure(payload)) return unencodable(from.envelope.type, "element of the stream")
      const error = send(from, REPLY, payload.success, mark({ n: ++n, done: false }))
      if (error === undefined) return undefined
      return error.reason === "too_large" ? TOO_LARGE : { ...UNSENT, message: error.message }
    },
    done: () => {
      ask.letGo()
      send(from, REPLY, null, mark({ n: ++n, done: true }))
    },
    fail: (error) => ask.fail(error),
    refuse: (refusal) => ask.refuse(refusal),
    remote: ask,
  }
}

const TOO_LARGE: ActorErrorPayload = {
  code: "message_too_large",
  message: "the answer is larger than a message may be",
  retryable: false,
}

const UNSENT: ActorErrorPayload = { code: "undeliverable", message: "", retryable: true }

const unencodable = (name: string, what: string): ActorErrorPayload => ({
  code: "actor_failed",
  message: `the ${what} to ${JSON.stringify(name)} is outside the actor's own protocol`,
  retryable: false,
})

/** What everybody can read of a typed error; only what its schema encodes is told. */
const typedError = (data: unknown): ActorErrorPayload => {
  const fields = (typeof data === "object" && data !== null ? data : {}) as {
    readonly [field: string]: unknown
  }
  const code = typeof fields._tag === "string" ? fields._tag : "actor_error"
  return {
    code,
    message: typeof fields.message === "string" ? fields.message : code,
    data,
    retryable: fields.retryable === true,
  }
}

const respond = (origin: Origin, type: string, payload: unknown): void => {
  const error = send(origin, type, payload)
  // An answer that fits no frame must not be silence.
  if (error?.reason === "too_large" && type !== "actor:error") send(origin, "actor:error", TOO_LARGE)
}

/** Sends an answer, or says why not; then it is a dead letter. */
const send = (
  { envelope: asked, runtime, transport }: Origin,
  type: string,
  payload: unknown,
  metadata?: Metadata,
): TransportError | undefined => {
  const to = asked.from
  if (!isAddress(to)) return void runtime.dead("undeliverable", asked)
  const from: Address = asked.to
  const draft = { from, to, type, payload, pattern: "tell", correlationId: asked.id } as const
  const volatile = runtime.envelope(metadata === undefined ? draft : { ...draft, metadata })
  // The answer to a reliable ask is reliable.
  const answer = asked.seq === undefined ? volatile : { ...volatile, seq: asked.seq }
  const error = transport.send(answer)
  if (error !== undefined) runtime.dead("undeliverable", answer)
  return error
}
