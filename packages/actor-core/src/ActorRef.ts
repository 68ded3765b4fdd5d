/**
 * A reference to an actor, wherever it lives: its address, and the protocol that it is spoken to in.
 *
 * Making one asks nobody and costs nothing; whether somebody is there shows when it is used. How a
 * message gets there is in `Outbound`.
 */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type { NotDelivered } from "./ActorError.ts"
import type { Address } from "./Address.ts"
import type { AskError } from "./AskError.ts"
import type { Metadata } from "./Envelope.ts"
import type * as Protocol from "./Protocol.ts"

export interface TellOptions {
  /** At most 4 KiB as JSON. */
  readonly metadata?: Metadata
  /**
   * Not delivered when it is older. `Infinity`, the default, is no limit. With one below 0 or `NaN` the message is a
   * dead letter (`invalid_message`).
   */
  readonly ttl?: Duration.Input
  /**
   * Whether what carries it to another process sends it again until it is taken there, once and in order, as
   * far as it can. Asks are by themselves, tells are not; inside a process it makes no difference.
   */
  readonly reliable?: boolean
}

export interface AskOptions {
  /** At most 4 KiB as JSON. */
  readonly metadata?: Metadata
  /**
   * How long to wait for the answer; sent along as the message's `ttl`. Default: the system's, 30 s. At most
   * 24 hours, for which `Infinity` stands. Below 0 or `NaN` fails `AskRefused` with code `invalid_message`.
   */
  readonly timeout?: Duration.Input
}

export interface ActorRef<in out P extends Protocol.Any> {
  readonly address: Address
  readonly protocol: P
  /**
   * Sends and forgets: plain and synchronous, in order with what else is sent through references to the
   * actor. Never throws; what can't be delivered is found in the dead letters.
   */
  tell<N extends Protocol.TellName<P>>(name: N, payload: Protocol.Payload<P, N>, options?: TellOptions): void
  /**
   * Tells when it is run, and ends once the message is taken: by the mailbox, where that is bounded with
   * `backpressure` after waiting for room; by the transport, where the actor is elsewhere. Interrupted
   * while it waits, it sends nothing.
   */
  offer<N extends Protocol.TellName<P>>(
    name: N,
    payload: Protocol.Payload<P, N>,
    options?: TellOptions,
  ): Effect.Effect<void, NotDelivered>
  /**
   * Sends when it is run, and ends once: with the answer, with the message's typed error, or with an
   * `AskError`. Interrupted or timed out, it tells the actor, which may stop working on it.
   */
  ask<N extends Protocol.AskName<P>>(
    name: N,
    payload: Protocol.Payload<P, N>,
    options?: AskOptions,
  ): Effect.Effect<Protocol.Success<P, N>, Protocol.Failure<P, N> | AskError>
}
