import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as fc from "fast-check"
import * as ActorStream from "../src/ActorStream.ts"
import * as ActorSystem from "../src/ActorSystem.ts"
import type { Envelope } from "../src/Envelope.ts"
import type { Handlers } from "../src/Handlers.ts"
import { TransportError } from "../src/Transport.ts"
import { ASKER_PATIENCE } from "../src/StreamProducer.ts"
import { KEEP_ALIVE } from "../src/StreamIntake.ts"
import { ScriptedTransport } from "./support/ScriptedTransport.ts"
import { settled, silently } from "./support/greeter.ts"
import { OutOfTicks, TICKER, Ticker } from "./support/ticker.ts"

/** A reader of a stream whose actor is the test. */
const reading = Effect.fnUntraced(function* (options?: ActorStream.Options) {
  const transport = new ScriptedTransport()
  const system = yield* ActorSystem.make({ transport })
  const got: Array<number> = []
  const gate = yield* Queue.unbounded<void>()
  const stream = ActorStream.ask(system.ref(Ticker, TICKER), "ticks", 1, options)
  const reader = yield* Effect.forkChild(
    Effect.exit(
      Stream.runForEach(stream, (n) =>
        Effect.andThen(
          Effect.sync(() => void got.push(n)),
          Queue.take(gate),
        ),
      ),
    ),
  )
  yield* settled
  const asked = transport.sent[0]!
  return {
    transport,
    reader,
    got,
    asked,
    /** Lets the reader have so many more. */
    read: (count: number) =>
      Effect.andThen(
        Queue.offerAll(
          gate,
          Array.from({ length: count }, () => undefined),
        ),
        settled,
      ),
    answer: (n: number, payload: unknown = n, done = false, type = "actor:reply") =>
      transport.arrive({
        type,
        from: TICKER,
        to: "@(node/asker)",
        payload,
        correlationId: asked.id,
        metadata: { stream: { n, done } },
      }),
    sent: (type: string): ReadonlyArray<Envelope> =>
      transport.sent.filter((envelope) => envelope.type === type),
  }
})

const error = <A, E>(fiber: Fiber.Fiber<A, E>) => Effect.map(Fiber.join(fiber), (exit) => exit)

