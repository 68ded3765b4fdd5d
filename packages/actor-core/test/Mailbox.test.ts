import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import * as ActorSystem from "../src/ActorSystem.ts"
import * as Behavior from "../src/Behavior.ts"
import * as Mailbox from "../src/Mailbox.ts"
import { Counter } from "./support/counter.ts"
import { settled } from "./support/greeter.ts"

/** An actor that is busy with its first message until the gate opens; `seen` is what it was told. */
const busy = (mailbox: Mailbox.Mailbox) =>
  Effect.gen(function* () {
    const system = yield* ActorSystem.make()
    const gate = yield* Deferred.make<void>()
    const seen: Array<number> = []
    const actor = yield* system.spawn(
      Behavior.make(Counter, {
        add: (by) => {
          seen.push(by)
          return by === 0 ? Deferred.await(gate) : undefined
        },
        get: () => seen.length,
        take: (by) => by,
      }),
      { mailbox },
    )
    actor.tell("add", 0)
    yield* settled
    return { system, actor, seen, open: Deferred.succeed(gate, undefined) }
  })

describe("a bounded mailbox", () => {
  it.effect("backpressure: offers wait for room, in order; a tell, which can't, is a dead letter", () =>
    Effect.gen(function* () {
      const { actor, open, seen, system } = yield* busy(Mailbox.bounded(2))
      actor.tell("add", 1)
      yield* actor.offer("add", 2)
      const offers = yield* Effect.forEach([3, 4, 5], (by) =>
        Effect.forkChild(actor.offer("add", by), { startImmediately: true }),
      )
      actor.tell("add", 99)
      expect(offers.map((offer) => offer.pollUnsafe())).toEqual([undefined, undefined, undefined])
      yield* open
      yield* Effect.forEach(offers, Fiber.join)
      yield* settled
      expect(seen).toEqual([0, 1, 2, 3, 4, 5])
      expect(system.deadLetters.counts).toEqual({ mailbox_full: 1 })
    }),
  )

  it.effect("backpressure: asks wait as well, within their time limit", () =>
    Effect.gen(function* () {
      const { actor, open, seen } = yield* busy(Mailbox.bounded(1))
      actor.tell("add", 1)
      const asking = yield* Effect.forkChild(actor.ask("take", 7), { startImmediately: true })
      const late = yield* Effect.forkChild(Effect.flip(actor.ask("take", 8, { timeout: "1 second" })), {
        startImmediately: true,
      })
      yield* TestClock.adjust("1 second")
      expect(yield* Fiber.join(late)).toMatchObject({ _tag: "AskTimeout" })
      yield* open
      expect(yield* Fiber.join(asking)).toBe(7)
      expect(seen).toEqual([0, 1])
    }),
  )

  it.effect("an offer that is given up while it waits is never sent", () =>
    Effect.gen(function* () {
      const { actor, open, seen, system } = yield* busy(Mailbox.bounded(1))
      actor.tell("add", 1)
      const offer = yield* Effect.forkChild(actor.offer("add", 2), { startImmediately: true })
      yield* Fiber.interrupt(offer)
      yield* open
      yield* settled
      expect(seen).toEqual([0, 1])
      expect(system.deadLetters.total).toBe(0)
    }),
  )

  it.effect.each([
    ["drop-newest", [0, 1, 2], [3, 4], "taken"],
    ["drop-oldest", [0, 3, 4], [1, 2], "taken"],
    ["fail", [0, 1, 2], [3], "mailbox_full"],
  ] as const)("%s: keeps %j", ([overflow, kept, lost, told]) =>
    Effect.gen(function* () {
      const { actor, open, seen, system } = yield* busy(Mailbox.bounded(2, overflow))
      for (const by of [1, 2, 3]) actor.tell("add", by)
      const outcome = yield* Effect.match(actor.offer("add", 4), {
        onSuccess: () => "taken",
        onFailure: ({ reason }) => reason,
      })
      expect(outcome).toBe(told)
      yield* open
      yield* settled
      expect(seen).toEqual(kept)
      expect(system.deadLetters.recent().map(({ envelope, reason }) => [envelope.payload, reason])).toEqual(
        lost.map((by) => [by, "mailbox_full"]),
      )
    }),
  )

  it.effect.each(["drop-newest", "drop-oldest", "fail"] as const)("%s: tells who asks, typed", (overflow) =>
    Effect.gen(function* () {
      const { actor, open } = yield* busy(Mailbox.bounded(1, overflow))
      const first = yield* Effect.forkChild(Effect.result(actor.ask("take", 1)), { startImmediately: true })
      const second = yield* Effect.forkChild(Effect.result(actor.ask("take", 2)), { startImmediately: true })
      yield* open
      const results = [yield* Fiber.join(first), yield* Fiber.join(second)]
      const full = { failure: { _tag: "ActorFailed", code: "mailbox_full", retryable: true } }
      expect(results).toMatchObject(
        overflow === "drop-oldest" ? [full, { success: 2 }] : [{ success: 1 }, full],
      )
    }),
  )

  it.effect("takes 10^6 messages to a slow actor without keeping them", () =>
    Effect.gen(function* () {
      const { actor, open, seen, system } = yield* busy(Mailbox.bounded(100, "drop-oldest"))
      for (let by = 1; by <= 1_000_000; by++) actor.tell("add", by)
      yield* open
      yield* settled
      expect(seen).toEqual([0, ...Array.from({ length: 100 }, (_, i) => 999_901 + i)])
      expect(system.deadLetters.counts).toEqual({ mailbox_full: 999_900 })
      expect(system.deadLetters.recent().length).toBe(1_000)
    }),
  )

  it.effect("who waits for room is told when the actor stops", () =>
    Effect.gen(function* () {
      const { actor, system } = yield* busy(Mailbox.bounded(1))
      actor.tell("add", 1)
      const offer = yield* Effect.forkChild(Effect.flip(actor.offer("add", 2)), { startImmediately: true })
      const asking = yield* Effect.forkChild(Effect.flip(actor.ask("take", 2)), { startImmediately: true })
      yield* system.stop(actor)
      expect(yield* Fiber.join(offer)).toMatchObject({ _tag: "NotDelivered", reason: "terminated" })
      expect(yield* Fiber.join(asking)).toMatchObject({ _tag: "ActorTerminated" })
      expect(system.deadLetters.counts).toEqual({ terminated: 1 })
    }),
  )

  it("holds at least one message", () => {
    for (const capacity of [0, -1, Number.NaN]) expect(() => Mailbox.bounded(capacity)).toThrow(RangeError)
  })
})

