/** What cores of hubs and gateways that call other objects need, beside what every hub needs. */
import type { Address } from "@signal-hub/actor-core"
import type { HubHost } from "../hub/HubHost.ts"
import type { Remote } from "./Rpc.ts"

export interface NeighborsHost extends HubHost, Remote {
  /** Whether the address may be an identity of a gateway, or one that such an identity holds. */
  readonly isIdentity: (address: Address.Address) => boolean
  /** Runs the task once the event under way was taken whole, before anything else; then flushes. */
  readonly defer: (task: () => void) => void
}

export interface GatewayHost extends NeighborsHost {
  /** The identity that this gateway serves. */
  readonly identity: Address.Address
}
