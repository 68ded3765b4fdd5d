/**
 * The turns of an actor: a function of its behavior is called, for a message, a signal or a start; what it
 * returns is waited for; and what comes of it is the next state, the answer, or a failure. Which turn is
 * next, and what becomes of an actor that fails, is its cell's matter.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import type { ActorCell } from "./ActorCell.ts"
import type { Address } from "./Address.ts"
import type { AnyBehavior } from "./Behavior.ts"
import type { CellContext } from "./CellContext.ts"
import { deathPact } from "./DeathWatch.ts"
import type { LastLook } from "./Ending.ts"
import { NO_METADATA } from "./Envelope.ts"
import { Kin } from "./Family.ts"
import type { Incarnation } from "./Incarnation.ts"
import { type Answer, FAILED, type Message, NO_ANSWER } from "./Message.ts"
import { isPending, type Pending, Wait } from "./Pending.ts"
import type * as Protocol from "./Protocol.ts"
import type { Runtime } from "./Runtime.ts"
import * as Signal from "./Signal.ts"
import type { Failure } from "./Supervision.ts"
import { isErrorOf } from "./TypedError.ts"

/** Functions by message name and signal. */
type Functions = { readonly [key: string | symbol]: ((...of: Array<unknown>) => unknown) | undefined }

export abstract class Turns extends Kin<ActorCell> {
  abstract readonly runtime: Runtime
  abstract readonly protocol: Protocol.Any
  abstract readonly address: Address
  abstract readonly context: CellContext
  abstract readonly holds: Incarnation
  #functions: Functions | null = null
  #stateful = false
  #state: unknown = undefined
  /** What the turn waits for, once it has left its first stack. */
  protected wait: Wait | null = null
  /** The message or signal that the turn is for, by name, for the log. */
  #label: string | null = null
  /** The message that is being handled. */
  current: Message | null = null

  /** A turn has come to its end: goes on with what is next. */
  protected abstract endTurn(): void

  /** The actor has failed. */
  abstract fail(failure: Failure): void

  /** Whether its functions are there. */
  protected get made(): boolean {
    return this.#functions !== null
  }

  /** Whether the current fiber is that of its handler, which can't wait for its own end. */
  get isCurrent(): boolean {
    return this.wait?.isCurrent === true
  }

  /** Takes the answer of the message at hand. */
  takeAnswer(): Answer | null {
    return this.current?.takeAnswer() ?? null
  }

  // -- how a turn begins

  /** Makes a behavior's functions and first state, now or when its promise or effect has them. */
  protected make(behavior: AnyBehavior, then: () => void): void {
    const { start } = behavior
    this.#label = null
    const made = (value: unknown): void => {
      this.#stateful = start._tag === "State"
      this.#state = start._tag === "State" ? value : undefined
      this.use(start._tag === "Setup" ? (value as object) : start.handlers)
      this.endTurn()
      then()
    }
    if (start._tag === "Handlers") return made(undefined)
    let value: unknown
    try {
      const context = this.context as never
      value = start._tag === "Setup" ? start.make(context) : start.initial(context)
    } catch (thrown) {
      return this.#failed(Cause.die(thrown))
    }
    if (isPending(value)) this.#await(value, made)
    else made(value)
  }

  /** Has these functions from now on. */
  protected use(functions: object): void {
    this.#functions = functions as Functions
  }

  /** Calls the function that the behavior has for the message. */
  protected handle(message: Message): void {
    this.current = message
    this.#label = message.name
    let result: unknown
    try {
      const handle = this.#functions![message.name]!
      result = this.#stateful
        ? handle.call(this.#functions, this.#state, message.payload, this.context)
        : handle.call(this.#functions, message.payload, this.context)
    } catch (thrown) {
      return this.#failed(Cause.die(thrown))
    }
    if (isPending(result)) this.#await(result, (value) => this.#handled(value))
    else this.#handled(result)
  }

  /** Calls the function that the behavior has for a signal. Within a turn only: by `system`. */
  signal(signal: symbol, event?: unknown): void {
    const call = this.#functions?.[signal]
    this.#label = signal.description ?? null
    if (call === undefined) {
      if (signal === Signal.terminated) this.#failed(Cause.fail(deathPact(event as Signal.Terminated)))
      return
    }
    let result: unknown
    try {
      result = call.apply(this.#functions, this.#signalArguments(event))
    } catch (thrown) {
      return this.#failed(Cause.die(thrown))
    }
    if (isPending(result)) this.#await(result, (value) => this.#signaled(value))
    else this.#signaled(result)
  }

  #signalArguments(event: unknown): Array<unknown> {
    const own = event === undefined ? [this.context] : [event, this.context]
    return this.#stateful ? [this.#state, ...own] : own
  }

  /** The function that the behavior has for the end of an incarnation, which is no turn. */
  protected lastLook(signal: symbol, failure: Failure | undefined): LastLook | null {
    const functions = this.#functions
    const call = functions?.[signal]
    if (call === undefined) return null
    const of = this.#signalArguments(failure)
    return { signal, call: () => call.apply(functions, of) }
  }

  // -- how it ends

  /** Goes on when the promise or the effect is there, unless the turn is over before. */
  #await(pending: Pending, then: (value: unknown) => void): void {
    const message = this.current
    const wait = (this.wait = new Wait())
    const ended = (exit: Exit.Exit<unknown, unknown>): void => {
      if (Exit.isSuccess(exit)) then(exit.value)
      else if (message?.state === "cancelled" && Cause.hasInterruptsOnly(exit.cause)) this.endTurn()
      else this.#failed(exit.cause)
    }
    if (!Effect.isEffect(pending)) return wait.promise(pending, ended)
    const services = this.holds.servicesFor(this.#label, message?.metadata ?? NO_METADATA)
    wait.effect(pending, services, ended)
  }

  /** A message is done with, and this came of it. Who asked goes on last: in this stack, it may. */
  #handled(value: unknown): void {
    if (this.#stateful) this.#state = value
    const message = this.current
    if (message === null || message.pattern === "tell") return this.endTurn()
    const answer = message.takeAnswer()
    if (message.state === "cancelled") this.runtime.deadMessage("late_answer", this.address, message)
    this.endTurn()
    if (this.#stateful) answer?.refuse(NO_ANSWER)
    else answer?.succeed(value)
  }

  #signaled(value: unknown): void {
    if (this.#stateful) this.#state = value
    this.endTurn()
  }

  /** It failed: with the typed error of an ask, which is an answer, or as an actor. */
  #failed(cause: Cause.Cause<unknown>): void {
    const message = this.current
    const found = Cause.findError(cause)
    const typed = Result.isSuccess(found)
    const error = typed ? found.success : Cause.squash(cause)
    const answer = message?.takeAnswer() ?? null
    if (answer !== null && isErrorOf(this.protocol, message!.name, error, typed)) {
      this.endTurn()
      return answer.fail(error)
    }
    const failure: Failure = {
      kind: typed ? "error" : "defect",
      error,
      cause,
      actor: this.address,
      message: this.#label,
    }
    this.runtime.report(failure)
    if (message !== null) this.runtime.deadMessage("failed", this.address, message, cause)
    this.fail(failure)
    answer?.refuse(FAILED)
  }

  /** Nothing is under way any more; what is waited for comes too late. */
  protected turnOver(): void {
    this.wait?.leave()
    this.wait = null
    this.#label = null
    this.current = null
  }

  /** Has no functions and no state any more. */
  protected unmake(): void {
    this.#functions = null
    this.#state = undefined
  }
}
