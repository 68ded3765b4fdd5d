import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import { UndecodableFrame, type Codec } from "../src/codec/Codec.ts"
import { JsonCodec } from "../src/codec/JsonCodec.ts"
import { MsgPackCodec } from "../src/codec/MsgPackCodec.ts"
import { check, Malformed, NO_METADATA, type Envelope } from "../src/Envelope.ts"

const codecs: ReadonlyArray<readonly [string, Codec]> = [
  ["JSON", JsonCodec],
  ["msgpack", MsgPackCodec],
]

const base: Envelope = {
  id: "1",
  from: "@(a/b)",
  to: "@(c/d)",
  type: "t",
  payload: null,
  pattern: "tell",
  correlationId: null,
  timestamp: 1_700_000_000_000,
  metadata: NO_METADATA,
  ttl: null,
  signature: null,
}

const json = fc
  .jsonValue({ noUnicodeString: false })
  .map((value) => JSON.parse(JSON.stringify(value)) as unknown)
const envelope: fc.Arbitrary<Envelope> = fc
  .record({
    id: fc.string({ minLength: 1, maxLength: 20 }),
    from: fc.constantFrom<Envelope["from"]>("@(a/b)", ""),
    to: fc.constant(base.to),
    type: fc.string({ minLength: 1, maxLength: 20 }),
    payload: json,
    pattern: fc.constantFrom<Envelope["pattern"]>("tell", "ask"),
    correlationId: fc.option(fc.string({ minLength: 1, maxLength: 20 })),
    timestamp: fc.integer({ min: 0, max: 8_640_000_000_000_000 }),
    metadata: fc.dictionary(fc.stringMatching(/^[a-z]{1,9}$/), fc.oneof(fc.string(), fc.integer()), {
      maxKeys: 3,
    }),
    ttl: fc.option(fc.nat()),
    signature: fc.option(fc.string()),
    seq: fc.option(fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), { nil: undefined }),
  })
  .map(({ seq, ...fields }) => (seq === undefined ? fields : Object.assign(fields, { seq })))

const bytes = (...values: ReadonlyArray<number>): Uint8Array => Uint8Array.from(values)
const ascii = (text: string): ReadonlyArray<number> => [...new TextEncoder().encode(text)]

describe.each(codecs)("the %s codec", (_, codec) => {
  it("gives back what it was given, single or in batches, in order", () => {
    fc.assert(
      fc.property(fc.array(envelope, { minLength: 1, maxLength: 5 }), (batch) => {
        expect(codec.decode(codec.encode(batch)).map(check)).toEqual(batch)
      }),
    )
  })

  it("completes the frames of one envelope for each of many receivers, of any length of address", () => {
    const receivers = [7, 31, 32, 100, 255, 256].map((length) => {
      const name = "n".repeat(length - 5)
      // Segments have at most 100 characters.
      return `@(a/${name.replace(/(.{99})./g, "$1/")})` as const
    })
    fc.assert(
      fc.property(envelope, (one) => {
        const complete = codec.encodeFor(one)
        const frames = [...receivers, ...receivers].map(complete)
        // All at once, as they may share memory.
        expect(frames.map((frame) => codec.decode(frame).map(check))).toEqual(
          [...receivers, ...receivers].map((to) => [{ ...one, to }]),
        )
      }),
    )
  })

  it("decodes each frame from nothing but itself", () => {
    const first = codec.encode([{ ...base, payload: { alpha: 1, beta: 2 } }])
    const second = codec.encode([{ ...base, payload: { alpha: 3, beta: 4 } }])
    expect(codec.decode(second).map(check)).toEqual([{ ...base, payload: { alpha: 3, beta: 4 } }])
    expect(codec.decode(first).map(check)).toEqual([{ ...base, payload: { alpha: 1, beta: 2 } }])
  })

  it("judges nothing: a batch of half-valid values is decoded, and each is checked alone", () => {
    const frame = codec.encode([base, { ...base, id: "", to: "@(c/d)" }, { ...base, id: "3" }])
    const judged = codec.decode(frame).map(check)
    expect(judged.map((value) => value instanceof Malformed)).toEqual([false, true, false])
  })

  it("decodes any frame, or throws UndecodableFrame and nothing else", () => {
    const decode = (frame: string | Uint8Array) => {
      try {
        for (const value of codec.decode(frame)) check(value)
      } catch (error) {
        expect(error).toBeInstanceOf(UndecodableFrame)
      }
    }
    fc.assert(fc.property(fc.oneof(fc.uint8Array(), fc.string()), decode), { numRuns: 2_000 })
    // What is almost right reaches deeper than what is random.
    fc.assert(
      fc.property(envelope, fc.nat(), fc.integer({ min: 0, max: 255 }), (value, at, byte) => {
        const frame = codec.encode([value])
        if (typeof frame === "string") return decode(frame.slice(0, at % frame.length))
        const broken = Uint8Array.from(frame)
        broken[at % broken.length] = byte
        decode(broken)
      }),
      { numRuns: 2_000 },
    )
  })
})

