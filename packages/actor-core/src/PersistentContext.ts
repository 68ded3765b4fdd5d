/**
 * What a persistent actor knows and can do: what any actor can, but nothing that it would hold in memory
 * only where it could be data. It has no `become`, as which behavior it has is not stored: what it is at
 * belongs into its state. In place of `replyLater` it has `postpone`, whose answer is named by a string.
 */
import type * as Duration from "effect/Duration"
import type * as Result from "effect/Result"
import type { ActorContext, MessageContext } from "./ActorContext.ts"
import type { ActorRef } from "./ActorRef.ts"
import type { Answer, Answered } from "./Continuation.ts"
import type * as Protocol from "./Protocol.ts"

/** Names an answer that is owed. Data: it may be part of the state, and of what an ask is `about`. */
export type ReplyToken = string

/** The messages of `P` that carry how the ask `N` of `Q` ended. */
type ContinuationName<P extends Protocol.Any, Q extends Protocol.Any, N extends Protocol.AskName<Q>> = {
  [M in Protocol.OwnName<P>]: Protocol.Payload<P, M> extends Answered<unknown, infer S, infer E>
    ? Answer<Protocol.Success<Q, N>, Protocol.Failure<Q, N>> extends Answer<S, E>
      ? M
      : never
    : never
}[Protocol.OwnName<P>]

/** What is given along with an ask, and comes back with its answer. */
type About<P extends Protocol.Any, M extends keyof P["messages"]> =
  Protocol.Payload<P, M> extends Answered<infer A, unknown, unknown> ? A : never

export interface PersistentContext<in out P extends Protocol.Any> extends Omit<ActorContext<P>, "become"> {
  /**
   * Asks, and gets the answer as a message `then` of its own protocol (see `Continuation`), with `about`.
   * It comes once, also where nobody answers: `Refused`, at the latest when the timeout is over. In a
   * durable actor the ask is sent when the step is stored, and outlives the memory of both sides.
   */
  askToSelf<Q extends Protocol.Any, N extends Protocol.AskName<Q>, M extends ContinuationName<P, Q, N>>(
    to: ActorRef<Q>,
    name: N,
    payload: Protocol.Payload<Q, N>,
    then: M,
    about: About<P, M>,
    options?: { readonly timeout?: Duration.Input },
  ): void
  /**
   * Gives an answer that was postponed. It leaves when this step is stored. Whether somebody still waits
   * for it; if not, nothing happens.
   */
  answer<N extends Protocol.AskName<P>>(
    token: ReplyToken,
    name: N,
    answer: Result.Result<Protocol.Success<P, N>, Protocol.Failure<P, N>>,
  ): boolean
  /** When this step ends: deletes what is stored, tells watchers, and stops. The next message begins anew. */
  forget(): void
}

/** The same while a message is handled. */
export interface PersistentMessageContext<in out P extends Protocol.Any, in out N extends keyof P["messages"]>
  extends
    PersistentContext<P>,
    Pick<MessageContext<P, N>, "sender" | "forwardedBy" | "id" | "metadata" | "reply" | "forward" | "stash"> {
  /** Takes the answer of this ask over, to give it by `answer` after this message. */
  postpone(): ReplyToken
}
