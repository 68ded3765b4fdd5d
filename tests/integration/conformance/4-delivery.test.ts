/** protocol.md, section 4: send, broadcast, topics, presence, statistics. */
import { describe, expect, test } from "vitest"
import { envelope, HUB, listOf, numberOf, textOf, type RawClient } from "../support/RawClient.ts"
import { address, topic, unique } from "../support/names.ts"
import { expectError, expectQuiet } from "../support/expectations.ts"
import { isGateway, twoPhase, useHub } from "../support/hub.ts"

const hub = useHub()
/** Where nobody else is: a hub of another name, or gateways of which all are those of these tests. */
const alone = isGateway ? useHub({ own: true }) : hub

describe("hub:send", () => {
  test("is delivered as a direct envelope, and acknowledged to an ask", async () => {
    const [ada, bob] = [await hub.connect(), await hub.connect()]
    const request = envelope({
      type: "hub:send",
      pattern: "ask",
      payload: { to: bob.identity, type: "note", data: { text: "hello" } },
      metadata: { traceparent: "00-1-2-01", tag: "t" },
    })
    const ack = await ada.request(request)
    const note = await bob.expect("note")
    expect(note).toMatchObject({
      from: ada.identity,
      to: bob.identity,
      pattern: "tell",
      payload: { text: "hello" },
      correlationId: null,
      metadata: {
        traceparent: "00-1-2-01",
        tag: "t",
        forwarded: true,
        via: HUB,
        originalMessageId: request.id,
      },
    })
    expect(note.id).not.toBe(request.id)
    expect(ack).toMatchObject({
      type: "hub:delivery_ack",
      payload: { messageId: request.id, status: "delivered", deliveredAt: expect.any(Number) },
    })
  })

  test("as a tell it is delivered and not acknowledged", async () => {
    const [ada, bob] = [await hub.connect(), await hub.connect()]
    await ada.send(envelope({ type: "hub:send", payload: { to: bob.identity, type: "note", data: 1 } }))
    await bob.expect("note")
    await expectQuiet(ada)
  })

  test("to falls back to the envelope's", async () => {
    const [ada, bob] = [await hub.connect(), await hub.connect()]
    const ack = await ada.ask("hub:send", { type: "note", data: 1 }, { to: bob.identity })
    expect(ack.type).toBe("hub:delivery_ack")
    expect((await bob.expect("note")).to).toBe(bob.identity)
  })

  test("to an unknown address: hub:unknown_actor to an ask, silence to a tell", async () => {
    const client = await hub.connect()
    const nobody = address("nobody")
    const payload = { to: nobody, type: "note", data: 1 }
    expect(await client.ask("hub:send", payload)).toMatchObject({
      type: "hub:unknown_actor",
      payload: { actorAddress: nobody },
    })
    await client.send(envelope({ type: "hub:send", payload }))
    await expectQuiet(client)
  })

  test("data absent is null", async () => {
    const client = await hub.connect()
    await client.ask("hub:send", { to: client.identity, type: "note" })
    expect((await client.expect("note")).payload).toBeNull()
  })

  test.each([[null], [{}], [{ data: 1 }], [{ type: 7 }], [{ type: "" }], [{ type: "t".repeat(257) }]])(
    "%j: invalid_message",
    async (payload) => {
      const client = await hub.connect()
      const request = payload === null ? null : { to: client.identity, ...payload }
      expectError(await client.ask("hub:send", request), "invalid_message")
      await expectQuiet(client)
    },
  )
})

test.each([["hub:connected"], ["hub:disconnect"], ["hub:made_up"]])(
  "%s inside hub:send, hub:broadcast or hub:publish is invalid_message",
  async (type) => {
    const [ada, bob] = [await hub.connect(), await hub.connect()]
    const room = topic("room")
    await bob.ask("hub:register", { actorAddress: bob.identity })
    await bob.ask("hub:subscribe", { topic: room })
    expectError(await ada.ask("hub:send", { to: bob.identity, type, data: 1 }), "invalid_message")
    expectError(await ada.ask("hub:broadcast", { type, data: 1 }), "invalid_message")
    expectError(await ada.ask("hub:publish", { topic: room, type, data: 1 }), "invalid_message")
    await expectQuiet(bob)
  },
)

