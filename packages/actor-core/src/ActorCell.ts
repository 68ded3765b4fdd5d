/**
 * One actor that runs: its messages in the order they came, one at a time, each answered once.
 *
 * A cell knows neither schemas nor envelopes: what it takes is decoded, and answers go to whoever is
 * given with the message. Mailboxes with bounds, supervision and timers would be its neighbors; there are
 * none yet: the queue is unbounded, and a handler that fails leaves its actor as it was.
 */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import type { Address } from "./Address.ts"
import type { ActorErrorPayload } from "./AskError.ts"
import type * as DeadLetters from "./DeadLetters.ts"
import type { Dispatcher } from "./Dispatcher.ts"
import type { Metadata } from "./Envelope.ts"

/** Where the end of an ask goes. The cell calls one of these, once. */
export interface Answer {
  readonly succeed: (value: unknown) => void
  /** A typed error of the protocol. */
  readonly fail: (error: unknown) => void
  readonly refuse: (refusal: ActorErrorPayload) => void
}

/** A message as an actor takes it: decoded. */
export interface Message {
  readonly id: string
  readonly name: string
  readonly payload: unknown
  readonly sender: Address | null
  readonly metadata: Metadata
  /** When it is no longer worth handling, epoch milliseconds, or `null`. */
  readonly deadline: number | null
  /** `null`: nobody waits for an answer. */
  readonly answer: Answer | null
}

/** What a cell is made of. */
export interface Behavior {
  readonly address: Address
  /** May return a plain value, a promise or an effect; may throw. */
  readonly handle: (message: Message) => unknown
  /** Whether what was thrown is a typed error of this message. */
  readonly isTyped: (name: string, thrown: unknown) => boolean
  /** What effects returned by `handle` run in. */
  readonly context: Context.Context<never>
  readonly clock: Clock.Clock
  readonly dispatcher: Dispatcher
  readonly onDead: (reason: DeadLetters.Reason, message: Message) => void
  /** A failure that is not a typed answer: for the log, never for the wire. */
  readonly onFailure: (name: string, cause: Cause.Cause<unknown>) => void
}

const TERMINATED: ActorErrorPayload = {
  code: "actor_terminated",
  message: "the actor stopped before it answered",
  retryable: true,
}
const FAILED: ActorErrorPayload = { code: "actor_failed", message: "the actor failed", retryable: false }
const EXPIRED: ActorErrorPayload = {
  code: "message_expired",
  message: "the message expired before the actor came to it",
  retryable: true,
}

interface Run {
  readonly message: Message
  fiber: Fiber.Fiber<unknown, unknown> | undefined
}

export class ActorCell {
  readonly #behavior: Behavior
  #inbox: Array<Message> = []
  // The part of the inbox that is being worked off. Swapped whole, so that taking one is no shift.
  #batch: ReadonlyArray<Message> = []
  #next = 0
  #scheduled = false
  #stopped = false
  #run: Run | undefined
  readonly #cancelled = new WeakSet<Message>()

  constructor(behavior: Behavior) {
    this.#behavior = behavior
  }

  get address(): Address {
    return this.#behavior.address
  }

