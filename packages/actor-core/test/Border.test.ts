/** What goes over the border of a process, seen from its other side: envelope by envelope. */
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import * as ActorSystem from "../src/ActorSystem.ts"
import { HUB_ADDRESS, type Address } from "../src/Address.ts"
import * as Behavior from "../src/Behavior.ts"
import * as Envelope from "../src/Envelope.ts"
import { TransportError } from "../src/Transport.ts"
import type { Handlers } from "../src/Handlers.ts"
import * as VirtualActors from "../src/VirtualActors.ts"
import { Greeter, greeter, GREETER, Rejected, settled, withLogs } from "./support/greeter.ts"
import { ScriptedTransport } from "./support/ScriptedTransport.ts"

const PEER: Address = "@(node/peer)"

const makeSystem = Effect.fnUntraced(function* (
  own: Partial<Handlers<typeof Greeter>> = {},
  wire: ScriptedTransport = new ScriptedTransport(),
) {
  const system = yield* ActorSystem.make({ transport: wire })
  yield* system.serve(Greeter, GREETER, greeter(own))
  return { system, wire }
})

/** A system that has just asked the peer to count, and the ask as it went out. */
const asking = Effect.fnUntraced(function* (wire: ScriptedTransport = new ScriptedTransport()) {
  const { system } = yield* makeSystem({}, wire)
  const fiber = yield* Effect.forkChild(Effect.result(system.ref(Greeter, PEER).ask("count", 1)), {
    startImmediately: true,
  })
  const [ask] = wire.sent
  return { system, wire, fiber, id: ask!.id }
})

