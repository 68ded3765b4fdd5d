/** protocol.md, section 7: each bound of a hub and of a session, at the limit and one past it. */
import { describe, expect, test } from "vitest"
import { envelope, fieldsOf, listOf, numberOf, type RawClient } from "../support/RawClient.ts"
import { address, topic, unique } from "../support/names.ts"
import { expectError } from "../support/expectations.ts"
import { useHub } from "../support/hub.ts"

const hub = useHub({
  limits: {
    maxSessions: 4,
    maxUnconnectedSockets: 3,
    maxRegistrations: 5,
    maxAddressesPerSession: 3,
    maxSubscriptionsPerSession: 3,
    maxWatchesPerSession: 2,
    maxAsksPerSession: 2,
    maxPageSize: 2,
    maxTakeovers: 2,
  },
})

const register = (client: RawClient, actorAddress = address("a")) =>
  client.ask("hub:register", { actorAddress })
const many = async (count: number, act: () => Promise<{ readonly type: string }>, type: string) => {
  for (let n = 0; n < count; n++) expect((await act()).type).toBe(type)
}

describe("of a hub", () => {
  test("sessions: one past the most is closed 4503, until one leaves; a takeover adds none", async () => {
    const name = unique("sessions")
    const identity = address("taken")
    const [first] = [await hub.connect({ hub: name }), await hub.connect({ hub: name, identity })]
    for (let n = 0; n < 2; n++) await hub.connect({ hub: name })
    const late = await hub.open({ hub: name })
    expectError(await late.handshake(), "registry_full")
    expect((await late.closed()).code).toBe(4503)
    const taking = await hub.connect({ hub: name, identity })
    expect(taking.sessionId).not.toBe("")
    await first.ask("hub:disconnect", {})
    expect((await hub.connect({ hub: name })).sessionId).not.toBe("")
  })

  test("unconnected sockets: one past the most is closed 4503, until one connects", async () => {
    const name = unique("waiting")
    const waiting = [
      await hub.open({ hub: name }),
      await hub.open({ hub: name }),
      await hub.open({ hub: name }),
    ]
    const late = await hub.open({ hub: name })
    expect(await late.closeFrame).toBe(4503)
    expect((await waiting[0]!.handshake()).type).toBe("hub:connected")
    const next = await hub.open({ hub: name })
    expect((await next.handshake()).type).toBe("hub:connected")
  })

  test("registrations: one past the most is registry_full, until one goes", async () => {
    const name = unique("registrations")
    const [ada, bob] = [await hub.connect({ hub: name }), await hub.connect({ hub: name })]
    await many(3, () => register(ada), "hub:registered")
    const mine = address("mine")
    await many(1, () => register(bob, mine), "hub:registered")
    await many(1, () => register(bob), "hub:registered")
    expectError(await register(bob), "registry_full")
    // What is registered may be registered anew.
    await many(1, () => register(bob, mine), "hub:registered")
    await bob.ask("hub:unregister", { actorAddress: mine })
    await many(1, () => register(bob), "hub:registered")
  })

  test("takeovers of an identity: one past the most is closed 4429 with retryAfterMs; others are not touched", async () => {
    const name = unique("takeovers")
    const [identity, other] = [address("wanted"), address("other")]
    const bystander = await hub.connect({ hub: name, identity: other })
    await hub.connect({ hub: name, identity })
    await hub.connect({ hub: name, identity })
    const holder = await hub.connect({ hub: name, identity })
    const late = await hub.open({ hub: name })
    const { details } = expectError(await late.handshake({ identity }), "rate_limited")
    expect(fieldsOf(details)).toMatchObject({ retryAfter: expect.any(Number), limit: 2 })
    expect(fieldsOf(details).retryAfterMs).toBe(fieldsOf(details).retryAfter)
    expect((await late.closed()).code).toBe(4429)
    await bystander.send(envelope({ to: identity, type: "still-there" }))
    await holder.expect("still-there")
    await hub.connect({ hub: name, identity: other })
    expect((await bystander.closed()).code).toBe(4409)
  })
})

