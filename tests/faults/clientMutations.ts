/** The mutations of reliable sessions at the client, which its own tests must notice. In the order of their numbers. */
import type { Mutation } from "./Mutation.ts"

const TRANSPORT = "cloudflare-transport"

const RELIABLE = `${TRANSPORT}/test/client/reliable.test.ts`
const PERSISTENCE = `${TRANSPORT}/test/client/persistence.test.ts`

const client = (file: string): string => `${TRANSPORT}/src/client/${file}.ts`

export const CLIENT_MUTATIONS: ReadonlyArray<Mutation> = [
  {
    fault: 12,
    breaks: "a client that was superseded says nothing of what it had on its way, and resumes at reclaim()",
    file: client("Connection"),
    edits: [['channel.session.lose("superseded")', ""]],
    test: RELIABLE,
  },
  {
    fault: 12,
    breaks: "a process whose stored session was taken tries to have it all the same",
    file: client("Connection"),
    edits: [["journal && (yield* Effect.promise(() => journal.lost()))", "undefined"]],
    test: PERSISTENCE,
  },
  {
    fault: 12,
    breaks: "a process whose stored session was taken goes on sending",
    file: client("Journal"),
    edits: [["          this.onTaken()\n", ""]],
    test: PERSISTENCE,
  },
  {
    fault: 14,
    breaks: "a reliable ask in flight ends with its connection",
    file: client("PendingAsks"),
    edits: [["ask.transmitted && ask.reliable !== true", "ask.transmitted"]],
    test: RELIABLE,
  },
  {
    fault: 14,
    breaks: "the cancel of a reliable ask is lost with the connection",
    file: client("Core"),
    edits: [["reliable: ask.reliable === true", "reliable: false"]],
    test: RELIABLE,
  },
  {
    fault: 19,
    breaks: "a session is taken for resumed that was not",
    file: client("Resume"),
    edits: [["session?.resumed === true &&", "session !== undefined &&"]],
    test: RELIABLE,
  },
  {
    fault: 19,
    breaks: "what a session had is not asked for again where it was not resumed",
    file: client("Channel"),
    edits: [["this.wanted.replay(resumed === true)", "this.wanted.replay(true)"]],
    test: RELIABLE,
  },
  {
    fault: 22,
    breaks: "what is not acknowledged is not sent again",
    file: client("Sender"),
    edits: [["    unacknowledged.rewind()\n", ""]],
    test: RELIABLE,
  },
  {
    fault: 22,
    breaks: "what is sent again is overtaken by what waited",
    file: client("Sender"),
    edits: [
      [
        "while (unacknowledged.isBehind && isNext() && this.#mayLeave(unacknowledged.next, out, now)) {\n      this.#push(unacknowledged.again(), out)\n    }\n    let held = unacknowledged.isBehind || alone !== undefined",
        "queueMicrotask(() => {\n while (unacknowledged.isBehind) out.push(unacknowledged.again())\n })\n let held = false",
      ],
    ],
    test: RELIABLE,
  },
  {
    fault: 31,
    breaks: "what is sent again expires",
    file: client("Sender"),
    edits: [
      [
        "this.#push(unacknowledged.again(), out)",
        "{\n const again = unacknowledged.again()\n if (again.envelope.ttl === null || again.since + again.envelope.ttl > now) out.push(again)\n }",
      ],
    ],
    test: RELIABLE,
  },
  {
    fault: 42,
    breaks: "what the hub says again is taken again",
    file: client("Inbox"),
    edits: [["if (seq !== undefined && seq <= acks.arrived) continue", ""]],
    test: RELIABLE,
  },
  {
    fault: 42,
    breaks: "a gap is passed over",
    file: client("Inbox"),
    edits: [["if (seq !== undefined && seq > acks.arrived + 1) return false", ""]],
    test: RELIABLE,
  },
  {
    fault: 42,
    breaks: "an acknowledgment is believed, whatever it is",
    file: client("Unacknowledged"),
    edits: [["if (!Number.isInteger(through) || through < first || through >= this.#next) return", ""]],
    test: RELIABLE,
  },
  {
    fault: 42,
    breaks: "what is to survive the process is sent before it is stored",
    file: client("Outgoing"),
    edits: [["if (journal === undefined) this.#send(frame)", "if (true) this.#send(frame)"]],
    test: PERSISTENCE,
  },
]
