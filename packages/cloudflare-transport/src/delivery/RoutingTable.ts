/**
 * Where addresses lead: by their first segment, to what the deployment says in code, and to nothing else.
 * What the table does not name is the identity of a client, served by the gateway of that name; seen from a
 * hub, it is an actor of that hub.
 */
import { Address, type Forwarding } from "@signal-hub/actor-core"
import { isReserved } from "../protocol/HubMessage.ts"
import type { ActorRpc, Caller, Served } from "./Rpc.ts"

/** Names of bindings of `Env` that answer to `ActorRpc`. */
type Namespaces<Env> = {
  [K in keyof Env]: Env[K] extends DurableObjectNamespace<infer T>
    ? T extends Pick<Served<ActorRpc>, "deliver">
      ? K
      : never
    : never
}[keyof Env]
type Services<Env> = {
  [K in keyof Env]: Env[K] extends { readonly deliver: (...args: never) => unknown } ? K : never
}[keyof Env]

/** A message as a function of the table gets it. */
export interface RoutedMessage {
  /** Who sends: verified. Of an ask that was forwarded, who asked. */
  readonly from: Address.Address
  /**
   * Who forwarded the ask, and chose its payload: `from` did not. `null`: it comes as it was sent.
   */
  readonly forwardedBy: Address.Address | null
  readonly to: Address.Address
  readonly type: string
  readonly payload: unknown
  readonly isAsk: boolean
  readonly metadata: { readonly [key: string]: unknown }
}

/** What it gives is the answer to an ask. What it throws is the asker's as `actor:error`, without its text. */
export type RouteFunction<Env> = (message: RoutedMessage, caller: Caller, env: Env) => unknown

/** A function that runs in the sender's object. */
export interface FunctionRoute<Env> {
  readonly run: RouteFunction<Env>
  /**
   * Whether it takes asks that clients forward: all, or those by some addresses. Default: none; who asked hears
   * `forbidden`.
   */
  readonly acceptForwards?: Forwarding.AcceptForwards
}

export type Route<Env> =
  /** Durable Objects, one for each address: its name is what follows the first segment. */
  | { readonly namespace: Namespaces<Env> }
  /** A Worker that serves all addresses of the type. */
  | { readonly service: Services<Env> }
  | FunctionRoute<Env>
  /** Clients of the hub of this name, or of the one that the function names for an address. */
  | { readonly hub: string | ((address: Address.Address) => string) }

/** Routes by the first segment of an address. */
export interface Routes<Env> {
  readonly [type: string]: Route<Env>
}

/** Which addresses a deployment has. The same declaration serves its hubs and its gateways. */
export interface Addresses<Env> {
  /** Where addresses lead, by their first segment. */
  readonly routes?: Routes<Env>
  /**
   * The only first segments that identities of gateways have. Absent: all that are no routes, as far as
   * gateways are concerned; no hub reaches a gateway then.
   */
  readonly identities?: ReadonlyArray<string>
}

/** Where an address leads. */
export type Destination<Env> =
  | { readonly kind: "gateway" }
  | { readonly kind: "namespace"; readonly binding: string; readonly name: string }
  | { readonly kind: "service"; readonly binding: string }
  | ({ readonly kind: "function" } & FunctionRoute<Env>)
  | { readonly kind: "hub"; readonly name: string }
  | { readonly kind: "nowhere" }

const NOWHERE = { kind: "nowhere" } as const
const GATEWAY = { kind: "gateway" } as const

export class RoutingTable<Env> {
  /** A map, as an object has names that nobody gave it. */
  readonly #routes: ReadonlyMap<string, Route<Env>>
  readonly #identities: ReadonlySet<string> | undefined

  constructor({ identities, routes = {} }: Addresses<Env> = {}) {
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
    const type = typeOf(address)
    const route = this.#routes.get(type)
    if (route === undefined) {
      return this.#identities === undefined || this.#identities.has(type) ? GATEWAY : NOWHERE
    }
    if ("run" in route) return { kind: "function", ...route }
    if ("service" in route) return { kind: "service", binding: String(route.service) }
    if ("hub" in route) return hubNamed(typeof route.hub === "string" ? route.hub : route.hub(address))
    const name = address.slice(type.length + 3, -1)
    return { kind: "namespace", binding: String(route.namespace), name }
  }

  /** Whether the address may be an identity of a gateway. */
  isIdentity(address: string): boolean {
    return this.destination(address).kind === "gateway"
  }

  /** Whether the table says where the address leads: to this hub. */
  leadsToHub(hub: string, address: string): boolean {
    const destination = this.destination(address)
    return destination.kind === "hub" && destination.name === hub
  }

  /** Whether the address is one of this hub's own: the table says so, or says nothing of it. */
  isOfHub(hub: string, address: Address.Address): boolean {
    const type = typeOf(address)
    const isNamed = this.#routes.has(type) || this.#identities?.has(type) === true
    return !isNamed || this.leadsToHub(hub, address)
  }
}

const typeOf = (address: Address.Address): string => address.slice(2, address.indexOf("/"))

const HUB_NAME = /^[A-Za-z0-9_-]{1,64}$/

/** A name that no hub can have leads nowhere. */
const hubNamed = (name: string): typeof NOWHERE | { readonly kind: "hub"; readonly name: string } =>
  HUB_NAME.test(name) ? { kind: "hub", name } : NOWHERE
