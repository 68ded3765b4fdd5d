/** Requests about the session itself: heartbeat, farewell, figures. */
import { mayReadMetrics } from "../../auth/Authorization.ts"
import { CloseCode } from "../../protocol/CloseCode.ts"
import type { QueueStats } from "../../protocol/HubMessage.ts"
import { resumeSenders } from "../Backpressure.ts"
import type { Session } from "../../session/Session.ts"
import type { HubState } from "../HubState.ts"
import { closeConnection, endSession } from "./Lifecycle.ts"
import { readPayload } from "../readRequest.ts"
import { malformed, Rejection } from "../Rejection.ts"
import type { Incoming } from "../Incoming.ts"
import { type Answer, reply } from "../Requests.ts"

export const heartbeat = (request: Incoming): Answer => {
  const { timestamp } = readPayload("hub:heartbeat", request)
  return { payload: { timestamp, serverTime: request.now } }
}

/** The client goes for good: it is answered, then its connection closed and its session ended. */
export const disconnectRequest = (request: Incoming): undefined => {
  const { hub, connection, session, now } = request
  readPayload("hub:disconnect", request)
  reply(request, { payload: { acknowledged: true } })
  hub.logSession("disconnect_acknowledged", session, { connectionId: connection.id })
  closeConnection(hub, connection, CloseCode.Normal, "hub:disconnect")
  endSession(hub, session, now)
  return undefined
}

/** What the client has received, in all: so much less waits for it. Not answered. */
export const ack = (request: Incoming): undefined => {
  const { hub, connection, session, now } = request
  const { flow } = connection
  const { bytes, through, nonce } = readPayload("hub:ack", request)
  if (session.major === 0) return undefined
  if (flow.isOverstated(bytes)) {
    throw malformed(`"bytes" must be what came on this connection: ${flow.sent} bytes were sent on it`)
  }
  const takesMore = through > session.outAcked
  if (takesMore) acknowledge(hub, session, through, now)
  const { isNews, isProof, hasCaughtUp } = flow.acknowledge(bytes, nonce)
  // Whoever is sent much has much to acknowledge, and is not to be refused for it.
  if (takesMore || isNews) connection.rate.giveBack()
  // An eviction must not forget it: no acknowledgment says it again.
  if (isProof || hasCaughtUp) connection.save()
  if (hasCaughtUp) {
    hub.outboxes.replay(session, now)
    resumeSenders(hub, session, now)
  }
  return undefined
}

const acknowledge = (hub: HubState, session: Session, through: number, now: number): void => {
  const outbox = hub.outboxes.of(session)
  if (through > outbox.last)
    throw malformed(`"through" must be a number that was given: at most ${outbox.last}`)
  outbox.acknowledge(through)
  hub.sequences.acknowledged(session)
  hub.outboxes.replay(session, now)
}

export const queueStats = ({ hub, connection, session, now }: Incoming): Answer => {
  const { pauseThreshold, resumeThreshold } = hub.port.limits
  const seconds = Math.max(now - session.receivedSince, 1_000) / 1_000
  const payload: QueueStats = {
    queueDepth: connection.outgoing.length + (session.outbox?.count ?? 0),
    queueBytes: session.major === 1 ? connection.flow.unacknowledged : 0,
    processingRate: session.received / seconds,
    pauseThreshold,
    resumeThreshold,
  }
  return { payload }
}

export const metrics = ({ hub, session }: Incoming): Answer => {
  if (!mayReadMetrics(session.claims)) throw new Rejection("forbidden", 'metrics need the right "metrics"')
  return {
    payload: {
      // By the clock, as the frame that woke the object came in before its window began.
      ...hub.metrics.snapshot(hub.port.now()),
      sessions: hub.sessions.count(),
      registrations: hub.registry.count(),
    },
  }
}
