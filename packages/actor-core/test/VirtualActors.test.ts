import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import * as ActorSystem from "../src/ActorSystem.ts"
import * as Behavior from "../src/Behavior.ts"
import * as InMemoryTransport from "../src/InMemoryTransport.ts"
import { Persistence } from "../src/Persistence.ts"
import * as Signal from "../src/Signal.ts"
import * as Supervision from "../src/Supervision.ts"
import * as VirtualActors from "../src/VirtualActors.ts"
import { account, Account, makeScripted, unavailable } from "./support/account.ts"
import { Counter } from "./support/counter.ts"
import { settled, silently } from "./support/greeter.ts"
import { ScriptedTransport } from "./support/ScriptedTransport.ts"

/** A system with accounts over a store that the test has its hands on. */
const bank = Effect.fnUntraced(function* (options: VirtualActors.Options = {}) {
  const system = yield* ActorSystem.make()
  const world = yield* makeScripted
  const accounts = yield* VirtualActors.make(system, account, options).pipe(
    Effect.provideService(Persistence, world.scripted),
  )
  return { ...world, system, accounts }
})

describe("a virtual actor", () => {
  it.effect("is activated by the first message, a tell or an ask", () =>
    Effect.gen(function* () {
      const { accounts, system } = yield* bank()
      accounts.ref("a").tell("deposit", 5)
      expect(accounts.active).toBe(1)
      expect(yield* accounts.ref("b").ask("balance", undefined)).toBe(0)
      expect(yield* system.ref(Account, "@(account/a)").ask("balance", undefined)).toBe(5)
      expect(accounts.active).toBe(2)
    }),
  )

  it.effect("has one activation, however many messages come while it begins, and keeps their order", () =>
    Effect.gen(function* () {
      const { accounts, script } = yield* bank()
      const gate = yield* Deferred.make<void>()
      script.before = () => Deferred.await(gate)
      const a = accounts.ref("a")
      a.tell("deposit", 10)
      const taken = yield* Effect.forkChild(Effect.result(a.ask("withdraw", 4)), { startImmediately: true })
      accounts.ref("a").tell("deposit", 1)
      yield* settled
      script.before = () => Effect.void
      yield* Deferred.succeed(gate, undefined)
      expect(yield* Fiber.join(taken)).toMatchObject({ success: 6 })
      expect(yield* a.ask("balance", undefined)).toBe(7)
      expect(script.log.filter((line) => line.startsWith("load"))).toHaveLength(1)
    }),
  )

  it.effect("is activated from elsewhere, and answers there", () =>
    Effect.gen(function* () {
      const network = yield* InMemoryTransport.makeNetwork()
      const server = yield* ActorSystem.make({ transport: yield* network.connect })
      const client = yield* ActorSystem.make({ transport: yield* network.connect })
      const { scripted } = yield* makeScripted
      const accounts = yield* VirtualActors.make(server, account, { passivateAfter: "1 minute" }).pipe(
        Effect.provideService(Persistence, scripted),
      )
      yield* accounts.register("a")
      const a = client.ref(Account, "@(account/a)")
      a.tell("deposit", 3)
      expect(yield* a.ask("balance", undefined)).toBe(3)
      yield* TestClock.adjust("1 minute")
      yield* settled
      expect(accounts.active).toBe(0)
      expect(yield* a.ask("balance", undefined)).toBe(3)
    }),
  )

  it.effect("is passivated when it is idle, and goes on from what is stored", () =>
    Effect.gen(function* () {
      const { accounts, script, system } = yield* bank({ passivateAfter: "1 minute" })
      const a = accounts.ref("a")
      a.tell("deposit", 5)
      yield* settled
      yield* TestClock.adjust("50 seconds")
      expect(yield* a.ask("balance", undefined)).toBe(5)
      yield* TestClock.adjust("50 seconds")
      expect(accounts.active).toBe(1)
      yield* TestClock.adjust("10 seconds")
      yield* settled
      expect(accounts.active).toBe(0)
      expect(system.events.counts["ActorPassivated"]).toBe(1)
      expect(yield* a.ask("withdraw", 2)).toBe(3)
      expect(script.log.filter((line) => line.startsWith("load"))).toHaveLength(2)
    }),
  )

  it.effect("is not passivated while a timer, an answer or work is to come of it", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem.make()
      const gate = yield* Deferred.make<void>()
      let ends = 0
      const behavior = Behavior.setup(Counter, (context) => ({
        add: (by) => {
          if (by === 1) context.timers.once("later", "10 minutes", "add", 0)
          if (by === 2) context.pipeToSelf(Deferred.await(gate), () => ["add", 0])
          if (by === 3) context.pipeToSelf(Effect.runPromise(Deferred.await(gate)), () => ["add", 0])
          if (by === 4) context.spawn(Behavior.make(Counter, { add: () => {}, get: () => 1, take: (n) => n }))
        },
        get: (_, message) => {
          message.replyLater()
          return 0
        },
        take: (by) => by,
        [Signal.postStop]: () => void ends++,
      }))
      const actors = yield* VirtualActors.make(system, behavior, { passivateAfter: "1 minute" })
      for (const by of [1, 2, 3, 4]) actors.ref(`n${by}`).tell("add", by)
      yield* Effect.forkChild(Effect.exit(actors.ref("asked").ask("get", undefined, { timeout: "1 hour" })), {
        startImmediately: true,
      })
      yield* settled
      yield* TestClock.adjust("9 minutes")
      yield* settled
      expect([actors.active, ends]).toEqual([5, 0])
      yield* Deferred.succeed(gate, undefined)
      yield* TestClock.adjust("4 minutes")
      yield* settled
      // Left are the one with a child, and the one that owes an answer.
      expect([actors.active, ends]).toEqual([2, 3])
    }),
  )

  it.effect("that ends takes messages for its next activation, in order, and loses none", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem.make()
      const gate = yield* Deferred.make<void>()
      const log: Array<string> = []
      let starts = 0
      const behavior = Behavior.setup(Counter, () => {
        const start = ++starts
        return {
          add: (by) => void log.push(`${start}:${by}`),
          get: () => start,
          take: (by) => by,
          [Signal.postStop]: () => Deferred.await(gate),
        }
      })
      const actors = yield* VirtualActors.make(system, behavior, { passivateAfter: "1 minute" })
      const a = actors.ref("a")
      a.tell("add", 1)
      yield* settled
      yield* TestClock.adjust("1 minute")
      yield* settled
      a.tell("add", 2)
      const asked = yield* Effect.forkChild(a.ask("get", undefined), { startImmediately: true })
      const given = yield* Effect.forkChild(Effect.result(actors.ref("a").ask("take", 9)), {
        startImmediately: true,
      })
      // Who gives up while it waits is not handled.
      yield* Fiber.interrupt(given)
      system.ref(Counter, "@(counter/a)").tell("add", 3)
      yield* settled
      expect(log).toEqual(["1:1"])
      yield* Deferred.succeed(gate, undefined)
      expect(yield* Fiber.join(asked)).toBe(2)
      yield* settled
      expect(log).toEqual(["1:1", "2:2", "2:3"])
      expect(system.deadLetters.total).toBe(0)
    }),
  )

  it.effect("hears of askers who give up on what an earlier activation left to it", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem.make()
      const [ended, begun, interrupted] = [
        yield* Deferred.make<void>(),
        yield* Deferred.make<void>(),
        yield* Deferred.make<void>(),
      ]
      const behavior = Behavior.setup(Counter, () => ({
        add: () => undefined,
        get: () =>
          Effect.andThen(Deferred.succeed(begun, undefined), Effect.never).pipe(
            Effect.onInterrupt(() => Deferred.succeed(interrupted, undefined)),
          ),
        take: (by) => by,
        [Signal.postStop]: () => Deferred.await(ended),
      }))
      const actors = yield* VirtualActors.make(system, behavior, { passivateAfter: "1 minute" })
      yield* actors.ref("a").ask("take", 1)
      yield* TestClock.adjust("1 minute")
      yield* settled
      const asking = yield* Effect.forkChild(actors.ref("a").ask("get", undefined), {
        startImmediately: true,
      })
      yield* Deferred.succeed(ended, undefined)
      yield* Deferred.await(begun)
      yield* Fiber.interrupt(asking)
      yield* Deferred.await(interrupted)
    }),
  )

  it.effect("that stops itself is activated by what waited behind", () =>
    Effect.gen(function* () {
      const { accounts, script } = yield* bank()
      const a = accounts.ref("a")
      a.tell("deposit", 1)
      a.tell("leave", undefined)
      a.tell("deposit", 2)
      expect(yield* a.ask("balance", undefined)).toBe(3)
      expect(script.log.filter((line) => line.startsWith("load"))).toHaveLength(2)
    }),
  )

  it.effect("that can't begin refuses who asks, typed, and the next message lets it try again", () =>
    silently(
      Effect.gen(function* () {
        const { accounts, script, system } = yield* bank()
        script.before = (operation, address) => Effect.fail(unavailable(address as never, operation))
        const a = accounts.ref("a")
        a.tell("deposit", 1)
        const refused = yield* Effect.flip(a.ask("balance", undefined))
        expect(refused).toMatchObject({ _tag: "ActorFailed", code: "activation_failed", retryable: true })
        expect(system.deadLetters.counts).toEqual({ terminated: 1 })
        expect(script.log).toEqual(["load @(account/a)"])
        script.before = () => Effect.void
        expect(yield* a.ask("balance", undefined)).toBe(0)
      }),
    ),
  )

  it.effect("that fails begins anew from what is stored; the failing message changes nothing", () =>
    silently(
      Effect.gen(function* () {
        const { accounts } = yield* bank()
        const a = accounts.ref("a")
        a.tell("deposit", 5)
        a.tell("crash", 1)
        a.tell("deposit", 2)
        expect(yield* a.ask("balance", undefined)).toBe(7)
      }),
    ),
  )
})

