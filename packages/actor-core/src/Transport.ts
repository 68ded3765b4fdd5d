/**
 * The port between an actor system and whatever carries its messages to other processes.
 *
 * A transport moves envelopes and makes local addresses reachable; it knows nothing of behaviors.
 * `ActorSystem` knows nothing of sockets. What every transport must do is tried by the suite
 * `TransportConformance` of the test kit.
 */
import type * as Effect from "effect/Effect"
import * as Data from "effect/Data"
import type * as Scope from "effect/Scope"
import type { Address } from "./Address.ts"
import type { Envelope } from "./Envelope.ts"

/** Why a transport did not take what it was given. */
export class TransportError extends Data.TaggedError("TransportError")<{
  /**
   * `closed` for good; `queue_full` for now; `refused` by the other side; `too_large` for any frame;
   * `undeliverable`: it was taken, and no connection survived it.
   */
  readonly reason: "closed" | "queue_full" | "refused" | "too_large" | "undeliverable"
  /** The other side's error code, where it refused. */
  readonly code?: string | undefined
  readonly message: string
}> {}

export interface RegisterOptions {
  /** Tags for discovery. */
  readonly capabilities?: ReadonlyArray<string>
  readonly metadata?: { readonly [key: string]: unknown }
}

/** What a transport knows of an actor elsewhere that is watched. */
export interface RemoteWatch {
  /** Whether somebody was there when the watch began. */
  readonly registered: boolean
  /** Ends, once, when the actor does; fails where the transport ends first. */
  readonly terminated: Effect.Effect<{ readonly reason: string }, TransportError>
}

/**
 * Takes an envelope. `false`: no actor is at its address yet, and the transport keeps it. Where nobody took it
 * in time, the transport hands it over a last time with `isUnclaimed`: it is a dead letter.
 */
export type Receiver = (envelope: Envelope, isUnclaimed?: boolean) => boolean | void

export interface Transport {
  /**
   * Whether it is for this address. A system asks its transports in their order and sends through the
   * first that says so, and through the next where that one answers `unknown_actor` at once. Default: it
   * is for every address.
   */
  readonly reaches?: (address: Address) => boolean
  /**
   * Whether an answer arrives only from the actor that holds the ask, and whether `metadata.answeredFor` and
   * `metadata.forwardedBy` are the server's word. Without it, answers from any other address than the asked
   * one are left out.
   */
  readonly guardsAnswers?: boolean
  /**
   * Takes an envelope for an actor elsewhere, in order, as it is now, or says why it does not. Plain and
   * synchronous: what is sent in one turn may leave in one frame. With a `seq` it is reliable; the number is
   * the transport's to give. Once it is closed for good, it and the
   * others fail `closed` at once.
   */
  readonly send: (envelope: Envelope) => TransportError | undefined
  /** Hands over what arrives, in order, until the scope closes. One receiver at a time. */
  readonly receive: (receiver: Receiver) => Effect.Effect<void, never, Scope.Scope>
  /**
   * An actor begins at this address; without an address, at any of several. Present where the transport keeps
   * an envelope that its receiver did not take: it hands over the address's again, in order, before it returns.
   * Absent: nothing is kept, and the receiver takes all.
   */
  readonly served?: (address?: Address) => void
  /** Makes a local address reachable from elsewhere until the scope closes. */
  readonly register: (
    address: Address,
    options?: RegisterOptions,
  ) => Effect.Effect<void, TransportError, Scope.Scope>
  /** Watches an actor elsewhere until the scope closes. Absent: it can't. */
  readonly watch?: (address: Address) => Effect.Effect<RemoteWatch, TransportError, Scope.Scope>
}
