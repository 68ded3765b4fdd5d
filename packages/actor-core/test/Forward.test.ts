import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import type { ActorContext, SpawnOptions } from "../src/ActorContext.ts"
import * as ActorSystem from "../src/ActorSystem.ts"
import type { Address } from "../src/Address.ts"
import * as Behavior from "../src/Behavior.ts"
import * as Envelope from "../src/Envelope.ts"
import * as InMemoryTransport from "../src/InMemoryTransport.ts"
import * as Protocol from "../src/Protocol.ts"
import { settled } from "./support/greeter.ts"
import { ScriptedTransport } from "./support/ScriptedTransport.ts"

const Desk = Protocol.make("desk", {
  note: Protocol.tell({ payload: Schema.String }),
  question: Protocol.ask({
    payload: Schema.String,
    success: Schema.String,
    error: Schema.Literal("unknown"),
  }),
})
const Other = Protocol.make("other", { note: Protocol.tell({ payload: Schema.String }) })
const CLERK: Address = "@(node/clerk)"

/** Passes everything on to the clerk, wherever that is. */
const frontDesk = Behavior.make(Desk, {
  note: (_, context) => context.forward(context.ref(Desk, CLERK)),
  question: (_, context) => {
    context.forward(context.ref(Desk, CLERK))
    return "what a handler returns after it forwarded is dropped"
  },
})

const clerk = (seen: Array<unknown>) =>
  Behavior.make(Desk, {
    note: (text, { metadata, sender }) => void seen.push([text, sender, metadata]),
    question: (text, { sender }) => {
      seen.push([text, sender])
      return text === "?" ? Effect.fail("unknown" as const) : `re: ${text}`
    },
  })

/** An actor that runs what it is given in its own name. */
const actorAt = (system: ActorSystem.ActorSystem, address: Address) =>
  Effect.gen(function* () {
    let own: ActorContext<typeof Other> | undefined
    yield* system.spawn(
      Behavior.setup(Other, (context) => {
        own = context
        return { note: () => undefined }
      }),
      { address },
    )
    yield* settled
    return own!
  })

describe("a message that is forwarded", () => {
  it.effect("keeps its sender, and who gets it answers (fault 43)", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem.make()
      const seen: Array<unknown> = []
      const desk = yield* system.spawn(frontDesk)
      yield* system.spawn(clerk(seen), { address: CLERK })
      const visitor = yield* actorAt(system, "@(node/visitor)")
      const asDesk = visitor.ref(desk)
      asDesk.tell("note", "hi", { metadata: { a: 1 } })
      expect(yield* asDesk.ask("question", "why")).toBe("re: why")
      expect(yield* Effect.flip(asDesk.ask("question", "?"))).toBe("unknown")
      expect(seen).toEqual([
        ["hi", "@(node/visitor)", { a: 1 }],
        ["why", "@(node/visitor)"],
        ["?", "@(node/visitor)"],
      ])
      expect(system.deadLetters.total).toBe(0)
    }),
  )

  it.effect("is cancelled where it is when its asker gives up", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem.make()
      let interrupted = 0
      const desk = yield* system.spawn(frontDesk)
      yield* system.spawn(
        Behavior.make(Desk, {
          note: () => undefined,
          question: () => Effect.onInterrupt(Effect.never, () => Effect.sync(() => interrupted++)),
        }),
        { address: CLERK },
      )
      const asking = yield* Effect.forkChild(Effect.flip(desk.ask("question", "why")))
      yield* TestClock.adjust("30 seconds")
      expect(yield* Fiber.join(asking)).toMatchObject({ _tag: "AskTimeout" })
      expect(interrupted).toBe(1)
    }),
  )

  it.effect("to an actor that doesn't take it is refused: the ask typed, the tell a dead letter", () =>
    Effect.gen(function* () {
      const system = yield* ActorSystem.make()
      const desk = yield* system.spawn(frontDesk)
      yield* actorAt(system, CLERK)
      expect(yield* Effect.flip(desk.ask("question", "why"))).toMatchObject({ code: "unknown_message" })
      yield* system.stop(system.ref(Other, CLERK))
      expect(yield* Effect.flip(desk.ask("question", "why"))).toMatchObject({ _tag: "UnknownActor" })
      desk.tell("note", "hi")
      yield* settled
      expect(system.deadLetters.counts).toEqual({ undeliverable: 1 })
    }),
  )

  it.effect("from elsewhere to elsewhere keeps its id, and names it in forwardOf (fault 43)", () =>
    Effect.gen(function* () {
      const wire = new ScriptedTransport()
      const system = yield* ActorSystem.make({ transport: wire })
      yield* system.spawn(frontDesk, { address: "@(node/greeter)" })
      wire.arrive({
        id: "a1",
        type: "question",
        pattern: "ask",
        payload: "why",
        ttl: 5_000,
        metadata: { a: 1 },
      })
      yield* settled
      expect(wire.sent).toMatchObject([
        {
          id: "a1",
          from: "@(node/peer)",
          to: CLERK,
          type: "question",
          pattern: "ask",
          payload: "why",
          ttl: 5_000,
          metadata: { a: 1, forwardOf: "a1" },
        },
      ])
      // It is the clerk's now: the desk's end is not the ask's.
      yield* system.stop(system.ref(Desk, "@(node/greeter)"))
      expect(wire.sent.length).toBe(1)
    }),
  )

  it.effect("elsewhere as reliably as it came", () =>
    Effect.gen(function* () {
      const wire = new ScriptedTransport()
      const system = yield* ActorSystem.make({ transport: wire })
      yield* system.spawn(frontDesk, { address: "@(node/greeter)" })
      wire.arrive({ type: "note", payload: "hi", seq: 7 })
      wire.arrive({ type: "note", payload: "ho" })
      yield* settled
      expect(wire.sent.map(({ payload, seq }) => [payload, seq])).toEqual([
        ["hi", Envelope.UNNUMBERED],
        ["ho", undefined],
      ])
    }),
  )

  it.effect("from here to elsewhere is asked there, and its answer comes back through", () =>
    Effect.gen(function* () {
      const wire = new ScriptedTransport()
      const system = yield* ActorSystem.make({ transport: wire })
      const desk = yield* system.spawn(frontDesk)
      for (const [type, payload, end] of [
        ["x", "because", { success: "because" }],
        ["actor:error", { code: "actor_error", message: "", data: "unknown" }, { failure: "unknown" }],
        ["actor:error", { code: "actor_failed", message: "" }, { failure: { _tag: "ActorFailed" } }],
      ] as const) {
        const asking = yield* Effect.forkChild(Effect.result(desk.ask("question", "why")), {
          startImmediately: true,
        })
        yield* settled
        const sent = wire.sent.at(-1)!
        expect(sent).toMatchObject({
          to: CLERK,
          type: "question",
          pattern: "ask",
          payload: "why",
          ttl: 30_000,
        })
        wire.arrive({ type, payload, correlationId: sent.id, from: CLERK })
        expect(yield* Fiber.join(asking)).toMatchObject(end)
      }
    }),
  )
})

