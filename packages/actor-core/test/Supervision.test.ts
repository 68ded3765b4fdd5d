import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as TestClock from "effect/testing/TestClock"
import type { SpawnOptions } from "../src/ActorContext.ts"
import type { ActorRef } from "../src/ActorRef.ts"
import * as ActorSystem from "../src/ActorSystem.ts"
import * as Behavior from "../src/Behavior.ts"
import * as Signal from "../src/Signal.ts"
import * as Supervision from "../src/Supervision.ts"
import { Counter } from "./support/counter.ts"
import { settled, silently } from "./support/greeter.ts"

const BOOM = 13

/** Counts, and fails at `add(13)`; says in `log` what it goes through. */
const fragile = (log: Array<string> = [], name = "") =>
  Behavior.setup(Counter, (context) => {
    let count = 0
    log.push(`${name}start`)
    return {
      add: (by) => {
        if (by === BOOM) throw new Error("boom")
        count += by
      },
      get: () => count,
      take: (by) => (by === BOOM ? Effect.die(new Error("boom")) : count),
      [Signal.preRestart]: () => void log.push(`${name}preRestart ${count}`),
      [Signal.postRestart]: () => void log.push(`${name}postRestart ${count}`),
      [Signal.postStop]: () => void log.push(`${name}postStop ${context.self.protocol.name}`),
    }
  })

/** An actor with three such children; `get` of the parent is how often it was started. */
const family = (supervision: Supervision.Supervision, own: SpawnOptions = {}) =>
  Effect.gen(function* () {
    const log: Array<string> = []
    const children: Array<ActorRef<typeof Counter>> = []
    const system = yield* ActorSystem.make()
    let starts = 0
    const parent = yield* system.spawn(
      Behavior.setup(Counter, (context) => {
        starts++
        children.length = 0
        for (const name of ["a", "b", "c"])
          children.push(context.spawn(fragile(log, name), { name, supervision }))
        return { add: () => undefined, get: () => starts, take: (by) => by }
      }),
      { name: "parent", ...own },
    )
    expect(yield* parent.ask("get", undefined)).toBe(1)
    for (const child of children) {
      child.tell("add", 1)
      yield* child.ask("get", undefined)
    }
    log.length = 0
    return { system, parent, children, log }
  })

