/** Subscriptions and registrations that several parts of a program hold at once. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as fc from "fast-check"
import * as Scope from "effect/Scope"
import type { HubClientService } from "../../src/client/index.ts"
import type { Timers } from "../../src/client/Timers.ts"
import { type Outcome, Wanted } from "../../src/client/Wanted.ts"
import { ConnectionLost } from "../../src/client/ClientError.ts"
import type { FakeSocket } from "./support/FakeNetwork.ts"
import { standardAnswer } from "./support/FakeNetwork.ts"
import { outcome, pass, run, settle, start } from "./support/harness.ts"

const ME = "@(test/extra)"

/** What was asked for of this type, without what names it. */
const asked = (socket: FakeSocket, type: string): ReadonlyArray<unknown> =>
  socket.sent
    .filter((one) => one.type === type)
    .map(({ payload }) => {
      const { actorAddress: _, topic: __, ...fields } = payload as { readonly [field: string]: unknown }
      return fields
    })

/** Holds it in a scope of its own; the result lets go. */
const holding = <A, E>(acquire: Effect.Effect<A, E, Scope.Scope>) =>
  Effect.gen(function* () {
    const scope = Scope.makeUnsafe()
    yield* Scope.provide(acquire, scope)
    return Effect.andThen(Scope.close(scope, Exit.void), settle)
  })

const refusing = (socket: FakeSocket, isRefused: (payload: object) => boolean): void => {
  socket.answers = (request) =>
    request.type.startsWith("hub:un") || !isRefused((request.payload ?? {}) as object)
      ? standardAnswer(request)
      : {
          type: "hub:error",
          payload: { code: "forbidden", message: "no", resolution: "", retryable: false, details: {} },
        }
}

