/** The gateway of one identity, sans I/O: what other gateways and the directory ask it, beside all else. */
import type { Address } from "@signal-hub/actor-core"
import { ActorsCore } from "../hub/peers/ActorsCore.ts"
import type { GatewayPort } from "../hub/peers/PeersPort.ts"
import { GatewayPeers } from "./GatewayPeers.ts"

/** The core of a gateway: a hub of one identity, with topics and the directory as remote services. */
export class GatewayCore extends ActorsCore {
  readonly #port: GatewayPort

  constructor(port: GatewayPort) {
    super(port, (hub) => new GatewayPeers(hub, port))
    this.#port = port
  }

  hasSession(): boolean {
    return this.hub.state.sessions.byIdentity(this.#port.identity) !== undefined
  }

  leases(addresses: ReadonlyArray<Address.Address>): ReadonlyArray<number | null> {
    const { registry, sessions } = this.hub.state
    const now = this.#port.now()
    return addresses.map((address) => {
      const registration = registry.get(address)
      const session = registration === undefined ? undefined : sessions.byId(registration.sessionId)
      if (registration === undefined || session === undefined) return null
      const until = registry.expiresAt(registration, session, now)
      return until > now ? until : null
    })
  }
}
