import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as ActorStream from "../src/ActorStream.ts"
import * as ActorSystem from "../src/ActorSystem.ts"
import type { ActorRef } from "../src/ActorRef.ts"
import * as AskError from "../src/AskError.ts"
import type { Handlers } from "../src/Handlers.ts"
import * as InMemoryTransport from "../src/InMemoryTransport.ts"
import * as Supervision from "../src/Supervision.ts"
import * as Behavior from "../src/Behavior.ts"
import { makeWorld, settled, silently, withLogs, worlds } from "./support/greeter.ts"
import { OutOfTicks, TICKER, Ticker } from "./support/ticker.ts"

const ticker = (own: Partial<Handlers<typeof Ticker>> = {}): Handlers<typeof Ticker> => ({
  ticks: (count) => Stream.range(1, count),
  dates: () => Stream.empty,
  ping: () => "pong",
  note: () => undefined,
  ...own,
})

/** A source that says what becomes of it. */
const watched = (log: Array<string>) =>
  Stream.unwrap(
    Effect.as(
      Effect.acquireRelease(
        Effect.sync(() => void log.push("acquired")),
        () => Effect.sync(() => void log.push("released")),
      ),
      Stream.tap(Stream.rechunk(Stream.range(1, 1_000_000), 1), (n) =>
        Effect.sync(() => void log.push(`${n}`)),
      ),
    ),
  )

