import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import * as ActorSystem from "../src/ActorSystem.ts"
import * as Protocol from "../src/Protocol.ts"
import { Greeter, greeter, GREETER, makeWorld, Rejected, withLogs, worlds } from "./support/greeter.ts"

describe.each(worlds)("an ask (%s)", (world) => {
  it.effect("gets the actor's own answer, not that something was sent (faults 33, 43)", () =>
    Effect.gen(function* () {
      const { client, server } = yield* makeWorld(world)
      yield* server.serve(
        Greeter,
        GREETER,
        greeter({ count: async (n) => n * 2, when: (date) => Effect.succeed(new Date(date.getTime() + 1)) }),
      )
      const actor = client.ref(Greeter, GREETER)
      expect(yield* actor.ask("greet", { name: "Ada" })).toBe("hello Ada")
      expect(yield* actor.ask("count", 21)).toBe(42)
      expect(yield* actor.ask("when", new Date(1))).toEqual(new Date(2))
    }),
  )

  it.effect("gets a typed error as the error it is: failed, thrown or rejected", () =>
    Effect.gen(function* () {
      const { client, server } = yield* makeWorld(world)
      const ways: ReadonlyArray<
        (name: string) => string | Promise<string> | Effect.Effect<string, Rejected>
      > = [
        (why) => Effect.fail(new Rejected({ why })),
        (why) => {
          throw new Rejected({ why })
        },
        (why) => Promise.reject(new Rejected({ why })),
      ]
      let turn = 0
      yield* server.serve(Greeter, GREETER, greeter({ greet: ({ name }) => ways[turn++]!(name) }))
      for (const _ of ways) {
        const error = yield* Effect.flip(client.ref(Greeter, GREETER).ask("greet", { name: "Eve" }))
        expect(error).toBeInstanceOf(Rejected)
        expect(error).toMatchObject({ why: "Eve" })
      }
    }),
  )

  it.effect("gets nothing of what a defect was; the log does, and the actor goes on (faults 28, 43)", () =>
    withLogs((logs) =>
      Effect.gen(function* () {
        const { client, server } = yield* makeWorld(world)
        const ways: ReadonlyArray<() => number | Promise<number> | Effect.Effect<number>> = [
          () => {
            throw new Error("secret 1")
          },
          () => Promise.reject(new Error("secret 2")),
          () => Effect.die(new Error("secret 3")),
          () => Effect.interrupt,
        ]
        yield* server.serve(Greeter, GREETER, greeter({ count: (n) => ways[n]?.() ?? n }))
        const actor = client.ref(Greeter, GREETER)
        for (const n of ways.keys()) {
          const error = yield* Effect.flip(actor.ask("count", n))
          expect(error).toMatchObject({ _tag: "ActorFailed", code: "actor_failed", retryable: false })
          expect(JSON.stringify(error)).not.toMatch(/secret|\.ts/)
        }
        for (const secret of ["secret 1", "secret 2", "secret 3"]) expect(logs.join()).toContain(secret)
        expect(yield* actor.ask("count", 99)).toBe(99)
      }),
    ),
  )

  it.effect("ends at its timeout, typed, and the actor is told to stop (fault 43)", () =>
    Effect.gen(function* () {
      const { client, server } = yield* makeWorld(world)
      const started = yield* Deferred.make<void>()
      const stopped = yield* Deferred.make<void>()
      yield* server.serve(
        Greeter,
        GREETER,
        greeter({
          count: () =>
            Deferred.succeed(started, undefined).pipe(
              Effect.andThen(Effect.never),
              Effect.onInterrupt(() => Deferred.succeed(stopped, undefined)),
            ),
        }),
      )
      const asking = yield* Effect.forkChild(Effect.flip(client.ref(Greeter, GREETER).ask("count", 1)))
      yield* Deferred.await(started)
      yield* TestClock.adjust("29 seconds")
      expect(asking.pollUnsafe()).toBeUndefined()
      yield* TestClock.adjust("1 second")
      expect(yield* Fiber.join(asking)).toMatchObject({ _tag: "AskTimeout" })
      yield* Deferred.await(stopped)
      // The actor is free again.
      expect(yield* client.ref(Greeter, GREETER).ask("greet", { name: "Ada" })).toBe("hello Ada")
    }),
  )

  it.effect("that is interrupted interrupts the handler", () =>
    Effect.gen(function* () {
      const { client, server } = yield* makeWorld(world)
      const started = yield* Deferred.make<void>()
      const stopped = yield* Deferred.make<void>()
      yield* server.serve(
        Greeter,
        GREETER,
        greeter({
          count: () =>
            Deferred.succeed(started, undefined).pipe(
              Effect.andThen(Effect.never),
              Effect.onInterrupt(() => Deferred.succeed(stopped, undefined)),
            ),
        }),
      )
      const asking = yield* Effect.forkChild(client.ref(Greeter, GREETER).ask("count", 1))
      yield* Deferred.await(started)
      yield* Fiber.interrupt(asking)
      yield* Deferred.await(stopped)
      expect(client.deadLetters.total).toBe(0)
      expect(server.deadLetters.total).toBe(0)
    }),
  )

  it.effect("that is given up before the actor comes to it is never handled", () =>
    Effect.gen(function* () {
      const { client, server } = yield* makeWorld(world)
      const handled: Array<number> = []
      const gate = yield* Deferred.make<void>()
      const started = yield* Deferred.make<void>()
      yield* server.serve(
        Greeter,
        GREETER,
        greeter({
          greet: () =>
            Effect.as(Effect.andThen(Deferred.succeed(started, undefined), Deferred.await(gate)), ""),
          count: (n) => {
            handled.push(n)
            return n
          },
        }),
      )
      const actor = client.ref(Greeter, GREETER)
      const first = yield* Effect.forkChild(actor.ask("greet", { name: "" }))
      yield* Deferred.await(started)
      const second = yield* Effect.forkChild(actor.ask("count", 1), { startImmediately: true })
      yield* Fiber.interrupt(second)
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(first)
      expect(yield* actor.ask("count", 2)).toBe(2)
      expect(handled).toEqual([2])
    }),
  )

  it.effect("to an address where nobody is fails UnknownActor; a tell is a dead letter", () =>
    Effect.gen(function* () {
      const { client } = yield* makeWorld(world)
      const actor = client.ref(Greeter, "@(node/nobody)")
      const error = yield* Effect.flip(actor.ask("count", 1))
      expect(error).toMatchObject({ _tag: "UnknownActor", address: "@(node/nobody)" })
    }),
  )

  it.effect("that is open when the actor stops fails ActorTerminated, the waiting ones too", () =>
    Effect.gen(function* () {
      const { client, server } = yield* makeWorld(world)
      const started = yield* Deferred.make<void>()
      const scope = yield* Scope.make()
      yield* server
        .serve(
          Greeter,
          GREETER,
          greeter({ count: () => Effect.andThen(Deferred.succeed(started, undefined), Effect.never) }),
        )
        .pipe(Scope.provide(scope))
      const actor = client.ref(Greeter, GREETER)
      const running = yield* Effect.forkChild(Effect.flip(actor.ask("count", 1)))
      yield* Deferred.await(started)
      const waiting = yield* Effect.forkChild(Effect.flip(actor.ask("greet", { name: "" })), {
        startImmediately: true,
      })
      yield* Scope.close(scope, Exit.void)
      expect(yield* Fiber.join(running)).toMatchObject({ _tag: "ActorTerminated" })
      expect(yield* Fiber.join(waiting)).toMatchObject({ _tag: "ActorTerminated" })
      expect(yield* Effect.flip(actor.ask("count", 1))).toMatchObject({ _tag: "UnknownActor" })
    }),
  )

  it.effect("of a message that the actor's own protocol doesn't have is refused, typed", () =>
    Effect.gen(function* () {
      const { client, server } = yield* makeWorld(world)
      yield* server.serve(Greeter, GREETER, greeter())
      const Other = Protocol.make("other", {
        greett: Protocol.ask(),
        toString: Protocol.ask(),
        note: Protocol.ask({ payload: Greeter.messages.note.payload }),
      })
      const other = client.ref(Other, GREETER)
      for (const ask of [
        other.ask("greett", undefined),
        other.ask("toString", undefined),
        other.ask("note", { text: "" }),
      ]) {
        expect(yield* Effect.flip(ask)).toMatchObject({ _tag: "ActorFailed", code: "unknown_message" })
      }
    }),
  )
})

