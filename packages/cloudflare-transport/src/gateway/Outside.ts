/**
 * What is beside a gateway, as its core sees it: other gateways and actors by `Outbound`, topics and the
 * directory by lanes of their own. Notes what a request causes elsewhere, so that its answer can wait
 * for it.
 */
import type { Address, Envelope } from "@signal-hub/actor-core"
import type { Ask } from "../hub/Asks.ts"
import { isElsewhere, type Elsewhere } from "../hub/Elsewhere.ts"
import type { HubState } from "../hub/HubState.ts"
import type { Registration } from "../hub/Registry.ts"
import { memberOf } from "../hub/TopicRequests.ts"
import { hubEnvelope } from "../protocol/HubEnvelope.ts"
import type { TerminatedReason } from "../protocol/HubMessage.ts"
import type { Session } from "../session/Session.ts"
import type { GatewayHost } from "./GatewayHost.ts"
import { gatewayHandlers } from "./GatewayRequests.ts"
import { Lanes } from "./Lanes.ts"
import { Notices, type Notice } from "./Notices.ts"
import { Outbound } from "./Outbound.ts"
import { type Coming, Pending, whenAll } from "./Pending.ts"
import {
  CallFailed,
  type ArgsOf,
  type DirectoryOp,
  type MethodOf,
  type ResultOf,
  type TopicOp,
  type TopicResult,
} from "./Rpc.ts"
import { shardOf } from "./Shards.ts"

/** A method of one address, called in its turn. */
interface Control {
  readonly method: MethodOf<"address">
  readonly args: ArgsOf<"address", MethodOf<"address">>
}

export class Outside implements Elsewhere {
  readonly handlers: Elsewhere["handlers"]
  readonly host: GatewayHost
  readonly outbound: Outbound
  readonly #hub: HubState
  readonly #notices: Notices
  readonly #topics: Lanes<TopicOp, TopicResult>
  readonly #directory: Lanes<DirectoryOp, void>
  readonly #control: Lanes<Control, unknown>
  /** The address that was claimed just now. */
  #claiming: Address.Address | undefined
  #caused: Array<Coming<unknown>> | undefined

