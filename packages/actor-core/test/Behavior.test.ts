import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type { ActorContext, MessageContext } from "../src/ActorContext.ts"
import * as ActorSystem from "../src/ActorSystem.ts"
import * as Behavior from "../src/Behavior.ts"
import type { Handlers } from "../src/Handlers.ts"
import { Counter, TooMuch } from "./support/counter.ts"
import { settled } from "./support/greeter.ts"

/** The same counter, written in each way that there is. */
class CounterActor implements Handlers<typeof Counter> {
  #count = 0
  readonly context: ActorContext<typeof Counter>
  constructor(context: ActorContext<typeof Counter>) {
    this.context = context
  }
  add(by: number): void {
    this.#count += by
  }
  get(): number {
    return this.#count
  }
  take(by: number): number {
    if (by > this.#count) throw new TooMuch({ limit: this.#count })
    return (this.#count -= by)
  }
}

const styles = {
  "a function that closes over its state": Behavior.setup(Counter, () => {
    let count = 0
    return {
      add: (by) => void (count += by),
      get: () => count,
      take: (by) => (by > count ? Effect.fail(new TooMuch({ limit: count })) : (count -= by)),
    }
  }),
  "an instance of a class": Behavior.setup(Counter, (context) => new CounterActor(context)),
  "state in, state out": Behavior.state(Counter, () => 0, {
    add: (count, by) => count + by,
    get: (count, _, context) => {
      context.reply(count)
      return count
    },
    take: (count, by, context) => {
      if (by > count) return Effect.fail(new TooMuch({ limit: count }))
      context.reply(count - by)
      return count - by
    },
  }),
  "state in effects": Behavior.state(Counter, () => Effect.succeed(0), {
    add: (count, by) => Effect.succeed(count + by),
    get: (count, _, context) =>
      Effect.as(
        Effect.sync(() => context.reply(count)),
        count,
      ),
    take: async (count, by, context: MessageContext<typeof Counter, "take">) => {
      if (by > count) throw new TooMuch({ limit: count })
      context.reply(count - by)
      return count - by
    },
  }),
  "handlers made by an effect": Behavior.setup(Counter, () =>
    Effect.sync(() => {
      let count = 0
      return {
        add: (by) => Effect.sync(() => void (count += by)),
        get: () => count,
        take: async (by) => {
          if (by > count) throw new TooMuch({ limit: count })
          return (count -= by)
        },
      }
    }),
  ),
} satisfies Record<string, Behavior.Behavior<typeof Counter>>

describe.each(Object.entries(styles))("a behavior: %s", (_, behavior) => {
  it.effect("handles tells and asks, and answers typed errors", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem.make()
      const counter = yield* system.spawn(behavior)
      for (const by of [1, 2, 3]) counter.tell("add", by)
      expect(yield* counter.ask("get", undefined)).toBe(6)
      expect(yield* counter.ask("take", 2)).toBe(4)
      expect(yield* Effect.flip(counter.ask("take", 5))).toEqual(new TooMuch({ limit: 4 }))
      expect(yield* counter.ask("get", undefined)).toBe(4)
      expect(system.deadLetters.total).toBe(0)
    }),
  )

  it.effect("is as many actors as it is spawned", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem.make()
      const first = yield* system.spawn(behavior)
      const second = yield* system.spawn(behavior, { name: "second" })
      first.tell("add", 1)
      second.tell("add", 2)
      expect(yield* first.ask("get", undefined)).toBe(1)
      expect(yield* second.ask("get", undefined)).toBe(2)
      expect(second.address).toBe("@(local/second)")
      expect(yield* system.ref(Counter, first.address).ask("get", undefined)).toBe(1)
    }),
  )
})

describe("an actor's context", () => {
  it.effect("stays the same object; what is about a message is of the message at hand", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem.make()
      const contexts = new Set<unknown>()
      const ids: Array<string> = []
      const counter = yield* system.spawn(
        Behavior.make(Counter, {
          add: (_, context) => {
            contexts.add(context)
            ids.push(context.id)
          },
          get: (_, context) => {
            expect(context.sender).toBeNull()
            return contexts.size
          },
          take: (by) => by,
        }),
      )
      counter.tell("add", 1)
      counter.tell("add", 2)
      expect(yield* counter.ask("get", undefined)).toBe(1)
      expect(new Set(ids).size).toBe(2)
    }),
  )

  it.effect("becomes another behavior from the next message on", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem.make()
      const twice = Behavior.state(Counter, () => 100, {
        add: (count, by) => count + 2 * by,
        get: (count, _, context) => {
          context.reply(count)
          return count
        },
        take: (count) => count,
      })
      const counter = yield* system.spawn(
        Behavior.setup(Counter, (context) => ({
          add: () => {
            context.become(twice)
          },
          get: () => -1,
          take: (by) => by,
        })),
      )
      expect(yield* counter.ask("get", undefined)).toBe(-1)
      counter.tell("add", 1)
      counter.tell("add", 1)
      expect(yield* counter.ask("get", undefined)).toBe(102)
    }),
  )

  it.effect("puts messages aside and gives them back before all others, in their order", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem.make()
      const seen: Array<number> = []
      let open = false
      const counter = yield* system.spawn(
        Behavior.make(Counter, {
          add: (by, context) => {
            if (by === 0) {
              open = true
              context.unstashAll()
            } else if (open) seen.push(by)
            else context.stash()
          },
          get: (_, context) => {
            if (open) return seen.length
            context.stash()
            return -1
          },
          take: (by) => by,
        }),
      )
      counter.tell("add", 1)
      const asking = yield* Effect.forkChild(counter.ask("get", undefined), { startImmediately: true })
      for (const by of [2, 0, 3]) counter.tell("add", by)
      expect(yield* counter.ask("take", 1)).toBe(1)
      expect(seen).toEqual([1, 2, 3])
      const { pollUnsafe } = asking
      expect(pollUnsafe.call(asking)).toMatchObject({ value: 1 })
    }),
  )

  it.effect("answers later, by whoever has the reply", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem.make()
      const owed = yield* Deferred.make<(value: number) => void>()
      const counter = yield* system.spawn(
        Behavior.make(Counter, {
          add: () => undefined,
          get: (_, context) => {
            Deferred.doneUnsafe(owed, Effect.succeed(context.replyLater().succeed))
            return -1
          },
          take: (by) => by,
        }),
      )
      const asking = yield* Effect.forkChild(counter.ask("get", undefined))
      const give = yield* Deferred.await(owed)
      expect(yield* counter.ask("take", 7)).toBe(7)
      expect(asking.pollUnsafe()).toBeUndefined()
      give(5)
      give(6)
      yield* settled
      expect(asking.pollUnsafe()).toMatchObject({ value: 5 })
      expect(system.deadLetters.counts).toEqual({ late_answer: 1 })
    }),
  )
})
