/** What a gateway's client must hear, while it waits for answers: stored, in its place, once. */
import { describe, expect, it } from "vitest"
import { HUB_ADDRESS } from "../../src/protocol/HubMessage.ts"
import { envelope } from "../support/envelope.ts"
import { Peer } from "../support/Peer.ts"
import type { Received, TestClient } from "../support/TestClient.ts"
import { TestSystem } from "../support/TestSystem.ts"

const ADA = "@(user/ada)"
const BOB = "@(user/bob)"
const DESK = "@(desk/1)"
const ROOM = "@(room/1)"

/** Ada watches Bob and holds the desk; the topics that she publishes on never answer. */
const waiting = () => {
  const system = new TestSystem({ heartbeatInterval: Number.POSITIVE_INFINITY })
  const ada = new Peer(system, ADA)
  const bob = system.connect(BOB)
  bob.register(BOB)
  ada.client.watch(BOB)
  ada.client.register(DESK)
  system.fate = ({ kind }) => (kind === "topic" ? "hangs" : "arrives")
  publish(ada.client)
  const ends = () =>
    [...ada.of("hub:terminated"), ...ada.of("hub:unregistered")].map(({ payload }) => payload)
  return { system, ada, bob, ends }
}
const publish = (client: TestClient): string =>
  client.send({ type: "hub:publish", pattern: "ask", payload: { topic: "news", type: "item", data: 1 } })
const unregister = (client: TestClient): Received =>
  client.request("hub:unregister", { actorAddress: client.identity! })
const outboxOf = (system: TestSystem): number => system.gateway(ADA).sql.count("outbox")

const TERMINATED = { actorAddress: BOB, reason: "unregistered" }

describe("an end that is told behind an answer that is still to come", () => {
  it("follows that answer", () => {
    const { system, ada, bob, ends } = waiting()
    unregister(bob)
    expect(ends()).toEqual([])
    system.advance(system.limits.callTimeout)
    expect(ends()).toEqual([TERMINATED])
    expect(ada.came.map(({ type }) => type)).toEqual(["hub:error", "hub:terminated"])
    system.advance(1_000)
    expect(outboxOf(system)).toBe(0)
  })

  it("fault 19: is not lost where the gateway crashes before", () => {
    const { system, ada, bob, ends } = waiting()
    unregister(bob)
    system.connect("@(user/eve)").register(DESK)
    system.crash(ADA)
    ada.drop(false)
    ada.connect()
    expect(ends()).toEqual([TERMINATED, { actorAddress: DESK, reason: "superseded" }])
    system.advance(60_000)
    expect(ends()).toHaveLength(2)
    expect(outboxOf(system)).toBe(0)
  })

  it("is told once to who comes back meanwhile, on another connection, and what follows comes after it", () => {
    const { system, ada, bob, ends } = waiting()
    unregister(bob)
    ada.drop(false)
    ada.connect()
    expect(ends()).toEqual([TERMINATED])
    const eve = new Peer(system, "@(user/eve)")
    eve.tell(ADA, "note")
    expect(ada.of("note")).toHaveLength(1)
    system.advance(60_000)
    expect(ends()).toEqual([TERMINATED])
    expect(outboxOf(system)).toBe(0)
  })

  it("fault 19: is told to another process that takes over meanwhile", () => {
    const { system, ada, bob } = waiting()
    unregister(bob)
    const winner = new Peer(system, ADA)
    expect(winner.of("hub:terminated").map(({ payload }) => payload)).toEqual([TERMINATED])
    system.advance(60_000)
    expect(winner.of("hub:terminated")).toHaveLength(1)
    expect(ada.of("hub:terminated")).toEqual([])
  })

  it("keeps its place behind what was acknowledged meanwhile", () => {
    const { system, ada, bob, ends } = waiting()
    unregister(bob)
    const eve = new Peer(system, "@(user/eve)")
    for (let n = 1; n <= 3; n++) {
      eve.tell(ADA, "note", n)
      expect(ada.of("note")).toHaveLength(n)
    }
    system.gateway(ADA).advance(1_000)
    expect(ends()).toEqual([])
    system.crash(ADA)
    ada.drop(false)
    ada.connect()
    eve.tell(ADA, "note", 4)
    expect(ends()).toEqual([TERMINATED])
    system.advance(1_000)
    expect(ada.came.filter(({ seq }) => seq !== undefined).map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5])
    expect(outboxOf(system)).toBe(0)
  })
})

describe("the answer to a watch", () => {
  const watch = (client: TestClient, actorAddress: string): string =>
    client.send({ type: "hub:watch", pattern: "ask", payload: { actorAddress } })
  const heard = (client: TestClient) => client.take().map(({ type, payload }) => [type, payload.registered])

  it("does not say that nothing follows where the end was told meanwhile", () => {
    const system = new TestSystem()
    const ada = system.connect(ADA)
    // Watched by a call that was not heard of; when it is made again, what was watched is gone.
    system.backends.set(ROOM, {
      watch: (() => {
        const payload = { actorAddress: ROOM, reason: "unregistered" }
        const ended = envelope(ADA, "hub:terminated", payload, { from: HUB_ADDRESS })
        const caller = { home: ROOM, claims: null } as const
        system.gateways.get(ADA)!.core.deliver({ caller, deliveries: [{ envelope: ended }] })
        return false
      }) as never,
    })
    watch(ada, ROOM)
    expect(heard(ada)).toEqual([
      ["hub:watching", true],
      ["hub:terminated", undefined],
    ])
  })

  it("is of the watch that it was asked for: one that found nobody takes no later one along", () => {
    const system = new TestSystem()
    const ada = system.connect(ADA)
    const bob = system.connect(BOB)
    system.gateway(ADA).afterwards = () => {}
    watch(ada, BOB)
    watch(ada, BOB)
    let calls = 0
    system.fate = ({ method, name }) => {
      if (method === "watch" && name === BOB && ++calls === 2) {
        bob.send({ type: "hub:register", payload: { actorAddress: BOB } })
      }
      return "arrives"
    }
    system.settle()
    expect(heard(ada)).toEqual([
      ["hub:watching", false],
      ["hub:watching", true],
    ])
    bob.send({ type: "hub:unregister", payload: { actorAddress: BOB } })
    system.settle()
    expect(heard(ada)).toEqual([["hub:terminated", undefined]])
  })
})
