/** Requests about death watch: watch and unwatch. */
import { mayWatch } from "../auth/Authorization.ts"
import * as Fields from "./Fields.ts"
import { Refusal } from "./Refusal.ts"
import type { Answer, Request } from "./Requests.ts"

/** Watches a registered address. Of one that is not, the answer is final: nothing follows. */
export const watch = ({ hub, session, envelope, now }: Request): Answer => {
  const actorAddress = Fields.address(Fields.fieldsOf(envelope.payload).actorAddress, "actorAddress")
  if (!mayWatch(session.claims, actorAddress)) {
    throw new Refusal("forbidden", `the token does not allow to watch ${actorAddress}`)
  }
  const registered = hub.registry.holder(actorAddress, now) !== undefined
  if (registered) {
    const { maxWatchesPerSession } = hub.host.limits
    if (hub.watches.countOf(session) >= maxWatchesPerSession) {
      throw new Refusal("too_many_subscriptions", `the session has ${maxWatchesPerSession} watches, its most`)
    }
    hub.watches.add(actorAddress, session)
  }
  return { payload: { actorAddress, registered } }
}

export const unwatch = ({ hub, session, envelope }: Request): Answer => {
  const actorAddress = Fields.address(Fields.fieldsOf(envelope.payload).actorAddress, "actorAddress")
  hub.watches.remove(actorAddress, session)
  return { payload: { actorAddress } }
}