describe("an ask that arrives", () => {
  it.effect("is answered by an envelope with its id, from the asked to the asker", () =>
    Effect.gen(function* () {
      const { wire } = yield* makeSystem()
      wire.arrive({ id: "a1", type: "greet", pattern: "ask", payload: { name: "Ada" } })
      yield* settled
      expect(wire.sent).toMatchObject([
        { from: GREETER, to: PEER, pattern: "tell", correlationId: "a1", payload: "hello Ada" },
      ])
    }),
  )

  it.effect("outside the protocol is refused, typed, and the handler never sees it", () =>
    Effect.gen(function* () {
      let handled = 0
      const { system, wire } = yield* makeSystem({ greet: () => String(handled++) })
      const cases = [
        ["nope", null, "unknown_message"],
        ["toString", null, "unknown_message"],
        ["__proto__", null, "unknown_message"],
        ["hub:send", null, "unknown_message"],
        ["note", { text: "a tell" }, "unknown_message"],
        ["greet", null, "invalid_payload"],
        ["greet", { name: 5 }, "invalid_payload"],
      ] as const
      for (const [type, payload] of cases) wire.arrive({ type, payload, pattern: "ask" })
      yield* settled
      expect(wire.sent.map((sent) => [sent.type, (sent.payload as { readonly code: string }).code])).toEqual(
        cases.map(([, , code]) => ["actor:error", code]),
      )
      expect(handled).toBe(0)
      expect(system.deadLetters.total).toBe(0)
    }),
  )

  it.effect("and fails, carries the typed error, and of a defect nothing", () =>
    withLogs(() =>
      Effect.gen(function* () {
        const { wire } = yield* makeSystem({
          greet: ({ name }) => Effect.fail(new Rejected({ why: name })),
          count: () => {
            throw new Error("secret")
          },
        })
        wire.arrive({ id: "a1", type: "greet", pattern: "ask", payload: { name: "no" } })
        wire.arrive({ id: "a2", type: "count", pattern: "ask", payload: 1 })
        yield* settled
        expect(wire.sent.map((sent) => sent.payload)).toEqual([
          { code: "Rejected", message: "Rejected", data: { _tag: "Rejected", why: "no" }, retryable: false },
          { code: "actor_failed", message: "the actor failed", retryable: false },
        ])
      }),
    ),
  )

  it.effect("twice while it is open is handled once (faults 31, 42)", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<number>()
      let handled = 0
      const { system, wire } = yield* makeSystem({
        count: () => {
          handled++
          return Deferred.await(gate)
        },
      })
      for (let i = 0; i < 4; i++) wire.arrive({ id: "a1", type: "count", pattern: "ask", payload: 1 })
      yield* settled
      yield* Deferred.succeed(gate, 7)
      yield* settled
      expect(handled).toBe(1)
      expect(wire.sent).toMatchObject([{ correlationId: "a1", payload: 7 }])
      expect(system.deadLetters.counts).toEqual({ duplicate: 3 })
    }),
  )

  it.effect("is cancelled by its asker only", () =>
    Effect.gen(function* () {
      let interrupted = 0
      const { wire } = yield* makeSystem({
        count: () => Effect.onInterrupt(Effect.never, () => Effect.sync(() => interrupted++)),
      })
      wire.arrive({ id: "a1", type: "count", pattern: "ask", payload: 1 })
      yield* settled
      wire.arrive({ type: "actor:cancel", correlationId: "a1", from: "@(node/eve)" })
      wire.arrive({ type: "actor:cancel", correlationId: "a2" })
      wire.arrive({ type: "actor:cancel" })
      yield* settled
      expect(interrupted).toBe(0)
      wire.arrive({ type: "actor:cancel", correlationId: "a1" })
      yield* settled
      expect(interrupted).toBe(1)
      expect(wire.sent).toEqual([])
    }),
  )

  it.effect("too late is refused unhandled", () =>
    Effect.gen(function* () {
      const { system, wire } = yield* makeSystem()
      wire.arrive({ id: "a1", type: "count", pattern: "ask", payload: 1, ttl: 0 })
      wire.arrive({ id: "t1", type: "note", payload: { text: "" }, ttl: 0 })
      yield* settled
      expect(wire.sent).toMatchObject([{ type: "actor:error", payload: { code: "message_expired" } }])
      expect(system.deadLetters.counts).toEqual({ expired: 1 })
    }),
  )

  it.effect("is told when its answer is too large for any frame, not left to wait", () =>
    Effect.gen(function* () {
      const { wire } = yield* makeSystem()
      wire.refusal = (envelope) =>
        envelope.type === "actor:error"
          ? undefined
          : new TransportError({ reason: "too_large", message: "1 MiB at most" })
      wire.arrive({ id: "a1", type: "greet", pattern: "ask", payload: { name: "Ada" } })
      yield* settled
      expect(wire.sent).toMatchObject([{ type: "actor:error", payload: { code: "message_too_large" } }])
    }),
  )

  it.effect("for an address that isn't served here is answered so", () =>
    Effect.gen(function* () {
      const { wire } = yield* makeSystem()
      wire.arrive({ id: "a1", type: "count", to: "@(node/gone)", pattern: "ask", payload: 1 })
      expect(wire.sent).toMatchObject([{ type: "actor:error", payload: { code: "unknown_actor" } }])
    }),
  )
})

