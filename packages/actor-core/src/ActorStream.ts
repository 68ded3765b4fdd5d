/**
 * Asking for a stream of answers. A module of its own, so that only who uses streams pays for them.
 *
 * The actor goes on with its other messages while the stream runs. It gives no more than is demanded, and
 * what is demanded follows what is read: 16 elements ahead, unless the options say otherwise.
 */
import type * as Duration from "effect/Duration"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"
import type { ActorCell } from "./ActorCell.ts"
import type { ActorRef } from "./ActorRef.ts"
import { INITIAL_DEMAND } from "./StreamPart.ts"
import * as AskError from "./AskError.ts"
import type { Target } from "./Asking.ts"
import { type Metadata, NO_METADATA } from "./Envelope.ts"
import { Message } from "./Message.ts"
import { CLOSED, limitOf, nowhere, outsideProtocol } from "./Outbound.ts"
import * as Protocol from "./Protocol.ts"
import { Reference } from "./Reference.ts"
import { StreamIntake } from "./StreamIntake.ts"
import { type Sink, StreamProducer } from "./StreamProducer.ts"

export { StreamOver, type Emit, type Emitting, type StreamSource } from "./StreamSource.ts"

export interface Options {
  /** At most 4 KiB as JSON. */
  readonly metadata?: Metadata
  /**
   * How long to wait for the first element, and for each next one while the reader wants one. Default: the
   * system's, 30 s. With `Infinity` a stream may be quiet for as long as its actor lives. Below 0 or `NaN`
   * fails `AskRefused` with code `invalid_message`.
   */
  readonly timeout?: Duration.Input
  /** How many elements may be ahead of the reader. Default, and least: 16. */
  readonly window?: number
}

/**
 * The answers to a message that is answered by a stream. Asks anew each time that it is run. Fails with
 * the message's typed error, or with an `AskError`; elements that came before are read first. Where its
 * reader stops, or is interrupted, the actor is told and its source is interrupted.
 */
export const ask = <P extends Protocol.Any, N extends Protocol.StreamName<P>>(
  ref: ActorRef<P>,
  name: N,
  payload: Protocol.Payload<P, N>,
  options?: Options,
): Stream.Stream<Protocol.Success<P, N>, Protocol.Failure<P, N> | AskError.AskError> =>
  // What the success schema describes is a `Success`, and so with the error.
  open(targetOf(ref), name, payload, options) as Stream.Stream<
    Protocol.Success<P, N>,
    Protocol.Failure<P, N> | AskError.AskError
  >

/**
 * The same for who has no effects: asks with the first `next`. One reader, one `next` at a time; `return`
 * ends it, also while a `next` waits. Aborting ends it with the signal's reason.
 */
export const iterate = <P extends Protocol.Any, N extends Protocol.StreamName<P>>(
  ref: ActorRef<P>,
  name: N,
  payload: Protocol.Payload<P, N>,
  options: Options & { readonly signal?: Signal } = {},
): AsyncIterableIterator<Protocol.Success<P, N>> =>
  // As above.
  new Iteration(() => begin(targetOf(ref), name, payload, options), options.signal) as AsyncIterableIterator<
    Protocol.Success<P, N>
  >

/** What is needed of an `AbortSignal`. */
export interface Signal {
  readonly aborted: boolean
  readonly reason: unknown
  readonly addEventListener: (type: "abort", listener: () => void) => void
  readonly removeEventListener: (type: "abort", listener: () => void) => void
}

/** References are made by the system alone. */
const targetOf = <P extends Protocol.Any>(ref: ActorRef<P>): Target => {
  if (ref instanceof Reference) return ref
  throw new TypeError(`the reference to ${ref.address} was not made by an actor system`)
}

/** The same, untyped. */
export const open = (
  target: Target,
  name: string,
  payload: unknown,
  options: Options = {},
): Stream.Stream<unknown, unknown> =>
  Stream.unwrap(
    Effect.map(
      Effect.acquireRelease(
        Effect.suspend(() => begin(target, name, payload, options)),
        (intake) => Effect.sync(() => intake.close()),
      ),
      (intake) => Stream.fromPull(Effect.succeed(intake.read)),
    ),
  )

const begin = (
  target: Target,
  name: string,
  payload: unknown,
  options: Options,
): Exit.Exit<StreamIntake, unknown> => {
  const metadata = options.metadata ?? NO_METADATA
  const { tracing } = target.runtime
  if (tracing === null) return opened(target, name, payload, metadata, options)
  const span = tracing.begin(target, name, metadata)
  const exit = opened(target, name, payload, span.metadata, options)
  if (Exit.isSuccess(exit)) exit.value.traced(span)
  else span.end(exit)
  return exit
}