describe("the JSON codec", () => {
  it("writes a batch of one as an object, which a peer without batches reads too", () => {
    expect(JSON.parse(JsonCodec.encode([base]) as string)).toEqual(base)
    expect(JSON.parse(JsonCodec.encode([base, base]) as string)).toEqual([base, base])
  })

  it("refuses binary frames", () => {
    expect(() => JsonCodec.decode(bytes(0x7b, 0x7d))).toThrow(UndecodableFrame)
  })

  it.each(["", "{", "undefined", "{'a':1}", "NaN", "\u0000"])("refuses %j", (frame) => {
    expect(() => JsonCodec.decode(frame)).toThrow(UndecodableFrame)
  })

  it("writes bytes as base64 and dates in ISO form, wherever they are", () => {
    const payload = { at: new Date(0), bytes: bytes(1, 2, 3), list: [Buffer.from("hi")] }
    const metadata = { raw: bytes(255) }
    expect(JSON.parse(JsonCodec.encode([{ ...base, payload, metadata }]) as string)).toMatchObject({
      payload: { at: "1970-01-01T00:00:00.000Z", bytes: "AQID", list: ["aGk="] },
      metadata: { raw: "/w==" },
    })
    expect(JSON.parse(JsonCodec.encode([{ ...base, payload: bytes(1) }]) as string)).toMatchObject({
      payload: "AQ==",
    })
  })

  it("holds up under 200,000 levels: what it decodes of them is refused", () => {
    const deep = `${"[".repeat(200_000)}${"]".repeat(200_000)}`
    const frame = JSON.stringify(base).replace('"payload":null', `"payload":${deep}`)
    let verdicts: ReadonlyArray<unknown>
    try {
      verdicts = JsonCodec.decode(frame).map(check)
    } catch (error) {
      verdicts = [error]
    }
    expect(verdicts[0] instanceof Malformed || verdicts[0] instanceof UndecodableFrame).toBe(true)
  })
})

