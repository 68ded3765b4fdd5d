import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import * as References from "effect/References"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Tracer from "effect/Tracer"
import * as ActorMetrics from "../src/ActorMetrics.ts"
import * as ActorStream from "../src/ActorStream.ts"
import * as ActorSystem from "../src/ActorSystem.ts"
import * as Behavior from "../src/Behavior.ts"
import * as InMemoryTransport from "../src/InMemoryTransport.ts"
import * as Supervision from "../src/Supervision.ts"
import { Counter } from "./support/counter.ts"
import { Greeter, GREETER, greeter, Rejected, settled, silently } from "./support/greeter.ts"
import { ScriptedTransport } from "./support/ScriptedTransport.ts"
import { Ticker, TICKER } from "./support/ticker.ts"

/** A tracer that keeps its spans. */
const makeTracer = () => {
  const spans: Array<Tracer.NativeSpan> = []
  const tracer = Tracer.make({
    span: (options) => {
      const span = new Tracer.NativeSpan(options)
      spans.push(span)
      return span
    },
  })
  return { spans, tracer, named: (name: string) => spans.filter((span) => span.name === name) }
}

/** The span of the effect that runs. */
const here = Effect.orDie(Effect.currentParentSpan)

/** Two systems that trace into one place. */
const traced = Effect.fnUntraced(function* (kind: "here" | "elsewhere") {
  const world = makeTracer()
  const network = yield* InMemoryTransport.makeNetwork()
  const make = Effect.gen(function* () {
    return yield* ActorSystem.make({ transport: yield* network.connect })
  }).pipe(Effect.withTracer(world.tracer))
  const server = yield* make
  const client = kind === "here" ? server : yield* make
  return { ...world, server, client }
})

describe.each(["here", "elsewhere"] as const)("the trace of an ask, %s", (kind) => {
  it.effect("is one span, from within the asker's to its end, and goes on in the handler's effect", () =>
    Effect.gen(function* () {
      const { client, named, server, tracer } = yield* traced(kind)
      yield* server.serve(
        Greeter,
        GREETER,
        greeter({ greet: () => Effect.map(Effect.withSpan(here, "work"), ({ traceId }) => traceId) }),
      )
      const ask = client.ref(Greeter, GREETER).ask("greet", { name: "" })
      const traceId = yield* ask.pipe(Effect.withSpan("outer"), Effect.withTracer(tracer))
      const [outer] = named("outer")
      const [asked, ...others] = named("greeter.greet")
      expect(others).toEqual([])
      expect(outer?.traceId).toBe(traceId)
      expect(asked?.traceId).toBe(traceId)
      expect(asked?.parent).toMatchObject({ value: { spanId: outer?.spanId } })
      expect(asked?.kind).toBe("client")
      expect(Object.fromEntries(asked?.attributes ?? [])).toEqual({
        "actor.address": GREETER,
        "actor.protocol": "greeter",
        "actor.message": "greet",
      })
      expect(asked?.status).toMatchObject({ _tag: "Ended", exit: { _tag: "Success" } })
    }),
  )

  it.effect("ends as the ask does, also where it is given up", () =>
    Effect.gen(function* () {
      const { client, named, server } = yield* traced(kind)
      yield* server.serve(
        Greeter,
        GREETER,
        greeter({
          greet: () => Effect.fail(new Rejected({ why: "no" })),
          count: () => Effect.never,
        }),
      )
      const ref = client.ref(Greeter, GREETER)
      yield* Effect.flip(ref.ask("greet", { name: "" }))
      expect(named("greeter.greet")[0]?.status).toMatchObject({ _tag: "Ended", exit: { _tag: "Failure" } })
      const waiting = yield* Effect.forkChild(ref.ask("count", 1))
      yield* settled
      expect(named("greeter.count")[0]?.status._tag).toBe("Started")
      yield* Fiber.interrupt(waiting)
      expect(named("greeter.count")[0]?.status).toMatchObject({ _tag: "Ended", exit: { _tag: "Failure" } })
    }),
  )

  it.effect("goes on through an actor that asks another, in plain code and in effects", () =>
    Effect.gen(function* () {
      const { client, named, server } = yield* traced(kind)
      let noted: unknown
      yield* server.serve(
        Greeter,
        GREETER,
        greeter({
          count: (n, context) => context.ref(Greeter, "@(node/behind)").ask("count", n).pipe(Effect.orDie),
          greet: (_, context) => {
            context.ref(Greeter, "@(node/behind)").tell("note", { text: "" })
            return ""
          },
        }),
      )
      yield* server.serve(
        Greeter,
        "@(node/behind)",
        greeter({ note: (_, { metadata }) => void (noted = metadata.traceparent) }),
      )
      const ref = client.ref(Greeter, GREETER)
      yield* ref.ask("count", 1)
      const [first, second] = named("greeter.count")
      expect(second?.traceId).toBe(first?.traceId)
      expect(second?.parent).toMatchObject({ value: { spanId: first?.spanId } })
      yield* ref.ask("greet", { name: "" })
      yield* settled
      const [greet] = named("greeter.greet")
      expect(noted).toBe(`00-${greet?.traceId}-${greet?.spanId}-01`)
    }),
  )

  it.effect("of a stream lasts until it is over", () =>
    Effect.gen(function* () {
      const { client, named, server } = yield* traced(kind)
      const within: Array<string> = []
      yield* server.serve(Ticker, TICKER, {
        ticks: (n) =>
          Stream.tap(Stream.range(1, n), () => Effect.map(here, ({ spanId }) => within.push(spanId))),
        dates: () => Stream.never,
        ping: () => "",
        note: () => undefined,
      })
      const ref = client.ref(Ticker, TICKER)
      yield* Stream.runDrain(ActorStream.ask(ref, "ticks", 1))
      const [ticks] = named("ticker.ticks")
      expect(ticks?.status).toMatchObject({ _tag: "Ended", exit: { _tag: "Success" } })
      expect(within).toEqual([ticks?.spanId])
      const reader = yield* Effect.forkChild(Stream.runDrain(ActorStream.ask(ref, "dates", undefined)))
      yield* settled
      expect(named("ticker.dates")[0]?.status._tag).toBe("Started")
      yield* Fiber.interrupt(reader)
      expect(named("ticker.dates")[0]?.status._tag).toBe("Ended")
    }),
  )
})

