/**
 * What goes out: a tell or an ask to an address. An actor of this process gets the value as it is; for any
 * other it is encoded, put into an envelope and given to a transport.
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import type { ActorCell } from "./ActorCell.ts"
import { NotDelivered } from "./ActorError.ts"
import type { AskOptions, TellOptions } from "./ActorRef.ts"
import type { Address } from "./Address.ts"
import type { OpenAsk } from "./Asks.ts"
import * as AskError from "./AskError.ts"
import { Deadline } from "./Deadlines.ts"
import type { Reason } from "./DeadLetters.ts"
import { type Metadata, NO_METADATA } from "./Envelope.ts"
import { type Addressed, type Answer, Message, senderAddress } from "./Message.ts"
import * as Protocol from "./Protocol.ts"
import { cellOf } from "./Reference.ts"
import type { Runtime } from "./Runtime.ts"
import { type Transport, TransportError } from "./Transport.ts"

/** What a reference knows of where its messages go. */
interface Target extends Addressed {
  readonly runtime: Runtime
  readonly protocol: Protocol.Any
  readonly sender: Addressed | null
  readonly cell: ActorCell | null
}

/** Why an ask ends when its system does. */
export const CLOSED = new AskError.AskRefused({
  code: "closed",
  message: "the actor system is closed",
  retryable: false,
})

export const tell = (
  target: Target,
  name: string,
  payload: unknown,
  options: TellOptions | undefined,
): void => {
  const { cell } = target
  const message = toldMessage(target, name, payload, options)
  if (cell === null) tellElsewhere(target, message)
  else if (cell.protocol === target.protocol || outsideProtocol(cell.protocol, name, "tell") === undefined) {
    cell.deliver(message)
  } else target.runtime.deadMessage("unknown_message", target.address, message)
}

const toldMessage = (
  { runtime, sender }: Target,
  name: string,
  payload: unknown,
  options: TellOptions | undefined,
): Message => {
  if (options === undefined) return new Message(name, payload, sender, NO_METADATA, Infinity, null, null)
  const ttl = options.ttl === undefined ? null : finiteMillis(options.ttl)
  const deadline = ttl === null ? Infinity : runtime.now() + ttl
  return new Message(name, payload, sender, options.metadata ?? NO_METADATA, deadline, null, null)
}

/** Why it did not leave, or `undefined`; then it is a dead letter already. */
const tellElsewhere = (
  { address, protocol, runtime }: Omit<Target, "cell" | "sender">,
  message: Message,
  metadata = message.metadata,
): Reason | undefined => {
  const dead = (reason: Reason): Reason => {
    runtime.deadMessage(reason, address, message)
    return reason
  }
  if (runtime.closed) return dead("undeliverable")
  const encoded = encodePayload(protocol, message.name, message.payload)
  if (Result.isFailure(encoded)) return dead("invalid_payload")
  const envelope = runtime.envelope({
    id: (message.id ??= runtime.nextId()),
    from: senderAddress(message.sender) ?? "",
    to: address,
    type: message.name,
    payload: encoded.success,
    pattern: "tell",
    metadata,
    ttl: remaining(runtime, message.deadline),
  })
  if (!(runtime.transmit(envelope) instanceof TransportError)) return undefined
  runtime.dead("undeliverable", envelope)
  return "undeliverable"
}

export const offer = (
  target: Target,
  name: string,
  payload: unknown,
  options: TellOptions | undefined,
): Effect.Effect<void, NotDelivered> =>
  Effect.callback<void, NotDelivered>((resume) => {
    const { address, cell } = target
    const ended = (reason: Reason | null | undefined): void =>
      resume(
        reason == null
          ? Effect.void
          : Effect.fail(
              new NotDelivered({ address, reason, message: `${address} did not take "${name}": ${reason}` }),
            ),
      )
    const message = toldMessage(target, name, payload, options)
    if (cell === null) return ended(tellElsewhere(target, message))
    if (outsideProtocol(cell.protocol, name, "tell") !== undefined) return ended("unknown_message")
    const withdraw = cell.offer(message, ended)
    return withdraw && Effect.sync(withdraw)
  })

