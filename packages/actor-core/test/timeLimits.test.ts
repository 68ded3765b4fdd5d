import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as ActorStream from "../src/ActorStream.ts"
import * as ActorSystem from "../src/ActorSystem.ts"
import * as AskError from "../src/AskError.ts"
import * as Behavior from "../src/Behavior.ts"
import * as LocalSystem from "../src/LocalSystem.ts"
import * as TimeLimit from "../src/TimeLimit.ts"
import { GREETER, Greeter, greeter, makeWorld, settled, silently, worlds } from "./support/greeter.ts"
import { TICKER, Ticker } from "./support/ticker.ts"

/** Time limits that are none. */
const WRONG: ReadonlyArray<readonly [name: string, limit: Duration.Input]> = [
  ["NaN", NaN],
  ["-1", -1],
  ["-Infinity", -Infinity],
  ["a text below 0", "-5 seconds"],
  ["a Duration below 0", Duration.seconds(-1)],
  ["an object with NaN", { seconds: NaN }],
  ["a pair with NaN", [NaN, 1]],
  // From JavaScript, or read from a configuration.
  ["a text that is no duration", JSON.parse('"soon"') as Duration.Input],
  ["null", JSON.parse("null") as Duration.Input],
]

const REFUSED = {
  _tag: "AskRefused",
  code: "invalid_message",
  message: expect.stringContaining('"timeout" must be a number of milliseconds from 0, or Infinity'),
  retryable: false,
}

describe.each(worlds)("the time limit of an ask, %s", (kind) => {
  const asking = Effect.fnUntraced(function* () {
    const { client, server } = yield* makeWorld(kind)
    const begun: Array<number> = []
    const notes: Array<string> = []
    yield* server.serve(
      Greeter,
      GREETER,
      greeter({
        count: (n) => {
          begun.push(n)
          return n < 0 ? Effect.never : n
        },
        note: ({ text }) => void notes.push(text),
      }),
    )
    return { client, begun, notes, actor: client.ref(Greeter, GREETER) }
  })

  it.effect.each(WRONG)("fault 51: is refused where it is %s, typed, and nothing is sent", ([, limit]) =>
    Effect.gen(function* () {
      const { actor, begun } = yield* asking()
      expect(yield* Effect.flip(actor.ask("count", 1, { timeout: limit }))).toMatchObject(REFUSED)
      yield* settled
      expect(begun).toEqual([])
      expect(yield* actor.ask("count", 2)).toBe(2)
    }),
  )

  it.effect.each([
    ["Infinity", Infinity],
    ["Infinity as text", "Infinity"],
    ["2 days", "2 days"],
  ] as const)("fault 51: is 24 hours where it is %s", ([, limit]) =>
    Effect.gen(function* () {
      const { actor } = yield* asking()
      const fiber = yield* Effect.forkChild(Effect.flip(actor.ask("count", -1, { timeout: limit })))
      yield* settled
      yield* TestClock.adjust("23 hours")
      yield* settled
      expect(fiber.pollUnsafe()).toBeUndefined()
      yield* TestClock.adjust("1 hour")
      yield* settled
      expect(yield* Fiber.join(fiber)).toMatchObject({ _tag: "AskTimeout" })
    }),
  )

  it.effect("fault 51: is kept to the millisecond, a fraction rounded up", () =>
    Effect.gen(function* () {
      const { actor } = yield* asking()
      const fiber = yield* Effect.forkChild(Effect.flip(actor.ask("count", -1, { timeout: 99.5 })))
      yield* settled
      yield* TestClock.adjust(99)
      yield* settled
      expect(fiber.pollUnsafe()).toBeUndefined()
      yield* TestClock.adjust(1)
      yield* settled
      expect(yield* Fiber.join(fiber)).toBeInstanceOf(AskError.AskTimeout)
    }),
  )

  it.effect.each(WRONG)("fault 51: a stream with a time limit of %s is refused", ([, limit]) =>
    Effect.gen(function* () {
      const { client, server } = yield* makeWorld(kind)
      yield* server.serve(Ticker, TICKER, {
        ticks: () => Stream.make(1, 2),
        dates: () => Stream.empty,
        ping: () => "pong",
        note: () => undefined,
      })
      const ref = client.ref(Ticker, TICKER)
      const read = Stream.runCollect(ActorStream.ask(ref, "ticks", 2, { timeout: limit }))
      expect(yield* Effect.flip(read)).toMatchObject(REFUSED)
      const iterated = Effect.promise(() =>
        ActorStream.iterate(ref, "ticks", 2, { timeout: limit })
          .next()
          .catch((error: unknown) => error),
      )
      expect(yield* iterated).toMatchObject(REFUSED)
      expect(yield* Stream.runCollect(ActorStream.ask(ref, "ticks", 2))).toEqual([1, 2])
    }),
  )

  it.effect("fault 51: a stream with a time limit of 0 ends AskTimeout, read at once or later", () =>
    Effect.gen(function* () {
      const { client, server } = yield* makeWorld(kind)
      yield* server.serve(Ticker, TICKER, {
        ticks: () => Stream.never,
        dates: () => Stream.empty,
        ping: () => "pong",
        note: () => undefined,
      })
      const read = Stream.runCollect(ActorStream.ask(client.ref(Ticker, TICKER), "ticks", 2, { timeout: 0 }))
      const fiber = yield* Effect.forkChild(Effect.flip(read))
      yield* settled
      yield* TestClock.adjust(1)
      yield* settled
      expect(yield* Fiber.join(fiber)).toMatchObject({
        _tag: expect.stringMatching("AskTimeout|AskRefused|ActorFailed"),
      })
    }),
  )

  it.effect.each(WRONG)("fault 51: a tell with a ttl of %s is a dead letter that says why", ([, ttl]) =>
    Effect.gen(function* () {
      const { actor, client, notes } = yield* asking()
      actor.tell("note", { text: "told" }, { ttl })
      const offered = yield* Effect.flip(actor.offer("note", { text: "offered" }, { ttl }))
      expect(offered).toMatchObject({ _tag: "NotDelivered", reason: "invalid_message" })
      expect(offered.message).toContain('"ttl" must be')
      actor.tell("note", { text: "last" }, { ttl: Infinity })
      yield* settled
      yield* settled
      expect(notes).toEqual(["last"])
      const letters = client.deadLetters.recent()
      expect(letters.map(({ envelope, reason }) => [reason, envelope.payload])).toEqual([
        ["invalid_message", { text: "told" }],
        ["invalid_message", { text: "offered" }],
      ])
      for (const { cause } of letters) {
        expect(cause && Cause.squash(cause)).toBeInstanceOf(TimeLimit.InvalidTimeLimit)
      }
    }),
  )
})