describe("hub:broadcast", () => {
  /** Sessions whose addresses only this test's pattern matches. */
  const group = async (...names: ReadonlyArray<string>) => {
    const name = unique("group")
    const members: Array<RawClient> = []
    for (const member of names) {
      const client = await hub.connect({ identity: `@(test/${name}/${member})` })
      await client.ask("hub:register", {
        actorAddress: client.identity,
        capabilities: [member.startsWith("r") ? "red" : "blue"],
      })
      members.push(client)
    }
    return { members, targetPattern: `@(test/${name}/*)` }
  }

  test("one copy for each registered address, the sender's too; the ack counts them", async () => {
    const { members, targetPattern } = await group("one", "two", "three")
    const [ada, bob] = members as [RawClient, RawClient]
    const second = bob.identity.replace(/two\)$/, "two-more)")
    await bob.ask("hub:register", { actorAddress: second })
    const ack = await ada.ask(
      "hub:broadcast",
      { type: "news", data: { n: 1 } },
      { metadata: { targetPattern } },
    )
    expect(ack).toMatchObject({
      type: "hub:broadcast_ack",
      payload: {
        messageId: expect.stringMatching(/./),
        deliveredCount: 4,
        failedCount: 0,
        queuedCount: 0,
      },
    })
    for (const member of members) {
      const copy = await member.expectThat("its copy", (one) => one.to === member.identity)
      expect(copy).toMatchObject({ type: "news", from: ada.identity, pattern: "tell", payload: { n: 1 } })
    }
    expect((await bob.expect("news")).to).toBe(second)
    for (const member of members) await expectQuiet(member)
  })

  test("excludeSelf leaves the sender's addresses out", async () => {
    const { members, targetPattern } = await group("one", "two")
    const [ada, bob] = members as [RawClient, RawClient]
    const ack = await ada.ask(
      "hub:broadcast",
      { type: "news", data: 1, excludeSelf: true },
      { metadata: { targetPattern } },
    )
    expect(ack.payload).toMatchObject({ deliveredCount: 1 })
    await bob.expect("news")
    await expectQuiet(ada)
  })

  test("targetCapability narrows it down", async () => {
    const { members, targetPattern } = await group("red", "blue", "rose")
    const [red, blue, rose] = members as [RawClient, RawClient, RawClient]
    const ack = await blue.ask(
      "hub:broadcast",
      { type: "news", data: 1 },
      { metadata: { targetPattern, targetCapability: "red" } },
    )
    expect(ack.payload).toMatchObject({ deliveredCount: 2 })
    await red.expect("news")
    await rose.expect("news")
    await expectQuiet(blue)
  })

  test("fault 35: copies carry correlationId null and the sender's metadata plus {broadcast, via}", async () => {
    const { members, targetPattern } = await group("one", "two")
    const [ada, bob] = members as [RawClient, RawClient]
    const request = envelope({
      type: "hub:broadcast",
      pattern: "ask",
      payload: { type: "news", data: 1 },
      metadata: { targetPattern, tag: "t", traceparent: "00-1-2-01" },
    })
    await ada.send(request)
    for (const member of [ada, bob]) {
      const copy = await member.expect("news")
      expect(copy.correlationId).toBeNull()
      expect(copy.id).not.toBe(request.id)
      expect(copy.metadata).toMatchObject({ tag: "t", traceparent: "00-1-2-01", broadcast: true, via: HUB })
    }
    expect((await ada.answerTo(request.id, "broadcast")).type).toBe("hub:broadcast_ack")
  })

  test("who isn't registered gets none", async () => {
    const name = unique("group")
    const [ada, bob] = [
      await hub.connect({ identity: `@(test/${name}/ada)` }),
      await hub.connect({ identity: `@(test/${name}/bob)` }),
    ]
    const ack = await ada.ask(
      "hub:broadcast",
      { type: "news", data: 1 },
      { metadata: { targetPattern: `@(test/${name}/*)` } },
    )
    expect(ack.payload).toMatchObject({ deliveredCount: 0, failedCount: 0 })
    await expectQuiet(bob)
  })

  test("without a target it goes to everybody of the hub", async () => {
    const name = unique("everybody")
    const [ada, bob] = [await alone.connect({ hub: name }), await alone.connect({ hub: name })]
    for (const one of [ada, bob]) await one.ask("hub:register", { actorAddress: one.identity })
    const ack = await ada.ask("hub:broadcast", { type: "news", data: 1, excludeSelf: true })
    expect(ack.payload).toMatchObject({ deliveredCount: 1 })
    expect((await bob.expect("news")).to).toBe(bob.identity)
  })

  test("there is no limit on recipients: 1,500 addresses get their copies, each one", async () => {
    const name = unique("crowd")
    const members = [await alone.connect({ hub: name }), await alone.connect({ hub: name })]
    const all: Array<string> = []
    for (const member of members) {
      const own = Array.from({ length: 750 }, () => address("m"))
      all.push(...own)
      await member.bulk(
        own.map((actorAddress) =>
          envelope({ type: "hub:register", pattern: "ask", payload: { actorAddress } }),
        ),
      )
    }
    const ada = await alone.connect({ hub: name })
    const ack = await ada.ask("hub:broadcast", { type: "news", data: 1 })
    expect(ack.payload).toMatchObject({ deliveredCount: 1_500, failedCount: 0 })
    const copies = [
      ...(await members[0]!.expectMany("news", 750)),
      ...(await members[1]!.expectMany("news", 750)),
    ]
    expect(copies.map((copy) => copy.to).toSorted()).toEqual(all.toSorted())
    for (const member of members) await expectQuiet(member)
  })

  test.each([
    [null],
    [{}],
    [{ type: 7, data: 1 }],
    [{ data: 1 }],
    [{ type: "x", data: 1, excludeSelf: "yes" }],
  ])("%j: invalid_message", async (payload) => {
    const client = await hub.connect()
    expectError(await client.ask("hub:broadcast", payload), "invalid_message")
  })

  test("a target pattern that is none is refused", async () => {
    const client = await hub.connect()
    for (const targetPattern of ["@(a/**/b)", 7, `@(a/${"*".repeat(300)})`]) {
      const answer = await client.ask(
        "hub:broadcast",
        { type: "x", data: 1 },
        { metadata: { targetPattern } },
      )
      expectError(answer, "invalid_message", "invalid_address")
    }
  })
})

