/** Requests about topics: subscribe, unsubscribe, publish, presence. */
import type { Address, Envelope } from "@signal-hub/actor-core"
import { mayPublish, maySeePresence, maySubscribe } from "../auth/Authorization.ts"
import { messageId } from "../protocol/MessageId.ts"
import { HUB_ADDRESS, type PresenceMember, type PresenceState } from "../protocol/HubMessage.ts"
import { Multicast } from "../session/Multicast.ts"
import { addressOf, type Session } from "../session/Session.ts"
import { deliverCopy } from "./Backpressure.ts"
import { marked } from "./Marks.ts"
import * as Fields from "./Fields.ts"
import type { HubState } from "./HubState.ts"
import { malformed, Refusal } from "./Refusal.ts"
import type { Answer, Request } from "./Requests.ts"

export const subscribe = ({ hub, session, envelope }: Request): Answer => {
  const fields = Fields.fieldsOf(envelope.payload)
  const topic = Fields.topic(fields.topic)
  const durable = Fields.optionalFlag(fields.durable, "durable")
  const presence = Fields.optionalFlag(fields.presence, "presence")
  if (!maySubscribe(session.claims, topic)) throw forbidden(`subscribe to "${topic}"`)
  const owner = addressOf(session)
  const before = hub.topics.get(topic).get(owner)
  const { maxSubscriptionsPerSession } = hub.host.limits
  if (before === undefined && hub.topics.countOf(session) >= maxSubscriptionsPerSession) {
    const message = `the session has ${maxSubscriptionsPerSession} subscriptions, its most`
    throw new Refusal("too_many_subscriptions", message)
  }
  const id = before?.id ?? crypto.randomUUID()
  hub.topics.put({ id, topic, owner, durable, presence }, session)
  if (before === undefined) joinPresence(hub, topic, session)
  else hub.elsewhere?.joined(topic, session)
  hub.logSession("subscription_added", session, { topic, owner, subscriptionId: id, durable })
  return { payload: { topic, subscriptionId: id } }
}

export const unsubscribe = ({ hub, session, envelope }: Request): Answer => {
  const fields = Fields.fieldsOf(envelope.payload)
  const owner = addressOf(session)
  const id = Fields.optionalText(fields.subscriptionId, "subscriptionId", 128)
  if (id === undefined && fields.topic === undefined) {
    throw malformed('"topic" or "subscriptionId" must say which subscription')
  }
  const topic = id === undefined ? Fields.topic(fields.topic) : hub.topics.topicOf(id, owner)
  if (topic === undefined) throw malformed('"subscriptionId" is not that of a subscription of this session')
  if (hub.topics.remove(topic, owner, session)) {
    leavePresence(hub, topic, session, owner)
    hub.logSession("subscription_removed", session, { topic, owner })
  }
  return { payload: { topic } }
}

/** A copy for each subscriber; a slow or absent one holds up nobody and is not waited for. */
export const publish = (request: Request): Answer => {
  const { hub, now } = request
  const { topic, publication } = readPublication(request)
  const copies = new Multicast(publication)
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
export const readPublication = ({ session: publisher, from, envelope }: Request) => {
  const fields = Fields.fieldsOf(envelope.payload)
  const topic = Fields.topic(fields.topic)
  const type = Fields.innerType(fields.type)
  if (!mayPublish(publisher.claims, topic)) throw forbidden(`publish on "${topic}"`)
  const metadata = marked(envelope.metadata, { topic, publication: true, via: HUB_ADDRESS })
  const publication: Envelope.Envelope = {
    id: messageId(),
    from,
    to: HUB_ADDRESS,
    type,
    payload: fields.data ?? null,
    pattern: "tell",
    correlationId: null,
    timestamp: envelope.timestamp,
    metadata,
    ttl: envelope.ttl,
    signature: envelope.signature,
  }
  return { topic, publication }
}

export const presence = (request: Request): Answer => {
  const { hub } = request
  const { topic, cursor } = readPresence(request)
  const { maxPageSize } = hub.host.limits
  const owners = hub.topics.page(topic, cursor, maxPageSize + 1)
  const members = owners.slice(0, maxPageSize).flatMap((owner) => {
    const session = hub.owner(owner)
    return session === undefined ? [] : [memberOf(hub, session, owner)]
  })
  const last = owners[maxPageSize - 1]
  const payload: PresenceState =
    owners.length > maxPageSize && last !== undefined
      ? { topic, members, hasMore: true, cursor: Fields.encodeCursor(last) }
      : { topic, members, hasMore: false }
  return { payload }
}

/** Whose presence is asked for, and after which member. */
export const readPresence = ({ session: asker, envelope }: Request) => {
  const fields = Fields.fieldsOf(envelope.payload)
  const topic = Fields.topic(fields.topic)
  if (!maySeePresence(asker.claims, topic)) throw forbidden(`see who is on "${topic}"`)
  return { topic, cursor: Fields.cursor(fields.cursor) }
}

const forbidden = (what: string): Refusal => new Refusal("forbidden", `the token does not allow to ${what}`)

/** A member as others see it: with the metadata of its registration, else of its client. */
export const memberOf = (hub: HubState, session: Session, actorAddress: Address.Address): PresenceMember => ({
  actorAddress,
  metadata: hub.registry.get(actorAddress)?.metadata ?? session.metadata,
})

/** Somebody joined: told to those who subscribed with presence. */
export const joinPresence = (hub: HubState, topic: string, session: Session): void => {
  hub.elsewhere?.joined(topic, session)
  if (!hub.topics.get(topic).hasListeners) return
  hub.presence.note(topic, "joined", memberOf(hub, session, addressOf(session)))
}

export const leavePresence = (
  hub: HubState,
  topic: string,
  session: Session,
  address: Address.Address,
): void => {
  hub.elsewhere?.left(topic, address)
  noteLeft(hub, topic, session, address)
}

/** Somebody left, which whoever is elsewhere hears otherwise. */
export const noteLeft = (hub: HubState, topic: string, session: Session, address: Address.Address): void => {
  if (!hub.topics.get(topic).hasListeners) return
  hub.presence.note(topic, "left", memberOf(hub, session, address))
}