describe("of a session", () => {
  test("addresses: one past the most is registry_full, until one goes", async () => {
    const client = await hub.connect({ hub: unique("addresses") })
    const first = address("first")
    await many(1, () => register(client, first), "hub:registered")
    await many(2, () => register(client), "hub:registered")
    expectError(await register(client), "registry_full")
    await client.ask("hub:unregister", { actorAddress: first })
    await many(1, () => register(client), "hub:registered")
  })

  test("subscriptions: one past the most is too_many_subscriptions, until one goes", async () => {
    const client = await hub.connect({ hub: unique("subscriptions") })
    const subscribe = (name = topic("t")) => client.ask("hub:subscribe", { topic: name })
    const first = topic("first")
    await many(1, () => subscribe(first), "hub:subscribed")
    await many(2, () => subscribe(), "hub:subscribed")
    expectError(await subscribe(), "too_many_subscriptions")
    await many(1, () => subscribe(first), "hub:subscribed")
    await client.ask("hub:unsubscribe", { topic: first })
    await many(1, () => subscribe(), "hub:subscribed")
  })

  test("watches: one past the most is too_many_subscriptions, until one goes", async () => {
    const name = unique("watches")
    const [ada, bob] = [await hub.connect({ hub: name }), await hub.connect({ hub: name })]
    const addresses = [address("w"), address("w"), address("w")]
    for (const one of addresses) await register(bob, one)
    const watch = (actorAddress: string) => ada.ask("hub:watch", { actorAddress })
    await many(1, () => watch(addresses[0]!), "hub:watching")
    await many(1, () => watch(addresses[1]!), "hub:watching")
    expectError(await watch(addresses[2]!), "too_many_subscriptions")
    await ada.ask("hub:unwatch", { actorAddress: addresses[0] })
    await many(1, () => watch(addresses[2]!), "hub:watching")
  })

  test("open asks: one past the most is too_many_asks, until one is answered", async () => {
    const name = unique("asks")
    const [ada, bob] = [await hub.connect({ hub: name }), await hub.connect({ hub: name })]
    const ask = () => envelope({ type: "question", to: bob.identity, pattern: "ask" })
    const first = ask()
    await ada.send(first, ask())
    await bob.expectMany("question", 2)
    expectError(await ada.request(ask()), "too_many_asks")
    await bob.send(envelope({ type: "answer", to: ada.identity, correlationId: first.id }))
    await ada.answerTo(first.id, "the first")
    await ada.send(ask())
    await bob.expect("question")
  })

  test("pages: what is asked for beyond the most is brought down to it", async () => {
    const client = await hub.connect({ hub: unique("pages") })
    await many(3, () => register(client, address("page")), "hub:registered")
    for (const limit of [2, 3]) {
      const page = await client.ask("hub:discover", { pattern: "@(test/**)", limit })
      expect(listOf(page, "actors")).toHaveLength(2)
      expect(page.payload).toMatchObject({ hasMore: true })
      const list = await client.ask("hub:list_actors", { limit })
      expect(listOf(list, "actors")).toHaveLength(2)
      expect(numberOf(list, "limit")).toBe(2)
    }
    expect(
      listOf(await client.ask("hub:discover", { pattern: "@(test/**)", limit: 1 }), "actors"),
    ).toHaveLength(1)
  })
})

describe("of an envelope", () => {
  /** So many levels below the payload, which is the second. */
  const nested = (levels: number): unknown => (levels === 0 ? 1 : [nested(levels - 1)])
  const bytes = (size: number) => ({ x: "é".repeat((size - '{"x":""}'.length) / 2) })

  test("nesting: 128 levels pass, 129 are invalid_message", async () => {
    const [ada, bob] = [await hub.connect({ hub: "nesting" }), await hub.connect({ hub: "nesting" })]
    const note = (levels: number) => envelope({ to: bob.identity, type: "deep", payload: nested(levels - 1) })
    await ada.send(note(128))
    await bob.expect("deep")
    expectError(await ada.request(note(129)), "invalid_message")
  })

  test("metadata: 4,096 bytes pass, 4,098 are invalid_message; of envelopes, clients and registrations", async () => {
    const name = unique("metadata")
    const [ada, bob] = [await hub.connect({ hub: name }), await hub.connect({ hub: name })]
    await ada.send(envelope({ to: bob.identity, type: "fits", metadata: bytes(4_096) }))
    await bob.expect("fits")
    expectError(
      await ada.request(envelope({ to: bob.identity, type: "not", metadata: bytes(4_098) })),
      "invalid_message",
    )
    const withMetadata = (metadata: unknown) =>
      ada.ask("hub:register", { actorAddress: address("m"), metadata })
    expect((await withMetadata(bytes(4_096))).type).toBe("hub:registered")
    expectError(await withMetadata(bytes(4_098)), "invalid_message")
  })

  test("ids, types, topics, tags: the longest pass, one character more is refused", async () => {
    const name = unique("lengths")
    const [ada, bob] = [await hub.connect({ hub: name }), await hub.connect({ hub: name })]
    const to = bob.identity
    await ada.send(envelope({ to, type: "t".repeat(256), id: "i".repeat(128) }))
    await bob.expect("t".repeat(256))
    expectError(await ada.request(envelope({ to, type: "t".repeat(257) })), "invalid_message")
    await ada.send(envelope({ to, type: "x", id: "i".repeat(129) }))
    expectError(await ada.expect("hub:error"), "invalid_message")
    const subscribe = (length: number) => ada.ask("hub:subscribe", { topic: "t".repeat(length) })
    expect((await subscribe(256)).type).toBe("hub:subscribed")
    expectError(await subscribe(257), "invalid_topic")
    const tagged = (count: number) =>
      ada.ask("hub:register", { actorAddress: ada.identity, capabilities: Array(count).fill("tag") })
    expect((await tagged(64)).type).toBe("hub:registered")
    expectError(await tagged(65), "invalid_message")
  })
})