describe("fault 57: options of several holders", () => {
  it.effect("a second subscriber without presence leaves the first one's; they shrink as holders leave", () =>
    Effect.gen(function* () {
      const { client, network } = yield* start()
      const first = yield* holding(client.subscribe("news", { presence: true }))
      const second = yield* holding(client.subscribe("news"))
      expect(asked(network.last, "hub:subscribe")).toEqual([{ presence: true }])
      const third = yield* holding(client.subscribe("news", { durable: true }))
      expect(asked(network.last, "hub:subscribe").at(-1)).toEqual({ presence: true, durable: true })
      yield* first
      expect(asked(network.last, "hub:subscribe").at(-1)).toEqual({ durable: true })
      yield* third
      expect(asked(network.last, "hub:subscribe").at(-1)).toEqual({})
      expect(network.last.types).not.toContain("hub:unsubscribe")
      yield* second
      expect(network.last.types.at(-1)).toBe("hub:unsubscribe")
      expect(asked(network.last, "hub:subscribe")).toHaveLength(4)
    }),
  )

  it.effect(
    "tags are a union; metadata and ttl are of the last that is there and says something of them",
    () =>
      Effect.gen(function* () {
        const { client, network } = yield* start()
        const last = () => asked(network.last, "hub:register").at(-1)
        const first = yield* holding(
          client.register(ME, { capabilities: ["a", "b"], metadata: { n: 1 }, ttlSeconds: 60 }),
        )
        const second = yield* holding(client.register(ME))
        expect(asked(network.last, "hub:register")).toHaveLength(1)
        const third = yield* holding(client.register(ME, { capabilities: ["b", "c"], metadata: { n: 3 } }))
        expect(last()).toEqual({ capabilities: ["a", "b", "c"], metadata: { n: 3 }, ttlSeconds: 60 })
        yield* third
        expect(last()).toEqual({ capabilities: ["a", "b"], metadata: { n: 1 }, ttlSeconds: 60 })
        yield* first
        expect(last()).toEqual({})
        yield* second
        expect(network.last.types.at(-1)).toBe("hub:unregister")
      }),
  )

  it.effect("on a new connection what all holders want is asked for, once", () =>
    Effect.gen(function* () {
      const { client, network } = yield* start()
      yield* holding(client.subscribe("news", { presence: true }))
      yield* holding(client.subscribe("news", { durable: true }))
      network.last.drop(1006)
      yield* pass(250)
      network.last.open()
      yield* settle
      expect(asked(network.last, "hub:subscribe")).toEqual([{ presence: true, durable: true }])
    }),
  )

  it.effect("a holder whose options the hub refuses is told, and the others keep theirs", () =>
    Effect.gen(function* () {
      const { client, network } = yield* start()
      const first = yield* holding(client.register(ME, { capabilities: ["a"] }))
      refusing(network.last, (payload) => JSON.stringify(payload).includes("too-much"))
      const scope = Scope.makeUnsafe()
      const refused = yield* Effect.flip(
        Scope.provide(client.register(ME, { capabilities: ["too-much"] }), scope),
      )
      expect(refused).toMatchObject({ _tag: "AskRefused", code: "forbidden" })
      yield* Scope.close(scope, Exit.void)
      // It is still held, and asked for again as the first wants it.
      network.last.drop(1006)
      yield* pass(250)
      network.last.open()
      yield* settle
      expect(asked(network.last, "hub:register")).toEqual([{ capabilities: ["a"] }])
      yield* first
      expect(network.last.types.at(-1)).toBe("hub:unregister")
    }),
  )

  it.effect("of several that wait for a connection, each is told what becomes of its own wish", () =>
    Effect.gen(function* () {
      const { client, network } = yield* start()
      network.last.drop(1006)
      yield* settle
      const bad = yield* run(client.subscribe("news", { presence: true }))
      const fine = yield* run(client.subscribe("news"))
      const more = yield* run(client.subscribe("news", { durable: true }))
      network.onSocket = (socket) => refusing(socket, (payload) => "presence" in payload)
      yield* pass(250)
      network.last.open()
      yield* settle
      expect(outcome(bad)).toMatchObject({ _tag: "AskRefused", code: "forbidden" })
      expect(outcome(fine)).not.toBe("waiting")
      expect(outcome(more)).not.toBe("waiting")
      expect(asked(network.last, "hub:subscribe")).toEqual([{ presence: true }, {}, { durable: true }])
    }),
  )

  it.effect("what was granted to a holder that left is undone where those who are left are refused", () =>
    Effect.gen(function* () {
      const { client, network } = yield* start()
      const first = yield* holding(client.subscribe("news"))
      network.last.answers = ({ type }) =>
        type === "hub:subscribe" ? undefined : standardAnswer(fakeOf(type))
      const second = yield* run(client.subscribe("news", { presence: true }))
      const request = network.last.sent.findLast(({ type }) => type === "hub:subscribe")!
      yield* first
      network.last.say(
        "hub:error",
        { code: "forbidden", message: "no", resolution: "", retryable: false, details: {} },
        { correlationId: request.id },
      )
      yield* settle
      expect(outcome(second)).toMatchObject({ _tag: "AskRefused", code: "forbidden" })
      expect(network.last.types.at(-1)).toBe("hub:unsubscribe")
    }),
  )

  it.effect(
    "a registration that passes to another is over for those who had it, not for who asked since",
    () =>
      Effect.gen(function* () {
        const { client, network } = yield* start()
        const register = (capabilities: ReadonlyArray<string>): ReturnType<HubClientService["register"]> =>
          client.register(ME, { capabilities })
        yield* holding(register(["a"]))
        network.last.answers = ({ type }) =>
          type === "hub:register" ? undefined : standardAnswer(fakeOf(type))
        const since = yield* run(register(["b"]))
        network.last.say("hub:unregistered", { actorAddress: ME, reason: "superseded" })
        yield* settle
        network.last.answers = standardAnswer
        const { id, payload } = network.last.sent.findLast(({ type }) => type === "hub:register")!
        network.last.say("hub:registered", payload, { correlationId: id })
        yield* settle
        expect(outcome(since)).toMatchObject({ actorAddress: ME })
        // What is asked for from now on has nothing of the one that is over.
        expect(asked(network.last, "hub:register").at(-1)).toEqual({ capabilities: ["b"] })
      }),
  )
})

/** As far as `standardAnswer` looks. */
const fakeOf = (type: string) => ({ type, payload: {} }) as Parameters<typeof standardAnswer>[0]

interface Options {
  readonly presence?: boolean
  readonly durable?: boolean
}
type Step =
  | { readonly do: "hold"; readonly options: Options; readonly isRefused: boolean }
  | { readonly do: "letGo"; readonly at: number }
  | { readonly do: "answer" }
  | { readonly do: "reconnect"; readonly resumed: boolean }