  constructor(hub: HubState, host: GatewayHost) {
    this.#hub = hub
    this.host = host
    this.outbound = new Outbound(hub, host)
    const noticesHost = {
      ...host,
      announce: (task: () => void) => hub.announce(task),
      atLatest: (at: number) => hub.alarm.atLatest(at),
      idle: () => hub.on.rearm(),
    }
    this.#notices = new Notices(noticesHost, (notice, done) => this.#tell(notice, done))
    const bounds = {
      defer: host.defer,
      maxItems: 256,
      maxWaiting: host.limits.maxSubscriptionsPerSession + host.limits.maxLane,
      maxCalls: Number.POSITIVE_INFINITY,
    }
    this.#topics = new Lanes({
      ...bounds,
      call: (topic, ops, done) => {
        const isSafe = ops.every((op) => op.do !== "publish")
        host.call("topic", topic, "apply", [ops], isSafe, done)
      },
    })
    this.#directory = new Lanes({
      ...bounds,
      call: (shard, ops, done) =>
        host.call("directory", shard, "apply", [ops], true, (result) =>
          done(result instanceof CallFailed ? result : ops.map(() => undefined)),
        ),
    })
    this.#control = new Lanes({
      ...bounds,
      maxItems: 1,
      call: (address, [one], done) =>
        host.call("address", address, one!.method, one!.args, true, (result) =>
          done(result instanceof CallFailed ? result : [result]),
        ),
    })
    this.handlers = gatewayHandlers(this)
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

  /** Runs the work that registers an address which the directory has just given to this gateway. */
  claiming<A>(address: Address.Address, work: () => A): A {
    this.#claiming = address
    try {
      return work()
    } finally {
      this.#claiming = undefined
    }
  }

  send(envelope: Envelope.Envelope, now: number, at?: Address.Address): void {
    this.outbound.send(envelope, now, at)
  }

  ask(envelope: Envelope.Envelope, timeout: number, now: number): void {
    this.outbound.ask(envelope, this.host.identity, timeout, now)
  }

  forward(ask: Ask, envelope: Envelope.Envelope, now: number): void {
    const { asker, askerSession, id } = ask
    const timeout = Math.max(0, ask.deadline - now)
    if (!isElsewhere(askerSession)) {
      this.#hub.asks.forward(ask, envelope.to, envelope.to)
      return this.outbound.ask(envelope, this.host.identity, timeout, now)
    }
    this.#hub.asks.close(ask)
    const moved = hubEnvelope("hub:forwarded", asker, { actorAddress: envelope.to }, now, id)
    this.outbound.send(moved, now, askerSession)
    this.outbound.ask(envelope, askerSession, timeout, now)
  }

  claimed(identity: Address.Address): void {
    const identified: DirectoryOp = { do: "identified", address: identity }
    this.#hub.announce(() => void this.#push(this.#directory, shardOf(identity), identified))
  }

  registered(registration: Registration, session: Session, now: number): void {
    // Who claims it from the directory has told it all.
    if (registration.address === this.#claiming) return
    const entry = this.#hub.registry.entryOf(registration, session, now)
    const put: DirectoryOp = { do: "put", entry, holder: this.host.identity }
    this.#hub.announce(() => this.#cause(this.#push(this.#directory, shardOf(entry.address), put)))
  }

  unregistered(address: Address.Address, reason: TerminatedReason): void {
    this.#cause(this.#notices.put({ do: "ended", address, reason }))
  }

  terminated(watcher: Address.Address, address: Address.Address, reason: TerminatedReason): void {
    const payload = { actorAddress: address, reason }
    this.notify(watcher, hubEnvelope("hub:terminated", watcher, payload, this.host.now()))
  }

  resumed(home: Address.Address, actorAddress: Address.Address): void {
    this.notify(home, hubEnvelope("hub:resume", home, { actorAddress }, this.host.now()))
  }

  /** Tells whoever is at the object, surely. Part of a step. */
  notify(at: Address.Address, envelope: Envelope.Envelope): void {
    this.#cause(this.#notices.put({ do: "deliver", at, envelope }))
  }

  unwatched(targets: ReadonlyArray<Address.Address>): void {
    for (const target of targets) {
      whenAll(this.#unwatch(target), (told) => {
        if (told.some(isFailed)) this.released([], [target])
      })
    }
  }

  released(topics: ReadonlyArray<string>, targets: ReadonlyArray<Address.Address>): void {
    if (topics.length + targets.length > 0) {
      this.#cause(this.#notices.put({ do: "released", topics, targets }))
    }
  }

  joined(topic: string, session: Session): void {
    const owner = this.host.identity
    const subscription = this.#hub.topics.get(topic).get(owner)
    if (subscription === undefined) return
    const { metadata } = memberOf(this.#hub, session, owner)
    const member = { owner, presence: subscription.presence, metadata }
    this.#cause(this.topic(topic, { do: "join", member }))
  }

  left(topic: string, owner: Address.Address): void {
    const left = this.topic(topic, { do: "leave", owner })
    this.#cause(left)
    left.whenDone((result) => {
      if (isFailed(result)) this.released([topic], [])
    })
  }

  alarm(now: number): void {
    this.#notices.retry(now)
  }

  dueAt(): number | undefined {
    const never = Number.POSITIVE_INFINITY
    // A hub forgets identities while it serves others. Here there are none.
    const released = this.#hub.sessions.earliestRelease() ?? never
    const at = Math.min(this.#notices.dueAt() ?? never, released + this.host.limits.identityKeptFor)
    return at === never ? undefined : at
  }

  /** Calls the object of an address, after what it was called for before. May be repeated. */
  control<M extends MethodOf<"address">>(
    address: Address.Address,
    method: M,
    args: ArgsOf<"address", M>,
  ): Pending<ResultOf<"address", M> | CallFailed> {
    const control = { method, args } as Control
    return this.#push(this.#control, address, control) as Pending<ResultOf<"address", M> | CallFailed>
  }

  /** Watches an address, or no more, where the directory has it. */
  watches(method: "watch" | "unwatch", target: Address.Address): Pending<boolean | void | CallFailed> {
    const pending = new Pending<boolean | void | CallFailed>()
    this.host.call("directory", shardOf(target), method, [target, this.host.identity], true, (result) =>
      pending.settle(result),
    )
    return pending
  }

  /** Puts an operation in the line of a topic. */
  topic(name: string, op: TopicOp): Pending<TopicResult | CallFailed> {
    return this.#push(this.#topics, name, op)
  }

  #push<Item, Result>(lanes: Lanes<Item, Result>, target: string, item: Item): Pending<Result | CallFailed> {
    const pending = new Pending<Result | CallFailed>()
    lanes.push(target, item, (result) => pending.settle(result))
    return pending
  }

  #cause(pending: Coming<unknown>): void {
    this.#caused?.push(pending)
  }

  /** Whoever has the target, by its name or by the directory. */
  #unwatch(target: Address.Address): ReadonlyArray<Coming<unknown>> {
    const own = this.control(target, "unwatch", [target, this.host.identity])
    return this.host.isIdentity(target) ? [own, this.watches("unwatch", target)] : [own]
  }

  #tell(notice: Notice, done: (heard: boolean) => void): void {
    const { now, identity } = this.host
    if (notice.do === "released") {
      const { topics, watches } = this.#hub
      // Subscribed, or watched, again meanwhile: there is nothing to take away.
      const watched = new Set(watches.targetsOf(identity))
      const told = [
        ...notice.topics
          .filter((topic) => topics.get(topic).get(identity) === undefined)
          .map((topic) => this.topic(topic, { do: "leave", owner: identity })),
        ...notice.targets.filter((target) => !watched.has(target)).flatMap((target) => this.#unwatch(target)),
      ]
      return whenAll<unknown>(told, (results) => done(!results.some(isFailed)))
    }
    if (notice.do === "deliver") {
      const { envelope, at } = notice
      const batch = { caller: { home: identity, claims: null }, deliveries: [{ envelope }] }
      this.control(at, "deliver", [batch]).whenDone((outcomes) => {
        const isLost = outcomes instanceof CallFailed
        if (isLost) this.#hub.log("warn", "notice_failed", { to: at, reason: outcomes.message })
        done(!isLost)
      })
      return
    }
    const { address, reason } = notice
    // Registered again meanwhile: there is nothing to take away.
    if (this.#hub.registry.holder(address, now()) !== undefined) return done(true)
    const remove: DirectoryOp = { do: "remove", address, holder: identity, reason }
    this.#push(this.#directory, shardOf(address), remove).whenDone((removed) =>
      done(!(removed instanceof CallFailed)),
    )
  }
}

const isFailed = (result: unknown): boolean => result instanceof CallFailed
