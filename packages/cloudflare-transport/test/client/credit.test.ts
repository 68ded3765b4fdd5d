/** Messages on their way to the hub: bounded, so that a pause comes before too much has left. */
import { describe, expect, it } from "@effect/vitest"
import type { Envelope } from "@signal-hub/actor-core"
import * as Effect from "effect/Effect"
import * as fc from "fast-check"
import { connected, type FakeSocket, standardAnswer } from "./support/FakeNetwork.ts"
import { begin, outcome, pass, run, settle } from "./support/harness.ts"

const ADA = "@(test/ada)"
const BOB = "@(test/bob)"

/** About 1,000 bytes as an envelope. */
const TEXT = "x".repeat(800)

const payloadsOf = (socket: FakeSocket, to: string): ReadonlyArray<unknown> =>
  socket.sent.flatMap((one) => (one.to === to ? [(one.payload as { readonly n: number }).n] : []))

/** A client of a hub with these limits, which answers heartbeats only when it is told to. */
const startAt = (limits: object) =>
  Effect.gen(function* () {
    const made = yield* begin()
    const { network } = made
    network.onSocket = (socket) => {
      socket.answers = (request) => {
        if (request.type === "hub:connect") return connected({ limits })
        return request.type === "hub:heartbeat" ? undefined : standardAnswer(request)
      }
    }
    network.onSocket(network.last)
    // The end of a test waits for no answer, as no time passes by then.
    yield* Effect.addFinalizer(() => Effect.sync(() => network.last.drop()))
    network.last.open()
    yield* settle
    const asked = (): ReadonlyArray<Envelope.Envelope> =>
      network.last.sent.filter(({ type }) => type === "hub:heartbeat")
    let answered = 0
    /** The hub has worked on all that was sent before the oldest heartbeat that it has not answered. */
    const answer = (): void => {
      const { id, payload } = asked()[answered++]!
      const { timestamp } = payload as { readonly timestamp: number }
      network.last.say("hub:heartbeat_ack", { timestamp, serverTime: 1 }, { correlationId: id })
    }
    const begun = (): void => void (answered = 0)
    return { ...made, answer, asked, begun }
  })

describe("a burst", () => {
  it.effect(
    "fault 55: waits with half of the hub's pauseThreshold on its way, until the hub has worked on it",
    () =>
      Effect.gen(function* () {
        const { answer, asked, client, network } = yield* startAt({ pauseThreshold: 8_000 })
        let told = 0
        yield* run(
          Effect.gen(function* () {
            for (let n = 0; n < 20; n++) {
              yield* client.tell(ADA, "n", { n, TEXT })
              told++
            }
          }),
        )
        const first = told
        expect(first).toBeGreaterThan(2)
        expect(first).toBeLessThan(6)
        expect(payloadsOf(network.last, ADA)).toHaveLength(first)
        yield* pass(5_000)
        expect(told).toBe(first)
        expect(asked()).toHaveLength(1)
        answer()
        yield* settle
        expect(told).toBeGreaterThan(first)
        expect(told).toBeLessThan(first + 6)
        for (let answers = 0; answers < 20; answers++) {
          if (told === 20) break
          answer()
          yield* settle
        }
        expect(told).toBe(20)
        expect(payloadsOf(network.last, ADA)).toEqual([...Array(20).keys()])
      }),
  )

  it.effect(
    "fault 55: a pause that the burst leads to comes before the answer, and holds back the rest",
    () =>
      Effect.gen(function* () {
        const { answer, client, network } = yield* startAt({ pauseThreshold: 8_000 })
        const telling = yield* run(
          Effect.gen(function* () {
            for (let n = 0; n < 20; n++) yield* client.tell(ADA, "n", { n, TEXT })
          }),
        )
        const left = payloadsOf(network.last, ADA).length
        network.last.say("hub:pause", { actorAddress: ADA, reason: "slow_consumer" })
        answer()
        yield* run(client.tell(BOB, "n", { n: 1 }))
        expect(payloadsOf(network.last, BOB)).toEqual([1])
        expect(payloadsOf(network.last, ADA)).toHaveLength(left)
        expect(outcome(telling)).toBe("waiting")
      }),
  )

  it.effect(
    "what is sent again after a drop waits for it, too, and each connection begins with all of it",
    () =>
      Effect.gen(function* () {
        const { answer, asked, begun, client, network } = yield* startAt({ pauseThreshold: 8_000 })
        const telling = yield* run(
          Effect.gen(function* () {
            for (let n = 0; n < 6; n++) yield* client.tell(ADA, "n", { n, TEXT })
          }),
        )
        expect(outcome(telling)).toBe("waiting")
        network.last.drop(1006)
        yield* pass(250)
        network.last.open()
        begun()
        yield* settle
        expect(outcome(telling)).toBeUndefined()
        const more = yield* run(
          Effect.gen(function* () {
            for (let n = 6; n < 14; n++) yield* client.tell(ADA, "n", { n, TEXT })
          }),
        )
        expect(outcome(more)).toBe("waiting")
        expect(asked()).toHaveLength(1)
        const before = payloadsOf(network.last, ADA).length
        answer()
        yield* settle
        expect(payloadsOf(network.last, ADA).length).toBeGreaterThan(before)
      }),
  )

  it.effect("fault 55: a message larger than the window, behind a question, is asked about in its turn", () =>
    Effect.gen(function* () {
      const { answer, asked, client, network } = yield* startAt({ pauseThreshold: 8_000 })
      for (let n = 0; n < 3; n++) yield* client.tell(ADA, "n", { n, TEXT })
      yield* settle
      expect(asked()).toHaveLength(1)
      yield* client.tell(ADA, "n", { n: 3, text: "x".repeat(10_000) })
      const telling = yield* run(client.tell(ADA, "n", { n: 4 }))
      answer()
      yield* settle
      expect(outcome(telling)).toBe("waiting")
      expect(asked()).toHaveLength(2)
      answer()
      yield* settle
      expect(outcome(telling)).toBeUndefined()
      expect(payloadsOf(network.last, ADA)).toEqual([0, 1, 2, 3, 4])
    }),
  )

  it.effect("a refused answer is one, too", () =>
    Effect.gen(function* () {
      const { asked, client, network } = yield* startAt({ pauseThreshold: 8_000 })
      const telling = yield* run(
        Effect.gen(function* () {
          for (let n = 0; n < 7; n++) yield* client.tell(ADA, "n", { n, TEXT })
        }),
      )
      const payload = { message: "too fast", retryAfter: 1, retryAfterMs: 1, limit: 1 }
      while (outcome(telling) === "waiting") {
        network.last.say("hub:rate_limited", payload, { correlationId: asked().at(-1)!.id })
        yield* settle
      }
      expect(payloadsOf(network.last, ADA)).toEqual([...Array(7).keys()])
    }),
  )
})

