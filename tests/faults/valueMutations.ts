/** The mutations about values: what a payload may hold, and what codecs and rows make of it. */
import type { Mutation } from "./Mutation.ts"

const CORE = "actor-core"
const TRANSPORT = "cloudflare-transport"

/** Tests. */
const BORDER = `${CORE}/test/BorderValues.test.ts`
const CODEC = `${CORE}/test/codec.test.ts`
const DEFINITION = `${CORE}/test/PayloadValue.test.ts`
const HUB = `${TRANSPORT}/test/hub/values.test.ts`
const ROWS = `${TRANSPORT}/test/object/StoredValue.test.ts`
const VALUES = `${CORE}/test/values.test.ts`

const core = (file: string): string => `${CORE}/src/${file}.ts`

export const VALUE_MUTATIONS: ReadonlyArray<Mutation> = [
  {
    fault: 47,
    breaks: "any view of memory is taken for bytes, and cut to eight bits an element",
    file: core("PayloadValue"),
    edits: [
      [
        ": Object.getPrototypeOf(value) === ArrayBuffer.prototype",
        ": ArrayBuffer.isView(value) || Object.getPrototypeOf(value) === ArrayBuffer.prototype",
      ],
    ],
    test: VALUES,
  },
  {
    fault: 47,
    breaks: "bytes are as many as they say, from whatever memory lies behind them",
    file: core("codec/MsgPack"),
    edits: [["lengthOf.call(bytes) as number", "bytes.length"]],
    test: VALUES,
  },
  {
    fault: 47,
    breaks: "JSON writes what it can't carry as something else",
    file: core("codec/JsonCodec"),
    edits: [["if (ofPayload === UNSUPPORTED || ofMetadata === UNSUPPORTED)", "if (false)"]],
    test: VALUES,
  },
  {
    fault: 47,
    breaks: "an extension in a frame becomes a value that nobody sent",
    file: core("codec/MsgPack"),
    edits: [["if (type !== -1)", "if (type !== -1) return new Set(); if (false)"]],
    test: CODEC,
  },
  {
    fault: 47,
    breaks: "text that is no UTF-8 is read as other text",
    file: core("codec/MsgPack"),
    edits: [["fatal: true,", "fatal: false,"]],
    test: CODEC,
  },
  {
    fault: 47,
    breaks: "a large integer is rounded",
    file: core("codec/MsgPack"),
    edits: [["Number.isSafeInteger(integer) ? integer : NOT_SAFE", "integer"]],
    test: CODEC,
  },
  {
    fault: 47,
    breaks: "half of a surrogate pair is taken, and arrives as another character",
    file: core("PayloadValue"),
    edits: [['return value.isWellFormed() ? undefined : illFormed("a string")', "return undefined"]],
    test: DEFINITION,
  },
  {
    fault: 47,
    breaks: "what a schema that takes anything lets out is sent as it is",
    file: core("Schemas"),
    edits: [["const measured = measure(encoded.success, options)", "const measured = undefined"]],
    test: BORDER,
  },
  {
    fault: 47,
    breaks: "a state of bytes and dates is stored as JSON, which has neither",
    file: `${TRANSPORT}/src/object/StoredValue.ts`,
    edits: [["if (!isJson(value)) return pack(value)", ""]],
    test: ROWS,
  },
  {
    fault: 47,
    breaks: "metadata of a registration lose their bytes when the hub forgets",
    file: `${TRANSPORT}/src/hub/features/Registry.ts`,
    edits: [["toReadableRow(registration.metadata)", "JSON.stringify(registration.metadata)"]],
    test: HUB,
  },
  {
    fault: 65,
    breaks: "an object with a key constructor is told by that key, and refused",
    file: core("codec/MsgPack"),
    edits: [
      [
        "} else if (isPlainObject(value)) {",
        "} else if (value.constructor === Object && isPlainObject(value)) {",
      ],
    ],
    test: VALUES,
  },
  {
    fault: 65,
    breaks: "a key toJSON is called",
    file: core("codec/MsgPack"),
    edits: [["const keys = Object.keys(value)", "value['toJSON']?.(); const keys = Object.keys(value)"]],
    test: VALUES,
  },
  {
    fault: 65,
    breaks: "a key __proto__ sets the prototype of what is read",
    file: core("codec/MsgPack"),
    edits: [['else if (key === "__proto__") {', "else if (false) {"]],
    test: VALUES,
  },
]