describe("the msgpack codec", () => {
  it("refuses text frames, and frames that hold no array", () => {
    expect(() => MsgPackCodec.decode("{}")).toThrow(UndecodableFrame)
    expect(() => MsgPackCodec.decode(bytes(0x01))).toThrow(UndecodableFrame)
    expect(() => MsgPackCodec.decode(bytes(0x80))).toThrow(UndecodableFrame)
    expect(() => MsgPackCodec.decode(bytes())).toThrow(UndecodableFrame)
    expect(() => MsgPackCodec.decode(bytes(0x92, 0x01))).toThrow(UndecodableFrame)
    expect(() => MsgPackCodec.decode(bytes(0x90, 0x90))).toThrow(UndecodableFrame)
  })

  it("leaves off what is absent at the end", () => {
    const size = (e: Envelope) => MsgPackCodec.encode([e]).length
    expect(size(base)).toBeLessThan(size({ ...base, ttl: 1 }))
    expect(size({ ...base, ttl: 1 })).toBeLessThan(size({ ...base, ttl: 1, seq: 1 }))
  })

  it("carries bytes and dates as they are", () => {
    const payload = { at: new Date(1_234), bytes: bytes(1, 2, 3) }
    const [decoded] = MsgPackCodec.decode(MsgPackCodec.encode([{ ...base, payload }])).map(check)
    expect(decoded).toMatchObject({ payload: { at: new Date(1_234) } })
    expect([...(decoded as { readonly payload: typeof payload }).payload.bytes]).toEqual([1, 2, 3])
  })

  const payloadOf = (...value: ReadonlyArray<number>): unknown => {
    const fields = [0x97, 0xa1, 0x31, 0xc0, 0xa6, ...ascii("@(c/d)"), 0xa1, 0x74, 0x00, 0x00]
    const [judged] = MsgPackCodec.decode(bytes(0x91, ...fields, ...value)).map(check)
    return judged instanceof Malformed ? judged : (judged as Envelope).payload
  }

  it.each<[name: string, says: RegExp, ...value: ReadonlyArray<number>]>([
    ["an unknown extension", /an extension of type 5/, 0xd4, 5, 0],
    ["a set of msgpackr", /extension of type 115/, 0xd4, 0x73, 0],
    ["an error of msgpackr", /extension of type 101/, 0xd4, 0x65, 0],
    ["a regular expression of msgpackr", /extension of type 120/, 0xd4, 0x78, 0],
    ["a typed array of msgpackr", /extension of type 116/, 0xd8, 0x74, ...Array<number>(16).fill(8)],
    ["a record of msgpackr", /extension of type 114/, 0xd4, 0x72, 0x40],
    ["undefined of msgpackr", /extension of type 0/, 0xd4, 0, 0],
    ["a big integer of msgpackr", /extension of type 66/, 0xc7, 9, 0x42, 1, 0, 0, 0, 0, 0, 0, 0, 0],
    ["an extension of two bytes of length", /extension of type 7/, 0xc8, 0, 1, 7, 0],
    ["an extension of four bytes of length", /extension of type 7/, 0xc9, 0, 0, 0, 1, 7, 0],
    ["a large integer", /beyond 2\^53/, 0xcf, 0, 0x20, 0, 0, 0, 0, 0, 1],
    ["a large negative integer", /beyond 2\^53/, 0xd3, 0x80, 0, 0, 0, 0, 0, 0, 0],
    ["NaN", /NaN/, 0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0],
    ["Infinity of four bytes", /Infinity/, 0xca, 0x7f, 0x80, 0, 0],
    ["text that is no UTF-8", /not UTF-8/, 0xa1, 0xff],
    ["half of a surrogate pair", /not UTF-8/, 0xa3, 0xed, 0xa0, 0x80],
    ["a key that is no UTF-8", /a key that is no string/, 0x81, 0xa1, 0xff, 1],
    ["a number as a key", /a key that is no string/, 0x81, 1, 1],
    ["null as a key", /a key that is no string/, 0x81, 0xc0, 1],
    ["a list as a key", /a key that is no string/, 0x81, 0x90, 1],
    ["a timestamp of another length", /an invalid timestamp/, 0xd5, 0xff, 0, 0],
    [
      "a timestamp of too many nanoseconds",
      /an invalid timestamp/,
      0xd7,
      0xff,
      0xff,
      0xff,
      0xff,
      0xff,
      0,
      0,
      0,
      0,
    ],
    [
      "a timestamp beyond all dates",
      /an invalid timestamp/,
      0xc7,
      12,
      0xff,
      0,
      0,
      0,
      0,
      0x7f,
      0,
      0,
      0,
      0,
      0,
      0,
      0,
    ],
  ])("fault 47: yields no value of a language: %s makes its envelope malformed", (_, says, ...value) => {
    expect(payloadOf(...value)).toMatchObject({ id: "1", reason: expect.stringMatching(says) })
    // What is beside it is read all the same.
    expect(payloadOf(0x92, 1, ...value)).toMatchObject({ reason: expect.stringContaining("payload[1]") })
  })

  it("reads each form that other encoders choose: integers of eight bytes, long forms of short things", () => {
    expect(payloadOf(0xcf, 0, 0, 1, 0x8b, 0xcf, 0xe5, 0x68, 0x7b)).toBe(1_700_000_000_123)
    expect(payloadOf(0xd3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe)).toBe(-2)
    expect(payloadOf(0xca, 0x3f, 0x80, 0, 0)).toBe(1)
    expect(payloadOf(0xdd, 0, 0, 0, 2, 0xdc, 0, 0, 0xdf, 0, 0, 0, 0)).toEqual([[], {}])
    expect(payloadOf(0xde, 0, 1, 0xd9, 1, 0x61, 0xdb, 0, 0, 0, 1, 0x62)).toEqual({ a: "b" })
    expect(payloadOf(0xda, 0, 1, 0x61)).toBe("a")
    expect(payloadOf(0xc5, 0, 1, 9)).toEqual(bytes(9))
    expect(payloadOf(0xc6, 0, 0, 0, 1, 9)).toEqual(bytes(9))
    expect(payloadOf(0xd1, 0xff, 0)).toBe(-256)
    expect(payloadOf(0xd2, 0xff, 0, 0, 0)).toBe(-16_777_216)
    // 1969, to the nanosecond.
    expect(payloadOf(0xc7, 12, 0xff, 0, 0x1e, 0x84, 0x80, ...Array<number>(8).fill(0xff))).toEqual(
      new Date(-998),
    )
  })

  it("refuses what claims more than there is, without making room for it", () => {
    const claims = (...head: ReadonlyArray<number>) =>
      bytes(...Array.from({ length: 100 }, () => head).flat())
    expect(() => MsgPackCodec.decode(claims(0xdd, 0, 0, 1, 0x80))).toThrow(UndecodableFrame)
    expect(() => MsgPackCodec.decode(claims(0xdf, 0, 0, 1, 0x80))).toThrow(UndecodableFrame)
    for (const head of [0xa5, 0xc4, 0xc5, 0xc6, 0xc7, 0xd9, 0xda, 0xdb, 0xcb, 0xca, 0xcf, 0xd3, 0xd8, 0xc1]) {
      expect(() => MsgPackCodec.decode(bytes(0x91, head, 0xff, 0xff, 0xff))).toThrow(UndecodableFrame)
    }
  })

  it("shares no memory with the frame, and writes each frame where no other is", () => {
    const frame = MsgPackCodec.encode([{ ...base, payload: bytes(1, 2, 3) }]) as Uint8Array
    const next = MsgPackCodec.encode([{ ...base, payload: bytes(7, 8, 9) }])
    const [read] = MsgPackCodec.decode(frame).map(check) as ReadonlyArray<Envelope>
    const payload = read!.payload as Uint8Array
    expect(payload.buffer.byteLength).toBe(3)
    frame.fill(0)
    expect([...payload]).toEqual([1, 2, 3])
    expect(MsgPackCodec.decode(next).map(check)).toMatchObject([{ payload: bytes(7, 8, 9) }])
    const large = MsgPackCodec.encode([{ ...base, payload: new Uint8Array(100_000) }]) as Uint8Array
    expect(large.buffer.byteLength).toBe(large.length)
  })

  it("writes one message while a getter of another writes a third", () => {
    let inner: string | Uint8Array | undefined
    const payload = {
      a: 1,
      get b() {
        inner = MsgPackCodec.encode([{ ...base, id: "inner", payload: "x".repeat(20_000) }])
        return 2
      },
    }
    const outer = MsgPackCodec.encode([{ ...base, payload }])
    expect(MsgPackCodec.decode(outer).map(check)).toMatchObject([{ id: "1", payload: { a: 1, b: 2 } }])
    expect(MsgPackCodec.decode(inner!).map(check)).toMatchObject([{ id: "inner" }])
  })

  it("survives 200,000 levels: the frame is refused, and the next one is read", () => {
    const deep = new Uint8Array(200_001).fill(0x91)
    deep[200_000] = 0xc0
    let verdict: unknown
    try {
      verdict = MsgPackCodec.decode(deep).map(check)[0]
    } catch (error) {
      verdict = error
    }
    expect(verdict instanceof Malformed || verdict instanceof UndecodableFrame).toBe(true)
    expect(MsgPackCodec.decode(MsgPackCodec.encode([base])).map(check)).toEqual([base])
  })

  it("refuses only the envelope that is nested too deep, with its id, and reads those beside it", () => {
    const maps = Array.from({ length: 10_000 }, () => [0x81, 0xa1, 0x61, 0x92, 0xc0]).flat()
    expect(payloadOf(...maps, 0xc0)).toMatchObject({ id: "1", reason: expect.stringMatching(/nested/) })
    const frame = MsgPackCodec.encode([base]) as Uint8Array
    const deep = [0x97, 0xa1, 0x32, 0xc0, 0xa6, ...ascii("@(c/d)"), 0xa1, 0x74, 0, 0, ...maps, 0xc0]
    const batch = MsgPackCodec.decode(bytes(0x93, ...frame.subarray(1), ...deep, ...frame.subarray(1)))
    expect(batch.map(check)).toMatchObject([base, { id: "2" }, base])
  })
})

