/**
 * The other objects of a deployment, as the core of a hub or a gateway sees them: envelopes leave by
 * `Outbound`; watches and what others must surely hear, by calls in a line for each address. What only
 * gateways have beside that is in `GatewayPeers`.
 */
import type { Address, Envelope } from "@signal-hub/actor-core"
import type { Ask } from "../features/Asks.ts"
import { type Peers, isRemote } from "./Peers.ts"
import type { HubState } from "../HubState.ts"
import type { LifecycleEvent } from "../LifecycleEvents.ts"
import type { Incoming } from "../Incoming.ts"
import { hubEnvelope } from "../../protocol/HubEnvelope.ts"
import { likeThat } from "../Outboxes.ts"
import type { PeersPort } from "./PeersPort.ts"
import { Lanes } from "../../delivery/Lanes.ts"
import { peerHandlers } from "./PeerRequests.ts"
import { Notices, type Notice, type Released } from "../../delivery/Notices.ts"
import { Outbound } from "./Outbound.ts"
import { type Coming, Pending, whenAll } from "../../delivery/Pending.ts"
import type { Place } from "../../delivery/Place.ts"
import { type ArgsOf, CallFailed, isFailed, type MethodOf, type ResultOf } from "../../delivery/Rpc.ts"
import { shardOf } from "../../delivery/Shards.ts"
import { Watermarks } from "../../delivery/Watermarks.ts"

/** A method of one address, called in its turn. */
interface Control {
  readonly method: MethodOf<"address">
  readonly args: ArgsOf<"address", MethodOf<"address">>
}

/** The peers of a hub: gateways, durable actors and other hubs, called by RPC. */
export class HubPeers<Port extends PeersPort = PeersPort> implements Peers {
  readonly identity: Peers["identity"]
  readonly handlers: Peers["handlers"]
  readonly port: Port
  readonly place: Place
  readonly outbound: Outbound
  readonly watermarks: Watermarks
  /** Of each watch that is asked for elsewhere: the last request for it. */
  readonly watching = new Map<string, Incoming>()
  protected readonly hub: HubState
  protected readonly notices: Notices
  /** What lines of calls have in common. */
  protected readonly bounds: {
    readonly defer: Port["defer"]
    readonly maxItems: number
    readonly maxWaitingBytes: number
    readonly maxWaiting: number
    readonly maxCalls: number
  }
  readonly #control: Lanes<Control, unknown>
  #caused: Array<Coming<unknown>> | undefined

