/**
 * How connections, sessions and addresses end. Each is one synchronous step: rows first, together, then
 * what is sent and closed. A step that fails leaves everything as it was. How a session comes by its
 * identity is in `IdentityClaim`.
 */
import { CloseCode } from "../../protocol/CloseCode.ts"
import { hubEnvelope } from "../../protocol/HubEnvelope.ts"
import {
  type DisconnectReason,
  provisionalAddress,
  type TerminatedReason,
} from "../../protocol/HubMessage.ts"
import type { Connection } from "../../session/Connection.ts"
import { lastHeard, leaseUntil } from "../../session/Liveness.ts"
import { addressOf, type Session } from "../../session/Session.ts"
import { failAsk } from "../features/AskEnds.ts"
import type { Ask } from "../features/Asks.ts"
import { resumeSenders } from "../Backpressure.ts"
import type { HubState } from "../HubState.ts"
import type { Registration } from "../features/Registry.ts"
import { noteLeft, updatePresence } from "../features/TopicRequests.ts"

/** Tells the client why, then closes: in this order, whatever else is on its way. */
export const disconnect = (
  hub: HubState,
  connection: Connection,
  reason: DisconnectReason,
  code: CloseCode,
  message: string,
  now: number,
): void => {
  // A loser's session is over already: it is known from the connection alone.
  const session = connection.session ?? hub.sessions.of(connection)
  const to = session === undefined ? provisionalAddress(connection.id) : addressOf(session)
  connection.send(hubEnvelope("hub:disconnect", to, { reason, message }, now))
  closeConnection(hub, connection, code, reason)
}

/** Closes the connection from our side. What still arrives on it has no effect. */
export const closeConnection = (
  hub: HubState,
  connection: Connection,
  code: CloseCode,
  cause: string,
): void => {
  if (connection.state === "disconnecting" || connection.state === "disconnected") return
  hub.transition(connection, connection.state === "connecting" ? "disconnected" : "disconnecting", cause)
  connection.close(code, cause)
}

/**
 * The connection is gone, and with it the session's hold on it. May run any number of times; an old
 * epoch's connection starts nothing.
 */
export const connectionLost = (hub: HubState, connection: Connection, cause: string, now: number): void => {
  const session = hub.sessions.of(connection)
  hub.transition(connection, "disconnected", cause)
  if (session !== undefined) loseConnection(hub, session, lastHeard(connection), cause, now)
}

/** The session's token has expired: its client comes back with a fresh one, or the session ends. */
export const expireToken = (hub: HubState, session: Session, now: number): void => {
  const connection = hub.sessions.connectionOf(session)
  if (connection === undefined) return loseConnection(hub, session, now, "socket_gone", now)
  const message = "the token has expired: connect with a fresh one"
  disconnect(hub, connection, "token_expired", CloseCode.Unauthorized, message, now)
  connectionLost(hub, connection, "token_expired", now)
}

/** The session's connection carries it no more: nobody pauses for it, and what it has spent stays spent. */
export const releaseConnection = (hub: HubState, session: Session, now: number): void => {
  const { connection, connectionId, identity } = session
  if (connectionId === null) return
  // Of a connection that went unnoticed it is not known whether its reader was slow.
  if (connection?.flow.slow !== false) resumeSenders(hub, session, now)
  if (connection !== undefined && identity !== null) hub.spentRates.put(identity, connection.rate, now)
}

/** A session without a connection waits for another for its grace period, or ends. */
export const loseConnection = (
  hub: HubState,
  session: Session,
  heardAt: number,
  cause: string,
  now: number,
): void => {
  const { limits } = hub.port
  if (isOver(hub, session)) return
  if (session.expirySeconds === 0) return endSession(hub, session, now)
  const graceUntil = now + session.expirySeconds * 1_000
  hub.atomically(() => {
    releaseConnection(hub, session, now)
    session.outbox?.write()
    hub.sessions.detach(session, heardAt, graceUntil)
    hub.registry.armLeases(session)
  })
  updatePresence(hub, session, false)
  hub.alarm.atLatest(Math.min(graceUntil, leaseUntil(heardAt, limits.minTtlSeconds, limits)))
  hub.logSession("session_detached", session, { cause, graceUntil })
}

/**
 * The session is over: its registrations go and their watchers hear, asks to it end, its
 * subscriptions end but for the durable ones.
 */
export const endSession = (hub: HubState, session: Session, now: number): void => {
  if (isOver(hub, session)) return
  const address = addressOf(session)
  hub.atomically(() => {
    const registrations = hub.registry.heldBy(session)
    for (const registration of registrations) {
      const expired = hub.registry.expiresAt(registration, session, now) <= now
      endAddress(hub, registration, expired ? "expired" : "disconnected", now)
    }
    const subscriptions = hub.topics.release(session, now)
    const topics = subscriptions.map(({ topic }) => topic)
    hub.lifecycle.emit({ type: "released", address, topics, targets: hub.watches.targetsOf(address) })
    hub.watches.release(address)
    releaseConnection(hub, session, now)
    hub.outboxes.end(session, now)
    hub.sessions.remove(session)
    hub.announce(() => {
      for (const topic of topics) noteLeft(hub, topic, session, address)
      endAsks(hub, session, now)
      if (subscriptions.some(({ durable }) => durable)) {
        hub.alarm.atLatest(now + hub.port.limits.durableSubscriptionFor)
      }
      logEnd(hub, session, "ended", registrations.length, now, subscriptions.length)
    })
  })
}

/** Who hears of one that ended may turn out to be gone too, before it is its turn. */
const isOver = ({ sessions }: HubState, session: Session): boolean => sessions.byId(session.id) !== session

/** An address is nobody's any more: its watchers are told, and who asked it. */
export const endAddress = (
  hub: HubState,
  registration: Registration,
  reason: TerminatedReason,
  now: number,
): void => {
  const { address, sessionId } = registration
  const holder = hub.sessions.byId(sessionId)
  hub.registry.remove(registration, holder)
  hub.lifecycle.emit({ type: "unregistered", address, reason })
  hub.announce(() => {
    hub.terminated(address, reason, now)
    const actorIdentity = holder?.identity ?? null
    hub.log("info", "actor_terminated", { sessionId, actorIdentity, actorAddress: address, reason })
    // An identity is reached without a registration too: what was asked of it stays open.
    if (holder === undefined || holder.identity === address) return
    for (const ask of hub.asks.of(holder).answering) if (ask.target === address) endAsk(hub, ask, now)
  })
}

/** What it asked is cancelled; who asked it hears that it is gone. */
export const endAsks = (hub: HubState, session: Session, now: number): void => {
  const { asked, answering } = hub.asks.of(session)
  for (const ask of asked) hub.asks.close(ask)
  for (const ask of answering) endAsk(hub, ask, now)
}

const endAsk = (hub: HubState, ask: Ask, now: number): void => {
  // One that it asked itself is over with it: nobody is left to tell.
  failAsk(hub, ask, "actor_terminated", ask.target, now)
}

/** Logs `session_cleaned_up` with the numbers of what was removed and what is left. */
export const logEnd = (
  hub: HubState,
  session: Session,
  cause: string,
  registrations: number,
  now: number,
  subscriptions = 0,
): void =>
  hub.logSession("session_cleaned_up", session, {
    cause,
    removed: { registrations, subscriptions },
    left: { sessions: hub.sessions.count(), registrations: hub.registry.count() },
    lifetimeMs: now - session.connectedAt,
  })
