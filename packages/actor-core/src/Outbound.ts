/**
 * What goes out of a reference: a tell or an ask to an address. An actor of this system gets the value as
 * it is; what is for any other goes over the border, where there is one.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { ActorCell } from "./ActorCell.ts"
import { NotDelivered } from "./ActorError.ts"
import type { AskOptions, TellOptions } from "./ActorRef.ts"
import type { Address } from "./Address.ts"
import * as AskError from "./AskError.ts"
import { Asking, type Target } from "./Asking.ts"
import type { Reason } from "./DeadLetters.ts"
import { type Metadata, NO_METADATA } from "./Envelope.ts"
import { type Addressed, type Answer, Message } from "./Message.ts"
import * as Protocol from "./Protocol.ts"
import { cellOf } from "./Reference.ts"
import type { Runtime } from "./Runtime.ts"
import * as TimeLimit from "./TimeLimit.ts"

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
  const cell = target.cell ?? target.runtime.reach(target.address)
  const ttl = ttlOf(options)
  const message = toldMessage(target, name, payload, options, ttl)
  if (typeof ttl !== "number") deadOfTtl(target, message, ttl)
  else if (cell === null) tellElsewhere(target, message)
  else if (cell.protocol === target.protocol || outsideProtocol(cell.protocol, name, "tell") === undefined) {
    cell.deliver(message)
  } else target.runtime.deadMessage("unknown_message", target.address, message)
}

/** The milliseconds after which a tell is not delivered; `Infinity` where there are none. */
const ttlOf = (options: TellOptions | undefined): number | TimeLimit.InvalidTimeLimit =>
  options?.ttl === undefined ? Infinity : TimeLimit.read(options.ttl, "ttl")

/** The message is told to nobody: its `ttl` is none. */
const deadOfTtl = (
  { address, runtime }: Target,
  message: Message,
  error: TimeLimit.InvalidTimeLimit,
): Reason => {
  runtime.deadMessage("invalid_message", address, message, Cause.fail(error))
  return "invalid_message"
}

const toldMessage = (
  { runtime, sender }: Target,
  name: string,
  payload: unknown,
  options: TellOptions | undefined,
  ttl: number | TimeLimit.InvalidTimeLimit,
): Message => {
  const { tracing } = runtime
  if (options === undefined && tracing === null) {
    return new Message(name, payload, sender, NO_METADATA, Infinity, null, null)
  }
  const deadline = typeof ttl === "number" && ttl !== Infinity ? runtime.now() + ttl : Infinity
  const given = options?.metadata ?? NO_METADATA
  const metadata = tracing === null ? given : tracing.carry(given, sender)
  const message = new Message(name, payload, sender, metadata, deadline, null, null)
  message.reliable = options?.reliable === true
  return message
}

/** Why it did not leave, or `undefined`; then it is a dead letter already. */
const tellElsewhere = ({ address, protocol, runtime }: Target, message: Message): Reason | undefined => {
  if (runtime.border !== null && !runtime.closed) return runtime.border.tell(protocol, address, message)
  runtime.deadMessage("undeliverable", address, message)
  return "undeliverable"
}

