import type { Address } from "@signal-hub/actor-core"
import { describe, expect, it } from "vitest"
import { CallFailed, TAKEN } from "../../src/delivery/Rpc.ts"
import type { PresenceMember } from "../../src/protocol/index.ts"
import { envelope } from "../support/envelope.ts"
import { TestSystem, backend } from "../support/TestSystem.ts"
import type { Received, TestClient } from "../support/TestClient.ts"

const ADA = "@(user/ada)"
const BOB = "@(user/bob)"
const EVE = "@(user/eve)"
const GRACE = { protocolVersion: "1.0.0", sessionExpirySeconds: 60 }

const two = (limits = {}) => {
  const system = new TestSystem(limits)
  return { system, ada: system.connect(ADA), bob: system.connect(BOB) }
}
/** Who is on the topic, page by page. */
const membersOf = (client: TestClient, topic: string): ReadonlyArray<PresenceMember> => {
  const members: Array<PresenceMember> = []
  for (let cursor: unknown, hasMore: unknown = true; hasMore === true;) {
    const { payload } = client.request("hub:presence", { topic, ...(cursor !== undefined && { cursor }) })
    members.push(...(payload.members as ReadonlyArray<PresenceMember>))
    ;({ cursor, hasMore } = payload)
  }
  return members
}
const typesOf = (client: TestClient): ReadonlyArray<string> => client.take().map(({ type }) => type)
const codeOf = ({ type, payload }: Received): unknown => (type === "hub:error" ? payload.code : type)

describe("takeover", () => {
  it("fault 8: the old socket's late close starts nothing beside the new connection", () => {
    const { system, ada, bob } = two()
    ada.register(ADA)
    ada.subscribe("news")
    bob.watch(ADA)
    const again = system.connect(ADA)
    ada.drop("closed 1006")
    ada.drop("socket error")
    system.advance(120_000)
    expect(typesOf(bob)).toEqual([])
    expect(bob.request("hub:publish", { topic: "news", type: "item", data: 1 }).payload.subscriberCount).toBe(
      1,
    )
    expect(bob.request("hub:discover", { pattern: ADA }).payload.actors).toHaveLength(1)
    expect(typesOf(again)).toContain("item")
  })

  it("fault 9: what the old socket sends after the takeover is not executed", () => {
    const { system, ada, bob } = two()
    ada.register(ADA)
    const again = system.connect(ADA)
    const answers = ada.take().map(({ type }) => type)
    expect(answers).toEqual(["hub:disconnect"])
    ada.tell(BOB, "late")
    ada.send({ type: "hub:unregister", pattern: "ask", payload: { actorAddress: ADA } })
    ada.send({ type: "hub:publish", pattern: "ask", payload: { topic: "t", type: "late", data: 1 } })
    expect(bob.take()).toEqual([])
    expect(ada.take()).toEqual([])
    expect(bob.request("hub:discover", { pattern: ADA }).payload.actors).toHaveLength(1)
    expect(again.take()).toEqual([])
  })

  it("fault 11: while the old socket is closing, only the new one is written to", () => {
    const { system, ada, bob } = two()
    const again = system.connect(ADA)
    ada.take()
    bob.tell(ADA, "note")
    expect(ada.take()).toEqual([])
    expect(again.takeOne().type).toBe("note")
  })

  it("fault 12: the answer to an ask of the old session goes neither to its socket nor to the winner", () => {
    const { system, ada, bob } = two()
    const id = ada.ask(BOB, "question")
    const question = bob.takeOne()
    const again = system.connect(ADA)
    ada.take()
    bob.answer(question, 42)
    expect(ada.take()).toEqual([])
    expect(again.take()).toEqual([])
    // The id is the winner's to use.
    again.send({ id, to: BOB, type: "question", pattern: "ask" })
    bob.answer(bob.takeOne(), "mine")
    expect(again.takeOne().payload).toBe("mine")
  })

  it("fault 12: the old session's ask is over with it: the winner may use its id at once", () => {
    const { system, ada, bob } = two()
    const id = ada.ask(BOB, "question")
    bob.take()
    const again = system.connect(ADA)
    again.send({ id, to: BOB, type: "again", pattern: "ask" })
    expect(bob.takeOne().type).toBe("again")
  })

  it("fault 12: an ask that the loser was delivered ends actor_terminated", () => {
    const { system, bob } = two()
    bob.ask(ADA, "question")
    system.connect(ADA)
    expect(codeOf(bob.takeOne())).toBe("actor_terminated")
  })

  it("fault 20: subscriptions stay with the one that stays", () => {
    const { system, ada, bob } = two()
    ada.subscribe("news")
    const second = system.connect(ADA)
    ada.drop()
    const third = system.connect(ADA)
    second.drop()
    expect(bob.request("hub:publish", { topic: "news", type: "item", data: 1 }).payload.subscriberCount).toBe(
      1,
    )
    expect(typesOf(third)).toEqual(["item"])
  })

  it("fault 21: of ten tabs of one identity at once exactly one is served; each other hears 4409", () => {
    const system = new TestSystem()
    const bob = system.connect(BOB)
    const tabs = Array.from({ length: 10 }, () => system.open(ADA))
    for (const tab of tabs) {
      tab.send({
        type: "hub:connect",
        pattern: "ask",
        metadata: { protocolVersion: "1.0.0", actorIdentity: ADA },
      })
    }
    const open = tabs.filter(({ socket }) => socket.isOpen)
    expect(open).toHaveLength(1)
    for (const tab of tabs) if (tab !== open[0]) expect(tab.socket.close?.code).toBe(4409)
    open[0]!.take()
    bob.tell(ADA, "note")
    expect(open[0]!.takeOne().type).toBe("note")
    expect(
      tabs
        .filter((tab) => tab !== open[0])
        .flatMap((tab) => typesOf(tab))
        .filter((type) => type === "note"),
    ).toEqual([])
  })

  it("fault 4: a claim whose step fails leaves the old connection served and its subscriptions in place", () => {
    const { system, ada, bob } = two()
    ada.subscribe("news")
    const other = system.open(ADA)
    const hub = system.gateway(ADA)
    // Rows that can't be written: the step is taken back whole.
    const run = hub.sql.run.bind(hub.sql)
    hub.sql.run = (query, ...bindings) => {
      if (query.includes("INTO identity")) throw new Error("the disk is full")
      run(query, ...bindings)
    }
    const connect = () =>
      other.send({ type: "hub:connect", pattern: "ask", metadata: { protocolVersion: "1.0.0" } })
    expect(connect).toThrow("the disk is full")
    hub.sql.run = run
    hub.restart()
    expect(ada.take()).toEqual([])
    expect(ada.socket.isOpen).toBe(true)
    bob.request("hub:publish", { topic: "news", type: "item", data: 1 })
    expect(ada.takeOne().type).toBe("item")
  })

  it("no other identity notices, and its gateway is not called", () => {
    const { system, bob } = two()
    system.connect(EVE)
    const before = system.calls.length
    system.connect(ADA)
    expect(system.calls.slice(before).filter(({ name }) => name === BOB || name === EVE)).toEqual([])
    expect(bob.take()).toEqual([])
  })
})

