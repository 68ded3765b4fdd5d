import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import * as fc from "fast-check"
import { test } from "vitest"
import * as ActorSystem from "../../src/ActorSystem.ts"
import type { Address } from "../../src/Address.ts"
import * as InMemoryTransport from "../../src/InMemoryTransport.ts"
import * as FaultyTransport from "../../src/testing/FaultyTransport.ts"
import { pass, settle } from "../../src/testing/TestTime.ts"
import { TransportError } from "../../src/Transport.ts"
import { Counter } from "../support/counter.ts"
import { silently } from "../support/greeter.ts"

const FAR: Address = "@(node/counter)"

/** An actor that logs what it gets, and one who sends to it over a transport with faults. */
const world = Effect.fnUntraced(function* (script?: FaultyTransport.Script) {
  const network = yield* InMemoryTransport.makeNetwork()
  const far = yield* ActorSystem.make({ transport: yield* network.connect })
  const log: Array<number> = []
  const scope = yield* Effect.scope
  yield* far.serve(Counter, FAR, {
    add: (by) => void log.push(by),
    get: () => log.length,
    take: (by) => {
      log.push(by)
      return by
    },
  })
  const faulty = yield* FaultyTransport.make(yield* network.connect, script)
  const near = yield* ActorSystem.make({ transport: faulty })
  return { far, near, faulty, log, scope, actor: near.ref(Counter, FAR) }
})

describe("a transport with faults", () => {
  const tells = (script: FaultyTransport.Script) =>
    Effect.gen(function* () {
      const { actor, faulty, log } = yield* world(script)
      for (const n of [1, 2, 3, 4]) actor.tell("add", n)
      yield* settle
      return { faulty, log }
    })
  const only =
    (n: number, fault: FaultyTransport.Fault): FaultyTransport.Script =>
    (passage) =>
      passage.direction === "out" && passage.n === n ? fault : "pass"

  it.effect("loses, doubles, swaps, delays and refuses as the script says", () =>
    Effect.gen(function* () {
      expect((yield* tells(() => "pass")).log).toEqual([1, 2, 3, 4])
      expect((yield* tells(only(2, "drop"))).log).toEqual([1, 3, 4])
      expect((yield* tells(only(2, "duplicate"))).log).toEqual([1, 2, 2, 3, 4])
      expect((yield* tells(only(2, "swap"))).log).toEqual([1, 3, 2, 4])
      const delayed = yield* tells(only(2, { delay: "5 seconds" }))
      expect(delayed.log).toEqual([1, 3, 4])
      yield* pass("5 seconds")
      expect(delayed.log).toEqual([1, 3, 4, 2])
      const error = new TransportError({ reason: "queue_full", message: "full" })
      const { faulty, log } = yield* tells(only(2, { refuse: error }))
      expect(log).toEqual([1, 3, 4])
      expect(faulty.passed.map(({ fault }) => (typeof fault === "object" ? "refused" : fault))).toEqual([
        "pass",
        "refused",
        "pass",
        "pass",
      ])
    }),
  )

  it.effect("an ask whose answer is lost ends AskTimeout; one that comes late is a dead letter", () =>
    Effect.gen(function* () {
      const { actor, faulty, near } = yield* world()
      faulty.script = ({ direction }) => (direction === "in" ? "drop" : "pass")
      const lost = yield* Effect.forkChild(Effect.flip(actor.ask("get", undefined, { timeout: "1 second" })))
      yield* pass("1 second")
      expect(yield* Fiber.join(lost)).toMatchObject({ _tag: "AskTimeout" })
      faulty.script = ({ direction }) => (direction === "in" ? { delay: "2 seconds" } : "pass")
      const late = yield* Effect.forkChild(Effect.flip(actor.ask("get", undefined, { timeout: "1 second" })))
      yield* pass("2 seconds")
      expect(yield* Fiber.join(late)).toMatchObject({ _tag: "AskTimeout" })
      expect(near.deadLetters.counts).toEqual({ late_answer: 1 })
    }),
  )

  it.effect("cut, it loses what is sent, or keeps it until it reconnects", () =>
    Effect.gen(function* () {
      const { actor, faulty, log } = yield* world()
      faulty.cut()
      actor.tell("add", 1)
      faulty.reconnect()
      actor.tell("add", 2)
      faulty.cut("wait")
      actor.tell("add", 3)
      actor.tell("add", 4)
      yield* settle
      expect(log).toEqual([2])
      faulty.reconnect()
      yield* settle
      expect(log).toEqual([2, 3, 4])
      expect(faulty.passed.map(({ fault }) => fault)).toEqual(["cut", "pass", "cut", "cut"])
    }),
  )

  it.effect("fault 46: ended, it takes nothing, its watches fail, and it does not come back", () =>
    Effect.gen(function* () {
      const { actor, faulty, log, near } = yield* world()
      const watched = yield* Effect.forkChild(near.watch(actor), { startImmediately: true })
      yield* settle
      faulty.end()
      expect(yield* Fiber.join(watched)).toMatchObject({ reason: "closed" })
      faulty.reconnect()
      faulty.cut("wait")
      actor.tell("add", 1)
      expect(yield* Effect.flip(actor.ask("get", undefined))).toMatchObject({
        _tag: "AskRefused",
        code: "closed",
      })
      yield* settle
      expect(log).toEqual([])
      expect(near.deadLetters.counts).toEqual({ undeliverable: 1 })
    }),
  )
})

/** No ask is sent twice: that is the sender's own mistake, and refused. */
const once =
  (script: FaultyTransport.Script): FaultyTransport.Script =>
  (passage) => {
    const fault = script(passage)
    return fault === "duplicate" && passage.direction === "out" ? "pass" : fault
  }

test("whatever is lost, late, doubled or overtaken: each ask ends once, by its own answer or its time limit", () =>
  fc.assert(
    fc.asyncProperty(fc.integer(), fc.integer({ min: 1, max: 20 }), (seed, count) =>
      Effect.gen(function* () {
        const { actor, faulty, log, near } = yield* world(
          once(
            FaultyTransport.random(seed, {
              drop: 0.1,
              duplicate: 0.15,
              swap: 0.1,
              delay: 0.3,
              longest: "3 seconds",
            }),
          ),
        )
        const ends: Array<string> = []
        for (let n = 0; n < count; n++) {
          yield* actor.ask("take", n, { timeout: "2 seconds" }).pipe(
            Effect.match({
              onSuccess: (answer) =>
                void ends.push(`${n} ${answer === n ? "answered" : `answered with ${answer}`}`),
              onFailure: ({ _tag }) => void ends.push(`${n} ${_tag}`),
            }),
            Effect.forkChild({ startImmediately: true }),
          )
        }
        yield* pass("10 seconds")
        expect(ends.length).toBe(count)
        for (const end of ends) expect(end).toMatch(/ (answered|AskTimeout)$/)
        // What is answered was done; a delivery that is repeated after the answer is the hub's to find.
        for (const end of ends) if (end.endsWith("answered")) expect(log).toContain(Number(end.split(" ")[0]))
        expect(faulty.passed.length).toBeGreaterThanOrEqual(count)
        yield* near.shutdown()
      }).pipe(silently, Effect.scoped, Effect.provide(TestClock.layer()), Effect.runPromise),
    ),
    { numRuns: 100 },
  ))