describe.each(worlds)("an actor (%s)", (world) => {
  it.effect("takes one message at a time, in the order they were sent (fault 34)", () =>
    Effect.gen(function* () {
      const { client, server } = yield* makeWorld(world)
      const order: Array<string> = []
      let inside = 0
      yield* server.serve(
        Greeter,
        GREETER,
        greeter({
          note: async ({ text }) => {
            expect(++inside).toBe(1)
            if (Number(text) % 3 === 0) await Promise.resolve()
            order.push(text)
            inside--
          },
        }),
      )
      const actor = client.ref(Greeter, GREETER)
      const texts = Array.from({ length: 40 }, (_, i) => String(i))
      for (const text of texts) actor.tell("note", { text })
      expect(yield* actor.ask("count", 1)).toBe(1)
      expect(order).toEqual(texts)
    }),
  )

  it.effect("never runs in the stack of who sends", () =>
    Effect.gen(function* () {
      const { client, server } = yield* makeWorld(world)
      let noted = 0
      yield* server.serve(Greeter, GREETER, greeter({ note: () => void noted++ }))
      client.ref(Greeter, GREETER).tell("note", { text: "" })
      expect(noted).toBe(0)
      yield* client.ref(Greeter, GREETER).ask("count", 1)
      expect(noted).toBe(1)
    }),
  )

  it.effect("knows its sender, whom it can write back to", () =>
    Effect.gen(function* () {
      const { client, server } = yield* makeWorld(world)
      const heard = yield* Deferred.make<string>()
      yield* server.serve(
        Greeter,
        GREETER,
        greeter({
          note: ({ text }, context) => {
            const { sender } = context
            if (sender !== null) context.ref(Greeter, sender).tell("note", { text: `re: ${text}` })
          },
        }),
      )
      yield* client.serve(
        Greeter,
        "@(browser/ada)",
        greeter({
          count: (n, context) => {
            context.ref(Greeter, GREETER).tell("note", { text: "hi" })
            return n
          },
          note: ({ text }, { sender }) => Deferred.succeed(heard, `${text} from ${sender}`),
        }),
      )
      yield* client.ref(Greeter, "@(browser/ada)").ask("count", 1)
      expect(yield* Deferred.await(heard)).toBe("re: hi from @(node/greeter)")
    }),
  )

  it.effect("gets the metadata, and no tell whose ttl ran out while it waited (fault 31)", () =>
    Effect.gen(function* () {
      const { client, server } = yield* makeWorld(world)
      const gate = yield* Deferred.make<void>()
      const started = yield* Deferred.make<void>()
      const heard: Array<unknown> = []
      yield* server.serve(
        Greeter,
        GREETER,
        greeter({
          greet: () =>
            Effect.as(Effect.andThen(Deferred.succeed(started, undefined), Deferred.await(gate)), ""),
          note: ({ text }, { metadata }) => void heard.push([text, metadata]),
        }),
      )
      const actor = client.ref(Greeter, GREETER)
      const busy = yield* Effect.forkChild(actor.ask("greet", { name: "" }))
      yield* Deferred.await(started)
      actor.tell("note", { text: "short" }, { ttl: "1 second" })
      actor.tell("note", { text: "long" }, { ttl: "1 minute", metadata: { traceparent: "00-1-2-03" } })
      // Both have arrived when the clock goes on.
      yield* Effect.promise(() => Promise.resolve())
      yield* TestClock.adjust("2 seconds")
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(busy)
      yield* actor.ask("count", 1)
      expect(heard).toEqual([["long", { traceparent: "00-1-2-03" }]])
      expect(server.deadLetters.recent()).toMatchObject([
        { reason: "expired", envelope: { type: "note", payload: { text: "short" } } },
      ])
    }),
  )

  it.effect("that stops interrupts the effect it was at, and waits for its finalizers", () =>
    Effect.gen(function* () {
      const { client, server } = yield* makeWorld(world)
      const started = yield* Deferred.make<void>()
      let finalized = false
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* server.serve(
            Greeter,
            GREETER,
            greeter({
              note: () =>
                Deferred.succeed(started, undefined).pipe(
                  Effect.andThen(Effect.never),
                  Effect.ensuring(
                    Effect.andThen(
                      Effect.yieldNow,
                      Effect.sync(() => void (finalized = true)),
                    ),
                  ),
                ),
            }),
          )
          client.ref(Greeter, GREETER).tell("note", { text: "1" })
          yield* Deferred.await(started)
          client.ref(Greeter, GREETER).tell("note", { text: "2" })
          yield* Effect.promise(() => Promise.resolve())
        }),
      )
      expect(finalized).toBe(true)
      expect(server.deadLetters.counts).toEqual({ terminated: 1 })
    }),
  )
})

