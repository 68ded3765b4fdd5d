/** A wall clock that jumps, and a machine that sleeps: the client measures by what passes. */
import { withJumps } from "@signal-hub/actor-core/testing"
import { describe, expect, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { FakeNetwork } from "./support/FakeNetwork.ts"
import { connected, standardAnswer } from "./support/FakeNetwork.ts"
import { begin, outcome, pass, run, settle, start, startReliable } from "./support/harness.ts"

const ADA = "@(test/ada)"
const HOUR = 3_600_000

const JUMPS: ReadonlyArray<readonly [name: string, jumps: ReadonlyArray<number>]> = [
  ["back by 60 s", [-60_000]],
  ["forward by 1 h and back", [HOUR, -HOUR]],
  ["to 1970", [-55 * 365 * 24 * HOUR]],
]

describe.each(JUMPS)("a wall clock that jumps %s", (_, jumps) => {
  it.effect("fault 50: what is sent leaves, at the hub's rate", () =>
    withJumps((jump) =>
      Effect.gen(function* () {
        const { client, hub } = yield* startReliable()
        for (let n = 0; n < 20; n++) yield* client.tell(ADA, "before", n)
        for (const by of jumps) jump(by)
        const told = yield* run(
          Effect.forEach(
            Array.from({ length: 400 }, (_, n) => n),
            (n) => client.tell(ADA, "after", n),
          ),
        )
        yield* pass(3_000)
        expect(outcome(told)).not.toBe("waiting")
        expect(hub.volatile.filter(({ type }) => type === "after")).toHaveLength(400)
        expect(yield* client.health).toMatchObject({ status: "healthy" })
      }),
    ),
  )

  it.effect("fault 50: an ask ends at its time limit, one that waits for a connection too", () =>
    withJumps((jump) =>
      Effect.gen(function* () {
        const { client, network } = yield* start({ askTimeout: 4_000 })
        const asking = yield* run(client.ask(ADA, "asked", 1))
        for (const by of jumps) jump(by)
        yield* pass(3_999)
        expect(outcome(asking)).toBe("waiting")
        yield* pass(1)
        expect(outcome(asking)).toMatchObject({ _tag: "AskTimeout" })

        network.last.drop(1006)
        yield* settle
        const waiting = yield* run(client.ask(ADA, "waits", 1, { timeout: 100 }))
        for (const by of jumps) jump(by)
        yield* pass(99)
        expect(outcome(waiting)).toBe("waiting")
        yield* pass(1)
        expect(outcome(waiting)).toMatchObject({ _tag: "AskTimeout" })
      }),
    ),
  )

  it.effect("fault 50: what is received is acknowledged in time", () =>
    withJumps((jump) =>
      Effect.gen(function* () {
        const { client, hub } = yield* startReliable()
        yield* run(Stream.runDrain(client.messages))
        hub.deliver("n", "in-1")
        yield* pass(300)
        hub.deliver("n", "in-2")
        for (const by of jumps) jump(by)
        hub.deliver("n", "in-3")
        yield* pass(300)
        expect(hub.acks.at(-1)).toBe(3)
      }),
    ),
  )

  it.effect("fault 50: a message waits for a connection as long as its ttl says", () =>
    withJumps((jump) =>
      Effect.gen(function* () {
        const { client, network } = yield* start()
        network.last.drop(1006)
        yield* settle
        yield* client.tell(ADA, "kept", 1, { ttl: 60_000 })
        yield* client.tell(ADA, "late", 1, { ttl: 500 })
        for (const by of jumps) jump(by)
        yield* pass(1_000)
        network.last.open()
        yield* settle
        const kept = network.last.sent.find(({ type }) => type === "kept")
        expect(kept?.ttl).toBeGreaterThan(50_000)
        expect(kept?.ttl).toBeLessThanOrEqual(59_000)
        expect(network.last.types).not.toContain("late")
      }),
    ),
  )

  it.effect("fault 50: pings go on, and a connection that answers them stays", () =>
    withJumps((jump) =>
      Effect.gen(function* () {
        const { client, network, state } = yield* start()
        for (let round = 0; round < 4; round++) {
          for (const by of jumps) {
            jump(by)
            yield* pass(2_500)
          }
          yield* pass(25_000)
        }
        expect(network.last.pings).toBeGreaterThanOrEqual(4)
        expect(network.sockets).toHaveLength(1)
        expect(state()).toMatchObject({ status: "connected" })
        expect(yield* client.health).toMatchObject({ status: "healthy" })
      }),
    ),
  )

  it.effect("fault 50: a dead connection is found as soon as ever", () =>
    withJumps((jump) =>
      Effect.gen(function* () {
        const { network, state } = yield* start()
        network.last.answersPings = false
        for (const by of jumps) jump(by)
        yield* pass(35_000)
        expect(state()).toMatchObject({ status: "reconnecting" })
      }),
    ),
  )
})

describe("a machine that sleeps for an hour", () => {
  it.effect("fault 50: finds within 10 s of waking that its connection is dead", () =>
    withJumps((jump) =>
      Effect.gen(function* () {
        // At every moment of a heartbeat; the ping of second 25 is on its way.
        for (let moment = 0; moment <= 34_000; moment += 1_000) {
          const { client, network, state } = yield* start()
          yield* pass(Math.min(moment, 24_000))
          network.last.answersPings = false
          yield* pass(Math.max(0, moment - 24_000))
          jump(HOUR)
          yield* pass(9_999)
          expect(state().status).toBe("reconnecting")
          yield* client.close
        }
      }),
    ),
  )

  it.effect("fault 50: keeps a connection that is alive, and is healthy once it knows", () =>
    withJumps((jump) =>
      Effect.gen(function* () {
        for (let moment = 0; moment <= 30_000; moment += 1_500) {
          const { client, network, state } = yield* start()
          yield* pass(moment)
          const { pings } = network.last
          jump(HOUR)
          yield* pass(2_001)
          expect(network.last.pings).toBeGreaterThan(pings)
          yield* pass(30_000)
          expect(network.sockets).toHaveLength(1)
          expect(state()).toMatchObject({ status: "connected" })
          expect(yield* client.health).toMatchObject({ status: "healthy" })
          yield* client.close
        }
      }),
    ),
  )

  it.effect("fault 50: tries again at once, where it waited for the next attempt", () =>
    withJumps((jump) =>
      Effect.gen(function* () {
        const { network } = yield* begin()
        for (let n = 0; n < 12; n++) {
          network.last.drop(1006)
          yield* pass(30_000)
        }
        const before = network.sockets.length
        network.last.drop(1006)
        yield* settle
        jump(HOUR)
        yield* pass(3_001)
        expect(network.sockets.length).toBe(before + 1)
      }),
    ),
  )

  it.effect("fault 50: brings a new token where the one in use expired meanwhile, or is about to", () =>
    withJumps((jump) =>
      Effect.gen(function* () {
        let elapsed = 0
        let asked = 0
        const { network } = yield* begin({ token: () => `token-${++asked}` })
        const presented = expiring(network, 2 * HOUR, () => elapsed)
        network.last.open()
        yield* settle
        // By the monotonic clock alone the token would be good for another two hours.
        jump(2 * HOUR - 30_000)
        elapsed += 2 * HOUR - 30_000
        yield* pass(2_001)
        expect(presented).toEqual(["token-2"])
      }),
    ),
  )

  it.effect("many short sleeps count, too", () =>
    withJumps((jump) =>
      Effect.gen(function* () {
        let elapsed = 0
        let asked = 0
        const { network } = yield* begin({ token: () => `token-${++asked}` })
        const presented = expiring(network, 600_000, () => elapsed)
        network.last.open()
        yield* settle
        for (let n = 0; n < 28; n++) {
          jump(20_000)
          elapsed += 20_000
          yield* pass(100)
        }
        yield* pass(2_001)
        expect(presented).toEqual(["token-2"])
      }),
    ),
  )
})

it.effect("a client that is superseded, or has ended, has no timer that keeps its process alive", () =>
  Clock.clockWith((clock) => {
    let sleeping = 0
    const counting: Clock.Clock = Object.assign(Object.create(clock) as Clock.Clock, {
      sleep: (duration: Duration.Duration) =>
        Effect.suspend(() => {
          sleeping++
          return Effect.ensuring(
            clock.sleep(duration),
            Effect.sync(() => void sleeping--),
          )
        }),
    })
    return Effect.gen(function* () {
      const superseded = yield* start()
      expect(sleeping).toBeGreaterThan(0)
      superseded.network.last.drop(4409)
      yield* settle
      expect(superseded.state().status).toBe("superseded")
      expect(sleeping).toBe(0)
      const ended = yield* start()
      ended.network.last.drop(4400)
      yield* settle
      expect(ended.state().status).toBe("disconnected")
      expect(sleeping).toBe(0)
    }).pipe(Effect.provideService(Clock.Clock, counting))
  }),
)

/** Tokens that are good for `lifetime` ms. The result is what was presented to replace one. */
const expiring = (network: FakeNetwork, lifetime: number, now: () => number): ReadonlyArray<unknown> => {
  const presented: Array<unknown> = []
  network.last.answers = (request) => {
    const timestamp = now()
    if (request.type === "hub:connect") {
      const { payload, type } = connected()
      const metadata = { actorIdentity: "@(test/me)", tokenExpiresAt: timestamp + lifetime }
      return { type, payload, envelope: { metadata, timestamp } }
    }
    if (request.type !== "hub:refresh_token") return standardAnswer(request)
    presented.push((request.payload as { readonly token: unknown }).token)
    return {
      type: "hub:token_refreshed",
      payload: { expiresAt: timestamp + lifetime },
      envelope: { timestamp },
    }
  }
  return presented
}
