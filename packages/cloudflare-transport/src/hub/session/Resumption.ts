/** A client comes back: whether it has its session again, and the step by which it has. */
import type { Connection } from "../../session/Connection.ts"
import { judgeResume, type ResumeVerdict } from "../../session/Resume.ts"
import type { Session } from "../../session/Session.ts"
import type { Resume } from "../../protocol/HubMessage.ts"
import { revokeForbidden } from "./Revocation.ts"
import type { Claim } from "./ConnectRequest.ts"
import type { HubState } from "../HubState.ts"
import { disconnectSuperseded } from "./IdentityClaim.ts"
import { releaseConnection } from "./Lifecycle.ts"
import { updatePresence } from "../features/TopicRequests.ts"

export const newResumeToken = (): string => crypto.randomUUID()

/** Whether the client that asks for this gets its session again. */
export const judge = (hub: HubState, resume: Resume, { identity }: Claim): ResumeVerdict => {
  const session = hub.sessions.byId(resume.sessionId)
  const known = identity === undefined || session !== undefined ? undefined : hub.sessions.claimOf(identity)
  return judgeResume(resume, {
    session,
    last: session === undefined ? 0 : hub.outboxes.of(session).last,
    identity,
    holder: known?.holder,
    formerly: known?.formerly ?? null,
  })
}

/** The session goes on, on this connection. One synchronous step, or nothing. */
export const resumeSession = (
  hub: HubState,
  connection: Connection,
  session: Session,
  claim: Claim,
  now: number,
): void => {
  const { resume } = claim
  const before = hub.sessions.connectionOf(session)
  const wasAway = session.connectionId === null
  hub.atomically(() => {
    releaseConnection(hub, session, now)
    // The one that was given last may never have come: the one that was shown now is good until it has.
    session.previousToken = resume!.resumeToken
    session.resumeToken = newResumeToken()
    session.epoch++
    session.connectionId = connection.id
    session.connection = connection
    session.graceUntil = null
    session.heardAt = now
    session.claims = claim.claims
    session.metadata = claim.metadata
    session.expirySeconds = claim.expirySeconds
    session.incoming.restart()
    const outbox = hub.outboxes.of(session)
    outbox.acknowledge(resume!.lastSeq)
    outbox.rewind()
    hub.sessions.resume(session)
    hub.registry.disarmLeases(session)
    hub.announce(() => {
      if (before !== undefined) disconnectSuperseded(hub, session, before, now)
      const spent = session.identity === null ? undefined : hub.spentRates.take(session.identity)
      if (spent !== undefined) connection.rate.inherit(spent, now)
      if (wasAway) updatePresence(hub, session, true)
      hub.logSession("session_resumed", session, { connectionId: connection.id })
    })
    revokeForbidden(hub, session, now)
  })
}
