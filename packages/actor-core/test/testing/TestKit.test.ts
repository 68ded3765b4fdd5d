import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as ActorSystem from "../../src/ActorSystem.ts"
import * as Behavior from "../../src/Behavior.ts"
import { makeRandom } from "../../src/testing/Random.ts"
import { TestDispatcher } from "../../src/testing/TestDispatcher.ts"
import * as TestProbe from "../../src/testing/TestProbe.ts"
import { pass } from "../../src/testing/TestTime.ts"
import { Counter, TooMuch } from "../support/counter.ts"
import { silently } from "../support/greeter.ts"

const idle = Behavior.make(Counter, { add: () => undefined, get: () => 0, take: (by) => by })

describe("a probe", () => {
  it.effect("takes what comes, in order, and says who sent it", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem.make()
      const probe = yield* TestProbe.make(system, Counter, { name: "probe" })
      const sender = yield* TestProbe.make(system, Counter, { name: "sender" })
      sender.as(probe.ref).tell("add", 1)
      probe.ref.tell("add", 2, { metadata: { a: 1 } })
      probe.ref.tell("add", 3)
      expect(yield* probe.expectMessage("add", 1)).toMatchObject({ sender: "@(local/sender)", reply: null })
      expect(yield* probe.expectMessage("add")).toMatchObject({
        payload: 2,
        sender: null,
        metadata: { a: 1 },
      })
      expect((yield* probe.receiveN(1)).map(({ payload }) => payload)).toEqual([3])
      yield* probe.expectNoMessage()
    }),
  )

  it.effect("answers asks, or fails them with their own error", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem.make()
      const probe = yield* TestProbe.make(system, Counter)
      const answer = yield* Effect.forkChild(probe.ref.ask("get", undefined))
      yield* probe.expectMessage("get")
      yield* probe.reply(7)
      expect(yield* Fiber.join(answer)).toBe(7)
      expect(yield* Effect.flip(probe.reply(8))).toMatchObject({ _tag: "ProbeError" })
      const failure = yield* Effect.forkChild(Effect.flip(probe.ref.ask("take", 9)))
      yield* probe.expectMessage("take", 9)
      yield* probe.fail(new TooMuch({ limit: 1 }))
      expect(yield* Fiber.join(failure)).toEqual(new TooMuch({ limit: 1 }))
    }),
  )

  it.effect("says what it got in place of what was expected", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem.make()
      const probe = yield* TestProbe.make(system, Counter, { name: "probe", patience: "20 millis" })
      const messageOf = <A>(effect: Effect.Effect<A, TestProbe.ProbeError>) =>
        Effect.map(Effect.flip(effect), ({ message }) => message)
      expect(yield* messageOf(probe.expectMessage("add"))).toBe(
        `@(local/probe): "add" did not come within 20ms`,
      )
      probe.ref.tell("add", 1)
      expect(yield* messageOf(probe.expectMessage("add", 2))).toBe(
        `@(local/probe): expected "add" with 2, got "add" with 1`,
      )
      probe.ref.tell("add", 3)
      expect(yield* messageOf(probe.expectMessage("get"))).toContain(`expected "get", got "add" with 3`)
      probe.ref.tell("add", 4)
      expect(yield* messageOf(probe.expectNoMessage())).toContain(`expected nothing, got "add" with 4`)
      expect(yield* messageOf(probe.expectTerminated(probe.ref))).toContain("is not watched")
    }),
  )

  it.effect("expects silence for a time that the test clock moves", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem.make()
      const probe = yield* TestProbe.make(system, Counter)
      yield* system.spawn(
        Behavior.setup(Counter, (context) => {
          context.timers.once("later", "10 seconds", "add", 1)
          return { add: (by) => probe.ref.tell("add", by), get: () => 0, take: (by) => by }
        }),
      )
      yield* probe.expectNoMessage("9 seconds")
      yield* pass("1 second")
      yield* probe.expectMessage("add", 1)
    }),
  )

  it.effect("hears the end of what it watches, once", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem.make()
      const probe = yield* TestProbe.make(system, Counter, { patience: "20 millis" })
      const actor = yield* system.spawn(idle)
      yield* probe.watch(actor)
      yield* system.stop(actor)
      expect(yield* probe.expectTerminated(actor)).toEqual({ address: actor.address, reason: "stopped" })
      expect(yield* Effect.flip(probe.expectTerminated(actor))).toMatchObject({ _tag: "ProbeError" })
      yield* probe.watch(actor)
      expect(yield* probe.expectTerminated(actor)).toMatchObject({ reason: "unknown" })
    }),
  )

  it.effect("ends with its scope", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem.make()
      const { ref } = yield* Effect.scoped(TestProbe.make(system, Counter, { name: "short" }))
      expect(yield* Effect.flip(ref.ask("get", undefined))).toMatchObject({ _tag: "UnknownActor" })
    }),
  )
})

