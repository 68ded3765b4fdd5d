/**
 * Requests as a gateway serves them. What is its own is done at once, by the hub's handlers; what that
 * causes elsewhere is waited for, so that an answer says what is so everywhere.
 */
import type { Address } from "@signal-hub/actor-core"
import { sent, readSend, send } from "../hub/DeliveryRequests.ts"
import type { Elsewhere } from "../hub/Elsewhere.ts"
import { closeConnection, endSession } from "../hub/Lifecycle.ts"
import { Refusal } from "../hub/Refusal.ts"
import {
  putRegistration,
  readRegistration,
  type RegistrationWanted,
  renew,
  unregister,
} from "../hub/RegistryRequests.ts"
import { type Answer, type Handler, Later, type Request } from "../hub/Requests.ts"
import { unknownActor } from "../hub/Router.ts"
import { addWatch, readUnwatch, readWatch, unwatch, watch } from "../hub/WatchRequests.ts"
import * as Fields from "../hub/Fields.ts"
import { CloseCode } from "../protocol/CloseCode.ts"
import { hubEnvelope } from "../protocol/HubEnvelope.ts"
import { leaseUntil } from "../session/Liveness.ts"
import { gatewayBroadcast, gatewayDiscover, gatewayList } from "./DirectoryRequests.ts"
import type { Outside } from "./Outside.ts"
import { whenAll } from "./Pending.ts"
import { CallFailed } from "./Rpc.ts"
import { shardOf } from "./Shards.ts"
import { gatewayPresence, gatewayPublish, gatewaySubscribe, gatewayUnsubscribe } from "./TopicRequests.ts"

export const gatewayHandlers = (outside: Outside): Elsewhere["handlers"] => ({
  "hub:disconnect": gatewayDisconnect(outside),
  "hub:register": gatewayRegister(outside),
  "hub:unregister": afterwards(outside, unregister),
  "hub:renew": afterwards(outside, renew),
  "hub:discover": gatewayDiscover(outside),
  "hub:list_actors": gatewayList(outside),
  "hub:send": gatewaySend(outside),
  "hub:broadcast": gatewayBroadcast(outside),
  "hub:subscribe": gatewaySubscribe(outside),
  "hub:unsubscribe": gatewayUnsubscribe(outside),
  "hub:publish": gatewayPublish(outside),
  "hub:presence": gatewayPresence(outside),
  "hub:watch": gatewayWatch(outside),
  "hub:unwatch": gatewayUnwatch(outside),
})

/** Why a call failed, as the refusal of the request that needed it. */
export const refusalOf = ({ code, message }: CallFailed): Refusal =>
  new Refusal(code === "actor_failed" ? "internal_error" : code, message)

/** Does it here, and answers when what it caused elsewhere is done, or was tried and is remembered. */
export const afterwards =
  (outside: Outside, handler: (request: Request) => Answer): Handler =>
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
    hub.replies.inOrder(connection, () => {
      const { caused } = outside.during(() => endSession(hub, session, now))
      whenAll(caused, () => {
        // Of a session that is over: known from the connection alone.
        const payload = { acknowledged: true }
        connection.send(hubEnvelope("hub:disconnect", from, payload, hub.host.now(), envelope.id))
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
  request: Request,
  wanted: RegistrationWanted,
  settle: (answer: Handler) => void,
): void => {
  const { hub, connection, session, now } = request
  const { address, capabilities, metadata, ttlSeconds } = wanted
  const { host } = outside
  const { identity, limits } = host
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
  host.call("directory", shardOf(address), "claim", [entry, identity], true, (claimed) => {
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

/** Sends on behalf of the sender, and says whether it arrived. */
const gatewaySend =
  (outside: Outside): Handler =>
  (request) => {
    const { hub, envelope, now } = request
    const copy = readSend(request)
    if (hub.resolve(copy.to, now) !== undefined) return send(request)
    if (envelope.pattern === "tell") {
      outside.send(copy, now)
      return undefined
    }
    return new Later((settle) =>
      outside.outbound.deliver({ envelope: copy }, now, (failed) =>
        settle((later) => {
          if (failed === undefined) return sent(later, later.now)
          const { code, message } = failed
          if (code !== "unknown_actor") {
            throw new Refusal(
              code === "actor_failed" || code === "not_subscribed" ? "actor_terminated" : code,
              message,
            )
          }
          return unknown(later, copy.to)
        }),
      ),
    )
  }

const unknown = ({ hub, session, from, envelope, now }: Request, to: Address.Address): undefined => {
  unknownActor(hub, session, from, envelope, now, to)
  return undefined
}

/** The watch is known here before it is elsewhere: what is told meanwhile is not missed. */
const gatewayWatch =
  (outside: Outside): Handler =>
  (request) => {
    const { hub, session, now } = request
    const actorAddress = readWatch(request)
    if (actorAddress === session.identity || hub.registry.holder(actorAddress, now) !== undefined) {
      return watch(request)
    }
    addWatch(request, actorAddress)
    const { identity, isIdentity } = outside.host
    return new Later((settle) => {
      const watching = (registered: boolean | void | CallFailed): void => {
        if (registered !== true) hub.watches.remove(actorAddress, session)
        settle(() => {
          if (registered instanceof CallFailed) throw refusalOf(registered)
          return { payload: { actorAddress, registered: registered === true } }
        })
      }
      // The gateway of that name first, then the directory, as for all that is sent there.
      outside.control(actorAddress, "watch", [actorAddress, identity]).whenDone((registered) => {
        if (registered !== false || !isIdentity(actorAddress)) watching(registered)
        else outside.watches("watch", actorAddress).whenDone(watching)
      })
    })
  }

const gatewayUnwatch =
  (outside: Outside): Handler =>
  (request) => {
    const actorAddress = readUnwatch(request)
    outside.unwatched([actorAddress])
    return unwatch(request)
  }
