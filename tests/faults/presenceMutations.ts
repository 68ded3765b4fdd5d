/** The mutations of what others see of a member whose connection is lost, or whose page is closed. */
import type { Mutation } from "./Mutation.ts"

const TRANSPORT = "cloudflare-transport"

const GATEWAY = `${TRANSPORT}/test/gateway/gateway.test.ts`
const PAGE_END = `${TRANSPORT}/test/client/pageEnd.test.ts`
const TOPICS = `${TRANSPORT}/test/hub/topics.test.ts`

export const PRESENCE_MUTATIONS: ReadonlyArray<Mutation> = [
  {
    fault: 79,
    breaks: "nobody hears that a member's connection is lost",
    file: `${TRANSPORT}/src/hub/session/Lifecycle.ts`,
    edits: [["  updatePresence(hub, session, false)\n", ""]],
    test: TOPICS,
  },
  {
    fault: 79,
    breaks: "a member that is back is shown as away",
    file: `${TRANSPORT}/src/hub/session/Resumption.ts`,
    edits: [["      if (wasAway) updatePresence(hub, session, true)\n", "      void wasAway\n"]],
    test: TOPICS,
  },
  {
    fault: 79,
    breaks: "all members are shown as connected",
    file: `${TRANSPORT}/src/hub/features/TopicRequests.ts`,
    edits: [["isConnected: session.connectionId !== null,", "isConnected: true,"]],
    test: TOPICS,
  },
  {
    fault: 79,
    breaks: "a topic forgets with its memory whose connection is lost",
    file: `${TRANSPORT}/src/topics/TopicCore.ts`,
    edits: [["isConnected: connected === 1,", "isConnected: connected >= 0,"]],
    test: GATEWAY,
  },
  {
    fault: 79,
    breaks: "a gateway tells no topic of a lost connection",
    file: `${TRANSPORT}/src/gateway/GatewayPeers.ts`,
    edits: [["if (this.#losses.delete(topic)) this.#tell", "if (!this.#losses.delete(topic)) this.#tell"]],
    test: GATEWAY,
  },
  {
    fault: 79,
    breaks: "a client whose page is closed says nothing",
    file: `${TRANSPORT}/src/client/Connection.ts`,
    edits: [["listenForPageEnd(() => channel.sayGoodbye())", "listenForPageEnd(() => void channel)"]],
    test: PAGE_END,
  },
  {
    fault: 79,
    breaks: "a page that may be shown again gives up its session",
    file: `${TRANSPORT}/src/client/Wakeups.ts`,
    edits: [["if (!persisted) ended()", "ended()"]],
    test: PAGE_END,
  },
  {
    fault: 79,
    breaks: "a stored session ends with its page",
    file: `${TRANSPORT}/src/client/Connection.ts`,
    edits: [["journal === undefined ? listenForPageEnd", "journal !== null ? listenForPageEnd"]],
    test: PAGE_END,
  },
]
