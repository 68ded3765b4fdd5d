/** Arbitrary values of JavaScript through both codecs, and between them: equal, or rejected by name. */
import { isDeepStrictEqual } from "node:util"
import * as fc from "fast-check"
import { Packr } from "msgpackr"
import { describe, expect, it } from "vitest"
import type { Codec } from "../src/codec/Codec.ts"
import { JsonCodec } from "../src/codec/JsonCodec.ts"
import { MsgPackCodec, pack, unpack } from "../src/codec/MsgPackCodec.ts"
import { check, Malformed, NO_METADATA, type Envelope } from "../src/Envelope.ts"
import { isBytes, isPlainObject, measure, UnsupportedValue } from "../src/PayloadValue.ts"

const envelope = (payload: unknown): Envelope => ({
  id: "1",
  from: "@(a/b)",
  to: "@(c/d)",
  type: "t",
  payload,
  pattern: "tell",
  correlationId: null,
  timestamp: 0,
  metadata: NO_METADATA,
  ttl: null,
  signature: null,
})

/** Keys that look like something to a language or to a library. */
const HOSTILE_KEYS = [
  "__proto__",
  "constructor",
  "prototype",
  "toJSON",
  "then",
  "valueOf",
  "toString",
  "hasOwnProperty",
  "__defineGetter__",
  "length",
  "size",
  "byteLength",
  "buffer",
  "type",
  "",
  "0",
  "-1",
  "a.b",
  "é\u2028",
]

/** Every constructor of this process that makes an object, and what it made. */
const INSTANCES: ReadonlyArray<readonly [name: string, value: object]> = Object.getOwnPropertyNames(
  globalThis,
).flatMap((name) => {
  const Constructor: unknown = Reflect.get(globalThis, name)
  if (typeof Constructor !== "function" || !/^[A-Z]/.test(name)) return []
  const made: Array<readonly [string, object]> = []
  for (const given of [[], [8], ["x"], ["http://x/"], [[1, 2]], [new ArrayBuffer(8)], [() => 1], [{}]]) {
    try {
      const value: unknown = Reflect.construct(Constructor, given)
      if (typeof value === "object" && value !== null) made.push([name, value])
      if (value instanceof Promise) value.catch(() => {})
    } catch {
      // It wants something else, or is abstract.
    }
  }
  return made
})

/** Made once: an arbitrary that is asked again gives the same value. */
const instance = fc.constantFrom(...INSTANCES).map(([, value]) => value)

const bytes = fc.uint8Array({ maxLength: 300 })
const plainLeaf = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    true,
    false,
    -0,
    0,
    "",
    Number.MAX_SAFE_INTEGER,
    5e-324,
    -(2 ** 31),
    2 ** 32,
  ),
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.string(),
  fc.string({ unit: "binary", maxLength: 80 }).filter((text) => text.isWellFormed()),
  fc.string({ unit: "grapheme", minLength: 16, maxLength: 300 }),
  fc.date({ noInvalidDate: true }),
  bytes,
  bytes.map((value) => Buffer.from(value)),
  bytes.map((value) => Buffer.concat([value, Buffer.alloc(4)]).subarray(0, value.length)),
  bytes.map((value) => value.slice().buffer),
  fc.constant(undefined),
)
const hostileLeaf = fc.oneof(
  instance,
  fc.constantFrom<unknown>(
    NaN,
    Infinity,
    -Infinity,
    1n,
    Symbol("x"),
    () => 1,
    class {
      x = 1
    },
    "\ud800",
    "\udc00x",
    new Date(NaN),
    Object.create({ a: 1 }),
  ),
  fc.string({ unit: "binary" }),
)
const key = fc.oneof(fc.constantFrom(...HOSTILE_KEYS), fc.string({ maxLength: 40 }))

const valueOf = (leaf: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> =>
  fc.letrec<{ value: unknown }>((tie) => {
    const entries = fc.array(fc.tuple(key, tie("value")), { maxLength: 6 })
    return {
      value: fc.oneof(
        { maxDepth: 5, withCrossShrink: true },
        leaf,
        fc.array(tie("value"), { maxLength: 20 }),
        entries.map((list) => Object.fromEntries(list)),
        entries.map((list) => Object.setPrototypeOf(Object.fromEntries(list), null) as unknown),
      ),
    }
  }).value

/** The value as it must arrive. `json`: after JSON, which has neither bytes nor dates. */
const arrives = (value: unknown, json: boolean): unknown => {
  if (value === undefined) return null
  if (typeof value === "number") return value + 0
  if (typeof value !== "object" || value === null) return value
  if (Array.isArray(value)) return value.map((element) => arrives(element, json))
  if (value instanceof Date) return json ? value.toISOString() : new Date(value.getTime())
  if (isBytes(value)) {
    const copy = Uint8Array.from(new Uint8Array(value))
    return json ? Buffer.from(copy).toString("base64") : copy
  }
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, property]) => property !== undefined)
      .map(([name, property]) => [name, arrives(property, json)]),
  )
}

