import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import type { Envelope } from "@signal-hub/actor-core"
import { connect } from "../../src/client/index.ts"
import { PONG } from "../../src/protocol/index.ts"
import { connected, FakeNetwork, standardAnswer } from "./support/FakeNetwork.ts"
import { begin, outcome, pass, run, settle, start } from "./support/harness.ts"

const ADA = "@(test/ada)"
const BOB = "@(test/bob)"

/** What was sent to actors: the payloads. */
const payloads = (sent: ReadonlyArray<Envelope.Envelope>, to?: string) =>
  sent.flatMap((one) =>
    one.type.startsWith("hub:") || (to !== undefined && one.to !== to) ? [] : [one.payload],
  )
const acks = (sent: ReadonlyArray<Envelope.Envelope>) =>
  sent.flatMap(({ type, payload }) => (type === "hub:ack" ? [payload] : []))

describe("a slow reader", () => {
  it.effect("fault 39: tells to a paused actor wait until it is resumed; others go on", () =>
    Effect.gen(function* () {
      const { client, network } = yield* start()
      network.last.say("hub:pause", { actorAddress: ADA, reason: "slow_consumer" })
      const telling = yield* run(client.tell(ADA, "n", 1))
      const second = yield* run(client.tell(ADA, "n", 2))
      yield* client.tell(BOB, "n", 3)
      yield* pass(60_000)
      expect(outcome(telling)).toBe("waiting")
      expect(payloads(network.last.sent)).toEqual([3])
      network.last.say("hub:resume", { actorAddress: ADA })
      yield* settle
      expect([outcome(telling), outcome(second)]).toEqual([undefined, undefined])
      yield* client.tell(ADA, "n", 4)
      yield* settle
      expect(payloads(network.last.sent)).toEqual([3, 1, 2, 4])
    }),
  )

  it.effect("fault 39: what waits for a paused actor is bounded", () =>
    Effect.gen(function* () {
      const { client, network } = yield* start({ queueLimit: 3 })
      network.last.say("hub:pause", { actorAddress: ADA, reason: "slow_consumer" })
      for (let n = 0; n < 3; n++) yield* run(client.tell(ADA, "n", n))
      expect(yield* Effect.flip(client.tell(ADA, "n", 3))).toMatchObject({ reason: "queue_full" })
      yield* client.tell(BOB, "n", 4)
      yield* settle
      expect(payloads(network.last.sent)).toEqual([4])
    }),
  )

  it.effect("large messages that wait are bounded by their bytes, not their number", () =>
    Effect.gen(function* () {
      const { client, network } = yield* start()
      network.last.say("hub:pause", { actorAddress: ADA, reason: "slow_consumer" })
      const text = "x".repeat(1_000_000)
      for (let n = 0; n < 16; n++) yield* run(client.tell(ADA, "n", text))
      expect(yield* Effect.flip(client.tell(ADA, "n", text))).toMatchObject({ reason: "queue_full" })
    }),
  )

  it.effect("a tell that is interrupted while it waits is not sent", () =>
    Effect.gen(function* () {
      const { client, network } = yield* start()
      network.last.say("hub:pause", { actorAddress: ADA, reason: "slow_consumer" })
      const telling = yield* run(client.tell(ADA, "n", 1))
      yield* run(client.tell(ADA, "n", 2))
      yield* Fiber.interrupt(telling)
      network.last.say("hub:resume", { actorAddress: ADA })
      yield* settle
      expect(payloads(network.last.sent)).toEqual([2])
    }),
  )

  it.effect("an ask of a paused actor waits within its timeout, and is not sent once that is over", () =>
    Effect.gen(function* () {
      const { client, network } = yield* start()
      network.last.say("hub:pause", { actorAddress: ADA, reason: "slow_consumer" })
      const short = yield* run(client.ask(ADA, "short", 1, { timeout: 1_000 }))
      const long = yield* run(client.ask(ADA, "long", 2, { timeout: 5_000 }))
      yield* pass(1_000)
      expect(outcome(short)).toMatchObject({ _tag: "AskTimeout" })
      network.last.say("hub:resume", { actorAddress: ADA })
      yield* settle
      const asked = network.last.sent.at(-1)!
      expect(asked).toMatchObject({ type: "long", ttl: 4_000 })
      expect(payloads(network.last.sent)).toEqual([2])
      network.last.say("answer", "late", { from: ADA, correlationId: asked.id })
      yield* settle
      expect(outcome(long)).toBe("late")
    }),
  )

  it.effect("a new connection knows of no pause: what waited leaves on it, in order", () =>
    Effect.gen(function* () {
      const { client, network } = yield* start()
      network.last.say("hub:pause", { actorAddress: ADA, reason: "slow_consumer" })
      const telling = yield* run(client.tell(ADA, "n", 1))
      network.last.drop(1006)
      yield* settle
      // It waits for a connection now, as everything that is told offline does.
      expect(outcome(telling)).toBeUndefined()
      yield* client.tell(ADA, "n", 2)
      yield* pass(250)
      network.last.open()
      yield* settle
      expect(payloads(network.last.sent)).toEqual([1, 2])
    }),
  )

  it("as a promise: tell resolves at once where it leaves, and else when it may", async () => {
    const network = new FakeNetwork()
    network.onSocket = (socket) => void queueMicrotask(() => socket.open())
    await using hub = await connect("ws://hub.test/ws", { webSocket: network.open, queueLimit: 2 })
    await hub.tell(ADA, "n", 0)
    network.last.say("hub:pause", { actorAddress: ADA, reason: "slow_consumer" })
    const done: Array<number> = []
    const first = hub.tell(ADA, "n", 1).then(() => done.push(1))
    const second = hub.tell(ADA, "n", 2).then(() => done.push(2))
    expect(() => hub.tell(ADA, "n", 3)).toThrow("wait already")
    await hub.tell(BOB, "n", 4)
    expect(done).toEqual([])
    network.last.say("hub:resume", { actorAddress: ADA })
    await Promise.all([first, second])
    expect(done).toEqual([1, 2])
    await hub.tell(ADA, "n", 5)
    await Promise.resolve()
    expect(payloads(network.last.sent)).toEqual([0, 4, 1, 2, 5])
  })
})

