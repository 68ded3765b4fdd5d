/** The ports of hubs and gateways with other objects beside them. */
import type { Address } from "@signal-hub/actor-core"
import type { AddressPort } from "../../delivery/ServicePort.ts"
import type { HubPort } from "../HubPort.ts"

/** The port of a hub or gateway with other objects beside it. */
export interface PeersPort extends HubPort, AddressPort {}

/** The port of a gateway. */
export interface GatewayPort extends PeersPort {
  /** The identity that this gateway serves. */
  readonly identity: Address.Address
}
