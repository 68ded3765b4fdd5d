/** What other objects, whose code is anybody's, give to a gateway: nothing that its clients could not take. */
import type { Envelope } from "@signal-hub/actor-core"
import { describe, expect, it } from "vitest"
import type { GatewayEnv } from "../../src/object/GatewayEnv.ts"
import { runRoute } from "../../src/delivery/RouteCalls.ts"
import type { Answer, Batch } from "../../src/delivery/Rpc.ts"
import { envelope } from "../support/envelope.ts"
import { Peer } from "../support/Peer.ts"
import { backend, TestSystem } from "../support/TestSystem.ts"

const ADA = "@(user/ada)"
const BOB = "@(user/bob)"
const ROOM = "@(room/1)"
const LARGE = { text: "x".repeat(5_000) }

const BAD: ReadonlyArray<readonly [what: string, answer: Answer]> = [
  ["a bigint", { type: "done", payload: 1n }],
  ["a map", { type: "done", payload: new Map() }],
  ["no type", { type: "", payload: 1 }],
  ["metadata that is too large", { type: "done", payload: 1, metadata: LARGE }],
]
const FAILED = { type: "actor:error", payload: { code: "actor_failed", retryable: false } }

describe("an answer that no client can take", () => {
  const answering = (answer: Answer) => {
    const system = new TestSystem({ heartbeatInterval: Number.POSITIVE_INFINITY })
    system.backends.set(
      ROOM,
      backend(() => ({ status: "answered", answer })),
    )
    return system
  }

  it.each(BAD)("with %s: its asker hears that the actor failed", (_, answer) => {
    const system = answering(answer)
    const ada = new Peer(system, ADA)
    const volatile = ada.client.ask(ROOM, "question")
    expect(ada.client.takeOne()).toMatchObject({ ...FAILED, correlationId: volatile })
    const id = ada.ask(ROOM, "question")
    expect(ada.about(id)).toMatchObject([FAILED])
  })

  it.each(BAD)(
    "with %s: so does one that is away, by a row, and one whose ask was handed on",
    (_, answer) => {
      const system = answering(answer)
      const ada = new Peer(system, ADA)
      const bob = new Peer(system, BOB)
      const id = ada.ask(BOB, "question")
      const [question] = bob.of("question")
      ada.drop(true)
      bob.send({ ...question!, to: ROOM, metadata: { forwardOf: id } })
      ada.connect()
      expect(ada.about(id)).toMatchObject([FAILED])
      expect(system.gateway(ADA).sql.count("ask")).toBe(0)
    },
  )
})

describe("a message that no client can take", () => {
  it("is refused to whoever calls, and holds up nobody", () => {
    const system = new TestSystem({ heartbeatInterval: Number.POSITIVE_INFINITY })
    const ada = new Peer(system, ADA)
    const { core } = system.gateways.get(ADA)!
    const deliveries = [{ payload: 1n }, { metadata: LARGE }, { ttl: -1 }, { payload: 2 }].map(
      (fields, i) => ({
        envelope: envelope(ADA, "note", 1, { from: ROOM, ...fields, id: `${i}`, seq: i + 1 }),
      }),
    )
    const caller = { home: ROOM, claims: null, line: "line" } as const
    const take = () => core.deliver({ caller, deliveries }).map((outcome) => outcome.status)
    expect(take()).toEqual(["refused", "refused", "refused", "taken"])
    system.gateway(ADA).flush()
    expect(take()).toEqual(["refused", "refused", "refused", "taken"])
    expect(ada.of("note").map(({ payload }) => payload)).toEqual([2])
  })

  it("asked by a Worker is answered invalid_message", () => {
    const system = new TestSystem()
    const ada = system.connect(ADA)
    const answers: Array<Envelope.Envelope> = []
    const asked = envelope(ADA, "note", new Map(), { from: ROOM, pattern: "ask" })
    system.gateways.get(ADA)!.core.request(asked, 1_000, (answer) => void answers.push(answer))
    expect(answers).toMatchObject([{ type: "hub:error", payload: { code: "invalid_message" } }])
    expect(ada.take()).toEqual([])
  })
})

it("a function of the table that gives what no client can take has failed", async () => {
  const { promise, resolve } = Promise.withResolvers<Batch>()
  const asked = envelope("@(clock/1)", "note", 1, { from: ADA, pattern: "ask" })
  const batch = {
    caller: { home: ADA, claims: null },
    deliveries: [{ envelope: asked, ask: { home: ADA, timeout: 1_000 } }],
  } as const
  runRoute(() => 1n, batch, { env: {} as GatewayEnv, answer: (_, given) => resolve(given), log: () => {} })
  expect((await promise).deliveries.map((one) => one.envelope)).toMatchObject([FAILED])
})