describe.each(worlds)("a stream, %s", (kind) => {
  const serve = Effect.fnUntraced(function* (own: Partial<Handlers<typeof Ticker>>) {
    const world = yield* makeWorld(kind)
    yield* world.server.serve(Ticker, TICKER, ticker(own))
    return { ...world, ref: world.client.ref(Ticker, TICKER) }
  })
  const numbers = Array.from({ length: 100 }, (_, i) => i + 1)

  it.effect.each([
    ["a Stream", () => Stream.range(1, 100)],
    ["an effect that makes a Stream", () => Effect.succeed(Stream.range(1, 100))],
    ["a promise of a Stream", () => Promise.resolve(Stream.range(1, 100))],
    [
      "an async iterable",
      async function* () {
        yield* numbers
      },
    ],
    [
      "a function that emits and waits",
      () => async (emit: ActorStream.Emit<number>) => {
        for (const n of numbers) await emit(n)
      },
    ],
    [
      "a function that emits and does not wait",
      () => (emit: ActorStream.Emit<number>) => {
        for (const n of numbers) void emit(n)
      },
    ],
  ] as const)("is answered by %s, in order", ([, ticks]) =>
    Effect.gen(function* () {
      const { ref } = yield* serve({ ticks })
      expect(yield* Stream.runCollect(ActorStream.ask(ref, "ticks", 100))).toEqual(numbers)
    }),
  )

  it.effect("may have no element, and elements that are encoded", () =>
    Effect.gen(function* () {
      const day = new Date(86_400_000)
      const { ref } = yield* serve({ ticks: () => Stream.empty, dates: () => Stream.make(day, day) })
      expect(yield* Stream.runCollect(ActorStream.ask(ref, "ticks", 0))).toEqual([])
      expect(yield* Stream.runCollect(ActorStream.ask(ref, "dates", undefined))).toEqual([day, day])
    }),
  )

  it.effect("is asked anew each time that it is run", () =>
    Effect.gen(function* () {
      let asked = 0
      const { ref } = yield* serve({ ticks: () => Stream.make(++asked) })
      const stream = ActorStream.ask(ref, "ticks", 1)
      expect(asked).toBe(0)
      expect(yield* Stream.runCollect(stream)).toEqual([1])
      expect(yield* Stream.runCollect(stream)).toEqual([2])
    }),
  )

  it.effect("gives what came before its typed error, then the error", () =>
    Effect.gen(function* () {
      const { ref } = yield* serve({
        ticks: (n) => Stream.concat(Stream.range(1, n), Stream.fail(new OutOfTicks({ after: n }))),
      })
      const got: Array<number> = []
      const error = yield* Effect.flip(
        Stream.runForEach(ActorStream.ask(ref, "ticks", 40), (n) => Effect.sync(() => void got.push(n))),
      )
      expect(error).toEqual(new OutOfTicks({ after: 40 }))
      expect(got).toEqual(numbers.slice(0, 40))
    }),
  )

  it.effect.each([
    [
      "an async iterable",
      async function* (): AsyncGenerator<number> {
        yield 1
        throw new OutOfTicks({ after: 1 })
      },
    ],
    [
      "a function that emits",
      () => async (emit: ActorStream.Emit<number>) => {
        await emit(1)
        throw new OutOfTicks({ after: 1 })
      },
    ],
    [
      "the handler itself",
      () => {
        throw new OutOfTicks({ after: 1 })
      },
    ],
  ] as const)("takes a typed error that %s throws for what it is", ([, ticks]) =>
    Effect.gen(function* () {
      const { ref } = yield* serve({ ticks })
      const error = yield* Effect.flip(Stream.runDrain(ActorStream.ask(ref, "ticks", 1)))
      expect(error).toEqual(new OutOfTicks({ after: 1 }))
    }),
  )

  it.effect("that fails otherwise is logged and says no more than that; its actor goes on", () =>
    withLogs((logs) =>
      Effect.gen(function* () {
        const { ref, server } = yield* serve({
          ticks: () => Stream.concat(Stream.make(1), Stream.die(new Error("secret"))),
        })
        const error = yield* Effect.flip(Stream.runDrain(ActorStream.ask(ref, "ticks", 1)))
        expect(error).toMatchObject({
          _tag: "ActorFailed",
          code: "actor_failed",
          message: "the actor failed",
        })
        expect(logs.join("\n")).toContain("secret")
        expect(server.events.counts).toEqual({ ActorFailed: 1 })
        expect(yield* ref.ask("ping", undefined)).toBe("pong")
      }),
    ),
  )

  it.effect("does not hold up the actor's other messages", () =>
    Effect.gen(function* () {
      const { ref } = yield* serve({ ticks: () => Stream.never })
      const reader = yield* Effect.forkChild(Stream.runDrain(ActorStream.ask(ref, "ticks", 1)))
      yield* settled
      expect(yield* ref.ask("ping", undefined)).toBe("pong")
      yield* Fiber.interrupt(reader)
    }),
  )

  it.effect("goes no further than it is read, by what is demanded ahead", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const { ref } = yield* serve({ ticks: () => watched(log) })
      const gate = yield* Latch.make(false)
      const read: Array<number> = []
      const reader = yield* Effect.forkChild(
        Stream.runForEach(ActorStream.ask(ref, "ticks", 1), (n) =>
          Effect.andThen(
            Effect.sync(() => void read.push(n)),
            gate.await,
          ),
        ),
      )
      yield* settled
      yield* settled
      yield* settled
      expect(read).toEqual([1])
      const ahead = log.length
      // What it read at first, and the 16 that may be on their way.
      expect(ahead).toBeLessThanOrEqual(1 + 2 * 16)
      yield* settled
      expect(log.length).toBe(ahead)
      yield* gate.open
      yield* settled
      yield* settled
      expect(log.length).toBeGreaterThan(ahead)
      yield* Fiber.interrupt(reader)
    }),
  )

  it.effect("whose reader stops is interrupted and releases what it holds", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const { ref } = yield* serve({ ticks: () => watched(log) })
      const got = yield* Stream.runCollect(Stream.take(ActorStream.ask(ref, "ticks", 1), 20))
      expect(got).toEqual(numbers.slice(0, 20))
      yield* settled
      expect(log[0]).toBe("acquired")
      expect(log.at(-1)).toBe("released")
      expect(log.length).toBeLessThanOrEqual(2 + 20 + 2 * 16)
    }),
  )

  it.effect("whose reader is interrupted is interrupted too", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const { ref } = yield* serve({ ticks: () => Stream.concat(Stream.take(watched(log), 1), Stream.never) })
      const first = yield* Deferred.make<void>()
      const reader = yield* Effect.forkChild(
        Stream.runForEach(ActorStream.ask(ref, "ticks", 1), () => Deferred.succeed(first, undefined)),
      )
      yield* Deferred.await(first)
      yield* Fiber.interrupt(reader)
      yield* settled
      expect(log).toEqual(["acquired", "1", "released"])
    }),
  )

  it.effect("whose reader gives up before the actor has come to it is never begun", () =>
    Effect.gen(function* () {
      let begun = 0
      const gate = yield* Latch.make(false)
      const { ref } = yield* serve({
        ping: () => Effect.as(gate.await, "pong"),
        ticks: () => Stream.make(++begun),
      })
      const busy = yield* Effect.forkChild(ref.ask("ping", undefined))
      yield* settled
      const reader = yield* Effect.forkChild(Stream.runDrain(ActorStream.ask(ref, "ticks", 1)))
      yield* settled
      yield* Fiber.interrupt(reader)
      yield* settled
      yield* gate.open
      yield* Fiber.join(busy)
      yield* settled
      expect(begun).toBe(0)
    }),
  )

  it.effect("lets its iterator return, and the function that emits know, when its reader stops", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const { ref } = yield* serve({
        ticks: async function* () {
          try {
            for (let n = 1; ; n++) yield n
          } finally {
            log.push("returned")
          }
        },
        dates: () => async (emit, over) => {
          await emit(new Date(0))
          await over
          log.push("over")
          await emit(new Date(1)).catch((error: unknown) => log.push((error as ActorStream.StreamOver)._tag))
        },
      })
      yield* Stream.runDrain(Stream.take(ActorStream.ask(ref, "ticks", 1), 3))
      yield* settled
      expect(log).toEqual(["returned"])
      yield* Stream.runDrain(Stream.take(ActorStream.ask(ref, "dates", undefined), 1))
      yield* settled
      expect(log).toEqual(["returned", "over", "StreamOver"])
    }),
  )

  it.effect("ends actor_terminated where its actor stops, once it has given what it holds back", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const { ref, server } = yield* serve({
        ticks: () => Stream.concat(Stream.take(watched(log), 3), Stream.never),
      })
      const got = yield* Queue.unbounded<number>()
      const reader = yield* Effect.forkChild(
        Stream.runForEach(ActorStream.ask(ref, "ticks", 1), (n) => Queue.offer(got, n)),
      )
      expect(yield* Queue.takeN(got, 3)).toEqual([1, 2, 3])
      yield* server.stop({ address: TICKER })
      expect(log.at(-1)).toBe("released")
      const exit = yield* Fiber.await(reader)
      expect(Exit.isFailure(exit) && Cause.squash(exit.cause)).toBeInstanceOf(AskError.ActorTerminated)
    }),
  )

  it.effect("ends actor_terminated where its actor restarts, which others may go on asking", () =>
    silently(
      Effect.gen(function* () {
        const world = yield* makeWorld(kind)
        const behavior = Behavior.make(
          Ticker,
          ticker({
            ticks: () => Stream.never,
            note: () => {
              throw new Error("restart")
            },
          }),
        )
        yield* world.server.spawn(behavior, {
          address: TICKER,
          register: true,
          supervision: Supervision.restart(),
        })
        const ref = world.client.ref(Ticker, TICKER)
        const reader = yield* Effect.forkChild(Effect.flip(Stream.runDrain(ActorStream.ask(ref, "ticks", 1))))
        yield* settled
        ref.tell("note", "")
        expect(yield* Fiber.join(reader)).toBeInstanceOf(AskError.ActorTerminated)
        expect(yield* ref.ask("ping", undefined)).toBe("pong")
      }),
    ),
  )

  it.effect("ends actor_terminated where its actor stops as it gives it", () =>
    Effect.gen(function* () {
      const { ref } = yield* serve({
        ticks: (_, context) => {
          context.stop()
          return Stream.make(1)
        },
      })
      const error = yield* Effect.flip(Stream.runDrain(ActorStream.ask(ref, "ticks", 1)))
      expect(error).toBeInstanceOf(AskError.ActorTerminated)
    }),
  )

  it.effect("may be read as slowly as its reader likes", () =>
    Effect.gen(function* () {
      const { ref } = yield* serve({})
      const gate = yield* Latch.make(false)
      const got: Array<number> = []
      const reader = yield* Effect.forkChild(
        Stream.runForEach(ActorStream.ask(ref, "ticks", 100), (n) => {
          got.push(n)
          return gate.await
        }),
      )
      for (let i = 0; i < 60; i++) {
        yield* settled
        yield* TestClock.adjust("10 seconds")
      }
      expect(got).toEqual([1])
      yield* gate.open
      yield* Fiber.join(reader)
      expect(got).toEqual(numbers)
    }),
  )

  it.effect("that is asked of nobody fails as an ask does", () =>
    Effect.gen(function* () {
      const { client } = yield* makeWorld(kind)
      const nobody = client.ref(Ticker, TICKER)
      const error = yield* Effect.flip(Stream.runDrain(ActorStream.ask(nobody, "ticks", 1)))
      expect(error).toBeInstanceOf(AskError.UnknownActor)
    }),
  )

  it.effect("times out when no next element comes in time, counted from when one is wanted", () =>
    Effect.gen(function* () {
      const gate = yield* Queue.unbounded<number>()
      const log: Array<string> = []
      const { ref } = yield* serve({
        ticks: () =>
          Stream.ensuring(
            Stream.fromQueue(gate),
            Effect.sync(() => void log.push("released")),
          ),
      })
      const got: Array<number> = []
      const slow = yield* Latch.make(false)
      const reader = yield* Effect.forkChild(
        Effect.flip(
          Stream.runForEach(ActorStream.ask(ref, "ticks", 1, { timeout: "10 seconds" }), (n) => {
            got.push(n)
            return n === 2 ? slow.await : Effect.void
          }),
        ),
      )
      yield* settled
      yield* TestClock.adjust("9 seconds")
      yield* Queue.offer(gate, 1)
      yield* settled
      yield* TestClock.adjust("9 seconds")
      yield* Queue.offer(gate, 2)
      yield* settled
      // Its reader takes its time: nobody waits for an element.
      yield* TestClock.adjust("60 seconds")
      yield* settled
      yield* slow.open
      yield* settled
      yield* TestClock.adjust("9 seconds")
      yield* Queue.offer(gate, 3)
      yield* settled
      expect(got).toEqual([1, 2, 3])
      yield* TestClock.adjust("10 seconds")
      yield* settled
      expect(yield* Fiber.join(reader)).toBeInstanceOf(AskError.AskTimeout)
      yield* settled
      expect(log).toEqual(["released"])
    }),
  )

  it.effect("may be quiet for ever where it has no time limit", () =>
    Effect.gen(function* () {
      const gate = yield* Queue.unbounded<number>()
      const { ref } = yield* serve({ ticks: () => Stream.fromQueue(gate) })
      const reader = yield* Effect.forkChild(
        Stream.runCollect(Stream.take(ActorStream.ask(ref, "ticks", 1, { timeout: Infinity }), 1)),
      )
      yield* settled
      for (let hour = 0; hour < 3; hour++) {
        yield* TestClock.adjust("1 hour")
        yield* settled
      }
      yield* Queue.offer(gate, 7)
      expect(yield* Fiber.join(reader)).toEqual([7])
    }),
  )

  it.effect("goes further ahead where its reader lets it", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const { ref } = yield* serve({ ticks: () => watched(log) })
      const reader = yield* Effect.forkChild(
        Stream.runForEach(ActorStream.ask(ref, "ticks", 1, { window: 200 }), () => Effect.never),
      )
      for (let i = 0; i < 10; i++) yield* settled
      expect(log.length).toBeGreaterThanOrEqual(200)
      expect(log.length).toBeLessThanOrEqual(1 + 2 * 200)
      yield* Fiber.interrupt(reader)
    }),
  )

  it.effect("that is emitted far beyond what is wanted fails, and is bounded", () =>
    silently(
      Effect.gen(function* () {
        let refused = 0
        const { ref } = yield* serve({
          ticks: () => (emit) => {
            for (let n = 1; n <= 5_000; n++) emit(n).catch(() => refused++)
          },
        })
        const error = yield* Effect.flip(Stream.runDrain(ActorStream.ask(ref, "ticks", 1)))
        expect(error).toMatchObject({ _tag: "ActorFailed", code: "actor_failed" })
        yield* settled
        expect(refused).toBeGreaterThanOrEqual(3_999)
      }),
    ),
  )
})