describe("a dispatcher in the hands of a test", () => {
  /** Three actors that write to one log, five messages each. */
  const run = Effect.fnUntraced(function* (dispatcher: TestDispatcher) {
    const system = yield* ActorSystem.make({ dispatcher })
    const log: Array<string> = []
    const actors = yield* Effect.forEach(["a", "b", "c"], (name) =>
      system.spawn(
        Behavior.make(Counter, { add: (by) => void log.push(`${name}${by}`), get: () => 0, take: () => 0 }),
        { name },
      ),
    )
    for (let n = 1; n <= 5; n++) for (const actor of actors) actor.tell("add", n)
    return { system, actors, log }
  })

  it.effect("a seed gives one order, another seed another; each actor's own is kept", () =>
    silently(
      Effect.gen(function* () {
        const orders: Array<string> = []
        for (const seed of [1, 1, 2]) {
          const { actors, log } = yield* run(TestDispatcher.seeded(seed))
          for (const actor of actors) yield* actor.ask("get", undefined)
          expect(log.length).toBe(15)
          for (const name of ["a", "b", "c"]) {
            expect(log.filter((line) => line.startsWith(name))).toEqual(
              [1, 2, 3, 4, 5].map((n) => `${name}${n}`),
            )
          }
          orders.push(log.join())
        }
        expect(orders[0]).toBe(orders[1])
        expect(orders[0]).not.toBe(orders[2])
      }),
    ),
  )

  it.effect("stepwise, nothing runs but what is let", () =>
    Effect.gen(function* () {
      const dispatcher = TestDispatcher.stepwise()
      const { actors, log, system } = yield* run(dispatcher)
      const [a, b, c] = actors
      yield* Effect.yieldNow
      expect(log).toEqual([])
      expect(dispatcher.ready).toEqual([a, b, c].map((actor) => actor!.address))
      expect(dispatcher.step()).toBe("@(local/a)")
      expect(dispatcher.step(c)).toBe("@(local/c)")
      expect(log).toEqual(["a1", "c1"])
      dispatcher.step(c)
      expect(dispatcher.runAll()).toBe(12)
      expect(log.length).toBe(15)
      expect(dispatcher.turns).toBe(15)
      expect(dispatcher.step()).toBeNull()
      yield* system.shutdown()
    }),
  )

  it.effect("a turn is as many messages as it is told", () =>
    Effect.gen(function* () {
      const dispatcher = TestDispatcher.stepwise({ throughput: 3 })
      const { log } = yield* run(dispatcher)
      dispatcher.step()
      expect(log).toEqual(["a1", "a2", "a3"])
      dispatcher.runAll()
    }),
  )

  it.effect("who keep each other busy for ever starve no timers, and are found out", () =>
    Effect.gen(function* () {
      const endless = (dispatcher: TestDispatcher) =>
        Effect.gen(function* () {
          const system = yield* ActorSystem.make({ dispatcher })
          const actor = yield* system.spawn(
            Behavior.make(Counter, {
              add: (by, { self }) => self.tell("add", by + 1),
              get: () => 0,
              take: () => 0,
            }),
          )
          actor.tell("add", 0)
          return { actor, system }
        })
      const seeded = yield* endless(TestDispatcher.seeded(1))
      yield* Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 5)))
      yield* seeded.system.stop(seeded.actor)
      const dispatcher = TestDispatcher.stepwise()
      yield* endless(dispatcher)
      expect(() => dispatcher.runAll()).toThrow("not done after")
    }),
  )

  it("random numbers are the seed's, within bounds, and spread", () => {
    const [one, same, other] = [makeRandom(1), makeRandom(1), makeRandom(2)]
    const numbers = Array.from({ length: 1_000 }, one)
    expect(numbers).toEqual(Array.from({ length: 1_000 }, same))
    expect(numbers).not.toEqual(Array.from({ length: 1_000 }, other))
    for (const number of numbers) expect(number >= 0 && number < 1).toBe(true)
    const mean = numbers.reduce((sum, number) => sum + number, 0) / numbers.length
    expect(Math.abs(mean - 0.5)).toBeLessThan(0.05)
  })
})