describe("grace", () => {
  it("fault 19: subscriptions are there after a drop within the grace period, without one call to their topics", () => {
    const system = new TestSystem()
    const bob = system.connect(BOB)
    const ada = system.connect(ADA, GRACE)
    for (let i = 0; i < 20; i++) ada.subscribe(`topic/${i}`)
    ada.drop()
    const before = system.calls.length
    const again = system.connect(ADA, GRACE)
    expect(system.calls.slice(before).filter(({ kind }) => kind === "topic")).toEqual([])
    bob.request("hub:publish", { topic: "topic/7", type: "item", data: 1 })
    expect(typesOf(again)).toEqual(["item"])
  })

  it("fault 79: a member whose connection is lost is told within a second at its topics, whatever crashes after", () => {
    for (const topicNodeSize of [100, 1]) {
      const system = new TestSystem({ topicNodeSize })
      const ada = system.connect(ADA, GRACE)
      const bob = system.connect(BOB)
      const eve = system.connect(EVE, GRACE)
      for (const each of [ada, bob, eve]) each.subscribe("news", { presence: each === bob })
      system.advance(50)
      bob.take()
      ada.drop()
      // The clocks of the objects go in steps.
      for (let tenth = 1; tenth < 10; tenth++) system.advance(100)
      expect(bob.take().map(({ payload }) => payload)).toEqual([
        { topic: "news", joined: [], left: [], updated: [{ actorAddress: ADA, isConnected: false }] },
      ])
      system.evictAll()
      const isConnected = () =>
        Object.fromEntries(
          membersOf(bob, "news").map(({ actorAddress, isConnected }) => [actorAddress, isConnected]),
        )
      expect(isConnected()).toEqual({ [ADA]: false, [BOB]: true, [EVE]: true })
      system.connect(ADA, { ...GRACE, resume: ada.resume() })
      system.advance(50)
      expect(bob.take().map(({ payload }) => payload)).toEqual([
        { topic: "news", joined: [], left: [], updated: [{ actorAddress: ADA, isConnected: true }] },
      ])
      expect(isConnected()).toEqual({ [ADA]: true, [BOB]: true, [EVE]: true })
      eve.drop()
      system.advance(1_000)
      bob.take()
      system.advance(61_000)
      expect(bob.take().at(-1)!.payload).toMatchObject({ joined: [], left: [{ actorAddress: EVE }] })
    }
  })

  it("fault 19: when it is over, who asked hears, watchers hear, and nobody counts on its subscriptions", () => {
    const system = new TestSystem()
    const bob = system.connect(BOB)
    const ada = system.connect(ADA, GRACE)
    ada.register(ADA)
    ada.register("@(desk/1)")
    ada.subscribe("news")
    bob.watch(ADA)
    bob.watch("@(desk/1)")
    bob.ask(ADA, "question", null, 600_000)
    ada.drop()
    system.advance(30_000)
    expect(bob.take()).toEqual([])
    system.advance(60_000)
    const heard = bob.take()
    expect(heard.map(codeOf).toSorted()).toEqual(["actor_terminated", "hub:terminated", "hub:terminated"])
    expect(bob.request("hub:publish", { topic: "news", type: "item", data: 1 }).payload.subscriberCount).toBe(
      0,
    )
    expect(bob.request("hub:discover", { pattern: "@(desk/1)" }).payload.actors).toEqual([])
  })

  it("fault 19: a topic that missed the end of a subscription learns it with the next publication", () => {
    const { system, ada, bob } = two()
    ada.subscribe("news")
    system.fate = ({ kind }) => (kind === "topic" ? new CallFailed("actor_terminated", "lost") : "arrives")
    ada.drop()
    system.fate = () => "arrives"
    expect(system.topics.get("news")!.host.sql.count("member")).toBe(1)
    const publish = () => bob.request("hub:publish", { topic: "news", type: "item", data: 1 })
    expect(publish().payload.subscriberCount).toBe(0)
    expect(system.topics.get("news")!.host.sql.count("member")).toBe(0)
  })

  it("a gateway without a socket and without anything due has no alarm but the one by which it is forgotten", () => {
    const { system, ada } = two()
    ada.subscribe("news")
    ada.register(ADA)
    ada.drop()
    const hub = system.gateway(ADA)
    const { identityKeptFor } = system.limits
    expect(hub.alarmAt).toBe(system.now() + identityKeptFor)
    const before = hub.alarmsRun
    system.advance(identityKeptFor - 1)
    expect([hub.alarmsRun - before, hub.isForgotten]).toEqual([0, false])
    system.advance(1)
    expect([hub.alarmsRun - before, hub.isForgotten, hub.alarmAt]).toEqual([1, true, null])
  })

  it("an identity that comes back within its time goes on in its epochs; its gateway is not forgotten then", () => {
    const { system, ada } = two()
    ada.drop()
    system.advance(system.limits.identityKeptFor - 1_000)
    const again = system.connect(ADA)
    system.advance(60_000)
    expect(system.gateway(ADA).logged("session_cleaned_up").at(-1)).toMatchObject({ epoch: 1 })
    again.drop()
    expect(system.gateway(ADA).logged("session_cleaned_up").at(-1)).toMatchObject({ epoch: 2 })
  })

  it("fault 19: a topic and an actor that could not be told of the end of a session are told later, by who lost its memory since", () => {
    const { system, ada, bob } = two()
    bob.register(BOB)
    ada.subscribe("news")
    ada.watch(BOB)
    system.fate = ({ from }) => (from === ADA ? new CallFailed("actor_terminated", "lost") : "arrives")
    ada.drop()
    expect(system.evictAll()).toBeGreaterThan(0)
    expect(system.topics.get("news")!.host.sql.count("member")).toBe(1)
    expect(system.gateway(BOB).sql.count("watch")).toBe(1)
    system.fate = () => "arrives"
    system.advance(6_000)
    expect(system.topics.get("news")!.host.sql.count("member")).toBe(0)
    expect(system.gateway(BOB).sql.count("watch")).toBe(0)
  })

  it("fault 19: what could not be told is not told any more where it is not so any more", () => {
    const { system, ada, bob } = two()
    bob.register(BOB)
    ada.subscribe("news")
    ada.watch(BOB)
    system.fate = ({ from }) => (from === ADA ? new CallFailed("actor_terminated", "lost") : "arrives")
    ada.drop()
    system.fate = () => "arrives"
    const again = system.connect(ADA)
    again.subscribe("news")
    again.watch(BOB)
    again.take()
    system.advance(6_000)
    expect(bob.request("hub:publish", { topic: "news", type: "item", data: 1 }).payload.subscriberCount).toBe(
      1,
    )
    bob.request("hub:unregister", { actorAddress: BOB })
    expect(typesOf(again)).toEqual(["item", "hub:terminated"])
  })

  it("fault 19: 1,000 identities that came, subscribed, registered, watched and went leave nothing", () => {
    const system = new TestSystem({ identityKeptFor: 0 })
    const bob = system.connect(BOB)
    bob.register(BOB)
    for (let n = 0; n < 1_000; n++) {
      const identity = `@(guest/${n})`
      const guest = system.connect(identity, n % 2 === 0 ? GRACE : {})
      guest.register(identity)
      guest.register(`@(desk/${n})`)
      guest.subscribe(`topic/${n % 50}`)
      guest.subscribe(`own/${n}`)
      guest.watch(BOB)
      guest.ask(BOB, "question", null, 60_000)
      guest.drop()
    }
    // Those that were asked wait for their time to be over, as no asker says that it is gone.
    system.advance(120_000)
    for (const [topic, { host, alarmAt }] of system.topics) {
      expect([topic, host.sql.tables(), alarmAt]).toEqual([topic, [], null])
    }
    for (const [identity, { hub }] of system.gateways) {
      if (identity === BOB) continue
      expect([identity, hub.isForgotten, hub.alarmAt]).toEqual([identity, true, null])
    }
    let entries = 0
    for (const { host, alarmAt } of system.directories.values()) {
      entries += host.sql.count("entry")
      expect([host.sql.count("watch"), host.sql.count("notice"), alarmAt]).toEqual([0, 0, null])
    }
    expect(entries).toBe(1)
    const { sql } = system.gateway(BOB)
    const rows = ["session", "identity", "registration", "watch", "ask", "notice", "subscription"]
    expect(rows.map((table) => sql.count(table))).toEqual([1, 1, 1, 0, 0, 0, 0])
  }, 30_000)

  it("fault 19: a topic that nobody comes back to keeps nothing after 7 days; one that is in use stays", () => {
    const { system, ada, bob } = two()
    for (const topic of ["left", "used"]) ada.subscribe(topic)
    ada.drop()
    system.advance(1_000)
    bob.subscribe("used")
    system.advance(system.limits.identityKeptFor)
    expect(system.topics.get("left")!.host.sql.tables()).toEqual([])
    expect(system.topics.get("used")!.host.sql.tables()).not.toEqual([])
    expect(system.connect(ADA).subscribe("left").type).toBe("hub:subscribed")
    expect(system.topics.get("left")!.host.sql.count("member")).toBe(1)
  })

  it("a gateway with a durable subscription remembers it for 7 days, then nothing", () => {
    const { system, ada } = two()
    ada.request("hub:subscribe", { topic: "news", durable: true })
    ada.drop()
    const day = 24 * 3_600_000
    system.advance(6 * day)
    const { sql } = system.gateway(ADA)
    expect([sql.count("subscription"), sql.count("identity")]).toEqual([1, 1])
    system.advance(2 * day)
    expect(system.gateway(ADA).isForgotten).toBe(true)
    expect(system.gateway(ADA).alarmAt).toBe(null)
  })
})

