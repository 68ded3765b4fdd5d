/** The gateway of one identity, sans I/O: what other gateways and the directory ask it, beside all else. */
import type { Address } from "@signal-hub/actor-core"
import { ActorsCore } from "./ActorsCore.ts"
import type { GatewayHost } from "./GatewayHost.ts"
import { Outside } from "./Outside.ts"

/** Whether there is a row that somebody counts on. */
const IS_HELD = `SELECT EXISTS (SELECT 1 FROM identity) OR EXISTS (SELECT 1 FROM session) OR EXISTS (SELECT 1 FROM outbox)
  OR EXISTS (SELECT 1 FROM subscription) OR EXISTS (SELECT 1 FROM registration) OR EXISTS (SELECT 1 FROM watch)
  OR EXISTS (SELECT 1 FROM ask) OR EXISTS (SELECT 1 FROM notice) OR EXISTS (SELECT 1 FROM sending) AS held`

export class GatewayCore extends ActorsCore {
  readonly #host: GatewayHost

  constructor(host: GatewayHost) {
    super(host, (hub) => new Outside(hub, host))
    this.#host = host
  }

  /** Whether there is nothing here to be remembered. */
  get isEmpty(): boolean {
    return this.#host.sql.all<{ held: number }>(IS_HELD)[0]!.held === 0
  }

  hasSession(): boolean {
    return this.hub.state.sessions.byIdentity(this.#host.identity) !== undefined
  }

  leases(addresses: ReadonlyArray<Address.Address>): ReadonlyArray<number | null> {
    const { registry, sessions } = this.hub.state
    const now = this.#host.now()
    return addresses.map((address) => {
      const registration = registry.get(address)
      const session = registration === undefined ? undefined : sessions.byId(registration.sessionId)
      if (registration === undefined || session === undefined) return null
      const until = registry.expiresAt(registration, session, now)
      return until > now ? until : null
    })
  }
}
