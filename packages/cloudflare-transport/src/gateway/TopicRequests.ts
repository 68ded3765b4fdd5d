/** Requests about topics, as a gateway serves them: it knows its own subscriptions, the topic's object all. */
import type { Handler } from "../hub/Requests.ts"
import { Later } from "../hub/Requests.ts"
import {
  presenceState,
  readPresence,
  readPublication,
  subscribe,
  unsubscribe,
} from "../hub/features/TopicRequests.ts"
import { addressOf } from "../session/Session.ts"
import { readPayload } from "../hub/readRequest.ts"
import { afterwards } from "./GatewayRequests.ts"
import { rejectionOf } from "../hub/peers/PeerRequests.ts"
import type { GatewayPeers } from "./GatewayPeers.ts"
import { whenAll } from "../delivery/Pending.ts"
import { CallFailed } from "../delivery/Rpc.ts"

/** The subscription is there at once; where the topic can't be told, it is taken back. */
export const gatewaySubscribe =
  (peers: GatewayPeers): Handler =>
  (request) => {
    const { hub, session } = request
    const { topic } = readPayload("hub:subscribe", request, "topic")
    const { result, caused } = peers.during(() => subscribe(request))
    return new Later((settle) =>
      whenAll(caused, ([joined]) => {
        if (joined instanceof CallFailed) {
          hub.topics.remove(topic, addressOf(session), session)
          // It may have been told all the same.
          peers.release(addressOf(session), [topic], [])
        }
        settle(() => {
          if (joined instanceof CallFailed) throw rejectionOf(joined)
          return result
        })
      }),
    )
  }

/** A topic that was not told finds out when it next delivers. */
export const gatewayUnsubscribe = (peers: GatewayPeers): Handler => afterwards(peers, unsubscribe)

export const gatewayPublish =
  (peers: GatewayPeers): Handler =>
  (request) => {
    const { topic, publication } = readPublication(request)
    const published = peers.topic(topic, { do: "publish", envelope: publication })
    return new Later((settle) =>
      published.whenDone((result) =>
        settle(() => {
          if (result instanceof CallFailed) throw rejectionOf(result)
          return { payload: { topic, subscriberCount: result.count } }
        }),
      ),
    )
  }

export const gatewayPresence =
  (peers: GatewayPeers): Handler =>
  (request) => {
    const { topic, cursor } = readPresence(request)
    const { port } = peers
    return new Later((settle) =>
      port.call("topic", topic, "members", [cursor, port.limits.maxPageSize], true, (page) =>
        settle(() => {
          if (page instanceof CallFailed) throw rejectionOf(page)
          const { members, next } = page
          return presenceState(request.connection, topic, members, next ?? undefined, members.length)
        }),
      ),
    )
  }
