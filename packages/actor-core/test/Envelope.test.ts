import * as Schema from "effect/Schema"
import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import { check, Malformed, MAX_METADATA_BYTES, utf8Length } from "../src/Envelope.ts"
import { WireEnvelope } from "../src/WireSchema.ts"

const minimal = { id: "1", to: "@(a/b)", type: "t", pattern: "tell", timestamp: 0 }
const bySchema = Schema.is(WireEnvelope)
const byCheck = (value: unknown): boolean => !(check(value) instanceof Malformed)

/** `levels` objects, one in the other. */
const nested = (levels: number, kind: "object" | "array" = "object"): unknown => {
  let value: unknown = kind === "object" ? {} : []
  for (let i = 1; i < levels; i++) value = kind === "object" ? { a: value } : [value]
  return value
}

class Instance {
  readonly a = 1
}

const oddities = fc.constantFrom<unknown>(
  undefined,
  null,
  "",
  "x",
  "@(a/b)",
  "x".repeat(128),
  "x".repeat(129),
  "x".repeat(256),
  "x".repeat(257),
  "ask",
  "tell",
  0,
  -0,
  1,
  -1,
  1.5,
  2 ** 53,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  true,
  1n,
  Symbol("s"),
  () => 1,
  [],
  [1],
  {},
  { a: 1 },
  { a: 1n },
  { a: { b: () => 1 } },
  Object.create(null),
  JSON.parse('{"__proto__":{"polluted":1},"constructor":1}'),
  new Instance(),
  new Date(0),
  new Uint8Array(3),
  new Map(),
  new Set(),
  /x/,
  new Error("e"),
  { a: new Map() },
  [new Uint16Array(1)],
  nested(127),
  nested(128),
  nested(128, "array"),
  { a: "é".repeat(2_040) },
  { a: "x".repeat(MAX_METADATA_BYTES) },
  "x".repeat(256),
  "x".repeat(257),
  "é".repeat(128),
  "é".repeat(129),
)

const good: { readonly [field: string]: fc.Arbitrary<unknown> } = {
  id: fc.string({ minLength: 1, maxLength: 10 }),
  from: fc.constantFrom("@(a/b)", "", null),
  to: fc.constantFrom("@(a/b)", "@(cloudflare/signal-hub)"),
  type: fc.string({ minLength: 1, maxLength: 10 }),
  payload: fc.jsonValue(),
  pattern: fc.constantFrom("tell", "ask"),
  correlationId: fc.constantFrom(null, "1"),
  timestamp: fc.double({ noNaN: true, noDefaultInfinity: true }),
  metadata: fc.dictionary(fc.string(), fc.jsonValue()),
  ttl: fc.constantFrom(null, 0, 1.5),
  signature: fc.constantFrom(null, "", "s"),
  seq: fc.integer({ min: 1 }),
}

/** Envelopes of which each field may be right, odd, or absent, with fields that nobody knows. */
const halfValid = fc
  .tuple(
    fc.record(good, { requiredKeys: ["id", "to", "type", "pattern", "timestamp"] }),
    fc.dictionary(fc.constantFrom(...Object.keys(good), "extra"), oddities, { maxKeys: 2 }),
  )
  .map(([envelope, odd]): unknown => Object.assign({}, envelope, odd))

