import { describe, expect, it } from "vitest"
import { MAX_DEPTH, measure, memoryOf, UnsupportedValue } from "../src/PayloadValue.ts"

const nested = (depth: number): unknown => {
  let value: unknown = "leaf"
  for (let i = 0; i < depth; i++) value = i % 2 === 0 ? [value] : { value }
  return value
}

const rejection = (value: unknown): UnsupportedValue => {
  const measured = measure(value)
  if (measured instanceof UnsupportedValue) return measured
  throw new Error("it was taken")
}

describe("what a payload may hold", () => {
  it("counts objects, arrays and all that is in them, not keys and not what is left out", () => {
    const at = new Date(0)
    expect(measure(null)).toEqual({ values: 1, depth: 0 })
    expect(measure(undefined)).toEqual({ values: 1, depth: 0 })
    expect(measure([])).toEqual({ values: 1, depth: 1 })
    expect(measure({ a: 1, b: "x", c: true, d: null, e: undefined })).toEqual({ values: 5, depth: 1 })
    expect(measure([new Uint8Array(9), new ArrayBuffer(9), Buffer.from("x"), at, undefined])).toEqual({
      values: 6,
      depth: 1,
    })
    expect(measure({ list: [{ x: [1] }] })).toEqual({ values: 5, depth: 4 })
  })

  it("stops where there are more than may be: what holds itself many times over is not walked", () => {
    let bush: unknown = 1
    for (let i = 0; i < 100; i++) bush = [bush, bush]
    expect(measure(bush, { maxValues: 50_000 })).toMatchObject({ values: 50_001 })
  })

  it("takes any key, and objects without a prototype", () => {
    const keys = ["__proto__", "constructor", "toJSON", "then", "hasOwnProperty", "", "0", "length", "é"]
    const value: unknown = JSON.parse(`{${keys.map((key) => `${JSON.stringify(key)}:1`).join()}}`)
    expect(measure(value)).toEqual({ values: 10, depth: 1 })
    expect(measure(Object.assign(Object.create(null), { a: 1 }))).toEqual({ values: 2, depth: 1 })
  })

  it("takes as many levels as an envelope may have, and not one more", () => {
    expect(measure(nested(MAX_DEPTH - 1))).toMatchObject({ depth: MAX_DEPTH - 1 })
    expect(rejection(nested(MAX_DEPTH)).message).toMatch("nested deeper than 128 levels")
    expect(measure(nested(MAX_DEPTH), { level: 1 })).toMatchObject({ depth: MAX_DEPTH })
    const cycle: { self?: unknown } = {}
    cycle.self = cycle
    expect(rejection({ cycle }).message).toMatch("or holds itself")
    expect(rejection({ cycle }).path).toMatch(/^payload\.cycle(\.self)+…$/)
  })

  const date = (at: number, properties: object): Date => Object.assign(new Date(at), properties)
  const hidden = Object.defineProperty({}, "toJSON", { value: () => "other" })
  const transferred = (): ArrayBuffer => {
    const buffer = new ArrayBuffer(8)
    structuredClone(buffer, { transfer: [buffer] })
    return buffer
  }
  const revoked = (target: object): object => {
    const { proxy, revoke } = Proxy.revocable(target, {})
    revoke()
    return proxy
  }

  it.each<[name: string, value: unknown, says: RegExp]>([
    ["a bigint", 1n, /a bigint.*a string/],
    ["NaN", NaN, /NaN.*null/],
    ["Infinity", -Infinity, /-Infinity.*null/],
    ["a symbol", Symbol.iterator, /a symbol/],
    ["a function", () => 1, /a function/],
    ["a class", Map, /a function/],
    ["half of a surrogate pair", "\ud83d", /surrogate.*toWellFormed/],
    ["a key with half of a surrogate pair", { "\udc00": 1 }, /a key with half.*toWellFormed/],
    ["a map", new Map(), /a Map.*fromEntries/],
    ["a set", new Set(), /a Set.*\[\.\.\.set\]/],
    ["an error", new RangeError("x"), /a RangeError.*\{ name, message \}/],
    ["a regular expression", /x/, /a RegExp.*source/],
    ["a promise", Promise.resolve(), /a Promise.*await/],
    ["a blob", new Blob(["x"]), /a Blob.*arrayBuffer/],
    ["a URL", new URL("http://x/"), /a URL.*href/],
    ["a typed array", new Float64Array(2), /a Float64Array.*new Uint8Array\(view/],
    ["a clamped array", new Uint8ClampedArray(2), /Uint8ClampedArray/],
    ["a data view", new DataView(new ArrayBuffer(2)), /a DataView/],
    [
      "a typed array that claims to be bytes",
      Object.setPrototypeOf(new Float64Array(2), Uint8Array.prototype),
      /can't/,
    ],
    ["what claims to be bytes", Object.create(Uint8Array.prototype), /can't/],
    ["what claims to be a buffer", Object.create(ArrayBuffer.prototype), /can't/],
    ["what claims to be a date", Object.create(Date.prototype), /can't/],
    ["shared memory", new SharedArrayBuffer(2), /a SharedArrayBuffer.*copy/],
    ["a transferred buffer", transferred(), /transferred/],
    [
      "bytes of a transferred buffer",
      ((b) => (structuredClone(b.buffer, { transfer: [b.buffer] }), b))(new Uint8Array(3)),
      /transferred/,
    ],
    ["an invalid date", new Date(NaN), /an invalid Date/],
    ["a date with a method", date(0, { toJSON: () => "x" }), /a Date with properties/],
    ["a date of a class", new (class Day extends Date {})(0), /a Day/],
    ["a boxed number", Object(1), /a Number.*valueOf/],
    [
      "an instance of a class",
      new (class Point {
        x = 1
      })(),
      /a Point.*\{ \.\.\.value \}/,
    ],
    ["an array of a class", new (class List extends Array {})(), /a List/],
    ["an object with another prototype", Object.create({ a: 1 }), /a prototype of its own/],
    ["an object with a hidden toJSON", hidden, /method toJSON/],
    ["a symbol as a key", { [Symbol("x")]: 1 }, /a symbol as a key/],
    ["a hole", Object.assign([], { length: 3 }), /a hole.*null/],
    [
      "a getter that throws",
      {
        get x() {
          throw new Error("no")
        },
      },
      /throws when it is read/,
    ],
    ["a proxy that was revoked", revoked({}), /throws when it is read/],
    ["a proxied array that was revoked", revoked([]), /throws when it is read/],
    [
      "a proxy that throws",
      new Proxy(
        {},
        {
          ownKeys: () => {
            throw new Error("no")
          },
        },
      ),
      /throws when it is read/,
    ],
  ])("fault 47: rejects %s, with the path and a remedy", (_, value, says) => {
    const { message, path, remedy } = rejection({ items: [0, { "odd key": value }] })
    expect(path.startsWith('payload.items[1]["odd key"]')).toBe(true)
    expect(message).toMatch(says)
    expect(message.endsWith(remedy)).toBe(true)
    expect(message.length).toBeLessThan(300)
    expect(rejection(value)._tag).toBe("UnsupportedValue")
  })

  it("says in the path which property threw, and with what", () => {
    const cause = new Error("no")
    const rejected = rejection([
      {
        get at() {
          throw cause
        },
      },
    ])
    expect(rejected).toMatchObject({ path: "payload[0].at", cause })
  })

  it("keeps its messages short, however long the keys are", () => {
    expect(rejection({ ["k".repeat(1_000_000)]: 1n }).message.length).toBeLessThan(200)
    const Long = {
      ["C".repeat(1_000)]: class {
        x = 1
      },
    }["C".repeat(1_000)]!
    expect(rejection(new Long()).message.length).toBeLessThan(200)
  })

  it("calls the value by the name that it is given", () => {
    expect(measure({ x: 1n }, { name: "metadata" })).toMatchObject({ path: "metadata.x" })
  })
})

it("fault 70: the memory of a value is told from its texts, bytes and number of values, keys included", () => {
  expect(memoryOf("x".repeat(1_000)) - memoryOf("")).toBe(1_000)
  expect(memoryOf(new Uint8Array(1_000)) - memoryOf(new Uint8Array(0))).toBe(1_000)
  expect(memoryOf(new ArrayBuffer(1_000)) - memoryOf(new ArrayBuffer(0))).toBe(1_000)
  expect(memoryOf({ ["k".repeat(1_000)]: null }) - memoryOf({ "": null })).toBe(1_000)
  const many = Array.from({ length: 1_000 }, (_, n) => [n, new Date(n), null, true])
  expect(memoryOf(many)).toBeGreaterThan(5_000 * 8)
  expect(memoryOf({ a: { b: [many] } })).toBeGreaterThan(memoryOf(many))
})
