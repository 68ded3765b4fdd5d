import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { ActorContext } from "../src/ActorContext.ts"
import type { ActorRef } from "../src/ActorRef.ts"
import * as ActorSystem from "../src/ActorSystem.ts"
import type { Address } from "../src/Address.ts"
import * as Behavior from "../src/Behavior.ts"
import * as Signal from "../src/Signal.ts"
import * as Supervision from "../src/Supervision.ts"
import { TransportError } from "../src/Transport.ts"
import { Counter } from "./support/counter.ts"
import { settled, silently } from "./support/greeter.ts"
import { ScriptedTransport } from "./support/ScriptedTransport.ts"

type Context = ActorContext<typeof Counter>
const FAR: Address = "@(far/away)"

const idle = Behavior.setup(Counter, () => ({
  add: (by) => {
    if (by === 13) throw new Error("boom")
  },
  get: () => 0,
  take: (by) => by,
}))

/** Watches what the test gives it; `heard` is what it was signaled. */
const watching = (system: ActorSystem.ActorSystem) =>
  Effect.gen(function* () {
    const heard: Array<Signal.Terminated> = []
    let own: Context | undefined
    let starts = 0
    const watcher = yield* system.spawn(
      Behavior.setup(Counter, (context) => {
        own = context
        starts++
        return {
          add: (by) => {
            if (by === 13) throw new Error("boom")
          },
          get: () => starts,
          take: (by) => by,
          [Signal.terminated]: (event) => void heard.push(event),
        }
      }),
    )
    yield* settled
    const watch = (actor: { readonly address: Address }): void => own!.watch(actor)
    const unwatch = (actor: { readonly address: Address }): void => own!.unwatch(actor)
    return { watcher, heard, watch, unwatch }
  })

