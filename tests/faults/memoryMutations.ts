/** The mutations of what one client may cost a hub in memory. In the order of their numbers. */
import type { Mutation } from "./Mutation.ts"

const TRANSPORT = "cloudflare-transport"

const BACKPRESSURE = `${TRANSPORT}/test/hub/backpressure.test.ts`
const FLOW_TEST = `${TRANSPORT}/test/session/Flow.test.ts`
const LANES = `${TRANSPORT}/test/gateway/Lanes.test.ts`
const MEMORY = `${TRANSPORT}/test/hub/memory.test.ts`
const WORKERD_LIMITS = `${TRANSPORT}/test/workerd/limits.test.ts`

const FLOW = `${TRANSPORT}/src/session/Flow.ts`
const hub = (file: string): string => `${TRANSPORT}/src/hub/${file}.ts`

export const MEMORY_MUTATIONS: ReadonlyArray<Mutation> = [
  {
    fault: 70,
    breaks: "a from of any length is taken",
    file: "actor-core/src/Envelope.ts",
    edits: [['if (typeof from === "string" && !isAddressSized(from))', "if (false)"]],
    test: "actor-core/test/Envelope.test.ts",
  },
  {
    fault: 70,
    breaks: "a from that the session does not hold is remembered as the name of nobody",
    file: hub("features/Registry"),
    edits: [
      [
        "if (known === undefined && !this.#hasRow(address)) return false",
        "if (known === undefined && this.get(address) === undefined) return false",
      ],
      ["if (this.countOf(session) === 0) return false", ""],
    ],
    test: MEMORY,
  },
  {
    fault: 70,
    breaks: "a dead letter keeps the from that its sender wrote",
    file: hub("Router"),
    edits: [
      [
        'hub.deadLetter(withFrom(envelope, from), "unknown_actor", now)',
        'hub.deadLetter(envelope, "unknown_actor", now)',
      ],
    ],
    test: MEMORY,
  },
  {
    fault: 71,
    breaks: "what is reliable goes to a reader that reads nothing",
    file: `${TRANSPORT}/src/session/Outbox.ts`,
    edits: [["if (connection?.flow.slow === true && ", "if (connection === null && "]],
    test: BACKPRESSURE,
  },
  {
    fault: 71,
    breaks: "a reader of 0.x is not measured",
    file: FLOW,
    edits: [
      [
        "  countUnheard(bytes: number): void {\n    this.sent += bytes",
        "  countUnheard(bytes: number): void {\n    void bytes",
      ],
    ],
    test: BACKPRESSURE,
  },
  {
    fault: 71,
    breaks: "the same ping of a reader of 0.x counts again each time that it is looked at",
    file: FLOW,
    edits: [["if (pingedAt === this.pingSeenAt) return", "if (pingedAt === 0) return"]],
    test: FLOW_TEST,
  },
  {
    fault: 71,
    breaks: "a reader of 0.x that pings is closed nevertheless",
    file: `${TRANSPORT}/src/bridge/SocketConnection.ts`,
    edits: [
      ["if (this.major !== 1) this.flow.look(this.pingedAt())", ""],
      ["if (flow.isCheckDue(bytes)) flow.look(this.pingedAt())", ""],
    ],
    test: WORKERD_LIMITS,
  },
  {
    fault: 77,
    breaks: "what is acknowledged counts, read or not",
    file: FLOW,
    edits: [["Math.min(bytes, this.proven + this.#interval)", "bytes"]],
    test: FLOW_TEST,
  },
  {
    fault: 77,
    breaks: "more than was sent may be acknowledged",
    file: FLOW,
    edits: [["return bytes > this.sent + this.maxUnsaved", "return bytes < 0"]],
    test: BACKPRESSURE,
  },
  {
    fault: 77,
    breaks: "a probe that was answered is forgotten over an eviction",
    file: hub("session/SessionRequests"),
    edits: [["if (isProof || hasCaughtUp) connection.save()", "if (hasCaughtUp) void 0"]],
    test: BACKPRESSURE,
  },
  {
    fault: 77,
    breaks: "a probe is forgotten over an eviction",
    file: `${TRANSPORT}/src/bridge/SocketConnection.ts`,
    edits: [["probes: this.flow.probes,", "probes: [],"]],
    test: WORKERD_LIMITS,
  },
  {
    fault: 77,
    breaks: "the client keeps the nonce of a probe to itself",
    file: `${TRANSPORT}/src/client/Inbox.ts`,
    edits: [
      [
        'if (type === "hub:probe") return void (this.#acks.nonce = nonce)',
        'if (type === "hub:probe") return',
      ],
    ],
    test: `${TRANSPORT}/test/client/backpressure.test.ts`,
  },
  {
    fault: 70,
    breaks: "what waits for all slow readers together has no bound",
    file: `${TRANSPORT}/src/session/Backlog.ts`,
    edits: [["return this.#counted + this.#limits.maxMessageSize > this.#limits.maxBacklog", "return false"]],
    test: BACKPRESSURE,
  },
  {
    fault: 70,
    breaks: "what waited for slow readers before an eviction is not counted",
    file: `${TRANSPORT}/src/session/Backlog.ts`,
    edits: [["      this.#wakeAll()\n", ""]],
    test: BACKPRESSURE,
  },
  {
    fault: 70,
    breaks: "a slow reader may ask for more and more while too much waits for all of them",
    file: `${TRANSPORT}/src/session/Flow.ts`,
    edits: [["this.#backlog.isOver &&", "false &&"]],
    test: BACKPRESSURE,
  },
  {
    fault: 70,
    breaks: "a line to another object takes any number of bytes",
    file: `${TRANSPORT}/src/delivery/Lanes.ts`,
    edits: [[" || lane.bytes >= maxWaitingBytes", ""]],
    test: LANES,
  },
  {
    fault: 70,
    breaks: "a call to another object carries more than the platform takes",
    file: `${TRANSPORT}/src/delivery/Lanes.ts`,
    edits: [["if (bytes <= MAX_CALL_BYTES) return most", "if (bytes >= 0) return most"]],
    test: LANES,
  },
  {
    fault: 70,
    breaks: "any number of bytes waits for an earlier envelope of its connection",
    file: hub("IngressQueue"),
    edits: [[" && bytes < this.#hub.port.limits.maxParkedBytes", " && bytes >= 0"]],
    test: `${TRANSPORT}/test/hub/steps.test.ts`,
  },
  {
    fault: 70,
    breaks: "registrations are remembered by their number alone",
    file: hub("features/Registry"),
    edits: [["if (this.#cacheBytes > MAX_CACHE_BYTES)", "if (false)"]],
    test: MEMORY,
  },
  {
    fault: 70,
    breaks: "a durable actor remembers answers by their number alone",
    file: `${TRANSPORT}/src/durable/Inbox.ts`,
    edits: [[" || this.#recentBytes > MAX_RECENT_BYTES", ""]],
    test: `${TRANSPORT}/test/durable/Inbox.test.ts`,
  },
  {
    fault: 70,
    breaks: "an object that is never idle remembers each who sends to it",
    file: `${TRANSPORT}/src/delivery/Watermarks.ts`,
    edits: [
      ["if (this.#known.size > MOST_KNOWN)", "if (this.#moved.size > 0 && this.#known.size > MOST_KNOWN)"],
    ],
    test: `${TRANSPORT}/test/gateway/Watermarks.test.ts`,
  },
  {
    fault: 70,
    breaks: "an actor system keeps dead letters by their number alone",
    file: "actor-core/src/DeadLetters.ts",
    edits: [[" || this.#bytes + bytes > MAX_KEPT_BYTES", ""]],
    test: "actor-core/test/DeadLetters.test.ts",
  },
]
