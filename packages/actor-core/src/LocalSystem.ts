/**
 * An actor system whose actors stay in this process: the same as `ActorSystem.make` without transports, for
 * who counts bytes. Nothing that encodes is part of it, no schema library either.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Scheduler from "effect/Scheduler"
import type * as Scope from "effect/Scope"
import type { ActorCell } from "./ActorCell.ts"
import type { SpawnOptions } from "./ActorContext.ts"
import type { ActorMetrics } from "./ActorMetrics.ts"
import type { MakeTracing } from "./ActorTracing.ts"
import { type AddressInUse, ShutdownTimeout } from "./ActorError.ts"
import { ActorSystem } from "./ActorSystem.ts"
import * as Behavior from "./Behavior.ts"
import { DeadLetterOffice } from "./DeadLetters.ts"
import { watch } from "./DeathWatch.ts"
import { type Dispatcher, MicrotaskDispatcher } from "./Dispatcher.ts"
import { stopAndWait } from "./Ending.ts"
import { Events } from "./EventStream.ts"
import { type Family, members } from "./Family.ts"
import { CLOSED } from "./Outbound.ts"
import type * as Protocol from "./Protocol.ts"
import { cellOf, Reference } from "./Reference.ts"
import { Runtime } from "./Runtime.ts"
import type { Terminated } from "./Signal.ts"
import * as Supervision from "./Supervision.ts"
import * as TimeLimit from "./TimeLimit.ts"

/** How long an ask waits unless told otherwise. */
export const DEFAULT_ASK_TIMEOUT: Duration.Duration = Duration.millis(TimeLimit.DEFAULT_ASK_TIMEOUT_MS)
/** How long actors have to stop unless told otherwise. */
export const DEFAULT_SHUTDOWN_TIMEOUT: Duration.Duration = Duration.seconds(10)

export interface LocalOptions {
  /** For logs. Default: `actors`. */
  readonly name?: string
  /**
   * How long an ask waits unless told otherwise. Default: 30 s. At most 24 hours, for which `Infinity` stands. Below 0
   * or `NaN` the system dies of an `InvalidTimeLimit` as it is made.
   */
  readonly askTimeout?: Duration.Input
  /** How long actors have to stop at the end of the scope. Default: 10 s. Judged as `askTimeout` is. */
  readonly shutdownTimeout?: Duration.Input
  /** How many dead letters are kept. Default: 1,000. */
  readonly deadLetters?: number
  /** When actors run. Default: in microtasks. For tests that decide about it. */
  readonly dispatcher?: Dispatcher
  /** Measures, with `ActorMetrics.make()`. Default: nothing is measured. */
  readonly metrics?: ActorMetrics
  /** `ActorTracing.whenPresent` traces where a tracer is provided. Default here: nothing is traced. */
  readonly tracing?: MakeTracing
}

/**
 * An actor system of this process alone, until the scope closes. As a layer it is
 * `Layer.effect(ActorSystem.ActorSystem, LocalSystem.make())`: who has no use for layers does not load them.
 */
export const make = (options: LocalOptions = {}): Effect.Effect<ActorSystem, never, Scope.Scope> =>
  Effect.gen(function* () {
    const runtime = yield* makeRuntime(options)
    yield* endWithScope(runtime, options)
    return runtime.system
  })

/** The runtime of a system, without a way to other processes. */
export const makeRuntime = (options: LocalOptions) =>
  Effect.gen(function* () {
    const askTimeout = TimeLimit.read(options.askTimeout ?? DEFAULT_ASK_TIMEOUT, "askTimeout")
    if (typeof askTimeout !== "number") return yield* Effect.die(askTimeout)
    const shutdownTimeout = TimeLimit.read(options.shutdownTimeout ?? Infinity, "shutdownTimeout")
    if (typeof shutdownTimeout !== "number") return yield* Effect.die(shutdownTimeout)
    const clock = yield* Clock.Clock
    const scheduler = yield* Scheduler.Scheduler
    const context = yield* Effect.context<never>()
    const runtime = new Runtime({
      name: options.name ?? "actors",
      deadLetters: new DeadLetterOffice(options.deadLetters),
      events: new Events(),
      clock,
      dispatcher: options.dispatcher ?? new MicrotaskDispatcher(scheduler),
      context,
      metrics: options.metrics ?? null,
      tracing: options.tracing?.(context, clock) ?? null,
      askTimeout,
    })
    runtime.system = makeSystem(runtime)
    if (options.metrics !== undefined) yield* options.metrics.observe(runtime)
    return runtime
  })

/** Shuts the system down when the scope closes. */
export const endWithScope = ({ system }: Runtime, { shutdownTimeout }: LocalOptions) =>
  Effect.addFinalizer(() =>
    Effect.catchCause(system.shutdown(shutdownTimeout), (cause) =>
      Effect.logError("the actor system did not stop as it should", cause).pipe(
        Effect.annotateLogs({ system: system.name }),
      ),
    ),
  )

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
      yield* Effect.onError(runtime.register(cell), () => stopAndWait(cell))
    }
    return new Reference(runtime, behavior.protocol, cell, null, null)
  })
  const stop: ActorSystem["stop"] = (actor) =>
    Effect.suspend(() => {
      const cell = cellOf(runtime, actor)
      return cell === undefined ? Effect.void : stopAndWait(cell)
    })

  return {
    name: runtime.name,
    deadLetters: runtime.deadLetters,
    events: runtime.events,
    spawn,
    serve: (protocol, address, handlers, { acceptForwards = false, ...register } = {}) =>
      Effect.acquireRelease(
        spawn(Behavior.make(protocol, handlers), {
          address,
          register,
          acceptForwards,
          supervision: Supervision.resume,
        }),
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
    if (runtime.over) return Effect.void
    const limit = TimeLimit.read(timeout, "timeout")
    if (typeof limit !== "number") return Effect.die(limit)
    runtime.closed = true
    runtime.border?.asks.endAll(CLOSED)
    const all = Effect.forEach(members(runtime.root), stopAndWait, {
      concurrency: "unbounded",
      discard: true,
    })
    return Effect.timeoutOption(all, timeout).pipe(
      Effect.flatMap((inTime) =>
        Option.isSome(inTime) ? Effect.void : Effect.fail(tooLate(runtime, timeout)),
      ),
      Effect.ensuring(Effect.sync(() => runtime.close())),
    )
  })

const tooLate = (runtime: Runtime, timeout: Duration.Input): ShutdownTimeout => {
  const actors = left(runtime.root).map(({ address }) => address)
  const millis = Duration.toMillis(timeout)
  return new ShutdownTimeout({
    actors,
    message: `these actors did not stop within ${millis} ms: ${actors.join(", ")}`,
  })
}

/** The actors that keep others from stopping: those that have no children left. */
const left = (root: Family<ActorCell>): ReadonlyArray<ActorCell> => {
  const childless: Array<ActorCell> = []
  const families: Array<Family<ActorCell>> = [root]
  for (let family = families.pop(); family !== undefined; family = families.pop()) {
    for (const cell of members(family)) {
      if (cell.first === null) childless.push(cell)
      else families.push(cell)
    }
  }
  return childless
}
