import { describe, expect, it } from "vitest"
import { sqlitePersistence } from "../../src/storage/SqlitePersistence.ts"
import { fromRow, toReadableRow, toRow } from "../../src/storage/StoredValue.ts"
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
