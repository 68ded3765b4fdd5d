/**
 * What goes out: a tell or an ask to an address. An actor of this process gets the value as it is; for any
 * other it is encoded, put into an envelope and given to the transport.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { ActorRef, AskOptions, TellOptions } from "./ActorRef.ts"
import type { Message } from "./ActorCell.ts"
import type { Address } from "./Address.ts"
import * as AskError from "./AskError.ts"
import { NO_METADATA, type Envelope } from "./Envelope.ts"
import * as Protocol from "./Protocol.ts"
import type { Runtime, Served } from "./Runtime.ts"
import type { TransportError } from "./Transport.ts"

/** Why an ask ends when its system does. */
export const CLOSED = new AskError.AskRefused({
  code: "closed",
  message: "the actor system is closed",
  retryable: false,
})

/** A reference to this address that sends in the name of `sender`; `null`: of no actor. */
export const makeRef = <P extends Protocol.Any>(
  runtime: Runtime,
  protocol: P,
  address: Address,
  sender: Address | null,
): ActorRef<P> => ({
  address,
  protocol,
  tell: (name, payload, options) => tell(runtime, protocol, address, sender, name, payload, options),
  // The types of a protocol and its schemas say the same: what the success schema decodes is a `Success`.
  ask: <N extends Protocol.AskName<P>>(name: N, payload: Protocol.Payload<P, N>, options?: AskOptions) =>
    ask(runtime, protocol, address, sender, name, payload, options) as Effect.Effect<
      Protocol.Success<P, N>,
      Protocol.Failure<P, N> | AskError.AskError
    >,
})

const tell = (
  runtime: Runtime,
  protocol: Protocol.Any,
  address: Address,
  sender: Address | null,
  name: string,
  payload: unknown,
  options: TellOptions | undefined,
): void => {
  const metadata = options?.metadata ?? NO_METADATA
  const ttl = options?.ttl === undefined ? null : finiteMillis(options.ttl)
  const message: Message = {
    id: runtime.nextId(),
    name,
    payload,
    sender,
    metadata,
    deadline: ttl === null ? null : runtime.now() + ttl,
    answer: null,
  }
  const local = runtime.served.get(address)
  if (local !== undefined) {
    if (outsideProtocol(local, name, "tell") !== undefined)
      return runtime.deadMessage("unknown_message", address, message)
    return local.cell.deliver(message)
  }
  if (runtime.closed) return runtime.deadMessage("undeliverable", address, message)
  const encoded = encodePayload(protocol, name, payload)
  if (Result.isFailure(encoded)) return runtime.deadMessage("invalid_payload", address, message)
  const envelope = runtime.envelope({
    id: message.id,
    from: sender ?? "",
    to: address,
    type: name,
    payload: encoded.success,
    pattern: "tell",
    metadata,
    ttl,
  })
  if (runtime.transmit(envelope) !== undefined) runtime.dead("undeliverable", envelope)
}

const ask = (
  runtime: Runtime,
  protocol: Protocol.Any,
  address: Address,
  sender: Address | null,
  name: string,
  payload: unknown,
  options: AskOptions | undefined,
): Effect.Effect<unknown, unknown> => {
  const millis = options?.timeout === undefined ? runtime.askTimeout : finiteMillis(options.timeout)
  const metadata = options?.metadata ?? NO_METADATA
  const waiting = Effect.callback<unknown, unknown>((resume) => {
    if (runtime.closed) return resume(Effect.fail(CLOSED))
    const local = runtime.served.get(address)
    return local === undefined
      ? askElsewhere(runtime, protocol, name, payload, resume, {
          from: sender ?? "",
          to: address,
          type: name,
          pattern: "ask",
          metadata,
          ttl: millis,
        })
      : askHere(local, resume, {
          id: runtime.nextId(),
          name,
          payload,
          sender,
          metadata,
          deadline: millis === null ? null : runtime.now() + millis,
        })
  })
  if (millis === null) return waiting
  return Effect.timeoutOrElse(waiting, {
    duration: millis,
    orElse: () =>
      Effect.fail(
        new AskError.AskTimeout({ message: `${address} did not answer "${name}" within ${millis} ms` }),
      ),
  })
}

type Resume = (end: Effect.Effect<unknown, unknown>) => void

