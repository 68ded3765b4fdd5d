/** What the core of a gateway needs from whoever runs it, beside what every hub needs. */
import type { Address } from "@signal-hub/actor-core"
import type { HubHost } from "../hub/HubHost.ts"
import type { Remote } from "./Rpc.ts"

export interface GatewayHost extends HubHost, Remote {
  /** The identity that this gateway serves. */
  readonly identity: Address.Address
  /** Whether the address may be an identity, or one that an identity holds: no route leads from it. */
  readonly isIdentity: (address: Address.Address) => boolean
  /** Runs the task once the event under way was taken whole, before anything else; then flushes. */
  readonly defer: (task: () => void) => void
}
