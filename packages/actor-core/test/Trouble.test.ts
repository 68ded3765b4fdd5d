/** What must not happen, or not matter: each has one outcome, and nothing hangs or leaks. */
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import type { Reply } from "../src/ActorContext.ts"
import * as ActorSystem from "../src/ActorSystem.ts"
import * as Behavior from "../src/Behavior.ts"
import * as Supervision from "../src/Supervision.ts"
import { Counter } from "./support/counter.ts"
import { settled, silently } from "./support/greeter.ts"

const rest = { add: () => undefined, get: () => 0, take: (by: number) => by }

describe("an answer", () => {
  it.effect("given twice: the first counts, the others are dead letters", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem.make()
      const actor = yield* system.spawn(
        Behavior.make(Counter, {
          ...rest,
          take: (_, context) => {
            context.reply(1)
            context.reply(2)
            return 3
          },
        }),
      )
      expect(yield* actor.ask("take", 0)).toBe(1)
      expect(system.deadLetters.counts).toEqual({ late_answer: 1 })
    }),
  )

  it.effect("given to a tell is a dead letter", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem.make()
      const actor = yield* system.spawn(
        Behavior.make(Counter, { ...rest, add: (_, context) => context.reply(undefined) }),
      )
      actor.tell("add", 1)
      yield* settled
      expect(system.deadLetters.counts).toEqual({ late_answer: 1 })
    }),
  )

  it.effect("after the timeout is a dead letter, whichever way it comes", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem.make()
      let reply: Reply<typeof Counter, "get"> | undefined
      let go: (value: number) => void = () => undefined
      const actor = yield* system.spawn(
        Behavior.make(Counter, {
          ...rest,
          get: (_, context) => {
            reply = context.replyLater()
            return 0
          },
          take: () => new Promise<number>((resolve) => void (go = resolve)),
        }),
      )
      const first = yield* Effect.forkChild(Effect.flip(actor.ask("get", undefined)), {
        startImmediately: true,
      })
      const second = yield* Effect.forkChild(Effect.flip(actor.ask("take", 1)), { startImmediately: true })
      yield* settled
      yield* TestClock.adjust("30 seconds")
      for (const asking of [first, second]) {
        expect(yield* Fiber.join(asking)).toMatchObject({ _tag: "AskTimeout" })
      }
      reply!.succeed(1)
      go(1)
      yield* settled
      expect(system.deadLetters.counts).toEqual({ late_answer: 2 })
    }),
  )

  it.effect("that is owed when the actor stops or is restarted ends the ask", () =>
    silently(
      Effect.gen(function* () {
        for (const end of ["stop", "restart"]) {
          const system = yield* ActorSystem.make()
          const actor = yield* system.spawn(
            Behavior.make(Counter, {
              ...rest,
              get: (_, context) => {
                context.replyLater()
                return 0
              },
              add: () => {
                throw new Error("boom")
              },
            }),
          )
          const asking = yield* Effect.forkChild(Effect.flip(actor.ask("get", undefined)), {
            startImmediately: true,
          })
          yield* settled
          if (end === "stop") yield* system.stop(actor)
          else actor.tell("add", 1)
          expect(yield* Fiber.join(asking)).toMatchObject({ _tag: "ActorTerminated" })
        }
      }),
    ),
  )

  it.effect("that state in, state out forgets is said to be missing", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem.make()
      const actor = yield* system.spawn(
        Behavior.state(Counter, () => 0, { add: (n) => n, get: (n) => n, take: (n) => n }),
      )
      expect(yield* Effect.flip(actor.ask("get", undefined))).toMatchObject({ code: "no_answer" })
    }),
  )
})

