/**
 * What happens to sessions: they claim an identity, lose their connection, end. Each is one
 * synchronous step: rows first, together, then what is sent and closed. A step that fails leaves
 * everything as it was.
 */
import type { Address } from "@signal-hub/actor-core"
import { CloseCode } from "../protocol/CloseCode.ts"
import { hubEnvelope } from "../protocol/HubEnvelope.ts"
import { type DisconnectReason, provisionalAddress, type TerminatedReason } from "../protocol/HubMessage.ts"
import type { Connection } from "../session/Connection.ts"
import { lastHeard, leaseUntil } from "../session/Liveness.ts"
import { addressOf, type Session } from "../session/Session.ts"
import { planTakeover } from "../session/Takeover.ts"
import type { HubState } from "./HubState.ts"
import type { Registration } from "./Registry.ts"
import { joinPresence, leavePresence } from "./TopicRequests.ts"

/** What a claim ended: to be told once its rows are written. */
interface Ended {
  readonly superseded: Session | undefined
  readonly loser: Connection | undefined
  readonly registrations: ReadonlyArray<Registration>
}

/**
 * Makes the session the one that speaks for the identity. Who held it is told and closed 4409; what
 * goes by the identity (subscriptions, watches, its registration) is the winner's by that.
 */
export const claimIdentity = (
  hub: HubState,
  session: Session,
  identity: Address.Address,
  now: number,
): void => {
  const { sessions } = hub
  const provisional = addressOf(session)
  const ended = hub.host.sql.transaction(() => {
    const plan = planTakeover(session, sessions.byIdentity(identity), sessions.epochOf(identity))
    const { superseded } = plan
    const loser = superseded === undefined ? undefined : sessions.connectionOf(superseded)
    if (loser !== undefined) loser.session = superseded
    const registrations =
      superseded === undefined
        ? endForeignRegistration(hub, session, identity, now)
        : handOver(hub, superseded, session, identity, plan.registrationsPass)
    sessions.setIdentity(session, identity, plan.epoch)
    if (superseded !== undefined) sessions.remove(superseded)
    for (const topic of hub.topics.move(provisional, identity)) {
      leavePresence(hub, topic, session, provisional)
      joinPresence(hub, topic, session)
    }
    for (const { topic } of hub.topics.revive(identity)) joinPresence(hub, topic, session)
    hub.watches.move(provisional, identity)
    session.subscriptions = undefined
    session.watches = undefined
    return { superseded, loser, registrations }
  })
  tellLoser(hub, ended, session, now)
}

/** The registrations of the loser: the identity's passes, others pass or end. Gives those that ended. */
const handOver = (
  hub: HubState,
  from: Session,
  to: Session,
  identity: Address.Address,
  othersPass: boolean,
): ReadonlyArray<Registration> => {
  const ended: Array<Registration> = []
  for (const registration of hub.registry.heldBy(from)) {
    if (registration.address === identity || othersPass) hub.registry.pass(registration, to)
    else {
      hub.registry.remove(registration, from)
      ended.push(registration)
    }
  }
  return ended
}

/** An address that another session had registered becomes an identity: it moves, like any address. */
const endForeignRegistration = (
  hub: HubState,
  session: Session,
  identity: Address.Address,
  now: number,
): ReadonlyArray<Registration> => {
  const registration = hub.registry.get(identity)
  if (registration === undefined || registration.sessionId === session.id) return []
  moveAway(hub, registration, now)
  return []
}

/** Takes a registration from its holder, who is told and stays. */
export const moveAway = (hub: HubState, registration: Registration, now: number): void => {
  const holder = hub.sessions.byId(registration.sessionId)
  hub.registry.remove(registration, holder)
  hub.terminated(registration.address, "superseded", now)
  if (holder === undefined) return
  const payload = { actorAddress: registration.address, reason: "superseded" }
  hub.deliver(holder, hubEnvelope("hub:unregistered", addressOf(holder), payload, now), now)
}

const tellLoser = (
  hub: HubState,
  { superseded, loser, registrations }: Ended,
  winner: Session,
  now: number,
): void => {
  if (superseded === undefined) return
  hub.logSession("duplicate_connection_detected", winner, { supersededSessionId: superseded.id })
  for (const { address } of registrations) hub.terminated(address, "superseded", now)
  endAsks(hub, superseded, now)
  if (loser !== undefined) {
    const message = "another connection took over this identity"
    disconnect(hub, loser, "duplicate_connection", CloseCode.Superseded, message, now)
    hub.logSession("old_session_closed", superseded, { connectionId: loser.id })
  }
  logEnd(hub, superseded, "superseded", registrations.length, now)
}

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
  connection.save()
  connection.close(code, cause)
}

/**
 * The connection is gone, and with it the session's hold on it. May run any number of times; an old
 * epoch's connection starts nothing.
 */
export const connectionLost = (hub: HubState, connection: Connection, cause: string, now: number): void => {
  const session = hub.sessions.of(connection)
  if (connection.state !== "disconnected") hub.transition(connection, "disconnected", cause)
  if (session !== undefined) loseConnection(hub, session, lastHeard(connection), cause, now)
}

/** A session without a connection waits for another for its grace period, or ends. */
export const loseConnection = (
  hub: HubState,
  session: Session,
  heardAt: number,
  cause: string,
  now: number,
): void => {
  const { limits } = hub.host
  if (session.expirySeconds === 0) return endSession(hub, session, now)
  const graceUntil = now + session.expirySeconds * 1_000
  hub.host.sql.transaction(() => {
    hub.sessions.detach(session, heardAt, graceUntil)
    hub.registry.armLeases(session)
  })
  hub.alarm.atLatest(Math.min(graceUntil, leaseUntil(heardAt, limits.minTtlSeconds, limits)))
  hub.logSession("session_detached", session, { cause, graceUntil })
}

/**
 * The session is over: its registrations go and their watchers hear, asks to it end, its
 * subscriptions end but for the durable ones.
 */
export const endSession = (hub: HubState, session: Session, now: number, reason?: TerminatedReason): void => {
  const address = addressOf(session)
  const { registrations, subscriptions } = hub.host.sql.transaction(() => {
    const held = hub.registry.heldBy(session).map((registration) => ({
      address: registration.address,
      reason: reason ?? (hub.registry.expiresAt(registration, session) <= now ? "expired" : "disconnected"),
      registration,
    }))
    for (const { registration } of held) hub.registry.remove(registration, session)
    const left = hub.topics.release(address, now)
    hub.watches.release(address)
    hub.sessions.remove(session)
    return { registrations: held, subscriptions: left }
  })
  for (const { topic } of subscriptions) leavePresence(hub, topic, session, address)
  for (const ended of registrations) hub.terminated(ended.address, ended.reason as TerminatedReason, now)
  endAsks(hub, session, now)
  if (subscriptions.some(({ durable }) => durable)) {
    hub.alarm.atLatest(now + hub.host.limits.durableSubscriptionFor)
  }
  logEnd(hub, session, reason ?? "ended", registrations.length, now, subscriptions.length)
}

/** What it asked is cancelled; who asked it hears that it is gone. */
const endAsks = (hub: HubState, session: Session, now: number): void => {
  const { asked, answering } = hub.asks.of(session)
  for (const ask of asked) hub.asks.close(ask)
  for (const ask of answering) {
    hub.asks.close(ask)
    const asker = hub.sessions.byId(ask.askerSession)
    if (asker === undefined) continue
    hub.refuse(
      asker,
      ask.asker,
      "actor_terminated",
      `${ask.target} went away before it answered`,
      ask.id,
      now,
    )
  }
}

const logEnd = (
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
