/**
 * Actor systems: the actors of one process, and through transports those of others, by address.
 *
 * An address is looked for in this system first, then through its transports in their order: the first
 * that is for the address takes the message; where it knows at once that nobody is there, the next does.
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { SpawnOptions } from "./ActorContext.ts"
import type { AddressInUse, ShutdownTimeout } from "./ActorError.ts"
import type { ActorRef } from "./ActorRef.ts"
import { whenPresent } from "./ActorTracing.ts"
import type { Address } from "./Address.ts"
import type { Behavior } from "./Behavior.ts"
import { Border } from "./Border.ts"
import type { DeadLetters } from "./DeadLetters.ts"
import type { EventStream } from "./EventStream.ts"
import type { AnyHandlers, NoOthers, ServicesOf } from "./Handlers.ts"
import { endWithScope, type LocalOptions, makeRuntime } from "./LocalSystem.ts"
import type * as Protocol from "./Protocol.ts"
import type { Terminated } from "./Signal.ts"
import type { RegisterOptions, Transport, TransportError } from "./Transport.ts"

export { AddressInUse } from "./ActorError.ts"
export { DEFAULT_ASK_TIMEOUT, DEFAULT_SHUTDOWN_TIMEOUT } from "./LocalSystem.ts"

/** What may be said of an actor that is served. */
export interface ServeOptions extends RegisterOptions, Pick<SpawnOptions, "acceptForwards"> {}

export interface ActorSystem {
  /** For logs. */
  readonly name: string
  readonly deadLetters: DeadLetters
  readonly events: EventStream
  /**
   * Runs an actor until it is stopped, or the system is. Handlers run in the services of the effect that
   * spawns. Fails `AddressInUse` where the address is another's here, and `TransportError` where it is to
   * be registered and can't be.
   */
  readonly spawn: <P extends Protocol.Any, R>(
    behavior: Behavior<P, R>,
    options?: SpawnOptions,
  ) => Effect.Effect<ActorRef<P>, AddressInUse | TransportError, R>
  /**
   * Runs an actor at this address until the scope closes, and makes it reachable through the transports.
   * It takes one message at a time, in the order they came; one that fails leaves it as it was. Once
   * closed, who still waits for an answer gets `ActorTerminated`, and an effect under way is interrupted
   * and awaited. Short for `spawn` with `register` and `Supervision.resume`, and `stop`.
   */
  readonly serve: <P extends Protocol.Any, H extends AnyHandlers<P>>(
    protocol: P,
    address: Address,
    handlers: H & NoOthers<P, H>,
    options?: ServeOptions,
  ) => Effect.Effect<
    ActorRef<P>,
    AddressInUse | TransportError,
    Scope.Scope | Exclude<ServicesOf<H>, Scope.Scope>
  >
  /** A reference to an actor, here or elsewhere. Asks nobody whether it exists. */
  readonly ref: <P extends Protocol.Any>(protocol: P, address: Address) => ActorRef<P>
  /** Stops an actor of this system and waits until it has; nothing where there is none. */
  readonly stop: (actor: { readonly address: Address }) => Effect.Effect<void>
  /** Ends when the actor does, here or elsewhere; at once where nobody is there. */
  readonly watch: (actor: { readonly address: Address }) => Effect.Effect<Terminated>
  /**
   * Ends open asks, stops all actors, children before their parents, and waits; the system is of no more
   * use. Fails with the actors that had not stopped within the time limit. The end of the system's scope
   * does the same with the system's `shutdownTimeout`, and logs them. Dies of an `InvalidTimeLimit` where the time
   * limit is below 0 or `NaN`.
   */
  readonly shutdown: (timeout?: Duration.Input) => Effect.Effect<void, ShutdownTimeout>
}

/** The actor system as a service. */
export const ActorSystem: Context.Service<ActorSystem, ActorSystem> = Context.Service<ActorSystem>(
  "@signal-hub/actor-core/ActorSystem",
)

export interface Options extends LocalOptions {
  /** The way to other processes. Without one, every address that is not served here is unknown. */
  readonly transport?: Transport
  /** Several ways, in the order in which they are tried; after `transport` where both are given. */
  readonly transports?: ReadonlyArray<Transport>
}

/** An actor system, until the scope closes: then its actors stop and its open asks fail. */
export const make = (options: Options = {}): Effect.Effect<ActorSystem, never, Scope.Scope> =>
  Effect.gen(function* () {
    const runtime = yield* makeRuntime({ tracing: whenPresent, ...options })
    const { transport, transports = [] } = options
    const all = transport === undefined ? transports : [transport, ...transports]
    if (all.length > 0) {
      runtime.border = new Border(runtime, all)
      yield* runtime.border.open
    }
    yield* endWithScope(runtime, options)
    return runtime.system
  })

/** `make` as a layer. */
export const layer = (options?: Options): Layer.Layer<ActorSystem> => Layer.effect(ActorSystem, make(options))
