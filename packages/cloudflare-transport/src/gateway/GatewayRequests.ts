/**
 * Requests as a gateway serves them. What is its own is done at once, by the hub's handlers; what that
 * causes elsewhere is waited for, so that an answer says what is so everywhere.
 */
import type { Peers } from "../hub/peers/Peers.ts"
import { closeConnection, endSession } from "../hub/session/Lifecycle.ts"
import { Rejection } from "../hub/Rejection.ts"
import { inOrder } from "../hub/ResponseOrder.ts"
import {
  putRegistration,
  readRegistration,
  type RegistrationWanted,
  renew,
  unregister,
} from "../hub/features/RegistryRequests.ts"
import { readPayload } from "../hub/readRequest.ts"
import type { Incoming } from "../hub/Incoming.ts"
import { type Answer, type Handler, Later } from "../hub/Requests.ts"
import { CloseCode } from "../protocol/CloseCode.ts"
import { hubEnvelope } from "../protocol/HubEnvelope.ts"
import { leaseUntil } from "../session/Liveness.ts"
import { gatewayBroadcast, gatewayDiscover, gatewayList } from "./DirectoryRequests.ts"
import type { GatewayPeers } from "./GatewayPeers.ts"
import { peerHandlers, rejectionOf } from "../hub/peers/PeerRequests.ts"
import { whenAll } from "../delivery/Pending.ts"
import { CallFailed } from "../delivery/Rpc.ts"
import { shardOf } from "../delivery/Shards.ts"
import { gatewayPresence, gatewayPublish, gatewaySubscribe, gatewayUnsubscribe } from "./TopicRequests.ts"

export const gatewayHandlers = (peers: GatewayPeers): Peers["handlers"] => ({
  ...peerHandlers(peers),
  "hub:disconnect": gatewayDisconnect(peers),
  "hub:register": gatewayRegister(peers),
  "hub:unregister": afterwards(peers, unregister),
  "hub:renew": afterwards(peers, renew),
  "hub:discover": gatewayDiscover(peers),
  "hub:list_actors": gatewayList(peers),
  "hub:broadcast": gatewayBroadcast(peers),
  "hub:subscribe": gatewaySubscribe(peers),
  "hub:unsubscribe": gatewayUnsubscribe(peers),
  "hub:publish": gatewayPublish(peers),
  "hub:presence": gatewayPresence(peers),
})

/** Does it here, and answers when what it caused elsewhere is done, or was tried and is remembered. */
export const afterwards =
  (peers: GatewayPeers, handler: (request: Incoming) => Answer): Handler =>
  (request) => {
    const { result, caused } = peers.during(() => handler(request))
    if (caused.length === 0) return result
    return new Later((settle) => whenAll(caused, () => settle(() => result)))
  }

/** The farewell is answered once nobody counts on the session any more. */
const gatewayDisconnect =
  (peers: GatewayPeers): Handler =>
  (request) => {
    const { hub, connection, session, from, envelope, now } = request
    readPayload("hub:disconnect", request)
    connection.parked = []
    inOrder(connection, () => {
      const { caused } = peers.during(() => endSession(hub, session, now))
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
  (peers: GatewayPeers): Handler =>
  (request) => {
    const { hub, session } = request
    const wanted = readRegistration(request)
    const { address } = wanted
    const isOwn = address === session.identity || hub.registry.get(address)?.sessionId === session.id
    if (isOwn) return afterwards(peers, (own) => putRegistration(own, wanted))(request)
    return new Later((settle) => claim(peers, request, wanted, settle), true)
  }

const claim = (
  peers: GatewayPeers,
  request: Incoming,
  wanted: RegistrationWanted,
  settle: (answer: Handler) => void,
): void => {
  const { hub, connection, session, now } = request
  const { address, capabilities, metadata, ttlSeconds } = wanted
  const { port } = peers
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
    const refused = (refusal: Rejection): void =>
      settle(() => {
        throw refusal
      })
    if (claimed instanceof CallFailed) return refused(rejectionOf(claimed))
    if (claimed === null) {
      return refused(new Rejection("address_in_use", `${address} is the identity of another session`))
    }
    if (hub.sessions.of(connection) !== session) {
      // Nobody is left to hold it; unless whoever took over has claimed it too.
      if (hub.registry.get(address) === undefined) peers.removeEntry(address, "disconnected")
      return settle(() => undefined)
    }
    settle((later) => peers.claiming(address, () => putRegistration(later, wanted, claimed.version)))
  })
}
