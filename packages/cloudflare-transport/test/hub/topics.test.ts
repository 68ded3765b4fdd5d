import { describe, expect, it } from "vitest"
import type { TestClient } from "../support/TestClient.ts"
import { TestHub } from "../support/TestHub.ts"

const WEEK = 7 * 24 * 3_600_000

describe("topics", () => {
  it("a publication reaches every subscriber, its publisher among them if it subscribes", () => {
    const hub = new TestHub()
    const a = hub.connect("@(node/a)")
    const b = hub.connect("@(node/b)")
    a.subscribe("news")
    b.subscribe("news")
    b.subscribe("other")
    expect(a.request("hub:publish", { topic: "news", type: "item", data: 1 })).toMatchObject({
      type: "hub:published",
      payload: { topic: "news", subscriberCount: 2 },
    })
    for (const client of [a, b]) {
      expect(client.takeOne()).toMatchObject({
        type: "item",
        from: "@(node/a)",
        to: client.identity,
        payload: 1,
      })
    }
  })

  it("fault 35: a copy carries no correlationId, and the sender's metadata beside the hub's", () => {
    const hub = new TestHub()
    const a = hub.connect("@(node/a)")
    a.subscribe("news")
    const metadata = { mine: 1, traceparent: "00-1-2-01" }
    a.request("hub:publish", { topic: "news", type: "item", data: 1 }, { metadata, correlationId: "x" })
    expect(a.takeOne()).toMatchObject({
      correlationId: null,
      metadata: { ...metadata, topic: "news", publication: true, via: "@(cloudflare/signal-hub)" },
    })
  })

  it("fault 36: unsubscribing by topic or by id is acknowledged to an ask, and ends it", () => {
    const hub = new TestHub()
    const a = hub.connect("@(node/a)")
    const { subscriptionId } = a.subscribe("news").payload
    a.subscribe("other")
    expect(a.request("hub:unsubscribe", { subscriptionId })).toMatchObject({
      type: "hub:unsubscribed",
      payload: { topic: "news" },
    })
    expect(a.request("hub:unsubscribe", { topic: "other" }).payload).toEqual({ topic: "other" })
    expect(a.request("hub:unsubscribe", { topic: "other" }).type).toBe("hub:unsubscribed")
    a.send({ type: "hub:unsubscribe", payload: { topic: "news" } })
    expect(a.take()).toEqual([])
    expect(a.request("hub:publish", { topic: "news", type: "item", data: 1 }).payload.subscriberCount).toBe(0)
    expect(hub.sql.count("subscription")).toBe(0)
  })

  it("nobody unsubscribes another by id", () => {
    const hub = new TestHub()
    const { subscriptionId } = hub.connect("@(node/a)").subscribe("news").payload
    const answer = hub.connect("@(node/b)").request("hub:unsubscribe", { subscriptionId })
    expect(answer.payload).toMatchObject({ code: "invalid_message" })
    expect(hub.sql.count("subscription")).toBe(1)
  })

  it("subscribing again keeps the id", () => {
    const hub = new TestHub()
    const a = hub.connect("@(node/a)")
    const { subscriptionId } = a.subscribe("news").payload
    hub.evict()
    expect(a.subscribe("news", { durable: true }).payload.subscriptionId).toBe(subscriptionId)
  })

  it("fault 37: what was subscribed to before the identity is claimed moves to it", () => {
    const hub = new TestHub()
    const a = hub.connect()
    a.subscribe("news")
    hub.evict()
    a.register("@(node/a)")
    hub.evict()
    hub.connect("@(node/b)").request("hub:publish", { topic: "news", type: "item", data: 1 })
    expect(a.takeOne()).toMatchObject({ type: "item", to: "@(node/a)" })
    expect(a.request("hub:unsubscribe", { topic: "news" }).type).toBe("hub:unsubscribed")
    expect(hub.sql.count("subscription")).toBe(0)
  })

  it.each([
    ["", "invalid_topic"],
    ["a b", "invalid_topic"],
    ["x".repeat(257), "invalid_topic"],
    ["*", "invalid_topic"],
    [5, "invalid_message"],
  ])("a topic that is none is refused (%#)", (topic, code) => {
    const hub = new TestHub()
    const a = hub.connect("@(node/a)")
    for (const type of ["hub:subscribe", "hub:unsubscribe", "hub:publish", "hub:presence"]) {
      expect(a.request(type, { topic, type: "item", data: 1 }).payload, type).toMatchObject({ code })
    }
  })

  it("a session may have so many, and not one more; those it has it may renew", () => {
    const hub = new TestHub({ maxSubscriptionsPerSession: 2 })
    const a = hub.connect("@(node/a)")
    a.subscribe("t1")
    a.subscribe("t2")
    expect(a.subscribe("t3").payload).toMatchObject({ code: "too_many_subscriptions" })
    hub.evict()
    expect(a.subscribe("t3").payload).toMatchObject({ code: "too_many_subscriptions" })
    expect(a.subscribe("t2").type).toBe("hub:subscribed")
    a.request("hub:unsubscribe", { topic: "t1" })
    expect(a.subscribe("t3").type).toBe("hub:subscribed")
  })

  it("publications of one session on one topic arrive in the order they were sent", () => {
    const hub = new TestHub()
    const a = hub.connect("@(node/a)")
    const b = hub.connect("@(node/b)")
    b.subscribe("news")
    for (let n = 0; n < 40; n++)
      a.send({ type: "hub:publish", payload: { topic: "news", type: "item", data: n } })
    expect(b.take().map(({ payload }) => payload)).toEqual(Array.from({ length: 40 }, (_, n) => n))
  })
})

