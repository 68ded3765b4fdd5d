/** Requests about topics: subscribe, unsubscribe, publish, presence. */
import { type Address, type Envelope, messageId } from "@signal-hub/actor-core"
import { mayPublish, maySeePresence, maySubscribe } from "../../auth/Authorization.ts"
import { decodeCursor, encodeCursor } from "../../protocol/Cursor.ts"
import {
  HUB_ADDRESS,
  type PresenceChange,
  type PresenceMember,
  type PresenceState,
} from "../../protocol/HubMessage.ts"
import type { Connection } from "../../session/Connection.ts"
import { addressOf, type Session } from "../../session/Session.ts"
import { deliverCopy } from "../Backpressure.ts"
import { copiesOf } from "../EncodeFailures.ts"
import { marked } from "../DeliveryMetadata.ts"
import type { HubState } from "../HubState.ts"
import { chargeRows, fitting } from "./Pages.ts"
import { readPayload } from "../readRequest.ts"
import { malformed, Rejection } from "../Rejection.ts"
import type { Incoming } from "../Incoming.ts"
import type { Answer } from "../Requests.ts"

export const subscribe = (request: Incoming): Answer => {
  const { hub, session } = request
  const { topic, durable, presence } = readPayload("hub:subscribe", request)
  if (!maySubscribe(session.claims, topic)) throw forbidden(`subscribe to "${topic}"`)
  const owner = addressOf(session)
  const before = hub.topics.get(topic).get(owner)
  const { maxSubscriptionsPerSession } = hub.port.limits
  if (before === undefined && hub.topics.countOf(session) >= maxSubscriptionsPerSession) {
    const message = `the session has ${maxSubscriptionsPerSession} subscriptions, its most`
    throw new Rejection("too_many_subscriptions", message)
  }
  const id = before?.id ?? crypto.randomUUID()
  hub.topics.put({ id, topic, owner, durable, presence }, session)
  if (before === undefined) joinPresence(hub, topic, session)
  else hub.lifecycle.emit({ type: "joined", topic, session })
  hub.logSession("subscription_added", session, {
    topic,
    owner,
    subscriptionId: id,
    durable,
    // Of a topic that is an object of its own, this one knows only its own part.
    ...(hub.peers === undefined && { subscriberCount: hub.topics.get(topic).size }),
  })
  return { payload: { topic, subscriptionId: id } }
}

export const unsubscribe = (request: Incoming): Answer => {
  const { hub, session } = request
  const owner = addressOf(session)
  const { subscriptionId: id } = readPayload("hub:unsubscribe", request, "subscriptionId")
  const topic =
    id === undefined ? readPayload("hub:unsubscribe", request, "topic").topic : hub.topics.topicOf(id, owner)
  if (topic === undefined) throw malformed('"subscriptionId" is not that of a subscription of this session')
  if (hub.topics.remove(topic, owner, session)) {
    leavePresence(hub, topic, session, owner)
    hub.logSession("subscription_removed", session, { topic, owner })
  }
  return { payload: { topic } }
}

/** A copy for each subscriber; a slow or absent one holds up nobody and is not waited for. */
export const publish = (request: Incoming): Answer => {
  const { hub, now } = request
  const { topic, copies } = readPublication(request)
  let subscriberCount = 0
  for (const { owner } of hub.topics.get(topic).values()) {
    const session = hub.owner(owner)
    if (session !== undefined && deliverCopy(hub, session, copies.copyFor(owner), now, copies)) {
      subscriberCount++
    }
  }
  return { payload: { topic, subscriberCount } }
}

/** What is to be published, and where. The copies differ in `to` alone. */
export const readPublication = (request: Incoming) => {
  const { session: publisher, from, envelope } = request
  const { topic, type, data } = readPayload("hub:publish", request)
  if (!mayPublish(publisher.claims, topic)) throw forbidden(`publish on "${topic}"`)
  const metadata = marked(envelope.metadata, { topic, publication: true, via: HUB_ADDRESS })
  const publication: Envelope.Envelope = {
    id: messageId(),
    from,
    to: HUB_ADDRESS,
    type,
    payload: data,
    pattern: "tell",
    correlationId: null,
    timestamp: envelope.timestamp,
    metadata,
    ttl: envelope.ttl,
    signature: envelope.signature,
  }
  return { topic, publication, copies: copiesOf(publication, request) }
}

