/** Requests about death watch: watch and unwatch. */
import type { Address } from "@signal-hub/actor-core"
import { mayWatch } from "../../auth/Authorization.ts"
import { readPayload } from "../readRequest.ts"
import { Rejection } from "../Rejection.ts"
import type { Incoming } from "../Incoming.ts"
import type { Answer } from "../Requests.ts"

/** Watches a registered address. Of one that is not, the answer is final: nothing follows. */
export const watch = (request: Incoming): Answer => {
  const { hub, now } = request
  const actorAddress = readWatch(request)
  const registered = hub.registry.holder(actorAddress, now) !== undefined
  if (registered) addWatch(request, actorAddress)
  return { payload: { actorAddress, registered } }
}

/** Whom the session may and wants to watch. */
export const readWatch = (request: Incoming): Address.Address => {
  const { actorAddress } = readPayload("hub:watch", request)
  if (!mayWatch(request.session.claims, actorAddress)) {
    throw new Rejection("forbidden", `the token does not allow to watch ${actorAddress}`)
  }
  return actorAddress
}

export const addWatch = ({ hub, session }: Incoming, actorAddress: Address.Address): void => {
  const { maxWatchesPerSession } = hub.port.limits
  if (hub.watches.countOf(session) >= maxWatchesPerSession) {
    throw new Rejection("too_many_subscriptions", `the session has ${maxWatchesPerSession} watches, its most`)
  }
  hub.watches.add(actorAddress, session)
}

export const readUnwatch = (request: Incoming): Address.Address =>
  readPayload("hub:unwatch", request).actorAddress

export const unwatch = (request: Incoming): Answer => {
  const { hub, session } = request
  const actorAddress = readUnwatch(request)
  hub.watches.remove(actorAddress, session)
  return { payload: { actorAddress } }
}
