import { describe, expect, it } from "vitest"
import { HUB_ADDRESS } from "../../src/protocol/HubMessage.ts"
import { TestHub } from "../support/TestHub.ts"
import type { TestClient } from "../support/TestClient.ts"
import { TestSystem } from "../support/TestSystem.ts"

const ADA = "@(user/ada)"
const BOB = "@(user/bob)"
const CARL = "@(user/carl)"
const EVE = "@(user/eve)"
const V1 = { protocolVersion: "1.0.0" }
/** Milliseconds after which open asks are rows, and memory may be lost. */
const LONG_ENOUGH = 1_100

/** Four clients, in a hub or each at a gateway of its own. */
const TOPOLOGIES: ReadonlyArray<
  readonly [name: string, () => { connect: (identity: string) => TestClient; evict: () => void }]
> = [
  [
    "a hub",
    () => {
      const hub = new TestHub()
      return {
        connect: (identity) => hub.connect(identity, V1),
        evict: () => void (hub.advance(LONG_ENOUGH), hub.evict()),
      }
    },
  ],
  [
    "gateways",
    () => {
      const system = new TestSystem()
      return {
        connect: (identity) => system.connect(identity, V1),
        evict: () => void (system.advance(LONG_ENOUGH), system.evictAll()),
      }
    },
  ],
]

/** Whether memory is lost between any two steps. */
const evictions = [false, true] as const

describe.each(TOPOLOGIES)("in %s", (_, topology) => {
  const four = () => {
    const { connect, evict } = topology()
    const [ada, bob, carl, eve] = [connect(ADA), connect(BOB), connect(CARL), connect(EVE)]
    return { ada, bob, carl, eve, evict }
  }

  /** Carl asks Eve, and is answered: what goes on beside them costs them nothing. */
  const innocent = ({ carl, eve }: { readonly carl: TestClient; readonly eve: TestClient }) => {
    carl.ask(EVE, "innocent")
    eve.answer(eve.takeOne(), "so it is")
    expect(carl.takeOne()).toMatchObject({ from: EVE, payload: "so it is" })
  }

  it("fault 67: an ask that names another is invalid, whatever it asks, and reaches nobody", () => {
    const { ada, eve, ...others } = four()
    const id = ada.ask(BOB, "question")
    const question = others.bob.takeOne()
    const named = { pattern: "ask", correlationId: id }
    for (const type of ["answer", "actor:reply", "actor:error", "actor:cancel"]) {
      const forged = eve.send({ ...named, to: ADA, type })
      expect(eve.takeOne()).toMatchObject({
        type: "hub:error",
        correlationId: forged,
        payload: { code: "invalid_message" },
      })
    }
    expect(eve.request("hub:discover", { pattern: "*" }, named)).toMatchObject({
      payload: { code: "invalid_message" },
    })
    expect(ada.take()).toEqual([])
    innocent({ carl: others.carl, eve })
    others.bob.answer(question, "true")
    expect(ada.takeOne()).toMatchObject({ from: BOB, payload: "true" })
  })

  it.each(evictions)(
    "faults 67, 68: the last who has it answers, and nobody before (evicted: %s)",
    (evicts) => {
      const { ada, bob, carl, eve, evict } = four()
      const step = (): void => void (evicts && evict())
      const id = ada.ask(BOB, "question", null, 60_000)
      const question = bob.takeOne()
      step()
      bob.send({ ...question, to: CARL, payload: "bob's word", metadata: { forwardOf: id } })
      const handed = carl.takeOne()
      expect(handed).toMatchObject({ id, from: ADA, payload: "bob's word", metadata: { forwardedBy: BOB } })
      step()
      carl.send({ ...handed, to: EVE, metadata: { forwardOf: id, forwardedBy: ADA } })
      expect(eve.takeOne()).toMatchObject({ from: ADA, metadata: { forwardedBy: CARL } })
      for (const holder of [bob, carl]) {
        step()
        holder.answer(handed, "not mine any more", { metadata: { answeredFor: BOB } })
      }
      expect(ada.take()).toEqual([])
      step()
      eve.answer(handed, "mine", { metadata: { answeredFor: EVE, own: 1 } })
      expect(ada.takeOne()).toMatchObject({
        from: EVE,
        payload: "mine",
        metadata: { answeredFor: BOB, own: 1 },
      })
      eve.answer(handed, "again")
      expect(ada.take()).toEqual([])
    },
  )

  it("fault 68: it is handed on as what it is, else forbidden, and stays where it is", () => {
    const { ada, bob, carl, eve } = four()
    const id = ada.ask(BOB, "question")
    const question = bob.takeOne()
    bob.send({ ...question, to: CARL, type: "transfer", metadata: { forwardOf: id } })
    expect(bob.takeOne()).toMatchObject({ correlationId: id, payload: { code: "forbidden" } })
    expect(carl.take()).toEqual([])
    innocent({ carl, eve })
    bob.answer(question, "still mine")
    expect(ada.takeOne()).toMatchObject({ from: BOB, metadata: {}, payload: "still mine" })
  })

  it.each(evictions)("fault 67: parts pass in their order, each once (evicted: %s)", (evicts) => {
    const { ada, bob, carl, eve, evict } = four()
    ada.ask(BOB, "question", null, 60_000)
    const question = bob.takeOne()
    const part = (n: unknown, done: boolean, by = bob) => {
      by.answer(question, n, { metadata: { stream: { n, done } }, from: BOB })
      if (evicts) evict()
    }
    part(1, false)
    for (const n of [1, 3, 0, -1, 1.5, null]) part(n, false)
    part(2, false, eve)
    part(1, true)
    part(2, false)
    expect(ada.take().map(({ payload }) => payload)).toEqual([1, 2])
    innocent({ carl, eve })
    part(3, true)
    part(4, true)
    expect(ada.take().map(({ payload }) => payload)).toEqual([3])
  })

  it("faults 67, 68: only the server says for whom and by whom", () => {
    const { bob, eve } = four()
    const marks = { answeredFor: ADA, forwardedBy: ADA, forwardedByServer: true }
    const metadata = { own: 1, ...marks }
    eve.send({ to: BOB, metadata })
    eve.send({ to: BOB, type: "question", pattern: "ask", metadata })
    const [note, question] = bob.take()
    expect([note!.metadata, question!.metadata]).toEqual([{ own: 1 }, { own: 1 }])
    eve.send({ type: "hub:send", payload: { to: BOB, type: "sent", data: 1 }, metadata })
    const sent = bob.takeOne()
    for (const mark of Object.keys(marks)) expect(sent.metadata).not.toHaveProperty(mark)
  })
})

it("fault 67: the ask of a 0.x client that names another is delivered without the name", () => {
  const hub = new TestHub()
  const [ada, bob] = [hub.connect(ADA), hub.connect(BOB, V1)]
  ada.send({ to: BOB, type: "question", pattern: "ask", correlationId: "another" })
  const question = bob.takeOne()
  expect(question).toMatchObject({ type: "question", correlationId: null })
  bob.answer(question, 1)
  expect(ada.takeOne()).toMatchObject({ correlationId: question.id, payload: 1 })
  expect(ada.request("hub:discover", { pattern: "*" }, { correlationId: "another" })).toMatchObject({
    type: "hub:discovered",
    from: HUB_ADDRESS,
  })
})
