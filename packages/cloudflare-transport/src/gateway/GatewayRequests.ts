/**
 * Requests as a gateway serves them. What is its own is done at once, by the hub's handlers; what that
 * causes elsewhere is waited for, so that an answer says what is so everywhere.
 */
import type { Elsewhere } from "../hub/peers/Elsewhere.ts"
import { closeConnection, endSession } from "../hub/session/Lifecycle.ts"
import { Refusal } from "../hub/Refusal.ts"
import { inOrder } from "../hub/Replies.ts"
import {
  putRegistration,
  readRegistration,
  type RegistrationWanted,
  renew,
  unregister,
} from "../hub/features/RegistryRequests.ts"
import type { Incoming } from "../hub/Incoming.ts"
import { type Answer, type Handler, Later } from "../hub/Requests.ts"
import * as Fields from "../hub/Fields.ts"
import { CloseCode } from "../protocol/CloseCode.ts"
import { hubEnvelope } from "../protocol/HubEnvelope.ts"
import { leaseUntil } from "../session/Liveness.ts"
import { gatewayBroadcast, gatewayDiscover, gatewayList } from "./DirectoryRequests.ts"
import type { Outside } from "./Outside.ts"
import { neighborHandlers, refusalOf } from "../hub/peers/NeighborRequests.ts"
import { whenAll } from "../delivery/Pending.ts"
import { CallFailed } from "../delivery/Rpc.ts"
import { shardOf } from "../delivery/Shards.ts"
import { gatewayPresence, gatewayPublish, gatewaySubscribe, gatewayUnsubscribe } from "./TopicRequests.ts"

export const gatewayHandlers = (outside: Outside): Elsewhere["handlers"] => ({
  ...neighborHandlers(outside),
  "hub:disconnect": gatewayDisconnect(outside),
  "hub:register": gatewayRegister(outside),
  "hub:unregister": afterwards(outside, unregister),
  "hub:renew": afterwards(outside, renew),
  "hub:discover": gatewayDiscover(outside),
  "hub:list_actors": gatewayList(outside),
  "hub:broadcast": gatewayBroadcast(outside),
  "hub:subscribe": gatewaySubscribe(outside),
  "hub:unsubscribe": gatewayUnsubscribe(outside),
  "hub:publish": gatewayPublish(outside),
  "hub:presence": gatewayPresence(outside),
})

/** Does it here, and answers when what it caused elsewhere is done, or was tried and is remembered. */
export const afterwards =
  (outside: Outside, handler: (request: Incoming) => Answer): Handler =>
  (request) => {
    const { result, caused } = outside.during(() => handler(request))
    if (caused.length === 0) return result
    return new Later((settle) => whenAll(caused, () => settle(() => result)))
  }

/** The farewell is answered once nobody counts on the session any more. */
const gatewayDisconnect =
  (outside: Outside): Handler =>
  (request) => {
    const { hub, connection, session, from, envelope, now } = request
    Fields.optionalText(Fields.fieldsOf(envelope.payload).reason, "reason", 256)
    connection.parked = []
    inOrder(connection, () => {
      const { caused } = outside.during(() => endSession(hub, session, now))
      whenAll(caused, () => {
        // Of a session that is over: known from the connection alone.
        const payload = { acknowledged: true }
        connection.send(hubEnvelope("hub:disconnect", from, payload, hub.port.now(), envelope.id))
        closeConnection(hub, connection, CloseCode.Normal, "hub:disconnect")
      })
    })
    return undefined
  }

/** The gateway's own address needs nobody; another is claimed from the directory. */
const gatewayRegister =
  (outside: Outside): Handler =>
  (request) => {
    const { hub, session } = request
    const wanted = readRegistration(request)
    const { address } = wanted
    const isOwn = address === session.identity || hub.registry.get(address)?.sessionId === session.id
    if (isOwn) return afterwards(outside, (own) => putRegistration(own, wanted))(request)
    return new Later((settle) => claim(outside, request, wanted, settle), true)
  }

const claim = (
  outside: Outside,
  request: Incoming,
  wanted: RegistrationWanted,
  settle: (answer: Handler) => void,
): void => {
  const { hub, connection, session, now } = request
  const { address, capabilities, metadata, ttlSeconds } = wanted
  const { port } = outside
  const { identity, limits } = port
  const expiresAt = leaseUntil(now, ttlSeconds, limits)
  const entry = {
    address,
    actorAddress: address,
    capabilities,
    metadata,
    registeredAt: now,
    expiresAt,
    version: 1,
  }
  port.call("directory", shardOf(address), "claim", [entry, identity], true, (claimed) => {
    const refused = (refusal: Refusal): void =>
      settle(() => {
        throw refusal
      })
    if (claimed instanceof CallFailed) return refused(refusalOf(claimed))
    if (claimed === null) {
      return refused(new Refusal("address_in_use", `${address} is the identity of another session`))
    }
    if (hub.sessions.of(connection) !== session) {
      // Nobody is left to hold it; unless whoever took over has claimed it too.
      if (hub.registry.get(address) === undefined) outside.unregistered(address, "disconnected")
      return settle(() => undefined)
    }
    settle((later) => outside.claiming(address, () => putRegistration(later, wanted, claimed.version)))
  })
}
