/**
 * Actor systems: the actors of one process, and through transports those of others, by address.
 *
 * An address is looked for in this system first, then through its transports in their order: the first
 * that is for the address takes the message; where it knows at once that nobody is there, the next does.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import * as Scheduler from "effect/Scheduler"
import type * as Scope from "effect/Scope"
import type { ActorCell, Family } from "./ActorCell.ts"
import type { SpawnOptions } from "./ActorContext.ts"
import { AddressInUse, ShutdownTimeout } from "./ActorError.ts"
import type { ActorRef } from "./ActorRef.ts"
import type { Address } from "./Address.ts"
import * as Behavior from "./Behavior.ts"
import { DeadLetterOffice, type DeadLetters } from "./DeadLetters.ts"
import { watch } from "./DeathWatch.ts"
import { type Dispatcher, MicrotaskDispatcher } from "./Dispatcher.ts"
import { Events, type EventStream } from "./EventStream.ts"
import type { AnyHandlers, NoOthers, ServicesOf } from "./Handlers.ts"
import { CLOSED, finiteMillis } from "./Outbound.ts"
import type * as Protocol from "./Protocol.ts"
import { cellOf, Reference } from "./Reference.ts"
import { Runtime } from "./Runtime.ts"
import type { Terminated } from "./Signal.ts"
import * as Supervision from "./Supervision.ts"
import type { RegisterOptions, Transport, TransportError } from "./Transport.ts"

export { AddressInUse } from "./ActorError.ts"

/** How long an ask waits unless told otherwise. */
export const DEFAULT_ASK_TIMEOUT: Duration.Duration = Duration.seconds(30)
/** How long actors have to stop unless told otherwise. */
export const DEFAULT_SHUTDOWN_TIMEOUT: Duration.Duration = Duration.seconds(10)

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
    behavior: Behavior.Behavior<P, R>,
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
    options?: RegisterOptions,
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
   * does the same with the system's `shutdownTimeout`, and logs them.
   */
  readonly shutdown: (timeout?: Duration.Input) => Effect.Effect<void, ShutdownTimeout>
}

/** The actor system as a service. */
export const ActorSystem: Context.Service<ActorSystem, ActorSystem> = Context.Service<ActorSystem>(
  "@signal-hub/actor-core/ActorSystem",
)

export interface Options {
  /** For logs. Default: `actors`. */
  readonly name?: string
  /** The way to other processes. Without one, every address that is not served here is unknown. */
  readonly transport?: Transport
  /** Several ways, in the order in which they are tried; after `transport` where both are given. */
  readonly transports?: ReadonlyArray<Transport>
  /** Default: 30 s. */
  readonly askTimeout?: Duration.Input
  /** How long actors have to stop at the end of the scope. Default: 10 s. */
  readonly shutdownTimeout?: Duration.Input
  /** How many dead letters are kept. Default: 1,000. */
  readonly deadLetters?: number
  /** When actors run. Default: in microtasks. For tests that decide about it. */
  readonly dispatcher?: Dispatcher
}

/** An actor system, until the scope closes: then its actors stop and its open asks fail. */
export const make = Effect.fnUntraced(function* (options: Options = {}) {
  const clock = yield* Clock.Clock
  const scheduler = yield* Scheduler.Scheduler
  const transports = [
    ...(options.transport === undefined ? [] : [options.transport]),
    ...(options.transports ?? []),
  ]
  const runtime = new Runtime({
    name: options.name ?? "actors",
    deadLetters: new DeadLetterOffice(options.deadLetters),
    events: new Events(),
    clock,
    dispatcher: options.dispatcher ?? new MicrotaskDispatcher(scheduler),
    context: yield* Effect.context<never>(),
    idPrefix: `${base36(clock.currentTimeMillisUnsafe())}${base36(yield* Random.nextInt)}`,
    askTimeout: finiteMillis(options.askTimeout ?? DEFAULT_ASK_TIMEOUT),
  })
  const system = makeSystem(runtime)
  runtime.system = system
  if (transports.length > 0) {
    const { Border } = yield* Effect.promise(() => import("./Border.ts"))
    runtime.border = new Border(runtime, transports)
    yield* runtime.border.open
  }
  yield* Effect.addFinalizer(() =>
    system
      .shutdown(options.shutdownTimeout)
      .pipe(
        Effect.catchTag("ShutdownTimeout", ({ message }) =>
          Effect.logWarning(message).pipe(Effect.annotateLogs({ system: system.name })),
        ),
      ),
  )
  return system
})

/** `make` as a layer. */
export const layer = (options?: Options): Layer.Layer<ActorSystem> => Layer.effect(ActorSystem, make(options))

const makeSystem = (runtime: Runtime): ActorSystem => {
  const spawn: ActorSystem["spawn"] = Effect.fnUntraced(function* <P extends Protocol.Any, R>(
    behavior: Behavior.Behavior<P, R>,
    options: SpawnOptions = {},
  ) {
    const services = yield* Effect.context<R>()
    const cell = yield* Effect.try({
      try: () => runtime.spawn(null, behavior, options, services),
      catch: (error) => error as AddressInUse,
    })
    if (options.register !== undefined && options.register !== false) {
      yield* Effect.onError(runtime.register(cell), () => cell.stopAndWait)
    }
    return new Reference(runtime, behavior.protocol, cell, null, null)
  })
  const stop: ActorSystem["stop"] = (actor) =>
    Effect.suspend(() => cellOf(runtime, actor)?.stopAndWait ?? Effect.void)

  return {
    name: runtime.name,
    deadLetters: runtime.deadLetters,
    events: runtime.events,
    spawn,
    serve: (protocol, address, handlers, register = {}) =>
      Effect.acquireRelease(
        spawn(Behavior.make(protocol, handlers), { address, register, supervision: Supervision.resume }),
        stop,
        { interruptible: true },
      ),
    ref: (protocol, address) => new Reference(runtime, protocol, null, address, null),
    stop,
    watch: (actor) =>
      Effect.callback<Terminated>((resume) => {
        const { address } = actor
        return Effect.sync(watch(runtime, actor, (reason) => resume(Effect.succeed({ address, reason }))))
      }),
    shutdown: (timeout = DEFAULT_SHUTDOWN_TIMEOUT) => shutdown(runtime, timeout),
  }
}

const shutdown = (runtime: Runtime, timeout: Duration.Input): Effect.Effect<void, ShutdownTimeout> =>
  Effect.suspend(() => {
    runtime.closed = true
    runtime.border?.asks.endAll(CLOSED)
    const all = Effect.forEach([...members(runtime.root)], (cell) => cell.stopAndWait, {
      concurrency: "unbounded",
      discard: true,
    })
    return Effect.timeoutOption(all, timeout)
  }).pipe(
    Effect.flatMap((inTime) => {
      if (Option.isSome(inTime)) return Effect.void
      const actors = [...left(runtime.root)].map(({ address }) => address)
      const message = `these actors did not stop within ${Duration.format(Duration.fromInputUnsafe(timeout))}: ${actors.join(", ")}`
      return Effect.fail(new ShutdownTimeout({ actors, message }))
    }),
    Effect.ensuring(Effect.sync(() => runtime.close())),
  )

function* members(family: Family): Generator<ActorCell> {
  for (let cell = family.first; cell !== null; cell = cell.following) yield cell
}

/** The actors that keep others from stopping: those that have no children left. */
function* left(family: Family): Generator<ActorCell> {
  for (const cell of members(family)) {
    if (cell.first === null) yield cell
    else yield* left(cell)
  }
}

const base36 = (number: number): string => Math.abs(number).toString(36)
