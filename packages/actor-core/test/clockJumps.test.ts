import { describe, expect, it } from "@effect/vitest"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as ActorStream from "../src/ActorStream.ts"
import * as ActorSystem from "../src/ActorSystem.ts"
import * as Behavior from "../src/Behavior.ts"
import { Persistence } from "../src/Persistence.ts"
import * as Signal from "../src/Signal.ts"
import * as Supervision from "../src/Supervision.ts"
import { withJumps } from "../src/testing/JumpingClock.ts"
import * as VirtualActors from "../src/VirtualActors.ts"
import { account, makeScripted } from "./support/account.ts"
import { Counter } from "./support/counter.ts"
import { GREETER, Greeter, greeter, makeWorld, settled, silently, worlds } from "./support/greeter.ts"
import { TICKER, Ticker } from "./support/ticker.ts"

const HOUR = 3_600_000

/** The wall clock jumps in between, the time that passes is the same. */
const JUMPS: ReadonlyArray<readonly [name: string, jumps: ReadonlyArray<number>]> = [
  ["back by 60 s", [-60_000]],
  ["forward by 1 h and back", [HOUR, -HOUR]],
  ["forward by 1 h, as after a sleep", [HOUR]],
  ["to the year 2100 and to 1970", [75 * 365 * 24 * HOUR, -130 * 365 * 24 * HOUR]],
]

const pass = (duration: Duration.Input) => Effect.andThen(TestClock.adjust(duration), settled)