describe("the time limit of a system", () => {
  it.effect.each(WRONG.slice(0, -1))("fault 51: kills it as it is made where it is %s", ([, askTimeout]) =>
    Effect.gen(function* () {
      for (const make of [ActorSystem.make, LocalSystem.make]) {
        const exit = yield* Effect.exit(Effect.scoped(make({ askTimeout })))
        expect(Exit.isFailure(exit) && Cause.squash(exit.cause)).toMatchObject({
          _tag: "InvalidTimeLimit",
          message: expect.stringContaining('"askTimeout" must be'),
        })
        const slow = yield* Effect.exit(Effect.scoped(make({ shutdownTimeout: askTimeout })))
        expect(Exit.isFailure(slow) && Cause.squash(slow.cause)).toMatchObject({ _tag: "InvalidTimeLimit" })
        const exits = yield* Effect.scoped(
          Effect.flatMap(make(), ({ shutdown }) => Effect.exit(shutdown(askTimeout))),
        )
        expect(Exit.isFailure(exits) && Cause.squash(exits.cause)).toMatchObject({ _tag: "InvalidTimeLimit" })
      }
    }),
  )

  it.effect("fault 51: an actor fails of a receive timeout that is none, and loops for none", () =>
    silently(
      Effect.gen(function* () {
        const errors: Array<unknown> = []
        const system = yield* LocalSystem.make()
        for (const [, duration] of [...WRONG.slice(0, -1), ["0", 0] as const]) {
          const behavior = Behavior.setup(Greeter, (context) => {
            try {
              context.setReceiveTimeout(duration)
            } catch (error) {
              errors.push(error)
            }
            return greeter()
          })
          const ref = yield* system.spawn(behavior)
          expect(yield* ref.ask("count", 1)).toBe(1)
        }
        expect(errors.length).toBe(WRONG.length)
        for (const error of errors) expect(error).toBeInstanceOf(Error)
      }),
    ),
  )

  it.effect("fault 51: holds for each ask that says nothing, and is 24 hours where it is Infinity", () =>
    Effect.gen(function* () {
      for (const [askTimeout, before] of [
        ["2 seconds", "1 second"],
        ["Infinity", "23 hours"],
      ] as const) {
        const system = yield* ActorSystem.make({ askTimeout })
        yield* system.serve(Greeter, GREETER, greeter({ count: () => Effect.never }))
        const fiber = yield* Effect.forkChild(Effect.flip(system.ref(Greeter, GREETER).ask("count", 1)))
        yield* settled
        yield* TestClock.adjust(before)
        yield* settled
        expect(fiber.pollUnsafe()).toBeUndefined()
        yield* TestClock.adjust("1 hour")
        yield* settled
        expect(yield* Fiber.join(fiber)).toMatchObject({ _tag: "AskTimeout" })
      }
    }),
  )
})