describe("text in JSON frames", () => {
  it.each(['"\\ud800"', '{"\\udc00":1}', '["a\\uD83D "]', '"\\\\\\ud83d\\\\ude00"'])(
    "fault 47: %s, with half of a surrogate pair, makes its envelope malformed",
    (payload) => {
      const frame = JSON.stringify([base, base]).replace('"payload":null', `"payload":${payload}`)
      const judged = JsonCodec.decode(frame).map(check)
      expect(judged).toMatchObject([{ id: "1", reason: expect.stringMatching(/surrogate/) }, base])
    },
  )

  it("fault 47: no field of an envelope holds half of a surrogate pair: each encoder takes what was checked", () => {
    for (const field of ["id", "type", "correlationId", "signature"]) {
      const [judged] = JsonCodec.decode(JSON.stringify({ ...base, [field]: "\ud800x" })).map(check)
      expect(judged).toMatchObject({ reason: expect.stringContaining(`"${field}"`) })
    }
  })

  it("may escape whole pairs", () => {
    const frame = JSON.stringify(base).replace('"payload":null', '"payload":["\\ud83d\\ude00","\\\\ud800"]')
    expect(JsonCodec.decode(frame).map(check)).toMatchObject([{ payload: ["😀", "\\ud800"] }])
  })

  it("may hold no number that is not finite", () => {
    const frame = JSON.stringify(base).replace('"payload":null', '"payload":1e999')
    expect(JsonCodec.decode(frame).map(check)).toMatchObject([{ reason: expect.stringMatching(/Infinity/) }])
  })
})