export const ask = (
  target: Target,
  name: string,
  payload: unknown,
  options: AskOptions | undefined,
): Effect.Effect<unknown, unknown> =>
  Effect.callback<unknown, unknown>((resume) => {
    const { cell, runtime } = target
    if (runtime.closed) return resume(Exit.fail(CLOSED))
    const millis = options?.timeout === undefined ? runtime.askTimeout : finiteMillis(options.timeout)
    const deadline = millis === null ? Infinity : runtime.now() + millis
    const metadata = options?.metadata ?? NO_METADATA
    if (cell === null) {
      const asking = new RemoteAsk(target, name, millis, resume)
      asking.begin(payload, metadata, deadline)
      return asking.giveUp
    }
    const outside = outsideProtocol(cell.protocol, name, "ask")
    if (outside !== undefined) return resume(Exit.fail(AskError.fromActor(cell.address, outside)))
    const asking = new LocalAsk(target, name, millis, resume)
    asking.begin(cell, payload, metadata, deadline)
    return asking.giveUp
  })

type Ended = (exit: Exit.Exit<unknown, unknown>) => void

/** An ask with its time limit. Ends once. */
abstract class Asking extends Deadline {
  readonly runtime: Runtime
  readonly name: string
  readonly sender: Addressed | null
  readonly #target: Addressed
  readonly #millis: number | null
  #ended: Ended | null

  constructor(target: Target, name: string, millis: number | null, ended: Ended) {
    super()
    this.runtime = target.runtime
    this.sender = target.sender
    this.name = name
    this.#target = target
    this.#millis = millis
    this.#ended = ended
  }

  get address(): Address {
    return this.#target.address
  }

  get open(): boolean {
    return this.#ended !== null
  }

  end(exit: Exit.Exit<unknown, unknown>): void {
    const ended = this.#ended
    if (ended === null) return
    this.#ended = null
    this.runtime.deadlines.clear(this)
    ended(exit)
  }

  /** Tells who was asked that nobody waits any more. */
  abstract abandon(): void

  get giveUp(): Effect.Effect<void> {
    return Effect.sync(() => {
      if (this.#ended === null) return
      this.#ended = null
      this.runtime.deadlines.clear(this)
      this.abandon()
    })
  }

  override fire(): void {
    this.abandon()
    const message = `${this.address} did not answer "${this.name}" within ${this.#millis} ms`
    this.end(Exit.fail(new AskError.AskTimeout({ message })))
  }
}

class LocalAsk extends Asking implements Answer {
  readonly remote = null
  #message: Message | null = null

  begin(cell: ActorCell, payload: unknown, metadata: Metadata, deadline: number): void {
    const message = new Message(this.name, payload, this.sender, metadata, deadline, this, null)
    message.holder = cell
    this.#message = message
    if (deadline !== Infinity) this.runtime.deadlines.set(this, deadline)
    cell.deliver(message)
  }

  succeed(value: unknown): void {
    this.end(Exit.succeed(value))
  }

  fail(error: unknown): void {
    this.end(Exit.fail(error))
  }

  refuse(refusal: AskError.ActorErrorPayload): void {
    this.end(Exit.fail(AskError.fromActor(this.address, refusal)))
  }

  override abandon(): void {
    const message = this.#message
    if (message !== null) message.holder?.cancel(message)
  }
}

class RemoteAsk extends Asking implements OpenAsk {
  readonly #protocol: Protocol.Any
  #id = ""
  #from: Address | "" = ""
  transport: Transport | null = null

  constructor(target: Target, name: string, millis: number | null, ended: Ended) {
    super(target, name, millis, ended)
    this.#protocol = target.protocol
  }

