/** The client keeps to the hub's rates of envelopes, values and bytes, also as it sends again after a drop. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { PING } from "../../src/protocol/index.ts"
import { type FakeNetwork, FakeSocket } from "./support/FakeNetwork.ts"
import { pass, run, settle, startReliable } from "./support/harness.ts"

const ADA = "@(test/ada)"
const MIB = 1_048_576

/** Values in a decoded frame, as the hub counts them. */
const valuesIn = (value: unknown): number =>
  typeof value === "object" && value !== null
    ? Object.values(value).reduce<number>((sum, each) => sum + valuesIn(each), 1)
    : 1

/** What a hub's buckets have left, over all sockets, as each 100 ms passes. */
const watchRates = (network: FakeNetwork, limits: { readonly tokens: number; readonly bytes: number }) => {
  const burst = { tokens: limits.tokens * 2, bytes: limits.bytes * 4 }
  const left = { ...burst }
  const least = { ...burst }
  let seen = 0
  let most = 0
  const look = (ms: number): void => {
    left.tokens = Math.min(burst.tokens, left.tokens + (limits.tokens * ms) / 1_000)
    left.bytes = Math.min(burst.bytes, left.bytes + (limits.bytes * ms) / 1_000)
    const frames = network.sockets.flatMap((socket) => socket.frames.filter((frame) => frame !== PING))
    for (const frame of frames.slice(seen)) {
      const decoded: unknown = JSON.parse(String(frame))
      most = Math.max(most, valuesIn(decoded))
      left.bytes -= Buffer.byteLength(String(frame))
      for (const envelope of Array.isArray(decoded) ? decoded : [decoded]) {
        left.tokens -= 1 + Math.floor(valuesIn(envelope) / 500)
      }
    }
    seen = frames.length
    least.tokens = Math.min(least.tokens, left.tokens)
    least.bytes = Math.min(least.bytes, left.bytes)
  }
  return {
    least,
    /** Most values of a frame. */
    mostValues: () => most,
    passing: (ms: number): Effect.Effect<void> =>
      Effect.gen(function* () {
        for (let at = 0; at < ms; at += 100) {
          yield* pass(100)
          look(100)
        }
      }),
  }
}

const RATES = {
  maxEnvelopesPerSecond: 200,
  envelopeBurst: 400,
  maxBytesPerSecond: 4 * MIB,
  byteBurst: 16 * MIB,
  maxValues: 50_000,
}

describe("fault 69: the client keeps to the hub's rates", () => {
  it.effect("16 MiB that are sent again after a drop stay within the bytes a second", () =>
    Effect.gen(function* () {
      const { client, hub, network, reconnect } = yield* startReliable()
      hub.limits = { ...RATES, maxBytesPerSecond: 2 * MIB, byteBurst: 8 * MIB }
      yield* reconnect()
      const rates = watchRates(network, { tokens: 200, bytes: 2 * MIB })
      hub.acknowledges = false
      const text = "x".repeat(500_000)
      const telling = yield* run(
        Effect.gen(function* () {
          for (let n = 0; n < 32; n++) yield* client.tell(ADA, `n${n}`, text, { reliable: true })
        }),
      )
      yield* rates.passing(8_000)
      expect(telling.pollUnsafe()).toBeDefined()
      // None of it had arrived.
      hub.inSeq = 0
      hub.taken.length = 0
      yield* reconnect()
      yield* rates.passing(9_000)
      expect(hub.taken.map(({ type }) => type)).toEqual(Array.from({ length: 32 }, (_, n) => `n${n}`))
      expect(rates.least.bytes).toBeGreaterThan(0)
      hub.acknowledges = true
      hub.acknowledge()
      yield* settle
    }),
  )

  it.effect("1,000 messages of 250 numbers, sent again after a drop: no frame holds too many values", () =>
    Effect.gen(function* () {
      const { client, hub, network, reconnect } = yield* startReliable()
      const rates = watchRates(network, { tokens: 1e6, bytes: 1e9 })
      hub.acknowledges = false
      const numbers = Array.from({ length: 250 }, () => 1)
      for (let n = 0; n < 1_000; n++) yield* client.tell(ADA, `n${n}`, numbers, { reliable: true })
      yield* settle
      hub.inSeq = 0
      hub.taken.length = 0
      yield* reconnect()
      yield* rates.passing(1_000)
      expect(hub.taken.map(({ type }) => type)).toEqual(Array.from({ length: 1_000 }, (_, n) => `n${n}`))
      expect(rates.mostValues()).toBeGreaterThan(40_000)
      expect(rates.mostValues()).toBeLessThanOrEqual(50_000)
      hub.acknowledges = true
      hub.acknowledge()
      yield* settle
    }),
  )

  it.effect("an envelope costs one more for each 500 values in it", () =>
    Effect.gen(function* () {
      const { client, hub, network, reconnect } = yield* startReliable()
      hub.limits = RATES
      yield* reconnect()
      const rates = watchRates(network, { tokens: 200, bytes: 4 * MIB })
      const numbers = Array.from({ length: 5_000 }, () => 1)
      yield* run(
        Effect.gen(function* () {
          for (let n = 0; n < 100; n++) yield* client.tell(ADA, "n", numbers)
        }),
      )
      yield* rates.passing(7_000)
      expect(hub.volatile).toHaveLength(100)
      expect(rates.least.tokens).toBeGreaterThan(0)
    }),
  )

  it.effect("a message of more values than a frame may hold rejects its own call", () =>
    Effect.gen(function* () {
      const { client, network } = yield* startReliable()
      const before = network.last.frames.length
      const values = Array.from({ length: 50_000 }, () => 1)
      const expected = {
        _tag: "TransportError",
        reason: "too_large",
        message: expect.stringContaining("values"),
      }
      expect(yield* Effect.flip(client.tell(ADA, "n", values))).toMatchObject(expected)
      expect(yield* Effect.flip(client.ask(ADA, "n", values))).toMatchObject(expected)
      expect(yield* Effect.flip(client.publish("news", "n", values))).toMatchObject(expected)
      yield* settle
      expect(network.last.frames.length).toBe(before)
    }),
  )

  it.effect("one message that is more than the burst leaves all the same", () =>
    Effect.gen(function* () {
      const { client, hub, network, reconnect } = yield* startReliable()
      hub.limits = { ...RATES, byteBurst: 1_000, envelopeBurst: 1 }
      yield* reconnect()
      expect(network.last).toBeInstanceOf(FakeSocket)
      yield* client.tell(ADA, "n", "x".repeat(10_000))
      yield* settle
      expect(hub.volatile.map(({ type }) => type)).toEqual(["n"])
    }),
  )
})