const askHere = (
  local: Served,
  resume: Resume,
  draft: Omit<Message, "answer">,
): Effect.Effect<void> | void => {
  const { address } = local.cell
  const refuse = (refusal: AskError.ActorErrorPayload) =>
    resume(Effect.fail(AskError.fromActor(address, refusal)))
  const outside = outsideProtocol(local, draft.name, "ask")
  if (outside !== undefined) return refuse(outside)
  const message: Message = {
    ...draft,
    answer: {
      succeed: (value) => resume(Effect.succeed(value)),
      fail: (error) => resume(Effect.fail(error)),
      refuse,
    },
  }
  local.cell.deliver(message)
  return Effect.sync(() => local.cell.cancel(message))
}

const askElsewhere = (
  runtime: Runtime,
  protocol: Protocol.Any,
  name: string,
  payload: unknown,
  resume: Resume,
  draft: Pick<Envelope, "from" | "to" | "type" | "pattern" | "metadata" | "ttl">,
): Effect.Effect<void> | void => {
  const encoded = encodePayload(protocol, name, payload)
  if (Result.isFailure(encoded)) {
    return resume(Effect.fail(refused("invalid_payload", encoded.failure.message, false)))
  }
  const envelope = runtime.envelope({ ...draft, payload: encoded.success })
  runtime.asks.open(envelope.id, envelope.to, (end) => resume(readAnswer(protocol, name, end)))
  const error = runtime.transmit(envelope)
  if (error !== undefined) {
    runtime.asks.forget(envelope.id)
    return resume(Effect.fail(fromTransport(envelope.to, error)))
  }
  return Effect.sync(() => {
    if (!runtime.asks.forget(envelope.id)) return
    const { from, to, id } = envelope
    // Nothing is lost with it: the actor then only works in vain, and its answer is late.
    runtime.transmit(runtime.envelope({ from, to, type: "actor:cancel", pattern: "tell", correlationId: id }))
  })
}

/** How the ask ends, as the protocol reads it. */
const readAnswer = (
  protocol: Protocol.Any,
  name: string,
  end: Result.Result<unknown, AskError.AskError>,
): Effect.Effect<unknown, unknown> => {
  const message = Protocol.find(protocol, name)
  if (message?.pattern !== "ask") return Effect.fail(refused("unknown_message", `no ask "${name}"`, false))
  if (Result.isFailure(end)) {
    const { failure } = end
    if (failure._tag !== "ActorFailed" || failure.data === undefined) return Effect.fail(failure)
    const typed = Protocol.decode(message.error, failure.data)
    return Effect.fail(Result.isSuccess(typed) ? typed.success : failure)
  }
  const value = Protocol.decode(message.success, end.success)
  if (Result.isSuccess(value)) return Effect.succeed(value.success)
  return Effect.fail(
    new AskError.ActorFailed({
      code: "invalid_answer",
      message: `the answer to "${name}" is outside the protocol: ${value.failure.message}`,
      retryable: false,
    }),
  )
}

const encodePayload = (protocol: Protocol.Any, name: string, payload: unknown) => {
  const message = Protocol.find(protocol, name)
  return message === undefined
    ? Result.fail(new Protocol.InvalidValue({ message: `no message "${name}"` }))
    : Protocol.encode(message.payload, payload)
}

/** Why the actor does not take a message of this name, or `undefined` where it does. */
export const outsideProtocol = (
  served: Served,
  name: string,
  pattern: "tell" | "ask",
): AskError.ActorErrorPayload | undefined => {
  const message = Protocol.find(served.protocol, name)
  if (message !== undefined && (pattern === "tell" || message.pattern === "ask")) return undefined
  return {
    code: "unknown_message",
    message:
      message === undefined
        ? `protocol ${served.protocol.name} has no message ${JSON.stringify(name)}`
        : `${JSON.stringify(name)} of protocol ${served.protocol.name} is told, not asked`,
    retryable: false,
  }
}

const refused = (code: string, message: string, retryable: boolean) =>
  new AskError.AskRefused({ code, message, retryable })

const fromTransport = (address: Address, error: TransportError): AskError.AskError => {
  if (error.code === "unknown_actor") return new AskError.UnknownActor({ address, message: error.message })
  const code = error.code ?? (error.reason === "too_large" ? "message_too_large" : error.reason)
  return refused(code, error.message, error.reason === "queue_full")
}

/** The duration in whole milliseconds, as a `ttl` is; `null` where it has no end. */
export const finiteMillis = (duration: Duration.Input): number | null => {
  const millis = Duration.toMillis(duration)
  return Number.isFinite(millis) ? Math.max(0, Math.ceil(millis)) : null
}
