/**
 * The parts of a hub put together, and the few things that all of them need: finding the session
 * behind an address, delivering to it, arming what is due later. What may be done with them is in
 * `Lifecycle`, `Router` and the requests.
 */
import { type Address, Envelope } from "@signal-hub/actor-core/vocabulary"
import { errorEnvelope, hubEnvelope } from "../protocol/HubEnvelope.ts"
import type { HubErrorCode } from "../protocol/HubError.ts"
import type { TerminatedReason } from "../protocol/HubMessage.ts"
import type { Connection } from "../session/Connection.ts"
import { canGo } from "../session/ConnectionState.ts"
import type { Multicast } from "../session/Multicast.ts"
import { addressOf, type Session, tokenUntil } from "../session/Session.ts"
import { Sessions } from "../session/Sessions.ts"
import { SpentRates } from "../session/SpentRates.ts"
import { Alarm } from "./Alarm.ts"
import { AskTimer } from "./features/AskEnds.ts"
import { Asks } from "./features/Asks.ts"
import { type DeadLetterReason, DeadLetters } from "./DeadLetters.ts"
import { EncodeFailures } from "./EncodeFailures.ts"
import { type Peers, isRemote } from "./peers/Peers.ts"
import type { LogFields, LogLevel } from "../object/Log.ts"
import type { HubPort } from "./HubPort.ts"
import { LifecycleEvents } from "./LifecycleEvents.ts"
import { Metrics } from "./Metrics.ts"
import { PausedSenders } from "./PausedSenders.ts"
import { diffFor, Presence } from "./features/Presence.ts"
import { Registry } from "./features/Registry.ts"
import type { Rejected } from "./Incoming.ts"
import { likeThat, Outboxes } from "./Outboxes.ts"
import { inOrder } from "./ResponseOrder.ts"
import { Sequences } from "./Sequences.ts"
import { Topics } from "./features/Topics.ts"
import { Watches } from "./features/Watches.ts"

/** What the parts notice and the core acts on. */
export interface HubEvents {
  /** What came in while a connection's earlier envelope was worked on can go on. */
  readonly unpark: (connection: Connection) => void
  /** The session's socket is not there any more, and no close was ever told. */
  readonly socketGone: (session: Session, now: number) => void
  /** Far too much waits for the session's client, which is there and does not acknowledge it. */
  readonly unread: (session: Session) => void
  /** What the alarm was armed for may be done. */
  readonly rearm: () => void
  /** The session's token has expired. */
  readonly tokenExpired: (session: Session, now: number) => void
}

/** The parts of a hub, and what several of them need: delivery, address resolution, transactions, notifications. */
export class HubState {
  readonly port: HubPort
  readonly sessions: Sessions
  readonly registry: Registry
  readonly topics: Topics
  readonly presence: Presence
  readonly watches: Watches
  readonly asks: Asks
  readonly askTimer = new AskTimer(this)
  readonly pausedSenders: PausedSenders
  readonly spentRates = new SpentRates()
  readonly alarm: Alarm
  readonly metrics: Metrics
  readonly deadLetters: DeadLetters
  readonly sequences: Sequences
  readonly outboxes: Outboxes
  readonly encodeFailures: EncodeFailures
  readonly on: HubEvents
  readonly lifecycle = new LifecycleEvents()
  /** `undefined`: the hub is all there is. */
  readonly peers: Peers | undefined
  #announcements: Array<() => void> | undefined

