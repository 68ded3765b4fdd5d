/** What an actor acquires and how it ends: stop, restart, failure, shutdown. */
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import type { ActorContext } from "../src/ActorContext.ts"
import * as ActorSystem from "../src/ActorSystem.ts"
import * as Behavior from "../src/Behavior.ts"
import * as Signal from "../src/Signal.ts"
import * as Supervision from "../src/Supervision.ts"
import { Counter } from "./support/counter.ts"
import { settled, silently, withLogs } from "./support/greeter.ts"

const rest = { add: () => undefined, get: () => 0, take: (by: number) => by }

/** What was acquired and released. */
let log: Array<string> = []
const hold = (what: string) =>
  Effect.acquireRelease(
    Effect.sync(() => void log.push(`+${what}`)),
    () => Effect.sync(() => void log.push(`-${what}`)),
  )

/** Acquires as it starts and with each `take`. */
const holder = (name = "") =>
  Behavior.setup(Counter, () =>
    Effect.gen(function* () {
      yield* hold(`${name}start`)
      return {
        add: (by: number) => {
          if (by === 13) throw new Error("boom")
        },
        get: () => 0,
        take: (by: number) => Effect.as(hold(`${name}take ${by}`), by),
        [Signal.postStop]: () => void log.push(`${name}postStop`),
      }
    }),
  )

describe("an actor is a scope: what it acquires", () => {
  it.effect("is released once when it stops, last first, after postStop", () =>
    Effect.gen(function* () {
      log = []
      const system = yield* ActorSystem.make()
      const actor = yield* system.spawn(holder())
      yield* actor.ask("take", 1)
      yield* actor.ask("take", 2)
      yield* system.stop(actor)
      yield* system.stop(actor)
      expect(log).toEqual(["+start", "+take 1", "+take 2", "postStop", "-take 2", "-take 1", "-start"])
    }),
  )

  it.effect("is released once when it is restarted, before it starts again", () =>
    silently(
      Effect.gen(function* () {
        log = []
        const system = yield* ActorSystem.make()
        const actor = yield* system.spawn(holder())
        yield* actor.ask("take", 1)
        actor.tell("add", 13)
        yield* actor.ask("get", undefined)
        expect(log).toEqual(["+start", "+take 1", "-take 1", "-start", "+start"])
      }),
    ),
  )

  it.effect("is released once when it fails for good, and when the system ends", () =>
    silently(
      Effect.gen(function* () {
        log = []
        const scope = yield* Scope.make()
        const system = yield* Scope.provide(ActorSystem.make(), scope)
        const failing = yield* system.spawn(holder("a "), { supervision: Supervision.stop })
        yield* system.spawn(holder("b "))
        yield* settled
        failing.tell("add", 13)
        yield* system.watch(failing)
        expect(log).toEqual(["+a start", "+b start", "a postStop", "-a start"])
        yield* Scope.close(scope, Exit.void)
        expect(log.slice(4)).toEqual(["b postStop", "-b start"])
      }),
    ),
  )

  it.effect("by context.scope is released, too, and by a hook that acquires", () =>
    Effect.gen(function* () {
      const released: Array<string> = []
      const system = yield* ActorSystem.make()
      let own: ActorContext<typeof Counter> | undefined
      const release = (what: string) => Effect.sync(() => void released.push(what))
      const actor = yield* system.spawn(
        Behavior.setup(Counter, (context) => {
          own = context
          return { ...rest, [Signal.postStop]: () => Effect.addFinalizer(() => release("hook")) }
        }),
      )
      yield* actor.ask("get", undefined)
      yield* Scope.addFinalizer(own!.scope, release("own"))
      yield* system.stop(actor)
      expect(released).toEqual(["hook", "own"])
    }),
  )

  it.effect("is released although a finalizer or a hook throws; that is logged", () =>
    withLogs((logs) =>
      Effect.gen(function* () {
        const released: Array<string> = []
        const system = yield* ActorSystem.make()
        const actor = yield* system.spawn(
          Behavior.setup(Counter, () =>
            Effect.gen(function* () {
              yield* Effect.addFinalizer(() => Effect.sync(() => void released.push("first")))
              yield* Effect.addFinalizer(() => Effect.die(new Error("bad finalizer")))
              yield* Effect.addFinalizer(() => Effect.sync(() => void released.push("last")))
              return {
                ...rest,
                [Signal.postStop]: () => {
                  throw new Error("bad hook")
                },
              }
            }),
          ),
        )
        yield* actor.ask("get", undefined)
        yield* system.stop(actor)
        expect(released).toEqual(["last", "first"])
        expect(logs.join()).toContain("bad hook")
        expect(logs.join()).toContain("bad finalizer")
        expect(yield* system.watch(actor)).toMatchObject({ reason: "unknown" })
      }),
    ),
  )
})