  begin(payload: unknown, metadata: Metadata, deadline: number): void {
    const { name, runtime } = this
    const to = this.address
    const encoded = encodePayload(this.#protocol, name, payload)
    if (Result.isFailure(encoded)) {
      return this.end(Exit.fail(refused("invalid_payload", encoded.failure.message, false)))
    }
    this.#from = senderAddress(this.sender) ?? ""
    this.#id = runtime.nextId()
    runtime.asks.open(this.#id, this)
    const sent = runtime.transmit(
      runtime.envelope({
        id: this.#id,
        from: this.#from,
        to,
        type: name,
        payload: encoded.success,
        pattern: "ask",
        metadata,
        ttl: remaining(runtime, deadline),
      }),
    )
    if (sent instanceof TransportError) {
      runtime.asks.forget(this.#id)
      return this.end(Exit.fail(fromTransport(to, sent)))
    }
    this.transport = sent
    if (this.open && deadline !== Infinity) runtime.deadlines.set(this, deadline)
  }

  settle(end: Result.Result<unknown, AskError.AskError>): void {
    this.end(readAnswer(this.#protocol, this.name, end))
  }

  override abandon(): void {
    const { runtime } = this
    if (!runtime.asks.forget(this.#id)) return
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

/** Hands on a message that an actor has begun to handle. It is no longer that actor's. */
export const forward = (from: ActorCell, message: Message, to: Addressed): void => {
  const { protocol, runtime } = from
  const asked = message.pattern === "ask"
  if (asked && message.answer === null) return runtime.deadMessage("late_answer", from.address, message)
  const cell = cellOf(runtime, to)
  if (cell !== undefined) {
    const outside = outsideProtocol(cell.protocol, message.name, message.pattern)
    if (outside !== undefined) return from.drop("unknown_message", message, outside)
    message.state = "waiting"
    message.source = null
    message.holder = cell
    return cell.deliver(message)
  }
  const { address } = to
  const answer = message.takeAnswer()
  if (answer === null) {
    const metadata = { ...message.metadata, forwardOf: (message.id ??= runtime.nextId()) }
    return void tellElsewhere({ address, protocol, runtime }, message, metadata)
  }
  const { remote } = answer
  const ttl = remaining(runtime, message.deadline)
  if (remote !== null && runtime.transportsTo(address)[0] === remote.transport) {
    const { envelope } = remote
    const metadata = { ...envelope.metadata, forwardOf: envelope.id }
    const refusal = remote.transport.send({ ...envelope, to: address, metadata, ttl })
    if (refusal === undefined) remote.letGo()
    else answer.refuse(asPayload(fromTransport(address, refusal)))
    return
  }
  // Who asked hears no answer from there: it comes through here.
  const target: Target = { address, protocol, runtime, sender: from, cell: null }
  new RemoteAsk(target, message.name, ttl, (exit) => {
    if (Exit.isSuccess(exit)) return answer.succeed(exit.value)
    const error = Cause.squash(exit.cause)
    if (remote !== null && AskError.isAskError(error)) answer.refuse(asPayload(error))
    else answer.fail(error)
  }).begin(message.payload, message.metadata, message.deadline)
}

const asPayload = (error: AskError.AskError): AskError.ActorErrorPayload => ({
  code: "code" in error ? error.code : error._tag === "UnknownActor" ? "unknown_actor" : "actor_failed",
  message: error.message,
  retryable: "retryable" in error && error.retryable,
})

/** How the ask ends, as the protocol reads it. */
const readAnswer = (
  protocol: Protocol.Any,
  name: string,
  end: Result.Result<unknown, AskError.AskError>,
): Exit.Exit<unknown, unknown> => {
  const message = Protocol.find(protocol, name)
  if (message?.pattern !== "ask") return Exit.fail(refused("unknown_message", `no ask "${name}"`, false))
  if (Result.isFailure(end)) {
    const { failure } = end
    if (failure._tag !== "ActorFailed" || failure.data === undefined) return Exit.fail(failure)
    const typed = Protocol.decode(message.error, failure.data)
    return Exit.fail(Result.isSuccess(typed) ? typed.success : failure)
  }
  const value = Protocol.decode(message.success, end.success)
  if (Result.isSuccess(value)) return Exit.succeed(value.success)
  return Exit.fail(
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

/** Why an actor of this protocol does not take a message of this name, or `undefined` where it does. */
export const outsideProtocol = (
  protocol: Protocol.Any,
  name: string,
  pattern: "tell" | "ask",
): AskError.ActorErrorPayload | undefined => {
  const message = Protocol.find(protocol, name)
  if (message !== undefined && (pattern === "tell" || message.pattern === "ask")) return undefined
  return {
    code: "unknown_message",
    message:
      message === undefined
        ? `protocol ${protocol.name} has no message ${JSON.stringify(name)}`
        : `${JSON.stringify(name)} of protocol ${protocol.name} is told, not asked`,
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

/** Milliseconds until then, as a `ttl` is. */
const remaining = (runtime: Runtime, deadline: number): number | null =>
  deadline === Infinity ? null : Math.max(0, deadline - runtime.now())

/** The duration in whole milliseconds, as a `ttl` is; `null` where it has no end. */
export const finiteMillis = (duration: Duration.Input): number | null => {
  const millis = Duration.toMillis(duration)
  return Number.isFinite(millis) ? Math.max(0, Math.ceil(millis)) : null
}
