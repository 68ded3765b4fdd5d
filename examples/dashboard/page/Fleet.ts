/**
 * What a dashboard knows of the sensors: who is there, who has gone and why, and what was read of late. Who
 * comes is heard by presence, who ends by death watch, what is measured by a topic.
 */
import type { Address } from "@signal-hub/actor-core"
import type { Hub, TerminatedReason } from "@signal-hub/cloudflare-transport/client"
import * as Schema from "effect/Schema"
import { PRESENT, Reading, READINGS } from "../protocols.ts"

/** Readings that are kept of each. */
const KEPT = 40

export interface Seen {
  readonly state: "here" | TerminatedReason
  readonly readings: ReadonlyArray<number>
}

const isReading = Schema.is(Reading)

export class Fleet {
  readonly sensors: Map<Address.Address, Seen> = new Map()
  readonly #hub: Hub
  readonly #changed: () => void

  /** `changed` is called after each change. */
  constructor(hub: Hub, changed: () => void) {
    this.#hub = hub
    this.#changed = changed
  }

  /** Watches the sensors as long as the client lives. Resolves when those are known that are there. */
  async watch(): Promise<void> {
    const hub = this.#hub
    hub.onEvent((event) => {
      if (event.type !== "hub:presence_diff" || event.payload.topic !== PRESENT) return
      for (const { actorAddress } of event.payload.joined) this.#come(actorAddress)
    })
    await hub.onPublication(READINGS, ({ from, payload }) => this.#read(from, payload))
    await hub.subscribe(PRESENT, { presence: true }).ready
    await this.#catchUp()
    // Who came while there was no connection was not heard of.
    hub.onState(({ status }) => {
      if (status === "connected") void this.#catchUp().catch(() => {})
    })
  }

  /** How many are in each state. */
  count(): ReadonlyMap<Seen["state"], number> {
    const counts = new Map<Seen["state"], number>([["here", 0]])
    for (const { state } of this.sensors.values()) counts.set(state, (counts.get(state) ?? 0) + 1)
    return counts
  }

  async #catchUp(): Promise<void> {
    for (const { actorAddress } of await this.#hub.presence(PRESENT)) this.#come(actorAddress)
  }

  #come(address: Address.Address): void {
    // Dashboards are present too.
    if (!address.startsWith("@(sensor/") || this.sensors.get(address)?.state === "here") return
    this.#set(address, { state: "here", readings: [] })
    void this.#watch(address).catch(() => {})
  }

  /** Waits for its end. Fails where the dashboard ends first. */
  async #watch(address: Address.Address): Promise<void> {
    const watch = await this.#hub.watch(address)
    const { reason } = await watch.terminated
    this.#set(address, { state: reason, readings: this.sensors.get(address)?.readings ?? [] })
  }

  #read(from: string, payload: unknown): void {
    const address = from as Address.Address
    const seen = this.sensors.get(address)
    if (seen === undefined || !isReading(payload)) return
    this.#set(address, { ...seen, readings: [...seen.readings.slice(1 - KEPT), payload] })
  }

  #set(address: Address.Address, seen: Seen): void {
    this.sensors.set(address, seen)
    this.#changed()
  }
}