describe("no more than so many are active", () => {
  it.effect("the least recently used goes first", () =>
    Effect.gen(function* () {
      const { accounts, system } = yield* bank({ maxActive: 2 })
      const passivated: Array<string> = []
      system.events.subscribe("ActorPassivated", ({ address }) => void passivated.push(address))
      const use = (name: string) => Effect.andThen(accounts.ref(name).ask("balance", undefined), settled)
      yield* use("a")
      yield* use("b")
      yield* use("a")
      yield* use("c")
      expect(passivated).toEqual(["@(account/b)"])
      yield* use("b")
      expect(passivated).toEqual(["@(account/b)", "@(account/a)"])
      expect(accounts.active).toBe(2)
    }),
  )

  it.effect("but those at work, which go as soon as they have done", () =>
    Effect.gen(function* () {
      const { accounts, script } = yield* bank({ maxActive: 1 })
      const gate = yield* Deferred.make<void>()
      script.before = (operation) => (operation === "save" ? Deferred.await(gate) : Effect.void)
      for (const name of ["a", "b", "c"]) accounts.ref(name).tell("deposit", 1)
      yield* settled
      expect(accounts.active).toBe(3)
      yield* Deferred.succeed(gate, undefined)
      yield* settled
      expect(accounts.active).toBe(1)
    }),
  )
})