export const presence = (request: Incoming): Answer => {
  const { connection, hub } = request
  const { topic, cursor } = readPresence(request)
  const { maxPageSize } = hub.port.limits
  const owners = hub.topics.page(topic, cursor, maxPageSize + 1)
  const page = owners.slice(0, maxPageSize)
  const present = page.flatMap((owner) => {
    const session = hub.owner(owner)
    return session === undefined ? [] : [memberOf(hub, session, owner)]
  })
  const members = fitting(present, hub.port.limits)
  const end = owners.length > maxPageSize ? page.at(-1) : undefined
  const next = members.length < present.length ? members.at(-1)!.actorAddress : end
  return presenceState(connection, topic, members, next, owners.length)
}

/** A page of members; `next`: where to go on after. */
export const presenceState = (
  connection: Connection,
  topic: string,
  members: ReadonlyArray<PresenceMember>,
  next: string | undefined,
  looked: number,
): Answer => {
  chargeRows(connection, looked)
  const payload: PresenceState =
    next === undefined
      ? { topic, members, hasMore: false }
      : { topic, members, hasMore: true, cursor: encodeCursor(next) }
  return { payload }
}

/** Whose presence is asked for, and after which member. */
export const readPresence = (request: Incoming) => {
  const { topic } = readPayload("hub:presence", request, "topic")
  if (!maySeePresence(request.session.claims, topic)) throw forbidden(`see who is on "${topic}"`)
  const { cursor = "" } = readPayload("hub:presence", request, "cursor")
  return { topic, cursor: decodeCursor(cursor) ?? "" }
}

const forbidden = (what: string): Rejection =>
  new Rejection("forbidden", `the token does not allow to ${what}`)

/** A member as others see it: with the metadata of its registration, else of its client. */
export const memberOf = (hub: HubState, session: Session, actorAddress: Address.Address): PresenceMember => ({
  ...changeOf(hub, session, actorAddress),
  isConnected: session.connectionId !== null,
})

const changeOf = (hub: HubState, session: Session, actorAddress: Address.Address): PresenceChange => ({
  actorAddress,
  metadata: hub.registry.get(actorAddress)?.metadata ?? session.metadata,
})

/** The session's connection is lost, or another one carries it: told to those who subscribed with presence. */
export const updatePresence = (hub: HubState, session: Session, isConnected: boolean): void => {
  if (session.subscriptions === 0) return
  const actorAddress = addressOf(session)
  for (const topic of hub.topics.namesOf(actorAddress)) {
    hub.lifecycle.emit({ type: "connection_changed", topic, owner: actorAddress, isConnected })
    if (hub.topics.get(topic).hasListeners) hub.presence.update(topic, { actorAddress, isConnected })
  }
}

/** Somebody joined: told to those who subscribed with presence. */
export const joinPresence = (hub: HubState, topic: string, session: Session): void => {
  hub.lifecycle.emit({ type: "joined", topic, session })
  if (!hub.topics.get(topic).hasListeners) return
  hub.presence.note(topic, "joined", changeOf(hub, session, addressOf(session)))
}

export const leavePresence = (
  hub: HubState,
  topic: string,
  session: Session,
  address: Address.Address,
): void => {
  hub.lifecycle.emit({ type: "left", topic, owner: address })
  noteLeft(hub, topic, session, address)
}

/** Somebody left, which whoever is elsewhere hears otherwise. */
export const noteLeft = (hub: HubState, topic: string, session: Session, address: Address.Address): void => {
  if (!hub.topics.get(topic).hasListeners) return
  hub.presence.note(topic, "left", changeOf(hub, session, address))
}
