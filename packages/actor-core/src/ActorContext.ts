/**
 * What an actor knows and can do besides what its messages carry. One context for an actor's life, shared
 * by all its messages: what is about a message (`sender`, `id`, `reply` …) holds for the one that is being
 * handled, until its handler ends. The implementation is in `CellContext`.
 */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import type { ActorRef } from "./ActorRef.ts"
import type { ActorSystem } from "./ActorSystem.ts"
import type { Address } from "./Address.ts"
import type { Behavior } from "./Behavior.ts"
import type { Metadata } from "./Envelope.ts"
import type { AcceptForwards } from "./Forwarding.ts"
import type { Answered } from "./Handlers.ts"
import type { Mailbox } from "./Mailbox.ts"
import type * as Protocol from "./Protocol.ts"
import type { Supervision } from "./Supervision.ts"
import type { RegisterOptions } from "./Transport.ts"

export interface SpawnOptions {
  /** Where it is found by others. Default: an address that nobody else has, made when it is asked for. */
  readonly address?: Address
  /**
   * The last segment of its address, in place of `address`: below its parent's, or as `@(local/<name>)`
   * without one.
   */
  readonly name?: string
  /** What becomes of it when it fails. Default: `Supervision.restart()`. */
  readonly supervision?: Supervision
  /** Default: `Mailbox.unbounded`. */
  readonly mailbox?: Mailbox
  /** How many messages it can put aside. Default: 1,000. */
  readonly stash?: number
  /** Makes it reachable from elsewhere, through every transport, until it stops. Default: no. */
  readonly register?: boolean | RegisterOptions
  /**
   * Whether it takes asks that a client forwards to it: all (`true`), or those by the addresses that the
   * function says. The `sender` of such an ask is who asked, but its payload is whatever
   * `context.forwardedBy` made of it. Default: no; who asked hears `forbidden`. What durable actors and
   * other actors of the deployment forward is always taken.
   */
  readonly acceptForwards?: AcceptForwards
}

/** Timers of an actor. Each sends it a message of its own protocol; all end with the actor or its restart. */
export interface Timers<in out P extends Protocol.Any> {
  /** Once, after the delay. A timer of the same key is replaced, and its message never comes any more. */
  readonly once: <N extends Protocol.ToldName<P>>(
    key: string,
    delay: Duration.Input,
    name: N,
    payload: Protocol.Payload<P, N>,
  ) => void
  /**
   * At a fixed rate, first after one interval. Ticks that the actor was too busy for are left out: at
   * most one waits in the mailbox. Throws a `RangeError` for an interval under 1 ms.
   */
  readonly every: <N extends Protocol.ToldName<P>>(
    key: string,
    interval: Duration.Input,
    name: N,
    payload: Protocol.Payload<P, N>,
  ) => void
  /** Whether there was one. Its message never comes any more, not even one that waits already. */
  readonly cancel: (key: string) => boolean
  readonly cancelAll: () => void
  readonly has: (key: string) => boolean
}

export interface ActorContext<in out P extends Protocol.Any> {
  readonly self: ActorRef<P>
  readonly system: ActorSystem
  /** Ends when the actor stops or is restarted: what is acquired in it is released then, once. */
  readonly scope: Scope.Scope
  readonly timers: Timers<P>
  /** A reference that sends in this actor's name, so that it can be answered to: to an address, or as another. */
  ref<Q extends Protocol.Any>(protocol: Q, address: Address): ActorRef<Q>
  ref<Q extends Protocol.Any>(ref: ActorRef<Q>): ActorRef<Q>
  /** Handles all further messages with another behavior, which is made when the current message ends. */
  become(behavior: Behavior<P>): void
  /**
   * Runs a child: it stops before this actor does, and is stopped when this actor is restarted. Throws
   * `AddressInUse`.
   */
  spawn<Q extends Protocol.Any>(behavior: Behavior<Q>, options?: SpawnOptions): ActorRef<Q>
  /**
   * Stops this actor, after the message it is at; or a child, at once. Of an actor that is neither
   * nothing happens.
   */
  stop(child?: { readonly address: Address }): void
  /**
   * Tells this actor by `Signal.terminated`, once, when the other has ended or was never there. A watch
   * ends with the watcher's restart.
   */
  watch(actor: { readonly address: Address }): void
  /** No signal comes after this. */
  unwatch(actor: { readonly address: Address }): void
  /** Gives back what was put aside, oldest first, before all that waits. */
  unstashAll(): void
  /**
   * Signals `Signal.receiveTimeout` whenever no message came for so long; `null`: no more. Throws a `RangeError`
   * under 1 ms.
   */
  setReceiveTimeout(duration: Duration.Input | null): void
  /**
   * Runs it aside and sends this actor a message of how it ended. It is interrupted, and its message does
   * not come, when the actor stops or is restarted.
   */
  pipeToSelf<A, E = unknown>(
    work: Effect.Effect<A, E> | PromiseLike<A>,
    message: (exit: Exit.Exit<A, E>) => Protocol.Told<P>,
  ): void
}

/** The context while a message is handled. */
export interface MessageContext<
  in out P extends Protocol.Any,
  in out N extends keyof P["messages"],
> extends ActorContext<P> {
  /**
   * Who sent it, as far as it can be answered to; `null` for a sender of this process that is no actor. Where
   * `forwardedBy` is not `null`, who sent it did not choose what it says.
   */
  readonly sender: Address | null
  /**
   * The actor of another process that forwarded the message here: name and sender are what they were, the
   * payload is its word. `null` where the message comes as it was sent.
   */
  readonly forwardedBy: Address | null
  /** The message's id. */
  readonly id: string
  readonly metadata: Metadata
  /**
   * Answers the ask that is handled. Once: any other answer, as an answer to a tell, is a dead letter
   * (`late_answer`). What the handler returns after is dropped.
   */
  reply(value: Answered<P, N>): void
  /**
   * Takes the answer over, to give it after the handler has ended. Who asked hears `actor_terminated` if
   * the actor stops or is restarted without.
   */
  replyLater(): Reply<P, N>
  /**
   * Hands the message on as it is, with its sender: who gets it answers in this actor's place. Over a
   * transport the ask keeps its id. Only to an actor that takes such a message.
   */
  forward<Q extends Protocol.Any>(to: N extends keyof Q["messages"] ? ActorRef<Q> : never): void
  /** Puts the message aside, unanswered. Throws `StashFull`. */
  stash(): void
}

/** An answer that is owed. Given once; after the asker gave up it is a dead letter (`late_answer`). */
export interface Reply<in out P extends Protocol.Any, in out N extends keyof P["messages"]> {
  readonly succeed: (value: Answered<P, N>) => void
  readonly fail: (error: Protocol.Failure<P, N>) => void
}