export const offer = (
  target: Target,
  name: string,
  payload: unknown,
  options: TellOptions | undefined,
): Effect.Effect<void, NotDelivered> =>
  Effect.callback<void, NotDelivered>((resume) => {
    const { address, runtime } = target
    const cell = target.cell ?? runtime.reach(address)
    const ended = (reason: Reason | null | undefined, why: string | null | undefined = reason): void =>
      resume(
        reason == null
          ? Effect.void
          : Effect.fail(
              new NotDelivered({ address, reason, message: `${address} did not take "${name}": ${why}` }),
            ),
      )
    const ttl = ttlOf(options)
    const message = toldMessage(target, name, payload, options, ttl)
    if (typeof ttl !== "number") return ended(deadOfTtl(target, message, ttl), ttl.message)
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
): Effect.Effect<unknown, unknown> => {
  const { tracing } = target.runtime
  if (tracing === null) return asked(target, name, payload, options)
  return tracing.ask(target, name, options?.metadata ?? NO_METADATA, (metadata) =>
    asked(target, name, payload, { ...options, metadata }),
  )
}

const asked = (
  target: Target,
  name: string,
  payload: unknown,
  options: AskOptions | undefined,
): Effect.Effect<unknown, unknown> =>
  Effect.callback<unknown, unknown>((resume) => {
    const { runtime } = target
    const cell = target.cell ?? runtime.reach(target.address)
    if (runtime.closed) return resume(Exit.fail(CLOSED))
    const millis = limitOf(runtime, options?.timeout)
    if (typeof millis !== "number") return resume(Exit.fail(millis))
    const metadata = options?.metadata ?? NO_METADATA
    if (cell === null) {
      const { border } = runtime
      return border === null
        ? resume(Exit.fail(nowhere(target.address)))
        : border.ask(target, name, payload, metadata, TimeLimit.ofAsk(millis), resume)
    }
    const outside = outsideProtocol(cell.protocol, name, "ask")
    if (outside !== undefined) return resume(Exit.fail(AskError.fromActor(cell.address, outside)))
    if (cell.isCurrent) return resume(Exit.fail(askToSelf(name)))
    const asking = new LocalAsk(target, name, TimeLimit.ofAsk(millis), resume)
    asking.begin(cell, payload, metadata)
    return asking.giveUp
  })

const askToSelf = (name: string): AskError.AskRefused =>
  new AskError.AskRefused({
    code: "ask_to_self",
    message: `an actor that waits for its own answer to "${name}" never comes to give it: fork the ask, or call what answers it`,
    retryable: false,
  })

export const nowhere = (address: Address): AskError.UnknownActor =>
  new AskError.UnknownActor({
    address,
    message: `nobody is at ${address}, and there is no transport to look elsewhere`,
  })

class LocalAsk extends Asking implements Answer {
  readonly remote = null
  #message: Message | null = null

  begin(cell: ActorCell, payload: unknown, metadata: Metadata): void {
    const deadline = this.runtime.now() + this.millis
    const message = new Message(this.name, payload, this.sender, metadata, deadline, this, null)
    message.holder = cell
    this.#message = message
    this.runtime.deadlines.set(this, deadline)
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

/** Hands on a message that an actor has begun to handle. It is no longer that actor's. */
export const forward = (from: ActorCell, message: Message, to: Addressed): void => {
  const { runtime } = from
  const asked = message.pattern === "ask"
  if (asked && message.answer === null) return runtime.deadMessage("late_answer", from.address, message)
  const cell = cellOf(runtime, to) ?? runtime.reach(to.address)
  if (cell !== null) {
    const streamed = Protocol.find(from.protocol, message.name)?.pattern === "stream"
    const outside = outsideProtocol(cell.protocol, message.name, streamed ? "stream" : message.pattern)
    if (outside !== undefined) return from.drop("unknown_message", message, outside)
    message.state = "waiting"
    message.source = null
    message.holder = cell
    return cell.deliver(message)
  }
  const { border } = runtime
  if (border !== null) return border.forward(from, message, message.takeAnswer(), to.address)
  from.drop("undeliverable", message, {
    code: "unknown_actor",
    message: nowhere(to.address).message,
    retryable: false,
  })
}

/** Why an actor of this protocol does not take a message of this name, or `undefined` where it does. */
export const outsideProtocol = (
  protocol: Protocol.Any,
  name: string,
  pattern: Protocol.AnyMessage["pattern"],
  byItself = false,
): AskError.ActorErrorPayload | undefined => {
  const message = Protocol.find(protocol, name)
  const found = message === undefined || (Protocol.isOwn(message) && !byItself) ? undefined : message.pattern
  if (found === pattern || (found === "ask" && pattern === "tell")) return undefined
  return {
    code: "unknown_message",
    message:
      found === undefined
        ? `protocol ${protocol.name} has no message ${JSON.stringify(name)}`
        : `${JSON.stringify(name)} of protocol ${protocol.name} is ${USED[found]}, not ${USED[pattern]}`,
    retryable: false,
  }
}

const USED = { tell: "told", ask: "asked", stream: "answered by a stream" } as const

/** The time limit that an ask is given, in milliseconds, or else the system's; or how it ends for it. */
export const limitOf = (
  { askTimeout }: Runtime,
  given: AskOptions["timeout"],
): number | AskError.AskRefused => {
  if (given === undefined) return askTimeout
  const millis = TimeLimit.read(given, "timeout")
  if (typeof millis === "number") return millis
  const message = `${millis.message}; nothing was sent, correct it`
  return new AskError.AskRefused({ code: "invalid_message", message, retryable: false })
}
