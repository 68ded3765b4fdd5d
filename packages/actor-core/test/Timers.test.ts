import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as TestClock from "effect/testing/TestClock"
import type { ActorContext } from "../src/ActorContext.ts"
import * as ActorSystem from "../src/ActorSystem.ts"
import * as Behavior from "../src/Behavior.ts"
import * as Signal from "../src/Signal.ts"
import { Counter } from "./support/counter.ts"
import { settled, silently } from "./support/greeter.ts"

type Context = ActorContext<typeof Counter>

/** An actor that does at each start what the test wants; `seen` is what it was told. */
const withTimers = (start: (context: Context, starts: number) => void, slow?: () => Promise<void>) =>
  Effect.gen(function* () {
    const system = yield* ActorSystem.make()
    const seen: Array<number | string> = []
    let starts = 0
    const actor = yield* system.spawn(
      Behavior.setup(Counter, (context) => {
        start(context, ++starts)
        return {
          add: (by) => {
            seen.push(by)
            if (by === 13) throw new Error("boom")
            return slow?.()
          },
          get: (_, context) => {
            context.timers.cancel("a")
            return seen.length
          },
          take: (by) => by,
          [Signal.receiveTimeout]: () => void seen.push("idle"),
        }
      }),
    )
    yield* settled
    return { system, actor, seen }
  })

/** Time passes, and what it wakes runs. */
const pass = (duration: `${number} ${"seconds" | "millis" | "minutes"}`) =>
  Effect.andThen(TestClock.adjust(duration), settled)

describe("timers", () => {
  it.effect("once, at their time, in the order of their times", () =>
    Effect.gen(function* () {
      const { seen } = yield* withTimers(({ timers }) => {
        timers.once("c", "3 seconds", "add", 3)
        timers.once("a", "1 second", "add", 1)
        timers.once("b", "2 seconds", "add", 2)
        timers.once("never", "Infinity", "add", 4)
      })
      yield* pass("999 millis")
      expect(seen).toEqual([])
      yield* pass("1 millis")
      expect(seen).toEqual([1])
      yield* pass("10 minutes")
      expect(seen).toEqual([1, 2, 3])
    }),
  )

  it.effect("at a fixed rate until they are cancelled", () =>
    Effect.gen(function* () {
      const { actor, seen } = yield* withTimers(({ timers }) => timers.every("a", "1 second", "add", 1))
      for (let i = 0; i < 3; i++) yield* pass("1 seconds")
      expect(seen).toEqual([1, 1, 1])
      yield* actor.ask("get", undefined)
      yield* pass("10 seconds")
      expect(seen).toEqual([1, 1, 1])
    }),
  )

  it.effect("leave out the ticks that the actor was too busy for, and keep the rate", () =>
    Effect.gen(function* () {
      let go = (): void => {}
      const { seen } = yield* withTimers(
        ({ timers }) => timers.every("a", "1 second", "add", 1),
        () => new Promise<void>((resolve) => void (go = resolve)),
      )
      for (let i = 0; i < 5; i++) yield* pass("1 seconds")
      expect(seen.length).toBe(1)
      go()
      yield* settled
      // The one tick that waited.
      expect(seen.length).toBe(2)
      go()
      yield* pass("999 millis")
      expect(seen.length).toBe(2)
      yield* pass("1 millis")
      expect(seen.length).toBe(3)
    }),
  )

  it.effect("are replaced by one of the same key, whose message alone comes", () =>
    Effect.gen(function* () {
      const { seen } = yield* withTimers(({ timers }) => {
        timers.once("a", "1 second", "add", 1)
        timers.once("a", "2 seconds", "add", 2)
        expect(timers.has("a")).toBe(true)
      })
      yield* pass("3 seconds")
      expect(seen).toEqual([2])
    }),
  )

  it.effect("cancelled, take back the message that waits in the mailbox", () =>
    Effect.gen(function* () {
      let own: Context | undefined
      let go = (): void => {}
      const { actor, seen } = yield* withTimers(
        (context) => {
          own = context
          context.timers.once("a", "1 second", "add", 1)
        },
        () => new Promise<void>((resolve) => void (go = resolve)),
      )
      actor.tell("add", 100)
      // It cancels the timer; the tick comes into the mailbox behind it.
      const asking = yield* Effect.forkChild(actor.ask("get", undefined), { startImmediately: true })
      yield* pass("1 seconds")
      expect(own!.timers.has("a")).toBe(true)
      go()
      yield* settled
      expect(asking.pollUnsafe()).toEqual(Exit.succeed(1))
      expect(seen).toEqual([100])
      expect(own!.timers.has("a")).toBe(false)
      expect(own!.timers.cancel("a")).toBe(false)
    }),
  )

  it.effect("of an actor that is restarted send nothing to its next incarnation", () =>
    silently(
      Effect.gen(function* () {
        let go = (): void => {}
        const { actor, seen } = yield* withTimers(
          ({ timers }, starts) => {
            if (starts > 1) return
            timers.once("once", "1 second", "add", 1)
            timers.every("every", "1 second", "add", 2)
            timers.once("later", "10 seconds", "add", 3)
          },
          () => new Promise<void>((resolve) => void (go = resolve)),
        )
        // Busy while two ticks come into the mailbox behind the message that it fails at.
        actor.tell("add", 100)
        yield* settled
        actor.tell("add", 13)
        yield* pass("1 seconds")
        expect(seen).toEqual([100])
        go()
        yield* pass("1 minutes")
        expect(seen).toEqual([100, 13])
        expect(yield* actor.ask("take", 1)).toBe(1)
      }),
    ),
  )

  it.effect("end with the actor", () =>
    Effect.gen(function* () {
      const { actor, seen, system } = yield* withTimers(({ timers }) =>
        timers.every("a", "1 second", "add", 1),
      )
      yield* system.stop(actor)
      yield* pass("1 minutes")
      expect(seen).toEqual([])
      expect(system.deadLetters.total).toBe(0)
    }),
  )

  it.effect("tick no faster than each millisecond", () =>
    Effect.gen(function* () {
      yield* withTimers(({ timers }) => {
        for (const interval of [0, -1, Number.NaN]) {
          expect(() => timers.every("a", interval, "add", 1)).toThrow(RangeError)
        }
      })
    }),
  )
})

