/** The mutations of what the client does with what its user gives, and of how fast it sends. In the order of their numbers. */
import type { Mutation } from "./Mutation.ts"

const TRANSPORT = "cloudflare-transport"

const ARGUMENTS = `${TRANSPORT}/test/client/arguments.test.ts`
const PACE = `${TRANSPORT}/test/client/pace.test.ts`

const client = (file: string): string => `${TRANSPORT}/src/client/${file}.ts`

export const CLIENT_INPUT_MUTATIONS: ReadonlyArray<Mutation> = [
  {
    fault: 48,
    breaks: "the options of a client are read when there is a socket",
    file: client("Core"),
    edits: [
      ["const options = readOptions(given, frames)", "const options: ClientOptions | TransportError = given"],
    ],
    test: ARGUMENTS,
  },
  {
    fault: 48,
    breaks: "what is wanted is read again on each connection",
    file: client("Channel"),
    edits: [
      [
        "const { payload } = this.#options.frames.decode(waiting.part)",
        "const { payload } = waiting.envelope",
      ],
      [
        "this.sender.prepare(this.#toHub(type, { ...fields, ...name }))",
        "this.sender.prepare(this.#toHub(type, Object.assign({}, fields, name)))",
      ],
    ],
    test: ARGUMENTS,
  },
  {
    fault: 48,
    breaks: "what waits with a time limit is read again when it leaves",
    file: client("Sender"),
    edits: [["= this.#options.frames.decode(waiting.part)", "= envelope"]],
    test: ARGUMENTS,
  },
  {
    fault: 48,
    breaks: "a receiver that throws throws in the socket's callback",
    file: client("HubTransport"),
    edits: [["answers.on(next), channel", "(((answers.emit = next), () => {})), channel"]],
    test: ARGUMENTS,
  },
  {
    fault: 49,
    breaks: "what the hub would count as a strike is sent",
    file: client("Validation"),
    edits: [
      [
        "if (checked instanceof Envelope.Malformed) return invalid(checked.reason)",
        "if (checked instanceof Envelope.Malformed) return envelope",
      ],
    ],
    test: ARGUMENTS,
  },
  {
    fault: 49,
    breaks: "the fields of requests are the hub's to judge",
    file: client("Validation"),
    edits: [["checked.to === HUB_ADDRESS ?", "checked.to === HUB_ADDRESS && checked.id.length === 0 ?"]],
    test: ARGUMENTS,
  },
  {
    fault: 49,
    breaks: "a time limit may be NaN",
    file: `${TRANSPORT}/src/protocol/FieldRules.ts`,
    edits: [
      ["TimeLimit.violation(value, field)", "TimeLimit.violation(Number.isNaN(value) ? 0 : value, field)"],
    ],
    test: ARGUMENTS,
  },
  {
    fault: 69,
    breaks: "the client paces envelopes, not bytes",
    file: client("Pace"),
    edits: [["this.#bytes.tokens -= bytes", "this.#bytes.tokens -= bytes * 0"]],
    test: PACE,
  },
  {
    fault: 69,
    breaks: "the client paces envelopes, whatever they hold",
    file: client("Pace"),
    edits: [["1 + Math.floor(values / VALUES_A_TOKEN)", "values >= 0 && VALUES_A_TOKEN > 0 ? 1 : 1"]],
    test: PACE,
  },
  {
    fault: 69,
    breaks: "a replay is a frame, however many values that holds",
    file: client("Outgoing"),
    edits: [[" || this.#values + values > maxValues", " && maxValues > 0"]],
    test: PACE,
  },
]
