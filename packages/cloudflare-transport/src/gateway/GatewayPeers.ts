/**
 * What is beside a gateway, as its core sees it: its peers, and topics and the directory by lanes of
 * their own. Notes what a request causes elsewhere, so that its answer can wait for it.
 */
import type { Address } from "@signal-hub/actor-core"
import type { Peers } from "../hub/peers/Peers.ts"
import type { HubState } from "../hub/HubState.ts"
import type { LifecycleEvent } from "../hub/LifecycleEvents.ts"
import { memberOf } from "../hub/features/TopicRequests.ts"
import type { TerminatedReason } from "../protocol/HubMessage.ts"
import type { Session } from "../session/Session.ts"
import type { GatewayPort } from "../hub/peers/PeersPort.ts"
import { gatewayHandlers } from "./GatewayRequests.ts"
import { Lanes } from "../delivery/Lanes.ts"
import { HubPeers } from "../hub/peers/HubPeers.ts"
import type { Notice, Released } from "../delivery/Notices.ts"
import type { Coming, Pending } from "../delivery/Pending.ts"
import { gatewayPlace } from "../delivery/Place.ts"
import { CallFailed, type DirectoryOp, isFailed, type TopicOp, type TopicResult } from "../delivery/Rpc.ts"
import { shardOf } from "../delivery/Shards.ts"

/** How often a topic is told of a lost connection, and how many milliseconds later each time. */
const MAX_ATTEMPTS = 5
const RETRY_DELAY_MS = 2_000
/** Milliseconds after which topics are told of a lost connection: of a client that is back sooner none is. */
const LOSS_NOTICE_DELAY_MS = 500

/** The peers of a gateway: those of a hub, and topics and the directory, each called in a lane of its own. */
export class GatewayPeers extends HubPeers<GatewayPort> {
  override readonly handlers: Peers["handlers"]
  readonly #topics: Lanes<TopicOp, TopicResult>
  readonly #directory: Lanes<DirectoryOp, void>
  /** Topics that don't know yet of a lost connection. */
  readonly #losses = new Set<string>()
  /** The address that was claimed just now. */
  #claiming: Address.Address | undefined

  constructor(hub: HubState, port: GatewayPort) {
    super(hub, port, gatewayPlace(port.identity))
    this.#topics = new Lanes({
      ...this.bounds,
      call: (topic, ops, done) => {
        const isSafe = ops.every((op) => op.do !== "publish")
        port.call("topic", topic, "apply", [ops], isSafe, done)
      },
    })
    this.#directory = new Lanes({
      ...this.bounds,
      call: (shard, ops, done) =>
        port.call("directory", shard, "apply", [ops], true, (result) =>
          done(result instanceof CallFailed ? result : ops.map(() => undefined)),
        ),
    })
    this.handlers = gatewayHandlers(this)
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

  protected override onLifecycle(event: LifecycleEvent): void {
    switch (event.type) {
      case "claimed":
        return this.#claimed(event.identity)
      case "registered":
        return this.#registered(event)
      case "unregistered":
        return this.removeEntry(event.address, event.reason)
      case "released":
        return this.release(event.address, event.topics, event.targets)
      case "joined":
        return this.#joined(event.topic, event.session)
      case "left":
        return this.#left(event.topic, event.owner)
      case "connection_changed":
        return this.#connectionChanged(event.topic, event.owner, event.isConnected)
      default:
        return super.onLifecycle(event)
    }
  }

  #claimed(identity: Address.Address): void {
    const identified: DirectoryOp = { do: "identified", address: identity }
    this.hub.announce(() => void this.push(this.#directory, shardOf(identity), identified))
  }

  #registered({ registration, session, now }: Extract<LifecycleEvent, { type: "registered" }>): void {
    // Who claims it from the directory has told it all.
    if (registration.address === this.#claiming) return
    const entry = this.hub.registry.entryOf(registration, session, now)
    const put: DirectoryOp = { do: "put", entry, holder: this.port.identity }
    this.hub.announce(() => this.cause(this.push(this.#directory, shardOf(entry.address), put)))
  }

  /** Has the directory forget the address, reliably. Part of a transaction. */
  removeEntry(address: Address.Address, reason: TerminatedReason): void {
    this.cause(this.notices.put({ do: "ended", address, reason }))
  }

  #joined(topic: string, session: Session): void {
    const owner = this.port.identity
    const subscription = this.hub.topics.get(topic).get(owner)
    if (subscription === undefined) return
    const { isConnected, metadata } = memberOf(this.hub, session, owner)
    const member = { owner, presence: subscription.presence, metadata, isConnected }
    this.cause(this.topic(topic, { do: "join", member }))
  }

  #left(topic: string, owner: Address.Address): void {
    const left = this.topic(topic, { do: "leave", owner })
    this.cause(left)
    left.whenDone((result) => {
      if (isFailed(result)) this.release(owner, [topic], [])
    })
  }

  #connectionChanged(topic: string, owner: Address.Address, isConnected: boolean): void {
    const op = { do: "connection", owner, isConnected } as const
    const isLossUntold = this.#losses.delete(topic)
    if (isConnected) {
      if (!isLossUntold) this.#tellConnection(topic, op, MAX_ATTEMPTS)
      return
    }
    this.#losses.add(topic)
    this.port.later(LOSS_NOTICE_DELAY_MS, () => {
      if (this.#losses.delete(topic)) this.#tellConnection(topic, op, MAX_ATTEMPTS)
    })
  }

  /** A topic that can't be told is told again, unless it has changed by then. */
  #tellConnection(topic: string, op: Extract<TopicOp, { do: "connection" }>, attempts: number): void {
    this.topic(topic, op).whenDone((result) => {
      if (!isFailed(result) || attempts === 1) return
      this.port.later(RETRY_DELAY_MS, () => {
        const subscribed = this.hub.topics.get(topic).get(op.owner)
        const session = subscribed && this.hub.owner(op.owner)
        if (session === undefined || (session.connectionId !== null) !== op.isConnected) return
        this.#tellConnection(topic, op, attempts - 1)
      })
    })
  }

  /** Puts an operation in the line of a topic. */
  topic(name: string, op: TopicOp): Pending<TopicResult | CallFailed> {
    return this.push(this.#topics, name, op)
  }

  protected override releasing(notice: Released): ReadonlyArray<Coming<unknown>> {
    const { address, topics } = notice
    const left = topics
      // Subscribed again meanwhile: there is nothing to take away.
      .filter((topic) => this.hub.topics.get(topic).get(address) === undefined)
      .map((topic) => this.topic(topic, { do: "leave", owner: address }))
    return [...left, ...super.releasing(notice)]
  }

  protected override deliverNotice(notice: Notice, done: (heard: boolean) => void): void {
    if (notice.do !== "ended") return super.deliverNotice(notice, done)
    const { now, identity } = this.port
    const { address, reason } = notice
    // Registered again meanwhile: there is nothing to take away.
    if (this.hub.registry.holder(address, now()) !== undefined) return done(true)
    const remove: DirectoryOp = { do: "remove", address, holder: identity, reason }
    this.push(this.#directory, shardOf(address), remove).whenDone((removed) =>
      done(!(removed instanceof CallFailed)),
    )
  }
}