describe("an asker of a stream", () => {
  it.effect("demands what was read, in steps, and takes what comes in order", () =>
    Effect.gen(function* () {
      const { answer, asked, got, read, reader, sent } = yield* reading()
      expect(asked).toMatchObject({ type: "ticks", pattern: "ask", payload: 1, ttl: 30_000 })
      for (let n = 1; n <= 16; n++) answer(n)
      yield* read(100)
      const granted = sent("actor:demand").map(({ payload }) => (payload as { n: number }).n)
      expect(granted.reduce((a, b) => a + b)).toBe(16)
      expect(granted.every((n) => n >= 8)).toBe(true)
      expect(sent("actor:demand")[0]).toMatchObject({ to: TICKER, correlationId: asked.id })
      answer(17)
      answer(18, null, true)
      yield* settled
      expect(got).toEqual(Array.from({ length: 17 }, (_, i) => i + 1))
      expect(yield* error(reader)).toMatchObject({ _tag: "Success" })
      expect(sent("actor:cancel")).toEqual([])
    }),
  )

  it.effect("takes the payload of the last answer for an element, unless it is null", () =>
    Effect.gen(function* () {
      const { answer, got, read, reader } = yield* reading()
      answer(1)
      answer(2, 2, true)
      yield* read(100)
      expect(got).toEqual([1, 2])
      expect(yield* error(reader)).toMatchObject({ _tag: "Success" })
    }),
  )

  it.effect("leaves out what came already", () =>
    Effect.gen(function* () {
      const { answer, got, read, sent } = yield* reading()
      for (const n of [1, 1, 2, 1, 2, 3]) answer(n)
      yield* read(100)
      expect(got).toEqual([1, 2, 3])
      expect(sent("actor:demand")).toEqual([])
    }),
  )

  it.effect.each([
    ["an answer was lost", { n: 3, payload: 3 }, "stream_gap"],
    ["an element is outside the protocol", { n: 2, payload: "two" }, "invalid_answer"],
    ["the last element is outside the protocol", { n: 2, payload: "two", done: true }, "invalid_answer"],
  ] as const)("ends, and cancels, where %s", ([, { n, payload, ...last }, code]) =>
    Effect.gen(function* () {
      const { answer, got, read, reader, asked, sent } = yield* reading()
      answer(1)
      answer(n, payload, "done" in last)
      answer(n + 1)
      yield* read(100)
      expect(got).toEqual([1])
      expect(yield* error(reader)).toMatchObject({
        _tag: "Failure",
        cause: { reasons: [{ error: { _tag: "ActorFailed", code } }] },
      })
      // What ended by itself needs no cancel.
      expect(sent("actor:cancel")).toHaveLength("done" in last ? 0 : 1)
      for (const cancel of sent("actor:cancel")) expect(cancel.correlationId).toBe(asked.id)
    }),
  )

  it.effect("ends, and cancels, where more comes than it demanded", () =>
    Effect.gen(function* () {
      const { answer, got, read, reader, sent } = yield* reading()
      answer(1)
      yield* settled
      // The first was read; what is not read yet may be 15 more.
      for (let n = 2; n <= 17; n++) answer(n)
      yield* read(100)
      expect(got).toHaveLength(16)
      expect(yield* error(reader)).toMatchObject({
        cause: { reasons: [{ error: { code: "demand_exceeded" } }] },
      })
      expect(sent("actor:cancel")).toHaveLength(1)
    }),
  )

  it.effect("is told by a plain answer that this is no stream", () =>
    Effect.gen(function* () {
      const { asked, reader, read, transport } = yield* reading()
      transport.arrive({ type: "actor:reply", from: TICKER, payload: 1, correlationId: asked.id })
      yield* read(1)
      expect(yield* error(reader)).toMatchObject({ _tag: "Failure" })
    }),
  )

  it.effect("ends with a failure in the middle, typed where it is", () =>
    Effect.gen(function* () {
      const { answer, got, read, reader } = yield* reading()
      answer(1)
      const data = { _tag: "OutOfTicks", after: 1 }
      answer(2, { code: "OutOfTicks", message: "", data, retryable: false }, false, "actor:error")
      yield* read(2)
      expect(got).toEqual([1])
      expect(yield* error(reader)).toMatchObject({
        cause: { reasons: [{ error: new OutOfTicks({ after: 1 }) }] },
      })
    }),
  )

  it.effect("says now and then that it still waits, and for nothing where its reader doesn't", () =>
    Effect.gen(function* () {
      const { answer, reader, sent } = yield* reading({ timeout: Infinity, window: 20 })
      const granted = () => sent("actor:demand").map(({ payload }) => (payload as { n: number }).n)
      expect(granted()).toEqual([4])
      yield* TestClock.adjust(KEEP_ALIVE - 1)
      answer(1)
      yield* settled
      yield* TestClock.adjust(KEEP_ALIVE - 1)
      expect(granted()).toEqual([4])
      yield* TestClock.adjust(1)
      expect(granted()).toEqual([4, 0])
      yield* TestClock.adjust(KEEP_ALIVE)
      expect(granted()).toEqual([4, 0, 0])
      yield* Fiber.interrupt(reader)
      yield* TestClock.adjust(10 * KEEP_ALIVE)
      expect(granted()).toEqual([4, 0, 0])
      expect(sent("actor:cancel")).toHaveLength(1)
    }),
  )
})

/** An actor whose asker is the test. */
const serving = Effect.fnUntraced(function* (ticks: Handlers<typeof Ticker>["ticks"]) {
  const transport = new ScriptedTransport()
  const system = yield* ActorSystem.make({ transport })
  yield* system.serve(Ticker, TICKER, {
    ticks,
    dates: () => Stream.empty,
    ping: () => "pong",
    note: () => undefined,
  })
  return {
    system,
    transport,
    ask: (id = "in-1") => transport.arrive({ id, type: "ticks", to: TICKER, pattern: "ask", payload: 1 }),
    say: (type: string, payload: unknown = null, correlationId = "in-1") =>
      transport.arrive({ id: "in-2", type, to: TICKER, payload, correlationId }),
    marks: () => transport.sent.map(({ metadata }) => metadata.stream),
  }
})

