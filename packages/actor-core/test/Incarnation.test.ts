/** What ends with a restart, and what takes no part in it. */
import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as ActorSystem from "../src/ActorSystem.ts"
import * as Behavior from "../src/Behavior.ts"
import * as Mailbox from "../src/Mailbox.ts"
import * as Signal from "../src/Signal.ts"
import * as Supervision from "../src/Supervision.ts"
import { TestDispatcher } from "../src/testing/TestDispatcher.ts"
import { settle } from "../src/testing/TestTime.ts"
import { Counter } from "./support/counter.ts"
import { silently } from "./support/greeter.ts"

const ignore = () => undefined

it.effect("restarted twice before it hears of it, an actor hears of the last restart alone (fault 43)", () =>
  silently(
    Effect.gen(function* () {
      const dispatcher = TestDispatcher.stepwise()
      const system = yield* ActorSystem.make({ dispatcher })
      const log: Array<string> = []
      const supervision = Supervision.restart({ siblings: "one-for-all" })
      const fragile = (name: string) =>
        Behavior.setup(Counter, () => ({
          add: () => {
            throw new Error("boom")
          },
          get: () => 0,
          take: (by) => by,
          [Signal.postRestart]: () => void log.push(name),
        }))
      const first = yield* system.spawn(fragile("first"), { supervision })
      yield* system.spawn(fragile("second"), { supervision })
      first.tell("add", 1)
      first.tell("add", 2)
      // Both starts, then two failures of the first, before the second has a turn.
      dispatcher.step(first)
      dispatcher.step(first)
      dispatcher.runAll()
      expect(log.filter((name) => name === "second")).toEqual(["second"])
    }),
  ),
)

it.effect("the end of an interrupted pipe takes no room in a bounded mailbox (fault 43)", () =>
  silently(
    Effect.gen(function* () {
      const dispatcher = TestDispatcher.stepwise()
      const system = yield* ActorSystem.make({ dispatcher })
      const actor = yield* system.spawn(
        Behavior.setup(Counter, (context) => ({
          add: (by) => {
            if (by === 1) context.pipeToSelf(Effect.never, () => ["add", 9])
            else if (by === 2) throw new Error("boom")
          },
          get: () => 0,
          take: (by) => by,
        })),
        { mailbox: Mailbox.bounded(1, "drop-oldest") },
      )
      actor.tell("add", 1)
      dispatcher.runAll()
      actor.tell("add", 2)
      // In the mailbox when the one before it fails.
      const turn = dispatcher.step()
      expect(turn).toBe(actor.address)
      actor.tell("add", 3)
      expect(system.deadLetters.counts).toEqual({ failed: 1 })
      dispatcher.runAll()
      yield* settle
      expect(system.deadLetters.counts).toEqual({ failed: 1 })
    }),
  ),
)

it.effect("who waits for room goes on waiting where what was put aside takes it (fault 43)", () =>
  Effect.gen(function* () {
    const dispatcher = TestDispatcher.stepwise()
    const system = yield* ActorSystem.make({ dispatcher })
    const handled: Array<number> = []
    const actor = yield* system.spawn(
      Behavior.make(Counter, {
        add: (by, context) => {
          if (handled.length < 2) context.stash()
          if (by === 3) context.unstashAll()
          handled.push(by)
        },
        get: () => 0,
        take: ignore as never,
      }),
      { mailbox: Mailbox.bounded(1) },
    )
    for (const by of [1, 2]) {
      actor.tell("add", by)
      dispatcher.runAll()
    }
    const taken: Array<number> = []
    for (const by of [3, 4, 5]) {
      yield* actor.offer("add", by).pipe(
        Effect.map(() => taken.push(by)),
        Effect.forkChild({ startImmediately: true }),
      )
    }
    expect(taken).toEqual([3])
    // 3 makes room for 4, and gives 1 and 2 back before it: the mailbox holds more than it takes.
    dispatcher.step()
    yield* settle
    expect(taken).toEqual([3, 4])
    for (const more of [[], [], [5]]) {
      dispatcher.step()
      yield* settle
      expect(taken).toEqual([3, 4, ...more])
    }
    dispatcher.runAll()
    expect(handled).toEqual([1, 2, 3, 1, 2, 4, 5])
  }),
)