describe("a traceparent", () => {
  const heard = Effect.fnUntraced(function* (traceparent: unknown) {
    const { spans, tracer } = makeTracer()
    const transport = new ScriptedTransport()
    const system = yield* Effect.withTracer(ActorSystem.make({ transport }), tracer)
    let span: Tracer.AnySpan | undefined
    const note = Effect.map(Effect.option(Effect.currentParentSpan), (found) => {
      span = found._tag === "Some" ? found.value : undefined
    })
    yield* system.serve(Greeter, GREETER, greeter({ note: () => note }))
    transport.arrive({ type: "note", payload: { text: "" }, metadata: { traceparent } })
    yield* settled
    expect(spans).toEqual([])
    return span
  })
  const [trace, parent] = ["4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"]

  it.effect("from elsewhere is gone on with", () =>
    Effect.gen(function* () {
      expect(yield* heard(`00-${trace}-${parent}-01`)).toMatchObject({
        traceId: trace,
        spanId: parent,
        sampled: true,
      })
      expect(yield* heard(`00-${trace}-${parent}-00`)).toMatchObject({ sampled: false })
      expect(yield* heard(`cc-${trace}-${parent}-01-later`)).toMatchObject({ traceId: trace })
    }),
  )

  it.effect.each([
    1,
    "",
    `ff-${trace}-${parent}-01`,
    `00-${"0".repeat(32)}-${parent}-01`,
    `00-${trace}-${"0".repeat(16)}-01`,
    `00-${trace.toUpperCase()}-${parent}-01`,
    `00-${trace}-${parent}-011`,
  ])("that is none is left alone: %j", (traceparent) =>
    Effect.gen(function* () {
      expect(yield* heard(traceparent)).toBeUndefined()
    }),
  )

  it.effect.each([
    ["none is made without a tracer", undefined],
    ["one is made of the span it is sent in", makeTracer()],
  ] as const)("that a sender gives to a tell stays; %s", ([, traces]) =>
    Effect.gen(function* () {
      const transport = new ScriptedTransport()
      const make = ActorSystem.make({ transport })
      const system = yield* traces === undefined ? make : Effect.withTracer(make, traces.tracer)
      const ref = system.ref(Greeter, GREETER)
      ref.tell("note", { text: "" })
      const { spanId, traceId } = yield* Effect.withSpan(
        Effect.tap(here, () => {
          ref.tell("note", { text: "" })
          ref.tell("note", { text: "" }, { metadata: { traceparent: "own" } })
          return Effect.void
        }),
        "outer",
      )
      expect(transport.sent.map(({ metadata }) => metadata)).toEqual([
        {},
        traces === undefined ? {} : { traceparent: `00-${traceId}-${spanId}-01` },
        { traceparent: "own" },
      ])
    }),
  )
})