describe("supervision", () => {
  it.effect("restart: the state is fresh, the mailbox kept, the hooks run (fault 43)", () =>
    silently(
      Effect.gen(function* () {
        const system = yield* ActorSystem.make()
        const log: Array<string> = []
        const actor = yield* system.spawn(fragile(log))
        for (const by of [5, BOOM, 1, 2]) actor.tell("add", by)
        expect(yield* actor.ask("get", undefined)).toBe(3)
        expect(log).toEqual(["start", "preRestart 5", "start", "postRestart 0"])
      }),
    ),
  )

  it.effect("is wired: a failing actor is restarted, stopped, resumed or escalated (faults 43, 44)", () =>
    silently(
      Effect.gen(function* () {
        const outcomes: Array<unknown> = []
        for (const supervision of [
          Supervision.restart(),
          Supervision.resume,
          Supervision.stop,
          Supervision.escalate,
        ]) {
          const system = yield* ActorSystem.make()
          const actor = yield* system.spawn(fragile(), { supervision })
          actor.tell("add", 5)
          actor.tell("add", BOOM)
          yield* settled
          outcomes.push(yield* Effect.result(actor.ask("get", undefined)))
        }
        expect(outcomes).toMatchObject([
          { success: 0 },
          { success: 5 },
          { failure: { _tag: "UnknownActor" } },
          { failure: { _tag: "UnknownActor" } },
        ])
      }),
    ),
  )

  it.effect("the failing message is a dead letter with its cause; its asker hears actor_failed", () =>
    silently(
      Effect.gen(function* () {
        const system = yield* ActorSystem.make()
        const actor = yield* system.spawn(fragile())
        actor.tell("add", BOOM)
        expect(yield* Effect.flip(actor.ask("take", BOOM))).toMatchObject({
          _tag: "ActorFailed",
          code: "actor_failed",
        })
        const letters = system.deadLetters.recent()
        expect(letters).toMatchObject([
          { reason: "failed", envelope: { type: "add", payload: BOOM, pattern: "tell" } },
          { reason: "failed", envelope: { type: "take", payload: BOOM, pattern: "ask" } },
        ])
        for (const letter of letters) expect(String(letter.cause)).toContain("boom")
      }),
    ),
  )

  it.effect("tells failed effects from defects", () =>
    silently(
      Effect.gen(function* () {
        const failures: Array<Supervision.Failure> = []
        const system = yield* ActorSystem.make()
        const actor = yield* system.spawn(
          Behavior.make(Counter, {
            add: (by) => (by === 1 ? Effect.fail("typed" as never) : Effect.die("defect")),
            get: () => 0,
            take: () => 0,
          }),
          {
            supervision: (failure) => {
              failures.push(failure)
              return failure.kind === "error" ? Supervision.resume : Supervision.stop
            },
          },
        )
        actor.tell("add", 1)
        actor.tell("add", 2)
        yield* system.watch(actor)
        expect(failures).toMatchObject([
          { kind: "error", error: "typed", message: "add", actor: actor.address },
          { kind: "defect", error: "defect", message: "add" },
        ])
      }),
    ),
  )

  it.effect.each([
    ["one-for-one", ["bpreRestart 1", "bstart", "bpostRestart 0"], [1, 0, 1]],
    [
      "one-for-all",
      [
        "cpreRestart 1",
        "bpreRestart 1",
        "apreRestart 1",
        "astart",
        "bstart",
        "cstart",
        "apostRestart 0",
        "bpostRestart 0",
        "cpostRestart 0",
      ],
      [0, 0, 0],
    ],
    [
      "rest-for-one",
      ["cpreRestart 1", "bpreRestart 1", "bstart", "cstart", "bpostRestart 0", "cpostRestart 0"],
      [1, 0, 0],
    ],
  ] as const)(
    "%s restarts whom it says, stopped last to first, started first to last",
    ([siblings, went, counts]) =>
      silently(
        Effect.gen(function* () {
          const { children, log, parent } = yield* family(Supervision.restart({ siblings }))
          children[1]!.tell("add", BOOM)
          yield* settled
          // Once begun, each goes its own way.
          const hook = (line: string) => line.includes("postRestart")
          expect([...log.filter((line) => !hook(line)), ...log.filter(hook).toSorted()]).toEqual(went)
          const now = yield* Effect.forEach(children, (child) => child.ask("get", undefined))
          expect(now).toEqual(counts)
          expect(yield* parent.ask("get", undefined)).toBe(1)
        }),
      ),
  )

  it.effect("escalate: the parent's own supervision decides; restarted, it has new children", () =>
    silently(
      Effect.gen(function* () {
        const { children, log, parent, system } = yield* family(Supervision.escalate)
        const [, second] = children
        second!.tell("add", BOOM)
        yield* settled
        expect(yield* parent.ask("get", undefined)).toBe(2)
        expect(log).toEqual([
          "cpostStop counter",
          "bpostStop counter",
          "apostStop counter",
          "astart",
          "bstart",
          "cstart",
        ])
        expect(children[1]!.address).toBe("@(local/parent/b)")
        expect(yield* system.ref(Counter, "@(local/parent/b)").ask("get", undefined)).toBe(0)
      }),
    ),
  )

  it.effect("escalate to a parent that resumes: the child goes on as it was", () =>
    silently(
      Effect.gen(function* () {
        const { children, parent } = yield* family(Supervision.escalate, { supervision: Supervision.resume })
        children[1]!.tell("add", BOOM)
        expect(yield* children[1]!.ask("get", undefined)).toBe(1)
        expect(yield* parent.ask("get", undefined)).toBe(1)
      }),
    ),
  )

  it.effect("a poison message that fails after each restart ends the actor, not the process", () =>
    silently(
      Effect.gen(function* () {
        const system = yield* ActorSystem.make()
        const actor = yield* system.spawn(fragile(), {
          supervision: Supervision.restart({ intensity: { restarts: 3, within: "1 second" } }),
        })
        for (let i = 0; i < 10; i++) actor.tell("add", BOOM)
        expect(yield* system.watch(actor)).toEqual({ address: actor.address, reason: "failed" })
        expect(system.events.counts).toMatchObject({ ActorRestarted: 3, ActorFailed: 4 })
        expect(system.deadLetters.counts).toEqual({ failed: 4, terminated: 6 })
      }),
    ),
  )

  it.effect("too many restarts end the actor alone where it is to stop then; else its parent decides", () =>
    silently(
      Effect.gen(function* () {
        const intensity = { restarts: 1, within: "1 second" } as const
        for (const [exhausted, starts, stopped] of [
          ["stop", 1, ["@(local/parent/b)"]],
          ["escalate", 2, ["@(local/parent/c)", "@(local/parent/b)", "@(local/parent/a)"]],
        ] as const) {
          const { children, parent, system } = yield* family(Supervision.restart({ intensity, exhausted }))
          const ends: Array<string> = []
          system.events.subscribe("ActorStopped", ({ address }) => void ends.push(address))
          const [, second] = children
          second!.tell("add", BOOM)
          second!.tell("add", BOOM)
          yield* settled
          expect(yield* parent.ask("get", undefined)).toBe(starts)
          expect(ends).toEqual(stopped)
        }
      }),
    ),
  )

  it.effect("restarts go on for ever where they keep to the intensity", () =>
    silently(
      Effect.gen(function* () {
        const system = yield* ActorSystem.make()
        const actor = yield* system.spawn(fragile(), {
          supervision: Supervision.restart({ intensity: { restarts: 1, within: "1 second" } }),
        })
        for (let i = 0; i < 5; i++) {
          actor.tell("add", BOOM)
          expect(yield* actor.ask("get", undefined)).toBe(0)
          yield* TestClock.adjust("1 second")
        }
        expect(system.events.counts).toMatchObject({ ActorRestarted: 5 })
      }),
    ),
  )

  it.effect("backoff waits as its schedule says, and messages wait with it", () =>
    silently(
      Effect.gen(function* () {
        const system = yield* ActorSystem.make()
        const log: Array<string> = []
        const actor = yield* system.spawn(fragile(log), {
          supervision: Supervision.restart({ backoff: Schedule.exponential("100 millis") }),
        })
        actor.tell("add", BOOM)
        const first = yield* Effect.forkChild(actor.ask("get", undefined), { startImmediately: true })
        yield* TestClock.adjust("99 millis")
        expect(log).toEqual(["start", "preRestart 0"])
        yield* TestClock.adjust("1 millis")
        expect(yield* Fiber.join(first)).toBe(0)
        actor.tell("add", BOOM)
        yield* settled
        log.length = 0
        yield* TestClock.adjust("199 millis")
        expect(log).toEqual([])
        yield* TestClock.adjust("1 millis")
        expect(log).toEqual(["start", "postRestart 0"])
      }),
    ),
  )

  it.effect("a behavior that can't be made is a failure: restarted, then given up", () =>
    silently(
      Effect.gen(function* () {
        const system = yield* ActorSystem.make()
        let tries = 0
        const broken = Behavior.setup(Counter, () => {
          tries++
          return Effect.fail("no database")
        })
        const actor = yield* system.spawn(broken, {
          supervision: Supervision.restart({ intensity: { restarts: 2, within: "1 minute" } }),
        })
        actor.tell("add", 1)
        expect(yield* system.watch(actor)).toMatchObject({ reason: "failed" })
        expect(tries).toBe(3)
        expect(system.deadLetters.counts).toEqual({ terminated: 1 })
      }),
    ),
  )

  it.effect("a supervision that throws stops the actor", () =>
    silently(
      Effect.gen(function* () {
        const system = yield* ActorSystem.make()
        const actor = yield* system.spawn(fragile(), {
          supervision: () => {
            throw new Error("no decision")
          },
        })
        actor.tell("add", BOOM)
        expect(yield* system.watch(actor)).toMatchObject({ reason: "failed" })
      }),
    ),
  )
})
