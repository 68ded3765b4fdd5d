/**
 * Where addresses lead: by their first segment, to what the deployment says in code, and to nothing else.
 * What the table does not name is the identity of a client, served by the gateway of that name.
 */
import { Address } from "@signal-hub/actor-core"
import { isReserved } from "../protocol/HubMessage.ts"
import type { ActorRpc, Caller } from "./Rpc.ts"

/** Names of bindings of `Env` that answer to `ActorRpc`. */
type Namespaces<Env> = {
  [K in keyof Env]: Env[K] extends DurableObjectNamespace<infer T>
    ? T extends Pick<ActorRpc, "deliver">
      ? K
      : never
    : never
}[keyof Env]
type Services<Env> = {
  [K in keyof Env]: Env[K] extends { readonly deliver: (...args: never) => unknown } ? K : never
}[keyof Env]

/** A message as a function of the table gets it. */
export interface RoutedMessage {
  /** Who sends: verified. */
  readonly from: Address.Address
  readonly to: Address.Address
  readonly type: string
  readonly payload: unknown
  readonly isAsk: boolean
  readonly metadata: { readonly [key: string]: unknown }
}

/** What it gives is the answer to an ask. What it throws is the asker's as `actor:error`, without its text. */
export type RouteFunction<Env> = (message: RoutedMessage, caller: Caller, env: Env) => unknown

export type Route<Env> =
  /** Durable Objects, one for each address: its name is what follows the first segment. */
  | { readonly namespace: Namespaces<Env> }
  /** A Worker that serves all addresses of the type. */
  | { readonly service: Services<Env> }
  /** A function that runs in the sender's gateway. */
  | { readonly run: RouteFunction<Env> }

/** Routes by the first segment of an address. */
export interface Routes<Env> {
  readonly [type: string]: Route<Env>
}

/** Where an address leads. */
export type Destination<Env> =
  | { readonly kind: "gateway" }
  | { readonly kind: "namespace"; readonly binding: string; readonly name: string }
  | { readonly kind: "service"; readonly binding: string }
  | { readonly kind: "function"; readonly run: RouteFunction<Env> }
  | { readonly kind: "nowhere" }

const NOWHERE = { kind: "nowhere" } as const
const GATEWAY = { kind: "gateway" } as const

export class RoutingTable<Env> {
  /** A map, as an object has names that nobody gave it. */
  readonly #routes: ReadonlyMap<string, Route<Env>>
  readonly #identities: ReadonlySet<string> | undefined

  /** `identities`: the only first segments that identities have; all that are no routes where absent. */
  constructor(routes: Routes<Env> = {}, identities?: ReadonlyArray<string>) {
    for (const type of Object.keys(routes)) {
      if (!Address.isAddress(`@(${type}/x)`) || type.includes("/") || isReserved(`@(${type}/x)`)) {
        throw new Error(`"${type}" is no type of addresses: it must be one segment, and not reserved`)
      }
    }
    this.#routes = new Map(Object.entries(routes))
    this.#identities = identities === undefined ? undefined : new Set(identities)
  }

  destination(address: string): Destination<Env> {
    if (!Address.isAddress(address) || isReserved(address)) return NOWHERE
    const path = address.slice(2, -1)
    const slash = path.indexOf("/")
    const type = path.slice(0, slash)
    const route = this.#routes.get(type)
    if (route === undefined) {
      return this.#identities === undefined || this.#identities.has(type) ? GATEWAY : NOWHERE
    }
    if ("run" in route) return { kind: "function", run: route.run }
    if ("service" in route) return { kind: "service", binding: String(route.service) }
    return { kind: "namespace", binding: String(route.namespace), name: path.slice(slash + 1) }
  }

  /** Whether the address may be an identity. */
  isIdentity(address: string): boolean {
    return this.destination(address).kind === "gateway"
  }
}