describe("topics", () => {
  test("hub:subscribe is answered hub:subscribed, hub:publish hub:published with the count", async () => {
    const [ada, bob, eve] = [await hub.connect(), await hub.connect(), await hub.connect()]
    const room = topic("room")
    for (const subscriber of [bob, eve]) {
      expect(await subscriber.ask("hub:subscribe", { topic: room })).toMatchObject({
        type: "hub:subscribed",
        payload: { topic: room, subscriptionId: expect.stringMatching(/./) },
      })
    }
    expect(await ada.ask("hub:publish", { topic: room, type: "news", data: { n: 1 } })).toMatchObject({
      type: "hub:published",
      payload: { topic: room, subscriberCount: 2 },
    })
    for (const subscriber of [bob, eve]) {
      expect(await subscriber.expect("news")).toMatchObject({
        from: ada.identity,
        to: subscriber.identity,
        pattern: "tell",
        payload: { n: 1 },
      })
    }
    await expectQuiet(ada)
  })

  test("fault 35: copies carry correlationId null and the sender's metadata plus {topic, publication, via}", async () => {
    const client = await hub.connect()
    const room = topic("room")
    await client.ask("hub:subscribe", { topic: room })
    const request = envelope({
      type: "hub:publish",
      pattern: "ask",
      payload: { topic: room, type: "news", data: 1 },
      metadata: { tag: "t", traceparent: "00-1-2-01" },
    })
    const answer = await client.request(request)
    expect(answer.type).toBe("hub:published")
    const copy = await client.expect("news")
    expect(copy.correlationId).toBeNull()
    expect(copy.id).not.toBe(request.id)
    expect(copy.metadata).toMatchObject({
      tag: "t",
      traceparent: "00-1-2-01",
      topic: room,
      publication: true,
      via: HUB,
    })
  })

  test("the publisher gets its own copy if it subscribes, and is counted", async () => {
    const client = await hub.connect()
    const room = topic("room")
    await client.ask("hub:subscribe", { topic: room })
    const answer = await client.ask("hub:publish", { topic: room, type: "news", data: 1 })
    expect(answer.payload).toMatchObject({ subscriberCount: 1 })
    expect((await client.expect("news")).from).toBe(client.identity)
  })

  test("who subscribes twice gets one copy", async () => {
    const client = await hub.connect()
    const room = topic("room")
    for (let i = 0; i < 2; i++) await client.ask("hub:subscribe", { topic: room })
    const answer = await client.ask("hub:publish", { topic: room, type: "news", data: 1 })
    expect(answer.payload).toMatchObject({ subscriberCount: 1 })
    await client.expect("news")
    await expectQuiet(client)
  })

  test("nobody subscribed: the count is 0, and other topics hear nothing", async () => {
    const [ada, bob] = [await hub.connect(), await hub.connect()]
    const room = topic("room")
    await bob.ask("hub:subscribe", { topic: `${room}/more` })
    await bob.ask("hub:subscribe", { topic: room.toUpperCase() })
    const answer = await ada.ask("hub:publish", { topic: room, type: "news", data: 1 })
    expect(answer.payload).toMatchObject({ subscriberCount: 0 })
    await expectQuiet(bob)
  })

  test("fault 36: hub:unsubscribe works by topic and by subscription id, and is answered to an ask", async () => {
    const client = await hub.connect()
    const [one, two, three] = [topic("one"), topic("two"), topic("three")]
    const ids: Array<string> = []
    for (const room of [one, two, three]) {
      ids.push(textOf(await client.ask("hub:subscribe", { topic: room }), "subscriptionId"))
    }
    expect(new Set(ids).size).toBe(3)
    expect(await client.ask("hub:unsubscribe", { topic: one })).toMatchObject({
      type: "hub:unsubscribed",
      payload: { topic: one },
    })
    expect(await client.ask("hub:unsubscribe", { subscriptionId: ids[1] })).toMatchObject({
      type: "hub:unsubscribed",
      payload: { topic: two },
    })
    await client.send(envelope({ type: "hub:unsubscribe", payload: { topic: three } }))
    await expectQuiet(client)
    for (const room of [one, two, three]) {
      const answer = await client.ask("hub:publish", { topic: room, type: "news", data: 1 })
      expect(answer.payload).toMatchObject({ subscriberCount: 0 })
    }
  })

  test("nobody else's subscription is ended by its id", async () => {
    const [ada, eve] = [await hub.connect(), await hub.connect()]
    const room = topic("room")
    const subscriptionId = textOf(await ada.ask("hub:subscribe", { topic: room }), "subscriptionId")
    await eve.ask("hub:unsubscribe", { subscriptionId })
    const answer = await eve.ask("hub:publish", { topic: room, type: "news", data: 1 })
    expect(answer.payload).toMatchObject({ subscriberCount: 1 })
    await ada.expect("news")
  })

  twoPhase("fault 37: subscribed before the identity is claimed, it moves to the identity", async () => {
    const [ada, bob] = [await hub.connect({ identity: null }), await hub.connect()]
    const room = topic("room")
    await ada.ask("hub:subscribe", { topic: room })
    await bob.ask("hub:publish", { topic: room, type: "news", data: 1 })
    expect((await ada.expect("news")).to).toBe(`@(session/${ada.sessionId})`)
    const identity = address("claimed")
    await ada.ask("hub:register", { actorAddress: identity })
    const answer = await bob.ask("hub:publish", { topic: room, type: "news", data: 2 })
    expect(answer.payload).toMatchObject({ subscriberCount: 1 })
    expect(await ada.expect("news")).toMatchObject({ to: identity, payload: 2 })
    await expectQuiet(ada)
  })

  test("it ends with its session: the identity's next connect has none", async () => {
    const ada = await hub.connect()
    const room = topic("room")
    await ada.ask("hub:subscribe", { topic: room })
    await ada.ask("hub:disconnect", {})
    await ada.closed()
    const again = await hub.connect({ identity: ada.identity })
    const answer = await again.ask("hub:publish", { topic: room, type: "news", data: 1 })
    expect(answer.payload).toMatchObject({ subscriberCount: 0 })
    await expectQuiet(again)
  })

  test("durable: it is back at the identity's next connect; what was published in between isn't kept", async () => {
    const [ada, bob] = [await hub.connect(), await hub.connect()]
    const room = topic("room")
    await ada.ask("hub:subscribe", { topic: room, durable: true })
    await ada.ask("hub:disconnect", {})
    await ada.closed()
    const between = await bob.ask("hub:publish", { topic: room, type: "news", data: "in between" })
    expect(between.payload).toMatchObject({ subscriberCount: 0 })
    const again = await hub.connect({ identity: ada.identity })
    await bob.ask("hub:publish", { topic: room, type: "news", data: "now" })
    expect((await again.expect("news")).payload).toBe("now")
    await expectQuiet(again)
  })

  test("durable: until it is unsubscribed", async () => {
    const ada = await hub.connect()
    const room = topic("room")
    await ada.ask("hub:subscribe", { topic: room, durable: true })
    await ada.ask("hub:unsubscribe", { topic: room })
    await ada.ask("hub:disconnect", {})
    await ada.closed()
    const again = await hub.connect({ identity: ada.identity })
    const answer = await again.ask("hub:publish", { topic: room, type: "news", data: 1 })
    expect(answer.payload).toMatchObject({ subscriberCount: 0 })
  })

  test.each([["AZaz09/_.:-"], ["t"], ["x".repeat(256)]])("%s is a topic", async (room) => {
    const client = await hub.connect()
    expect((await client.ask("hub:subscribe", { topic: room })).type).toBe("hub:subscribed")
    await client.ask("hub:unsubscribe", { topic: room })
  })

  test.each([
    [""],
    ["x".repeat(257)],
    ["a b"],
    ["a*"],
    ["ä"],
    ["a\n"],
    ["a#"],
    [7],
    [null],
    [["a"]],
    [undefined],
  ])("%j is none: invalid_topic", async (room) => {
    const client = await hub.connect()
    for (const [type, payload] of [
      ["hub:subscribe", { topic: room }],
      ["hub:publish", { topic: room, type: "x", data: 1 }],
      ["hub:presence", { topic: room }],
    ] as const) {
      expectError(await client.ask(type, payload), "invalid_topic", "invalid_message")
    }
    if (typeof room === "string") {
      expectError(await client.ask("hub:subscribe", { topic: room }), "invalid_topic")
    }
  })

  test.each([[{ durable: "yes" }], [{ presence: 1 }]])("%j: invalid_message", async (more) => {
    const client = await hub.connect()
    expectError(await client.ask("hub:subscribe", { topic: topic("x"), ...more }), "invalid_message")
  })
})

