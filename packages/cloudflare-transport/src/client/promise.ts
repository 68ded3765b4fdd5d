/** The client as promises: `await using hub = await connect(url)`. The same core as the Effect API. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { makeCore } from "./Core.ts"
import { Hub } from "./Hub.ts"
import type { ClientOptions } from "./Options.ts"

export interface ConnectOptions extends Omit<ClientOptions, "url"> {
  /** Go on trying where the first attempt fails. `false` by default: `connect` rejects then. */
  readonly waitOnFirstConnect?: boolean
  /** Gives up connecting; no effect once connected. */
  readonly signal?: AbortSignal
}

/**
 * Connects to a hub; resolves when the hub has accepted. Rejects `ConnectFailed` where an option
 * breaks its rule, before there is a socket, where the first attempt fails (unless `waitOnFirstConnect`), or no retry will help, and with the reason where it is aborted.
 */
export const connect = async (url: string | URL, options: ConnectOptions = {}): Promise<Hub> => {
  const scope = Scope.makeUnsafe()
  try {
    const hub = Effect.flatMap(makeCore({ ...options, url }), (core) =>
      Effect.as(core.connection.ready(options.waitOnFirstConnect !== true), new Hub(core, scope)),
    )
    return await Effect.runPromise(Scope.provide(hub, scope), options.signal && { signal: options.signal })
  } catch (error) {
    await Effect.runPromise(Scope.close(scope, Exit.void))
    throw options.signal?.aborted === true ? options.signal.reason : error
  }
}
