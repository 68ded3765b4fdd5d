/**
 * The hub, sans I/O: envelopes, closes and alarms go in with the clock's reading; what is to be sent,
 * closed, stored and armed goes out through its host. The same code runs in a Durable Object, in Node
 * and in a simulation.
 */
import type { Address, Envelope } from "@signal-hub/actor-core"
import { CloseCode } from "../protocol/CloseCode.ts"
import { errorEnvelope } from "../protocol/HubEnvelope.ts"
import { provisionalAddress } from "../protocol/HubMessage.ts"
import type { Connection } from "../session/Connection.ts"
import { isSilent } from "../session/Liveness.ts"
import { addressOf, tokenUntil } from "../session/Session.ts"
import { connect } from "./ConnectRequest.ts"
import type { Elsewhere } from "./Elsewhere.ts"
import type { HubHost } from "./HubHost.ts"
import { type HubEvents, HubState } from "./HubState.ts"
import {
  closeConnection,
  connectionLost,
  disconnect,
  endAddress,
  endSession,
  expireToken,
  loseConnection,
} from "./Lifecycle.ts"
import { handleRequest } from "./Requests.ts"
import { isExpired, route } from "./Router.ts"
import { authenticateConnect } from "./TokenRequests.ts"

/** Who has less than this part of its burst left writes rows together with others. */
const BUSY = 0.9

/** Requests that write rows. */
const WRITES: ReadonlySet<string> = new Set([
  "hub:register",
  "hub:unregister",
  "hub:renew",
  "hub:subscribe",
  "hub:unsubscribe",
  "hub:watch",
  "hub:unwatch",
])