describe("subscriptions and sessions", () => {
  it("end with the session, but for the durable ones, which are back at the next connect", () => {
    const hub = new TestHub()
    const publisher = hub.connect("@(node/p)")
    const first = hub.connect("@(node/a)")
    first.subscribe("news", { durable: true })
    first.subscribe("other")
    first.request("hub:disconnect", {})
    const publish = (topic: string) =>
      publisher.request("hub:publish", { topic, type: "item", data: 1 }).payload.subscriberCount
    expect(publish("news")).toBe(0)
    hub.evict()
    const second = hub.connect("@(node/a)")
    expect(publish("news")).toBe(1)
    expect(publish("other")).toBe(0)
    expect(second.takeOne().metadata).toMatchObject({ topic: "news" })
  })

  it("durable ones end after seven days unused, and not before", () => {
    const days = (wait: number) => {
      const hub = new TestHub()
      const first = hub.connect("@(node/a)")
      first.subscribe("news", { durable: true })
      first.request("hub:disconnect", {})
      first.drop("closed 1000")
      hub.evict()
      hub.advance(wait)
      const rows = hub.sql.count("subscription")
      const subscribers = () =>
        hub.connect("@(node/a)").request("hub:publish", { topic: "news", type: "item", data: 1 }).payload
      return { rows, subscribers: subscribers().subscriberCount }
    }
    expect(days(WEEK - 1)).toEqual({ rows: 1, subscribers: 1 })
    expect(days(WEEK)).toEqual({ rows: 0, subscribers: 0 })
  })

  it("pass with a takeover, and outlive an eviction", () => {
    const hub = new TestHub()
    hub.connect("@(node/a)").subscribe("news")
    const winner = hub.connect("@(node/a)")
    hub.evict()
    hub.connect("@(node/p)").request("hub:publish", { topic: "news", type: "item", data: 1 })
    expect(winner.takeOne().type).toBe("item")
  })

  it("fault 20: the late close of an old connection leaves the subscriptions of the one that stays", () => {
    const hub = new TestHub()
    const old = hub.connect("@(node/a)")
    old.subscribe("news")
    const stays = hub.connect("@(node/a)")
    old.drop("closed 1006")
    hub.evict()
    old.drop("socket error")
    hub.connect("@(node/p)").request("hub:publish", { topic: "news", type: "item", data: 1 })
    expect(stays.takeOne().type).toBe("item")
  })
})

