/**
 * A persistent actor as it runs: its context, and the steps that it takes. A step's answers are held back
 * until its journal has it.
 */
import * as Causes from "effect/Cause"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Timers } from "./ActorContext.ts"
import type { ActorRef } from "./ActorRef.ts"
import type { Address } from "./Address.ts"
import type { ActorErrorPayload } from "./AskError.ts"
import { CellContext, receiveTimeoutMillis, soon } from "./CellContext.ts"
import * as Continuation from "./Continuation.ts"
import type { Cause, Journal, JournaledActor } from "./Journal.ts"
import { type Answer, FAILED, senderAddress } from "./Message.ts"
import { limitOf } from "./Outbound.ts"
import { asEffect, isPending } from "./Pending.ts"
import { PersistenceError } from "./Persistence.ts"
import type * as Protocol from "./Protocol.ts"
import * as Schemas from "./Schemas.ts"

/** An answer that leaves when the step is kept. */
interface Given {
  readonly leave: () => void
  readonly takeBack: (refusal: ActorErrorPayload) => void
}

/** An answer that is owed, whatever its protocol. */
interface Owed {
  readonly succeed: (value: unknown) => void
  readonly fail: (error: unknown) => void
}

/** Why an ask is refused whose step could not be kept. */
const NOT_STORED: ActorErrorPayload = {
  code: "not_stored",
  message: "the actor could not store what came of it",
  retryable: true,
}

const notStored = (error: unknown): ActorErrorPayload =>
  error instanceof PersistenceError && error.permanent === true
    ? { ...NOT_STORED, message: error.message, retryable: false }
    : NOT_STORED

export class PersistentCellContext extends CellContext implements JournaledActor {
  journal: Journal | null = null
  #given: Array<Given> = []
  #owed = new Map<string, Owed>()
  #tokens = 0
  /** What the step at hand asks for. */
  forgets = false
  stashed = false

  get address(): Address {
    return this.cell.address
  }

  get protocol(): Protocol.Any {
    return this.cell.protocol
  }

  get services(): Context.Context<never> {
    return this.cell.services
  }

  readonly signal = (signal: symbol, event?: unknown): void => {
    this.cell.system(() => this.cell.signal(signal, event))
  }

  // -- steps

  /** `at`: the signal, where it is one that begins. */
  begin(at: Exclude<Cause, { readonly _tag: "Message" }>): boolean {
    const message = this.cell.current
    this.#given = []
    this.forgets = false
    this.stashed = false
    const cause: Cause =
      message === null ? at : { _tag: "Message", id: this.id, sender: senderAddress(message.sender) }
    return this.journal?.begin(cause) !== false
  }

  /** The step is kept. */
  readonly release = (): void => {
    // Until the next step begins they are here: what lets them go may fail yet.
    for (const { leave } of this.#given) leave()
    if (this.forgets) this.cell.forgotten()
  }

  /** The step came to nothing. */
  abort(refusal: ActorErrorPayload): void {
    this.journal?.abort()
    const given = this.#given
    this.#given = []
    for (const { takeBack } of given) takeBack(refusal)
  }

  // -- what differs from the context of any actor

  override get timers(): Timers<Protocol.Any> {
    return this.journal?.duties?.timers ?? super.timers
  }

  override setReceiveTimeout(duration: Duration.Input | null): void {
    const duties = this.journal?.duties
    if (duties === undefined) return super.setReceiveTimeout(duration)
    const millis = receiveTimeoutMillis(duration)
    duties.setReceiveTimeout(millis === Infinity ? null : millis)
  }

  override watch(actor: { readonly address: Address }): void {
    const duties = this.journal?.duties
    if (duties === undefined || this.cell.runtime.cells.has(actor.address)) super.watch(actor)
    else duties.watch(actor.address)
  }

  override unwatch(actor: { readonly address: Address }): void {
    super.unwatch(actor)
    this.journal?.duties?.unwatch(actor.address)
  }

  override stash(): void {
    super.stash()
    this.stashed = true
  }

  override reply(value: unknown): void {
    const { message } = this
    const answer = message.takeAnswer()
    if (answer === null) return this.late(message)
    this.#given.push({
      // Over the border it leaves with the step; here, who asked does not go on in this stack.
      leave: () => (answer.remote === null ? soon(() => answer.succeed(value)) : answer.succeed(value)),
      takeBack: (refusal) => answer.refuse(refusal),
    })
  }

  override forward(to: { readonly address: Address }): void {
    const { message } = this
    const { answer } = message
    super.forward(to)
    // Over the border it goes with the step.
    const isGone = answer !== null && answer.remote !== null && message.answer === null
    if (isGone && this.journal?.duties !== undefined) this.#handOver(answer)
  }

  /** The answer is another's to give, or given later, once the step is kept. */
  #handOver(answer: Answer | null): void {
    this.#given.push({ leave: () => undefined, takeBack: (refusal) => answer?.refuse(refusal) })
  }

  postpone(): string {
    const remote = this.message.answer?.remote
    const duties = this.journal?.duties
    if (remote != null && duties !== undefined) {
      this.#handOver(this.message.takeAnswer())
      remote.letGo()
      return duties.postpone(remote.envelope)
    }
    const token = `${this.id}~${++this.#tokens}`
    this.#owed.set(token, this.replyLater() as Owed)
    return token
  }

  answer(token: string, name: string, answer: Result.Result<unknown, unknown>): boolean {
    const reply = this.#owed.get(token)
    if (reply === undefined) return this.journal?.duties?.answer(token, name, answer) ?? false
    this.#owed.delete(token)
    this.#given.push({
      leave: () => (Result.isSuccess(answer) ? reply.succeed(answer.success) : reply.fail(answer.failure)),
      takeBack: () => void this.#owed.set(token, reply),
    })
    return true
  }

  askToSelf(
    to: ActorRef<Protocol.Any>,
    name: string,
    payload: unknown,
    then: string,
    about: unknown,
    options: { readonly timeout?: Duration.Input } = {},
  ): void {
    const duties = this.journal?.duties
    const isValid = typeof limitOf(this.cell.runtime, options.timeout) === "number"
    if (duties !== undefined && isValid && !this.cell.runtime.cells.has(to.address)) {
      return duties.ask(to, name, payload, { name: then, about, timeout: options.timeout })
    }
    // The names and the payload are the compiler's to check, at who calls.
    const asked: Effect.Effect<unknown, unknown> = this.ref(to).ask(name as never, payload as never, options)
    this.pipeToSelf(asked, (exit) => [then, { about, answer: Continuation.fromExit(exit) }])
  }

  forget(): void {
    this.forgets = true
  }

  /** A new incarnation begins: what the last one owed has been refused. */
  reset(): void {
    this.#owed.clear()
  }
}

