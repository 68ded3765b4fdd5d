/** Deliberate faults about how far an encoder's failure reaches. */
import type { Mutation } from "./Mutation.ts"

const SRC = "cloudflare-transport/src"
const ENCODING = "cloudflare-transport/test/hub/encoding.test.ts"
const HOSTILE = "cloudflare-transport/test/workerd/hostileValues.test.ts"

export const ENCODING_MUTATIONS: ReadonlyArray<Mutation> = [
  {
    fault: 65,
    breaks: "a connection that fails leaves those behind it unsent",
    file: `${SRC}/bridge/WebSocketBridge.ts`,
    edits: [
      [
        "for (const connection of dirty) this.#flushOne(connection)",
        "for (const connection of dirty) connection.flush()",
      ],
    ],
    test: "cloudflare-transport/test/workerd/WebSocketBridge.test.ts",
  },
  {
    fault: 65,
    breaks:
      "a publication that can't be encoded reaches the subscribers of one codec, and not those of the other",
    file: `${SRC}/session/Multicast.ts`,
    edits: [["for (const codec of CODECS) this.#encoderOf(codec)", ""]],
    test: ENCODING,
  },
  {
    fault: 65,
    breaks: "an answer of the hub that can't be encoded is silence",
    file: `${SRC}/hub/EncodeFailures.ts`,
    edits: [
      ['if (correlationId === null || receiver === undefined || type === "hub:error") return', "return"],
    ],
    test: ENCODING,
  },
  {
    fault: 65,
    breaks: "one envelope that can't be encoded takes along all that leaves with it",
    file: `${SRC}/session/OutgoingFrames.ts`,
    edits: [["    failed(envelope, error)\n", "    throw error\n"]],
    test: HOSTILE,
  },
  {
    fault: 66,
    breaks: "a reliable envelope that can't be encoded fails the turn that takes it",
    file: `${SRC}/session/Outbox.ts`,
    edits: [["      this.#on.notEncoded(envelope, error)\n      return undefined\n", "      throw error\n"]],
    test: ENCODING,
  },
  {
    fault: 66,
    breaks: "a reliable envelope that can't be encoded uses up its number: its client finds a gap",
    file: `${SRC}/session/Outbox.ts`,
    edits: [
      ["{ ...envelope, seq: this.#last + 1 }", "{ ...envelope, seq: ++this.#last }"],
      ["      this.#last++\n", ""],
    ],
    test: ENCODING,
  },
  {
    fault: 66,
    breaks: "what waits and can't be encoded for the next connection fails each hub:connect",
    file: `${SRC}/session/Outbox.ts`,
    edits: [
      [
        "const frame = frameOf(codec, envelope, undefined, this.#on.notEncoded)",
        "const frame = codec.encode([envelope])",
      ],
    ],
    test: ENCODING,
  },
  {
    fault: 66,
    breaks: "what leaves a gateway reliably and can't be encoded fails the turn that takes it",
    file: `${SRC}/delivery/SureLanes.ts`,
    edits: [["        sending.isOver = true\n", "        throw error\n"]],
    test: ENCODING,
  },
  {
    fault: 66,
    breaks: "an ask that can't be encoded stays open",
    file: `${SRC}/hub/EncodeFailures.ts`,
    edits: [
      [
        '    if (open !== undefined) return failAsk(hub, open, "invalid_message", to, now, MESSAGE)\n',
        '    if (open !== undefined) return notifySender(hub, envelope, "invalid_message", MESSAGE, now)\n',
      ],
    ],
    test: ENCODING,
  },
  {
    fault: 66,
    breaks: "whoever sent what can't be encoded hears nothing of it",
    file: `${SRC}/hub/EncodeFailures.ts`,
    edits: [['    notifySender(hub, envelope, "invalid_message", MESSAGE, now)\n', ""]],
    test: ENCODING,
  },
  {
    fault: 66,
    breaks: "a failure is in no log",
    file: `${SRC}/hub/EncodeFailures.ts`,
    edits: [["    this.note(envelope, error)\n", ""]],
    test: ENCODING,
  },
  {
    fault: 66,
    breaks: "a value that can't be stored is tried again and again",
    file: `${SRC}/object/StoredValue.ts`,
    edits: [["error instanceof NotStorable || isTooLarge(error)", "isTooLarge(error)"]],
    test: "cloudflare-transport/test/object/StoredValue.test.ts",
  },
]