describe("what arrives by a transport that keeps what is not taken", () => {
  const LATE: Address = "@(node/late)"
  const keeping = Effect.gen(function* () {
    const wire = new ScriptedTransport()
    const served: Array<Address | undefined> = []
    wire.served = (address) => void served.push(address)
    return { ...(yield* makeSystem({}, wire)), served }
  })
  const note = (text: string) => ({ type: "note", to: LATE, payload: { text } })

  it.effect("fault 78: is left to it while no actor is at its address, and is no dead letter", () =>
    Effect.gen(function* () {
      const { system, served, wire } = yield* keeping
      expect(wire.arrive(note("early"))).toBe(false)
      expect(wire.arrive({ type: "count", to: LATE, pattern: "ask", payload: 1 })).toBe(false)
      // Nobody will ever wait for these.
      expect(wire.arrive({ type: "actor:cancel", to: LATE, correlationId: "a1" })).toBe(true)
      expect(wire.arrive({ type: "actor:reply", to: LATE, correlationId: "long-ago" })).toBe(true)
      expect(wire.sent).toEqual([])
      expect(system.deadLetters.counts).toEqual({ late_answer: 1 })
      expect(served).toEqual([GREETER])
    }),
  )

  it.effect(
    "fault 78: is asked for again as an actor begins at the address, which takes it before it returns",
    () =>
      Effect.gen(function* () {
        const { served, system, wire } = yield* keeping
        const notes: Array<string> = []
        const taken: Array<unknown> = []
        wire.served = (address) => {
          served.push(address)
          if (address === LATE) taken.push(wire.arrive(note("waited")))
        }
        yield* system.serve(Greeter, LATE, greeter({ note: ({ text }) => void notes.push(text) }))
        yield* settled
        expect([taken, notes, served]).toEqual([[true], ["waited"], [GREETER, LATE]])
        yield* VirtualActors.make(system, Behavior.make(Greeter, greeter({})), { type: "virtual" })
        expect(served).toEqual([GREETER, LATE, undefined])
        expect(wire.arrive({ ...note("first"), to: "@(virtual/one)" })).toBe(true)
      }),
  )

  it.effect("fault 78: is a dead letter when it is given up", () =>
    Effect.gen(function* () {
      const { system, wire } = yield* keeping
      expect(wire.arrive(note("too late"), true)).toBe(true)
      expect(wire.arrive({ type: "count", to: LATE, pattern: "ask", payload: 1 }, true)).toBe(true)
      expect(system.deadLetters.counts).toEqual({ unclaimed: 2 })
      // The transport tells who asked.
      expect(wire.sent).toEqual([])
    }),
  )
})

describe("a tell that leaves", () => {
  it.effect("says that it is reliable where its sender does", () =>
    Effect.gen(function* () {
      const { system, wire } = yield* makeSystem()
      const peer = system.ref(Greeter, PEER)
      peer.tell("note", { text: "lightly" })
      peer.tell("note", { text: "surely" }, { reliable: true })
      yield* peer.offer("note", { text: "surely, in time" }, { reliable: true, ttl: 500 })
      expect(wire.sent).toMatchObject([
        { payload: { text: "lightly" } },
        { payload: { text: "surely" }, seq: Envelope.UNNUMBERED, ttl: null },
        { payload: { text: "surely, in time" }, seq: Envelope.UNNUMBERED, ttl: 500 },
      ])
      expect(wire.sent[0]).not.toHaveProperty("seq")
    }),
  )
})

describe("a tell that arrives", () => {
  it.effect("outside the protocol is a dead letter, with why", () =>
    Effect.gen(function* () {
      const { system, wire } = yield* makeSystem()
      wire.arrive({ type: "nope" })
      wire.arrive({ type: "note", payload: { text: 5 } })
      wire.arrive({ type: "note", to: "@(node/gone)", payload: { text: "" } })
      yield* settled
      expect(system.deadLetters.recent().map((letter) => letter.reason)).toEqual([
        "unknown_message",
        "invalid_payload",
        "unknown_actor",
      ])
      expect(wire.sent).toEqual([])
    }),
  )

  it.effect("of a message that is asked is handled, and its answer dropped", () =>
    Effect.gen(function* () {
      let handled = 0
      const { wire } = yield* makeSystem({ count: () => ++handled })
      wire.arrive({ type: "count", payload: 1 })
      yield* settled
      expect(handled).toBe(1)
      expect(wire.sent).toEqual([])
    }),
  )
})