describe("presence", () => {
  test("hub:presence is answered with the members by address", async () => {
    const [ada, bob] = [await hub.connect(), await hub.connect()]
    const room = topic("room")
    expect(await ada.ask("hub:presence", { topic: room })).toMatchObject({
      type: "hub:presence_state",
      payload: { topic: room, members: [], hasMore: false },
    })
    for (const one of [ada, bob]) await one.ask("hub:subscribe", { topic: room, presence: true })
    const state = await bob.ask("hub:presence", { topic: room })
    const members = listOf(state, "members")
    expect(members.map((member) => member.actorAddress).toSorted()).toEqual(
      [ada.identity, bob.identity].toSorted(),
    )
    for (const member of members) expect(member.metadata).toEqual(expect.any(Object))
  })

  test("joins and leaves are told to those who asked for them", async () => {
    const [ada, bob, eve] = [await hub.connect(), await hub.connect(), await hub.connect()]
    const room = topic("room")
    await ada.ask("hub:subscribe", { topic: room, presence: true })
    await eve.ask("hub:subscribe", { topic: room })
    const diffsUntil = async (field: "joined" | "left", actorAddress: string) => {
      for (;;) {
        const diff = await ada.expect("hub:presence_diff")
        expect(diff).toMatchObject({ from: HUB, payload: { topic: room } })
        if (listOf(diff, field).some((member) => member.actorAddress === actorAddress)) return
      }
    }
    await bob.ask("hub:subscribe", { topic: room, presence: true })
    await diffsUntil("joined", bob.identity)
    await bob.ask("hub:unsubscribe", { topic: room })
    await diffsUntil("left", bob.identity)
    await bob.ask("hub:subscribe", { topic: room, presence: true })
    await diffsUntil("joined", bob.identity)
    await bob.ask("hub:disconnect", {})
    await diffsUntil("left", bob.identity)
    expect((await eve.rest()).map((one) => one.type)).not.toContain("hub:presence_diff")
  })

  test("it comes in pages", async () => {
    const room = topic("room")
    const name = unique("hub")
    const clients: Array<RawClient> = []
    for (let i = 0; i < 105; i++) clients.push(await hub.connect({ hub: name }))
    for (const client of clients) await client.ask("hub:subscribe", { topic: room })
    const found: Array<unknown> = []
    let cursor: unknown
    do {
      const state = await clients[0]!.ask("hub:presence", {
        topic: room,
        ...(cursor === undefined ? {} : { cursor }),
      })
      const members = listOf(state, "members")
      expect(members.length).toBeLessThanOrEqual(100)
      found.push(...members.map((member) => member.actorAddress))
      const { hasMore, cursor: next } = state.payload as { hasMore: boolean; cursor?: string }
      cursor = hasMore ? next : undefined
    } while (cursor !== undefined)
    expect(found.toSorted()).toEqual(clients.map((client) => client.identity).toSorted())
  })
})

