/** Slow readers at other gateways: their senders pause, are refused, and go on, as in a hub. */
import type { Address } from "@signal-hub/actor-core"
import { describe, expect, it } from "vitest"
import { CallFailed } from "../../src/delivery/Rpc.ts"
import { HUB_ADDRESS } from "../../src/protocol/HubMessage.ts"
import { envelope } from "../support/envelope.ts"
import type { TestClient } from "../support/TestClient.ts"
import { TestSystem } from "../support/TestSystem.ts"

/** Small, so that few messages make a reader slow. */
const LIMITS = { pauseThreshold: 4_000, resumeThreshold: 1_000, maxUnacknowledged: 60_000 }
const SLOW = "@(user/slow)"
const ADA = "@(user/ada)"
const BOB = "@(user/bob)" as const
const V1 = { protocolVersion: "1.0.0" }
const text = "x".repeat(1_000)

const three = (limits = {}) => {
  const system = new TestSystem({ ...LIMITS, ...limits })
  return {
    system,
    slow: system.connect(SLOW, V1),
    ada: system.connect(ADA, V1),
    bob: system.connect(BOB, V1),
  }
}

/** Says that everything that was sent on its socket has arrived. */
const ackAll = (client: TestClient): void => {
  client.send({ type: "hub:ack", payload: { through: 0, bytes: client.socket.received } })
}

/** Tells until the sender is told to pause. Gives how many were told. */
const makeSlow = (sender: TestClient, to = SLOW): number => {
  for (let n = 1; n < 100; n++) {
    sender.tell(to, "note", text)
    const [pause] = sender.takeOf("hub:pause")
    if (pause === undefined) continue
    expect(pause).toMatchObject({
      to: sender.identity,
      payload: { actorAddress: to, reason: "slow_consumer" },
    })
    return n
  }
  throw new Error("nobody was told to pause")
}

/** Goes on to tell a slow reader until one is refused; what was taken before is not looked at. */
const fill = (sender: TestClient, to = SLOW): void => {
  for (let n = 0; n < 100; n++) {
    sender.tell(to, "note", text)
    if (sender.take().some(({ payload }) => payload.code === "queue_full")) return
  }
  throw new Error("all of it was taken")
}

const pausesAt = (system: TestSystem): number => system.gateway(SLOW).sql.count("pause")