const through = (codec: Codec, frame: string | Uint8Array): Envelope => {
  const [judged] = codec.decode(frame).map(check)
  if (judged === undefined || judged instanceof Malformed)
    throw new Error(`it was refused: ${judged?.reason}`)
  return judged
}

const expectSame = (actual: unknown, expected: unknown): void => {
  if (!isDeepStrictEqual(actual, expected)) expect(actual).toStrictEqual(expected)
}

const CODECS = [JsonCodec, MsgPackCodec]

/** Sends it in each codec and on in each other. */
const travel = (value: unknown): void => {
  for (const codec of CODECS) {
    const isJson = codec === JsonCodec
    const sent = envelope(value)
    const expected = arrives(value, isJson)
    const once = through(codec, codec.encode([sent]))
    expectSame(once.payload, expected)
    expectSame(through(codec, codec.encodeFor(sent)("@(e/f)")).payload, expected)
    for (const next of CODECS) {
      // What arrived is taken by every encoder: a hub relays it without another look.
      const twice = through(next, next.encode([once]))
      expectSame(twice.payload, arrives(expected, next === JsonCodec))
    }
  }
}

describe("faults 47, 65: arbitrary values", () => {
  it("travel equal in both codecs and between them, whatever their keys are", () => {
    const seen = new Set<string>()
    const look = (value: unknown): void => {
      if (typeof value !== "object") seen.add(Object.is(value, -0) ? "-0" : typeof value)
      else if (value === null) seen.add("null")
      else if (Buffer.isBuffer(value))
        seen.add(value.byteLength === value.buffer.byteLength ? "Buffer" : "pooled")
      else if (isBytes(value)) seen.add(value instanceof Uint8Array ? "Uint8Array" : "ArrayBuffer")
      else if (value instanceof Date) seen.add(value.getTime() < 0 ? "early Date" : "Date")
      else if (Array.isArray(value)) value.forEach(look)
      else {
        if (Object.getPrototypeOf(value) === null) seen.add("without prototype")
        for (const [name, property] of Object.entries(value)) {
          if (HOSTILE_KEYS.includes(name)) seen.add(`key ${name}`)
          look(property)
        }
      }
    }
    fc.assert(
      fc.property(valueOf(plainLeaf), (value) => {
        look(value)
        expect(measure(value)).not.toBeInstanceOf(UnsupportedValue)
        travel(value)
      }),
      { numRuns: 500 },
    )
    const kinds = ["null", "boolean", "number", "-0", "string", "undefined", "Uint8Array", "ArrayBuffer"]
    const dates = ["Date", "early Date", "pooled", "without prototype"]
    const wanted = [...kinds, ...dates, ...HOSTILE_KEYS.map((name) => `key ${name}`)]
    expect(wanted.filter((kind) => !seen.has(kind))).toEqual([])
  })

  it("are rejected by name in both codecs where no message can carry them, and travel equal otherwise", () => {
    const verdicts = { rejected: 0, taken: 0 }
    fc.assert(
      fc.property(valueOf(fc.oneof(plainLeaf, hostileLeaf)), (value) => {
        const measured = measure(value)
        if (!(measured instanceof UnsupportedValue)) {
          verdicts.taken++
          return travel(value)
        }
        verdicts.rejected++
        expect(measured.path).toMatch(/^payload/)
        for (const codec of CODECS) {
          // A codec looks less closely than `measure`, and never throws anything else.
          try {
            codec.encode([envelope(value)])
          } catch (error) {
            expect(error).toBeInstanceOf(UnsupportedValue)
          }
        }
      }),
      { numRuns: 500 },
    )
    expect(verdicts.rejected).toBeGreaterThan(100)
    expect(verdicts.taken).toBeGreaterThan(100)
  })

  it("of every constructor there is are rejected, or are among those that travel", () => {
    const taken = new Set<string>()
    const made = new Set(INSTANCES.map(([name]) => name))
    for (const [name, value] of INSTANCES) {
      for (const holder of [value, { key: value }, [value]]) {
        const measured = measure(holder)
        if (measured instanceof UnsupportedValue) {
          for (const codec of CODECS) expect(() => codec.encode([envelope(holder)])).toThrow(UnsupportedValue)
        } else {
          taken.add(name)
          travel(holder)
        }
      }
    }
    for (const name of ["Map", "Error", "Float64Array", "RegExp", "Blob", "BigInt64Array", "URL"]) {
      expect(made).toContain(name)
    }
    expect(made.size).toBeGreaterThan(50)
    expect([...taken].toSorted()).toEqual(["Array", "ArrayBuffer", "Buffer", "Date", "Object", "Uint8Array"])
  })

  it.each([
    new Float64Array(2_000),
    new Float32Array(2_000),
    new Int32Array(2_000),
    new Uint16Array(2_000),
    new Uint8ClampedArray(2_000),
    new BigInt64Array(2_000),
    new DataView(new ArrayBuffer(2_000)),
  ])("fault 47: no view but Uint8Array sends a byte of this process's memory", (view) => {
    for (const codec of CODECS) {
      expect(() => codec.encode([envelope({ view })])).toThrow(
        /^payload\.view is an? \w*(Array|DataView), which/,
      )
    }
  })

  it("fault 47: a Buffer sends its own bytes, and none of the pool that it lies in", () => {
    const secret = Buffer.from("secret of another message")
    const pooled = Buffer.from("mine")
    const frame = MsgPackCodec.encode([envelope([pooled])]) as Uint8Array
    expect(Buffer.from(frame).includes("mine")).toBe(true)
    expect(Buffer.from(frame).includes(secret)).toBe(false)
    const payload = through(MsgPackCodec, frame).payload as ReadonlyArray<Uint8Array>
    expect(payload[0]!.buffer.byteLength).toBe(4)
  })

  it("fault 47: bytes that say that they are longer send no more than they have", () => {
    const liar = Object.defineProperties(new Uint8Array([1, 2]), {
      length: { value: 5_000 },
      byteLength: { value: 5_000 },
    })
    expect(through(MsgPackCodec, MsgPackCodec.encode([envelope(liar)])).payload).toEqual(
      new Uint8Array([1, 2]),
    )
    expect(through(JsonCodec, JsonCodec.encode([envelope(liar)])).payload).toBe("AQI=")
  })

  it("fault 65: a value whose keys look like methods is like any other, in metadata too", () => {
    const hostile: unknown = JSON.parse(
      '{"constructor":1,"toJSON":1,"then":1,"__proto__":{"x":1},"hasOwnProperty":0}',
    )
    if (!isPlainObject(hostile)) throw new Error("it is an object")
    for (const codec of CODECS) {
      const frame = codec.encode([{ ...envelope([hostile]), metadata: hostile }])
      const read = through(codec, frame)
      expectSame(read.payload, [hostile])
      expectSame(read.metadata, hostile)
      expect(Object.keys(read.metadata)).toContain("__proto__")
      expect((read.metadata as { readonly x?: unknown }).x).toBeUndefined()
    }
  })

  it("of many keys, or long, are written whole", () => {
    const wide = Object.fromEntries(
      Array.from({ length: 70_000 }, (_, i) => [`k${i}`, i % 2 ? undefined : i]),
    )
    for (const value of [wide, Array(70_000).fill(1), "é".repeat(70_000), new Uint8Array(70_000).fill(7)]) {
      expectSame(unpack(pack(value)), arrives(value, false))
    }
  })
})

describe("MessagePack", () => {
  const packr = new Packr({ useRecords: false, encodeUndefinedAsNil: true })
  const isOrdinary = (value: unknown): boolean =>
    typeof value === "string"
      ? !value.startsWith("\ufeff")
      : typeof value !== "object" || value === null
        ? true
        : Array.isArray(value)
          ? value.every(isOrdinary)
          : !isPlainObject(value) ||
            Object.entries(value).every(([k, v]) => !HOSTILE_KEYS.includes(k) && isOrdinary(v))

  it("is read and written as another implementation does it", () => {
    fc.assert(
      fc.property(valueOf(plainLeaf).filter(isOrdinary), (value) => {
        const expected = arrives(value, false)
        expectSame(unpack(packr.pack(expected)), expected)
        expectSame(unpack(packr.pack(packr.unpack(pack(value)))), expected)
      }),
      { numRuns: 1_000 },
    )
  })
})
