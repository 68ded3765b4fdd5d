/** Asking an actor of another process for a stream: an envelope out, and the answers that come back. */
import * as Result from "effect/Result"
import type { Address } from "./Address.ts"
import { partOf } from "./StreamPart.ts"
import * as AskError from "./AskError.ts"
import type { Target } from "./Asking.ts"
import type { OpenAsk } from "./Asks.ts"
import type { Border } from "./Border.ts"
import type { Envelope, Metadata } from "./Envelope.ts"
import { senderAddress } from "./Message.ts"
import { messageId } from "./MessageId.ts"
import * as Protocol from "./Protocol.ts"
import { fromTransport, refused, typedFailure } from "./RemoteAsk.ts"
import * as Schemas from "./Schemas.ts"
import { StreamIntake } from "./StreamIntake.ts"
import * as TimeLimit from "./TimeLimit.ts"
import { type Transport, TransportError } from "./Transport.ts"

export class RemoteStream extends StreamIntake implements OpenAsk {
  readonly #border: Border
  readonly #protocol: Protocol.Any
  #definition: Protocol.Stream | undefined
  #id = ""
  #from: Address | "" = ""
  /** The last answer's `n`. */
  #last = 0
  transport: Transport | null = null

  constructor(border: Border, target: Target, name: string, millis: number | null, window: number) {
    super(target, name, millis, window, true)
    this.#border = border
    this.#protocol = target.protocol
  }

  ask(payload: unknown, metadata: Metadata): void {
    const { name, runtime } = this
    const definition = Protocol.find(this.#protocol, name)
    if (definition?.pattern !== "stream") {
      return this.fail(refused("unknown_message", `no stream "${name}"`, false))
    }
    this.#definition = definition
    const encoded = Schemas.encode(definition.payload, payload)
    if (Result.isFailure(encoded)) {
      return this.fail(refused("invalid_payload", encoded.failure.message, false))
    }
    this.#from = senderAddress(this.sender) ?? ""
    this.#id = messageId()
    this.#border.asks.open(this.#id, this)
    const sent = this.#border.transmit(
      runtime.envelope({
        id: this.#id,
        from: this.#from,
        to: this.address,
        type: name,
        payload: encoded.success,
        pattern: "ask",
        metadata,
        ttl: TimeLimit.ofAsk(this.millis ?? Infinity),
      }),
    )
    if (sent instanceof TransportError) {
      this.#border.asks.forget(this.#id)
      return this.fail(fromTransport(this.address, sent))
    }
    this.transport = sent
    this.begin()
  }

  next(answer: Envelope): boolean {
    const part = partOf(answer)
    if (part === undefined) {
      return this.#breach("invalid_answer", `the answer to "${this.name}" is not one of a stream`)
    }
    // What came already is not another element.
    if (part.n <= this.#last) return true
    if (part.n > this.#last + 1) {
      return this.#breach(
        "stream_gap",
        `answers ${this.#last + 1} to ${part.n - 1} of "${this.name}" were lost`,
      )
    }
    this.#last = part.n
    if (part.done) return false
    return this.#take(answer.payload)
  }

  /** Whether it goes on with this element. */
  #take(payload: unknown): boolean {
    const element = Schemas.decode(this.#definition!.success, payload)
    if (Result.isFailure(element)) {
      const why = `an element of "${this.name}" is outside the protocol: ${element.failure.message}`
      return this.#breach("invalid_answer", why)
    }
    if (this.push(element.success)) return true
    return this.#breach("demand_exceeded", `${this.address} sent more of "${this.name}" than was demanded`)
  }

  settle(end: Result.Result<unknown, AskError.AskError>): void {
    if (!this.open) return
    if (Result.isFailure(end)) return this.fail(typedFailure(this.#definition!.error, end.failure))
    if (end.success === null || this.#take(end.success)) this.done()
  }

  override demand(n: number): void {
    this.#tell("actor:demand", { n })
  }

  override abandon(): void {
    if (this.#border.asks.forget(this.#id)) this.#tell("actor:cancel", null)
  }

  /** The answers are not what they must be: the stream is over on both sides. */
  #breach(code: string, message: string): false {
    // Nothing of it is read any more: what is asked for no longer is told so.
    this.fail(new AskError.ActorFailed({ code, message, retryable: code === "stream_gap" }))
    this.abandon()
    return false
  }

  /** Nothing is lost where it does not arrive: the stream then ends for want of a sign. */
  #tell(type: string, payload: unknown): void {
    const { address, runtime } = this
    this.transport?.send(
      runtime.envelope({
        from: this.#from,
        to: address,
        type,
        payload,
        pattern: "tell",
        correlationId: this.#id,
      }),
    )
  }
}