describe.each(worlds)("an iteration of a stream, %s", (kind) => {
  const iterating = Effect.fnUntraced(function* (signal?: AbortSignal) {
    const log: Array<string> = []
    const { server, client } = yield* makeWorld(kind)
    yield* server.serve(
      Ticker,
      TICKER,
      ticker({
        ticks: (n) =>
          Stream.ensuring(
            Stream.concat(
              Stream.range(1, Math.abs(n)),
              n < 0 ? Stream.fail(new OutOfTicks({ after: -n })) : n === 3 ? Stream.never : Stream.empty,
            ),
            Effect.sync(() => void log.push("released")),
          ),
      }),
    )
    const ref = client.ref(Ticker, TICKER)
    const options = signal === undefined ? {} : { signal }
    return { log, iterate: (n: number) => ActorStream.iterate(ref, "ticks", n, options) }
  })

  it.effect("gives all elements", () =>
    Effect.gen(function* () {
      const { iterate } = yield* iterating()
      const got: Array<number> = []
      yield* Effect.promise(async () => {
        for await (const n of iterate(40)) got.push(n)
      })
      expect(got).toEqual(Array.from({ length: 40 }, (_, i) => i + 1))
    }),
  )

  it.effect("throws the typed error, after what came before it", () =>
    Effect.gen(function* () {
      const { iterate } = yield* iterating()
      const got: Array<number> = []
      const reading = async (): Promise<void> => {
        for await (const n of iterate(-20)) got.push(n)
      }
      yield* Effect.promise(() => expect(reading()).rejects.toEqual(new OutOfTicks({ after: 20 })))
      expect(got).toHaveLength(20)
    }),
  )

  it.effect("ends where its loop is left, and where it is told to while it waits", () =>
    Effect.gen(function* () {
      const { iterate, log } = yield* iterating()
      yield* Effect.promise(async () => {
        for await (const n of iterate(3)) if (n === 2) break
      })
      yield* settled
      expect(log).toEqual(["released"])
      const iterator = iterate(3)
      yield* Effect.promise(async () => {
        for (let n = 1; n <= 3; n++) expect(await iterator.next()).toEqual({ done: false, value: n })
        const waiting = iterator.next()
        await iterator.return?.()
        expect(await waiting).toEqual({ done: true, value: undefined })
        expect(await iterator.next()).toEqual({ done: true, value: undefined })
      })
      yield* settled
      expect(log).toEqual(["released", "released"])
    }),
  )

  it.effect("ends with the reason where it is aborted, before it began and while it waits", () =>
    Effect.gen(function* () {
      const controller = new AbortController()
      const { iterate, log } = yield* iterating(controller.signal)
      const enough = new Error("enough")
      yield* Effect.promise(async () => {
        const iterator = iterate(3)
        for (let n = 1; n <= 3; n++) await iterator.next()
        const waiting = iterator.next()
        controller.abort(enough)
        await expect(waiting).rejects.toBe(enough)
        await expect(iterator.next()).rejects.toBe(enough)
        await expect(iterate(3).next()).rejects.toBe(enough)
      })
      yield* settled
      expect(log).toEqual(["released"])
    }),
  )
})

