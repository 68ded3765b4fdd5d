/** Watching an actor elsewhere: its end is heard once, even where it came while there was no connection. */
import { TransportError, type Address } from "@signal-hub/actor-core/vocabulary"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Terminated, Watching } from "../protocol/HubMessage.ts"
import type { RequestError } from "./ClientError.ts"
import type { Core } from "./Core.ts"

/** A watch on an actor. */
export interface ActorWatch {
  /** Whether somebody was there when the watch began. */
  readonly registered: boolean
  /** The actor's end: at once, with the reason `unregistered`, where nobody was there. */
  readonly terminated: Effect.Effect<Terminated, TransportError>
}

/** A watch that is held, for the Promise API. */
export interface Watch extends AsyncDisposable {
  /** Whether somebody was there when it began. */
  readonly registered: boolean
  /** The actor's end; rejects `closed` where the client or the watch ends first. */
  readonly terminated: Promise<Terminated>
  readonly unwatch: () => Promise<void>
}

/** Watches until the scope closes; again on each new connection. */
export const watchActor = (
  core: Core,
  address: Address.Address,
): Effect.Effect<ActorWatch, RequestError, Scope.Scope> =>
  Effect.gen(function* () {
    const end = Deferred.makeUnsafe<Terminated, TransportError>()
    const fail = (message: string): void =>
      void Deferred.doneUnsafe(end, Effect.fail(new TransportError({ reason: "closed", message })))
    const stops = [
      core.channel.inbox.events.on((event) => {
        if (event.type === "hub:terminated" && event.payload.actorAddress === address) {
          Deferred.doneUnsafe(end, Effect.succeed(event.payload))
        }
      }),
      core.channel.ended.on(() => fail("the client ended before the actor")),
    ]
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        for (const stop of stops) stop()
        fail("the watch was let go before the actor ended")
      }),
    )
    const { registered } = yield* core.hold<Watching>("hub:watch", { actorAddress: address })
    return { registered, terminated: Deferred.await(end) }
  })