describe("presence", () => {
  const watched = () => {
    const hub = new TestHub()
    const watcher = hub.connect("@(node/w)")
    watcher.subscribe("room", { presence: true })
    hub.advance(50)
    watcher.take()
    return { hub, watcher }
  }

  it("joins and leaves are gathered for a moment and told together", () => {
    const { hub, watcher } = watched()
    const a = hub.connect("@(node/a)", { clientMetadata: { name: "Ada" } })
    const b = hub.connect("@(node/b)")
    a.subscribe("room")
    b.subscribe("room")
    hub.advance(49)
    expect(watcher.take()).toEqual([])
    hub.advance(1)
    expect(watcher.takeOne()).toMatchObject({
      type: "hub:presence_diff",
      to: "@(node/w)",
      payload: {
        topic: "room",
        joined: [
          { actorAddress: "@(node/a)", metadata: { name: "Ada" } },
          { actorAddress: "@(node/b)", metadata: {} },
        ],
        left: [],
      },
    })
    a.drop()
    hub.advance(50)
    expect(watcher.takeOne().payload).toMatchObject({ joined: [], left: [{ actorAddress: "@(node/a)" }] })
  })

  const GRACE = { protocolVersion: "1.0.0", sessionExpirySeconds: 60 }
  const members = (client: { readonly request: TestClient["request"] }) =>
    client.request("hub:presence", { topic: "room" }).payload.members

  it("fault 79: a member whose connection is lost is told within a second, and leaves when its session ends", () => {
    const { hub, watcher } = watched()
    const a = hub.connect("@(node/a)", GRACE)
    const beside = hub.connect("@(node/b)", GRACE)
    for (const each of [a, beside]) each.subscribe("room")
    hub.advance(50)
    watcher.take()
    a.drop()
    hub.advance(999)
    expect(watcher.takeOne().payload).toEqual({
      topic: "room",
      joined: [],
      left: [],
      updated: [{ actorAddress: "@(node/a)", isConnected: false }],
    })
    expect(members(watcher)).toMatchObject([
      { actorAddress: "@(node/a)", isConnected: false },
      { actorAddress: "@(node/b)", isConnected: true },
      { actorAddress: "@(node/w)", isConnected: true },
    ])
    hub.advance(60_000)
    expect(watcher.takeOne().payload).toEqual({
      topic: "room",
      joined: [],
      left: [{ actorAddress: "@(node/a)", metadata: {} }],
    })
  })

  it("fault 79: one that is back is told so, by a resume and by a takeover, also after an eviction", () => {
    for (const how of ["resume", "takeover"] as const) {
      const { hub, watcher } = watched()
      const a = hub.connect("@(node/a)", GRACE)
      a.subscribe("room", { presence: true })
      hub.advance(50)
      watcher.take()
      a.drop()
      hub.advance(1_000)
      watcher.take()
      hub.evict()
      const again = hub.connect("@(node/a)", { ...GRACE, ...(how === "resume" && { resume: a.resume() }) })
      hub.advance(50)
      expect(watcher.takeOne().payload).toEqual({
        topic: "room",
        joined: [],
        left: [],
        updated: [{ actorAddress: "@(node/a)", isConnected: true }],
      })
      // Nobody is told of their own.
      expect(again.take()).toEqual([])
      expect(members(watcher)).toMatchObject([{ isConnected: true }, { isConnected: true }])
    }
  })

  it("fault 79: one that is soon back was never away", () => {
    const { hub, watcher } = watched()
    const a = hub.connect("@(node/a)", GRACE)
    a.subscribe("room")
    hub.advance(50)
    watcher.take()
    a.drop()
    hub.advance(40)
    hub.connect("@(node/a)", GRACE)
    hub.advance(1_000)
    expect(watcher.take()).toEqual([])
  })

  it("fault 79: many that are lost at once are told in as many diffs as it takes", () => {
    const { hub, watcher } = watched()
    const all = Array.from({ length: 450 }, (_, i) => hub.connect(`@(node/m${i})`, GRACE))
    for (const each of all) each.subscribe("room")
    hub.advance(50)
    watcher.take()
    for (const each of all) each.drop()
    hub.advance(1_000)
    const told = watcher.take().map(({ payload }) => (payload.updated as ReadonlyArray<unknown>).length)
    expect(told).toEqual([200, 200, 50])
  })

  it("a join and a leave within the moment cancel out", () => {
    const { hub, watcher } = watched()
    const a = hub.connect("@(node/a)")
    a.subscribe("room")
    a.request("hub:unsubscribe", { topic: "room" })
    hub.advance(50)
    expect(watcher.take()).toEqual([])
  })

  it("nobody is told of their own join, nor who did not ask for presence", () => {
    const hub = new TestHub()
    const plain = hub.connect("@(node/plain)")
    plain.subscribe("room")
    const watcher = hub.connect("@(node/w)")
    watcher.subscribe("room", { presence: true })
    hub.advance(50)
    expect(plain.take()).toEqual([])
    expect(watcher.take()).toEqual([])
  })

  it("a takeover is no leave and no join", () => {
    const { hub, watcher } = watched()
    hub.connect("@(node/a)").subscribe("room")
    hub.advance(50)
    watcher.take()
    hub.connect("@(node/a)")
    hub.advance(50)
    expect(watcher.take()).toEqual([])
  })

  it("a durable subscriber that is back has joined", () => {
    const { hub, watcher } = watched()
    const a = hub.connect("@(node/a)")
    a.subscribe("room", { durable: true })
    a.request("hub:disconnect", {})
    hub.advance(50)
    watcher.take()
    hub.connect("@(node/a)")
    hub.advance(50)
    expect(watcher.takeOne().payload).toMatchObject({ joined: [{ actorAddress: "@(node/a)" }] })
  })

  it("tells who is there now, in pages, with the metadata of the registration", () => {
    const hub = new TestHub({ maxPageSize: 2 })
    for (const name of ["a", "b", "c"]) {
      const client = hub.connect(`@(node/${name})`, { clientMetadata: { from: "client" } })
      client.subscribe("room")
      if (name === "a") client.register("@(node/a)", { metadata: { from: "registration" } })
    }
    hub.evict()
    const asker = hub.connect("@(node/asker)")
    const first = asker.request("hub:presence", { topic: "room" }).payload
    expect(first).toMatchObject({
      topic: "room",
      hasMore: true,
      members: [
        { actorAddress: "@(node/a)", metadata: { from: "registration" } },
        { actorAddress: "@(node/b)", metadata: { from: "client" } },
      ],
    })
    const second = asker.request("hub:presence", { topic: "room", cursor: first.cursor }).payload
    expect(second).toMatchObject({ hasMore: false, members: [{ actorAddress: "@(node/c)" }] })
  })
})
