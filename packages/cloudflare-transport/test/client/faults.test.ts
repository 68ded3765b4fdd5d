/** The faults of `faults.md` that a client can have, each by its number. */
import { describe, expect, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import type { Envelope } from "@signal-hub/actor-core"
import { reconnectSchedule, type HubClientService } from "../../src/client/index.ts"
import { begin, outcome, pass, run, settle, start } from "./support/harness.ts"

const ADA = "@(test/ada)"
const tag = (value: unknown): unknown => (value as { readonly _tag?: unknown } | undefined)?._tag

describe("takeover", () => {
  it.effect("fault 10: a superseded client stays away, whatever wakes it, until reclaim()", () =>
    Effect.gen(function* () {
      const { client, network, page, state } = yield* start()
      network.last.say("hub:disconnect", { reason: "duplicate_connection", message: "a newer connection" })
      network.last.drop(4409)
      yield* settle
      expect(state()).toMatchObject({ status: "superseded", code: 4409 })
      page.fire("online")
      yield* pass(3_600_000)
      expect(network.sockets).toHaveLength(1)
      expect(tag(yield* Effect.flip(client.tell(ADA, "hi", 1)))).toBe("TransportError")

      yield* client.reclaim
      yield* settle
      expect(network.sockets).toHaveLength(2)
      network.last.open()
      yield* settle
      expect(network.last.sent[0]?.metadata).toMatchObject({ reclaim: true })
      expect(state().status).toBe("connected")
    }),
  )

  it.effect("fault 10: a supersession whose close code is lost counts as one all the same", () =>
    Effect.gen(function* () {
      const { network, state } = yield* start()
      network.last.say("hub:disconnect", { reason: "duplicate_connection", message: "a newer connection" })
      network.last.drop(1006)
      yield* pass(60_000)
      expect(state().status).toBe("superseded")
      expect(network.sockets).toHaveLength(1)
    }),
  )

  it.effect("fault 15: a stale socket's late events touch nothing of the new connection", () =>
    Effect.gen(function* () {
      const { client, network, state } = yield* start()
      const stale = network.last
      stale.drop(1006)
      yield* pass(250)
      network.last.open()
      yield* settle
      const heard: Array<Envelope.Envelope> = []
      yield* run(collectInto(client, heard))
      stale.emit("error")
      stale.say("greeting", "from the dead", { from: ADA })
      stale.drop(4409)
      stale.open()
      yield* client.tell(ADA, "still-here", 1)
      yield* settle
      expect(state().status).toBe("connected")
      expect(network.last.types.at(-1)).toBe("still-here")
      expect(heard).toEqual([])
      expect(stale.sent.filter(({ type }) => type === "hub:connect")).toHaveLength(1)
      expect(network.sockets).toHaveLength(2)
    }),
  )
})

describe("disconnecting", () => {
  it.effect("fault 13: close() waits for the acknowledgment and the close, and no longer than a second", () =>
    Effect.gen(function* () {
      const { client, network, state } = yield* start()
      network.last.closesOnGoodbye = false
      const closing = yield* run(client.close)
      expect(network.last.types.at(-1)).toBe("hub:disconnect")
      expect(outcome(closing)).toBe("waiting")
      expect(network.last.closedByClient).toBe(false)
      network.last.drop(1000)
      yield* settle
      expect(outcome(closing)).toBeUndefined()
      expect(state()).toMatchObject({ status: "disconnected", code: 1000 })

      const other = yield* start()
      other.network.last.closesOnGoodbye = false
      other.network.last.closesOnGoodbye = false
      const unanswered = yield* run(other.client.close)
      yield* pass(1_000)
      expect(outcome(unanswered)).toBeUndefined()
      expect(other.network.last.closedByClient).toBe(true)
    }),
  )

  it.effect("fault 15: after close() no wake-up reconnects", () =>
    Effect.gen(function* () {
      const { client, network, page } = yield* start()
      const closing = yield* run(client.close)
      yield* Fiber.join(closing)
      for (const event of ["online", "pageshow", "visibilitychange"]) page.fire(event)
      yield* pass(3_600_000)
      expect(network.sockets).toHaveLength(1)
    }),
  )

  it.effect("fault 15: close() while a token is being fetched ends closed", () =>
    Effect.gen(function* () {
      const token = Promise.withResolvers<string>()
      const { client, network, state } = yield* begin({ token: () => token.promise })
      yield* client.close
      token.resolve("late")
      yield* pass(60_000)
      expect(network.sockets).toHaveLength(0)
      expect(state().status).toBe("disconnected")
    }),
  )

  it.effect("fault 46: after close() nothing reconnects, streams end and what is sent is refused", () =>
    Effect.gen(function* () {
      const { client, network } = yield* start()
      const heard: Array<Envelope.Envelope> = []
      const listening = yield* run(collectInto(client, heard))
      const closing = yield* run(client.close)
      yield* Fiber.join(closing)
      yield* Fiber.join(listening)
      expect(heard).toEqual([])
      yield* pass(3_600_000)
      expect(network.sockets).toHaveLength(1)
      expect(yield* Effect.flip(client.tell(ADA, "hi", 1))).toMatchObject({ reason: "closed" })
      expect(yield* Effect.flip(client.ask(ADA, "hi", 1))).toMatchObject({ reason: "closed" })
    }),
  )
})

describe("asks", () => {
  it.effect("fault 14: an ask in flight when the connection drops fails at once, typed", () =>
    Effect.gen(function* () {
      const { client, network } = yield* start()
      const asking = yield* run(client.ask(ADA, "work", 1))
      network.last.drop(1006)
      yield* settle
      expect(outcome(asking)).toMatchObject({ _tag: "ConnectionLost", code: 1006 })
    }),
  )

  it.effect("fault 14: an ask that waits offline is sent after the reconnect, its ttl less the wait", () =>
    Effect.gen(function* () {
      const { client, network } = yield* start()
      network.last.drop(1006)
      yield* settle
      const asking = yield* run(client.ask(ADA, "work", 1, { timeout: 10_000 }))
      yield* pass(4_000)
      network.last.open()
      yield* settle
      const sent = network.last.sent.find(({ type }) => type === "work")
      expect(sent?.ttl).toBe(6_000)
      network.last.say("done", "well", { from: ADA, correlationId: sent?.id ?? "" })
      yield* settle
      expect(outcome(asking)).toBe("well")
    }),
  )

  it.effect("fault 14: an ask that is never sent and one that is never answered both end as AskTimeout", () =>
    Effect.gen(function* () {
      const { client, network } = yield* start()
      const unanswered = yield* run(client.ask(ADA, "work", 1, { timeout: 5_000 }))
      yield* pass(5_000)
      expect(tag(outcome(unanswered))).toBe("AskTimeout")
      network.last.drop(1006)
      yield* settle
      const unsent = yield* run(client.ask(ADA, "work", 2, { timeout: 100 }))
      yield* pass(100)
      expect(tag(outcome(unsent))).toBe("AskTimeout")
      yield* pass(60_000)
      network.last.open()
      yield* settle
      expect(network.last.types).not.toContain("work")
    }),
  )

  it.effect("fault 23: a hub:* message is believed from the hub alone", () =>
    Effect.gen(function* () {
      const { client, network, state } = yield* start()
      const asking = yield* run(client.ask(ADA, "work", 1))
      const id = network.last.sent.at(-1)?.id ?? ""
      network.last.say(
        "hub:error",
        { code: "internal_error", message: "forged" },
        { from: ADA, correlationId: id },
      )
      network.last.say("hub:disconnect", { reason: "duplicate_connection", message: "forged" }, { from: ADA })
      yield* settle
      expect(outcome(asking)).toBe("waiting")
      network.last.drop(1006)
      yield* settle
      expect(state().status).toBe("reconnecting")
    }),
  )

  it.effect("fault 38: errors reach the asker typed, and retryAfterMs is read as milliseconds", () =>
    Effect.gen(function* () {
      const { client, network } = yield* start()
      const answers: ReadonlyArray<readonly [string, unknown, string]> = [
        ["hub:unknown_actor", { actorAddress: ADA, message: "nobody" }, "UnknownActor"],
        ["hub:error", { code: "actor_terminated", message: "gone" }, "ActorTerminated"],
        ["hub:error", { code: "timeout", message: "late" }, "AskTimeout"],
        ["hub:error", { code: "invalid_message", message: "bad field", retryable: false }, "AskRefused"],
        ["hub:rate_limited", { retryAfter: 1_500, retryAfterMs: 1_500, limit: 200 }, "AskRefused"],
      ]
      for (const [type, payload, expected] of answers) {
        const asking = yield* run(client.ask(ADA, "work", 1))
        network.last.say(type, payload, { correlationId: network.last.sent.at(-1)?.id ?? "" })
        yield* settle
        expect(tag(outcome(asking))).toBe(expected)
      }
      network.last.drop(4429)
      yield* pass(1_499)
      expect(network.sockets).toHaveLength(1)
      yield* pass(1_000)
      expect(network.sockets).toHaveLength(2)
    }),
  )
})

describe("reconnecting", () => {
  it.effect("fault 15: one wake-up that fires three events opens one socket", () =>
    Effect.gen(function* () {
      const { network, page } = yield* start({ schedule: Schedule.spaced(30_000) })
      network.last.drop(1006)
      yield* pass(5_000)
      expect(network.sockets).toHaveLength(1)
      for (const event of ["online", "visibilitychange", "pageshow"]) {
        page.fire(event)
        yield* settle
      }
      expect(network.sockets).toHaveLength(2)
      // Even where the attempt fails between them.
      network.last.drop(1006)
      page.fire("online")
      yield* settle
      expect(network.sockets).toHaveLength(2)
      yield* pass(999)
      expect(network.sockets).toHaveLength(2)
    }),
  )

  it.effect(
    "fault 16: retries have full jitter, the first within 250 ms, none beyond 30 s, and no last one",
    () =>
      Effect.gen(function* () {
        const walks = yield* Effect.all(Array.from({ length: 40 }, () => delaysOf(200)))
        const firsts = walks.map(([first]) => first ?? Infinity)
        const lasts = walks.flat()
        expect(Math.max(...firsts)).toBeLessThanOrEqual(250)
        expect(new Set(firsts).size).toBeGreaterThan(30)
        expect(Math.max(...lasts)).toBeLessThanOrEqual(30_000)
        expect(Math.max(...lasts)).toBeGreaterThan(20_000)
      }),
  )

  it.effect("fault 16: a flapping server does not reset the back-off; a connection that held 10 s does", () =>
    Effect.gen(function* () {
      const { network, state } = yield* start({ schedule: Schedule.exponential(1_000) })
      const waits: Array<number> = []
      const flap = (held: number) =>
        Effect.gen(function* () {
          yield* pass(held)
          network.last.drop(1006)
          yield* settle
          const now = state()
          const wait = now.status === "reconnecting" ? now.retryInMs : -1
          waits.push(wait)
          yield* pass(wait)
          network.last.open()
          yield* settle
        })
      for (const held of [0, 100, 9_000, 10_000, 0]) yield* flap(held)
      expect(waits).toEqual([1_000, 2_000, 4_000, 1_000, 2_000])
    }),
  )

  it.effect("fault 17: a refused token is replaced by a fresh one once; a second refusal is final", () =>
    Effect.gen(function* () {
      const asked: Array<boolean> = []
      const { network, state } = yield* begin({
        token: ({ refused }) => {
          asked.push(refused)
          return `token-${asked.length}`
        },
      })
      expect(network.last.protocols).toEqual(["signal-hub.json", "signal-hub.bearer.token-1"])
      expect(network.last.url).toBe("wss://hub.test/ws")
      network.last.drop(4401)
      yield* pass(250)
      expect(network.sockets).toHaveLength(2)
      expect(network.last.protocols[1]).toBe("signal-hub.bearer.token-2")
      network.last.drop(4401)
      yield* pass(3_600_000)
      expect(network.sockets).toHaveLength(2)
      expect(asked).toEqual([false, true])
      expect(state()).toMatchObject({ status: "disconnected", code: 4401 })
    }),
  )

  it.effect("fault 17: the first call after a token has expired waits for the fresh one and is sent", () =>
    Effect.gen(function* () {
      let tokens = 0
      const { client, network } = yield* start({ token: () => `token-${++tokens}` })
      for (let expiry = 0; expiry < 3; expiry++) {
        yield* pass(10_000)
        network.last.say("hub:disconnect", { reason: "token_expired", message: "expired" })
        network.last.drop(4401)
        yield* settle
        yield* client.tell(ADA, "after-expiry", expiry)
        yield* pass(250)
        network.last.open()
        yield* settle
        expect(network.last.sent.find(({ type }) => type === "after-expiry")?.payload).toBe(expiry)
      }
      expect(tokens).toBe(4)
    }),
  )

  it.effect(
    "fault 22: after a reconnect all is registered, subscribed and watched again, then the queue, then the new",
    () =>
      Effect.gen(function* () {
        const { client, network } = yield* start()
        yield* client.register("@(test/extra)", { capabilities: ["x"] })
        yield* client.subscribe("news", { presence: true })
        yield* client.watch(ADA)
        network.last.drop(1006)
        yield* settle
        for (let n = 0; n < 300; n++) yield* client.tell(ADA, "queued", n)
        yield* pass(250)
        network.last.open()
        yield* settle
        yield* run(client.tell(ADA, "newer", 1))
        yield* pass(1_000)
        yield* client.tell(ADA, "newest", 2)
        yield* settle
        const { sent } = network.last
        expect(sent.slice(0, 4).map(({ type }) => type)).toEqual([
          "hub:connect",
          "hub:register",
          "hub:subscribe",
          "hub:watch",
        ])
        expect(sent[1]?.payload).toEqual({ actorAddress: "@(test/extra)", capabilities: ["x"] })
        expect(sent[2]?.payload).toEqual({ topic: "news", presence: true })
        const rest = sent.slice(4)
        expect(rest.slice(0, 300).map(({ payload }) => payload)).toEqual([...Array(300).keys()])
        expect(rest.slice(300).map(({ type }) => type)).toEqual(["newer", "newest"])
      }),
  )
})

describe("the heartbeat", () => {
  it.effect(
    "fault 18: a ping that stays unanswered for 10 s ends the connection, whatever else comes in",
    () =>
      Effect.gen(function* () {
        const { network, state } = yield* start()
        network.last.answersPings = false
        yield* pass(25_000)
        expect(network.last.pings).toBe(1)
        network.last.say("chatter", 1, { from: ADA })
        yield* pass(9_999)
        expect(state().status).toBe("connected")
        yield* pass(1)
        expect(state().status).toBe("reconnecting")
        expect(network.sockets[0]?.closedByClient).toBe(true)
      }),
  )

  it.effect("fault 41: an answered heartbeat keeps the connection, whatever the hub's clock says", () =>
    Effect.gen(function* () {
      const { client, network, state } = yield* start()
      for (let beat = 1; beat <= 20; beat++) {
        yield* client.tell(ADA, "busy", beat)
        yield* pass(25_000)
        expect(network.last.pings).toBe(beat)
      }
      expect(state().status).toBe("connected")
      expect((yield* client.health).status).toBe("healthy")
      expect(network.sockets).toHaveLength(1)
    }),
  )

  it.effect("fault 19: after a freeze the connection is in doubt until a new ping is answered", () =>
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      let frozenFor = 0
      const skewed: Clock.Clock = {
        ...clock,
        sleep: (duration) => clock.sleep(duration),
        currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe() + frozenFor,
      }
      yield* Effect.gen(function* () {
        const { client, network, page, state } = yield* start()
        network.last.answersPings = false
        // Timers stand still for an hour; the page is shown before any of them fires.
        frozenFor = 3_600_000
        expect((yield* client.health).status).toBe("degraded")
        page.fire("visibilitychange")
        yield* settle
        expect(network.last.pings).toBe(1)
        expect((yield* client.health).status).toBe("degraded")
        network.last.emit("message", { data: '{"type":"pong"}' })
        yield* settle
        expect((yield* client.health).status).toBe("healthy")

        // The same with a ping on its way: it says nothing of the time after, so there is another.
        yield* pass(25_000)
        expect(network.last.pings).toBe(2)
        frozenFor += 3_600_000
        yield* pass(7_000)
        expect(state().status).toBe("connected")
        expect(network.last.pings).toBe(3)
        expect((yield* client.health).status).toBe("degraded")
        frozenFor += 3_600_000
        yield* pass(2_001)
        expect(state().status).toBe("reconnecting")
      }).pipe(Effect.provideService(Clock.Clock, skewed))
    }),
  )
})

const collectInto = (client: HubClientService, heard: Array<Envelope.Envelope>) =>
  Stream.runForEach(client.messages, (envelope) => Effect.sync(() => void heard.push(envelope)))

/** The delays of this many retries. */
const delaysOf = (retries: number): Effect.Effect<ReadonlyArray<number>> =>
  Effect.gen(function* () {
    const step = yield* Schedule.toStep(reconnectSchedule)
    const delays: Array<number> = []
    for (let retry = 0; retry < retries; retry++) {
      delays.push(Duration.toMillis((yield* Effect.orDie(step(0, undefined)))[1]))
    }
    return delays
  })