describe("the dispatcher", () => {
  it.effect("lets no actor starve the others: a full mailbox is worked off in turns", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem.make()
      const order: Array<string> = []
      const named = (name: string) =>
        system.spawn(
          Behavior.make(Counter, { add: () => void order.push(name), get: () => 0, take: (by) => by }),
        )
      const many = yield* named("many")
      const few = yield* named("few")
      for (let i = 0; i < 1_000; i++) many.tell("add", i)
      few.tell("add", 1)
      yield* settled
      expect(order.length).toBe(1_001)
      expect(order.indexOf("few")).toBeLessThan(100)
    }),
  )

  it.effect("keeps the order of each sender to each receiver (fault 34)", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem.make()
      const seen: Array<number> = []
      const sink = yield* system.spawn(
        Behavior.make(Counter, { add: (by) => void seen.push(by), get: () => 0, take: (by) => by }),
      )
      const source = (base: number) =>
        system.spawn(
          Behavior.make(Counter, {
            add: (by, context) => {
              sink.tell("add", base + by)
              return by % 7 === 0 ? Effect.yieldNow : by % 5 === 0 ? Promise.resolve() : void context
            },
            get: () => 0,
            take: (by) => by,
          }),
        )
      const sources = [yield* source(0), yield* source(10_000), yield* source(20_000)]
      for (let i = 0; i < 500; i++) for (const each of sources) each.tell("add", i)
      yield* Effect.forEach(sources, (each) => each.ask("get", undefined))
      yield* sink.ask("get", undefined)
      expect(seen.length).toBe(1_500)
      for (const base of [0, 10_000, 20_000]) {
        const own = seen.filter((by) => by >= base && by < base + 10_000)
        expect(own).toEqual(own.toSorted((a, b) => a - b))
      }
    }),
  )
})
