/** New claims hold from the moment that they are there, also for what was granted under the ones before. */
import { Envelope } from "@signal-hub/actor-core/vocabulary"
import { mayRegister, maySubscribe, mayWatch } from "../../auth/Authorization.ts"
import { hubEnvelope } from "../../protocol/HubEnvelope.ts"
import { addressOf, type Session } from "../../session/Session.ts"
import type { HubState } from "../HubState.ts"
import { endAddress } from "./Lifecycle.ts"
import { leavePresence } from "../features/TopicRequests.ts"

/** Ends the session's registrations, subscriptions and watches that its claims don't allow; it is told. */
export const revokeForbidden = (hub: HubState, session: Session, now: number): void => {
  const { claims } = session
  if (claims === null) return
  const owner = addressOf(session)
  for (const registration of hub.registry.heldBy(session)) {
    if (mayRegister(claims, registration.address)) continue
    endAddress(hub, registration, "unregistered", now)
    const payload = { actorAddress: registration.address, reason: "forbidden" }
    const unregistered = Envelope.reliably(hubEnvelope("hub:unregistered", owner, payload, now))
    hub.announce(() => void hub.deliver(session, unregistered, now))
  }
  const tell = (message: string, details: { readonly [field: string]: unknown }): void =>
    hub.announce(() =>
      hub.reject({ session, from: owner, envelope: null, now }, "forbidden", message, details),
    )
  for (const topic of claims.subscribe === null ? [] : hub.topics.namesOf(owner)) {
    if (maySubscribe(claims, topic)) continue
    hub.topics.remove(topic, owner, session)
    hub.announce(() => leavePresence(hub, topic, session, owner))
    tell(`the subscription to "${topic}" ended: the token does not allow it`, { topic })
  }
  for (const actorAddress of claims.send === null ? [] : hub.watches.targetsOf(owner)) {
    if (mayWatch(claims, actorAddress)) continue
    hub.watches.remove(actorAddress, session)
    tell(`the watch of ${actorAddress} ended: the token does not allow it`, { actorAddress })
  }
}