const START = { _tag: "Start" } as const

/** The state of one incarnation, and the steps that change it. It is the state of the cell. */
export class Steps<S = unknown> {
  readonly #context: PersistentCellContext
  readonly #journal: Journal
  readonly #schema: Protocol.AnySchema
  readonly #first: () => Effect.Effect<S, unknown>
  state: S | undefined
  /** Whether memory and what is stored may differ. */
  #doubtful = true

  constructor(
    context: PersistentCellContext,
    journal: Journal,
    schema: Protocol.AnySchema,
    first: () => Effect.Effect<S, unknown>,
  ) {
    this.#context = context
    this.#journal = journal
    this.#schema = schema
    this.#first = first
  }

  /** Takes the stored state, or else the first one. */
  readonly load: Effect.Effect<void, unknown> = Effect.suspend(() => this.#journal.load).pipe(
    Effect.flatMap((stored): Effect.Effect<unknown, unknown> => {
      if (stored === null) return this.#first()
      const decoded = Schemas.decode(this.#schema, stored.state)
      if (Result.isSuccess(decoded)) return Effect.succeed(decoded.success)
      const message = `the stored state is none of the actor's: ${decoded.failure.message}`
      return Effect.fail(new PersistenceError({ address: this.#context.address, operation: "load", message }))
    }),
    Effect.map((state) => {
      this.state = state as S
      this.#doubtful = false
    }),
  )

  /** One step: what `call` makes of the state is kept. The cell's next state is this again. */
  run(
    call: (state: S) => unknown,
    at: Exclude<Cause, { readonly _tag: "Message" }> = START,
  ): this | Effect.Effect<this, unknown> {
    if (this.#doubtful) return Effect.flatMap(this.load, () => asEffect(this.run(call, at)))
    if (!this.#context.begin(at)) return this
    let next: unknown
    try {
      next = call(this.state as S)
      if (!isPending(next)) return this.#keep(next)
    } catch (thrown) {
      this.#context.abort(FAILED)
      throw thrown
    }
    return asEffect(next).pipe(
      Effect.onError(() => Effect.sync(() => this.#context.abort(FAILED))),
      Effect.flatMap((state) => asEffect(this.#keep(state))),
    )
  }

  #keep(next: unknown): this | Effect.Effect<this> {
    const { forgets, release, stashed } = this.#context
    const changed = next !== this.state
    let state: unknown = undefined
    if (changed && !forgets) {
      const encoded = Schemas.encode(this.#schema, next, { name: "state" })
      if (Result.isFailure(encoded)) throw encoded.failure
      state = encoded.success
    }
    const kept = (): this => {
      this.state = next as S
      this.#doubtful = forgets
      return this
    }
    const lost = (error: unknown): void => {
      this.#doubtful = true
      this.#context.abort(notStored(error))
    }
    let keeping: ReturnType<Journal["commit"]>
    try {
      keeping = this.#journal.commit({ state, forget: forgets, stashed }, release)
    } catch (thrown) {
      lost(thrown)
      throw thrown
    }
    if (keeping === undefined) return kept()
    // No typed error of the ask that it happens at: a failure of the actor.
    return keeping.pipe(
      Effect.onError((cause) => Effect.sync(() => lost(Causes.squash(cause)))),
      Effect.orDie,
      Effect.map(kept),
    )
  }
}