const steps: fc.Arbitrary<ReadonlyArray<Step>> = fc.array(
  fc.oneof(
    fc.record({
      do: fc.constant("hold" as const),
      options: fc.record({ presence: fc.boolean(), durable: fc.boolean() }, { requiredKeys: [] }),
      isRefused: fc.boolean(),
    }),
    fc.record({ do: fc.constant("letGo" as const), at: fc.nat(9) }),
    fc.record({ do: fc.constant("answer" as const) }),
    fc.record({ do: fc.constant("reconnect" as const), resumed: fc.boolean() }),
  ),
  { maxLength: 30 },
)

/** A hub that has one topic, answers in order, and refuses what has a mark. */
class OneTopic {
  stored: Options | undefined
  live = true
  pending: Array<{ readonly type: string; readonly payload: Marked; settle: (outcome: Outcome) => void }> = []
  #ids = 0

  readonly request = (type: string, payload: unknown, settle: (outcome: Outcome) => void): string => {
    this.pending.push({ type, payload: payload as Marked, settle })
    return `${this.#ids++}`
  }

  answer(): void {
    const next = this.pending.shift()
    if (next === undefined) return
    if (next.type === "hub:unsubscribe") {
      this.stored = undefined
      next.settle({ payload: {} })
    } else if (next.payload.capabilities?.includes("refused") === true) next.settle({ error: REFUSED })
    else {
      const { presence, durable } = next.payload
      this.stored = { presence: presence === true, durable: durable === true }
      next.settle({ payload: { topic: "news" } })
    }
  }
}
type Marked = Options & { readonly capabilities?: ReadonlyArray<string> }
const REFUSED = { _tag: "AskRefused", code: "forbidden", retryable: false, message: "no" } as unknown as {
  readonly _tag: "AskRefused"
} & Extract<Outcome, { readonly error: unknown }>["error"]

it("fault 57: whatever order holders come, leave, are refused and reconnect in, the hub has what they want", () => {
  fc.assert(
    fc.property(steps, (all) => {
      const hub = new OneTopic()
      const timers: Timers = { now: () => 0, timestamp: () => 0, after: () => () => {} }
      const wanted = new Wanted(
        {
          live: () => hub.live,
          request: hub.request,
          requestFirst: hub.request,
          forget: () => {},
        },
        timers,
        () => {},
        () => {},
      )
      const holders: Array<{
        readonly options: Options
        readonly isRefused: boolean
        readonly letGo: () => void
        told: Array<Outcome>
        isHere: boolean
      }> = []
      for (const step of all) {
        if (step.do === "answer") hub.answer()
        else if (step.do === "letGo") {
          const holder = holders[step.at]
          if (holder === undefined) continue
          holder.letGo()
          holder.isHere = false
        } else if (step.do === "reconnect") {
          const lost = hub.pending.splice(0)
          hub.live = false
          for (const { settle } of lost)
            settle({ error: new ConnectionLost({ code: 1006, message: "lost" }) })
          const undone = hub.pending.splice(0)
          hub.live = true
          if (!step.resumed) hub.stored = undefined
          wanted.replay(step.resumed)
          hub.pending.push(...undone)
        } else {
          const told: Array<Outcome> = []
          const { isRefused, options } = step
          const fields = { topic: "news", ...options, ...(isRefused && { capabilities: ["refused"] }) }
          const letGo = wanted.hold("hub:subscribe", { topic: "news" }, fields, (one) => told.push(one))
          holders.push({ options, isRefused, letGo, told, isHere: true })
        }
      }
      while (hub.pending.length > 0) hub.answer()
      for (const { isHere, isRefused, told } of holders) {
        expect(told.length).toBeLessThanOrEqual(1)
        if (isHere) expect(told.map((one) => "error" in one)).toEqual([isRefused])
      }
      const left = holders.filter(({ isHere, isRefused }) => isHere && !isRefused)
      const want =
        left.length === 0
          ? undefined
          : {
              presence: left.some(({ options }) => options.presence === true),
              durable: left.some(({ options }) => options.durable === true),
            }
      expect(hub.stored).toEqual(want)
    }),
    { numRuns: 2_000 },
  )
})