describe("statistics", () => {
  test("hub:queue_stats tells the five numbers of this session", async () => {
    const client = await hub.connect()
    const answer = await client.ask("hub:queue_stats", {})
    expect(answer.type).toBe("hub:queue_stats_response")
    for (const field of ["queueDepth", "queueBytes", "processingRate", "pauseThreshold", "resumeThreshold"]) {
      expect(numberOf(answer, field), field).toBeGreaterThanOrEqual(0)
    }
    expect(numberOf(answer, "pauseThreshold")).toBeGreaterThan(numberOf(answer, "resumeThreshold"))
  })

  test("hub:metrics tells numbers that count", async () => {
    const client = await hub.connect()
    const fields = [
      "messages_received",
      "messages_sent",
      "errors",
      "connections_opened",
      "connections_closed",
      "windowStart",
      "timestamp",
    ]
    const answer = await client.ask("hub:metrics", {})
    expect(answer.type).toBe("hub:metrics_response")
    for (const field of fields) expect(numberOf(answer, field), field).toBeGreaterThanOrEqual(0)
    expect(Math.abs(numberOf(answer, "timestamp") - Date.now())).toBeLessThan(60_000)
    expect(numberOf(answer, "windowStart")).toBeLessThanOrEqual(numberOf(answer, "timestamp"))
  })
})
