/**
 * The hub, sans I/O: envelopes, closes and alarms go in with the clock's reading; what is to be sent,
 * closed, stored and armed goes out through its port. The same code runs in a Durable Object, in Node
 * and in a simulation.
 */
import { type Address, Envelope, Forwarding } from "@signal-hub/actor-core/vocabulary"
import { CloseCode } from "../protocol/CloseCode.ts"
import { errorEnvelope } from "../protocol/HubEnvelope.ts"
import { provisionalAddress } from "../protocol/HubMessage.ts"
import type { Connection } from "../session/Connection.ts"
import { isSilent } from "../session/Liveness.ts"
import { addressOf, type Session, tokenUntil } from "../session/Session.ts"
import type { Order } from "../session/InSequence.ts"
import { endOverdue } from "./features/AskEnds.ts"
import { connect } from "./session/ConnectRequest.ts"
import type { Peers } from "./peers/Peers.ts"
import type { HubPort } from "./HubPort.ts"
import { type HubEvents, HubState } from "./HubState.ts"
import {
  closeConnection,
  connectionLost,
  disconnect,
  endAddress,
  endSession,
  expireToken,
  loseConnection,
} from "./session/Lifecycle.ts"
import type { Incoming } from "./Incoming.ts"
import { IngressQueue } from "./IngressQueue.ts"
import { misaddressOf, rejectMisaddressed } from "./Misaddressed.ts"
import { inOrder } from "./ResponseOrder.ts"
import { handleRequest } from "./Requests.ts"
import { isExpired, route } from "./Router.ts"
import { authenticateConnect } from "./session/TokenRequests.ts"
import { PendingConnections } from "./session/PendingConnections.ts"
import { elapsedSince } from "../protocol/WallTime.ts"

/** Milliseconds that a clock may be behind without having been set back. */
const SET_BACK_MS = 1_000

export class HubCore {
  readonly state: HubState
  readonly #port: HubPort
  readonly #ingress: IngressQueue
  readonly #pending: PendingConnections
  #sweptAt = 0
  /** What the clock said last, epoch milliseconds. */
  #toldAt = 0

  /** `peers`: makes the port to other objects; absent: there are none. */
  constructor(port: HubPort, peers?: (hub: HubState) => Peers) {
    this.#port = port
    const on: HubEvents = {
      unpark: (connection) => this.#ingress.unpark(connection),
      socketGone: (session, now) => loseConnection(this.state, session, now, "socket_gone", now),
      unread: (session) => port.soon(() => this.#disconnectSlowReader(session)),
      rearm: () => this.#rearm(),
      tokenExpired: (session, now) => expireToken(this.state, session, now),
    }
    this.state = new HubState(port, on, peers)
    this.#pending = new PendingConnections(this.state)
    this.#ingress = new IngressQueue(this.state, (connection, envelope, receivedAt, now) =>
      this.#handle(connection, envelope, receivedAt, now),
    )
  }

  /** The memory before this one may have been lost with what it had under way: goes on with that. */
  recover(): void {
    this.state.peers?.recover()
  }

  /** A socket was accepted. */
  opened(connection: Connection): void {
    this.state.metrics.connectionsOpened++
    const { id: connectionId, codec } = connection
    this.#port.log("info", "connection_accepted", { connectionId, subprotocol: codec.subprotocol })
    this.#pending.opened(connection, this.#port.now())
  }

  /** An envelope of this number came, well-formed or not. `undefined`: numbers mean nothing here. */
  order(connection: Connection, seq: number): Order | undefined {
    const session = this.state.sessions.of(connection)
    return session === undefined || session.major === 0 ? undefined : this.state.sequences.order(session, seq)
  }

  /** Whether the connection's client has sent reliable envelopes. */
  isSequenced(connection: Connection): boolean {
    return (this.state.sessions.of(connection)?.incoming.arrived ?? 0) > 0
  }