describe("an actor that is asked for a stream", () => {
  it.effect("numbers what it sends, and ends it by an answer of its own", () =>
    Effect.gen(function* () {
      const { ask, marks, transport } = yield* serving(() => Stream.make(5, 6))
      ask()
      yield* settled
      expect(transport.sent.map(({ payload }) => payload)).toEqual([5, 6, null])
      expect(marks()).toEqual([
        { n: 1, done: false },
        { n: 2, done: false },
        { n: 3, done: true },
      ])
      expect(transport.sent[0]).toMatchObject({ pattern: "tell", correlationId: "in-1", from: TICKER })
    }),
  )

  it.effect("does not begin it twice where the ask comes again", () =>
    Effect.gen(function* () {
      let begun = 0
      const { ask, system } = yield* serving(() => {
        begun++
        return Stream.never
      })
      ask()
      ask()
      yield* settled
      expect(begun).toBe(1)
      expect(system.deadLetters.counts.duplicate).toBe(1)
    }),
  )

  it.effect("that is told it, or asked for what is no stream, is not", () =>
    Effect.gen(function* () {
      let begun = 0
      const { system, transport } = yield* serving(() => {
        begun++
        return Stream.empty
      })
      transport.arrive({ id: "t", type: "ticks", to: TICKER, payload: 1 })
      yield* settled
      expect(begun).toBe(0)
      expect(system.deadLetters.counts.unknown_message).toBe(1)
    }),
  )

  it.effect("ends with a typed error, encoded", () =>
    Effect.gen(function* () {
      const { ask, transport } = yield* serving(() => Stream.fail(new OutOfTicks({ after: 0 })))
      ask()
      yield* settled
      expect(transport.sent).toMatchObject([
        { type: "actor:error", payload: { code: "OutOfTicks", data: { _tag: "OutOfTicks", after: 0 } } },
      ])
    }),
  )

  it.effect("stops at the asker's cancel, and only at the asker's", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const { ask, say, transport } = yield* serving(() =>
        Stream.ensuring(
          Stream.never,
          Effect.sync(() => void log.push("released")),
        ),
      )
      ask()
      yield* settled
      transport.arrive({ type: "actor:cancel", from: "@(node/other)", to: TICKER, correlationId: "in-1" })
      yield* settled
      expect(log).toEqual([])
      say("actor:cancel")
      yield* settled
      expect(log).toEqual(["released"])
      // What comes late about it finds nothing.
      say("actor:cancel")
      say("actor:demand", { n: 5 })
      yield* settled
      expect(transport.sent).toEqual([])
    }),
  )

  it.effect("counts demand that comes before it has begun", () =>
    Effect.gen(function* () {
      const gate = yield* Queue.unbounded<void>()
      const { ask, say, transport } = yield* serving(() =>
        Effect.as(Queue.take(gate), Stream.rechunk(Stream.range(1, 100), 1)),
      )
      ask()
      say("actor:demand", { n: 4 })
      yield* settled
      yield* Queue.offer(gate, undefined)
      yield* settled
      expect(transport.sent).toHaveLength(20)
    }),
  )

  it.effect("pulls nothing from its source that is not demanded", () =>
    Effect.gen(function* () {
      let pulled = 0
      const { ask, say } = yield* serving(() =>
        Stream.tap(Stream.rechunk(Stream.range(1, 100), 1), () => Effect.sync(() => void pulled++)),
      )
      ask()
      yield* settled
      expect(pulled).toBe(16)
      say("actor:demand", { n: 3 })
      yield* settled
      expect(pulled).toBe(19)
    }),
  )

  it.effect.each([null, {}, { n: -5 }, { n: 1.5 }, { n: "7" }, [3], "no"])(
    "takes %j for a demand of nothing",
    (payload) =>
      Effect.gen(function* () {
        const { ask, say, transport } = yield* serving(() => Stream.range(1, 100))
        ask()
        yield* settled
        say("actor:demand", payload)
        yield* settled
        expect(transport.sent).toHaveLength(16)
      }),
  )

  it.effect("ends it where nothing is heard of the asker for too long while it waits for demand", () =>
    Effect.gen(function* () {
      const log: Array<string> = []
      const { ask, say, transport } = yield* serving(() =>
        Stream.ensuring(
          Stream.range(1, 100),
          Effect.sync(() => void log.push("released")),
        ),
      )
      ask()
      yield* settled
      yield* TestClock.adjust(ASKER_PATIENCE - 1)
      say("actor:demand", { n: 0 })
      yield* TestClock.adjust(ASKER_PATIENCE - 1)
      yield* settled
      expect(log).toEqual([])
      yield* TestClock.adjust(1)
      yield* settled
      expect(log).toEqual(["released"])
      expect(transport.sent.at(-1)).toMatchObject({ type: "actor:error", payload: { code: "timeout" } })
      expect(transport.sent).toHaveLength(17)
    }),
  )

  it.effect("ends it where an element can't be sent, and says so", () =>
    silently(
      Effect.gen(function* () {
        const { ask, transport } = yield* serving(() => Stream.make(1, 2, 3))
        transport.refusal = ({ payload }) =>
          payload === 2 ? new TransportError({ reason: "too_large", message: "too large" }) : undefined
        ask()
        yield* settled
        expect(transport.sent.map(({ payload }) => payload)).toMatchObject([1, { code: "message_too_large" }])
      }),
    ),
  )

  it.effect("ends it where an element is outside its own protocol", () =>
    Effect.gen(function* () {
      const { ask, transport } = yield* serving(() => Stream.make(1, "two" as never, 3))
      ask()
      yield* settled
      expect(transport.sent.map(({ payload }) => payload)).toMatchObject([1, { code: "actor_failed" }])
    }),
  )

  it("has never more on the way than was demanded, and gives all in order", () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(fc.constant("settle" as const), fc.nat(40)), { maxLength: 30 }),
        fc.nat(300),
        fc.integer({ min: 1, max: 50 }),
        (steps, length, chunk) =>
          Effect.gen(function* () {
            const { ask, say, transport } = yield* serving(() =>
              length === 0 ? Stream.empty : Stream.rechunk(Stream.range(1, length), chunk),
            )
            let demanded = 16
            const elements = () =>
              transport.sent.filter(({ metadata }) => (metadata.stream as { done: boolean }).done === false)
            ask()
            for (const step of steps) {
              if (step === "settle") yield* settled
              else {
                demanded += step
                say("actor:demand", { n: step })
              }
              expect(elements().length).toBeLessThanOrEqual(demanded)
            }
            yield* settled
            yield* settled
            expect(elements().map(({ payload }) => payload)).toEqual(
              Array.from({ length: Math.min(length, demanded) }, (_, i) => i + 1),
            )
            const ended = transport.sent.length > elements().length
            expect(ended).toBe(length < demanded)
          }).pipe(Effect.scoped, Effect.runPromise),
      ),
      { numRuns: 60 },
    ))
})