describe("an actor system", () => {
  it.effect("passes values as they are inside, and decodes them from outside", () =>
    Effect.gen(function* () {
      for (const world of worlds) {
        const { client, server } = yield* makeWorld(world)
        let seen: unknown
        yield* server.serve(Greeter, GREETER, greeter({ note: (payload) => void (seen = payload) }))
        const payload = { text: "same?" }
        client.ref(Greeter, GREETER).tell("note", payload)
        yield* client.ref(Greeter, GREETER).ask("count", 1)
        expect(seen).toEqual(payload)
        expect(seen === payload).toBe(world === "local")
      }
    }),
  )

  it.effect("serves an address once at a time", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem.make()
      yield* Effect.scoped(system.serve(Greeter, GREETER, greeter()))
      yield* system.serve(Greeter, GREETER, greeter())
      const error = yield* Effect.flip(system.serve(Greeter, GREETER, greeter()))
      expect(error).toBeInstanceOf(ActorSystem.AddressInUse)
      expect(yield* system.ref(Greeter, GREETER).ask("count", 1)).toBe(1)
    }),
  )

  it.effect("runs handlers with the services that they ask for", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem.make({ name: "outer" })
      yield* system
        .serve(
          Greeter,
          GREETER,
          greeter({ greet: () => Effect.map(ActorSystem.ActorSystem, (it) => it.name) }),
        )
        .pipe(Effect.provideService(ActorSystem.ActorSystem, { ...system, name: "given" }))
      expect(yield* system.ref(Greeter, GREETER).ask("greet", { name: "" })).toBe("given")
    }),
  )

  it.effect("is a layer, too", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem.ActorSystem
      yield* system.serve(Greeter, GREETER, greeter())
      expect(yield* system.ref(Greeter, GREETER).ask("count", 3)).toBe(3)
    }).pipe(Effect.scoped, Effect.provide(ActorSystem.layer())),
  )

  it.effect("ends its open asks when it closes, those it asks and those it is asked", () =>
    Effect.gen(function* () {
      for (const world of worlds) {
        const scope = yield* Scope.make()
        const { client, server } = yield* makeWorld(world).pipe(Scope.provide(scope))
        const started = yield* Deferred.make<void>()
        yield* server
          .serve(
            Greeter,
            GREETER,
            greeter({ count: () => Effect.andThen(Deferred.succeed(started, undefined), Effect.never) }),
          )
          .pipe(Scope.provide(scope))
        const actor = client.ref(Greeter, GREETER)
        const asking = yield* Effect.forkChild(Effect.flip(actor.ask("count", 1)))
        yield* Deferred.await(started)
        yield* Scope.close(scope, Exit.void)
        expect(["ActorTerminated", "AskRefused"]).toContain((yield* Fiber.join(asking))._tag)
        expect(yield* Effect.flip(actor.ask("count", 1))).toMatchObject({
          _tag: "AskRefused",
          code: "closed",
        })
        actor.tell("note", { text: "" })
        expect(client.deadLetters.counts.undeliverable).toBe(1)
      }
    }),
  )

  it.effect("lets timers have their turn beside actors that write to each other without end", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem.make()
      let volleys = 0
      let over = false
      const pong = (to: "@(node/a)" | "@(node/b)") =>
        greeter({
          note: (payload, context) => {
            volleys++
            if (!over) context.ref(Greeter, to).tell("note", payload)
          },
        })
      yield* system.serve(Greeter, "@(node/a)", pong("@(node/b)"))
      yield* system.serve(Greeter, "@(node/b)", pong("@(node/a)"))
      system.ref(Greeter, "@(node/a)").tell("note", { text: "" })
      yield* Effect.promise(() => new Promise<void>((resolve) => void setImmediate(resolve)))
      over = true
      expect(volleys).toBeGreaterThan(0)
    }),
  )

  it.effect("survives a chain of more actors than a stack holds", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem.make()
      const done = yield* Deferred.make<number>()
      yield* system.serve(
        Greeter,
        GREETER,
        greeter({
          note: ({ text }, { self }) => {
            if (Number(text) === 50_000) Deferred.doneUnsafe(done, Effect.succeed(50_000))
            else self.tell("note", { text: String(Number(text) + 1) })
          },
        }),
      )
      system.ref(Greeter, GREETER).tell("note", { text: "0" })
      expect(yield* Deferred.await(done)).toBe(50_000)
    }),
  )
})