describe("an ask to oneself", () => {
  it.effect("that the handler waits for is refused at once; one that is forked is answered", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem.make()
      const actor = yield* system.spawn(
        Behavior.make(Counter, {
          ...rest,
          get: (_, { self }) => Effect.orDie(self.ask("take", 1)),
          take: (by, context) =>
            by === 0
              ? Effect.sync(() =>
                  context.pipeToSelf(context.self.ask("take", 5), () => ["add", 1] as const),
                ).pipe(Effect.as(7))
              : by,
        }),
        {
          supervision: (failure) => (
            expect(failure.error).toMatchObject({ code: "ask_to_self" }),
            Supervision.resume
          ),
        },
      )
      expect(yield* silently(Effect.flip(actor.ask("get", undefined)))).toMatchObject({
        code: "actor_failed",
      })
      expect(yield* actor.ask("take", 0)).toBe(7)
      yield* settled
      expect(system.deadLetters.counts).toEqual({ failed: 1 })
    }),
  )
})

describe("a message", () => {
  it.effect("to an actor that stopped: a tell is a dead letter, an ask ends, an offer says so", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem.make()
      const actor = yield* system.spawn(Behavior.make(Counter, rest))
      yield* system.stop(actor)
      actor.tell("add", 1)
      expect(yield* Effect.flip(actor.ask("get", undefined))).toMatchObject({ _tag: "UnknownActor" })
      expect(yield* Effect.flip(actor.offer("add", 1))).toMatchObject({
        _tag: "NotDelivered",
        reason: "undeliverable",
      })
      expect(system.deadLetters.counts).toEqual({ undeliverable: 2 })
    }),
  )

  it.effect("put aside beyond the limit is a failure of who does it; what was aside is not lost", () =>
    silently(
      Effect.gen(function* () {
        const system = yield* ActorSystem.make()
        const failures: Array<unknown> = []
        const seen: Array<number> = []
        const actor = yield* system.spawn(
          Behavior.setup(Counter, () => ({
            ...rest,
            add: (by, context) => {
              if (failures.length > 0) seen.push(by)
              else context.stash()
            },
          })),
          {
            stash: 2,
            supervision: (failure) => {
              failures.push(failure.error)
              return Supervision.restart()
            },
          },
        )
        for (const by of [1, 2, 3, 4]) actor.tell("add", by)
        yield* settled
        expect(failures).toMatchObject([{ _tag: "StashFull" }])
        expect(seen).toEqual([1, 2, 4])
        expect(system.deadLetters.recent()).toMatchObject([{ reason: "failed", envelope: { payload: 3 } }])
      }),
    ),
  )
})

describe("memory", () => {
  it.effect(
    "is after 10^6 actors came and went what it was before",
    () =>
      Effect.gen(function* () {
        setFlagsFromString("--expose-gc")
        const collect = runInNewContext("gc") as () => void
        const used = (): number => {
          collect()
          return process.memoryUsage().heapUsed
        }
        const system = yield* ActorSystem.make()
        const child = Behavior.make(Counter, rest)
        const parent = yield* system.spawn(
          Behavior.make(Counter, {
            ...rest,
            take: (count, context) => {
              for (let i = 0; i < count; i++) {
                const actor = context.spawn(child, i % 2 === 0 ? { name: `n${i}` } : {})
                if (i % 10 === 0) {
                  actor.tell("add", i)
                  context.watch(actor)
                  context.timers.once(`${i % 7}`, "1 minute", "add", i)
                  context.unwatch(actor)
                }
                context.stop(actor)
              }
              return count
            },
          }),
        )
        const comeAndGo = Effect.fnUntraced(function* (count: number) {
          for (let i = 0; i < count; i += 10_000) yield* parent.ask("take", 10_000)
          // Behind all that are still to have a turn, and out of the stack of who answers.
          yield* settled
          yield* parent.ask("get", undefined)
          yield* settled
          return used()
        })
        // What is compiled and kept on purpose, as dead letters are, is there after the first ones.
        const before = yield* comeAndGo(200_000)
        const after = yield* comeAndGo(1_000_000)
        expect(after / before).toBeLessThan(1.05)
      }),
    30_000,
  )
})
