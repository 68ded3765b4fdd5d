import { describe, expect, it } from "vitest"
import { sqlitePersistence } from "../../src/durable/SqlitePersistence.ts"
import { fromRow, isUnstorable, NotStorable, toReadableRow, toRow } from "../../src/object/StoredValue.ts"
import { NodeSql } from "../support/NodeSql.ts"
import * as Effect from "effect/Effect"

const MIB = 1_048_576

describe("a value in a row", () => {
  const control = "\u0001".repeat(1_000_000)
  // In msgpack, nine bytes each.
  const numbers = Array.from({ length: 250_000 }, () => 1.5)

  it.each([
    ["bytes and dates", { bytes: new Uint8Array([1, 2]), dates: [new Date(0)], none: null }],
    ["control characters", control],
    ["short numbers", numbers],
  ])("of %s is what it was, and no larger than in the smaller codec", (_, value) => {
    const row = toRow(value)
    expect(Buffer.byteLength(row)).toBeLessThanOrEqual(MIB)
    expect(fromRow(row)).toEqual(value)
  })

  it.each([toRow, toReadableRow])("fault 47: of bytes, dates and any key is what it was (%o)", (store) => {
    const hostile: unknown = JSON.parse('{"__proto__":1,"constructor":2,"toJSON":3,"then":4}')
    for (const value of [{ at: new Date(0), bytes: Uint8Array.of(1, 2), hostile }, [null], "x"]) {
      expect(fromRow(store(value))).toEqual(value)
    }
    const large = fromRow(store({ bytes: new Uint8Array(2 * MIB).fill(7), at: new Date(1) }))
    expect(large).toMatchObject({ at: new Date(1), bytes: { length: 2 * MIB, [MIB]: 7 } })
    expect(fromRow(store(undefined))).toBeNull()
    expect(Object.keys(fromRow(store(hostile)) as object)).toContain("__proto__")
  })

  it.each([toRow, toReadableRow])(
    "fault 47: that no payload may hold is not stored, but named (%o)",
    (store) => {
      for (const value of [new Float64Array(2_000), 1n, new Map(), NaN, () => 1, "\ud800", new Error("x")]) {
        expect(() => store({ list: [value] })).toThrow(/value\.list\[0\] is .*can't be sent or stored/)
      }
    },
  )

  it.each([toRow, toReadableRow])("fault 66: that can't be encoded is never tried again (%o)", (store) => {
    let thrown: unknown
    try {
      store({ n: 1n })
    } catch (error) {
      thrown = error
    }
    expect(thrown).toBeInstanceOf(NotStorable)
    expect(isUnstorable(thrown)).toBe(true)
    expect(isUnstorable(new Error("disk I/O error"))).toBe(false)
    const save = sqlitePersistence(new NodeSql()).save("@(account/a)", { n: 1n }, 0)
    expect(Effect.runSync(Effect.flip(save))).toMatchObject({
      permanent: true,
      message: expect.stringContaining("no plain data"),
    })
  })

  it.each([
    ["a text", { note: "漢".repeat(300_000) }, "string"],
    ["large, and smaller in msgpack", { note: control }, "object"],
    ["large, and smaller as a text", numbers, "string"],
  ])("that is a state can be read, unless it is better packed: %s", async (_, state, kind) => {
    expect(typeof toReadableRow(state)).toBe(kind)
    const store = sqlitePersistence(new NodeSql())
    await Effect.runPromise(store.save("@(account/a)", state, 0))
    expect((await Effect.runPromise(store.load("@(account/a)")))?.state).toEqual(state)
  })
})
