/** The mutations of what leaves a gateway reliably, and comes to another. In the order of their numbers. */
import type { Mutation } from "./Mutation.ts"

const TRANSPORT = "cloudflare-transport"

const RELIABLE = `${TRANSPORT}/test/gateway/reliable.test.ts`

const delivery = (file: string): string => `${TRANSPORT}/src/delivery/${file}.ts`
const hub = (file: string): string => `${TRANSPORT}/src/hub/${file}.ts`

export const BETWEEN_MUTATIONS: ReadonlyArray<Mutation> = [
  {
    fault: 5,
    breaks: "a gateway that sleeps forgets to send again",
    file: delivery("SureLanes"),
    edits: [["    atLatest(lane.dueAt)\n", ""]],
    test: RELIABLE,
  },
  {
    fault: 12,
    breaks: "that an ask has ended is told whoever has a connection just then",
    file: hub("features/AskEnds"),
    edits: [["ask.reliable ? Envelope.reliably(envelope) : envelope", "envelope"]],
    test: RELIABLE,
  },
  {
    fault: 14,
    breaks: "a client is told that its envelope is taken before that is stored",
    file: hub("HubCore"),
    edits: [["      peers?.settle()\n", ""]],
    test: RELIABLE,
  },
  {
    fault: 14,
    breaks: "what a gateway had stored and not sent when it crashed stays there",
    file: hub("peers/HubPeers"),
    edits: [["this.outbound.sure.retry(this.port.now())", ""]],
    test: RELIABLE,
  },
  {
    fault: 42,
    breaks: "a call whose fate is unknown is not repeated",
    file: delivery("SureLanes"),
    edits: [["    else this.#hold(lane, result)\n", "    else this.#settle(lane, sending, GONE)\n"]],
    test: RELIABLE,
  },
  {
    fault: 22,
    breaks: "what comes reliably to a gateway is delivered as if it were volatile",
    file: hub("peers/RemoteDeliveries"),
    edits: [
      [
        "isLate ? LATE : takeOne(hub, peers, delivery, caller, now)",
        "isLate ? LATE : takeOne(hub, peers, { ...delivery, envelope: { ...envelope, seq: undefined } }, caller, now)",
      ],
    ],
    test: RELIABLE,
  },
  {
    fault: 34,
    breaks: "what is volatile overtakes what waits for its target",
    file: hub("peers/Outbound"),
    edits: [["if (this.sure.isBehind(", "if (this.sure === undefined && this.sure.isBehind("]],
    test: RELIABLE,
  },
  {
    fault: 34,
    breaks: "what is sent while its target can't be reached overtakes what waits for it",
    file: delivery("SureLanes"),
    edits: [["if (!lane.isBehind) this.#line(lane, sending)", "this.#line(lane, sending)"]],
    test: RELIABLE,
  },
  {
    fault: 34,
    breaks: "what is behind a call that failed goes on alone",
    file: delivery("SureLanes"),
    edits: [["    drop(lane.name, why)\n", ""]],
    test: RELIABLE,
  },
  {
    fault: 42,
    breaks: "what another gateway repeats is delivered again",
    file: delivery("Watermarks"),
    edits: [["if (mark === undefined || seq > mark.last) return undefined", "return undefined"]],
    test: RELIABLE,
  },
  {
    fault: 42,
    breaks: "how far a gateway has taken in is known to its memory alone",
    file: delivery("Watermarks"),
    edits: [["    this.#moved.add(line)\n", ""]],
    test: RELIABLE,
  },
  {
    fault: 42,
    breaks: "what is sent again has new numbers",
    file: delivery("SureLanes"),
    edits: [
      [
        "const { at, claims: of, deliveries, sender, session, takenAt } = row",
        "const { at, claims: of, sender, session, takenAt } = row; const deliveries = row.deliveries.map((one) => ({ ...one, envelope: { ...one.envelope, seq: this.numbers.next() } }))",
      ],
    ],
    test: RELIABLE,
  },
  {
    fault: 42,
    breaks: "what a durable actor sends again is told from nothing else",
    file: `${TRANSPORT}/src/durable/Courier.ts`,
    edits: [["...(line !== undefined && { line }) ", ""]],
    test: `${TRANSPORT}/test/workerd/reliable.test.ts`,
  },
]
