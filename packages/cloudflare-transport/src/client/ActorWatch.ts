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
    const stops: Array<() => void> = []
    const done = (exit: Effect.Effect<Terminated, TransportError>): void => {
      for (const stop of stops.splice(0)) stop()
      Deferred.doneUnsafe(end, exit)
    }
    const fail = (message: string, reason: TransportError["reason"] = "closed"): void =>
      done(Effect.fail(new TransportError({ reason, message })))
    const { ended, inbox, refusals } = core.channel
    stops.push(
      inbox.events.on((event) => {
        if (event.type === "hub:terminated" && event.payload.actorAddress === address) {
          done(Effect.succeed(event.payload))
        }
      }),
      refusals.on(({ error, payload, type }) => {
        if (type === "hub:watch" && payload.actorAddress === address) {
          fail(`the hub watches ${address} no more: ${error.message}`, "refused")
        }
      }),
      ended.on(() => fail("the client ended before the actor")),
    )
    yield* Effect.addFinalizer(() => Effect.sync(() => fail("the watch was let go before the actor ended")))
    const { registered } = yield* core.hold<Watching>("hub:watch", { actorAddress: address })
    return { registered, terminated: Deferred.await(end) }
  })
