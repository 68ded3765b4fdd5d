import * as fc from "fast-check"
import { Packr } from "msgpackr"
import { describe, expect, it } from "vitest"
import { type FrameMeasure, UndecodableFrame } from "../src/codec/Codec.ts"
import { JsonCodec } from "../src/codec/JsonCodec.ts"
import { measureJson } from "../src/codec/measureJson.ts"
import { measureMsgPack } from "../src/codec/measureMsgPack.ts"
import { MsgPackCodec } from "../src/codec/MsgPackCodec.ts"
import { NO_METADATA } from "../src/Envelope.ts"
import { isPlainObject, MAX_DEPTH, valuesIn } from "../src/PayloadValue.ts"

const packr = new Packr({ useRecords: false, int64AsType: "number" })
const bytes = (...values: ReadonlyArray<number>): Uint8Array => Uint8Array.from(values)

/** The same, found by walking what was decoded. */
const walked = (value: unknown): { readonly values: number; readonly depth: number } => {
  // Bytes, a date, or what a decoder gives in place of one that it can't read.
  if (!Array.isArray(value) && !isPlainObject(value)) return { values: 1, depth: 0 }
  const below = Object.values(value).map(walked)
  return {
    values: below.reduce((sum, one) => sum + one.values, 1),
    depth: 1 + Math.max(0, ...below.map((one) => one.depth)),
  }
}
/** A measure tells the levels of envelopes: a batch around them is none. */
const asFrame = (value: unknown): FrameMeasure => {
  const { values, depth } = walked(value)
  return { values, depth: Array.isArray(value) ? depth - 1 : depth }
}
const nested = (levels: number, open: string, close: string): string =>
  `${open.repeat(levels)}${close.repeat(levels)}`

describe("a JSON frame", () => {
  it("fault 69: is counted as what a parser makes of it, keys aside, whatever stands in its strings", () => {
    const text = fc.oneof(fc.json({ noUnicodeString: false }), fc.json({ maxDepth: 8 }))
    fc.assert(
      fc.property(text, fc.nat(4), (json, spaces) => {
        const value: unknown = JSON.parse(json)
        expect(measureJson(JSON.stringify(value, null, spaces))).toEqual(asFrame(value))
      }),
      { numRuns: 500 },
    )
  })

  it.each([
    ['{"a":[]}', 2, 2],
    ["[ ]", 1, 0],
    ['["[{,", "\\"", "\\\\", {"],":1}]', 6, 1],
    ['{"a" : { } , "b" : [ [ ] , 1 ]}', 5, 3],
    [" \t\r\n[1,2]", 3, 0],
  ])("%s has %i values", (text, values, depth) => {
    expect(measureJson(text)).toEqual({ values, depth })
  })

  it("that is no JSON is never too small: what a parser made before it noticed is counted", () => {
    fc.assert(
      fc.property(fc.json({ noUnicodeString: false }), fc.nat(), (json, cut) => {
        const at = cut % (json.length + 1)
        const whole = measureJson(json)
        expect(measureJson(`${json}${json.slice(at)}`).values).toBeGreaterThanOrEqual(whole.values)
        expect(measureJson(json.slice(0, at)).values).toBeLessThanOrEqual(whole.values + 1)
      }),
    )
    expect(measureJson("").values).toBe(1)
    expect(measureJson('"never ends\\').values).toBe(1)
  })

  it("is counted however deep it is, without a stack", () => {
    expect(measureJson(nested(500_000, "[", "]"))).toEqual({ values: 500_000, depth: 499_999 })
    expect(measureJson(nested(MAX_DEPTH + 1, "[", "]")).depth).toBe(MAX_DEPTH)
    expect(measureJson(nested(MAX_DEPTH + 2, "[", "]")).depth).toBe(MAX_DEPTH + 1)
  })
})

