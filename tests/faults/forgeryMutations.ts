/** The mutations of who may answer an ask, and say something in its asker's name. In the order of their numbers. */
import type { Mutation } from "./Mutation.ts"

const CORE = "actor-core"
const TRANSPORT = "cloudflare-transport"

const BORDER = `${CORE}/test/Border.test.ts`
const CLIENT = `${TRANSPORT}/test/client/forgery.test.ts`
const DURABLE = `${TRANSPORT}/test/workerd/durable/Forwarding.test.ts`
const FORWARD = `${CORE}/test/Forward.test.ts`
const HUB = `${TRANSPORT}/test/hub/forgery.test.ts`

const hub = (file: string): string => `${TRANSPORT}/src/hub/${file}.ts`

export const FORGERY_MUTATIONS: ReadonlyArray<Mutation> = [
  {
    fault: 67,
    breaks: "an ask that names another passes the hub",
    file: hub("HubCore"),
    edits: [["if (isCorrelatedAsk && session.major !== 0)", "if (isCorrelatedAsk && session.major < 0)"]],
    test: HUB,
  },
  {
    fault: 67,
    breaks: "parts of a stream pass in any order, and again",
    file: hub("features/Asks"),
    edits: [
      ["return n === null || (parts === null ? n >= 1 : n === parts + 1)", "return n !== parts || n !== 0"],
    ],
    test: HUB,
  },
  {
    fault: 67,
    breaks: "how many parts have passed is known to memory alone",
    file: hub("features/Asks"),
    edits: [["  parts: row.parts,\n", "  parts: null,\n"]],
    test: HUB,
  },
  {
    fault: 67,
    breaks: "who was asked first is forgotten with the memory",
    file: hub("features/Asks"),
    edits: [["asked: row.asked ?? row.target", "asked: row.target"]],
    test: HUB,
  },
  {
    fault: 67,
    breaks: "a client says for whom its answer is",
    file: hub("DeliveryMetadata"),
    edits: [["const metadata = Forwarding.unmarked(given)", "const metadata = given"]],
    test: HUB,
  },
  {
    fault: 67,
    breaks: "a client takes whatever has the id of its ask for the answer",
    file: `${TRANSPORT}/src/client/PendingAsks.ts`,
    edits: [["if (!isByActor && !Forwarding.isByHub(answer)) return false", "if (isByActor) void answer"]],
    test: CLIENT,
  },
  {
    fault: 67,
    breaks: "an ask with the id of another is taken for its answer",
    file: `${CORE}/src/Forwarding.ts`,
    edits: [['pattern === "tell" && (from === asked', '(pattern as string) !== "" && (from === asked']],
    test: `${CORE}/test/Forwarding.test.ts`,
  },
  {
    fault: 67,
    breaks: "an actor system takes the answer of a deputy of whom the server says nothing",
    file: `${CORE}/src/Asks.ts`,
    edits: [
      [
        "isAnswerOf(address, envelope) && (",
        "(isAnswerOf(address, envelope) || guardsAnswers === true) && (",
      ],
    ],
    test: BORDER,
  },
  {
    fault: 67,
    breaks: "a durable actor takes whatever has the id of its ask for the answer",
    file: `${TRANSPORT}/src/durable/Reception.ts`,
    edits: [["envelope.from === ask.target ||", "envelope.from !== HUB_ADDRESS ||"]],
    test: DURABLE,
  },
  {
    fault: 67,
    breaks: "ids are counted",
    file: `${CORE}/src/MessageId.ts`,
    edits: [["  const c = words[used++]!", "  const c = used++"]],
    test: `${CORE}/test/MessageId.test.ts`,
  },
  {
    fault: 68,
    breaks: "an ask is handed on under any type",
    file: hub("Router"),
    edits: [["open.type !== null && envelope.type !== open.type", "open.type === null"]],
    test: HUB,
  },
  {
    fault: 68,
    breaks: "nobody learns who hands an ask on",
    file: hub("Router"),
    edits: [["{ ...unsigned.metadata, forwardedBy: open.target }", "unsigned.metadata"]],
    test: HUB,
  },
  {
    fault: 68,
    breaks: "whoever has held an ask may answer it still",
    file: hub("Router"),
    edits: [
      [
        "  const answerer = open?.targetSession === session.id ? ",
        "  const answerer = open !== undefined ? ",
      ],
    ],
    test: HUB,
  },
  {
    fault: 68,
    breaks: "an actor takes what any client forwards",
    file: `${CORE}/src/Forwarding.ts`,
    edits: [['return typeof option === "function" ? option(by) : option === true', "return option !== null"]],
    test: FORWARD,
  },
  {
    fault: 68,
    breaks: "what is forwarded to an actor from its own address is its own",
    file: `${CORE}/src/Inbound.ts`,
    edits: [
      [
        "envelope.from === cell.address && forwarderOf(envelope.metadata) === null",
        "envelope.from === cell.address",
      ],
    ],
    test: FORWARD,
  },
  {
    fault: 68,
    breaks: "a durable actor forwards without its name",
    file: `${TRANSPORT}/src/durable/DurableTransport.ts`,
    edits: [["{ ...metadata, forwardedBy: home, forwardedByServer: true }", "metadata"]],
    test: DURABLE,
  },
]
