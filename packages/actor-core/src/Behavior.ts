/**
 * Behaviors: how an actor handles the messages of its protocol, and how that is made anew for each start
 * and restart. A behavior is a value; `spawn` runs it, as often as it is spawned.
 *
 * All are one thing inside: an object with a function for each message, by name, and for signals, by
 * symbol. A plain object, an object that closes over variables, and an instance of a class are such.
 */
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { ActorCell } from "./ActorCell.ts"
import type { ActorContext, MessageContext } from "./ActorContext.ts"
import type { CellContext } from "./CellContext.ts"
import type { AnyHandlers, NoOthers, ServicesOf } from "./Handlers.ts"
import type * as Protocol from "./Protocol.ts"
import type { StateSignals } from "./Signal.ts"

/** How an actor with this protocol behaves. `R`: the services that its effects need. */
export interface Behavior<in out P extends Protocol.Any, out R = never> {
  readonly protocol: P
  readonly "~services"?: R
  /** @internal */
  readonly start: Start
}

/** Any behavior, as what runs it sees it. */
export interface AnyBehavior {
  readonly protocol: Protocol.Any
  readonly start: Start
}

/**
 * What a behavior is inside. `stateless`: functions `(payload, context)`, whose result is the answer.
 * `stateful`: functions `(state, payload, context)`, whose result is the next state.
 */
export type Start = {
  /** Makes the actor's context, where it is to be a special one. */
  readonly context?: (cell: ActorCell) => CellContext
} & (
  | { readonly _tag: "Handlers"; readonly handlers: object }
  | { readonly _tag: "Setup"; readonly make: (context: never) => unknown }
  | {
      readonly _tag: "State"
      readonly handlers: object
      readonly initial: (context: never) => unknown
    }
)

/** A value, now or later. */
type Made<A, R> = A | PromiseLike<A> | Effect.Effect<A, unknown, R>

/** The services that are left when an actor's own scope is given. */
type Needs<R> = Exclude<R, Scope.Scope>

/** These handlers, the same ones for every start: what state they close over outlives a restart. */
export const make = <P extends Protocol.Any, H extends AnyHandlers<P>>(
  protocol: P,
  handlers: H & NoOthers<P, H>,
): Behavior<P, Needs<ServicesOf<H>>> => ({ protocol, start: { _tag: "Handlers", handlers } })

/**
 * Handlers that are made for each start, with the actor's context: by a function that closes over its
 * state, or as an instance of a class. What is made by a promise or an effect is waited for; an effect
 * may acquire in the actor's scope. To fail here is to fail as an actor.
 */
export const setup = <P extends Protocol.Any, H extends AnyHandlers<P>, R = never>(
  protocol: P,
  make: (context: ActorContext<P>) => Made<H, R>,
): Behavior<P, Needs<R | ServicesOf<H>>> => ({ protocol, start: { _tag: "Setup", make } })

/** A function for each message: state in, next state out. An ask is answered by `context.reply`. */
export type StateHandlers<P extends Protocol.Any, S, R = never> = {
  readonly [N in keyof P["messages"]]: (
    state: S,
    payload: Protocol.Payload<P, N>,
    context: MessageContext<P, N>,
  ) => S | Promise<S> | Effect.Effect<S, Protocol.Failure<P, N>, R>
} & StateSignals<ActorContext<P>, S, R>

/**
 * State in, next state out. `initial` makes the first state of each start. An ask that its handler
 * neither answers, nor takes over, nor forwards ends `ActorFailed` with the code `no_answer`.
 */
export const state = <P extends Protocol.Any, S, R = never, R2 = never>(
  protocol: P,
  initial: (context: ActorContext<P>) => Made<S, R>,
  handlers: StateHandlers<P, NoInfer<S>, R2>,
): Behavior<P, Needs<R | R2>> => ({ protocol, start: { _tag: "State", handlers, initial } })