  /** Tells the client, surely, that its reliable envelope was refused. */
  refuse(connection: Connection, refusal: Envelope.Envelope): void {
    const session = this.state.sessions.of(connection)
    if (session !== undefined) this.#ingress.refuse(connection, session, Envelope.reliably(refusal))
  }

  /** An event is over: what is to be stored before anything of it leaves, is stored now. */
  settle(): void {
    const { peers, encodeFailures, sequences } = this.state
    do {
      sequences.settle()
      peers?.settle()
      // Their senders are told with what the event led to: stored before it leaves, like all else.
    } while (encodeFailures.tell())
  }

  /** An envelope that was in line on the connection could not be encoded. */
  notEncoded(connection: Connection, envelope: Envelope.Envelope, error: unknown): void {
    const receiver = connection.session ?? this.state.sessions.of(connection)
    this.state.encodeFailures.add(envelope, receiver, error)
  }

  /** A well-formed envelope arrived. */
  received(connection: Connection, envelope: Envelope.Envelope, receivedAt: number): void {
    this.#look(receivedAt)
    this.#ingress.take(connection, envelope, receivedAt)
  }

  /** The socket closed or failed. May be told more than once. */
  closed(connection: Connection, cause: string): void {
    this.#pending.settled(connection)
    this.state.metrics.connectionsClosed++
    const now = this.#port.now()
    const hasSession = this.state.sessions.of(connection) !== undefined
    if (!hasSession || !this.#ingress.leavesInCrowd()) return this.#lost(connection, cause, now)
    this.#ingress.gatherLoss((at) => this.#lost(connection, cause, at))
  }

  #lost(connection: Connection, cause: string, now: number): void {
    connectionLost(this.state, connection, cause, now)
    if (!this.#pending.isEmpty || !this.state.sessions.isEmpty) return
    // Nobody is left to look after: a sweep would only wake the object.
    this.state.sessions.forgetIdentities(now - this.#port.limits.identityKeptFor)
    this.state.alarm.rearm(undefined)
  }

  /** The address that the connection's client is known by. */
  addressOf(connection: Connection): Address.Address {
    const session = this.state.sessions.of(connection)
    return session === undefined ? provisionalAddress(connection.id) : addressOf(session)
  }

  /** The connection sent what it may not again and again, or left too much unread. */
  violated(connection: Connection, code: CloseCode, cause: string): void {
    const now = this.#port.now()
    if (code === CloseCode.SlowConsumer) {
      const message =
        connection.major === 1
          ? "too much of what was sent is not acknowledged"
          : "too much was sent since this client was last heard: ping more often, or speak protocol 1.0"
      disconnect(this.state, connection, "slow_consumer", code, message, now)
    } else closeConnection(this.state, connection, code, cause)
    connectionLost(this.state, connection, cause, now)
  }

  /** As what it left unread in its socket, so what it leaves in its outbox. */
  #disconnectSlowReader(session: Session): void {
    const connection = this.state.sessions.connectionOf(session)
    if (connection !== undefined) this.violated(connection, CloseCode.SlowConsumer, "slow_consumer")
  }

  /** All that is stored is about to be deleted. How much of its rate an identity has spent stays known. */
  forget(): void {
    this.state.alarm.disarm()
    this.state.peers?.forget()
  }

  /** The alarm came: does what is due and arms it for what comes next. */
  alarm(): void {
    const { state } = this
    const { limits, now: clock } = this.#port
    const now = clock()
    this.#toldAt = now
    for (const session of state.sessions.tokensOver(now)) expireToken(state, session, now)
    for (const session of state.sessions.graceOver(now)) endSession(state, session, now)
    for (const registration of state.registry.leasesOver(now)) {
      endAddress(state, registration, "expired", now)
    }
    endOverdue(state, state.asks.overdue(now), now)
    state.peers?.alarm(now)
    state.topics.forgetUnused(now - limits.durableSubscriptionFor)
    state.sessions.forgetIdentities(now - limits.identityKeptFor)
    if (elapsedSince(this.#sweptAt, now) >= limits.sweepInterval) this.#sweep(now)
    this.#rearm()
  }

  /** Looks at the clock: where it was set back, what the alarm is armed for may be far away. */
  #look(now: number): void {
    const isSetBack = now < this.#toldAt - SET_BACK_MS
    this.#toldAt = now
    if (!isSetBack) return
    this.#sweptAt = Math.min(this.#sweptAt, now)
    this.#rearm()
  }

  #rearm(): void {
    const nextSweep = this.#sweptAt + this.#port.limits.sweepInterval
    this.state.alarm.rearm(this.#hasSockets() ? nextSweep : undefined)
  }

  #hasSockets(): boolean {
    for (const _ of this.#port.connections()) return true
    return false
  }

  /** Looks for who is silent, and for sessions whose socket is gone. */
  #sweep(now: number): void {
    const { state } = this
    const { limits } = this.#port
    this.#sweptAt = now
    for (const connection of this.#port.connections()) {
      if (connection.sessionId === null) {
        this.#pending.endOverdue(connection, now)
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
    if (this.#ingress.mayWait(connection, envelope)) {
      return this.#ingress.gather(connection, envelope, (at) =>
        this.#handle(connection, envelope, receivedAt, at),
      )
    }
    const { state } = this
    state.metrics.messagesReceived++
    if (connection.sessionId === null) return this.#beforeConnect(connection, envelope, now)
    const session = state.sessions.of(connection)
    if (session === undefined) return this.#fenced(connection)
    if (tokenUntil(session) <= now) return expireToken(state, session, now)
    session.received++
    if (session.previousToken !== null) state.sessions.confirmToken(session)
    if (envelope.seq !== undefined) {
      if (session.major === 0) envelope = Envelope.unnumbered(envelope)
      else {
        const { arrived, done } = session.incoming
        // It came along with `hub:connect`, and waited for that: now there is somebody to judge its number.
        if (envelope.seq > arrived || envelope.seq <= done) {
          const order = state.sequences.order(session, envelope.seq)
          if (order === "gap") return this.violated(connection, CloseCode.SequenceGap, "sequence_gap")
          if (order === "repeat") return
        }
        session.incoming.done = envelope.seq
        // In this turn, with what it leads to: it may have come in an earlier one, and waited.
        state.sequences.moved(session)
      }
    }
    const from = state.enforceFrom(session, envelope.from, now)
    const isRequest = envelope.type.startsWith("hub:")
    const isCorrelatedAsk = envelope.pattern === "ask" && envelope.correlationId !== null
    // It would look like an answer to whoever goes by the id alone.
    if (isCorrelatedAsk && session.major === 0) envelope = Forwarding.uncorrelated(envelope)
    const incoming: Incoming = { hub: state, connection, session, from, envelope, now }
    if (isCorrelatedAsk && session.major !== 0) {
      const reject = (): void => state.reject(incoming, "invalid_message", 'an ask has no "correlationId"')
      return isRequest ? inOrder(connection, reject) : reject()
    }
    if (isExpired(envelope, receivedAt, now)) {
      const { correlationId, pattern, seq } = envelope
      if (pattern === "tell") state.deadLetter({ ...envelope, from }, "expired", now)
      if (pattern === "ask" || (seq !== undefined && correlationId === null))
        state.reject(incoming, "message_expired", "its ttl ran out")
      return
    }
    const misaddress = misaddressOf(session, envelope)
    if (misaddress !== undefined) {
      const reject = (): void => rejectMisaddressed(incoming, misaddress)
      if (isRequest) inOrder(connection, reject)
      else reject()
    } else if (isRequest) {
      handleRequest(incoming)
    } else {
      route(incoming)
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
    authenticateConnect(this.state, connection, envelope, (claims) =>
      this.#ingress.gather(connection, envelope, (at) => {
        if (connection.state === "connecting") connect(this.state, connection, envelope, claims, at)
        if (connection.state !== "connecting") this.#pending.settled(connection)
      }),
    )
  }
}