describe("a receive timeout", () => {
  it.effect("signals each time that no message came for so long", () =>
    Effect.gen(function* () {
      const { actor, seen } = yield* withTimers((context) => context.setReceiveTimeout("10 seconds"))
      yield* pass("9 seconds")
      actor.tell("add", 1)
      yield* pass("9 seconds")
      expect(seen).toEqual([1])
      yield* pass("1 seconds")
      expect(seen).toEqual([1, "idle"])
      yield* pass("10 seconds")
      expect(seen).toEqual([1, "idle", "idle"])
    }),
  )

  it.effect("does not signal while the actor is at work, nor once taken back or restarted", () =>
    silently(
      Effect.gen(function* () {
        let go = (): void => {}
        let own: Context | undefined
        const { actor, seen } = yield* withTimers(
          (context, starts) => {
            own = context
            if (starts === 1) context.setReceiveTimeout("1 second")
          },
          () => new Promise<void>((resolve) => void (go = resolve)),
        )
        actor.tell("add", 1)
        yield* settled
        yield* pass("10 seconds")
        go()
        yield* settled
        expect(seen).toEqual([1])
        own!.setReceiveTimeout(null)
        yield* pass("10 seconds")
        expect(seen).toEqual([1])
        own!.setReceiveTimeout("1 second")
        actor.tell("add", 13)
        yield* pass("10 seconds")
        expect(seen).toEqual([1, 13])
      }),
    ),
  )
})

describe("what an actor pipes to itself", () => {
  it.effect("comes as a message of how it ended", () =>
    Effect.gen(function* () {
      const add = (exit: Exit.Exit<number, unknown>) =>
        ["add", Exit.isSuccess(exit) ? exit.value : -1] as const
      const { seen } = yield* withTimers((context) => {
        context.pipeToSelf(Effect.delay(Effect.succeed(3), "3 seconds"), add)
        context.pipeToSelf(Promise.resolve(1), add)
        context.pipeToSelf(Promise.reject(new Error("no")), add)
        context.pipeToSelf(Effect.delay(Effect.fail("no"), "4 seconds"), add)
      })
      expect(seen).toEqual([1, -1])
      yield* pass("5 seconds")
      expect(seen).toEqual([1, -1, 3, -1])
    }),
  )

  it.effect("is interrupted, and doesn't come, after a restart or the end", () =>
    silently(
      Effect.gen(function* () {
        let interrupted = 0
        const slow = Effect.as(Effect.sleep("1 second"), 1).pipe(
          Effect.onInterrupt(() => Effect.sync(() => interrupted++)),
        )
        let resolve: (value: number) => void = () => undefined
        const { actor, seen, system } = yield* withTimers((context, starts) => {
          if (starts === 1) {
            context.pipeToSelf(
              new Promise<number>((done) => void (resolve = done)),
              () => ["add", 50] as const,
            )
          }
          context.pipeToSelf(slow, () => ["add", 1] as const)
        })
        actor.tell("add", 13)
        yield* settled
        expect(interrupted).toBe(1)
        resolve(1)
        yield* settled
        expect(seen).toEqual([13])
        yield* system.stop(actor)
        expect(interrupted).toBe(2)
        yield* pass("1 minutes")
        expect(seen).toEqual([13])
      }),
    ),
  )
})