describe("an ask that somebody elsewhere forwards here", () => {
  const EVE: Address = "@(node/eve)"
  const byEve = { forwardOf: "a1", forwardedBy: EVE }
  const question = { id: "a1", type: "question", pattern: "ask", payload: "why", to: CLERK } as const

  /** A clerk that says who it believes has asked, and whose word the question is. */
  const witness = Behavior.make(Desk, {
    note: () => undefined,
    question: (text, { forwardedBy, sender }) => `${sender} by ${forwardedBy}: ${text}`,
  })

  const at = (acceptForwards?: SpawnOptions["acceptForwards"]) =>
    Effect.gen(function* () {
      const wire = new ScriptedTransport(true)
      const system = yield* ActorSystem.make({ transport: wire })
      const options = acceptForwards === undefined ? {} : { acceptForwards }
      yield* system.spawn(witness, { address: CLERK, ...options })
      return { system, wire }
    })

  it.effect("fault 68: is refused where a client forwards it and the actor does not accept that", () =>
    Effect.gen(function* () {
      for (const option of [undefined, false, (by: Address) => by !== EVE] as const) {
        const { system, wire } = yield* at(option)
        wire.arrive({ ...question, metadata: byEve })
        wire.arrive({ type: "note", payload: "hi", to: CLERK, metadata: byEve })
        wire.arrive({ ...question, id: "a2" })
        yield* settled
        expect(wire.sent).toMatchObject([
          { type: "actor:error", correlationId: "a1", payload: { code: "forbidden", retryable: false } },
          { type: "actor:reply", correlationId: "a2", payload: "@(node/peer) by null: why" },
        ])
        expect(system.deadLetters.counts).toEqual({ forbidden: 1 })
      }
    }),
  )

  it.effect("fault 68: is handled where the actor accepts it, and says whose word it is", () =>
    Effect.gen(function* () {
      for (const option of [true, (by: Address) => by === EVE] as const) {
        const { wire } = yield* at(option)
        wire.arrive({ ...question, metadata: byEve })
        yield* settled
        expect(wire.sent).toMatchObject([{ payload: "@(node/peer) by @(node/eve): why" }])
      }
    }),
  )

  it.effect("is handled where an actor of the deployment forwards it", () =>
    Effect.gen(function* () {
      const { wire } = yield* at()
      wire.arrive({ ...question, metadata: { ...byEve, forwardedByServer: true } })
      yield* settled
      expect(wire.sent).toMatchObject([{ payload: "@(node/peer) by @(node/eve): why" }])
    }),
  )

  it.effect("fault 68: is not the actor's own, though it asked first itself", () =>
    Effect.gen(function* () {
      const Safe = Protocol.make("safe", {
        unlock: Protocol.own({ payload: Schema.String }),
        open: Protocol.tell({ payload: Schema.String }),
      })
      const opened: Array<string> = []
      const wire = new ScriptedTransport(true)
      const system = yield* ActorSystem.make({ transport: wire })
      yield* system.spawn(
        Behavior.make(Safe, { unlock: (by) => void opened.push(by), open: () => undefined }),
        { address: CLERK, acceptForwards: true },
      )
      const unlock = { type: "unlock", from: CLERK, to: CLERK } as const
      wire.arrive({ ...unlock, payload: "eve", metadata: byEve })
      wire.arrive({ ...unlock, payload: "itself" })
      yield* settled
      expect(opened).toEqual(["itself"])
    }),
  )

  it.effect("fault 68: is answered once by the last who has it, from network to network", () =>
    Effect.gen(function* () {
      const network = yield* InMemoryTransport.makeNetwork()
      const systemOf = Effect.gen(function* () {
        return yield* ActorSystem.make({ transport: yield* network.connect })
      })
      const [near, front, back] = [yield* systemOf, yield* systemOf, yield* systemOf]
      const DESK: Address = "@(node/desk)"
      yield* front.spawn(frontDesk, { address: DESK, register: true })
      const options = { address: CLERK, register: true }
      const strict = yield* back.spawn(witness, options)
      const desk = near.ref(Desk, DESK)
      expect(yield* Effect.flip(desk.ask("question", "why"))).toMatchObject({ code: "forbidden" })
      yield* back.stop(strict)
      yield* back.spawn(witness, { ...options, acceptForwards: true })
      expect(yield* desk.ask("question", "why")).toBe("@(session/m1) by @(node/desk): why")
    }),
  )
})
