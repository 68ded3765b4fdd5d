/** Actors in the Promise API: what is typed by their protocol, served here or asked elsewhere. */
import type { ActorStream, Address, AskError, Envelope, Forwarding, Protocol } from "@signal-hub/actor-core"
import * as Effect from "effect/Effect"
import type { RegisterFields } from "./Requests.ts"
import type { ActorHost } from "./ActorHost.ts"

export interface ServeOptions extends Pick<RegisterFields, "capabilities" | "metadata"> {
  /** Where: this client's identity by default. */
  readonly address?: Address.Address
  /**
   * Whether it takes asks that other clients forward to it: all (`true`), or those by the addresses that the
   * function says. Their `sender` is who asked, but their payload is the word of `context.forwardedBy`. None by
   * default: who asked gets `ActorFailed` with code `forbidden`. What durable actors forward is always taken.
   */
  readonly acceptForwards?: Forwarding.AcceptForwards
}

/** An actor that is served here. */
export interface ServedActor extends AsyncDisposable {
  readonly address: Address.Address
  /** Stops it; who still waits for an answer is told. */
  readonly stop: () => Promise<void>
}

/** An actor elsewhere, or here, as its protocol types it. */
export interface ActorHandle<P extends Protocol.Any> {
  readonly address: Address.Address
  /**
   * Sends, in order; resolves when the message has left, as `Hub.tell` does. Never rejects: what is not
   * delivered is nobody's to hear.
   */
  readonly tell: <N extends Protocol.TellName<P>>(
    name: N,
    payload: Protocol.Payload<P, N>,
    options?: {
      readonly metadata?: Envelope.Metadata
      /** Milliseconds after which it must not be delivered. */
      readonly ttl?: number
      /** Whether it is sent again after a lost connection until the hub has it. `false` by default. */
      readonly reliable?: boolean
    },
  ) => Promise<void>
  /** Asks; rejects with the message's typed error or an `AskError`. Aborting cancels it there too. */
  readonly ask: <N extends Protocol.AskName<P>>(
    name: N,
    payload: Protocol.Payload<P, N>,
    options?: {
      readonly metadata?: Envelope.Metadata
      /** Milliseconds, as those of `Hub.ask`; the client's `askTimeout` by default. */
      readonly timeout?: number
      readonly signal?: AbortSignal
    },
  ) => Promise<Protocol.Success<P, N>>
  /**
   * Asks for a stream, with the first `next`: elements to iterate, once. Throws the message's typed error
   * or an `AskError`. Leaving the loop ends it there too; so does aborting, also while an element is
   * waited for.
   */
  readonly stream: <N extends Protocol.StreamName<P>>(
    name: N,
    payload: Protocol.Payload<P, N>,
    options?: StreamOptions,
  ) => AsyncIterableIterator<Protocol.Success<P, N>>
}

/** What may be said of a stream that is asked for. */
export interface StreamOptions extends Omit<ActorStream.Options, "timeout"> {
  /** Milliseconds to wait for each next element; the client's `askTimeout` by default. `Infinity`: it may be quiet. */
  readonly timeout?: number
  readonly signal?: AbortSignal
}

/** How an ask of an `ActorHandle` may reject. */
export type ActorAskError<P extends Protocol.Any, N extends Protocol.AskName<P>> =
  | Protocol.Failure<P, N>
  | AskError.AskError

/** The handle of an actor; `host` is loaded when it is first used. */
export const actorHandle = <P extends Protocol.Any>(
  host: () => Promise<ActorHost>,
  protocol: P,
  address: Address.Address,
): ActorHandle<P> => ({
  address,
  tell: async (name, payload, options) => {
    const { system, left } = await host()
    system.ref(protocol, address).tell(name, payload, options)
    await left(address)
  },
  ask: async (name, payload, { signal, ...options } = {}) => {
    const { system } = await host()
    signal?.throwIfAborted()
    return Effect.runPromise(
      system.ref(protocol, address).ask(name, payload, options),
      signal && { signal },
    ).catch((error: unknown) => {
      throw signal?.aborted === true ? signal.reason : error
    })
  },
  stream: async function* (name, payload, options) {
    yield* (await host()).stream(protocol, address, name, payload, options)
  },
})
