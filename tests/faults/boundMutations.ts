/** The mutations of what one client may cost others: bytes, values, rows, and the bytes of answers. */
import type { Mutation } from "./Mutation.ts"

const TRANSPORT = "cloudflare-transport"
const CORE = "actor-core"

const RATES = `${TRANSPORT}/test/session/rate.test.ts`
const PAGES = `${TRANSPORT}/test/hub/pages.test.ts`
const MEASURE = `${CORE}/test/measure.test.ts`

const RATE_BUCKET = `${TRANSPORT}/src/session/RateBucket.ts`
const PAGES_OF_HUB = `${TRANSPORT}/src/hub/features/Pages.ts`
const REGISTRY = `${TRANSPORT}/src/hub/features/Registry.ts`
const TOPIC_REQUESTS = `${TRANSPORT}/src/hub/features/TopicRequests.ts`

export const BOUND_MUTATIONS: ReadonlyArray<Mutation> = [
  {
    fault: 69,
    breaks: "bytes are not counted",
    file: RATE_BUCKET,
    edits: [["const passes = this.bytes >= Math.min(size, byteBurst)", "const passes = true"]],
    test: RATES,
  },
  {
    fault: 69,
    breaks: "values in the containers of a JSON frame are not counted",
    file: `${CORE}/src/codec/measureJson.ts`,
    edits: [["if (next !== CLOSE_ARRAY && next !== CLOSE_OBJECT) values++", ""]],
    test: MEASURE,
  },
  {
    fault: 69,
    breaks: "what looks like a value within a string is counted",
    file: `${CORE}/src/codec/measureJson.ts`,
    edits: [["if (code === BACKSLASH) at++", ""]],
    test: MEASURE,
  },
  {
    fault: 69,
    breaks: "an extension hides the values within it",
    file: `${CORE}/src/codec/measureMsgPack.ts`,
    edits: [
      [
        'if (read(1) !== TIMESTAMP) throw malformed("the frame holds an extension that is no timestamp")',
        "read(1)",
      ],
    ],
    test: MEASURE,
  },
  {
    fault: 69,
    breaks: "keys of a msgpack frame count as values",
    file: `${CORE}/src/codec/measureMsgPack.ts`,
    edits: [["keys += count", "keys += 0"]],
    test: MEASURE,
  },
  {
    fault: 69,
    breaks: "rows that a request looks at cost nothing",
    file: PAGES_OF_HUB,
    edits: [["rate.charge(Math.floor(rows / ROWS_A_TOKEN))", "rate.charge(0 * rows * ROWS_A_TOKEN)"]],
    test: PAGES,
  },
  {
    fault: 69,
    breaks: "a page looks at all rows there are",
    file: REGISTRY,
    edits: [
      ["while (looked < scan)", "while (true)"],
      ["Math.min(scan - looked, Math.max(", "Math.min(Infinity, Math.max("],
    ],
    test: PAGES,
  },
  {
    fault: 75,
    breaks: "a page of discovery has room for all that was found",
    file: PAGES_OF_HUB,
    edits: [["return room < 0 && at > 0", "return room < -Infinity && at > 0"]],
    test: PAGES,
  },
  {
    fault: 75,
    breaks: "a page of presence does",
    file: TOPIC_REQUESTS,
    edits: [["const members = fitting(present, hub.port.limits)", "const members = present"]],
    test: PAGES,
  },
]