describe("an envelope", () => {
  it("is judged alike by the schema and by the fast path, whatever its fields are", () => {
    fc.assert(
      fc.property(halfValid, (value) => {
        expect(byCheck(value)).toBe(bySchema(value))
      }),
      { numRuns: 5_000 },
    )
  })

  it("is judged alike with each oddity in each field", () => {
    fc.assert(
      fc.property(fc.constantFrom(...Object.keys(good)), oddities, (field, odd) => {
        const value = { ...minimal, [field]: odd }
        expect(byCheck(value)).toBe(bySchema(value))
      }),
      { numRuns: 3_000 },
    )
  })

  it.each([[null], [undefined], [1], ["x"], [[]], [[minimal]], [true], [new Date()], [new Map()]])(
    "is an object: %j is none",
    (value) => {
      expect(byCheck(value)).toBe(false)
      expect(bySchema(value)).toBe(false)
    },
  )

  it("is normalized: what is absent is filled in, what is unknown is left behind", () => {
    expect(check({ ...minimal, extra: 1, seq: undefined })).toEqual({
      ...minimal,
      from: "",
      payload: null,
      correlationId: null,
      metadata: {},
      ttl: null,
      signature: null,
    })
    expect(check({ ...minimal, seq: 7 })).toHaveProperty("seq", 7)
    expect(check(minimal)).not.toHaveProperty("seq")
  })

  it.each([
    ["x".repeat(256), true],
    ["x".repeat(257), false],
    ["é".repeat(128), true],
    ["é".repeat(129), false],
    ["x".repeat(1_000_000), false],
  ])("fault 70: a from longer than an address may be is malformed", (from, isTaken) => {
    const checked = check({ ...minimal, from })
    expect(checked instanceof Malformed).toBe(!isTaken)
    if (checked instanceof Malformed)
      expect(checked.reason).toBe('"from" must be an address: at most 256 bytes')
  })

  it("names the id of what is malformed, where it has one", () => {
    expect(check({ ...minimal, to: "nobody" })).toMatchObject({ id: "1" })
    expect(check({ ...minimal, id: 5 })).toMatchObject({ id: null })
  })

  it("doesn't reach the prototype through its keys", () => {
    const value: unknown = JSON.parse(
      `{"id":"1","to":"@(a/b)","type":"t","pattern":"tell","timestamp":0,"__proto__":{"ttl":5},
        "payload":{"__proto__":{"polluted":true}},"metadata":{"__proto__":{"polluted":true}}}`,
    )
    const envelope = check(value)
    expect(envelope).toMatchObject({ ttl: null })
    expect(({} as { readonly polluted?: unknown }).polluted).toBeUndefined()
    expect(Object.getPrototypeOf(envelope)).toBe(Object.prototype)
  })

  it.each(["object", "array"] as const)(
    "may be 128 levels deep, itself the first, and no deeper (%s)",
    (kind) => {
      for (const judge of [byCheck, bySchema]) {
        expect(judge({ ...minimal, payload: nested(127, kind) })).toBe(true)
        expect(judge({ ...minimal, payload: nested(128, kind) })).toBe(false)
      }
      const metadata = { a: nested(126, kind) }
      for (const judge of [byCheck, bySchema]) {
        expect(judge({ ...minimal, metadata })).toBe(true)
        expect(judge({ ...minimal, metadata: { a: metadata } })).toBe(false)
      }
    },
  )

  it("of 200,000 levels is refused, not crashed on", () => {
    for (const judge of [byCheck, bySchema]) {
      expect(judge({ ...minimal, payload: nested(200_000, "array") })).toBe(false)
      expect(judge({ ...minimal, metadata: nested(200_000) })).toBe(false)
    }
  })

  it.each([
    ["ASCII", "x", 1],
    ["two bytes", "é", 2],
    ["three bytes", "€", 3],
    ["four bytes", "😀", 4],
  ])("has at most 4,096 bytes of metadata, bytes and not characters (%s)", (_, character, bytes) => {
    const room = MAX_METADATA_BYTES - '{"a":""}'.length
    const fits = { a: character.repeat(Math.floor(room / bytes)) + "x".repeat(room % bytes) }
    expect(new TextEncoder().encode(JSON.stringify(fits)).length).toBe(MAX_METADATA_BYTES)
    for (const judge of [byCheck, bySchema]) {
      expect(judge({ ...minimal, metadata: fits })).toBe(true)
      expect(judge({ ...minimal, metadata: { a: `${fits.a}x` } })).toBe(false)
    }
  })
})

describe("utf8Length", () => {
  it("counts what TextEncoder writes, lone surrogates included", () => {
    const unit = fc.oneof(
      fc.constantFrom("a", "é", "€", "😀", "\ud800", "\udc00", "\u07ff", "\u0800", "\uffff"),
      fc.string({ unit: "binary" }),
    )
    fc.assert(
      fc.property(fc.array(unit), (parts) => {
        const text = parts.join("")
        expect(utf8Length(text)).toBe(new TextEncoder().encode(text).length)
      }),
    )
  })
})
