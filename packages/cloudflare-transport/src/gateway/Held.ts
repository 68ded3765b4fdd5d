/**
 * A gateway as the home of the address that it is named by, where that is no identity but an address that
 * another identity holds beside its own: who holds it now, and that its watchers hear when nobody does.
 */
import type { Address } from "@signal-hub/actor-core"
import type { HubState } from "../hub/HubState.ts"
import { hubEnvelope } from "../protocol/HubEnvelope.ts"
import type { TerminatedReason } from "../protocol/HubMessage.ts"
import type { Outside } from "./Outside.ts"
import type { Claimed } from "./Rpc.ts"

interface HeldRow {
  readonly holder: Address.Address
  readonly stamp: number
}

export class Held {
  readonly #hub: HubState
  readonly #outside: Outside

  constructor(hub: HubState, outside: Outside) {
    this.#hub = hub
    this.#outside = outside
  }

  /** The identity that holds the address. */
  holder(address: Address.Address): Address.Address | undefined {
    return this.#row(address)?.holder
  }

  /** The last claim wins; who held it is told, and so are its watchers. `null`: it is an identity. */
  claim(address: Address.Address, holder: Address.Address, now: number): Claimed | null {
    if (this.#hub.sessions.byIdentity(address) !== undefined) return null
    const before = this.#row(address)
    const stamp = Math.max(now, (before?.stamp ?? 0) + 1)
    this.#hub.atomically(() => {
      this.#hub.host.sql.run(
        "INSERT OR REPLACE INTO held (address, holder, stamp) VALUES (?, ?, ?)",
        address,
        holder,
        stamp,
      )
      if (before !== undefined && before.holder !== holder) this.#lost(address, before.holder, now)
    })
    return { version: stamp }
  }

  /** The holder gave it up. One that holds it no more has nothing to give up. */
  release(address: Address.Address, holder: Address.Address, reason: TerminatedReason, now: number): void {
    if (this.#row(address)?.holder !== holder) return
    this.#hub.atomically(() => {
      this.#hub.host.sql.run("DELETE FROM held WHERE address = ?", address)
      this.#hub.terminated(address, reason, now)
    })
  }

  /** The address is an identity now: it moves there, like any address that is claimed. */
  takeBack(address: Address.Address, now: number): void {
    const before = this.#row(address)
    if (before === undefined) return
    this.#hub.host.sql.run("DELETE FROM held WHERE address = ?", address)
    this.#lost(address, before.holder, now)
  }

  #lost(address: Address.Address, holder: Address.Address, now: number): void {
    const payload = { actorAddress: address, reason: "superseded" }
    this.#outside.notify(holder, hubEnvelope("hub:unregistered", holder, payload, now))
    this.#hub.terminated(address, "superseded", now)
  }

  #row(address: Address.Address): HeldRow | undefined {
    return this.#hub.host.sql.all<HeldRow>("SELECT holder, stamp FROM held WHERE address = ?", address)[0]
  }
}
