/** The mutations of what a client takes of what comes for its actors. */
import type { Mutation } from "./Mutation.ts"

const TRANSPORT = "cloudflare-transport"

const BORDER = "actor-core/test/Border.test.ts"
const TAKING = `${TRANSPORT}/test/client/taking.test.ts`

const client = (file: string): string => `${TRANSPORT}/src/client/${file}.ts`

export const TAKING_MUTATIONS: ReadonlyArray<Mutation> = [
  {
    fault: 31,
    breaks: "an envelope waits for its actor longer than its ttl",
    file: client("Receivers"),
    edits: [["return ttl > 0 ? { ...envelope, ttl } : undefined", "return { ...envelope, ttl }"]],
    test: TAKING,
  },
  {
    fault: 70,
    breaks: "as many envelopes wait for an actor as come",
    file: client("Receivers"),
    edits: [["return this.count >= MAX_UNCLAIMED || this.bytes", "return this.bytes"]],
    test: TAKING,
  },
  {
    fault: 70,
    breaks: "envelopes of any size wait for an actor",
    file: client("Receivers"),
    edits: [
      ["this.count >= MAX_UNCLAIMED || this.bytes >= MAX_UNCLAIMED_BYTES", "this.count >= MAX_UNCLAIMED"],
    ],
    test: TAKING,
  },
  {
    fault: 78,
    breaks: "what comes before an actor is served is acknowledged",
    file: client("Inbox"),
    edits: [
      [
        "firstWaiting === undefined ? this.#acks.arrived : firstWaiting - 1",
        "this.#acks.arrived + 0 * (firstWaiting ?? 0)",
      ],
    ],
    test: TAKING,
  },
  {
    fault: 78,
    breaks: "an actor system that is loaded turns away what comes before its actor",
    file: "actor-core/src/Inbound.ts",
    edits: [["if (cell === null && transport.served !== undefined) return false", ""]],
    test: BORDER,
  },
  {
    fault: 78,
    breaks: "an actor that is served late hears nothing of what waits for it",
    file: "actor-core/src/Runtime.ts",
    edits: [["else if (address !== null) this.border?.served(address)", ""]],
    test: BORDER,
  },
  {
    fault: 78,
    breaks: "what comes overtakes what waits for the same actor",
    file: client("Receivers"),
    edits: [
      [
        "if ((!isHeld || isAnswer(envelope)) && this.#offer(envelope)) return",
        "if (this.#offer(envelope)) return",
      ],
    ],
    test: TAKING,
  },
  {
    fault: 78,
    breaks: "a listener takes what is for an actor that is being loaded",
    file: client("Hub"),
    edits: [
      ["const ready = this.#core.channel.inbox.messages.expect(address)", "const ready = (): void => {}"],
    ],
    test: TAKING,
  },
  {
    fault: 78,
    breaks: "what waits for an actor keeps what is for others from being taken once only",
    file: client("Inbox"),
    edits: [
      [
        "      acks.arrived = seq\n      this.settle()",
        "      acks.arrived = seq\n      this.settle()\n      acks.arrived = acks.through",
      ],
    ],
    test: TAKING,
  },
  {
    fault: 78,
    breaks: "what nobody takes is never acknowledged",
    file: client("Receivers"),
    edits: [["    this.#waiting.push(entry)\n", "    this.#waiting.push({ ...entry, since: Infinity })\n"]],
    test: TAKING,
  },
  {
    fault: 78,
    breaks: "what nobody takes is acknowledged without a word",
    file: client("Receivers"),
    edits: [["    this.#port.unclaimed(envelope, reason)\n", ""]],
    test: TAKING,
  },
]