describe("close()", () => {
  it.effect("waits for a hub that goes on, and not for one that says nothing more", () =>
    Effect.gen(function* () {
      const { answer, asked, client, network, state } = yield* startAt({ pauseThreshold: 8_000 })
      yield* run(
        Effect.forEach([...Array(20).keys()], (n) => client.tell(ADA, "n", { n, TEXT }), {
          concurrency: "unbounded",
        }),
      )
      const closing = yield* run(client.close)
      for (let answers = 0; answers < 2; answers++) {
        yield* pass(900)
        expect(outcome(closing)).toBe("waiting")
        answer()
        yield* settle
      }
      const left = payloadsOf(network.last, ADA).length
      expect(left).toBeGreaterThan(5)
      expect(left).toBeLessThan(20)
      expect(asked().length).toBeGreaterThan(2)
      yield* pass(2_500)
      expect(outcome(closing)).toBeUndefined()
      const now = state()
      expect(now).toMatchObject({ status: "disconnected" })
      if (now.status === "disconnected") expect(now.undelivered).toHaveLength(20 - left)
    }),
  )
})

describe("whoever sends little", () => {
  it.effect("asks nothing of the hub", () =>
    Effect.gen(function* () {
      const { asked, client } = yield* startAt({ pauseThreshold: 1_048_576 })
      for (let n = 0; n < 100; n++) yield* client.tell(ADA, "n", { n, TEXT })
      yield* settle
      expect(asked()).toEqual([])
    }),
  )

  it.effect("nor of one that names no threshold, however much that is", () =>
    Effect.gen(function* () {
      const { asked, client, network } = yield* startAt({ maxBytesPerSecond: 1e9, byteBurst: 1e9 })
      for (let n = 0; n < 20; n++) yield* client.tell(ADA, "n", { n, text: "x".repeat(500_000) })
      yield* settle
      expect(payloadsOf(network.last, ADA)).toHaveLength(20)
      expect(asked()).toEqual([])
    }),
  )
})

it("fault 55: of any burst no more is on its way than the window and a message, and all of it leaves in order", async () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 3_000 }), { minLength: 1, maxLength: 60 })
  const threshold = fc.integer({ min: 1_000, max: 10_000 })
  await fc.assert(
    fc.asyncProperty(sizes, threshold, async (messages, pauseThreshold) => {
      const test = Effect.gen(function* () {
        const { answer, asked, client, network } = yield* startAt({
          pauseThreshold,
          maxEnvelopesPerSecond: 1e9,
          envelopeBurst: 1e9,
        })
        let isDone = false
        yield* run(
          Effect.gen(function* () {
            for (const [n, size] of messages.entries()) {
              yield* client.tell(ADA, "n", { n, text: "x".repeat(size) })
            }
            isDone = true
          }),
        )
        for (let answers = 0; ; answers++) {
          const { sent } = network.last
          const ids = new Set(
            asked()
              .slice(0, answers)
              .map(({ id }) => id),
          )
          const handled = sent.findLastIndex(({ id }) => ids.has(id))
          const onTheWay = sent
            .slice(handled + 1)
            .filter(({ type }) => type === "n")
            .map((envelope) => JSON.stringify(envelope).length)
          const all = onTheWay.reduce((sum, size) => sum + size, 0)
          expect(all - (onTheWay.at(-1) ?? 0)).toBeLessThan(pauseThreshold / 2)
          if (isDone) break
          answer()
          yield* settle
        }
        expect(payloadsOf(network.last, ADA)).toEqual([...messages.keys()])
      })
      await Effect.runPromise(Effect.scoped(test))
    }),
    { numRuns: 40 },
  )
})