  constructor(port: HubPort, on: HubEvents, peers?: (hub: HubState) => Peers) {
    this.port = port
    this.on = on
    this.sessions = new Sessions(port)
    this.registry = new Registry(port.sql, port.limits, this.sessions)
    this.topics = new Topics(port.sql)
    this.presence = new Presence(
      () => void port.later(port.limits.presenceWindow, () => this.#notifyPresence()),
    )
    this.watches = new Watches(port.sql)
    this.asks = new Asks(
      port.sql,
      port.limits.askVolatileFor,
      (id) => this.sessions.byId(id),
      () => this.askTimer.cancel(),
    )
    this.pausedSenders = new PausedSenders(port.sql)
    this.alarm = new Alarm(port, () => this.peers?.dueAt())
    this.metrics = new Metrics(port.now())
    this.deadLetters = new DeadLetters(port.limits.maxDeadLetters)
    this.sequences = new Sequences(port, this.sessions)
    this.encodeFailures = new EncodeFailures(this)
    this.outboxes = new Outboxes(this)
    this.peers = peers?.(this)
  }

  /**
   * Runs the writes of one step together or not at all. What they `announce` (sends, closes, logs) is
   * done once all are written. A step within a step is part of it.
   */
  atomically<A>(writes: () => A): A {
    if (this.#announcements !== undefined) return writes()
    const announcements: Array<() => void> = []
    this.#announcements = announcements
    let result: A
    try {
      result = this.port.sql.transaction(writes)
    } finally {
      this.#announcements = undefined
    }
    for (const announce of announcements) announce()
    return result
  }

  /** Does this once the step under way is written; at once where none is. */
  announce(task: () => void): void {
    if (this.#announcements === undefined) task()
    else this.#announcements.push(task)
  }

  /** The session that is reached at the address: by its identity, or by a live registration. */
  resolve(address: Address.Address, now: number): Session | undefined {
    const { peers, registry, sessions } = this
    const mayBeHere = peers?.identity === undefined || peers.identity === address
    return (mayBeHere ? sessions.byIdentity(address) : undefined) ?? registry.holder(address, now)
  }

  /** What is beside this object, where the address may be there. */
  peersFor(address: Address.Address): Peers | undefined {
    return this.peers?.leads(address) === true ? this.peers : undefined
  }

  /** The address that an envelope of this session comes from: what it wrote only where it holds that. */
  enforceFrom(session: Session, written: Address.Address | "", now: number): Address.Address {
    const own = addressOf(session)
    if (written === "" || written === own) return own
    return this.registry.isHeldBy(session, written, now) ? written : own
  }

  /**
   * Sends to the session; what can't be sent is a dead letter. Gives whether it is on its way: what is
   * reliable is, also while the session waits for a connection.
   */
  deliver(session: Session, envelope: Envelope.Envelope, now: number, copyOf?: Multicast): boolean {
    const isOnItsWay = this.#send(session, envelope, now, copyOf)
    if (this.port.logsDebug && isOnItsWay && !envelope.type.startsWith("hub:")) {
      const { id: messageId, from, to, type } = envelope
      this.log("debug", "message_delivered", { messageId, from, to, type, sessionId: session.id })
    }
    return isOnItsWay
  }

  #send(session: Session, envelope: Envelope.Envelope, now: number, copyOf?: Multicast): boolean {
    const isReliable = envelope.seq !== undefined && session.major !== 0
    const expired = tokenUntil(session) <= now
    const connection = expired ? undefined : this.sessions.connectionOf(session)
    if (connection === undefined && session.connectionId !== null) {
      if (expired) this.on.tokenExpired(session, now)
      else this.on.socketGone(session, now)
    }
    if (isReliable) {
      // It may have ended just now.
      if (this.sessions.byId(session.id) === session) {
        this.metrics.messagesSent++
        this.outboxes.offer(session, envelope, connection, now)
        return true
      }
    } else if (connection !== undefined) {
      if (session.replayed === null) {
        connection.send(Envelope.unnumbered(envelope), copyOf)
        this.metrics.messagesSent++
        return true
      }
      if (this.outboxes.hold(session, envelope, connection)) return true
    }
    this.deadLetter(envelope, connection === undefined ? "disconnected" : "slow_consumer", now)
    return false
  }

  deadLetter(envelope: Envelope.Envelope, reason: DeadLetterReason, now: number): void {
    this.metrics.deadLetters++
    this.deadLetters.add(envelope, reason, now)
    this.log("debug", "delivery_failed", { messageId: envelope.id, to: envelope.to, reason })
  }

  /** Sends `hub:error` to the sender of a message, in the delivery class of the message. */
  reject(
    { session, from, envelope, now }: Rejected,
    code: HubErrorCode,
    message: string,
    details?: LogFields,
  ): void {
    this.metrics.errors++
    if (code === "forbidden") this.logSession("request_forbidden", session, { reason: message })
    const rejection = errorEnvelope(session.major, from, code, message, now, envelope?.id ?? null, details)
    this.deliver(session, likeThat(rejection, envelope), now)
  }

  /** The address is nobody's any more: its watchers are told, once. */
  terminated(address: Address.Address, reason: TerminatedReason, now: number): void {
    for (const watcher of this.watches.take(address)) {
      const session = this.owner(watcher)
      if (session !== undefined) this.notifyTerminated(session, watcher, address, reason, now)
      else this.lifecycle.emit({ type: "terminated", watcher, address, reason })
    }
  }

  /** What the session watched has ended, and its watch with it. */
  notifyTerminated(
    session: Session,
    watcher: Address.Address,
    address: Address.Address,
    reason: TerminatedReason,
    now: number,
  ): void {
    session.watches = undefined
    const terminated = hubEnvelope("hub:terminated", watcher, { actorAddress: address, reason }, now)
    this.notify(session, Envelope.reliably(terminated))
  }

  /** Tells the session of something, after the answers that it waits for. What is reliable is stored until then. */
  notify(session: Session, envelope: Envelope.Envelope): void {
    const now = this.port.now()
    const connection = this.sessions.connectionOf(session)
    if (connection === undefined || connection.replies === null) {
      return void this.deliver(session, envelope, now)
    }
    const isReliable = envelope.seq !== undefined && session.major !== 0
    const takeOut = isReliable ? this.outboxes.of(session).keepBack(envelope, now) : () => true
    if (takeOut === undefined) return
    inOrder(connection, () => {
      if (takeOut()) this.deliver(session, envelope, this.port.now())
    })
  }

  /** The session of this id, where it is here. */
  sessionOf(id: string): Session | undefined {
    return isRemote(id) ? undefined : this.sessions.byId(id)
  }

  /** The session that an owner of subscriptions or watches stands for. */
  owner(address: Address.Address): Session | undefined {
    return address.startsWith("@(session/")
      ? this.sessions.byId(address.slice("@(session/".length, -1))
      : this.sessions.byIdentity(address)
  }

  log(level: LogLevel, event: string, fields: LogFields): void {
    this.port.log(level, event, fields)
  }

  /** A log line about a session and, where there is one, its connection. */
  logSession(event: string, session: Session, fields: LogFields = {}): void {
    this.port.log("info", event, {
      sessionId: session.id,
      actorIdentity: session.identity,
      epoch: session.epoch,
      ...fields,
    })
  }

  /** A transition of a connection, with its cause. One that is not possible does not happen. */
  transition(connection: Connection, to: Connection["state"], cause: string): void {
    const from = connection.state
    if (!canGo(from, to)) return
    connection.state = to
    this.port.log("info", "session_state_changed", {
      sessionId: connection.sessionId,
      actorIdentity: connection.session?.identity ?? null,
      connectionId: connection.id,
      from,
      to,
      cause,
    })
  }

  #notifyPresence(): void {
    const now = this.port.now()
    for (const diff of this.presence.drain()) {
      for (const { owner, presence } of this.topics.get(diff.topic).values()) {
        const session = presence ? this.owner(owner) : undefined
        const seen = session === undefined ? undefined : diffFor(diff, owner)
        if (session !== undefined && seen !== undefined) {
          this.deliver(session, hubEnvelope("hub:presence_diff", owner, seen, now), now)
        }
      }
    }
  }
}
