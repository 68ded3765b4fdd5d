/** Where an object with clients is among the others: which addresses are its own, and which may lead away. */
import type { Address } from "@signal-hub/actor-core"
import type { RoutingTable } from "./RoutingTable.ts"

export interface Place {
  /** What leads others to this object, for who sends here from the address. */
  readonly homeOf: (address: Address.Address) => Address.Address
  /** Whether that leads here. */
  readonly isHome: (home: Address.Address) => boolean
  /** Whether an address that nobody here has may be elsewhere. */
  readonly leads: (address: Address.Address) => boolean
  /** Whether a client here may have the address. */
  readonly mayHold: (address: Address.Address) => boolean
  /** Whether others find back to an address that a client here has. */
  readonly isFound: (address: Address.Address) => boolean
}

/** A gateway is found by its identity, whatever addresses that has; who else has them, a directory knows. */
export const gatewayPlace = (identity: Address.Address): Place => ({
  homeOf: () => identity,
  isHome: (home) => home === identity,
  leads: () => true,
  // Who has what the routes of the table have, its own requests and the Worker say.
  mayHold: () => true,
  isFound: () => true,
})

/** A hub has many clients: each is found by its own address, where the table leads from that to the hub. */
export const hubPlace = <Env>(table: RoutingTable<Env>, hub: string): Place => {
  const isOwn = (address: Address.Address): boolean => table.isOfHub(hub, address)
  return {
    homeOf: (address) => address,
    isHome: isOwn,
    leads: (address) => !isOwn(address),
    mayHold: isOwn,
    isFound: (address) => table.leadsToHub(hub, address),
  }
}
