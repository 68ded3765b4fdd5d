/**
 * What a function of an actor returned that is to be waited for: a promise or an effect. What is done with
 * what comes of it is the actor's matter.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"

export type Pending = Effect.Effect<unknown, unknown> | PromiseLike<unknown>

/** Whether it is to be waited for. */
export const isPending = (value: unknown): value is Pending =>
  typeof value === "object" &&
  value !== null &&
  (Effect.isEffect(value) || ("then" in value && typeof value.then === "function"))

/** Waits for what may have to be waited for. */
export const asEffect = <A>(
  value: A | PromiseLike<A> | Effect.Effect<A, unknown>,
): Effect.Effect<A, unknown> => {
  if (!isPending(value)) return Effect.succeed(value as A)
  return (Effect.isEffect(value) ? value : Effect.promise(() => Promise.resolve(value))) as Effect.Effect<
    A,
    unknown
  >
}

/** Told how it ended. */
type Ended = (exit: Exit.Exit<unknown, unknown>) => void

/** The wait of one turn. Nothing is told after the turn is over, which may be before it ended. */
export class Wait {
  #fiber: Fiber.Fiber<unknown, unknown> | undefined
  #over = false

  promise(promise: PromiseLike<unknown>, ended: Ended): void {
    promise.then(
      (value) => (this.#over ? undefined : ended(Exit.succeed(value))),
      (thrown: unknown) => (this.#over ? undefined : ended(Exit.die(thrown))),
    )
  }

  effect(effect: Effect.Effect<unknown, unknown>, services: Context.Context<never>, ended: Ended): void {
    // Known from its first step on: whoever that wakes may cancel it, or stop the actor, at once.
    const known = Effect.withFiber((fiber: Fiber.Fiber<unknown, unknown>) => {
      this.#fiber = fiber
      return effect
    })
    Effect.runForkWith(services)(known).addObserver((exit) => (this.#over ? undefined : ended(exit)))
  }

  /** Whether the current fiber is that of the effect, which can't wait for its own end. */
  get isCurrent(): boolean {
    return this.#fiber !== undefined && this.#fiber === Fiber.getCurrent()
  }

  /** Interrupts the effect. What is returned ends when that has; `undefined`: nothing runs. */
  interrupt(): Effect.Effect<void> | undefined {
    if (this.#fiber === undefined) return undefined
    this.#fiber.interruptUnsafe()
    return Effect.asVoid(Fiber.await(this.#fiber))
  }

  /** The turn is over. */
  leave(): void {
    this.#over = true
  }
}