describe("the end of an actor", () => {
  it.effect("comes after its children's, last first, and all are gone", () =>
    Effect.gen(function* () {
      const ended: Array<string> = []
      const system = yield* ActorSystem.make()
      const leaf = (name: string) =>
        Behavior.make(Counter, { ...rest, [Signal.postStop]: () => void ended.push(name) })
      const middle = (name: string) =>
        Behavior.setup(Counter, (context) => {
          context.spawn(leaf(`${name}1`), { name: "1" })
          context.spawn(leaf(`${name}2`), { name: "2" })
          return { ...rest, [Signal.postStop]: () => void ended.push(name) }
        })
      const top = yield* system.spawn(
        Behavior.setup(Counter, (context) => {
          context.spawn(middle("a"), { name: "a" })
          context.spawn(middle("b"), { name: "b" })
          return { ...rest, [Signal.postStop]: () => void ended.push("top") }
        }),
        { name: "top" },
      )
      yield* settled
      yield* system.stop(top)
      expect(ended).toEqual(["b2", "b1", "b", "a2", "a1", "a", "top"])
      for (const address of ["@(local/top)", "@(local/top/a)", "@(local/top/a/1)"] as const) {
        expect(yield* Effect.flip(system.ref(Counter, address).ask("get", undefined))).toMatchObject({
          _tag: "UnknownActor",
        })
      }
    }),
  )

  it.effect("by itself comes after the message it is at, which is answered", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem.make()
      const actor = yield* system.spawn(
        Behavior.make(Counter, {
          ...rest,
          take: (by, context) => {
            context.stop()
            return Effect.as(Effect.yieldNow, by)
          },
        }),
      )
      const asking = yield* Effect.forkChild(actor.ask("take", 5), { startImmediately: true })
      actor.tell("add", 1)
      expect(yield* Fiber.join(asking)).toBe(5)
      expect(yield* system.watch(actor)).toMatchObject({ address: actor.address })
      expect(system.deadLetters.counts).toEqual({ terminated: 1 })
      actor.tell("add", 2)
      expect(system.deadLetters.total).toBe(2)
    }),
  )

  it.effect("of a child by its parent is heard of; of a stranger, nothing happens", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem.make()
      const stranger = yield* system.spawn(Behavior.make(Counter, rest), { name: "stranger" })
      const heard: Array<string> = []
      const parent = yield* system.spawn(
        Behavior.setup(Counter, (context) => {
          const child = context.spawn(Behavior.make(Counter, rest), { name: "child" })
          context.watch(child)
          return {
            ...rest,
            add: () => {
              context.stop(stranger)
              context.stop(child)
            },
            [Signal.terminated]: ({ address, reason }) => void heard.push(`${address} ${reason}`),
          }
        }),
        { name: "parent" },
      )
      parent.tell("add", 1)
      yield* settled
      expect(heard).toEqual(["@(local/parent/child) stopped"])
      expect(yield* stranger.ask("get", undefined)).toBe(0)
    }),
  )

  it.effect("while it waits to be restarted is at once, and it doesn't come back", () =>
    silently(
      Effect.gen(function* () {
        let starts = 0
        const system = yield* ActorSystem.make()
        const actor = yield* system.spawn(
          Behavior.setup(Counter, () => {
            starts++
            return {
              ...rest,
              add: () => {
                throw new Error("boom")
              },
            }
          }),
          {
            supervision: Supervision.restart({ backoff: Schedule.spaced("1 minute") }),
          },
        )
        actor.tell("add", 1)
        yield* settled
        yield* system.stop(actor)
        yield* TestClock.adjust("10 minutes")
        expect(starts).toBe(1)
      }),
    ),
  )

  it.effect("leaves its address to another, whom old references reach", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem.make()
      const first = yield* system.spawn(Behavior.make(Counter, rest), { name: "x" })
      expect(yield* Effect.flip(system.spawn(Behavior.make(Counter, rest), { name: "x" }))).toMatchObject({
        _tag: "AddressInUse",
        address: "@(local/x)",
      })
      yield* system.stop(first)
      yield* system.spawn(Behavior.make(Counter, { ...rest, get: () => 2 }), { name: "x" })
      expect(yield* first.ask("get", undefined)).toBe(2)
    }),
  )
})

describe("shutdown", () => {
  it.effect("stops all within the time limit, and names who did not stop", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem.make({ shutdownTimeout: "1 second" })
      const stuck = Behavior.make(Counter, {
        ...rest,
        [Signal.postStop]: () => Effect.never,
      })
      const ended: Array<string> = []
      yield* system.spawn(
        Behavior.setup(Counter, (context) => {
          context.spawn(stuck, { name: "child" })
          return { ...rest, [Signal.postStop]: () => void ended.push("parent") }
        }),
        { name: "parent" },
      )
      yield* system.spawn(
        Behavior.make(Counter, { ...rest, [Signal.postStop]: () => void ended.push("other") }),
        { name: "other" },
      )
      yield* settled
      const stopping = yield* Effect.forkChild(Effect.flip(system.shutdown("5 seconds")), {
        startImmediately: true,
      })
      yield* TestClock.adjust("5 seconds")
      expect(yield* Fiber.join(stopping)).toMatchObject({
        _tag: "ShutdownTimeout",
        actors: ["@(local/parent/child)"],
      })
      // A parent does not end before its children.
      expect(ended).toEqual(["other"])
    }),
  )

  it.effect("at the end of the scope logs who did not stop, and ends", () =>
    withLogs((logs) =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const system = yield* Scope.provide(ActorSystem.make({ shutdownTimeout: "1 second" }), scope)
        yield* system.spawn(Behavior.make(Counter, { ...rest, [Signal.postStop]: () => Effect.never }), {
          name: "stuck",
        })
        const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(closing)
        expect(logs.join()).toContain("@(local/stuck)")
      }),
    ),
  )

  it.effect("ends asks that are open, and lets nobody in after", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem.make()
      const started = yield* Deferred.make<void>()
      const actor = yield* system.spawn(
        Behavior.make(Counter, {
          ...rest,
          take: () => Effect.andThen(Deferred.succeed(started, undefined), Effect.never),
        }),
      )
      const asking = yield* Effect.forkChild(Effect.flip(actor.ask("take", 1)))
      yield* Deferred.await(started)
      yield* system.shutdown()
      expect(yield* Fiber.join(asking)).toMatchObject({ _tag: "ActorTerminated" })
      const late = yield* system.spawn(Behavior.make(Counter, rest))
      expect(yield* Effect.flip(late.ask("get", undefined))).toMatchObject({ code: "closed" })
      yield* system.shutdown()
    }),
  )
})