describe("a reader at another gateway that falls behind", () => {
  it("fault 39: its sender is told to pause once, refused what is too much, and told when it may go on", () => {
    const { system, slow, ada } = three()
    const told = makeSlow(ada)
    expect(slow.take()).toHaveLength(told)
    ada.tell(SLOW, "note", "on its way")
    expect(slow.takeOne().payload).toBe("on its way")
    expect(ada.take()).toEqual([])
    fill(ada)
    slow.take()
    const refused = ada.tell(SLOW, "note", "more")
    const asked = ada.ask(SLOW, "question")
    const answers = ada.take()
    expect(answers.map(({ type, payload }) => [type, payload.code])).toEqual([
      ["hub:error", "queue_full"],
      ["hub:error", "queue_full"],
    ])
    expect(answers.map(({ correlationId }) => correlationId)).toEqual([refused, asked])
    expect(slow.take()).toEqual([])
    ackAll(slow)
    expect(ada.takeOne()).toMatchObject({
      type: "hub:resume",
      to: ADA,
      payload: { actorAddress: SLOW },
      correlationId: null,
    })
    ada.tell(SLOW, "note", "again")
    expect(slow.takeOne().payload).toBe("again")
    expect(ada.take()).toEqual([])
    expect(pausesAt(system)).toBe(0)
    expect(system.gateway(SLOW).sql.count("notice")).toBe(0)
  })

  it("each of its senders is told for itself, by tells, asks and hub:send; who does not send hears nothing", () => {
    const { system, slow, ada, bob } = three()
    const eve = system.connect("@(user/eve)", V1)
    makeSlow(ada)
    bob.ask(SLOW, "question")
    expect(bob.takeOne().type).toBe("hub:pause")
    const dan = system.connect("@(user/dan)", V1)
    const sent = dan.request("hub:send", { to: SLOW, type: "note", data: 1 })
    expect([sent.type, ...dan.take().map(({ type }) => type)].toSorted()).toEqual([
      "hub:delivery_ack",
      "hub:pause",
    ])
    fill(ada)
    expect(dan.request("hub:send", { to: SLOW, type: "note", data: 2 }).payload.code).toBe("queue_full")
    const late = system.connect("@(user/late)", V1)
    late.tell(SLOW, "note")
    expect(
      late
        .take()
        .map(({ type, payload }) => payload.code ?? type)
        .toSorted(),
    ).toEqual(["hub:pause", "queue_full"])
    ackAll(slow)
    for (const client of [ada, bob, dan, late]) expect(client.takeOne().type).toBe("hub:resume")
    expect(eve.take()).toEqual([])
  })

  it("fault 39: what it was told, and that it goes on, outlive evictions of both sides", () => {
    const { system, slow, ada } = three()
    makeSlow(ada)
    fill(ada)
    expect(system.evictAll()).toBeGreaterThanOrEqual(2)
    ada.tell(SLOW, "note", "more")
    expect(ada.takeOne().payload.code).toBe("queue_full")
    expect(ada.take()).toEqual([])
    expect(system.evictAll()).toBeGreaterThanOrEqual(2)
    system.fate = ({ name }) => (name === ADA ? new CallFailed("actor_terminated", "unreachable") : "arrives")
    ackAll(slow)
    expect(ada.take()).toEqual([])
    expect(system.evictAll()).toBeGreaterThanOrEqual(2)
    system.fate = () => "arrives"
    system.advance(6_000)
    expect(ada.takeOne().type).toBe("hub:resume")
    ada.tell(SLOW, "note", "again")
    expect(slow.takeOf("note").at(-1)?.payload).toBe("again")
  })

  it("the end of its connection ends the pauses too", () => {
    const { system, slow, ada } = three()
    makeSlow(ada)
    slow.drop()
    expect(ada.takeOne()).toMatchObject({ type: "hub:resume", payload: { actorAddress: SLOW } })
    expect(pausesAt(system)).toBe(0)
  })

  it("who takes over from a sender is told for itself", () => {
    const { system, slow, ada } = three()
    makeSlow(ada)
    const again = system.connect(ADA, V1)
    again.tell(SLOW, "note", "mine")
    expect(again.takeOne().type).toBe("hub:pause")
    again.tell(SLOW, "note", "more")
    expect(again.take()).toEqual([])
    ackAll(slow)
    expect(again.takeOf("hub:resume").length).toBeGreaterThanOrEqual(1)
  })

  it("fault 39: a hub:resume that overtakes the result of the call before it is the last word", () => {
    const { system, slow, ada } = three()
    makeSlow(ada)
    ackAll(slow)
    ada.take()
    // Its gateway reads, falls behind with this very message, and catches up before the call has ended.
    const { core } = system.gateways.get(ADA)!
    const outcomes: Array<string> = []
    system.fate = ({ name, method }) => {
      if (name !== SLOW || method !== "deliver") return "arrives"
      outcomes.push("sent")
      core.deliver({
        caller: { home: SLOW, claims: null },
        deliveries: [{ envelope: resumeFor(ADA) }],
      })
      return "arrives"
    }
    for (let n = 0; n < 6; n++) ada.tell(SLOW, "note", text)
    expect(outcomes.length).toBeGreaterThan(0)
    const heard = ada.take().map(({ type }) => type)
    expect(heard).toContain("hub:resume")
    expect(heard).not.toContain("hub:pause")
  })

  it("answers to a slow asker pass, and their sender is told; of a stream, what is too much is refused", () => {
    const { slow, ada, bob } = three()
    slow.ask(BOB, "count")
    const question = bob.takeOne()
    makeSlow(ada)
    const metadata = { stream: { n: 1, done: false } }
    bob.answer(question, 1, { metadata })
    expect(bob.takeOne().type).toBe("hub:pause")
    fill(ada)
    bob.answer(question, 2, { metadata })
    expect(bob.takeOne()).toMatchObject({ type: "hub:error", payload: { code: "queue_full" } })
    slow.take()
    ackAll(slow)
    expect(bob.takeOne().type).toBe("hub:resume")
    bob.answer(question, 3)
    expect(slow.takeOne()).toMatchObject({ correlationId: question.id, payload: 3 })
  })

  it("what a durable actor gives of a stream to a slow asker passes: it has no session to be told by", () => {
    const { system, slow, ada, bob } = three()
    slow.ask(BOB, "count")
    const question = bob.takeOne()
    makeSlow(ada)
    slow.take()
    const part = envelope(SLOW, "actor:reply", 1, {
      from: BOB,
      correlationId: question.id,
      metadata: { stream: { n: 1, done: false } },
    })
    const outcomes = system.gateways.get(SLOW)!.core.deliver({
      caller: { home: BOB, claims: null },
      deliveries: [{ envelope: part }],
    })
    expect(outcomes).toEqual([{ status: "taken" }])
    system.gateway(SLOW).flush()
    expect(slow.takeOne()).toMatchObject({ correlationId: question.id, payload: 1 })
  })

  it("no more senders are told than its rows are bounded to; others are refused what is too much", () => {
    const { system, slow, ada, bob } = three({ maxPausesPerSession: 1 })
    makeSlow(ada)
    bob.tell(SLOW, "note", text)
    expect(bob.take()).toEqual([])
    fill(bob)
    expect(pausesAt(system)).toBe(1)
    ackAll(slow)
    expect(bob.take()).toEqual([])
  })

  it("fault 71: what is reliable waits in its outbox, and comes in order; nobody is refused for it", () => {
    const { system, slow, ada, bob } = three()
    makeSlow(ada)
    fill(ada)
    slow.take()
    const before = slow.socket.received
    for (let n = 1; n <= 40; n++) ada.surely({ to: SLOW, type: "sure", payload: text })
    expect(slow.socket.received).toBe(before)
    expect(ada.take().filter(({ type }) => type === "hub:error")).toEqual([])
    // An innocent pair beside goes on.
    bob.surely({ to: ADA, type: "sure" })
    expect(ada.takeOf("sure")).toHaveLength(1)
    system.advance(1_000)
    expect(system.evictAll()).toBeGreaterThanOrEqual(2)
    const came: Array<number> = []
    for (let round = 0; round < 100 && came.length < 40; round++) {
      for (const { type, seq } of slow.take()) if (type === "sure") came.push(seq!)
      slow.send({ type: "hub:ack", payload: { through: came.at(-1) ?? 0, bytes: slow.socket.received } })
    }
    expect(came).toEqual(Array.from({ length: 40 }, (_, n) => n + 1))
    expect(slow.socket.close).toBeUndefined()
  })

  it("fault 77: who acknowledges without reading is as slow as who acknowledges nothing", () => {
    const { slow, ada } = three({ probeInterval: 4_000 })
    for (let n = 0; n < 20; n++) {
      ada.tell(SLOW, "note", text)
      slow.send({ type: "hub:ack", payload: { bytes: slow.socket.received } })
    }
    expect(ada.takeOne().type).toBe("hub:pause")
    const { nonce, received } = slow.socket
    slow.send({ type: "hub:ack", payload: { bytes: received, nonce } })
    expect(ada.takeOne().type).toBe("hub:resume")
  })

  it("fault 71: a reader of 0.x that is not heard is closed 4413", () => {
    const { system, ada } = three()
    const old = system.connect("@(user/old)")
    for (let n = 0; n < 100 && old.socket.close === undefined; n++) ada.tell("@(user/old)", "note", text)
    expect(old.socket.close).toMatchObject({ code: 4413 })
    expect(old.socket.received).toBeGreaterThan(LIMITS.maxUnacknowledged)
    expect(ada.takeOf("hub:pause")).toEqual([])
  })

  it("costs the slow reader's gateway no call but one for each sender that was told, when it goes on", () => {
    const { system, slow, ada } = three()
    makeSlow(ada)
    ada.tell(SLOW, "note", "more")
    ada.take()
    const before = system.calls.length
    ackAll(slow)
    expect(system.calls.slice(before).map(({ from, name }) => [from, name])).toEqual([[SLOW, ADA]])
  })
})

const resumeFor = (to: Address.Address) =>
  envelope(to, "hub:resume", { actorAddress: SLOW }, { from: HUB_ADDRESS })
