/**
 * Signals: what the runtime tells an actor, beside the messages of its protocol. A behavior takes one by
 * a function under the signal's symbol, among its handlers.
 *
 * Signals come before messages. What a signal's function fails with is a failure of the actor, except
 * for `preRestart` and `postStop`: those are logged, as there is nothing left to supervise.
 */
import type * as Effect from "effect/Effect"
import type { Address } from "./Address.ts"
import type { Failure } from "./Supervision.ts"

/** A watched actor ended. Without a function for it, the watcher fails with `DeathPact`. */
export const terminated: unique symbol = Symbol("terminated")
/** No message came for as long as `setReceiveTimeout` said. */
export const receiveTimeout: unique symbol = Symbol("receiveTimeout")
/** The actor failed and is about to begin anew: a last look at the old state. */
export const preRestart: unique symbol = Symbol("preRestart")
/** The actor has begun anew; told to the new state. */
export const postRestart: unique symbol = Symbol("postRestart")
/** The actor stops. Its children have; what it acquired is released next. */
export const postStop: unique symbol = Symbol("postStop")

/** The end of a watched actor. */
export interface Terminated {
  readonly address: Address
  /**
   * - `stopped`, `failed`: an actor of this system was stopped, or its supervision stopped it
   * - `unknown`: nobody is there, and nobody was when the watch began
   * - `unwatchable`: the transport that reaches it can't watch
   * - `closed`: the transport ended for good, or its watch did; the actor itself may live
   * - `unregistered`, `disconnected`, `expired`, `superseded`: as the hub says of an actor elsewhere
   */
  readonly reason: TerminatedReason
}

export type TerminatedReason =
  | "stopped"
  | "failed"
  | "unknown"
  | "unwatchable"
  | "closed"
  | "unregistered"
  | "disconnected"
  | "expired"
  | "superseded"

/** What a function of a signal may return; the value is dropped. */
export type SignalResult<R> = void | Promise<void> | Effect.Effect<unknown, unknown, R>

/** The functions for signals, each as it is wanted. `C` is the actor's context. */
export interface Signals<in C, out R = never> {
  [terminated]?(event: Terminated, context: C): SignalResult<R>
  [receiveTimeout]?(context: C): SignalResult<R>
  [preRestart]?(failure: Failure, context: C): SignalResult<R>
  [postRestart]?(failure: Failure, context: C): SignalResult<R>
  [postStop]?(context: C): SignalResult<R>
}

/** The same for behaviors with state: given the state, and where it goes on, returning the next one. */
export interface StateSignals<in C, in out S, out R = never> {
  [terminated]?(state: S, event: Terminated, context: C): S | Promise<S> | Effect.Effect<S, unknown, R>
  [receiveTimeout]?(state: S, context: C): S | Promise<S> | Effect.Effect<S, unknown, R>
  [preRestart]?(state: S, failure: Failure, context: C): SignalResult<R>
  [postRestart]?(state: S, failure: Failure, context: C): S | Promise<S> | Effect.Effect<S, unknown, R>
  [postStop]?(state: S, context: C): SignalResult<R>
}