describe("asks between gateways", () => {
  it("fault 33: an actor's answer is had, with its own type and payload", () => {
    const { ada, bob } = two()
    const id = ada.ask(BOB, "question", { n: 1 })
    bob.answer(bob.takeOne(), { n: 2 }, { type: "sum" })
    expect(ada.takeOne()).toMatchObject({
      type: "sum",
      from: BOB,
      to: ADA,
      correlationId: id,
      payload: { n: 2 },
    })
  })

  it("fault 33: one that is forwarded is answered by whoever has it, and its cancel finds them", () => {
    const { system, ada, bob } = two()
    const eve = system.connect(EVE)
    const id = ada.ask(BOB, "question")
    const { payload: _, ...question } = bob.takeOne()
    bob.send({ ...question, to: EVE, metadata: { forwardOf: id } })
    expect(eve.takeOne()).toMatchObject({ id, from: ADA })
    ada.send({ to: BOB, type: "actor:demand", correlationId: id, payload: { n: 8 } })
    const demand = eve.takeOne()
    expect(demand).toMatchObject({ type: "actor:demand", from: ADA })
    eve.answer(question as Received, "eve's")
    expect(ada.takeOne()).toMatchObject({ from: EVE, payload: "eve's" })
    bob.answer(question as Received, "too late")
    expect(ada.take()).toEqual([])
  })

  it("one that is forwarded back to who asked it is answered there", () => {
    const { ada, bob } = two()
    const id = ada.ask(BOB, "question")
    const { payload: _, ...question } = bob.takeOne()
    bob.send({ ...question, to: ADA, metadata: { forwardOf: id } })
    const own = ada.takeOne()
    expect(own).toMatchObject({ id, from: ADA, pattern: "ask" })
    ada.answer(own, "mine")
    expect(ada.takeOne()).toMatchObject({ payload: "mine", correlationId: id })
  })

  it("one that nobody answers is timeout for its asker, once, and leaves no row anywhere", () => {
    const { system, ada, bob } = two()
    ada.ask(BOB, "question", null, 5_000)
    bob.take()
    system.advance(6_000)
    expect(codeOf(ada.takeOne())).toBe("timeout")
    for (const identity of [ADA, BOB]) expect(system.gateway(identity).sql.count("ask")).toBe(0)
  })

  it("fault 5: one that is slow survives the eviction of both sides", () => {
    const { system, ada, bob } = two()
    const id = ada.ask(BOB, "question", null, 60_000)
    const question = bob.takeOne()
    system.advance(2_000)
    expect(system.evictAll()).toBeGreaterThanOrEqual(2)
    bob.answer(question, "at last")
    expect(ada.takeOne()).toMatchObject({ correlationId: id, payload: "at last" })
  })

  it("an answer passes from nobody who was not asked, and once", () => {
    const { system, ada, bob } = two()
    const eve = system.connect(EVE)
    const id = ada.ask(BOB, "question")
    const question = bob.takeOne()
    eve.send({ to: ADA, type: "answer", correlationId: id, payload: "eve's" })
    expect(ada.take()).toEqual([])
    bob.answer(question, 1)
    bob.answer(question, 2)
    expect(ada.takeOne().payload).toBe(1)
  })

  it("a Worker asks without an address, and hears the answer, a failure or that time ran out", () => {
    const { system, bob } = two()
    const answers: Array<unknown> = []
    const ask = (to: string, timeout = 1_000) => {
      const asked = envelope(to as Address.Address, "question", 1, {
        id: `w${answers.length}`,
        pattern: "ask",
      })
      system.gateway(to)
      system.gateways
        .get(to)!
        .core.request(asked, timeout, (answer) => answers.push(codeOf(answer as Received)))
      system.gateway(to).flush()
      system.settle()
    }
    ask(BOB)
    const question = bob.takeOne()
    bob.answer(question, 2, { type: "sum" })
    ask("@(user/nobody)")
    ask(BOB)
    bob.take()
    system.advance(2_000)
    ask(BOB)
    bob.drop()
    expect(answers).toEqual(["sum", "hub:unknown_actor", "timeout", "actor_terminated"])
    expect(system.gateway(BOB).sql.count("ask")).toBe(0)
  })
})

