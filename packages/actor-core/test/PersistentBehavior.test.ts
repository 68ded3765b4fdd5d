import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as Getter from "effect/SchemaGetter"
import * as TestClock from "effect/testing/TestClock"
import * as ActorSystem from "../src/ActorSystem.ts"
import type { Address } from "../src/Address.ts"
import * as Persistence from "../src/Persistence.ts"
import * as PersistentBehavior from "../src/PersistentBehavior.ts"
import * as Protocol from "../src/Protocol.ts"
import * as Signal from "../src/Signal.ts"
import * as Supervision from "../src/Supervision.ts"
import * as VirtualActors from "../src/VirtualActors.ts"
import { account, buyer, makeScripted, unavailable } from "./support/account.ts"
import { Counter } from "./support/counter.ts"
import { settled, silently } from "./support/greeter.ts"
import { ScriptedTransport } from "./support/ScriptedTransport.ts"

const ADDRESS: Address = "@(account/a)"

/** A spawned account over a store that the test has its hands on. */
const makeAccount = Effect.fnUntraced(function* (supervision?: Supervision.Supervision) {
  const system = yield* ActorSystem.make()
  const world = yield* makeScripted
  const spawned = system
    .spawn(account, { address: ADDRESS, ...(supervision !== undefined && { supervision }) })
    .pipe(Effect.provideService(Persistence.Persistence, world.scripted))
  return { ...world, system, spawned, actor: yield* spawned }
})

describe("an answer", () => {
  it.effect("leaves when what it speaks of is stored, not before", () =>
    Effect.gen(function* () {
      const { actor, script, store } = yield* makeAccount()
      actor.tell("deposit", 5)
      yield* settled
      const gate = yield* Deferred.make<void>()
      script.before = () => Deferred.await(gate)
      const asked = yield* Effect.forkChild(actor.ask("withdraw", 2), { startImmediately: true })
      yield* settled
      expect(asked.pollUnsafe()).toBeUndefined()
      yield* Deferred.succeed(gate, undefined)
      expect(yield* Fiber.join(asked)).toBe(3)
      expect(yield* store.load(ADDRESS)).toEqual({ version: 2, state: { balance: 3 } })
    }),
  )

  it.effect("costs no write where nothing changed", () =>
    Effect.gen(function* () {
      const { actor, script } = yield* makeAccount()
      yield* actor.ask("balance", undefined)
      expect(yield* Effect.flip(actor.ask("withdraw", 1))).toMatchObject({ _tag: "Overdrawn" })
      expect(script.log).toEqual(["load @(account/a)"])
    }),
  )

  it.effect("is a refusal where the state could not be stored, and the actor goes on from what is", () =>
    silently(
      Effect.gen(function* () {
        for (const supervision of [Supervision.restart(), Supervision.resume]) {
          const { actor, script } = yield* makeAccount(supervision)
          actor.tell("deposit", 5)
          yield* settled
          script.before = (operation) =>
            operation === "save" ? Effect.fail(unavailable(ADDRESS, operation)) : Effect.void
          const refused = yield* Effect.flip(actor.ask("withdraw", 2))
          expect(refused).toMatchObject({ _tag: "ActorFailed", code: "not_stored", retryable: true })
          script.before = () => Effect.void
          expect(yield* actor.ask("balance", undefined)).toBe(5)
        }
      }),
    ),
  )

  it.effect("is a refusal for good, which says why, where the state never can be stored", () =>
    silently(
      Effect.gen(function* () {
        const { actor, script } = yield* makeAccount()
        const message = "the state is too large"
        actor.tell("deposit", 5)
        yield* settled
        script.before = (operation) =>
          operation === "save"
            ? Effect.fail(
                new Persistence.PersistenceError({ address: ADDRESS, operation, message, permanent: true }),
              )
            : Effect.void
        const refused = yield* Effect.flip(actor.ask("withdraw", 2))
        expect(refused).toMatchObject({ code: "not_stored", message, retryable: false })
      }),
    ),
  )

  it.effect("is not given by who lost a race for the same address, who then sees what the other stored", () =>
    silently(
      Effect.gen(function* () {
        for (const supervision of [Supervision.restart(), Supervision.resume]) {
          const { actor, store, system } = yield* makeAccount(supervision)
          actor.tell("deposit", 5)
          yield* settled
          yield* store.save(ADDRESS, { balance: 100 }, 1)
          let cause: unknown
          system.events.subscribe("ActorFailed", ({ failure }) => void (cause = failure.error))
          expect(yield* Effect.flip(actor.ask("withdraw", 2))).toMatchObject({ code: "not_stored" })
          yield* settled
          expect(cause).toMatchObject({ _tag: "SnapshotConflict", expected: 1 })
          expect(yield* actor.ask("withdraw", 2)).toBe(98)
        }
      }),
    ),
  )
})