describe("an ask that goes out", () => {
  it.effect("carries its time limit as ttl, and begins no two ids alike", () =>
    Effect.gen(function* () {
      const { system, wire } = yield* makeSystem()
      const peer = system.ref(Greeter, PEER)
      const once = { startImmediately: true } as const
      yield* Effect.forkChild(Effect.exit(peer.ask("count", 1)), once)
      yield* Effect.forkChild(Effect.exit(peer.ask("count", 1, { timeout: "5 seconds" })), once)
      yield* Effect.forkChild(Effect.exit(peer.ask("count", 1, { timeout: "Infinity" })), once)
      expect(wire.sent.map((sent) => sent.ttl)).toEqual([30_000, 5_000, 86_400_000])
      expect(new Set(wire.sent.map((sent) => sent.id)).size).toBe(3)
    }),
  )

  it.effect("ends with the answer of who was asked, and of nobody else", () =>
    Effect.gen(function* () {
      const { fiber, id, system, wire } = yield* asking()
      wire.arrive({ type: "x", correlationId: id, payload: 666, from: "@(node/eve)" })
      wire.arrive({ type: "hub:error", correlationId: id, payload: { code: "timeout" }, from: "@(node/eve)" })
      wire.arrive({ type: "actor:error", correlationId: id, payload: { code: "x" }, from: "@(node/eve)" })
      wire.arrive({ type: "x", correlationId: id, payload: 667, from: HUB_ADDRESS })
      expect(fiber.pollUnsafe()).toBeUndefined()
      wire.arrive({ type: "whatever", correlationId: id, payload: 2 })
      expect(yield* Fiber.join(fiber)).toMatchObject({ _tag: "Success", success: 2 })
      expect(system.deadLetters.counts).toEqual({ unexpected_answer: 4 })
    }),
  )

  it.effect("fault 67: is answered by who has it in another's place only where the server says so", () =>
    Effect.gen(function* () {
      const deputy = { type: "whatever", from: "@(node/deputy)", payload: 2 } as const
      const { fiber, id, system, wire } = yield* asking(new ScriptedTransport(true))
      wire.arrive({ type: "hub:error", correlationId: id, payload: { code: "timeout" }, from: "@(node/eve)" })
      wire.arrive({ type: "hub:pong", correlationId: id, payload: 666, from: HUB_ADDRESS })
      wire.arrive({ ...deputy, correlationId: id, payload: 667 })
      wire.arrive({ ...deputy, correlationId: id, metadata: { answeredFor: "@(node/other)" } })
      expect(fiber.pollUnsafe()).toBeUndefined()
      wire.arrive({ ...deputy, correlationId: id, metadata: { answeredFor: PEER } })
      expect(yield* Fiber.join(fiber)).toMatchObject({ _tag: "Success", success: 2 })
      expect(system.deadLetters.counts).toEqual({ unexpected_answer: 4 })
    }),
  )

  it.effect(
    "fault 67: believes nobody's word for whom an answer is, where the transport does not vouch",
    () =>
      Effect.gen(function* () {
        const { fiber, id, wire } = yield* asking()
        const forged = { type: "x", from: "@(node/eve)", metadata: { answeredFor: PEER } } as const
        wire.arrive({ ...forged, correlationId: id, payload: 666 })
        expect(fiber.pollUnsafe()).toBeUndefined()
        wire.arrive({ type: "x", correlationId: id, payload: 2 })
        expect(yield* Fiber.join(fiber)).toMatchObject({ success: 2 })
      }),
  )

  it.effect("fault 67: is not ended by an ask that names its id, whoever sends that", () =>
    Effect.gen(function* () {
      for (const guards of [false, true]) {
        const { fiber, id, wire } = yield* asking(new ScriptedTransport(guards))
        wire.arrive({ type: "x", pattern: "ask", correlationId: id, payload: 666 })
        wire.arrive({ type: "hub:error", pattern: "ask", correlationId: id, from: HUB_ADDRESS })
        expect(fiber.pollUnsafe()).toBeUndefined()
        wire.arrive({ type: "x", correlationId: id, payload: 2 })
        expect(yield* Fiber.join(fiber)).toMatchObject({ success: 2 })
      }
    }),
  )

  it.effect(
    "is not ended by a copy of what it sent itself, nor by any message without its id (fault 35)",
    () =>
      Effect.gen(function* () {
        const { fiber, id, system, wire } = yield* asking()
        wire.arrive({ id, type: "count", payload: 1, metadata: { broadcast: true, via: HUB_ADDRESS } })
        wire.arrive({
          id,
          type: "note",
          payload: { text: "" },
          metadata: { publication: true, via: HUB_ADDRESS },
        })
        wire.arrive({ type: "note", correlationId: "another", payload: { text: "" } })
        yield* settled
        expect(fiber.pollUnsafe()).toBeUndefined()
        expect(system.deadLetters.counts).toEqual({ late_answer: 1 })
      }),
  )

  it.effect("ends with the hub's failure, typed", () =>
    Effect.gen(function* () {
      const failures = [
        ["hub:unknown_actor", { actorAddress: PEER, message: "" }, "UnknownActor"],
        ["hub:error", { code: "actor_terminated" }, "ActorTerminated"],
        ["hub:error", { code: "timeout" }, "AskTimeout"],
        ["hub:error", { code: "forbidden" }, "AskRefused"],
      ] as const
      for (const [type, payload, tag] of failures) {
        const { fiber, id, wire } = yield* asking()
        wire.arrive({ type, payload, correlationId: id, from: HUB_ADDRESS })
        expect(yield* Fiber.join(fiber)).toMatchObject({ _tag: "Failure", failure: { _tag: tag } })
      }
    }),
  )

  it.effect("is answered once: what comes after is a dead letter", () =>
    Effect.gen(function* () {
      const { fiber, id, system, wire } = yield* asking()
      wire.arrive({ type: "x", correlationId: id, payload: 2 })
      wire.arrive({ type: "x", correlationId: id, payload: 3 })
      wire.arrive({ type: "hub:error", correlationId: id, payload: { code: "timeout" }, from: HUB_ADDRESS })
      expect(yield* Fiber.join(fiber)).toMatchObject({ success: 2 })
      expect(system.deadLetters.counts).toEqual({ late_answer: 1, refused: 1 })
    }),
  )

  it.effect("that is given up is cancelled at the actor, once; its answer is late", () =>
    Effect.gen(function* () {
      const ends: ReadonlyArray<(fiber: Fiber.Fiber<unknown, unknown>) => Effect.Effect<void>> = [
        Fiber.interrupt,
        () => TestClock.adjust("30 seconds"),
      ]
      for (const end of ends) {
        const { fiber, id, system, wire } = yield* asking()
        yield* end(fiber)
        expect(wire.sent.slice(1)).toMatchObject([
          { type: "actor:cancel", to: PEER, pattern: "tell", correlationId: id },
        ])
        wire.arrive({ type: "x", correlationId: id, payload: 2 })
        expect(system.deadLetters.counts).toEqual({ late_answer: 1 })
      }
    }),
  )

  it.effect("gets no answer from outside the protocol", () =>
    Effect.gen(function* () {
      const { fiber, id, wire } = yield* asking()
      wire.arrive({ type: "x", correlationId: id, payload: "two" })
      expect(yield* Fiber.join(fiber)).toMatchObject({
        failure: { _tag: "ActorFailed", code: "invalid_answer" },
      })
    }),
  )

  it.effect("keeps the data of an error that its protocol doesn't know", () =>
    Effect.gen(function* () {
      const { fiber, id, wire } = yield* asking()
      const payload = { code: "Newer", message: "m", data: { since: 2 }, retryable: true }
      wire.arrive({ type: "actor:error", correlationId: id, payload })
      expect(yield* Fiber.join(fiber)).toMatchObject({ failure: { _tag: "ActorFailed", ...payload } })
    }),
  )

  it.effect("that the transport refuses fails at once, typed; a tell is a dead letter", () =>
    Effect.gen(function* () {
      const { system, wire } = yield* makeSystem()
      const peer = system.ref(Greeter, PEER)
      wire.refusal = () => new TransportError({ reason: "queue_full", message: "full" })
      expect(yield* Effect.flip(peer.ask("count", 1))).toMatchObject({ code: "queue_full", retryable: true })
      wire.refusal = () => new TransportError({ reason: "too_large", message: "big" })
      expect(yield* Effect.flip(peer.ask("count", 1))).toMatchObject({ code: "message_too_large" })
      peer.tell("note", { text: "" })
      expect(system.deadLetters.counts).toEqual({ undeliverable: 1 })
    }),
  )
})
