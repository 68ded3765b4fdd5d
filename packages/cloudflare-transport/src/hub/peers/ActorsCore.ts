/**
 * The core of an object with clients that other objects call, sans I/O: that of a hub for what happens on
 * its sockets, and what others call it for.
 */
import { type Address, Envelope } from "@signal-hub/actor-core/vocabulary"
import { failAsk } from "../features/AskEnds.ts"
import { HubCore } from "../HubCore.ts"
import type { HubState } from "../HubState.ts"
import { errorEnvelope } from "../../protocol/HubEnvelope.ts"
import { provisionalAddress } from "../../protocol/HubMessage.ts"
import type { PeersPort } from "./PeersPort.ts"
import { take } from "./RemoteDeliveries.ts"
import type { HubPeers } from "./HubPeers.ts"
import type { Batch, Outcome } from "../../delivery/Rpc.ts"

/** Tables whose rows somebody counts on. */
const HELD = [
  "identity",
  "session",
  "outbox",
  "subscription",
  "registration",
  "watch",
  "ask",
  "notice",
  "sending",
].map((table) => `SELECT 1 FROM ${table} LIMIT 1`)

/** A hub core and its peers: it takes frames and the alarm by `hub`, and the RPC of other objects by its methods. */
export class ActorsCore {
  /** What sockets and the alarm are for. */
  readonly hub: HubCore
  readonly #peers: HubPeers
  readonly #port: PeersPort

  constructor(port: PeersPort, around: (hub: HubState) => HubPeers) {
    this.#port = port
    let peers: HubPeers | undefined
    this.hub = new HubCore(port, (state) => (peers = around(state)))
    this.#peers = peers!
  }

  /** Whether there is nothing here to be remembered. */
  get isEmpty(): boolean {
    if (!this.hub.state.sessions.isEmpty) return false
    return HELD.every((query) => this.#port.sql.all(query).length === 0)
  }

  deliver(batch: Batch): ReadonlyArray<Outcome> {
    return take(this.hub.state, this.#peers, batch, this.#port.now())
  }

  /** Asks for who has no address; `done` is told the answer once, be it a failure. */
  request(asked: Envelope.Envelope, timeout: number, done: (answer: Envelope.Envelope) => void): void {
    const { state } = this.hub
    const { outbound, place } = this.#peers
    const { to } = asked
    const now = this.#port.now()
    const from = provisionalAddress(crypto.randomUUID())
    const envelope = Envelope.check({ ...asked, from, pattern: "ask", correlationId: null })
    if (envelope instanceof Envelope.Malformed) {
      return done(errorEnvelope(null, from, "invalid_message", envelope.reason, now, asked.id))
    }
    const end = (answer: Envelope.Envelope): void => {
      detach()
      cancel()
      done(answer)
    }
    const detach = outbound.attend(from, end)
    const cancel = this.#port.later(timeout, () => {
      const message = `${to} did not answer within ${timeout} ms`
      end(errorEnvelope(null, from, "timeout", message, this.#port.now(), asked.id))
    })
    const target = state.resolve(to, now)
    const ask = state.asks.open(
      {
        asker: from,
        askerSession: from,
        id: asked.id,
        asked: to,
        type: asked.type,
        target: to,
        targetSession: target?.id ?? to,
        timeout,
        reliable: false,
      },
      now,
    )
    state.askTimer.watch(ask)
    if (target !== undefined) {
      if (!state.deliver(target, envelope, now)) {
        failAsk(state, ask, "actor_terminated", to, now, `${to} has lost its connection`)
      }
      return
    }
    // Who has it may be elsewhere: the answer comes back here by the address that this object is found by.
    const home = place.homeOf(to)
    if (place.leads(to) && place.isHome(home)) outbound.ask(envelope, { home, timeout }, now)
    else failAsk(state, ask, "unknown_actor", to, now)
  }

  watch(target: Address.Address, watcher: Address.Address): boolean {
    const { registry, watches } = this.hub.state
    const isThere = registry.holder(target, this.#port.now()) !== undefined
    if (isThere) watches.addWatcher(target, watcher)
    return isThere
  }

  unwatch(target: Address.Address, watcher: Address.Address): void {
    this.hub.state.watches.removeWatcher(target, watcher)
  }
}