describe("order", () => {
  it("fault 34: 40 sends to one address arrive in order, those of one frame in one call", () => {
    const { system, ada, bob } = two()
    const before = system.calls.length
    for (let n = 0; n < 40; n++) ada.tell(BOB, "n", n)
    expect(bob.take().map(({ payload }) => payload)).toEqual(Array.from({ length: 40 }, (_, n) => n))
    expect(system.calls.slice(before).filter(({ name }) => name === BOB).length).toBeLessThanOrEqual(40)
  })

  it("fault 34: what comes while a call is in flight travels together in the next", () => {
    const { system, ada, bob } = two()
    const held: Array<() => void> = []
    const settle = system.settle
    system.gateway(ADA).afterwards = () => void held.push(settle)
    for (let n = 0; n < 40; n++) ada.tell(BOB, "n", n)
    const before = system.calls.length
    settle()
    expect(system.calls.slice(before).filter(({ name }) => name === BOB)).toHaveLength(1)
    expect(bob.take().map(({ payload }) => payload)).toEqual(Array.from({ length: 40 }, (_, n) => n))
  })

  it("a target that hangs holds up no other, and its own next message waits for its end only", () => {
    const { system, ada, bob } = two()
    system.backends.set(
      "@(slow/1)",
      backend(() => TAKEN),
    )
    let isHanging = true
    system.fate = ({ name }) => (name === "@(slow/1)" && isHanging ? "hangs" : "arrives")
    const id = ada.ask("@(slow/1)", "question", null, 60_000)
    ada.tell(BOB, "note")
    expect(bob.takeOne().type).toBe("note")
    isHanging = false
    system.advance(11_000)
    expect(ada.takeOne()).toMatchObject({ correlationId: id, payload: { code: "timeout" } })
  })

  it("answers to hub:* requests leave in the order of the requests, whatever each waits for", () => {
    const { ada } = two()
    const requests = [
      ["hub:discover", { pattern: "@(user/**)" }],
      ["hub:heartbeat", { timestamp: 1 }],
      ["hub:subscribe", { topic: "news" }],
      ["hub:register", { actorAddress: "@(desk/1)" }],
      ["hub:unregister", { actorAddress: "@(desk/1)" }],
      ["hub:subscribe", { topic: "no topic!" }],
      ["hub:publish", { topic: "news", type: "item", data: 1 }],
      ["hub:presence", { topic: "news" }],
      ["hub:nothing", {}],
      ["hub:list_actors", {}],
      ["hub:queue_stats", {}],
    ] as const
    const ids = requests.map(([type, payload]) => ada.send({ type, payload, pattern: "ask" }))
    const answered = ada.take().flatMap(({ correlationId }) => correlationId ?? [])
    expect(answered).toEqual(ids)
  })
})

