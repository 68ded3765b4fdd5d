/** An ask to an actor of another process: an envelope out, and what comes back of it. */
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import type { Address } from "./Address.ts"
import * as AskError from "./AskError.ts"
import { Asking, type Ended, type Target } from "./Asking.ts"
import type { OpenAsk } from "./Asks.ts"
import type { Border } from "./Border.ts"
import type { Metadata } from "./Envelope.ts"
import { senderAddress } from "./Message.ts"
import { messageId } from "./MessageId.ts"
import * as Protocol from "./Protocol.ts"
import * as Schemas from "./Schemas.ts"
import { type Transport, TransportError } from "./Transport.ts"

export class RemoteAsk extends Asking implements OpenAsk {
  readonly #border: Border
  readonly #protocol: Protocol.Any
  #id = ""
  #from: Address | "" = ""
  transport: Transport | null = null

  constructor(border: Border, target: Target, name: string, millis: number, ended: Ended) {
    super(target, name, millis, ended)
    this.#border = border
    this.#protocol = target.protocol
  }

  begin(payload: unknown, metadata: Metadata): void {
    const { millis, name, runtime } = this
    const to = this.address
    const encoded = Schemas.encodePayload(this.#protocol, name, payload)
    if (Result.isFailure(encoded)) {
      return this.end(Exit.fail(refused("invalid_payload", encoded.failure.message, false)))
    }
    this.#from = senderAddress(this.sender) ?? ""
    this.#id = messageId()
    this.#border.asks.open(this.#id, this)
    const sent = this.#border.transmit(
      runtime.envelope({
        id: this.#id,
        from: this.#from,
        to,
        type: name,
        payload: encoded.success,
        pattern: "ask",
        metadata,
        ttl: millis,
      }),
    )
    if (sent instanceof TransportError) {
      this.#border.asks.forget(this.#id)
      return this.end(Exit.fail(fromTransport(to, sent)))
    }
    this.transport = sent
    if (this.open) runtime.deadlines.set(this, runtime.now() + millis)
  }

  settle(end: Result.Result<unknown, AskError.AskError>): void {
    this.end(readAnswer(this.#protocol, this.name, end))
  }

  override abandon(): void {
    const { runtime } = this
    if (!this.#border.asks.forget(this.#id)) return
    // Nothing is lost with it: the actor then only works in vain, and its answer is late.
    this.transport?.send(
      runtime.envelope({
        from: this.#from,
        to: this.address,
        type: "actor:cancel",
        pattern: "tell",
        correlationId: this.#id,
      }),
    )
  }
}

/** How the ask ends, as the protocol reads it. */
const readAnswer = (
  protocol: Protocol.Any,
  name: string,
  end: Result.Result<unknown, AskError.AskError>,
): Exit.Exit<unknown, unknown> => {
  const message = Protocol.find(protocol, name)
  if (message?.pattern !== "ask") return Exit.fail(refused("unknown_message", `no ask "${name}"`, false))
  if (Result.isFailure(end)) {
    return Exit.fail(typedFailure(message.error, end.failure))
  }
  const value = Schemas.decode(message.success, end.success)
  if (Result.isSuccess(value)) return Exit.succeed(value.success)
  return Exit.fail(
    new AskError.ActorFailed({
      code: "invalid_answer",
      message: `the answer to "${name}" is outside the protocol: ${value.failure.message}`,
      retryable: false,
    }),
  )
}

/** The typed error that the failure carries, where it is one of this schema; else the failure. */
export const typedFailure = (schema: Protocol.AnySchema, failure: AskError.AskError): unknown => {
  if (failure._tag !== "ActorFailed" || failure.data === undefined) return failure
  const typed = Schemas.decode(schema, failure.data)
  return Result.isSuccess(typed) ? typed.success : failure
}

export const refused = (code: string, message: string, retryable: boolean) =>
  new AskError.AskRefused({ code, message, retryable })

/** A transport's refusal, as an ask ends with it. */
export const fromTransport = (address: Address, error: TransportError): AskError.AskError => {
  if (error.code === "unknown_actor") return new AskError.UnknownActor({ address, message: error.message })
  const code = error.code ?? (error.reason === "too_large" ? "message_too_large" : error.reason)
  return refused(code, error.message, error.reason === "queue_full")
}