describe("the stored state", () => {
  it.effect("is what another actor of the address begins with, until it is forgotten", () =>
    Effect.gen(function* () {
      const { actor, spawned, store, system } = yield* makeAccount()
      actor.tell("deposit", 5)
      yield* settled
      yield* system.stop(actor)
      const second = yield* spawned
      expect(yield* second.ask("balance", undefined)).toBe(5)
      second.tell("close", undefined)
      yield* settled
      expect(yield* store.load(ADDRESS)).toBeNull()
      expect(yield* (yield* spawned).ask("balance", undefined)).toBe(0)
    }),
  )

  it.effect("of an earlier program is read by its schema, and stored anew as what it is now", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem.make()
      const store = yield* Persistence.makeInMemory
      yield* store.save("@(counter/a)", { hits: 7 }, 0)
      const V1 = Schema.Struct({ hits: Schema.Number })
      const V2 = Schema.Struct({ version: Schema.Literal(2), count: Schema.Number })
      const state = Schema.Union([
        V2,
        V1.pipe(
          Schema.decodeTo(Schema.toType(V2), {
            decode: Getter.transform(({ hits }) => ({ version: 2 as const, count: hits })),
            encode: Getter.transform(({ count }) => ({ hits: count })),
          }),
        ),
      ])
      const behavior = PersistentBehavior.make(Counter, {
        state,
        initial: () => ({ version: 2 as const, count: 0 }),
        handlers: {
          add: (own, by) => ({ ...own, count: own.count + by }),
          get: (own, _, context) => {
            context.reply(own.count)
            return own
          },
          take: (own) => own,
        },
      })
      const actor = yield* system
        .spawn(behavior, { address: "@(counter/a)" })
        .pipe(Effect.provideService(Persistence.Persistence, store))
      expect(yield* actor.ask("get", undefined)).toBe(7)
      actor.tell("add", 1)
      yield* settled
      expect(yield* store.load("@(counter/a)")).toEqual({ version: 2, state: { version: 2, count: 8 } })
    }),
  )

  it.effect("that is none of the actor's keeps it from starting, and stays as it is", () =>
    silently(
      Effect.gen(function* () {
        const system = yield* ActorSystem.make()
        const store = yield* Persistence.makeInMemory
        yield* store.save(ADDRESS, { nonsense: true }, 0)
        const accounts = yield* VirtualActors.make(system, account).pipe(
          Effect.provideService(Persistence.Persistence, store),
        )
        let cause: unknown
        system.events.subscribe("ActorFailed", ({ failure }) => void (cause = failure.error))
        const refused = yield* Effect.flip(accounts.ref("a").ask("balance", undefined))
        expect(refused).toMatchObject({ code: "activation_failed" })
        expect(cause).toMatchObject({ _tag: "PersistenceError", operation: "load" })
        expect(yield* store.load(ADDRESS)).toEqual({ version: 1, state: { nonsense: true } })
      }),
    ),
  )

  it.effect("may lag behind by a time that was chosen, and catches up when the actor stops", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem.make()
      const { script, scripted, store } = yield* makeScripted
      const behavior = PersistentBehavior.make(Counter, {
        state: Schema.Number,
        initial: () => 0,
        store: "10 seconds",
        handlers: {
          add: (count, by) => count + by,
          get: (count, _, context) => {
            context.reply(count)
            return count
          },
          take: (count) => count,
        },
      })
      const actor = yield* system
        .spawn(behavior, { address: "@(counter/a)" })
        .pipe(Effect.provideService(Persistence.Persistence, scripted))
      for (const by of [1, 2, 3]) actor.tell("add", by)
      expect(yield* actor.ask("get", undefined)).toBe(6)
      expect(yield* store.load("@(counter/a)")).toBeNull()
      yield* TestClock.adjust("10 seconds")
      yield* settled
      expect(yield* store.load("@(counter/a)")).toEqual({ version: 1, state: 6 })
      actor.tell("add", 1)
      yield* settled
      yield* system.stop(actor)
      expect(yield* store.load("@(counter/a)")).toEqual({ version: 2, state: 7 })
      expect(script.log.filter((line) => line.startsWith("save"))).toHaveLength(2)
    }),
  )
})

describe("a step that fails", () => {
  it.effect("takes its answers back and changes nothing", () =>
    silently(
      Effect.gen(function* () {
        const system = yield* ActorSystem.make()
        const store = yield* Persistence.makeInMemory
        const behavior = PersistentBehavior.make(Counter, {
          state: Schema.Number,
          initial: () => 1,
          handlers: {
            add: (count, by) => count + by,
            get: (count, _, context) => {
              context.reply(count)
              return count
            },
            take: (count, by, context) => {
              context.reply(count - by)
              throw new Error("after the answer")
            },
          },
        })
        const actor = yield* system
          .spawn(behavior, { address: "@(counter/a)" })
          .pipe(Effect.provideService(Persistence.Persistence, store))
        expect(yield* Effect.flip(actor.ask("take", 1))).toMatchObject({ code: "actor_failed" })
        expect(yield* actor.ask("get", undefined)).toBe(1)
      }),
    ),
  )
})