describe("what may not be reached", () => {
  it("fault 32: an address is text: names of JavaScript's own lead to nobody and break nothing", () => {
    const { ada, bob } = two()
    for (const to of [
      "@(__proto__/x)",
      "@(constructor/prototype)",
      "@(toString/x)",
      "@(hasOwnProperty/call)",
    ]) {
      const id = ada.ask(to, "question")
      expect(ada.takeOne()).toMatchObject({ type: "hub:unknown_actor", correlationId: id })
    }
    ada.tell(BOB, "note")
    expect(bob.takeOne().type).toBe("note")
  })

  it("fault 32: what gateways say to one another, a client can't", () => {
    const { ada, bob } = two()
    bob.register(BOB)
    ada.watch(BOB)
    for (const type of ["hub:terminated", "hub:forwarded", "hub:unregistered"]) {
      ada.send({ to: BOB, type, payload: { actorAddress: BOB, reason: "expired" }, correlationId: "x" })
      expect(codeOf(ada.takeOne())).toBe("unknown_type")
    }
    expect(bob.take()).toEqual([])
    expect(ada.request("hub:discover", { pattern: BOB }).payload.actors).toHaveLength(1)
  })
})

describe("backends", () => {
  const withBackend = (take: Parameters<typeof backend>[0]) => {
    const both = two()
    both.system.backends.set("@(room/1)", backend(take))
    return both
  }

  it("an actor that throws is actor:error for its asker, without its text", () => {
    const { ada, bob } = withBackend(() => {
      throw new Error("secret of the inside")
    })
    const id = ada.ask("@(room/1)", "question")
    const answer = ada.takeOne()
    expect(answer).toMatchObject({
      type: "actor:error",
      from: "@(room/1)",
      correlationId: id,
      payload: { code: "actor_failed" },
    })
    expect(JSON.stringify(answer)).not.toContain("secret")
    expect(bob.take()).toEqual([])
  })

  it("one that answers at once, and once more, is heard once", () => {
    const { system, ada } = withBackend(({ envelope, ask }) => {
      system.gateways.get(ask!.home)!.core.deliver({
        caller: { home: "@(room/1)", claims: null },
        deliveries: [
          {
            envelope: {
              ...envelope,
              id: "a1",
              from: "@(room/1)",
              to: ADA,
              type: "first",
              pattern: "tell",
              correlationId: envelope.id,
            },
          },
        ],
      })
      return { status: "answered", answer: { type: "second", payload: 2 } }
    })
    ada.ask("@(room/1)", "question")
    expect(typesOf(ada)).toEqual(["first"])
  })

  it("one that is overloaded is queue_full, and is not called again", () => {
    const { system, ada } = withBackend(() => TAKEN)
    system.fate = ({ name }) =>
      name === "@(room/1)" ? new CallFailed("queue_full", "overloaded") : "arrives"
    ada.ask("@(room/1)", "question")
    expect(codeOf(ada.takeOne())).toBe("queue_full")
    expect(system.calls.filter(({ name }) => name === "@(room/1)")).toHaveLength(1)
  })

  it("its address can be registered by nobody", () => {
    const { ada } = withBackend(() => TAKEN)
    expect(codeOf(ada.register("@(room/1)"))).toBe("address_in_use")
  })

  it("it learns who sends, where answers go, and what the sender may do", () => {
    const seen: Array<unknown> = []
    const system = new TestSystem().requireTokens()
    system.backends.set(
      "@(room/1)",
      backend(({ envelope, ask }, { caller }) => {
        seen.push({ from: envelope.from, home: ask?.home, caller })
        return TAKEN
      }),
    )
    const ada = system.enter({ actorId: ADA, capabilities: ["list"], exp: 4_000_000_000 })
    ada.send({ to: "@(room/1)", type: "question", pattern: "ask", from: BOB })
    expect(seen).toEqual([
      {
        from: ADA,
        home: ADA,
        caller: {
          home: ADA,
          session: expect.any(String),
          claims: { capabilities: ["list"], expiresAt: 4_000_000_000_000 },
        },
      },
    ])
  })

  it("a token that expires while an ask is open ends the session; the answer goes nowhere", () => {
    const system = new TestSystem().requireTokens()
    const bob = system.enter({ actorId: BOB })
    const ada = system.enter({ actorId: ADA, exp: system.now() / 1_000 + 5 })
    ada.ask(BOB, "question", null, 60_000)
    const question = bob.takeOne()
    system.advance(6_000)
    expect(ada.socket.close?.code).toBe(4401)
    expect(typesOf(ada)).toEqual(["hub:disconnect"])
    bob.answer(question, 42)
    expect(ada.take()).toEqual([])
  })
})

