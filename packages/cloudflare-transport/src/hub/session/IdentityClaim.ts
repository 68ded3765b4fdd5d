/**
 * How a session comes by its identity, and whom it takes it from: the takeover, carried out as
 * `Takeover` decides it. One synchronous step, or nothing.
 */
import { type Address, Envelope } from "@signal-hub/actor-core/vocabulary"
import { maySubscribe } from "../../auth/Authorization.ts"
import { CloseCode } from "../../protocol/CloseCode.ts"
import { hubEnvelope } from "../../protocol/HubEnvelope.ts"
import type { Connection } from "../../session/Connection.ts"
import { addressOf, type Session } from "../../session/Session.ts"
import { countTakeover, planTakeover } from "../../session/Takeover.ts"
import type { HubState } from "../HubState.ts"
import { disconnect, endAddress, endAsks, endSession, logEnd, releaseConnection } from "./Lifecycle.ts"
import { Rejection } from "../Rejection.ts"
import type { Registration } from "../features/Registry.ts"
import { joinPresence, leavePresence, updatePresence } from "../features/TopicRequests.ts"

/**
 * Makes the session the one that speaks for the identity. Who held it is told and closed 4409; what
 * goes by the identity (subscriptions, watches, its registration) is the winner's by that, unless it starts
 * clean: then all that ends first.
 */
export const claimIdentity = (
  hub: HubState,
  session: Session,
  identity: Address.Address,
  now: number,
  cleanStart = false,
): void => {
  const { sessions } = hub
  rejectForeign(hub, identity)
  hub.atomically(() => {
    const provisional = addressOf(session)
    const { holder, epoch, takeovers } = sessions.claimOf(identity)
    const plan = planTakeover(session, holder, epoch)
    const { superseded } = plan
    const wasAway = superseded?.connectionId === null && !cleanStart
    const counted = superseded === undefined ? takeovers : countTakeover(takeovers, hub.port.limits, now)
    if ("retryAfterMs" in counted) throw tooManyTakeovers(hub, counted.retryAfterMs)
    if (superseded === undefined) takeRegistration(hub, session, identity, now)
    else if (cleanStart) endSuperseded(hub, superseded, session, now)
    else supersede(hub, superseded, session, identity, plan.registrationsPass, now)
    sessions.setIdentity(session, identity, plan.epoch, counted)
    if (superseded === undefined) hub.lifecycle.emit({ type: "claimed", identity })
    // A session that begins with its identity had no time to subscribe or watch without it.
    const moved = session.subscriptions === 0 ? [] : hub.topics.move(provisional, identity)
    if (session.watches !== 0) hub.watches.move(provisional, identity)
    const revived = hub.topics.revive(identity)
    session.subscriptions = undefined
    session.watches = undefined
    hub.announce(() => {
      // Who connects anew has no more to spend for it.
      const spent = hub.spentRates.take(identity)
      const connection = sessions.connectionOf(session)
      if (connection?.isAnonymous === true) {
        connection.isAnonymous = false
        connection.save()
      }
      if (spent !== undefined) connection?.rate.inherit(spent, now)
      if (wasAway) updatePresence(hub, session, true)
      for (const topic of moved) leavePresence(hub, topic, session, provisional)
      for (const topic of [...moved, ...revived]) {
        if (maySubscribe(session.claims, topic)) joinPresence(hub, topic, session)
      }
    })
  })
}

/** An address that leads elsewhere is nobody's here. */
export const rejectForeign = ({ peers }: HubState, address: Address.Address): void => {
  if (peers?.mayHold(address) !== false) return
  throw new Rejection("forbidden", `${address} is no address of this hub: its type leads elsewhere`)
}

/** Two programs that fight for an identity wear the hub out, and one another: both are slowed down. */
const tooManyTakeovers = (hub: HubState, retryAfterMs: number): Rejection => {
  const { maxTakeovers, abuseWindow } = hub.port.limits
  const message = `the identity was taken over ${maxTakeovers} times within ${abuseWindow / 1_000} s`
  const details = { retryAfter: retryAfterMs, retryAfterMs, limit: maxTakeovers }
  return new Rejection("rate_limited", message, details, CloseCode.RateLimited)
}

/** The loser ends with all that it had. */
const endSuperseded = (hub: HubState, loser: Session, winner: Session, now: number): void => {
  const connection = connectionOf(hub, loser)
  endSession(hub, loser, now)
  hub.announce(() => {
    logTakeover(hub, winner, loser)
    if (connection !== undefined) disconnectSuperseded(hub, loser, connection, now)
  })
}

/** The loser's registrations pass or end, then the loser itself ends. */
const supersede = (
  hub: HubState,
  loser: Session,
  winner: Session,
  identity: Address.Address,
  registrationsPass: boolean,
  now: number,
): void => {
  const connection = connectionOf(hub, loser)
  releaseConnection(hub, loser, now)
  const held = hub.registry.heldBy(loser)
  const passes = ({ address }: Registration): boolean => registrationsPass || address === identity
  for (const registration of held) {
    if (passes(registration)) {
      hub.registry.pass(registration, winner)
      hub.lifecycle.emit({ type: "registered", registration, session: winner, now })
    } else endAddress(hub, registration, "superseded", now)
  }
  const passing = new Set<string>([identity])
  for (const registration of held) if (passes(registration)) passing.add(registration.address)
  hub.outboxes.pass(loser, winner, ({ to }) => passing.has(to), now)
  hub.sessions.remove(loser)
  hub.announce(() => {
    logTakeover(hub, winner, loser)
    endAsks(hub, loser, now)
    if (connection !== undefined) disconnectSuperseded(hub, loser, connection, now)
    hub.outboxes.replay(winner, now)
    logEnd(hub, loser, "superseded", held.filter((registration) => !passes(registration)).length, now)
  })
}

/** The connection of a session that is about to be over: from then on only it knows of that. */
const connectionOf = (hub: HubState, session: Session): Connection | undefined => {
  const connection = hub.sessions.connectionOf(session)
  if (connection !== undefined) connection.session = session
  return connection
}

/** Another connection carries the identity now: this one is told, and closed 4409. */
export const disconnectSuperseded = (
  hub: HubState,
  session: Session,
  connection: Connection,
  now: number,
): void => {
  const message = "another connection took over this identity"
  disconnect(hub, connection, "duplicate_connection", CloseCode.Superseded, message, now)
  hub.logSession("old_session_closed", session, { connectionId: connection.id })
}

const logTakeover = (hub: HubState, winner: Session, { id }: Session): void =>
  hub.logSession("duplicate_connection_detected", winner, {
    supersededSessionId: id,
    oldSessionId: id,
    newSessionId: winner.id,
  })

/** An address that another session had registered becomes an identity: it moves, like any address. */
const takeRegistration = (hub: HubState, session: Session, identity: Address.Address, now: number): void => {
  const registration = hub.registry.get(identity)
  if (registration !== undefined && registration.sessionId !== session.id) moveAway(hub, registration, now)
}

/** Takes a registration from its holder, who is told and stays. */
export const moveAway = (hub: HubState, registration: Registration, now: number): void => {
  const { address, sessionId } = registration
  const holder = hub.sessions.byId(sessionId)
  const isLive = holder !== undefined && hub.registry.expiresAt(registration, holder, now) > now
  endAddress(hub, registration, isLive ? "superseded" : "expired", now)
  if (holder === undefined) return
  const payload = { actorAddress: address, reason: "superseded" }
  const unregistered = hubEnvelope("hub:unregistered", addressOf(holder), payload, now)
  hub.announce(() => hub.notify(holder, Envelope.reliably(unregistered)))
}
