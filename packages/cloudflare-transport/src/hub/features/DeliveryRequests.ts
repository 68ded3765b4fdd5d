/** Requests that have the hub deliver: `hub:send` to one address, `hub:broadcast` to all registered. */
import { type Address, AddressPattern, type Envelope, messageId } from "@signal-hub/actor-core"
import { mayBroadcast, maySend } from "../../auth/Authorization.ts"
import { type BroadcastAck, type DeliveryAck, HUB_ADDRESS } from "../../protocol/HubMessage.ts"
import { admits, deliverCopy } from "../Backpressure.ts"
import { copiesOf } from "../EncodeFailures.ts"
import { marked } from "../DeliveryMetadata.ts"
import { likeThat } from "../Outboxes.ts"
import { chargeRows } from "./Pages.ts"
import { literalPrefix, type Registration } from "./Registry.ts"
import { readMetadata, readPayload } from "../readRequest.ts"
import { malformed, Rejection } from "../Rejection.ts"
import type { Incoming } from "../Incoming.ts"
import type { Answer } from "../Requests.ts"
import { inSlices } from "../TimeSlicing.ts"
import { unknownActor } from "../Router.ts"

/** A copy of what the request carries, for one receiver. */
export const copyFor = (
  to: Address.Address,
  { from, envelope }: Incoming,
  type: string,
  payload: unknown,
  metadata: Envelope.Metadata,
): Envelope.Envelope => ({
  id: messageId(),
  from,
  to,
  type,
  payload,
  pattern: "tell",
  correlationId: null,
  timestamp: envelope.timestamp,
  metadata,
  ttl: envelope.ttl,
  signature: envelope.signature,
})

export const send = (request: Incoming): Answer | undefined => {
  const { hub, envelope, now } = request
  const copy = readSend(request)
  const { to } = copy
  const target = hub.resolve(to, now)
  if (target === undefined) {
    if (isSilent(envelope)) hub.deadLetter(copy, "unknown_actor", now)
    else unknownActor(request, to)
    return undefined
  }
  if (!admits(request, target, to)) return undefined
  if (!hub.deliver(target, likeThat(copy, envelope), now)) {
    if (isSilent(envelope)) return undefined
    throw new Rejection("actor_terminated", `${to} has lost its connection`)
  }
  return sent(request, now, target.connectionId === null ? "queued" : "delivered")
}

/** Whether its sender does not hear that it was not delivered. */
const isSilent = ({ pattern, seq }: Envelope.Envelope): boolean => pattern === "tell" && seq === undefined

export const sent = (
  { envelope }: Incoming,
  deliveredAt: number,
  status: DeliveryAck["status"] = "delivered",
): Answer => {
  const payload: DeliveryAck = { messageId: envelope.id, deliveredAt, status }
  return { payload }
}

/** What is to be sent on behalf of the sender. */
export const readSend = (request: Incoming): Envelope.Envelope => {
  const { session, envelope } = request
  const { type, data, to = envelope.to } = readPayload("hub:send", request)
  if (to === HUB_ADDRESS) throw malformed('"to" must be the address of an actor, not of the hub')
  if (!maySend(session.claims, to))
    throw new Rejection("forbidden", `the token does not allow to send to ${to}`)
  const marks = { forwarded: true, via: HUB_ADDRESS, originalMessageId: envelope.id }
  const metadata = marked(envelope.metadata, marks)
  return copyFor(to, request, type, data, metadata)
}

/** One copy for each registered address that is meant. */
export const broadcast = (request: Incoming): Answer | undefined => {
  const { connection, hub, session, envelope } = request
  const { claims } = session
  const { type, payload, metadata, excludeSelf, capability, pattern } = readBroadcast(request)
  const isMeant = ({ address, sessionId }: Pick<Registration, "address" | "sessionId">): boolean =>
    !(excludeSelf && sessionId === session.id) &&
    (pattern === undefined || pattern.matches(address)) &&
    maySend(claims, address)
  const prefix = pattern === undefined || pattern.matchesAll ? "" : literalPrefix(pattern)
  let deliveredCount = 0
  let failedCount = 0
  let after = ""
  return inSlices(request, (now) => {
    const { broadcastSlice } = hub.port.limits
    const { found, next, looked } = hub.registry.page({
      prefix,
      after,
      limit: broadcastSlice,
      scan: broadcastSlice,
      now,
      isMeant,
      wanted: capability === undefined ? [] : [capability],
    })
    chargeRows(connection, looked)
    for (const { address, sessionId } of found) {
      // A session that was found to be gone at its first address is not there at its second.
      const receiver = hub.sessions.byId(sessionId)
      const copy = copyFor(address, request, type, payload, metadata)
      if (receiver !== undefined && deliverCopy(hub, receiver, copy, now)) deliveredCount++
      else failedCount++
    }
    if (next !== undefined) {
      after = next
      return undefined
    }
    const ack: BroadcastAck = { messageId: envelope.id, deliveredCount, failedCount, queuedCount: 0 }
    return { payload: ack }
  })
}

interface Broadcast {
  readonly type: string
  readonly payload: unknown
  /** Of each copy. */
  readonly metadata: Envelope.Metadata
  readonly excludeSelf: boolean
  readonly capability: string | undefined
  readonly pattern: AddressPattern.AddressPattern | undefined
}

/** What is to be broadcast, and to whom. */
export const readBroadcast = (request: Incoming): Broadcast => {
  const { session, envelope } = request
  if (!mayBroadcast(session.claims))
    throw new Rejection("forbidden", 'broadcasting needs the right "broadcast"')
  const { type, data: payload, excludeSelf } = readPayload("hub:broadcast", request)
  const { targetCapability: capability, targetPattern } = readMetadata("hub:broadcast", request)
  const pattern = targetPattern === undefined ? undefined : AddressPattern.compile(targetPattern)
  const metadata = marked(envelope.metadata, { broadcast: true, via: HUB_ADDRESS })
  copiesOf(copyFor(HUB_ADDRESS, request, type, payload, metadata), request)
  return { type, payload, metadata, excludeSelf, capability, pattern }
}