describe("a watch of a virtual actor", () => {
  it.effect(
    "fault 58: ends with its system, also of an actor that does not run, and at once after that",
    () =>
      Effect.gen(function* () {
        const { accounts, system } = yield* bank()
        const a = accounts.ref("a")
        const before = yield* Effect.forkChild(system.watch(a), { startImmediately: true })
        yield* settled
        expect(before.pollUnsafe()).toBeUndefined()
        yield* system.shutdown()
        yield* settled
        const end = { address: "@(account/a)", reason: "stopped" }
        expect(yield* Fiber.join(before)).toEqual(end)
        const after = yield* Effect.forkChild(system.watch(a), { startImmediately: true })
        yield* settled
        expect(yield* Fiber.join(after)).toEqual(end)
      }),
  )

  it.effect("outlives passivation, and a start that failed", () =>
    silently(
      Effect.gen(function* () {
        const { accounts, script, system } = yield* bank({ passivateAfter: "1 minute" })
        const a = accounts.ref("a")
        const watched = yield* Effect.forkChild(system.watch(a), { startImmediately: true })
        expect(accounts.active).toBe(0)
        a.tell("deposit", 1)
        yield* settled
        yield* TestClock.adjust("1 minute")
        yield* settled
        expect(accounts.active).toBe(0)
        script.before = (operation, address) => Effect.fail(unavailable(address as never, operation))
        a.tell("deposit", 1)
        yield* settled
        script.before = () => Effect.void
        expect(watched.pollUnsafe()).toBeUndefined()
        a.tell("close", undefined)
        expect(yield* Fiber.join(watched)).toEqual({ address: "@(account/a)", reason: "stopped" })
      }),
    ),
  )

  it.effect("ends when its supervision stops it, and when the kind ends", () =>
    silently(
      Effect.gen(function* () {
        const system = yield* ActorSystem.make()
        const { scripted } = yield* makeScripted
        const scope = yield* Scope.make()
        const accounts = yield* VirtualActors.make(system, account, { supervision: Supervision.stop }).pipe(
          Effect.provideService(Persistence, scripted),
          Scope.provide(scope),
        )
        const failing = yield* Effect.forkChild(system.watch(accounts.ref("a")), { startImmediately: true })
        const idle = yield* Effect.forkChild(system.watch(accounts.ref("b")), { startImmediately: true })
        accounts.ref("a").tell("crash", 1)
        expect(yield* Fiber.join(failing)).toMatchObject({ reason: "failed" })
        yield* Scope.close(scope, Exit.void)
        expect(yield* Fiber.join(idle)).toMatchObject({ reason: "stopped" })
        expect(yield* Effect.flip(accounts.ref("b").ask("balance", undefined))).toMatchObject({
          _tag: "UnknownActor",
        })
      }),
    ),
  )
})

