/** Deliberate faults about ends: of connections, of subscriptions, and of what a client waits for. */
import type { Mutation } from "./Mutation.ts"

const SRC = "cloudflare-transport/src"
const BRIDGE = "cloudflare-transport/test/workerd/WebSocketBridge.test.ts"

const SHARED = "cloudflare-transport/test/client/shared.test.ts"
const CLOSING = "cloudflare-transport/test/client/closing.test.ts"
const MOUNTING = "cloudflare-transport/test/client/mounting.test.ts"
const ENDS = "cloudflare-transport/test/client/ends.test.ts"
const client = (file: string): string => `${SRC}/client/${file}.ts`

export const END_MUTATIONS: ReadonlyArray<Mutation> = [
  {
    fault: 57,
    breaks: "the options of the last holder replace those of the others",
    file: client("Wanted"),
    edits: [["entry.holders.filter((one) => one.isGranted || one === newcomer)", "entry.holders.slice(-1)"]],
    test: SHARED,
  },
  {
    fault: 57,
    breaks: "the options of a holder stay when it leaves",
    file: client("Wanted"),
    edits: [
      [
        "if (entry.holders.length > 0) return this.#advance(key, entry)",
        "if (entry.holders.length > 0) return",
      ],
    ],
    test: SHARED,
  },
  {
    fault: 57,
    breaks: "what several new holders want is asked for at once, and a refusal blames the wrong one",
    file: client("Wanted"),
    edits: [["one.isGranted || one === newcomer", "one !== undefined"]],
    test: SHARED,
  },
  {
    fault: 57,
    breaks: "the tags of a second registration replace those of the first",
    file: client("Wanted"),
    edits: [['field === "capabilities" &&', 'field === "" &&']],
    test: SHARED,
  },
  {
    fault: 58,
    breaks: "the end of a client is told to those alone who listen then",
    file: client("Emitter"),
    edits: [["if (!this.#isOver) return off", "return off"]],
    test: ENDS,
  },
  {
    fault: 58,
    breaks: "ready of a subscription that is let go waits for its time limit",
    file: client("Core"),
    edits: [["        letGo()\n        end()\n", "        letGo()\n"]],
    test: ENDS,
  },
  {
    fault: 58,
    breaks: "a watch that the hub has given up never ends",
    file: client("ActorWatch"),
    edits: [['if (type === "hub:watch" &&', 'if (type === "hub:register" &&']],
    test: ENDS,
  },
  {
    fault: 58,
    breaks: "of two who wait for a message to leave, one never hears that it has",
    file: client("ActorHost"),
    edits: [["          left?.()\n", ""]],
    test: ENDS,
  },
  {
    fault: 58,
    breaks: "a watch of a remote actor outlives the system that watches",
    file: "actor-core/src/DeathWatch.ts",
    edits: [['if (!isLetGo && Exit.isFailure(exit)) ended("closed")', ""]],
    test: "actor-core/test/DeathWatch.test.ts",
  },
  {
    fault: 58,
    breaks: "a watch of a virtual actor that does not run outlives its system",
    file: "actor-core/src/Runtime.ts",
    edits: [["    for (const kind of this.virtuals.values()) kind.end()\n", ""]],
    test: "actor-core/test/VirtualActors.test.ts",
  },
  {
    fault: 59,
    breaks: "an ask that fails at once leaves a listener at its abort signal",
    file: client("Hub"),
    edits: [["if (isOpen) signal?.", "signal?."]],
    test: ENDS,
  },
  {
    fault: 59,
    breaks: "a wait that is over at once leaves what it listens to",
    file: client("Timers"),
    edits: [["    if (isDone) stop()\n", ""]],
    test: ENDS,
  },
  {
    fault: 59,
    breaks: "an iteration that has ended already listens on",
    file: client("Emitter"),
    edits: [["    if (backlog.end === undefined) stops.push(off)\n    else off()", "    stops.push(off)"]],
    test: ENDS,
  },
  {
    fault: 59,
    breaks: "a client that has ended for good listens for wake-ups",
    file: client("Connection"),
    edits: [["      stopListening()\n      channel.ended.emit()", "      channel.ended.emit()"]],
    test: ENDS,
  },
  {
    fault: 60,
    breaks: "a client that is told to end delivers the rest of the frame",
    file: client("Receivers"),
    edits: [["    if (this.#isClosed) return false\n", ""]],
    test: CLOSING,
  },
  {
    fault: 60,
    breaks: "a client that is told to end delivers publications and events",
    file: client("Inbox"),
    edits: [["    this.#isClosed = true\n    this.messages.close()", "    this.messages.close()"]],
    test: CLOSING,
  },
  {
    fault: 60,
    breaks: "what is not delivered after close() is acknowledged",
    file: client("Receivers"),
    edits: [["    if (this.#isClosed) return false\n", "    if (this.#isClosed) return true\n"]],
    test: CLOSING,
  },
  {
    fault: 61,
    breaks: "clients of one identity connect in any order",
    file: client("Attempt"),
    edits: [["    yield* options.turn.wait(fetched.token)\n", ""]],
    test: MOUNTING,
  },
  {
    fault: 61,
    breaks: "clients with a token provider connect in the order in which their tokens come",
    file: client("ConnectTurn"),
    edits: [
      ["MAX_TOKEN_WAIT_MS = 2_000", "MAX_TOKEN_WAIT_MS = 0"],
      ["whenFirst(place, done))", "(done(), () => {}))"],
    ],
    test: MOUNTING,
  },
  {
    fault: 61,
    breaks: "a client that is told to close keeps its place in line",
    file: client("Connection"),
    edits: [["            turn.end()\n            finish(", "            finish("]],
    test: MOUNTING,
  },
  {
    fault: 62,
    breaks: "a connection that can't be closed so is marked closed before that is found",
    file: `${SRC}/bridge/SocketConnection.ts`,
    edits: [
      [
        "    if (violation !== undefined) {",
        '    this.state = "disconnected"\n    if (violation !== undefined) {',
      ],
    ],
    test: BRIDGE,
  },
  {
    fault: 62,
    breaks: "the platform judges a close once its state is stored",
    file: `${SRC}/bridge/SocketConnection.ts`,
    edits: [
      ["    if (violation !== undefined) {", "    if (violation === null) {"],
      ["    this.#closeSocket(code, reason)\n    if (this.state", "    this.save()\n    if (this.state"],
      [
        "    this.save()\n  }\n\n  /** Answers a heartbeat",
        "    this.save()\n    this.#closeSocket(code, reason)\n  }\n\n  /** Answers a heartbeat",
      ],
    ],
    test: BRIDGE,
  },
  {
    fault: 62,
    breaks: "a socket whose handler fails as it opens stays open with nobody at its other end",
    file: `${SRC}/bridge/WebSocketBridge.ts`,
    edits: [
      [
        "      connection.fail()\n      this.#handler.failed(error, connection)\n    }\n  }\n\n  /** A frame",
        "      throw error\n    }\n  }\n\n  /** A frame",
      ],
    ],
    test: BRIDGE,
  },
  {
    fault: 62,
    breaks: "a close on which the handler fails is not answered",
    file: `${SRC}/bridge/WebSocketBridge.ts`,
    edits: [
      [
        "    } finally {\n      answerClose(socket, code, reason)\n    }",
        "      answerClose(socket, code, reason)\n    } finally {}",
      ],
    ],
    test: BRIDGE,
  },
]
