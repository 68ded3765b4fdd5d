/** Deliberate faults about what sockets leave behind, and about how many of them end. */
import type { Mutation } from "./Mutation.ts"

const SRC = "cloudflare-transport/src"
const SOCKETS = "cloudflare-transport/test/workerd/sockets.test.ts"

export const SOCKET_MUTATIONS: ReadonlyArray<Mutation> = [
  {
    fault: 52,
    breaks: "who never connects stays until a sweep comes by",
    file: `${SRC}/hub/session/PendingConnections.ts`,
    edits: [
      ["if (this.#cancelTimer !== undefined || oldest === undefined) return", "if (oldest !== null) return"],
    ],
    test: SOCKETS,
  },
  {
    fault: 72,
    breaks: "a hub or gateway that nobody needs keeps its database",
    file: `${SRC}/hub/peers/ActorRpcServer.ts`,
    edits: [["if (core.isEmpty) storage.forget(() => core.hub.forget())", ""]],
    test: SOCKETS,
  },
  {
    fault: 72,
    breaks: "the alarm that looks for silent sockets outlives the last of them",
    file: `${SRC}/hub/HubCore.ts`,
    edits: [
      ["this.state.alarm.rearm(undefined)", ""],
      ["if (!this.#pending.isEmpty || !this.state.sessions.isEmpty) return", "return"],
    ],
    test: SOCKETS,
  },
  {
    fault: 72,
    breaks: "what is stored goes before an epoch is a week old",
    file: `${SRC}/hub/peers/ActorsCore.ts`,
    edits: [['"identity",', ""]],
    test: SOCKETS,
  },
  {
    fault: 72,
    breaks: "a durable subscription goes with all else that a hub has stored",
    file: `${SRC}/hub/peers/ActorsCore.ts`,
    edits: [['"subscription",', ""]],
    test: SOCKETS,
  },
  {
    fault: 72,
    breaks: "nothing wakes a hub to forget the epochs of who is gone",
    file: `${SRC}/hub/Alarm.ts`,
    edits: [["if (nextSweep === undefined)", "if (nextSweep === 0)"]],
    test: SOCKETS,
  },
  {
    fault: 73,
    breaks: "sockets whose clients do not answer the close are not counted",
    file: `${SRC}/bridge/WebSocketBridge.ts`,
    edits: [["closing: () => void this.#closing++,", "closing: () => {},"]],
    test: SOCKETS,
  },
  {
    fault: 73,
    breaks: "an object that slept forgets the sockets that are still closing",
    file: `${SRC}/bridge/WebSocketBridge.ts`,
    edits: [["if (this.#connectionOf(socket)?.isClosing === true) this.#closing++", ""]],
    test: SOCKETS,
  },
  {
    fault: 73,
    breaks: "a closed socket that is gone at last counts for ever",
    file: `${SRC}/bridge/WebSocketBridge.ts`,
    edits: [["if (connection.isClosing) this.#closing = Math.max(0, this.#closing - 1)", ""]],
    test: SOCKETS,
  },
  {
    fault: 73,
    breaks: "who has a token is turned away with those who have none",
    file: `${SRC}/bridge/WebSocketBridge.ts`,
    edits: [["if (claims === null && this.#isFull())", "if (this.#isFull())"]],
    test: SOCKETS,
  },
  {
    fault: 73,
    breaks: "the Worker's own refusals have no bound",
    file: `${SRC}/worker/Refusals.ts`,
    edits: [["this.#closing++", ""]],
    test: SOCKETS,
  },
  {
    fault: 74,
    breaks: "each lost socket is a commit of its own",
    file: `${SRC}/hub/HubCore.ts`,
    edits: [["if (!hasSession || !this.#ingress.leavesInCrowd()) return this.#lost", "return this.#lost"]],
    test: SOCKETS,
  },
  {
    fault: 74,
    breaks: "each farewell is a commit of its own",
    file: `${SRC}/hub/IngressQueue.ts`,
    edits: [['if (type === "hub:disconnect") return this.leavesInCrowd()', ""]],
    test: SOCKETS,
  },
]