describe.each(JUMPS)("a wall clock that jumps %s", (_, jumps) => {
  it.effect("fault 50: neither stops nor hastens timers, periodic ones and receive timeouts", () =>
    withJumps((jump) =>
      Effect.gen(function* () {
        const seen: Array<number | string> = []
        const system = yield* ActorSystem.make()
        yield* system.spawn(
          Behavior.setup(Counter, ({ timers }) => {
            timers.once("once", "3 seconds", "add", 1)
            timers.every("every", "2 seconds", "add", 2)
            return { add: (by) => void seen.push(by), get: () => seen.length, take: (by) => by }
          }),
        )
        yield* system.spawn(
          Behavior.setup(Counter, (context) => {
            context.setReceiveTimeout("5 seconds")
            return {
              add: () => undefined,
              get: () => 0,
              take: (by) => by,
              [Signal.receiveTimeout]: () => void seen.push("idle"),
            }
          }),
        )
        yield* settled
        for (const by of jumps) {
          jump(by)
          yield* settled
        }
        yield* pass("1999 millis")
        expect(seen).toEqual([])
        yield* pass("1 millis")
        expect(seen).toEqual([2])
        yield* pass("1 second")
        expect(seen).toEqual([2, 1])
        yield* pass("1 second")
        expect(seen).toEqual([2, 1, 2])
        yield* pass("1 second")
        expect(seen).toEqual([2, 1, 2, "idle"])
        // Again, in the middle of what runs.
        for (const by of jumps) jump(by)
        yield* pass("1 second")
        expect(seen).toEqual([2, 1, 2, "idle", 2])
      }),
    ),
  )

  for (const kind of worlds) {
    it.effect(`fault 50: an ask ends at its time limit, and not before, ${kind}`, () =>
      withJumps((jump) =>
        Effect.gen(function* () {
          const { client, server } = yield* makeWorld(kind)
          yield* server.serve(Greeter, GREETER, greeter({ count: () => Effect.never }))
          const asking = yield* Effect.forkChild(
            Effect.flip(client.ref(Greeter, GREETER).ask("count", 1, { timeout: "2 seconds" })),
          )
          yield* settled
          for (const by of jumps) jump(by)
          yield* pass("1999 millis")
          expect(asking.pollUnsafe()).toBeUndefined()
          yield* pass("1 millis")
          expect(asking.pollUnsafe()).toBeDefined()
          expect(yield* Fiber.join(asking)).toMatchObject({ _tag: "AskTimeout" })
        }),
      ),
    )

    it.effect(`fault 50: a message waits for its turn as long as its ttl says, ${kind}`, () =>
      withJumps((jump) =>
        Effect.gen(function* () {
          const { client, server } = yield* makeWorld(kind)
          const notes: Array<string> = []
          yield* server.serve(
            Greeter,
            GREETER,
            greeter({
              count: () => Effect.sleep("1 second").pipe(Effect.as(1)),
              note: ({ text }) => void notes.push(text),
            }),
          )
          const actor = client.ref(Greeter, GREETER)
          const busy = yield* Effect.forkChild(actor.ask("count", 1))
          yield* settled
          actor.tell("note", { text: "in time" }, { ttl: "1500 millis" })
          actor.tell("note", { text: "too late" }, { ttl: "500 millis" })
          yield* settled
          for (const by of jumps) jump(by)
          yield* pass("1 second")
          expect(busy.pollUnsafe()).toBeDefined()
          expect(yield* Fiber.join(busy)).toBe(1)
          yield* settled
          expect(notes).toEqual(["in time"])
          expect(server.deadLetters.counts).toEqual({ expired: 1 })
        }),
      ),
    )

    it.effect(`fault 50: a stream waits for its next element as long as its reader says, ${kind}`, () =>
      withJumps((jump) =>
        Effect.gen(function* () {
          const { client, server } = yield* makeWorld(kind)
          yield* server.serve(Ticker, TICKER, {
            ticks: () => Stream.never,
            dates: () => Stream.empty,
            ping: () => "pong",
            note: () => undefined,
          })
          const options = { timeout: "20 seconds" } as const
          const reading = yield* Effect.forkChild(
            Effect.flip(Stream.runCollect(ActorStream.ask(client.ref(Ticker, TICKER), "ticks", 1, options))),
          )
          yield* settled
          for (const by of jumps) jump(by)
          yield* pass("19 seconds")
          expect(reading.pollUnsafe()).toBeUndefined()
          yield* pass("1 second")
          expect(reading.pollUnsafe()).toBeDefined()
          expect(yield* Fiber.join(reading)).toMatchObject({ _tag: "AskTimeout" })
        }),
      ),
    )
  }

  it.effect("fault 50: restarts count within their window", () =>
    silently(
      withJumps((jump) =>
        Effect.gen(function* () {
          const system = yield* ActorSystem.make()
          const failing = yield* system.spawn(
            Behavior.make(Greeter, greeter({ note: () => Effect.die("boom") })),
            {
              supervision: Supervision.restart({ intensity: { restarts: 2, within: "10 seconds" } }),
            },
          )
          const ended = yield* Effect.forkChild(system.watch(failing))
          for (let n = 0; n < 2; n++) {
            failing.tell("note", { text: "fail" })
            yield* settled
            for (const by of jumps) jump(by)
          }
          expect(yield* failing.ask("count", 1)).toBe(1)
          failing.tell("note", { text: "fail" })
          yield* settled
          expect(ended.pollUnsafe()).toBeDefined()
          expect(yield* Fiber.join(ended)).toMatchObject({ reason: "failed" })
        }),
      ),
    ),
  )

  it.effect("fault 50: a virtual actor is passivated when it has been idle, and not before", () =>
    withJumps((jump) =>
      Effect.gen(function* () {
        const system = yield* ActorSystem.make()
        const { scripted } = yield* makeScripted
        const accounts = yield* VirtualActors.make(system, account, { passivateAfter: "1 minute" }).pipe(
          Effect.provideService(Persistence, scripted),
        )
        accounts.ref("a").tell("deposit", 5)
        yield* settled
        for (const by of jumps) jump(by)
        yield* pass("59 seconds")
        expect(accounts.active).toBe(1)
        yield* pass("1 second")
        expect(accounts.active).toBe(0)
      }),
    ),
  )
})