export class HubCore {
  readonly state: HubState
  readonly #host: HubHost
  /** Connections without a session, oldest first. */
  readonly #unconnected = new Set<Connection>()
  /** Each `hub:connect` that waits to be judged. */
  #writes: Array<{
    readonly connection: Connection
    readonly envelope: Envelope.Envelope
    readonly write: (now: number) => void
  }> = []
  /** Whether they are written now. */
  #together = false
  #cancelConnectTimer: (() => void) | undefined
  #sweptAt = 0

  /**
   * `armedAt`: for when the alarm is armed already, epoch milliseconds. `elsewhere`: what there is beside
   * this object.
   */
  constructor(host: HubHost, armedAt: number | null, elsewhere?: (hub: HubState) => Elsewhere) {
    this.#host = host
    const on: HubEvents = {
      unpark: (connection) => this.#unpark(connection),
      socketGone: (session, now) => loseConnection(this.state, session, now, "socket_gone", now),
      rearm: () => this.#rearm(),
      tokenExpired: (session, now) => expireToken(this.state, session, now),
    }
    this.state = new HubState(host, armedAt, on, elsewhere)
  }

  /** A socket was accepted. */
  opened(connection: Connection): void {
    const { limits } = this.#host
    this.state.metrics.connectionsOpened++
    const now = this.#host.now()
    if (this.#unconnected.size >= limits.maxUnconnectedSockets) {
      const message = `${limits.maxUnconnectedSockets} connections wait for hub:connect, the most there may be`
      return this.#refuseConnection(connection, message, CloseCode.Unavailable, now)
    }
    this.#unconnected.add(connection)
    this.state.alarm.atLatest(now + limits.sweepInterval)
    this.#watchUnconnected()
  }

  /** A well-formed envelope arrived. */
  received(connection: Connection, envelope: Envelope.Envelope, receivedAt: number): void {
    if (connection.parked === null) this.#handle(connection, envelope, receivedAt, receivedAt)
    else if (connection.parked.length < this.#mostParked(connection))
      connection.parked.push({ envelope, receivedAt })
    else this.#refuseParked(connection, envelope, receivedAt)
  }

  /** The socket closed or failed. May be told more than once. */
  closed(connection: Connection, cause: string): void {
    this.#settled(connection)
    this.state.metrics.connectionsClosed++
    const now = this.#host.now()
    connectionLost(this.state, connection, cause, now)
    if (this.#unconnected.size > 0 || this.state.sessions.count() > 0) return
    // Nobody is left to look after: an alarm would only wake the object.
    this.state.sessions.forgetIdentities(now - this.#host.limits.durableSubscriptionFor)
    this.state.alarm.rearm(undefined)
  }

  /** The address that the connection's client is known by. */
  addressOf(connection: Connection): Address.Address {
    const session = this.state.sessions.of(connection)
    return session === undefined ? provisionalAddress(connection.id) : addressOf(session)
  }

  /** The connection sent what it may not again and again, or left too much unread. */
  violated(connection: Connection, code: CloseCode, cause: string): void {
    const now = this.#host.now()
    if (code === CloseCode.SlowConsumer) {
      const message = "too much of what was sent is not acknowledged"
      disconnect(this.state, connection, "slow_consumer", code, message, now)
    } else closeConnection(this.state, connection, code, cause)
    connectionLost(this.state, connection, cause, now)
  }

  /** The alarm came: does what is due and arms it for what comes next. */
  alarm(): void {
    const { state } = this
    const { limits, now: clock } = this.#host
    const now = clock()
    for (const session of state.sessions.tokensOver(now)) expireToken(state, session, now)
    for (const session of state.sessions.graceOver(now)) endSession(state, session, now)
    for (const registration of state.registry.leasesOver(now)) {
      endAddress(state, registration, "expired", now)
    }
    state.endOverdueAsks(now)
    state.elsewhere?.alarm(now)
    state.topics.forgetUnused(now - limits.durableSubscriptionFor)
    state.sessions.forgetIdentities(now - limits.durableSubscriptionFor)
    if (now - this.#sweptAt >= limits.sweepInterval) this.#sweep(now)
    this.#rearm()
  }

  #rearm(): void {
    const nextSweep = this.#sweptAt + this.#host.limits.sweepInterval
    this.state.alarm.rearm(this.#hasSockets() ? nextSweep : undefined)
  }

  #hasSockets(): boolean {
    for (const _ of this.#host.connections()) return true
    return false
  }

  /** Looks for who is silent, and for sessions whose socket is gone. */
  #sweep(now: number): void {
    const { state } = this
    const { limits } = this.#host
    this.#sweptAt = now
    for (const connection of this.#host.connections()) {
      if (connection.sessionId === null) {
        if (now - connection.openedAt >= limits.connectTimeout) this.#connectTimedOut(connection, now)
      } else if (isSilent(connection, limits, now)) {
        const message = "nothing was heard for three intervals"
        disconnect(state, connection, "heartbeat_timeout", CloseCode.Timeout, message, now)
        connectionLost(state, connection, "heartbeat_timeout", now)
      }
    }
    for (const session of state.sessions.attached()) {
      if (state.sessions.connectionOf(session) === undefined) {
        loseConnection(state, session, now, "socket_gone", now)
      }
    }
  }

  #handle(connection: Connection, envelope: Envelope.Envelope, receivedAt: number, now: number): void {
    // Sent before the close was seen: nothing of it may have an effect.
    if (connection.state === "disconnecting" || connection.state === "disconnected") return
    if (this.#mayWait(connection) && WRITES.has(envelope.type)) {
      return this.#gather(connection, envelope, (at) => this.#handle(connection, envelope, receivedAt, at))
    }
    const { state } = this
    state.metrics.messagesReceived++
    if (connection.sessionId === null) return this.#beforeConnect(connection, envelope, now)
    const session = state.sessions.of(connection)
    if (session === undefined) return this.#fenced(connection)
    if (tokenUntil(session) <= now) return expireToken(state, session, now)
    session.received++
    const from = state.enforceFrom(session, envelope.from, now)
    if (isExpired(envelope, receivedAt, now)) {
      if (envelope.pattern === "tell") return state.deadLetter(envelope, "expired", now)
      return state.refuse(session, from, "message_expired", "its ttl ran out", envelope.id, now)
    }
    if (envelope.type.startsWith("hub:")) {
      handleRequest({ hub: state, connection, session, from, envelope, now })
    } else {
      route(state, session, from, envelope, now)
    }
  }

  /** The connection's session is over, which its client was not told: it connects anew. */
  #fenced(connection: Connection): void {
    closeConnection(this.state, connection, CloseCode.Timeout, "session_over")
  }

  #beforeConnect(connection: Connection, envelope: Envelope.Envelope, now: number): void {
    if (envelope.type !== "hub:connect") {
      this.state.metrics.errors++
      const message = "hub:connect must come first"
      const to = provisionalAddress(connection.id)
      connection.send(errorEnvelope(null, to, "not_connected", message, now, envelope.id))
      return
    }
    connection.parked = []
    authenticateConnect(this.state, connection, envelope.metadata, (claims) =>
      this.#gather(connection, envelope, (at) => {
        if (connection.state === "connecting") connect(this.state, connection, envelope, claims, at)
        if (connection.state !== "connecting") this.#settled(connection)
      }),
    )
  }

  /** Whether it sends so much that it may wait for what others send. */
  #mayWait({ rate, sessionId }: Connection): boolean {
    return rate.tokens < this.#host.limits.envelopeBurst * BUSY && sessionId !== null && !this.#together
  }

  /** What writes rows waits for what comes in together with it; so does what its connection sends next. */
  #gather(connection: Connection, envelope: Envelope.Envelope, write: (now: number) => void): void {
    connection.parked ??= []
    this.#writes.push({ connection, envelope, write })
    if (this.#writes.length === 1) this.#host.soon(() => this.#writeAll())
  }

  /** What came in together is written together: a commit costs more than all else that a request does. */
  #writeAll(): void {
    const now = this.#host.now()
    const writes = this.#writes
    this.#writes = []
    this.#together = true
    for (const { connection, envelope, write } of writes) {
      const waiting = connection.parked ?? []
      connection.parked = null
      try {
        write(now)
      } catch (error) {
        connection.parked = waiting
        const to = provisionalAddress(connection.id)
        const message = "the hub failed on this message"
        connection.send(errorEnvelope(connection.major, to, "internal_error", message, now, envelope.id))
        if (connection.parked?.length === 0) connection.parked = null
        throw error
      }
      // What was written may have to wait for another object: what came after it waits too.
      if (this.#isParked(connection)) connection.parked!.push(...waiting)
      else {
        connection.parked = waiting
        this.#unpark(connection)
      }
    }
    this.#together = false
  }

  #unpark(connection: Connection): void {
    const parked = connection.parked ?? []
    connection.parked = null
    const now = this.#host.now()
    for (let i = 0; i < parked.length; i++) {
      const { envelope, receivedAt } = parked[i]!
      this.#handle(connection, envelope, receivedAt, now)
      // Parked anew by what was just handled: the rest goes on waiting, before what comes later.
      if (this.#isParked(connection)) {
        connection.parked!.push(...parked.slice(i + 1))
        return
      }
    }
  }

  #mostParked({ sessionId }: Connection): number {
    const { maxParked, maxParkedUnconnected } = this.#host.limits
    return sessionId === null ? maxParkedUnconnected : maxParked
  }

  #refuseParked(connection: Connection, { from, id }: Envelope.Envelope, now: number): void {
    const message = `${this.#mostParked(connection)} messages wait for an earlier one of this connection`
    const session = this.state.sessions.of(connection)
    if (session === undefined) {
      const to = provisionalAddress(connection.id)
      return connection.send(errorEnvelope(null, to, "queue_full", message, now, id))
    }
    this.state.refuse(session, this.state.enforceFrom(session, from, now), "queue_full", message, id, now)
  }

  #isParked(connection: Connection): boolean {
    return connection.parked !== null
  }

  /** One timer for all sockets that have yet to connect. They keep the object from hibernating. */
  #watchUnconnected(): void {
    const [oldest] = this.#unconnected
    if (this.#cancelConnectTimer !== undefined || oldest === undefined) return
    const { limits } = this.#host
    this.#cancelConnectTimer = this.#host.later(
      Math.max(0, oldest.openedAt + limits.connectTimeout - this.#host.now()),
      () => {
        this.#cancelConnectTimer = undefined
        const now = this.#host.now()
        for (const connection of this.#unconnected) {
          if (now - connection.openedAt < limits.connectTimeout) break
          this.#connectTimedOut(connection, now)
        }
        this.#watchUnconnected()
      },
    )
  }

  /** The connection waits for `hub:connect` no more. Where none does, the object may hibernate. */
  #settled(connection: Connection): void {
    this.#unconnected.delete(connection)
    if (this.#unconnected.size > 0) return
    this.#cancelConnectTimer?.()
    this.#cancelConnectTimer = undefined
  }

  #connectTimedOut(connection: Connection, now: number): void {
    this.#settled(connection)
    const seconds = this.#host.limits.connectTimeout / 1_000
    this.#refuseConnection(connection, `no hub:connect within ${seconds} s`, CloseCode.Timeout, now)
  }

  #refuseConnection(connection: Connection, message: string, code: CloseCode, now: number): void {
    const to = provisionalAddress(connection.id)
    const error = code === CloseCode.Timeout ? "timeout" : "registry_full"
    connection.send(errorEnvelope(null, to, error, message, now, null))
    this.state.log("warn", "connection_rejected", { connectionId: connection.id, code, reason: message })
    closeConnection(this.state, connection, code, message)
  }
}