describe("addresses beside the identity", () => {
  it("one that another claims moves: its holder is told and can't speak as it any more", () => {
    const { system, ada, bob } = two()
    const eve = system.connect(EVE)
    ada.register("@(desk/1)")
    bob.watch("@(desk/1)")
    eve.register("@(desk/1)")
    expect(ada.takeOne()).toMatchObject({
      type: "hub:unregistered",
      payload: { actorAddress: "@(desk/1)", reason: "superseded" },
    })
    expect(bob.takeOne()).toMatchObject({ type: "hub:terminated", payload: { reason: "superseded" } })
    bob.tell("@(desk/1)", "note")
    expect(eve.takeOne().to).toBe("@(desk/1)")
    ada.send({ to: BOB, type: "note", from: "@(desk/1)" })
    expect(bob.takeOne().from).toBe(ADA)
  })

  it("an identity can't be claimed by another; one that becomes an identity is taken from its holder", () => {
    const { system, ada, bob } = two()
    expect(codeOf(ada.register(BOB))).toBe("address_in_use")
    ada.register(EVE)
    const eve = system.connect(EVE)
    expect(typesOf(ada)).toEqual(["hub:unregistered"])
    bob.tell(EVE, "note")
    expect(eve.takeOne().type).toBe("note")
    expect(codeOf(ada.register(EVE))).toBe("address_in_use")
  })

  it("notices that are not heard are told again, also after an eviction", () => {
    const { system, ada, bob } = two()
    ada.register(ADA)
    bob.watch(ADA)
    system.fate = ({ name }) => (name === BOB ? new CallFailed("actor_terminated", "unreachable") : "arrives")
    ada.request("hub:unregister", { actorAddress: ADA })
    expect(bob.take()).toEqual([])
    expect(system.evictAll()).toBeGreaterThan(0)
    system.fate = () => "arrives"
    system.advance(6_000)
    expect(bob.takeOne()).toMatchObject({ type: "hub:terminated", payload: { actorAddress: ADA } })
    expect(system.gateway(ADA).sql.count("notice")).toBe(0)
    system.advance(60_000)
    expect(bob.take()).toEqual([])
  })
})