const opened = (
  target: Target,
  name: string,
  payload: unknown,
  metadata: Metadata,
  options: Options,
): Exit.Exit<StreamIntake, unknown> => {
  const { cell, runtime } = target
  if (runtime.closed) return Exit.fail(CLOSED)
  const limit = limitOf(runtime, options.timeout)
  if (typeof limit !== "number") return Exit.fail(limit)
  // The reader minds the time between elements: a stream may be quiet for longer than an ask may last.
  const millis = limit === Infinity ? null : limit
  const window = options.window ?? INITIAL_DEMAND
  if (cell === null) {
    const { border } = runtime
    if (border === null) return Exit.fail(nowhere(target.address))
    return Exit.succeed(border.stream(target, name, payload, metadata, millis, window))
  }
  const definition = Protocol.find(cell.protocol, name)
  if (definition?.pattern !== "stream") {
    return Exit.fail(AskError.fromActor(cell.address, outsideProtocol(cell.protocol, name, "stream")!))
  }
  const intake = new LocalStream(target, name, millis, window)
  intake.ask(cell, definition, payload, metadata)
  return Exit.succeed(intake)
}

class Iteration implements AsyncIterableIterator<unknown> {
  readonly #begin: () => Effect.Effect<StreamIntake, unknown>
  readonly #signal: Signal | undefined
  #intake: StreamIntake | undefined
  #elements: ReadonlyArray<unknown> = []
  #at = 0
  #ended = false

  constructor(begin: () => Effect.Effect<StreamIntake, unknown>, signal: Signal | undefined) {
    this.#begin = begin
    this.#signal = signal
  }

  async next(): Promise<IteratorResult<unknown>> {
    if (this.#signal?.aborted === true) throw this.#end(this.#signal.reason)
    if (this.#ended) return DONE
    if (this.#at === this.#elements.length) {
      const exit = await Effect.runPromiseExit(Effect.flatMap(this.#begun, ({ read }) => read))
      if (Exit.isFailure(exit)) {
        if (Pull.isDoneCause(exit.cause)) return this.#end(DONE)
        throw this.#end(Cause.squash(exit.cause))
      }
      this.#elements = exit.value
      this.#at = 0
    }
    return { done: false, value: this.#elements[this.#at++] }
  }

  async return(): Promise<IteratorResult<unknown>> {
    return this.#end(DONE)
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  get #begun(): Effect.Effect<StreamIntake, unknown> {
    if (this.#intake !== undefined) return Effect.succeed(this.#intake)
    return Effect.map(this.#begin(), (intake) => {
      this.#signal?.addEventListener("abort", this.#abort)
      return (this.#intake = intake)
    })
  }

  readonly #abort = (): void => this.#intake?.close(Exit.fail(this.#signal?.reason))

  #end<A>(with_: A): A {
    this.#ended = true
    this.#signal?.removeEventListener("abort", this.#abort)
    this.#intake?.close()
    return with_
  }
}

const DONE: IteratorResult<unknown> = { done: true, value: undefined }

/** A stream from an actor of this process: its elements pass as they are. */
class LocalStream extends StreamIntake implements Sink {
  readonly remote = null
  #message: Message | undefined
  #producer: StreamProducer | undefined

  constructor(target: Target, name: string, millis: number | null, window: number) {
    super(target, name, millis, window, false)
  }

  ask(cell: ActorCell, definition: Protocol.Stream, payload: unknown, metadata: Metadata): void {
    const deadline = this.millis === null ? Infinity : this.runtime.now() + this.millis
    const producer = new StreamProducer(definition, this)
    const message = new Message(this.name, payload, this.sender, metadata, deadline, producer, null)
    message.holder = cell
    this.#message = message
    this.#producer = producer
    producer.message = message
    cell.deliver(message)
    this.begin()
  }

  next(value: unknown): undefined {
    this.push(value)
  }

  refuse(refusal: AskError.ActorErrorPayload): void {
    this.fail(AskError.fromActor(this.address, refusal))
  }

  override demand(n: number): void {
    this.#producer?.grant(n)
  }

  override abandon(): void {
    const message = this.#message
    if (message !== undefined) message.holder?.cancel(message)
  }
}