describe("a stream that is handed on", () => {
  /** Hands streams on to another. */
  const front = (to: ActorRef<typeof Ticker>) =>
    Behavior.make(
      Ticker,
      ticker({
        ticks: (_, context) => {
          context.forward(to)
          return Stream.empty
        },
      }),
    )

  it.effect.each(worlds)("comes from who got it: %s", (kind) =>
    Effect.gen(function* () {
      const { server, client } = yield* makeWorld(kind)
      yield* server.serve(Ticker, TICKER, ticker())
      const behind = server.ref(Ticker, TICKER)
      yield* server.spawn(front(behind), { address: "@(node/front)", register: true })
      const ref = client.ref(Ticker, "@(node/front)")
      expect(yield* Stream.runCollect(ActorStream.ask(ref, "ticks", 50))).toHaveLength(50)
    }),
  )

  it.effect("to an actor elsewhere comes from there, through who was asked", () =>
    Effect.gen(function* () {
      const first = yield* InMemoryTransport.makeNetwork()
      const second = yield* InMemoryTransport.makeNetwork()
      const a = yield* first.connect
      const middle = yield* ActorSystem.make({
        transports: [{ ...a, reaches: (address) => !address.startsWith("@(second/") }, yield* second.connect],
      })
      const asker = yield* ActorSystem.make({ transport: yield* first.connect })
      const near = yield* ActorSystem.make({ transport: yield* first.connect })
      const far = yield* ActorSystem.make({ transport: yield* second.connect })
      const failing = ticker({
        ticks: (n) => Stream.concat(Stream.range(1, n), Stream.fail(new OutOfTicks({ after: n }))),
      })
      yield* near.serve(Ticker, "@(first/near)", failing)
      yield* far.serve(Ticker, "@(second/far)", failing)
      for (const [name, to] of [
        ["near", "@(first/near)"],
        ["far", "@(second/far)"],
        ["none", "@(second/none)"],
      ] as const) {
        yield* middle.spawn(front(middle.ref(Ticker, to)), { address: `@(node/${name})`, register: true })
      }
      for (const [who, systems] of [
        // Over one transport the asker hears the other itself, as the hub has it: tested there.
        ["@(node/near)", [middle]],
        ["@(node/far)", [middle, asker]],
      ] as const) {
        for (const system of systems) {
          const got: Array<number> = []
          const error = yield* Effect.flip(
            Stream.runForEach(ActorStream.ask(system.ref(Ticker, who), "ticks", 50), (n) =>
              Effect.sync(() => void got.push(n)),
            ),
          )
          expect(error).toEqual(new OutOfTicks({ after: 50 }))
          expect(got).toHaveLength(50)
        }
      }
      const nobody = ActorStream.ask(asker.ref(Ticker, "@(node/none)"), "ticks", 1)
      expect(yield* Effect.flip(Stream.runDrain(nobody))).toBeInstanceOf(AskError.UnknownActor)
    }),
  )
})
