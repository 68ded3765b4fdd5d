/** What is measured of gateways: a server with an object for each client, and actors behind it. */
import type { Payload } from "./Subject.ts"

/** A client, connected to its own gateway. What fails, rejects. */
export interface Asker extends AsyncDisposable {
  /** Asks the actor, which changes nothing by it. */
  readonly echo: (payload: Payload) => Promise<unknown>
  /** Asks the actor, which stores something by it. */
  readonly add: (amount: number) => Promise<unknown>
  /** Asks the gateway itself. */
  readonly ping: () => Promise<unknown>
}

interface GatewayServer extends AsyncDisposable {
  readonly pid: number
  /** Resolves once it is served. */
  readonly connect: (identity: string, actor: string) => Promise<Asker>
  /** Evicts the gateway of a client, or an actor. */
  readonly evict: (what: "gateway" | "actor", name: string) => Promise<void>
}

export interface GatewaySubject {
  readonly name: string
  readonly start: () => Promise<GatewayServer>
}
