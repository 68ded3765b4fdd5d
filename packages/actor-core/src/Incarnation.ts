/**
 * What an actor holds between a start and its end or restart: its scope, timers, watches, owed answers.
 * Made when the first of these is needed, and ended as a whole, so that nothing of it reaches the next.
 */
import * as Context from "effect/Context"
import type * as Fiber from "effect/Fiber"
import { CurrentLogAnnotations } from "effect/References"
import * as Scope from "effect/Scope"
import type { ActorCell } from "./ActorCell.ts"
import { ActorTimers, ReceiveTimeout } from "./ActorTimers.ts"
import { Watches } from "./DeathWatch.ts"
import type { Metadata } from "./Envelope.ts"
import { TERMINATED, type Answer, type Message } from "./Message.ts"

export class Incarnation {
  readonly #cell: ActorCell
  #scope: Scope.Closeable | null = null
  #services: Context.Context<never> | null = null
  #about: Map<string, Context.Context<never>> | null = null
  #timers: ActorTimers | null = null
  #watches: Watches | null = null
  #replies: Map<Message, Answer> | null = null
  #fibers: Set<Fiber.Fiber<unknown, unknown>> | null = null
  receiveTimeout: ReceiveTimeout | null = null
  /** How many promises are piped to the actor. */
  promised = 0
  /** Whether its end has begun. */
  over = false

  constructor(cell: ActorCell) {
    this.#cell = cell
  }

  get scope(): Scope.Closeable {
    return (this.#scope ??= Scope.makeUnsafe())
  }

  /** What the actor's effects run in: the services it was spawned with, and its scope. */
  get services(): Context.Context<never> {
    return (this.#services ??= Context.add(this.#cell.services, Scope.Scope, this.scope))
  }

  /**
   * The same, for what the actor is at: its log says which actor and message it is about, and what a trace
   * came with goes on with it.
   */
  servicesFor(label: string | null, metadata: Metadata): Context.Context<never> {
    const services = label === null ? this.services : this.#labeled(label)
    return this.#cell.runtime.tracing?.within(services, metadata) ?? services
  }

  #labeled(message: string): Context.Context<never> {
    let labeled = this.#about?.get(message)
    if (labeled === undefined) {
      const cell = this.#cell
      const annotations = {
        ...Context.get(cell.services, CurrentLogAnnotations),
        system: cell.runtime.name,
        actor: cell.address,
        message,
      }
      labeled = Context.add(this.services, CurrentLogAnnotations, annotations)
      this.#about ??= new Map()
      this.#about.set(message, labeled)
    }
    return labeled
  }

  get timers(): ActorTimers {
    return (this.#timers ??= new ActorTimers(this.#cell, this))
  }

  get watches(): Watches {
    return (this.#watches ??= new Watches(this.#cell, this))
  }

  /** An answer that is given later; refused when this ends before. */
  owe(message: Message, answer: Answer): void {
    this.#replies ??= new Map()
    this.#replies.set(message, answer)
  }

  /** The answer to the message, where it was still owed; it is no longer. */
  settle(message: Message): Answer | undefined {
    const answer = this.#replies?.get(message)
    this.#replies?.delete(message)
    return answer
  }

  /** Whether something is still to come of it: a timer, an answer that is owed, work that is piped to it. */
  get engaged(): boolean {
    return (
      this.#timers?.pending === true ||
      (this.#replies?.size ?? 0) > 0 ||
      (this.#fibers?.size ?? 0) > 0 ||
      this.promised > 0
    )
  }

  /** A fiber of the actor's beside its handlers, until it has `ran`. */
  run(fiber: Fiber.Fiber<unknown, unknown>): void {
    this.#fibers ??= new Set()
    this.#fibers.add(fiber)
  }

  ran(fiber: Fiber.Fiber<unknown, unknown>): void {
    this.#fibers?.delete(fiber)
  }

  /** Ends all but the scope, which is what is left to close, if there is one. */
  end(): Scope.Closeable | null {
    this.over = true
    this.#timers?.cancelAll()
    if (this.receiveTimeout !== null) this.#cell.runtime.deadlines.clear(this.receiveTimeout)
    this.#watches?.end()
    for (const fiber of this.#fibers ?? []) fiber.interruptUnsafe()
    const replies = this.#replies
    this.#replies = null
    for (const answer of replies?.values() ?? []) answer.refuse(TERMINATED)
    return this.#scope
  }
}
