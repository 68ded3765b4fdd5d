/**
 * The gateway of one identity, sans I/O: the core of a hub for what happens on its sockets, and what other
 * objects call it for.
 */
import type { Address, Envelope } from "@signal-hub/actor-core"
import { failAsk } from "../hub/AskEnds.ts"
import { HubCore } from "../hub/HubCore.ts"
import { errorEnvelope } from "../protocol/HubEnvelope.ts"
import { provisionalAddress } from "../protocol/HubMessage.ts"
import type { GatewayHost } from "./GatewayHost.ts"
import { take } from "./Incoming.ts"
import { Outside } from "./Outside.ts"
import type { Batch, Outcome } from "./Rpc.ts"

/** Whether there is a row that somebody counts on. */
const IS_HELD = `SELECT EXISTS (SELECT 1 FROM identity) OR EXISTS (SELECT 1 FROM session) OR EXISTS (SELECT 1 FROM subscription)
  OR EXISTS (SELECT 1 FROM registration) OR EXISTS (SELECT 1 FROM watch) OR EXISTS (SELECT 1 FROM ask)
  OR EXISTS (SELECT 1 FROM notice) AS held`

export class GatewayCore {
  /** What sockets and the alarm are for. */
  readonly hub: HubCore
  readonly #outside: Outside
  readonly #host: GatewayHost

  /** `armedAt`: for when the alarm is armed already, epoch milliseconds. */
  constructor(host: GatewayHost, armedAt: number | null) {
    this.#host = host
    let outside: Outside | undefined
    this.hub = new HubCore(host, armedAt, (state) => (outside = new Outside(state, host)))
    this.#outside = outside!
  }

  /** Whether there is nothing here to be remembered. */
  get isEmpty(): boolean {
    return this.#host.sql.all<{ held: number }>(IS_HELD)[0]!.held === 0
  }

  deliver(batch: Batch): ReadonlyArray<Outcome> {
    return take(this.hub.state, this.#outside, batch, this.#host.now())
  }

  /** Asks for who has no address; `done` is told the answer once, be it a failure. */
  request(asked: Envelope.Envelope, timeout: number, done: (answer: Envelope.Envelope) => void): void {
    const { state } = this.hub
    const now = this.#host.now()
    const from = provisionalAddress(crypto.randomUUID())
    const envelope: Envelope.Envelope = { ...asked, from, pattern: "ask", correlationId: null }
    const end = (answer: Envelope.Envelope): void => {
      detach()
      cancel()
      done(answer)
    }
    const detach = this.#outside.outbound.attend(from, end)
    const cancel = this.#host.later(timeout, () => {
      const message = `${asked.to} did not answer within ${timeout} ms`
      end(errorEnvelope(null, from, "timeout", message, this.#host.now(), asked.id))
    })
    const target = state.resolve(asked.to, now)
    const ask = state.asks.open(from, from, asked.id, asked.to, target?.id ?? asked.to, timeout, false, now)
    state.askTimer.watch(ask)
    if (target === undefined) this.#outside.outbound.ask(envelope, this.#host.identity, timeout, now)
    else if (!state.deliver(target, envelope, now)) {
      failAsk(state, ask, "actor_terminated", asked.to, now, `${asked.to} has lost its connection`)
    }
  }

  watch(target: Address.Address, watcher: Address.Address): boolean {
    const { registry, watches } = this.hub.state
    const isThere = registry.holder(target, this.#host.now()) !== undefined
    if (isThere) watches.addWatcher(target, watcher)
    return isThere
  }

  unwatch(target: Address.Address, watcher: Address.Address): void {
    this.hub.state.watches.removeWatcher(target, watcher)
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
