/** The context of an actor, over its cell. One for the cell's life. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { ActorCell } from "./ActorCell.ts"
import type { MessageContext, Reply, SpawnOptions, Timers } from "./ActorContext.ts"
import type { ActorRef } from "./ActorRef.ts"
import type { ActorSystem } from "./ActorSystem.ts"
import { ReceiveTimeout } from "./ActorTimers.ts"
import type { Address } from "./Address.ts"
import type { AnyBehavior, Behavior } from "./Behavior.ts"
import { type Metadata, NO_METADATA } from "./Envelope.ts"
import { forwarderOf } from "./Forwarding.ts"
import { type Answer, Message, senderAddress } from "./Message.ts"
import { messageId } from "./MessageId.ts"
import { forward } from "./Outbound.ts"
import type * as Protocol from "./Protocol.ts"
import { cellOf, Reference } from "./Reference.ts"

/** Who asked goes on in the stack of who answers: not in the middle of a handler. */
export const soon = (give: () => void): void => void Promise.resolve().then(give)

type Context = MessageContext<Protocol.Any, string>

export class CellContext implements Context {
  readonly #cell: ActorCell

  constructor(cell: ActorCell) {
    this.#cell = cell
  }

  protected get cell(): ActorCell {
    return this.#cell
  }

  get self(): ActorRef<Protocol.Any> {
    return new Reference(this.#cell.runtime, this.#cell.protocol, this.#cell, null, this.#cell)
  }

  get system(): ActorSystem {
    return this.#cell.runtime.system
  }

  get scope(): Scope.Scope {
    return this.#cell.holds.scope
  }

  get timers(): Timers<Protocol.Any> {
    return this.#cell.holds.timers
  }

  ref<Q extends Protocol.Any>(to: Q | ActorRef<Q>, address?: Address): ActorRef<Q> {
    const { runtime } = this.#cell
    if (address !== undefined) return new Reference(runtime, to as Q, null, address, this.#cell)
    const ref = to as ActorRef<Q>
    const cell = cellOf(runtime, ref)
    return new Reference(
      runtime,
      ref.protocol,
      cell ?? null,
      cell === undefined ? ref.address : null,
      this.#cell,
    )
  }

  become(behavior: Behavior<Protocol.Any>): void {
    this.#cell.become(behavior)
  }

  spawn<Q extends Protocol.Any>(behavior: Behavior<Q>, options: SpawnOptions = {}): ActorRef<Q> {
    const { runtime, services } = this.#cell
    const child = runtime.spawn(this.#cell, behavior as AnyBehavior, options, services)
    if (options.register !== undefined && options.register !== false) runtime.registerSoon(child)
    return new Reference(runtime, behavior.protocol, child, null, this.#cell)
  }

  stop(child?: { readonly address: Address }): void {
    const cell = child === undefined ? this.#cell : cellOf(this.#cell.runtime, child)
    if (cell === this.#cell) cell.stopSoon()
    else if (cell?.parent === this.#cell) cell.stop("stopped")
  }

  watch(actor: { readonly address: Address }): void {
    if (cellOf(this.#cell.runtime, actor) !== this.#cell) this.#cell.holds.watches.add(actor)
  }

  unwatch(actor: { readonly address: Address }): void {
    this.#cell.incarnation?.watches.remove(actor.address)
  }

  unstashAll(): void {
    this.#cell.unstashAll()
  }

  setReceiveTimeout(duration: Duration.Input | null): void {
    const { holds, runtime } = this.#cell
    const millis = receiveTimeoutMillis(duration)
    if (holds.receiveTimeout !== null) runtime.deadlines.clear(holds.receiveTimeout)
    holds.receiveTimeout = millis === Infinity ? null : new ReceiveTimeout(this.#cell, millis)
  }

  pipeToSelf<A, E>(
    work: Effect.Effect<A, E> | PromiseLike<A>,
    message: (exit: Exit.Exit<A, E>) => readonly [name: string, payload: unknown],
  ): void {
    const cell = this.#cell
    const source = cell.holds
    const send = (exit: Exit.Exit<A, E>): void => {
      if (source.over || cell.ended) return
      const [name, payload] = message(exit)
      const own = new Message(name, payload, cell, NO_METADATA, Infinity, null, null)
      own.source = source
      cell.deliver(own)
    }
    if (!Effect.isEffect(work)) {
      source.promised++
      const sent = (exit: Exit.Exit<A, E>): void => {
        source.promised--
        send(exit)
      }
      work.then(
        (value) => sent(Exit.succeed(value)),
        (error: E) => sent(Exit.fail(error)),
      )
      return
    }
    const fiber = Effect.runForkWith(source.services)(work)
    source.run(fiber)
    fiber.addObserver((exit) => {
      source.ran(fiber)
      send(exit)
    })
  }

  // -- the message at hand

  protected get message(): Message {
    const { current } = this.#cell
    if (current === null) throw new TypeError("there is no message: none is being handled")
    return current
  }

  get sender(): Address | null {
    return senderAddress(this.message.sender)
  }

  get forwardedBy(): Address | null {
    return forwarderOf(this.message.metadata)
  }

  get id(): string {
    return (this.message.id ??= messageId())
  }

  get metadata(): Metadata {
    return this.message.metadata
  }

  reply(value: unknown): void {
    const message = this.message
    const answer = message.takeAnswer()
    if (answer === null) this.late(message)
    else soon(() => answer.succeed(value))
  }

  replyLater(): Reply<Protocol.Any, string> {
    const message = this.message
    const answer = message.takeAnswer()
    const { holds } = this.#cell
    const give = (end: (answer: Answer) => void): void => {
      if (answer !== null && holds.settle(message) === answer) soon(() => end(answer))
      else this.late(message)
    }
    if (answer !== null) holds.owe(message, answer)
    return {
      succeed: (value) => give((answer) => answer.succeed(value)),
      fail: (error) => give((answer) => answer.fail(error)),
    }
  }

  protected late(message: Message): void {
    this.#cell.runtime.deadMessage("late_answer", this.#cell.address, message)
  }

  forward(to: { readonly address: Address }): void {
    const message = this.message
    this.#cell.current = null
    forward(this.#cell, message, to)
  }

  stash(): void {
    this.#cell.stash()
  }
}

/** The receive timeout in milliseconds; `Infinity` where there is none. Throws a `RangeError` under 1 ms. */
export const receiveTimeoutMillis = (duration: Duration.Input | null): number => {
  const millis = duration === null ? Infinity : Duration.toMillis(duration)
  if (millis >= 1) return millis
  throw new RangeError(`a receive timeout can't be ${millis} ms: 1 ms at least, or null for none`)
}