  constructor(hub: HubState, port: Port, place: Place) {
    this.hub = hub
    this.port = port
    this.identity = port.identity
    this.place = place
    this.handlers = peerHandlers(this)
    this.outbound = new Outbound(hub, port, place)
    this.watermarks = new Watermarks(port.sql, port.now)
    const noticesPort = {
      ...port,
      announce: (task: () => void) => hub.announce(task),
      atLatest: (at: number) => hub.alarm.atLatest(at),
      idle: () => hub.on.rearm(),
    }
    this.notices = new Notices(noticesPort, (notice, done) => this.deliverNotice(notice, done))
    this.bounds = {
      defer: port.defer,
      maxItems: 256,
      maxWaiting: port.limits.maxSubscriptionsPerSession + port.limits.maxLane,
      maxWaitingBytes: port.limits.maxOutboxBytes,
      maxCalls: Number.POSITIVE_INFINITY,
    }
    hub.lifecycle.subscribe((event) => this.onLifecycle(event))
    this.#control = new Lanes({
      ...this.bounds,
      maxItems: 1,
      call: (address, [one], done) =>
        port.call("address", address, one!.method, one!.args, true, (result) =>
          done(result instanceof CallFailed ? result : [result]),
        ),
    })
  }

  /** Runs the work, and gives what it caused elsewhere. */
  during<A>(work: () => A): { readonly result: A; readonly caused: ReadonlyArray<Coming<unknown>> } {
    const before = this.#caused
    const caused: Array<Coming<unknown>> = []
    this.#caused = caused
    try {
      return { result: work(), caused }
    } finally {
      this.#caused = before
    }
  }

  leads(address: Address.Address): boolean {
    return this.place.leads(address)
  }

  mayHold(address: Address.Address): boolean {
    return this.place.mayHold(address)
  }

  isFound(address: Address.Address): boolean {
    return this.place.isFound(address)
  }

  send(envelope: Envelope.Envelope, now: number, at?: Address.Address): void {
    this.outbound.send(envelope, now, at)
  }

  ask(envelope: Envelope.Envelope, timeout: number, now: number): void {
    const home = this.place.homeOf(envelope.from as Address.Address)
    this.outbound.ask(envelope, { home, timeout }, now)
  }

  forward(ask: Ask, envelope: Envelope.Envelope, now: number): void {
    const { asked, asker, askerSession, id, target: holder } = ask
    const timeout = Math.max(0, ask.deadline - now)
    const isCaller = this.outbound.attends(askerSession)
    if (isCaller || !isRemote(askerSession)) {
      this.hub.asks.forward(ask, envelope.to, envelope.to)
      // Who waits for a call's end has no address that leads here; who was asked has.
      const home = this.place.homeOf(isCaller ? holder : asker)
      return this.outbound.ask(envelope, { home, timeout, asked }, now, holder)
    }
    this.hub.asks.close(ask)
    const moved = hubEnvelope("hub:forwarded", asker, { actorAddress: envelope.to }, now, id)
    this.outbound.send(likeThat(moved, envelope), now, askerSession)
    this.outbound.ask(envelope, { home: askerSession, timeout, asked }, now, holder)
  }

  recover(): void {
    this.outbound.sure.retry(this.port.now())
  }

  forget(): void {
    this.outbound.sure.numbers.forget()
    this.watermarks.forgetAll()
  }

  /** Does what an event leads to at peers. Topics and registrations of a hub are its own: no peer hears of them. */
  protected onLifecycle(event: LifecycleEvent): void {
    if (event.type === "terminated") {
      const { watcher, address, reason } = event
      const payload = { actorAddress: address, reason }
      this.notify(watcher, hubEnvelope("hub:terminated", watcher, payload, this.port.now()))
    } else if (event.type === "resumed") {
      const { home, address } = event
      this.notify(home, hubEnvelope("hub:resume", home, { actorAddress: address }, this.port.now()))
    } else if (event.type === "released") {
      const { address, targets } = event
      const remote = targets.filter((target) => this.place.leads(target))
      this.release(address, [], remote)
    }
  }

  /** Delivers the envelope to the object at the address, reliably. Part of a transaction. */
  notify(at: Address.Address, envelope: Envelope.Envelope): void {
    this.cause(this.notices.put({ do: "deliver", at, envelope }))
  }

  /** Ends watches at peers of a session that goes on. */
  unwatch(watcher: Address.Address, targets: ReadonlyArray<Address.Address>): void {
    for (const target of targets) {
      if (!this.place.leads(target)) continue
      this.hub.announce(() =>
        whenAll(this.#unwatch(watcher, target), (told) => {
          if (told.some(isFailed)) this.release(watcher, [], [target])
        }),
      )
    }
  }

  settle(): void {
    this.outbound.sure.write()
    this.watermarks.write()
  }

  alarm(now: number): void {
    this.notices.retry()
    this.outbound.sure.retry(now)
    this.watermarks.forget(now)
  }

  dueAt(): number | undefined {
    const due = [this.notices.dueAt(), this.outbound.sure.dueAt(), this.watermarks.dueAt()]
    const at = Math.min(...due.map((one) => one ?? Number.POSITIVE_INFINITY))
    return at === Number.POSITIVE_INFINITY ? undefined : at
  }

  /** Calls the object of an address, after what it was called for before. May be repeated. */
  control<M extends MethodOf<"address">>(
    address: Address.Address,
    method: M,
    args: ArgsOf<"address", M>,
  ): Pending<ResultOf<"address", M> | CallFailed> {
    const control = { method, args } as Control
    return this.push(this.#control, address, control) as Pending<ResultOf<"address", M> | CallFailed>
  }

  /** Watches an address, or no more, where the directory has it. */
  watches(
    method: "watch" | "unwatch",
    target: Address.Address,
    watcher: Address.Address,
  ): Pending<boolean | void | CallFailed> {
    const pending = new Pending<boolean | void | CallFailed>()
    this.port.call("directory", shardOf(target), method, [target, watcher], true, (result) =>
      pending.settle(result),
    )
    return pending
  }

  protected push<Item, Result>(
    lanes: Lanes<Item, Result>,
    target: string,
    item: Item,
  ): Pending<Result | CallFailed> {
    const pending = new Pending<Result | CallFailed>()
    lanes.push(target, item, (result) => pending.settle(result))
    return pending
  }

  protected cause(pending: Coming<unknown>): void {
    this.#caused?.push(pending)
  }

  /** Ends subscriptions and watches at peers, of a session that may be over, reliably. Part of a transaction. */
  release(
    address: Address.Address,
    topics: ReadonlyArray<string>,
    targets: ReadonlyArray<Address.Address>,
  ): void {
    if (topics.length + targets.length === 0) return
    this.cause(this.notices.put({ do: "released", address, topics, targets }))
  }

  /** Makes the calls that end subscriptions and watches. */
  protected releasing({ address, targets }: Released): ReadonlyArray<Coming<unknown>> {
    // Watched again meanwhile: there is nothing to take away.
    const watched = new Set(this.hub.watches.targetsOf(address))
    return targets
      .filter((target) => !watched.has(target))
      .flatMap((target) => this.#unwatch(address, target))
  }

  /** Tells whoever has the target, by its name or by the directory. */
  #unwatch(watcher: Address.Address, target: Address.Address): ReadonlyArray<Coming<unknown>> {
    const own = this.control(target, "unwatch", [target, watcher])
    return this.port.isIdentity(target) ? [own, this.watches("unwatch", target, watcher)] : [own]
  }

  /** Carries a notice, and says whether it was heard. */
  protected deliverNotice(notice: Notice, done: (heard: boolean) => void): void {
    if (notice.do === "released") {
      return whenAll(this.releasing(notice), (results) => done(!results.some(isFailed)))
    }
    if (notice.do === "ended") return done(true)
    const { envelope, at } = notice
    const home = this.place.homeOf(envelope.from as Address.Address)
    const batch = { caller: { home, claims: null }, deliveries: [{ envelope }] }
    this.control(at, "deliver", [batch]).whenDone((outcomes) => {
      const isLost = outcomes instanceof CallFailed
      if (isLost) this.hub.log("warn", "notice_failed", { to: at, reason: outcomes.message })
      done(!isLost)
    })
  }
}
