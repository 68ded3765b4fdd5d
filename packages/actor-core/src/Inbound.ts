/**
 * What comes in from other processes: judged, decoded and given to the actor it is for. Asks that can't
 * be given to one are answered with why; tells become dead letters.
 */
import * as Result from "effect/Result"
import type { ActorCell } from "./ActorCell.ts"
import { isAddress, type Address } from "./Address.ts"
import type { ActorErrorPayload } from "./AskError.ts"
import type { Border } from "./Border.ts"
import type { Reason } from "./DeadLetters.ts"
import type { Envelope } from "./Envelope.ts"
import { type Answer, Message } from "./Message.ts"
import { outsideProtocol } from "./Outbound.ts"
import * as Protocol from "./Protocol.ts"
import type { Runtime } from "./Runtime.ts"
import * as Schemas from "./Schemas.ts"
import type { Transport } from "./Transport.ts"

/** The type of an actor's answer. An asker goes by `correlationId`, not by this. */
export const REPLY = "actor:reply"

/** Takes one envelope off the transport. Never throws. */
export const receive = (border: Border, transport: Transport, envelope: Envelope): void => {
  const { runtime } = border
  const from: Origin = { runtime, transport, envelope }
  if (envelope.type === "actor:cancel") return cancel(runtime, envelope)
  if (envelope.correlationId !== null) {
    const verdict = border.asks.answer(envelope, transport)
    if (verdict !== "settled") runtime.dead(verdict, envelope)
    return
  }
  const cell = runtime.reach(envelope.to)
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
  // Transports vouch for who sent it.
  const byItself = envelope.from === cell.address
  const outside = outsideProtocol(cell.protocol, envelope.type, envelope.pattern, byItself)
  const definition = Protocol.find(cell.protocol, envelope.type)
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
  readonly runtime: Runtime
  readonly transport: Transport
  readonly envelope: Envelope
}

const deliver = (
  from: Origin,
  cell: ActorCell,
  definition: Protocol.Tell | Protocol.Ask,
  payload: unknown,
): void => {
  const { envelope, runtime } = from
  const sender = isAddress(envelope.from) ? envelope.from : null
  const deadline = envelope.ttl === null ? Infinity : runtime.now() + envelope.ttl
  let answer: Answer | null = null
  if (envelope.pattern === "ask" && definition.pattern === "ask") {
    const key = askKey(envelope.from, envelope.id)
    cell.asks ??= new Map()
    // Delivery to an identity may repeat an ask; its effect must not.
    if (cell.asks.has(key)) return runtime.dead("duplicate", envelope)
    answer = answerTo(from, definition, () => void cell.asks?.delete(key))
    const message = new Message(
      envelope.type,
      payload,
      sender,
      envelope.metadata,
      deadline,
      answer,
      envelope.id,
    )
    message.holder = cell
    cell.asks.set(key, message)
    return cell.deliver(message)
  }
  cell.deliver(new Message(envelope.type, payload, sender, envelope.metadata, deadline, null, envelope.id))
}

/** Only who asked can cancel: the key is made of the sender that the hub vouches for. */
const cancel = (runtime: Runtime, envelope: Envelope): void => {
  const asks = runtime.cells.get(envelope.to)?.asks
  const key = askKey(envelope.from, envelope.correlationId ?? "")
  const message = asks?.get(key)
  // An answer that crossed the cancel on its way: nothing is left to stop.
  if (message === undefined) return
  asks?.delete(key)
  message.holder?.cancel(message)
}

const askKey = (asker: string, id: string): string => `${asker} ${id}`

const turnAway = (from: Origin, reason: Reason, refusal: ActorErrorPayload): void => {
  if (from.envelope.pattern === "tell") from.runtime.dead(reason, from.envelope)
  else respond(from, "actor:error", refusal)
}

/** The answer to an ask from elsewhere: encoded, in an envelope. */
const answerTo = (from: Origin, definition: Protocol.Ask, done: () => void): Answer => ({
  succeed: (value) => {
    done()
    respond(from, ...encodeAnswer(definition, from.envelope.type, Result.succeed(value)))
  },
  fail: (error) => {
    done()
    respond(from, ...encodeAnswer(definition, from.envelope.type, Result.fail(error)))
  },
  refuse: (refusal) => {
    done()
    respond(from, "actor:error", refusal)
  },
  remote: { envelope: from.envelope, transport: from.transport, letGo: done },
})

/** The type and the payload of the envelope that answers the ask of this name. */
export const encodeAnswer = (
  definition: Protocol.Ask,
  name: string,
  answer: Result.Result<unknown, unknown>,
): readonly [type: string, payload: unknown] => {
  if (Result.isSuccess(answer)) {
    const payload = Schemas.encode(definition.success, answer.success)
    if (Result.isSuccess(payload)) return [REPLY, payload.success]
    return ["actor:error", unencodable(name, "answer")]
  }
  const data = Schemas.encode(definition.error, answer.failure)
  return ["actor:error", Result.isSuccess(data) ? typedError(data.success) : unencodable(name, "error")]
}

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
  const { envelope: asked, runtime, transport } = origin
  const to = asked.from
  if (!isAddress(to)) return runtime.dead("undeliverable", asked)
  const from: Address = asked.to
  const answer = runtime.envelope({ from, to, type, payload, pattern: "tell", correlationId: asked.id })
  const error = transport.send(answer)
  if (error === undefined) return
  runtime.dead("undeliverable", answer)
  if (error.reason !== "too_large" || type === "actor:error") return
  // An answer that fits no frame must not be silence.
  respond(origin, "actor:error", {
    code: "message_too_large",
    message: "the answer is larger than a message may be",
    retryable: false,
  })
}