describe("a msgpack frame", () => {
  const plain = fc.object({
    maxDepth: 5,
    key: fc.string({ maxLength: 40 }).filter((key) => key !== "__proto__"),
    values: [
      fc.string({ maxLength: 300 }),
      fc.integer(),
      fc.double({ noNaN: true }),
      fc.boolean(),
      fc.constant(null),
      fc.uint8Array({ maxLength: 300 }),
      fc.date({ noInvalidDate: true }),
      fc.maxSafeInteger(),
    ],
  })

  it("fault 69: is counted as what a decoder makes of it, keys aside", () => {
    fc.assert(
      fc.property(fc.array(plain, { maxLength: 4 }), (value) => {
        expect(measureMsgPack(packr.pack(value))).toEqual(asFrame(value))
      }),
      { numRuns: 500 },
    )
  })

  it("fault 69: that a decoder takes is never larger than it was measured", () => {
    const decoded = (frame: Uint8Array): unknown => {
      try {
        return MsgPackCodec.decode(frame)
      } catch {
        return undefined
      }
    }
    const flipped = fc.record({
      value: fc.array(plain, { minLength: 1, maxLength: 3 }),
      at: fc.nat(),
      byte: fc.nat(255),
    })
    let taken = 0
    const judge = (frame: Uint8Array): void => {
      let measured: FrameMeasure | undefined
      try {
        measured = measureMsgPack(frame)
      } catch (error) {
        expect(error).toBeInstanceOf(UndecodableFrame)
        return
      }
      const value = decoded(frame)
      if (value === undefined) return
      taken++
      // The codec gives each envelope its twelve fields.
      const envelopes = value as ReadonlyArray<object>
      const fields = envelopes.flatMap((one) =>
        typeof one === "object" && one !== null ? Object.values(one) : [],
      )
      const values = fields
        .filter((field) => field !== undefined)
        .reduce((sum: number, field) => sum + walked(field).values, 0)
      expect(values).toBeLessThanOrEqual(measured.values)
    }
    fc.assert(
      fc.property(flipped, ({ value, at, byte }) => {
        const frame = new Uint8Array(packr.pack(value))
        frame[at % frame.length] = byte
        judge(frame)
      }),
      { numRuns: 2_000 },
    )
    fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), judge), { numRuns: 2_000 })
    expect(taken).toBeGreaterThan(100)
  })

  it.each([
    ["an array that says to hold more than there is", bytes(0xdd, 0xff, 0xff, 0xff, 0xff, 1)],
    ["a map that does", bytes(0xdf, 0x7f, 0xff, 0xff, 0xff, 1)],
    ["many arrays in one another that do", bytes(...Array.from({ length: 60 }, () => [0xdc, 0, 20]).flat())],
    ["a text that does", bytes(0xdb, 0xff, 0xff, 0xff, 0xff, 0x61)],
    ["bytes that do", bytes(0xc6, 0, 0, 1, 0, 1)],
    ["a number that ends too soon", bytes(0xcb, 0, 0)],
    ["a length that does", bytes(0xc5, 1)],
    ["the byte that is never used", bytes(0x91, 0xc1)],
    ["a second value", bytes(0x90, 0x90)],
    ["nothing", bytes()],
    ["a record of msgpackr", bytes(0x92, 0xd4, 0x72, 0x40, 0x91, 0xa1, 0x61, 1, 1)],
    ["a set of msgpackr", bytes(0x91, 0xc7, 2, 0x73, 0x91, 1)],
  ])("fault 69: with %s is undecodable", (_, frame) => {
    expect(() => measureMsgPack(frame)).toThrow(UndecodableFrame)
  })

  it.each([
    [bytes(0xd6, 0xff, 0, 0, 0, 1), 1],
    [bytes(0xd7, 0xff, 0, 0, 0, 0, 0, 0, 0, 1), 1],
    [bytes(0x91, 0xc7, 12, 0xff, ...Array.from({ length: 12 }, () => 0)), 2],
    // Keys are none, be they texts or numbers.
    [bytes(0x82, 0xa1, 0x61, 1, 2, 0x80), 3],
  ])("%s is taken", (frame, values) => {
    expect(measureMsgPack(frame).values).toBe(values)
  })

  it("is counted however deep it is; beyond the limit it is only known to be too deep", () => {
    const deep = (levels: number) => {
      const frame = new Uint8Array(levels).fill(0x91)
      frame[levels - 1] = 0x90
      return measureMsgPack(frame)
    }
    expect(deep(MAX_DEPTH + 1)).toEqual({ values: MAX_DEPTH + 1, depth: MAX_DEPTH })
    expect(deep(MAX_DEPTH + 2)).toEqual({ values: MAX_DEPTH + 2, depth: MAX_DEPTH + 1 })
    expect(deep(500_000).values).toBe(500_000)
    expect(deep(500_000).depth).toBeGreaterThan(MAX_DEPTH)
    // Those that ended are not counted among the levels.
    expect(measureMsgPack(packr.pack(Array.from({ length: 1_000 }, () => [[]]))).depth).toBe(2)
  })
})

describe("both", () => {
  it("are of the codec whose frames they are", () => {
    expect(() => JsonCodec.measure(bytes(0x90))).toThrow(UndecodableFrame)
    expect(() => MsgPackCodec.measure("[]")).toThrow(UndecodableFrame)
    const envelope = {
      id: "1",
      from: "",
      to: "@(a/b)",
      type: "t",
      payload: [1, { two: [3] }],
      pattern: "tell",
      correlationId: null,
      timestamp: 1,
      metadata: NO_METADATA,
      ttl: null,
      signature: null,
    } as const
    for (const codec of [JsonCodec, MsgPackCodec])
      expect(codec.measure(codec.encode([envelope])).depth).toBe(4)
    expect(valuesIn(envelope.payload)).toBe(5)
  })
})