  /** Takes a message. Its handler runs later, never in the caller's stack. */
  deliver(message: Message): void {
    if (this.#stopped) return this.#drop("terminated", message, TERMINATED)
    this.#inbox.push(message)
    this.#wake()
  }

  /** The asker gave up: a message that waits is skipped, an effect that handles it is interrupted. */
  cancel(message: Message): void {
    this.#cancelled.add(message)
    if (this.#run?.message === message) this.#run.fiber?.interruptUnsafe()
  }

  /** Stops the actor: who waits for an answer is told, a running effect is interrupted and awaited. */
  readonly stop: Effect.Effect<void> = Effect.suspend(() => {
    if (this.#stopped) return Effect.void
    this.#stopped = true
    const run = this.#run
    const waiting = [...this.#batch.slice(this.#next), ...this.#inbox]
    this.#inbox = []
    this.#batch = []
    this.#next = 0
    if (run !== undefined) this.#end(run, (answer) => answer.refuse(TERMINATED))
    for (const message of waiting) {
      if (!this.#cancelled.has(message)) this.#drop("terminated", message, TERMINATED)
    }
    if (run?.fiber === undefined) return Effect.void
    if (run.fiber !== Fiber.getCurrent()) return Fiber.interrupt(run.fiber)
    // A handler that stops its own actor can't be awaited by itself.
    run.fiber.interruptUnsafe()
    return Effect.void
  })

  #drop(reason: DeadLetters.Reason, message: Message, refusal: ActorErrorPayload): void {
    if (message.answer === null) this.#behavior.onDead(reason, message)
    else message.answer.refuse(refusal)
  }

  #wake(): void {
    if (this.#scheduled || this.#run !== undefined) return
    if (this.#next >= this.#batch.length && this.#inbox.length === 0) return
    this.#scheduled = true
    this.#behavior.dispatcher.schedule(this.#turn)
  }

  /** One turn: all that came before it, until a handler takes its time. */
  readonly #turn = (): void => {
    if (this.#next >= this.#batch.length) {
      this.#batch = this.#inbox
      this.#inbox = []
      this.#next = 0
    }
    while (this.#run === undefined && this.#next < this.#batch.length) {
      this.#handle(this.#batch[this.#next++]!)
    }
    this.#scheduled = false
    this.#wake()
  }

  #handle(message: Message): void {
    if (this.#cancelled.has(message)) return
    if (message.deadline !== null && this.#behavior.clock.currentTimeMillisUnsafe() >= message.deadline) {
      return this.#drop("expired", message, EXPIRED)
    }
    const run: Run = { message, fiber: undefined }
    this.#run = run
    let result: unknown
    try {
      result = this.#behavior.handle(message)
    } catch (thrown) {
      return this.#thrown(run, thrown)
    }
    if (Effect.isEffect(result)) this.#fork(run, result as Effect.Effect<unknown, unknown>)
    else if (isPromiseLike(result)) {
      result.then(
        (value) => this.#succeeded(run, value),
        (thrown: unknown) => this.#thrown(run, thrown),
      )
    } else this.#succeeded(run, result)
  }

  #fork(run: Run, effect: Effect.Effect<unknown, unknown>): void {
    // Known from its first step on: whoever that wakes may cancel it, or stop the actor, at once.
    const known = Effect.withFiber((fiber: Fiber.Fiber<unknown, unknown>) => {
      run.fiber = fiber
      return effect
    })
    const fiber = Effect.runForkWith(this.#behavior.context)(known)
    fiber.addObserver((exit) => {
      if (Exit.isSuccess(exit)) return this.#succeeded(run, exit.value)
      const failure = Cause.findError(exit.cause)
      if (Result.isSuccess(failure)) return this.#thrown(run, failure.success)
      if (!(this.#cancelled.has(run.message) && Cause.hasInterruptsOnly(exit.cause))) {
        this.#report(run, exit.cause)
      }
      this.#end(run, (answer) => answer.refuse(FAILED))
    })
  }

  #succeeded(run: Run, value: unknown): void {
    this.#end(run, (answer) => answer.succeed(value))
  }

  #thrown(run: Run, thrown: unknown): void {
    if (this.#behavior.isTyped(run.message.name, thrown))
      return this.#end(run, (answer) => answer.fail(thrown))
    this.#report(run, Cause.die(thrown))
    this.#end(run, (answer) => answer.refuse(FAILED))
  }

  #report(run: Run, cause: Cause.Cause<unknown>): void {
    if (!this.#stopped) this.#behavior.onFailure(run.message.name, cause)
  }

  /** Ends the run that is on, answers where somebody waits, and goes on. A run ends once. */
  #end(run: Run, settle: (answer: Answer) => void): void {
    if (this.#run !== run) return
    this.#run = undefined
    const { answer } = run.message
    if (answer !== null && !this.#cancelled.has(run.message)) settle(answer)
    this.#wake()
  }
}

const isPromiseLike = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === "object" && value !== null && "then" in value && typeof value.then === "function"
