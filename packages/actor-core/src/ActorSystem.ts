/**
 * Actor systems: the actors of one process, and through a transport those of others, by address.
 *
 * What is here is what typed tell and ask between processes need. Supervision, bounded mailboxes, death
 * watch, timers and virtual actors have their place beside `ActorCell`, not in here.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Scheduler from "effect/Scheduler"
import type * as Scope from "effect/Scope"
import { ActorCell, type Message } from "./ActorCell.ts"
import type { ActorRef } from "./ActorRef.ts"
import type { Address } from "./Address.ts"
import { DeadLetterOffice, type DeadLetters } from "./DeadLetters.ts"
import { Dispatcher } from "./Dispatcher.ts"
import type { ActorContext, AnyHandlers, NoOthers, ServicesOf } from "./Handlers.ts"
import { receive } from "./Inbound.ts"
import { CLOSED, finiteMillis, makeRef } from "./Outbound.ts"
import * as Protocol from "./Protocol.ts"
import { Runtime, type Served } from "./Runtime.ts"
import type { RegisterOptions, Transport, TransportError } from "./Transport.ts"

/** The address is served by this system already. */
export class AddressInUse extends Data.TaggedError("AddressInUse")<{
  readonly address: Address
  readonly message: string
}> {}

/** How long an ask waits unless told otherwise. */
export const DEFAULT_ASK_TIMEOUT: Duration.Duration = Duration.seconds(30)

export interface ActorSystem {
  /** For logs. */
  readonly name: string
  readonly deadLetters: DeadLetters
  /**
   * Runs an actor at this address until the scope closes, and makes it reachable through the transport.
   * It takes one message at a time, in the order they came. Once closed, who still waits for an answer
   * gets `ActorTerminated`, and an effect under way is interrupted and awaited.
   */
  readonly serve: <P extends Protocol.Any, H extends AnyHandlers<P>>(
    protocol: P,
    address: Address,
    handlers: H & NoOthers<P, H>,
    options?: RegisterOptions,
  ) => Effect.Effect<ActorRef<P>, AddressInUse | TransportError, Scope.Scope | ServicesOf<H>>
  /** A reference to an actor, here or elsewhere. Asks nobody whether it exists. */
  readonly ref: <P extends Protocol.Any>(protocol: P, address: Address) => ActorRef<P>
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
  /** Default: 30 s. */
  readonly askTimeout?: Duration.Input
  /** How many dead letters are kept. Default: 1,000. */
  readonly deadLetters?: number
}

/** An actor system, until the scope closes: then its actors stop and its open asks fail. */
export const make = Effect.fnUntraced(function* (options: Options = {}) {
  const clock = yield* Clock.Clock
  const scheduler = yield* Scheduler.Scheduler
  const context = yield* Effect.context<never>()
  const name = options.name ?? "actors"
  const deadLetters = new DeadLetterOffice(options.deadLetters)
  const runtime = new Runtime({
    transport: options.transport,
    deadLetters,
    clock,
    idPrefix: `${base36(clock.currentTimeMillisUnsafe())}${base36(yield* Random.nextInt)}`,
    askTimeout: finiteMillis(options.askTimeout ?? DEFAULT_ASK_TIMEOUT),
  })
  const dispatcher = new Dispatcher(scheduler)

  const report = (address: Address, message: string, cause: Cause.Cause<unknown>): void => {
    Effect.runForkWith(context)(
      Effect.logError(`actor ${address} failed at "${message}"`, cause).pipe(
        Effect.annotateLogs({ system: name, actor: address }),
      ),
    )
  }

  const install = <P extends Protocol.Any>(
    protocol: P,
    address: Address,
    handlers: AnyHandlers<P>,
    context: Context.Context<never>,
  ): Served => {
    const self = makeRef(runtime, protocol, address, address)
    const ref: ActorContext<P>["ref"] = (protocol, to) => makeRef(runtime, protocol, to, address)
    // Only names of the protocol arrive here, each with its decoded payload.
    const byName = handlers as { readonly [name: string]: (payload: unknown, of: ActorContext<P>) => unknown }
    const handle = ({ id, metadata, name, payload, sender }: Message): unknown =>
      byName[name]!(payload, { self, system, sender, id, metadata, ref })
    const cell = new ActorCell({
      address,
      handle,
      isTyped: (name, thrown) => {
        const message = Protocol.find(protocol, name)
        return message?.pattern === "ask" && Protocol.is(message.error, thrown)
      },
      context,
      clock,
      dispatcher,
      onDead: (reason, message) => runtime.deadMessage(reason, address, message),
      onFailure: (message, cause) => report(address, message, cause),
    })
    const served: Served = { cell, protocol, asks: new Map() }
    runtime.served.set(address, served)
    return served
  }

  const system: ActorSystem = {
    name,
    deadLetters,
    ref: (protocol, address) => makeRef(runtime, protocol, address, null),
    serve: Effect.fnUntraced(function* <P extends Protocol.Any, H extends AnyHandlers<P>>(
      protocol: P,
      address: Address,
      handlers: H & NoOthers<P, H>,
      registration?: RegisterOptions,
    ) {
      const context = yield* Effect.context<ServicesOf<H>>()
      // Installed before it is registered, as messages may come with the registration's answer; stopped
      // before it is unregistered, so that the last answers still come from a known address.
      const served = yield* Effect.acquireRelease(
        Effect.suspend(() =>
          runtime.served.has(address)
            ? Effect.fail(new AddressInUse({ address, message: `${address} is served already` }))
            : Effect.succeed(install(protocol, address, handlers, context)),
        ),
        () => Effect.sync(() => void runtime.served.delete(address)),
      )
      if (runtime.transport !== undefined) yield* runtime.transport.register(address, registration)
      yield* Effect.addFinalizer(() => served.cell.stop)
      return makeRef(runtime, protocol, address, null)
    }),
  }

  if (options.transport !== undefined) {
    yield* options.transport.receive((envelope) => receive(runtime, envelope))
  }
  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => {
      runtime.closed = true
      runtime.asks.endAll(CLOSED)
      return Effect.forEach([...runtime.served.values()], ({ cell }) => cell.stop, {
        concurrency: "unbounded",
        discard: true,
      })
    }).pipe(Effect.ensuring(Effect.sync(() => deadLetters.close()))),
  )
  return system
})

/** `make` as a layer. */
export const layer = (options?: Options): Layer.Layer<ActorSystem> => Layer.effect(ActorSystem, make(options))

const base36 = (number: number): string => Math.abs(number).toString(36)