describe("both ends", () => {
  it("give all elements in order, whatever is read when, with demand that adds up to what was read", () =>
    fc.assert(
      fc.asyncProperty(
        fc.nat(400),
        fc.integer({ min: 1, max: 64 }),
        fc.integer({ min: 0, max: 100 }),
        fc.array(fc.boolean(), { minLength: 1, maxLength: 20 }),
        (length, chunk, window, pauses) =>
          Effect.gen(function* () {
            const [left, right] = [new ScriptedTransport(), new ScriptedTransport()]
            let demanded = Math.max(16, window)
            let elements = 0
            let ahead = 0
            let last = 0
            const server = yield* ActorSystem.make({
              transport: {
                ...right,
                receive: right.receive,
                register: right.register,
                send: (envelope) => {
                  const mark = envelope.metadata.stream as { n: number; done: boolean }
                  expect(mark.n).toBe(++last)
                  if (!mark.done) elements++
                  expect(elements).toBeLessThanOrEqual(demanded)
                  ahead = Math.max(ahead, demanded - elements)
                  queueMicrotask(() => left.arrive(envelope))
                  return undefined
                },
              },
            })
            const client = yield* ActorSystem.make({
              transport: {
                ...left,
                receive: left.receive,
                register: left.register,
                send: (envelope) => {
                  const { n } = (envelope.payload ?? {}) as { n?: number }
                  // The window's part beyond the first 16 is counted already.
                  if (envelope.type === "actor:demand" && last > 0) demanded += n!
                  queueMicrotask(() => right.arrive({ ...envelope, from: "@(node/asker)" }))
                  return undefined
                },
              },
            })
            yield* server.serve(Ticker, TICKER, {
              ticks: () => (length === 0 ? Stream.empty : Stream.rechunk(Stream.range(1, length), chunk)),
              dates: () => Stream.empty,
              ping: () => "",
              note: () => undefined,
            })
            let at = 0
            const got: Array<number> = []
            const stream = ActorStream.ask(client.ref(Ticker, TICKER), "ticks", 1, { window })
            yield* Stream.runForEach(stream, (n) => {
              got.push(n)
              return pauses[at++ % pauses.length]! ? settled : Effect.void
            })
            expect(got).toEqual(Array.from({ length }, (_, i) => i + 1))
            // What is open at the end is never more than what may be ahead and what was read since.
            expect(demanded - length).toBeLessThanOrEqual(Math.max(16, window))
          }).pipe(Effect.scoped, Effect.runPromise),
      ),
      { numRuns: 40 },
    ))
})
