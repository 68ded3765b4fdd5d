/**
 * The giving end of a stream of answers. As the answer to its ask it takes the source that the actor gives,
 * and runs it beside the actor's messages, as far as the asker's demand goes.
 *
 * It ends with the incarnation that gave the source, and is a part of what is waited for then.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Pull from "effect/Pull"
import * as Result from "effect/Result"
import type { ActorCell } from "./ActorCell.ts"
import { INITIAL_DEMAND } from "./StreamPart.ts"
import type { ActorErrorPayload } from "./AskError.ts"
import { Deadline } from "./Deadlines.ts"
import { type Answer, FAILED, type Message, type RemoteAsk, TERMINATED } from "./Message.ts"
import * as Protocol from "./Protocol.ts"
import { isAskError, payloadOf } from "./RelayedError.ts"
import { pull } from "./StreamSource.ts"
import { isTypedError } from "./TypedError.ts"

/** Milliseconds that a stream waits for an asker elsewhere to say anything, with nothing left to send. */
export const ASKER_PATIENCE = 60_000

/** Elements that a stream gives before others have their turn. */
const THROUGHPUT = 256

/** Where a stream goes. After `done`, `fail` or `refuse` nothing more does. */
export interface Sink {
  /** Takes an element, or says why it can't. */
  readonly next: (value: unknown) => ActorErrorPayload | undefined
  readonly done: () => void
  /** A typed error of the protocol. */
  readonly fail: (error: unknown) => void
  readonly refuse: (refusal: ActorErrorPayload) => void
  readonly remote: RemoteAsk | null
}

const SILENT_ASKER: ActorErrorPayload = {
  code: "timeout",
  message: `nothing was heard of who asked for ${ASKER_PATIENCE} ms: send actor:demand, with n 0 where no more is wanted yet`,
  retryable: true,
}

export class StreamProducer extends Deadline implements Answer {
  readonly #definition: Protocol.Stream
  readonly #sink: Sink
  #message: Message | undefined
  #demand = INITIAL_DEMAND
  #demanded: (() => void) | undefined
  #fiber: Fiber.Fiber<void, unknown> | undefined
  #over = false

  constructor(definition: Protocol.Stream, sink: Sink) {
    super()
    this.#definition = definition
    this.#sink = sink
  }

  /** What it answers. */
  get message(): Message {
    return this.#message!
  }
  set message(message: Message) {
    this.#message = message
  }

  /** The actor that has the ask now. */
  get #cell(): ActorCell {
    return this.message.holder!
  }

  get remote(): RemoteAsk | null {
    return this.#sink.remote
  }

  /** The actor has answered: with this source. */
  succeed(source: unknown): void {
    const cell = this.#cell
    if (cell.ended) return this.refuse(TERMINATED)
    const { holds } = cell
    holds.owe(this.message, this)
    const running = Effect.scoped(Effect.flatMap(pull(source), (next) => this.#run(next)))
    // In the incarnation's scope, whose end waits for what the source releases.
    const forked = Effect.map(Effect.forkIn(running, holds.scope, { startImmediately: true }), (fiber) => {
      this.#fiber = fiber
      fiber.addObserver((exit) => {
        holds.settle(this.message)
        this.#ended(cell, exit)
      })
    })
    Effect.runForkWith(holds.servicesFor(this.message.name, this.message.metadata))(forked)
  }

  fail(error: unknown): void {
    if (this.#close()) this.#sink.fail(error)
  }

  refuse(refusal: ActorErrorPayload): void {
    if (this.#close()) this.#sink.refuse(refusal)
  }

  /** Who asked wants so many more; `0`: goes on waiting. */
  grant(n: number): void {
    this.#demand += n
    const demanded = this.#demanded
    if (demanded === undefined) return
    if (this.#demand === 0) return this.#wait()
    this.#demanded = undefined
    this.#cell.runtime.deadlines.clear(this)
    demanded()
  }

  /** Who asked wants no more. */
  cancelled(): void {
    this.#close()
  }

  /** Nothing was heard of who asked for too long. */
  override fire(): void {
    this.refuse(SILENT_ASKER)
  }

  #run(next: Effect.Effect<ReadonlyArray<unknown>, unknown>): Effect.Effect<void, unknown> {
    let turn = 0
    const step = (elements: ReadonlyArray<unknown>, from: number): Effect.Effect<void, unknown> => {
      let at = from
      while (at < elements.length && this.#demand > 0 && !this.#over && turn < THROUGHPUT) {
        this.#demand--
        turn++
        const refusal = this.#sink.next(elements[at++])
        if (refusal !== undefined) this.refuse(refusal)
      }
      if (this.#over) return Effect.interrupt
      if (turn === THROUGHPUT) {
        turn = 0
        return Effect.flatMap(Effect.yieldNow, () => step(elements, at))
      }
      return at < elements.length ? Effect.flatMap(this.#wanted, () => step(elements, at)) : more
    }
    // Nothing is pulled that is not wanted.
    const more = Effect.suspend(() =>
      Effect.flatMap(this.#demand > 0 ? next : Effect.flatMap(this.#wanted, () => next), (elements) =>
        step(elements, 0),
      ),
    )
    return more
  }

  readonly #wanted: Effect.Effect<void> = Effect.callback<void>((resume) => {
    if (this.#demand > 0) return resume(Effect.void)
    this.#demanded = () => resume(Effect.void)
    this.#wait()
    return Effect.sync(() => void (this.#demanded = undefined))
  })

  #wait(): void {
    if (this.remote === null) return
    const { deadlines } = this.#cell.runtime
    deadlines.set(this, deadlines.now() + ASKER_PATIENCE)
  }

  /** Whether it was open. What still runs is interrupted. */
  #close(): boolean {
    if (this.#over) return false
    this.#over = true
    const { deadlines } = this.#cell.runtime
    deadlines.clear(this)
    deadlines.rest()
    this.#fiber?.interruptUnsafe()
    return true
  }

  #ended(cell: ActorCell, exit: Exit.Exit<void, unknown>): void {
    if (Exit.isSuccess(exit) || Pull.isDoneCause(exit.cause)) {
      if (this.#close()) this.#sink.done()
      return
    }
    const { cause } = exit
    if (this.#over && Cause.hasInterruptsOnly(cause)) return
    const found = Cause.findError(cause)
    const typed = Result.isSuccess(found)
    const error = typed ? found.success : Cause.squash(cause)
    // It is that of a stream which is handed on.
    if (typed && isAskError(error))
      return this.remote === null ? this.fail(error) : this.refuse(payloadOf(error))
    const { error: schema } = this.#definition
    if (schema !== Protocol.Never && (typed || isTypedError(schema, error))) return this.fail(error)
    cell.runtime.report({
      kind: typed ? "error" : "defect",
      error,
      cause,
      actor: cell.address,
      message: this.message.name,
    })
    this.refuse(FAILED)
  }
}
