import { type Codec, Envelope, JsonCodec } from "@signal-hub/actor-core"
import { MsgPackCodec } from "@signal-hub/actor-core/codec/msgpack"
import { describe, expect, it } from "vitest"
import { asRow, isRow, readRow } from "../../src/session/StoredFrame.ts"

const MIB = 1_048_576
const note = (payload: unknown): Envelope.Envelope => ({
  id: "m-1",
  from: "@(node/a)",
  to: "@(node/b)",
  type: "note",
  payload,
  pattern: "tell",
  correlationId: null,
  timestamp: 1,
  metadata: {},
  ttl: null,
  signature: null,
})
const sizeOf = (frame: string | Uint8Array): number => Buffer.byteLength(frame)

describe("a row", () => {
  const cases: ReadonlyArray<readonly [what: string, payload: unknown, sent: Codec, read: Codec]> = [
    ["control characters", "\0".repeat(1_000_000), MsgPackCodec, JsonCodec],
    ["short numbers", Array.from({ length: 250_000 }, () => 1.5), JsonCodec, MsgPackCodec],
    ["wide characters", "漢".repeat(340_000), MsgPackCodec, JsonCodec],
  ]
  it.each(cases)("of %s is no larger than the frame in which it was sent", (_, payload, sent, read) => {
    const envelope = note(payload)
    expect(sizeOf(sent.encode([envelope]))).toBeLessThanOrEqual(MIB)
    const row = asRow([envelope], read.encode([envelope]))
    expect(sizeOf(row)).toBeLessThanOrEqual(MIB)
    expect(readRow(row)).toEqual([envelope])
  })

  it("is measured in bytes, not in characters", () => {
    expect(isRow("漢".repeat(340_000))).toBe(true)
    expect(isRow("漢".repeat(360_000))).toBe(false)
    expect(isRow(new Uint8Array(MIB + 1))).toBe(false)
  })
})
