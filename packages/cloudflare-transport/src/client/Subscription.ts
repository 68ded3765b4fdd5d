/** Subscriptions: as an async iterable, and with a listener. */
import type { Envelope } from "@signal-hub/actor-core/vocabulary"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { Subscribe, Subscribed } from "../protocol/HubMessage.ts"
import type { RequestError } from "./ClientError.ts"
import type { Core } from "./Core.ts"
import { toAsyncIterable } from "./Emitter.ts"

/**
 * A subscription that is held, and its publications from the call on: iterate it once. Leaving the loop
 * unsubscribes. The iteration throws where the hub refuses the subscription, or when its reader falls
 * 10,000 envelopes behind.
 */
export interface Subscription extends AsyncIterableIterator<Envelope.Envelope>, AsyncDisposable {
  /** The hub's answer; rejects where it refuses. */
  readonly ready: Promise<Subscribed>
  readonly unsubscribe: () => Promise<void>
}

/** Subscribes, and listens from this call on. */
export const subscribe = (core: Core, topic: string, options?: Omit<Subscribe, "topic">): Subscription => {
  const scope = Scope.makeUnsafe()
  const source = core.publications(topic)
  let end: (failure: RequestError) => void = () => {}
  const iterator = toAsyncIterable(
    {
      on: source.on,
      onEnd: (listener) => {
        end = listener
        return source.onEnd(listener)
      },
    },
    () => void Effect.runFork(Scope.close(scope, Exit.void)),
  )
  const ready = Effect.runPromise(
    Scope.provide(core.hold<Subscribed>("hub:subscribe", { topic }, options), scope),
  )
  // Who only iterates hears of a refusal there.
  ready.catch((error: RequestError) => end(error))
  const unsubscribe = async (): Promise<void> => {
    await iterator.return?.()
  }
  return Object.assign(iterator, { ready, unsubscribe, [Symbol.asyncDispose]: unsubscribe })
}

/** What may be said of a subscription with a listener. */
export interface ListenOptions extends Omit<Subscribe, "topic"> {
  /** Called where the hub refuses it on a later connection: it is over then. */
  readonly onRefused?: (error: RequestError) => void
}

/** A subscription with a listener, that is held. */
export interface Listening extends Subscribed, AsyncDisposable {
  /** Lets it go. The listener is not called any more. */
  readonly unsubscribe: () => Promise<void>
}

/** Subscribes until the scope closes, and calls with each publication. */
export const listen = (
  core: Core,
  topic: string,
  listener: (publication: Envelope.Envelope) => void,
  { onRefused, ...options }: ListenOptions = {},
): Effect.Effect<Subscribed, RequestError, Scope.Scope> =>
  Effect.suspend(() => {
    const source = core.publications(topic)
    const stops = [source.on(listener)]
    const stop = (): void => stops.forEach((each) => each())
    // Where all has ended already, it hears so at once.
    stops.push(
      source.onEnd((failure) => {
        stop()
        if (failure !== undefined) onRefused?.(failure)
      }),
    )
    return Effect.andThen(
      Effect.addFinalizer(() => Effect.sync(stop)),
      core.hold<Subscribed>("hub:subscribe", { topic }, options),
    )
  })