describe("acknowledging", () => {
  it.effect("fault 30: counts bytes of data frames, not characters, and says so when enough has come", () =>
    Effect.gen(function* () {
      const { network } = yield* begin()
      const socket = network.last
      let heard = 0
      socket.addEventListener("message", ({ data }) => {
        if (data !== PONG) heard += Buffer.byteLength(String(data))
      })
      socket.open()
      yield* settle
      socket.say("note", "é".repeat(60_000), { from: ADA })
      socket.emit("message", { data: PONG })
      yield* settle
      expect(acks(socket.sent)).toEqual([])
      socket.say("note", "é".repeat(6_000), { from: ADA })
      yield* settle
      expect(acks(socket.sent)).toEqual([{ through: 0, bytes: heard }])
    }),
  )

  it.effect("rides in the batch that leaves anyway, and needs no timer", () =>
    Effect.gen(function* () {
      const { client, network } = yield* start()
      yield* Effect.sync(() => Effect.runSync(client.tell(ADA, "n", 1)))
      network.last.say("note", "x".repeat(140_000), { from: ADA })
      yield* settle
      const batch = JSON.parse(String(network.last.frames.at(-1))) as ReadonlyArray<{ type: string }>
      expect(batch.map(({ type }) => type)).toEqual(["n", "hub:ack"])
      const { frames } = network.last
      yield* pass(20_000)
      expect(network.last.frames).toHaveLength(frames.length)
    }),
  )

  it.effect("goes by the thresholds that the hub names, and counts anew on each connection", () =>
    Effect.gen(function* () {
      const limited = connected({ limits: { resumeThreshold: 2_000 } })
      const { network } = yield* begin()
      network.onSocket = (socket) => {
        socket.answers = (request) => (request.type === "hub:connect" ? limited : standardAnswer(request))
      }
      network.onSocket(network.last)
      network.last.open()
      yield* settle
      network.last.say("note", "x".repeat(1_000), { from: ADA })
      yield* settle
      expect(acks(network.last.sent)).toHaveLength(1)
      network.last.drop(1006)
      yield* pass(250)
      network.last.open()
      yield* settle
      network.last.say("note", "x".repeat(1_500), { from: ADA })
      yield* settle
      const [ack] = acks(network.last.sent) as ReadonlyArray<{ bytes: number }>
      expect(ack?.bytes).toBeLessThan(3_000)
    }),
  )

  it.effect(
    "fault 77: answers a probe with the next that it says, once, and soon where it says nothing else",
    () =>
      Effect.gen(function* () {
        const { client, network } = yield* start()
        const socket = network.last
        socket.say("hub:probe", { nonce: "first" })
        socket.say("hub:probe", { nonce: "second" })
        yield* settle
        yield* pass(250)
        const nonces = () =>
          (acks(socket.sent) as ReadonlyArray<{ readonly nonce?: string }>).flatMap(
            ({ nonce }) => nonce ?? [],
          )
        expect(nonces()).toEqual(["first", "second"])
        socket.say("hub:probe", { nonce: "third" })
        yield* client.tell(ADA, "n", 1)
        yield* pass(250)
        expect(nonces()).toEqual(["first", "second", "third"])
        // Nobody else hears of probes.
        const heard: Array<string> = []
        yield* run(Stream.runForEach(client.events, ({ type }) => Effect.sync(() => heard.push(type))))
        socket.say("hub:probe", { nonce: "fourth" })
        socket.drop(1006)
        yield* pass(250)
        network.last.open()
        yield* settle
        yield* pass(1_000)
        expect(heard).not.toContain("hub:probe")
        expect(acks(network.last.sent)).toEqual([])
      }),
  )

  it.effect("says nothing to a hub that does not support backpressure", () =>
    Effect.gen(function* () {
      const { network } = yield* begin()
      const old = connected({ capabilities: { supportsBackpressure: false } })
      network.last.answers = (request) => (request.type === "hub:connect" ? old : standardAnswer(request))
      network.last.open()
      yield* settle
      network.last.say("note", "x".repeat(500_000), { from: ADA })
      yield* settle
      expect(acks(network.last.sent)).toEqual([])
    }),
  )
})

