/** Several ways out of a system, and registering what it spawns. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { StandardSchemaV1 } from "effect/StandardSchema"
import * as ActorSystem from "../src/ActorSystem.ts"
import type { Address } from "../src/Address.ts"
import * as Behavior from "../src/Behavior.ts"
import * as InMemoryTransport from "../src/InMemoryTransport.ts"
import * as Protocol from "../src/Protocol.ts"
import { type Transport, TransportError } from "../src/Transport.ts"
import { Counter } from "./support/counter.ts"
import { settled, silently } from "./support/greeter.ts"
import { ScriptedTransport } from "./support/ScriptedTransport.ts"

const rest = { add: () => undefined, get: () => 0, take: (by: number) => by }
const PEER: Address = "@(node/peer)"

describe("an address is looked for", () => {
  it.effect("here first, then in the transports in their order", () =>
    Effect.gen(function* () {
      const first = new ScriptedTransport()
      const second = new ScriptedTransport()
      const third = new ScriptedTransport()
      first.reaches = (address) => address.startsWith("@(first/")
      second.refusal = ({ to }) =>
        to === PEER
          ? new TransportError({ reason: "refused", code: "unknown_actor", message: "nobody" })
          : to === "@(node/full)"
            ? new TransportError({ reason: "queue_full", message: "full" })
            : undefined
      const system = yield* ActorSystem.make({ transport: first, transports: [second, third] })
      yield* system.spawn(Behavior.make(Counter, rest), { address: "@(first/here)" })
      for (const address of ["@(first/here)", "@(first/a)", "@(node/a)", PEER, "@(node/full)"] as const) {
        system.ref(Counter, address).tell("add", 1)
      }
      expect(first.sent.map(({ to }) => to)).toEqual(["@(first/a)"])
      expect(second.sent.map(({ to }) => to)).toEqual(["@(node/a)"])
      expect(third.sent.map(({ to }) => to)).toEqual([PEER])
      expect(system.deadLetters.counts).toEqual({ undeliverable: 1 })
    }),
  )

  it.effect("and its answer comes the way that the ask went, by no other", () =>
    Effect.gen(function* () {
      const first = new ScriptedTransport()
      const second = new ScriptedTransport()
      const system = yield* ActorSystem.make({ transports: [first, second] })
      const asking = yield* Effect.forkChild(system.ref(Counter, PEER).ask("get", undefined), {
        startImmediately: true,
      })
      const { id } = first.sent[0]!
      second.arrive({ type: "x", correlationId: id, payload: 666 })
      expect(system.deadLetters.counts).toEqual({ unexpected_answer: 1 })
      first.arrive({ type: "x", correlationId: id, payload: 1 })
      expect(yield* Fiber.join(asking)).toBe(1)
      yield* system.spawn(Behavior.make(Counter, rest), { address: "@(node/greeter)" })
      second.arrive({ id: "a1", type: "get", pattern: "ask" })
      yield* settled
      expect(second.sent).toMatchObject([{ correlationId: "a1", payload: 0 }])
    }),
  )
})

describe("an actor that is registered", () => {
  it.effect("is reached from elsewhere until it has stopped, a child as well", () =>
    Effect.gen(function* () {
      const network = yield* InMemoryTransport.makeNetwork()
      const server = yield* ActorSystem.make({ transport: yield* network.connect })
      const client = yield* ActorSystem.make({ transport: yield* network.connect })
      const lobby = yield* server.spawn(
        Behavior.setup(Counter, (context) => {
          context.spawn(Behavior.make(Counter, { ...rest, get: () => 42 }), { name: "room", register: true })
          return rest
        }),
        { address: "@(node/lobby)", register: { capabilities: ["lobby"] } },
      )
      yield* settled
      const room = client.ref(Counter, "@(node/lobby/room)")
      expect(yield* room.ask("get", undefined)).toBe(42)
      expect(yield* client.ref(Counter, "@(node/lobby)").ask("take", 3)).toBe(3)
      yield* server.stop(lobby)
      expect(yield* Effect.flip(room.ask("get", undefined))).toMatchObject({ _tag: "UnknownActor" })
    }),
  )

  it.effect("and can't be: spawn fails and nobody is left; a child stops", () =>
    silently(
      Effect.gen(function* () {
        const wire = new ScriptedTransport()
        const refusal = new TransportError({ reason: "refused", code: "forbidden", message: "no" })
        const transport: Transport = Object.assign(wire, { register: () => Effect.fail(refusal) })
        const system = yield* ActorSystem.make({ transport })
        const options = { address: PEER, register: true } as const
        expect(yield* Effect.flip(system.spawn(Behavior.make(Counter, rest), options))).toBe(refusal)
        yield* system.spawn(Behavior.make(Counter, rest), { address: PEER })
        yield* system.spawn(
          Behavior.setup(Counter, (context) => {
            context.spawn(Behavior.make(Counter, rest), { name: "child", register: true })
            return rest
          }),
          { name: "parent" },
        )
        yield* settled
        expect(yield* system.watch(system.ref(Counter, "@(local/parent/child)"))).toMatchObject({
          reason: "unwatchable",
        })
      }),
    ),
  )
})

describe("a Standard Schema", () => {
  const text: StandardSchemaV1<string> = {
    "~standard": {
      version: 1,
      vendor: "test",
      validate: (value) =>
        typeof value === "string" ? { value } : { issues: [{ message: "a text is expected" }] },
    },
  }
  const Echo = Protocol.make("echo", {
    say: Protocol.tell({ payload: text }),
    echo: Protocol.ask({ payload: text, success: text, error: text }),
  })

  it.effect("describes payloads, answers and errors, and checks them at the border", () =>
    Effect.gen(function* () {
      const network = yield* InMemoryTransport.makeNetwork()
      const server = yield* ActorSystem.make({ transport: yield* network.connect })
      const client = yield* ActorSystem.make({ transport: yield* network.connect })
      yield* server.spawn(
        Behavior.make(Echo, {
          say: () => undefined,
          echo: (said) => {
            if (said === "fail") throw "no"
            return said === "lie" ? (5 as never) : said
          },
        }),
        { address: "@(node/echo)", register: true },
      )
      const echo = client.ref(Echo, "@(node/echo)")
      expect(yield* echo.ask("echo", "hi")).toBe("hi")
      expect(yield* Effect.flip(echo.ask("echo", "fail"))).toBe("no")
      expect(yield* Effect.flip(echo.ask("echo", "lie"))).toMatchObject({ code: "actor_failed" })
      expect(yield* Effect.flip(echo.ask("echo", 5 as never))).toMatchObject({
        code: "invalid_payload",
        message: "a text is expected",
      })
      echo.tell("say", 5 as never)
      expect(client.deadLetters.counts).toEqual({ invalid_payload: 1 })
    }),
  )

  it.effect("tells its typed errors from defects within a process", () =>
    silently(
      Effect.gen(function* () {
        const system = yield* ActorSystem.make()
        const echo = yield* system.spawn(
          Behavior.make(Echo, {
            say: () => undefined,
            echo: (said) => {
              throw said === "typed" ? said : new Error(said)
            },
          }),
        )
        expect(yield* Effect.flip(echo.ask("echo", "typed"))).toBe("typed")
        expect(yield* Effect.flip(echo.ask("echo", "defect"))).toMatchObject({ code: "actor_failed" })
      }),
    ),
  )
})
