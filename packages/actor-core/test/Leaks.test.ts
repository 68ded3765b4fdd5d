/** Nothing leaks, nothing grows without a bound: the same things very often. */
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { expect, test } from "vitest"
import * as ActorSystem from "../src/ActorSystem.ts"
import * as Behavior from "../src/Behavior.ts"
import * as Mailbox from "../src/Mailbox.ts"
import * as Supervision from "../src/Supervision.ts"
import { Counter } from "./support/counter.ts"
import { settled } from "./support/greeter.ts"

const MILLION = 1_000_000

setFlagsFromString("--expose_gc")
const collect = runInNewContext("gc") as () => void

/** Bytes on the heap that something still needs. */
const heapUsed = Effect.map(settled, () => {
  collect()
  collect()
  return process.memoryUsage().heapUsed
})

const idle = Behavior.make(Counter, { add: () => undefined, get: () => 0, take: (by) => by })

test("two hundred thousand asks end, and the heap is as before", { timeout: 120_000 }, () =>
  Effect.gen(function* () {
    const system = yield* ActorSystem.make()
    const actor = yield* system.spawn(idle)
    const asks = (count: number) =>
      Effect.forEach(Array.from({ length: count }), () => actor.ask("get", undefined), {
        concurrency: "unbounded",
        discard: true,
      })
    for (let n = 0; n < 20; n++) yield* asks(1_000)
    const before = yield* heapUsed
    for (let n = 0; n < 200; n++) yield* asks(1_000)
    const after = yield* heapUsed
    expect(after / before).toBeLessThan(1.05)
  }).pipe(Effect.scoped, Effect.runPromise),
)

test(
  "an actor that may fail for ever is restarted a hundred thousand times, and the heap is as before",
  { timeout: 120_000 },
  () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem.make()
      let starts = 0
      const actor = yield* system.spawn(
        Behavior.setup(Counter, () => {
          starts++
          return {
            add: () => {
              throw new Error("boom")
            },
            get: () => starts,
            take: (by) => by,
          }
        }),
        { supervision: Supervision.restart({ intensity: { restarts: Infinity, within: "1 hour" } }) },
      )
      const fail = Effect.fnUntraced(function* (count: number) {
        for (let n = 0; n < count; n++) {
          actor.tell("add", n)
          if (n % 100 === 99) yield* actor.ask("get", undefined)
        }
        return yield* heapUsed
      })
      const before = yield* fail(10_000)
      const after = yield* fail(100_000)
      expect(yield* actor.ask("get", undefined)).toBe(110_001)
      expect(after / before).toBeLessThan(1.05)
    }).pipe(Effect.scoped, Effect.provide(Logger.layer([])), Effect.runPromise),
)

test.each(["backpressure", "drop-newest", "drop-oldest", "fail"] as const)(
  "a million messages to a slow actor with a bounded mailbox, %s: what waits stays bounded",
  { timeout: 60_000 },
  (overflow) =>
    Effect.gen(function* () {
      const system = yield* ActorSystem.make({ deadLetters: 10 })
      const handled: Array<number> = []
      let open = (): void => undefined
      const gate = new Promise<void>((resolve) => void (open = resolve))
      const slow = yield* system.spawn(
        Behavior.make(Counter, {
          add: (by) => {
            handled.push(by)
            return by === 0 ? gate : undefined
          },
          get: () => handled.length,
          take: (by) => by,
        }),
        { mailbox: Mailbox.bounded(100, overflow) },
      )
      slow.tell("add", 0)
      yield* settled
      const before = yield* heapUsed
      for (let n = 1; n <= MILLION; n++) slow.tell("add", n)
      const after = yield* heapUsed
      // One message is a hundred bytes or more.
      expect(after - before).toBeLessThan(5_000_000)
      expect(system.deadLetters.counts).toEqual({ mailbox_full: MILLION - 100 })
      open()
      while (handled.length < 101) yield* settled
      const waited = overflow === "drop-oldest" ? MILLION - 99 : 1
      expect(handled).toEqual([0, ...Array.from({ length: 100 }, (_, n) => waited + n)])
    }).pipe(Effect.scoped, Effect.provide(Logger.layer([])), Effect.runPromise),
)