describe("an actor's own messages", () => {
  const Own = Protocol.make("own", {
    tick: Protocol.own({ payload: Schema.Number }),
    start: Protocol.tell(),
    ticks: Protocol.ask({ success: Schema.Number }),
  })

  it.effect("come from its timers, and from nobody else", () =>
    Effect.gen(function* () {
      const wire = new ScriptedTransport()
      const system = yield* ActorSystem.make({ transport: wire })
      const store = yield* Persistence.makeInMemory
      const behavior = PersistentBehavior.make(Own, {
        state: Schema.Number,
        initial: () => 0,
        handlers: {
          tick: (ticks, by) => ticks + by,
          start: (ticks, _, context) => {
            context.timers.once("tick", "1 second", "tick", 1)
            return ticks
          },
          ticks: (ticks, _, context) => {
            context.reply(ticks)
            return ticks
          },
        },
      })
      const actor = yield* system
        .spawn(behavior, { address: "@(own/a)" })
        .pipe(Effect.provideService(Persistence.Persistence, store))
      wire.arrive({ to: "@(own/a)", type: "tick", payload: 100 })
      wire.arrive({ to: "@(own/a)", type: "tick", payload: 100, pattern: "ask" })
      const Lookalike = Protocol.make("own", { tick: Protocol.tell({ payload: Schema.Number }) })
      system.ref(Lookalike, "@(own/a)").tell("tick", 100)
      actor.tell("start", undefined)
      yield* settled
      yield* TestClock.adjust("1 second")
      expect(yield* actor.ask("ticks", undefined)).toBe(1)
      expect(system.deadLetters.counts).toEqual({ unknown_message: 2 })
      expect(wire.sent).toMatchObject([{ type: "actor:error", payload: { code: "unknown_message" } }])
    }),
  )
})

describe("an ask to itself", () => {
  const market = Effect.fnUntraced(function* (timeout?: number) {
    const system = yield* ActorSystem.make()
    const { script, scripted } = yield* makeScripted
    const provide = Effect.provideService(Persistence.Persistence, scripted)
    const accounts = yield* VirtualActors.make(system, account).pipe(provide)
    const buyers = yield* VirtualActors.make(system, buyer(ADDRESS, timeout), {
      passivateAfter: "1 second",
    }).pipe(provide)
    return { system, script, accounts, buyers }
  })

  it.effect("is answered by a message, with what it was about, also by a typed error", () =>
    Effect.gen(function* () {
      const { accounts, buyers } = yield* market()
      accounts.ref("a").tell("deposit", 10)
      expect(yield* buyers.ref("b").ask("buy", 7)).toBe("left: 3")
      expect(yield* buyers.ref("b").ask("buy", 7)).toBe("only: 3")
      expect(yield* buyers.ref("b").ask("bought", undefined)).toEqual([7])
    }),
  )

  it.effect("ends though nobody answers, and keeps the actor active until it does", () =>
    Effect.gen(function* () {
      const { buyers, script } = yield* market(5_000)
      const gate = yield* Deferred.make<void>()
      script.before = (_, address) => (address === ADDRESS ? Deferred.await(gate) : Effect.void)
      const buying = yield* Effect.forkChild(buyers.ref("b").ask("buy", 7), { startImmediately: true })
      yield* settled
      yield* TestClock.adjust("3 seconds")
      expect(buyers.active).toBe(1)
      yield* TestClock.adjust("2 seconds")
      expect(yield* Fiber.join(buying)).toBe("refused: timeout")
      yield* TestClock.adjust("2 seconds")
      expect(buyers.active).toBe(0)
    }),
  )
})

describe("what is done at each start", () => {
  it.effect("sees the state, and a receive timeout set there signals into it", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem.make()
      const store = yield* Persistence.makeInMemory
      const behavior = PersistentBehavior.make(Counter, {
        state: Schema.Number,
        initial: () => 0,
        started: (count, context) => {
          context.setReceiveTimeout("1 minute")
          return count + 100
        },
        handlers: {
          add: (count, by) => count + by,
          get: (count, _, context) => {
            context.reply(count)
            return count
          },
          take: (count) => count,
          [Signal.receiveTimeout]: (count) => count + 1,
        },
      })
      const actor = yield* system
        .spawn(behavior, { address: "@(counter/a)" })
        .pipe(Effect.provideService(Persistence.Persistence, store))
      yield* settled
      expect(yield* store.load("@(counter/a)")).toEqual({ version: 1, state: 100 })
      yield* TestClock.adjust("1 minute")
      yield* settled
      expect(yield* store.load("@(counter/a)")).toEqual({ version: 2, state: 101 })
      expect(yield* actor.ask("get", undefined)).toBe(101)
    }),
  )
})
