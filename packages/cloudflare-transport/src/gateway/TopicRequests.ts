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
import * as Fields from "../hub/Fields.ts"
import { afterwards } from "./GatewayRequests.ts"
import { refusalOf } from "../hub/peers/NeighborRequests.ts"
import type { Outside } from "./Outside.ts"
import { whenAll } from "../delivery/Pending.ts"
import { CallFailed } from "../delivery/Rpc.ts"

/** The subscription is there at once; where the topic can't be told, it is taken back. */
export const gatewaySubscribe =
  (outside: Outside): Handler =>
  (request) => {
    const { hub, session } = request
    const topic = Fields.topic(Fields.fieldsOf(request.envelope.payload).topic)
    const { result, caused } = outside.during(() => subscribe(request))
    return new Later((settle) =>
      whenAll(caused, ([joined]) => {
        if (joined instanceof CallFailed) {
          hub.topics.remove(topic, addressOf(session), session)
          // It may have been told all the same.
          outside.released(addressOf(session), [topic], [])
        }
        settle(() => {
          if (joined instanceof CallFailed) throw refusalOf(joined)
          return result
        })
      }),
    )
  }

/** A topic that was not told finds out when it next delivers. */
export const gatewayUnsubscribe = (outside: Outside): Handler => afterwards(outside, unsubscribe)

export const gatewayPublish =
  (outside: Outside): Handler =>
  (request) => {
    const { topic, publication } = readPublication(request)
    const published = outside.topic(topic, { do: "publish", envelope: publication })
    return new Later((settle) =>
      published.whenDone((result) =>
        settle(() => {
          if (result instanceof CallFailed) throw refusalOf(result)
          return { payload: { topic, subscriberCount: result.count } }
        }),
      ),
    )
  }

export const gatewayPresence =
  (outside: Outside): Handler =>
  (request) => {
    const { topic, cursor } = readPresence(request)
    const { port } = outside
    return new Later((settle) =>
      port.call("topic", topic, "members", [cursor, port.limits.maxPageSize], true, (page) =>
        settle(() => {
          if (page instanceof CallFailed) throw refusalOf(page)
          const { members, next } = page
          return presenceState(request.connection, topic, members, next ?? undefined, members.length)
        }),
      ),
    )
  }