describe("the hub's rate", () => {
  /** Envelopes that left by each 100 ms, as a hub's bucket would see them. */
  const withinRate = (times: ReadonlyArray<number>, rate: number, burst: number): boolean => {
    let [tokens, at] = [burst, 0]
    for (const time of times) {
      tokens = Math.min(burst, tokens + ((time - at) * rate) / 1_000) - 1
      at = time
      if (tokens < 0) return false
    }
    return true
  }

  it.effect("a sender at full speed waits, and never goes over it", () =>
    Effect.gen(function* () {
      const { client, network } = yield* start()
      const times: Array<number> = [0]
      yield* run(
        Effect.gen(function* () {
          for (let n = 0; n < 2_000; n++) yield* client.tell(ADA, "n", n)
        }),
      )
      for (let at = 0; at <= 12_000; at += 100) {
        while (times.length < network.last.sent.length) times.push(at)
        yield* pass(100)
      }
      expect(payloads(network.last.sent)).toEqual([...Array(2_000).keys()])
      expect(withinRate(times, 200, 400)).toBe(true)
    }),
  )

  it.effect("what is wanted again and what waited stay within it after a reconnect", () =>
    Effect.gen(function* () {
      const { client, network } = yield* start()
      const names = Array.from({ length: 600 }, (_, n) => `@(test/r${n})` as const)
      yield* run(Effect.forEach(names, (name) => client.register(name), { concurrency: "unbounded" }))
      yield* pass(5_000)
      network.last.drop(1006)
      yield* settle
      for (let n = 0; n < 400; n++) yield* client.tell(ADA, "n", n)
      yield* pass(250)
      network.last.open()
      yield* settle
      const times: Array<number> = []
      for (let at = 0; at <= 8_000; at += 100) {
        while (times.length < network.last.sent.length) times.push(at)
        yield* pass(100)
      }
      const { sent } = network.last
      const types = network.last.types.filter((type) => type !== "hub:ack")
      expect(types.filter((type) => type === "hub:register")).toHaveLength(600)
      expect(types.lastIndexOf("hub:register")).toBe(600)
      expect(payloads(sent)).toEqual([...Array(400).keys()])
      expect(withinRate(times, 200, 400)).toBe(true)
      // Letting go of so much, at the end of the test, takes its time too.
      yield* run(client.close)
      yield* pass(3_000)
    }),
  )

  it.effect("close sends what waits for it first", () =>
    Effect.gen(function* () {
      const { client, network } = yield* start()
      const numbers = [...Array(500).keys()]
      yield* run(Effect.forEach(numbers, (n) => client.tell(ADA, "n", n), { concurrency: "unbounded" }))
      expect(payloads(network.last.sent).length).toBeLessThan(400)
      const closing = yield* run(client.close)
      yield* pass(3_000)
      expect(outcome(closing)).toBeUndefined()
      expect(payloads(network.last.sent)).toEqual([...Array(500).keys()])
      expect(network.last.types.at(-1)).toBe("hub:disconnect")
    }),
  )

  it.effect("fault 38: a rate-limited request says how long to wait, typed, in milliseconds", () =>
    Effect.gen(function* () {
      const { client, network } = yield* start()
      network.last.answers = () => ({
        type: "hub:rate_limited",
        payload: { message: "too fast", retryAfter: 1_500, retryAfterMs: 1_500, limit: 200 },
      })
      expect(yield* Effect.flip(client.publish("news", "item", 1))).toMatchObject({
        _tag: "AskRefused",
        code: "rate_limited",
        retryAfterMs: 1_500,
        retryable: true,
      })
    }),
  )

  it.effect("after 4429 it reconnects when it was told to, not before", () =>
    Effect.gen(function* () {
      const { network } = yield* start()
      network.last.say("hub:rate_limited", {
        message: "m",
        retryAfter: 2_000,
        retryAfterMs: 2_000,
        limit: 200,
      })
      network.last.drop(4429)
      yield* pass(1_999)
      expect(network.sockets).toHaveLength(1)
      yield* pass(251)
      expect(network.sockets).toHaveLength(2)
    }),
  )
})
