/**
 * What comes in from other processes: judged, decoded and given to the actor it is for. Asks that can't
 * be given to one are answered with why; tells become dead letters.
 */
import * as Result from "effect/Result"
import type { Answer, Message } from "./ActorCell.ts"
import { isAddress, type Address } from "./Address.ts"
import type { ActorErrorPayload } from "./AskError.ts"
import type { Reason } from "./DeadLetters.ts"
import type { Envelope } from "./Envelope.ts"
import { outsideProtocol } from "./Outbound.ts"
import * as Protocol from "./Protocol.ts"
import type { Runtime, Served } from "./Runtime.ts"

/** The type of an actor's answer. An asker goes by `correlationId`, not by this. */
export const REPLY = "actor:reply"

/** Takes one envelope off the transport. Never throws. */
export const receive = (runtime: Runtime, envelope: Envelope): void => {
  if (envelope.type === "actor:cancel") return cancel(runtime, envelope)
  if (envelope.correlationId !== null) {
    const verdict = runtime.asks.answer(envelope)
    if (verdict !== "settled") runtime.dead(verdict, envelope)
    return
  }
  const served = runtime.served.get(envelope.to)
  if (served === undefined) {
    return turnAway(runtime, envelope, "unknown_actor", {
      code: "unknown_actor",
      message: `nobody is at ${envelope.to}`,
      retryable: true,
    })
  }
  if (envelope.ttl === 0) {
    return turnAway(runtime, envelope, "expired", {
      code: "message_expired",
      message: "the message expired on its way",
      retryable: true,
    })
  }
  const outside = outsideProtocol(served, envelope.type, envelope.pattern)
  const definition = Protocol.find(served.protocol, envelope.type)
  if (outside !== undefined || definition === undefined) {
    return turnAway(runtime, envelope, "unknown_message", outside ?? INVALID)
  }
  const payload = Protocol.decode(definition.payload, envelope.payload)
  if (Result.isFailure(payload)) {
    return turnAway(runtime, envelope, "invalid_payload", {
      ...INVALID,
      message: `the payload of ${JSON.stringify(envelope.type)} is outside the protocol: ${payload.failure.message}`,
    })
  }
  deliver(runtime, served, envelope, definition, payload.success)
}

const INVALID: ActorErrorPayload = {
  code: "invalid_payload",
  message: "the payload is outside the protocol",
  retryable: false,
}

const deliver = (
  runtime: Runtime,
  served: Served,
  envelope: Envelope,
  definition: Protocol.Tell | Protocol.Ask,
  payload: unknown,
): void => {
  const key = askKey(envelope.from, envelope.id)
  const asked = envelope.pattern === "ask" && definition.pattern === "ask"
  // Delivery to an identity may repeat an ask; its effect must not.
  if (asked && served.asks.has(key)) return runtime.dead("duplicate", envelope)
  const message: Message = {
    id: envelope.id,
    name: envelope.type,
    payload,
    sender: isAddress(envelope.from) ? envelope.from : null,
    metadata: envelope.metadata,
    deadline: envelope.ttl === null ? null : runtime.now() + envelope.ttl,
    answer: asked ? answerTo(runtime, envelope, definition, () => void served.asks.delete(key)) : null,
  }
  if (asked) served.asks.set(key, message)
  served.cell.deliver(message)
}

/** Only who asked can cancel: the key is made of the sender that the hub vouches for. */
const cancel = (runtime: Runtime, envelope: Envelope): void => {
  const served = runtime.served.get(envelope.to)
  const key = askKey(envelope.from, envelope.correlationId ?? "")
  const message = served?.asks.get(key)
  // An answer that crossed the cancel on its way: nothing is left to stop.
  if (served === undefined || message === undefined) return
  served.asks.delete(key)
  served.cell.cancel(message)
}

const askKey = (asker: string, id: string): string => `${asker} ${id}`

const turnAway = (runtime: Runtime, envelope: Envelope, reason: Reason, refusal: ActorErrorPayload): void => {
  if (envelope.pattern === "tell") runtime.dead(reason, envelope)
  else respond(runtime, envelope, "actor:error", refusal)
}

/** The answer to an ask from elsewhere: encoded, in an envelope. */
const answerTo = (runtime: Runtime, asked: Envelope, definition: Protocol.Ask, done: () => void): Answer => ({
  succeed: (value) => {
    done()
    const payload = Protocol.encode(definition.success, value)
    if (Result.isSuccess(payload)) respond(runtime, asked, REPLY, payload.success)
    else respond(runtime, asked, "actor:error", unencodable(asked.type, "answer"))
  },
  fail: (error) => {
    done()
    const data = Protocol.encode(definition.error, error)
    respond(
      runtime,
      asked,
      "actor:error",
      Result.isSuccess(data) ? typedError(data.success) : unencodable(asked.type, "error"),
    )
  },
  refuse: (refusal) => {
    done()
    respond(runtime, asked, "actor:error", refusal)
  },
})

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

const respond = (runtime: Runtime, asked: Envelope, type: string, payload: unknown): void => {
  const to = asked.from
  if (!isAddress(to)) return runtime.dead("undeliverable", asked)
  const from: Address = asked.to
  const answer = runtime.envelope({ from, to, type, payload, pattern: "tell", correlationId: asked.id })
  const error = runtime.transmit(answer)
  if (error === undefined) return
  runtime.dead("undeliverable", answer)
  if (error.reason !== "too_large" || type === "actor:error") return
  // An answer that fits no frame must not be silence.
  respond(runtime, asked, "actor:error", {
    code: "message_too_large",
    message: "the answer is larger than a message may be",
    retryable: false,
  })
}