describe("a kind of virtual actors", () => {
  it.effect("has its type for itself", () =>
    Effect.gen(function* () {
      const { system } = yield* bank()
      const again = VirtualActors.make(system, account).pipe(
        Effect.provideService(Persistence, (yield* makeScripted).scripted),
      )
      expect(yield* Effect.flip(again)).toMatchObject({ _tag: "TypeInUse", type: "account" })
    }),
  )

  it.effect("leaves other addresses to transports", () =>
    Effect.gen(function* () {
      const wire = new ScriptedTransport()
      const system = yield* ActorSystem.make({ transport: wire })
      yield* VirtualActors.make(
        system,
        Behavior.make(Counter, { add: () => {}, get: () => 0, take: (n) => n }),
      )
      system.ref(Counter, "@(counters/a)").tell("add", 1)
      system.ref(Counter, "@(counter/a)").tell("add", 1)
      yield* settled
      expect(wire.sent.map(({ to }) => to)).toEqual(["@(counters/a)"])
    }),
  )

  it.effect("may share its type with other systems", () =>
    Effect.gen(function* () {
      const wire = new ScriptedTransport()
      const system = yield* ActorSystem.make({ transport: wire })
      const told: Array<number> = []
      const behavior = Behavior.make(Counter, {
        add: (by) => void told.push(by),
        get: () => 0,
        take: (n) => n,
      })
      const actors = yield* VirtualActors.make(system, behavior, {
        serves: (address) => address === "@(counter/own)",
      })
      actors.ref("own").tell("add", 1)
      actors.ref("another").tell("add", 2)
      yield* settled
      expect(told).toEqual([1])
      expect(wire.sent.map(({ to }) => to)).toEqual(["@(counter/another)"])
      expect(yield* system.watch(actors.ref("another"))).toMatchObject({ reason: "unwatchable" })
    }),
  )

  it.effect("stops its actors with the system, and stores nothing late", () =>
    Effect.gen(function* () {
      const { accounts, system } = yield* bank()
      yield* accounts.ref("a").ask("balance", undefined)
      const watched = yield* Effect.forkChild(system.watch(accounts.ref("a")), { startImmediately: true })
      yield* system.shutdown()
      expect(yield* Fiber.join(watched)).toMatchObject({ reason: "stopped" })
      accounts.ref("a").tell("deposit", 1)
      expect(system.deadLetters.counts).toEqual({ undeliverable: 1 })
    }),
  )
})