describe("what an actor's effects log", () => {
  it.effect("says which system, actor and message it is about", () =>
    Effect.gen(function* () {
      const logged: Array<unknown> = []
      const logger = Logger.make<unknown, void>(({ fiber, message }) => {
        logged.push([message, { ...fiber.getRef(References.CurrentLogAnnotations) }])
      })
      yield* Effect.gen(function* () {
        const system = yield* ActorSystem.make({ name: "shop" })
        const behavior = Behavior.setup(Counter, () =>
          Effect.as(Effect.log("made"), {
            add: () => Effect.log("adding"),
            get: () => Effect.as(Effect.log("getting"), 1),
            take: () => {
              throw new Error("no")
            },
          }),
        )
        const ref = yield* system.spawn(behavior, { name: "till", supervision: Supervision.resume })
        ref.tell("add", 1)
        yield* ref.ask("get", undefined)
        yield* Effect.exit(ref.ask("take", 1))
        yield* settled
      }).pipe(Effect.annotateLogs({ region: "eu" }), Effect.provide(Logger.layer([logger])))
      const about = { region: "eu", system: "shop", actor: "@(local/till)" }
      expect(logged).toMatchObject([
        [["made"], { region: "eu" }],
        [["adding"], { ...about, message: "add" }],
        [["getting"], { ...about, message: "get" }],
        [['actor @(local/till) failed at "take"'], { ...about, message: "take" }],
      ])
    }),
  )
})

describe("metrics", () => {
  /** What is measured, by metric and attributes. */
  const measured = Effect.map(Metric.snapshot, (snapshot) =>
    Object.fromEntries(
      snapshot.map(({ attributes, id, state }) => {
        const of = Object.entries(attributes ?? {})
          .filter(([name]) => name !== "system")
          .map(([name, value]) => `${name}=${value}`)
          .toSorted()
        const { count, max, value } = state as { value?: unknown; count?: unknown; max?: unknown }
        return [`${id} ${of.join(" ")}`, value ?? (max === undefined ? count : { count, max })]
      }),
    ),
  )
  const fresh = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.suspend(() => Effect.provideService(effect, Metric.MetricRegistry, new Map()))

  it.effect("say by protocol how many actors run, what waits, how long it takes, and what goes wrong", () =>
    Effect.gen(function* () {
      const metrics = ActorMetrics.make({ sampleEvery: "10 seconds" })
      const system = yield* ActorSystem.make({ name: "shop", metrics })
      const behavior = Behavior.make(Counter, {
        add: (ms) => Effect.sleep(ms),
        get: () => 1,
        take: () => {
          throw new Error("no")
        },
      })
      const [busy, other] = [yield* system.spawn(behavior), yield* system.spawn(behavior)]
      busy.tell("add", 15_000)
      for (let i = 0; i < 4; i++) busy.tell("add", 5)
      other.tell("add", 20_000)
      other.tell("add", 5)
      yield* settled
      yield* TestClock.adjust("10 seconds")
      expect(yield* measured).toMatchObject({
        "actors protocol=counter": 2,
        "actor_mailbox_depth protocol=counter": 5,
        "actor_mailbox_depth_max protocol=counter": 4,
      })
      for (let i = 0; i < 10; i++) {
        yield* TestClock.adjust("5 seconds")
        yield* settled
      }
      yield* Effect.exit(busy.ask("take", 1))
      system.ref(Counter, "@(node/nobody)").tell("add", 1)
      yield* system.stop(other)
      yield* TestClock.adjust("10 seconds")
      yield* settled
      expect(yield* measured).toMatchObject({
        "actors protocol=counter": 1,
        "actor_mailbox_depth protocol=counter": 0,
        "actor_processing_ms message=add protocol=counter": { count: 7, max: 20_000 },
        "actor_processing_ms message=take protocol=counter": { count: 1, max: 0 },
        "actor_restarts protocol=counter": 1,
        "actor_failures kind=defect protocol=counter": 1,
        "actor_dead_letters protocol=counter reason=failed": 1,
        "actor_dead_letters protocol=none reason=undeliverable": 1,
      })
      yield* system.stop(busy)
      yield* TestClock.adjust("10 seconds")
      expect(yield* measured).toMatchObject({ "actors protocol=counter": 0 })
    }).pipe(Effect.scoped, fresh, silently),
  )

  it.effect("are not taken unless they are asked for", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem.make()
      const ref = yield* system.spawn(Behavior.make(Greeter, greeter()))
      yield* ref.ask("count", 1)
      yield* TestClock.adjust("1 minute")
      expect(yield* Metric.snapshot).toEqual([])
    }).pipe(Effect.scoped, fresh),
  )
})