describe("death watch", () => {
  it.effect("tells of an end once, however often it was asked for", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem.make()
      const { heard, watch } = yield* watching(system)
      const actor = yield* system.spawn(idle, { name: "mortal" })
      watch(actor)
      watch(actor)
      watch(system.ref(Counter, actor.address))
      yield* settled
      expect(heard).toEqual([])
      yield* system.stop(actor)
      yield* system.stop(actor)
      yield* settled
      expect(heard).toEqual([{ address: "@(local/mortal)", reason: "stopped" }])
    }),
  )

  it.effect("tells all who watch, also from outside, and with what it was ended by", () =>
    silently(
      Effect.gen(function* () {
        const system = yield* ActorSystem.make()
        const first = yield* watching(system)
        const second = yield* watching(system)
        const actor = yield* system.spawn(idle, { supervision: Supervision.stop })
        first.watch(actor)
        second.watch(actor)
        const outside = yield* Effect.forkChild(system.watch(actor), { startImmediately: true })
        actor.tell("add", 13)
        const end = { address: actor.address, reason: "failed" }
        expect(yield* Fiber.join(outside)).toEqual(end)
        yield* settled
        expect([first.heard, second.heard]).toEqual([[end], [end]])
      }),
    ),
  )

  it.effect("does not tell of a restart", () =>
    silently(
      Effect.gen(function* () {
        const system = yield* ActorSystem.make()
        const { heard, watch } = yield* watching(system)
        const actor = yield* system.spawn(idle)
        watch(actor)
        actor.tell("add", 13)
        yield* actor.ask("get", undefined)
        yield* settled
        expect(heard).toEqual([])
      }),
    ),
  )

  it.effect("tells at once of an actor that never existed, or no longer does", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem.make()
      const { heard, watch } = yield* watching(system)
      const gone = yield* system.spawn(idle, { name: "gone" })
      yield* system.stop(gone)
      watch(gone)
      watch(system.ref(Counter, "@(node/never)"))
      yield* settled
      expect(heard).toEqual([
        { address: "@(local/gone)", reason: "unknown" },
        { address: "@(node/never)", reason: "unknown" },
      ])
      expect(yield* system.watch(gone)).toEqual({ address: "@(local/gone)", reason: "unknown" })
    }),
  )

  it.effect("fault 58: a watch of a remote actor ends with the system that watches", () =>
    Effect.gen(function* () {
      const transport = new ScriptedTransport()
      transport.watch = () =>
        Effect.succeed({
          registered: true,
          terminated: Effect.never,
        })
      const system = yield* ActorSystem.make({ transport })
      const watched = yield* Effect.forkChild(system.watch(system.ref(Counter, FAR)), {
        startImmediately: true,
      })
      const letGo = yield* Effect.forkChild(system.watch(system.ref(Counter, FAR)), {
        startImmediately: true,
      })
      yield* settled
      expect(watched.pollUnsafe()).toBeUndefined()
      yield* Fiber.interrupt(letGo)
      yield* system.shutdown()
      yield* settled
      expect(yield* Fiber.join(watched)).toEqual({ address: FAR, reason: "closed" })
    }),
  )

  it.effect("that is taken back tells nothing, not even what waits already", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem.make()
      const { heard, unwatch, watch } = yield* watching(system)
      const first = yield* system.spawn(idle)
      const second = yield* system.spawn(idle)
      watch(first)
      watch(second)
      unwatch(first)
      // Both ends happen before the watcher runs again.
      yield* system.stop(first)
      yield* system.stop(second)
      unwatch(second)
      yield* settled
      expect(heard).toEqual([])
    }),
  )

  it.effect("ends with the watcher's restart: the new one has watched nobody", () =>
    silently(
      Effect.gen(function* () {
        const system = yield* ActorSystem.make()
        const { heard, watch, watcher } = yield* watching(system)
        const actor = yield* system.spawn(idle)
        watch(actor)
        watcher.tell("add", 13)
        expect(yield* watcher.ask("get", undefined)).toBe(2)
        yield* system.stop(actor)
        yield* settled
        expect(heard).toEqual([])
      }),
    ),
  )

  it.effect("without a function for it is a pact: the watcher fails", () =>
    silently(
      Effect.gen(function* () {
        const system = yield* ActorSystem.make()
        const failures: Array<Supervision.Failure> = []
        const actor = yield* system.spawn(idle)
        const watcher = yield* system.spawn(
          Behavior.setup(Counter, (context) => {
            context.watch(actor)
            return { add: () => undefined, get: () => 0, take: (by) => by }
          }),
          {
            supervision: (failure) => {
              failures.push(failure)
              return Supervision.stop
            },
          },
        )
        yield* settled
        yield* system.stop(actor)
        expect(yield* system.watch(watcher)).toMatchObject({ reason: "failed" })
        expect(failures).toMatchObject([
          { kind: "error", error: { _tag: "DeathPact", address: actor.address } },
        ])
      }),
    ),
  )

  it.effect("in a cycle ends: each hears of the other, none of itself", () =>
    silently(
      Effect.gen(function* () {
        const system = yield* ActorSystem.make()
        const ring: Array<ActorRef<typeof Counter>> = []
        const names: ReadonlyArray<Address> = ["@(ring/a)", "@(ring/b)", "@(ring/c)"]
        for (const [i, address] of names.entries()) {
          ring.push(
            yield* system.spawn(
              Behavior.make(Counter, {
                add: (_, context) => {
                  context.watch(context.ref(Counter, names[(i + 1) % 3]!))
                  context.watch(context.self)
                },
                get: () => 0,
                take: (by) => by,
              }),
              { address, supervision: Supervision.stop },
            ),
          )
        }
        for (const actor of ring) actor.tell("add", 1)
        yield* settled
        yield* system.stop(ring[0]!)
        for (const actor of ring) yield* system.watch(actor)
        expect(system.events.counts).toMatchObject({ ActorStopped: 3 })
      }),
    ),
  )

  it.effect("of an actor elsewhere goes through the transport, and is heard once", () =>
    Effect.gen(function* () {
      const wire = new ScriptedTransport()
      const end = yield* Deferred.make<{ readonly reason: string }, TransportError>()
      let held = 0
      wire.watch = () =>
        Effect.as(
          Effect.acquireRelease(
            Effect.sync(() => void held++),
            () => Effect.sync(() => void held--),
          ),
          { registered: true, terminated: Deferred.await(end) },
        )
      const system = yield* ActorSystem.make({ transport: wire })
      const { heard, watch } = yield* watching(system)
      watch(system.ref(Counter, FAR))
      watch(system.ref(Counter, FAR))
      yield* settled
      expect(held).toBe(1)
      expect(heard).toEqual([])
      yield* Deferred.succeed(end, { reason: "disconnected" })
      yield* settled
      expect(heard).toEqual([{ address: FAR, reason: "disconnected" }])
      expect(held).toBe(0)
    }),
  )

  it.effect("of an actor elsewhere that was never there, of a transport that ends, or can't watch", () =>
    Effect.gen(function* () {
      const closed = new TransportError({ reason: "closed", message: "over" })
      const cases = [
        [() => Effect.succeed({ registered: false, terminated: Effect.never }), "unknown"],
        [() => Effect.succeed({ registered: true, terminated: Effect.fail(closed) }), "closed"],
        [() => Effect.fail(closed), "closed"],
        [undefined, "unwatchable"],
      ] as const
      for (const [how, reason] of cases) {
        const wire = new ScriptedTransport()
        if (how !== undefined) wire.watch = how
        const system = yield* ActorSystem.make({ transport: wire })
        const { heard, watch } = yield* watching(system)
        watch(system.ref(Counter, FAR))
        yield* settled
        expect(heard).toEqual([{ address: FAR, reason }])
      }
    }),
  )

  it.effect("of an actor elsewhere that is taken back lets go there", () =>
    Effect.gen(function* () {
      const wire = new ScriptedTransport()
      let held = 0
      wire.watch = () =>
        Effect.as(
          Effect.acquireRelease(
            Effect.sync(() => void held++),
            () => Effect.sync(() => void held--),
          ),
          { registered: true, terminated: Effect.never },
        )
      const system = yield* ActorSystem.make({ transport: wire })
      const { heard, unwatch, watch, watcher } = yield* watching(system)
      watch(system.ref(Counter, FAR))
      yield* settled
      unwatch(system.ref(Counter, FAR))
      expect(held).toBe(0)
      watch(system.ref(Counter, FAR))
      yield* settled
      expect(held).toBe(1)
      yield* system.stop(watcher)
      yield* settled
      expect(held).toBe(0)
      expect(heard).toEqual([])
    }),
  )
})
