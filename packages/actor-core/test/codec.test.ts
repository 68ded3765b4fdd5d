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
    payload: json.filter((value) => !JSON.stringify(value).includes("__proto__")),
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

  it("keeps nothing of a frame that defines records: the next frame is read as if it never was", () => {
    // fixext 1 of type "r" defines record 0x40 by the names of its fields, and its first value follows.
    const defines = bytes(0x91, 0xd4, 0x72, 0x40, 0x91, 0xa1, ...ascii("x"), 0x05)
    const uses = bytes(0x91, 0x40, 0x05)
    const fresh = outcome(uses)
    outcome(defines)
    expect(outcome(uses)).toEqual(fresh)
    expect(outcome(bytes(0x91, 0x40))).toEqual([64])
    expect(MsgPackCodec.decode(MsgPackCodec.encode([base])).map(check)).toEqual([base])
  })

  it("lets no value of a language pass as data: sets, errors, regular expressions, big integers", () => {
    const inPayload = (...value: ReadonlyArray<number>) => {
      const fields = [0x97, 0xa1, 0x31, 0xc0, 0xa6, ...ascii("@(c/d)"), 0xa1, 0x74, 0x00, 0x00]
      return MsgPackCodec.decode(bytes(0x91, ...fields, ...value)).map(check)
    }
    expect(inPayload(0x05)).toMatchObject([{ payload: 5 }])
    const bigint = [0xc7, 0x09, 0x42, 1, 0, 0, 0, 0, 0, 0, 0, 0]
    const set = [0xd4, 0x73, 0x00, 0x91, 0x01]
    const error = [0xd4, 0x65, 0x00, 0x93, 0xa5, ...ascii("Error"), 0xa1, 0x6d, 0xc0]
    const regexp = [0xd4, 0x78, 0x00, 0x92, 0xa1, 0x61, 0xa0]
    for (const value of [bigint, set, error, regexp]) {
      expect(inPayload(...value)[0]).toBeInstanceOf(Malformed)
    }
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
})

const outcome = (frame: Uint8Array): unknown => {
  try {
    return MsgPackCodec.decode(frame)
  } catch (error) {
    expect(error).toBeInstanceOf(UndecodableFrame)
    return "undecodable"
  }
}
