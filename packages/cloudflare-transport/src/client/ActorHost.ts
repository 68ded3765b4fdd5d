/**
 * The actor system of a connected hub, for the Promise API. Loaded when the first actor is served or
 * asked, as most of what it needs is needed by nothing else.
 */
import {
  ActorStream,
  ActorSystem,
  type Address,
  type Handlers,
  type NoOthers,
  type Protocol,
} from "@signal-hub/actor-core"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { Core } from "./Core.ts"
import { makeHubTransport } from "./HubTransport.ts"
import type { ServeOptions, StreamOptions } from "./Actors.ts"

/** An actor system over a core. */
export interface ActorHost {
  readonly system: ActorSystem.ActorSystem
  /** Asks for a stream, with the first `next`. */
  readonly stream: <P extends Protocol.Any, N extends Protocol.StreamName<P>>(
    protocol: P,
    address: Address.Address,
    name: N,
    payload: Protocol.Payload<P, N>,
    options: StreamOptions | undefined,
  ) => AsyncIterableIterator<Protocol.Success<P, N>>
  /** Resolves when what was last sent to the address has left. */
  readonly left: (address: Address.Address) => Promise<void> | undefined
  /** Serves until the result is called. */
  readonly serve: <P extends Protocol.Any, H extends Handlers<P>>(
    protocol: P,
    handlers: H & NoOthers<P, H>,
    address: Address.Address,
    options: ServeOptions | undefined,
  ) => Promise<() => Promise<void>>
}

/** Makes the system; it ends with the scope. */
export const makeActorHost = async (core: Core, scope: Scope.Scope): Promise<ActorHost> => {
  const system = await Effect.runPromise(
    Scope.provide(
      ActorSystem.make({
        name: "hub",
        askTimeout: core.askTimeout,
        transport: makeHubTransport(core),
      }),
      scope,
    ),
  )
  return {
    system,
    stream: (protocol, address, name, payload, options) =>
      ActorStream.iterate(system.ref(protocol, address), name, payload, options),
    left: (address) => {
      const waiting = core.channel.sender.waitingFor(address)
      if (waiting === undefined) return undefined
      // Another may wait for the same message.
      const { left } = waiting
      return new Promise((resolve) => {
        waiting.left = () => {
          left?.()
          resolve()
        }
      })
    },
    serve: async (protocol, handlers, address, options) => {
      const own = Scope.forkUnsafe(scope)
      const stop = (): Promise<void> => Effect.runPromise(Scope.close(own, Exit.void))
      try {
        const { address: _, ...how } = options ?? {}
        const serving = Scope.provide(system.serve(protocol, address, handlers, how), own)
        // `Handlers<P>` have effects that need no services, which `ServicesOf` cannot see through `H`.
        await Effect.runPromise(serving as Effect.Effect<unknown, Effect.Error<typeof serving>>)
      } catch (error) {
        await stop()
        throw error
      }
      return stop
    },
  }
}
