/** How an actor is written: one function for each message of its protocol. */
import type * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type { ActorContext, MessageContext } from "./ActorContext.ts"
import type * as Protocol from "./Protocol.ts"
import type { Signals } from "./Signal.ts"
import type { StreamSource } from "./StreamSource.ts"

/**
 * What a handler may return: the answer, a promise of it, or an effect.
 *
 * A typed error is the effect's error; plain and promised handlers throw it. Anything else that is thrown,
 * and a defect, is logged and reaches the asker as `actor_failed`, without a word of what it was. While a
 * promise or an effect is under way the actor's other messages wait.
 */
export type HandlerResult<A, E, R> = A | Promise<A> | Effect.Effect<A, E, R>

/** What answers a message: its success; of one that is answered by a stream, where its elements come from. */
export type Answered<
  P extends Protocol.Any,
  N extends keyof P["messages"],
  R = never,
> = P["messages"][N] extends Protocol.Stream
  ? StreamSource<Protocol.Success<P, N>, Protocol.Failure<P, N>, R>
  : Protocol.Success<P, N>

/**
 * One function for each message, and for the signals that are wanted. What a handler of a told message
 * returns is dropped.
 */
export type Handlers<P extends Protocol.Any, R = never> = {
  readonly [N in keyof P["messages"]]: (
    payload: Protocol.Payload<P, N>,
    context: MessageContext<P, N>,
  ) => HandlerResult<Answered<P, N, R>, Protocol.Failure<P, N>, R>
} & Signals<ActorContext<P>, R>

/** Handlers of a protocol, whatever services they need. */
export type AnyHandlers<P extends Protocol.Any> = Handlers<P, unknown>

/** The services that the effects of these handlers need. */
export type ServicesOf<H> = {
  [N in keyof H]-?: Exclude<H[N], undefined> extends (...of: never) => infer Result
    ? ServicesOfResult<Result>
    : never
}[keyof H]

type ServicesOfResult<Result> =
  Result extends Effect.Effect<infer A, unknown, infer R>
    ? R | ServicesOfSource<A>
    : ServicesOfSource<Awaited<Result>>

type ServicesOfSource<A> = A extends Stream.Stream<unknown, unknown, infer R> ? R : never

/** Refuses handlers for messages that the protocol doesn't have. */
export type NoOthers<P extends Protocol.Any, H> = {
  readonly [N in Exclude<keyof H, keyof P["messages"] | symbol>]: never
}
