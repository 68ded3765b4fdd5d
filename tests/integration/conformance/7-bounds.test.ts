/** protocol.md, section 7: the bounds of a session that an open hub has too. */
import { expect, test } from "vitest"
import { envelope, fieldsOf, type RawClient } from "../support/RawClient.ts"
import { address, topic, unique } from "../support/names.ts"
import { expectError } from "../support/expectations.ts"
import { useHub } from "../support/hub.ts"

const hub = useHub()
const MOST = 1_000

const requests = (count: number, type: string, payload: () => unknown) =>
  Array.from({ length: count }, () => envelope({ type, pattern: "ask", payload: payload() }))
const types = (answers: ReadonlyArray<{ readonly type: string }>) => new Set(answers.map((one) => one.type))

test("1,000 subscriptions a session: the next is too_many_subscriptions, until one is given up", async () => {
  const client = await hub.connect({ hub: unique("bounds") })
  const answers = await client.bulk(requests(MOST, "hub:subscribe", () => ({ topic: topic("t") })))
  expect(types(answers)).toEqual(new Set(["hub:subscribed"]))
  const more = { topic: topic("more") }
  expectError(await client.ask("hub:subscribe", more), "too_many_subscriptions")
  // The ones that it has may be renewed, and a place given up may be taken.
  const first = fieldsOf(answers[0]!.payload)
  expect((await client.ask("hub:subscribe", { topic: first.topic })).type).toBe("hub:subscribed")
  await client.ask("hub:unsubscribe", { topic: first.topic })
  expect((await client.ask("hub:subscribe", more)).type).toBe("hub:subscribed")
})

test("1,000 addresses a session: the next is registry_full, until one is given up", async () => {
  const client = await hub.connect({ hub: unique("bounds") })
  const answers = await client.bulk(requests(MOST, "hub:register", () => ({ actorAddress: address("a") })))
  expect(types(answers)).toEqual(new Set(["hub:registered"]))
  const more = { actorAddress: address("more") }
  expectError(await client.ask("hub:register", more), "registry_full")
  const first = fieldsOf(answers[0]!.payload)
  expect((await client.ask("hub:register", { actorAddress: first.actorAddress })).type).toBe("hub:registered")
  await client.ask("hub:unregister", { actorAddress: first.actorAddress })
  expect((await client.ask("hub:register", more)).type).toBe("hub:registered")
})

test("1,000 open asks a session: the next is too_many_asks, until one is answered", async () => {
  const name = unique("bounds")
  const [ada, bob] = [await hub.connect({ hub: name }), await hub.connect({ hub: name })]
  const ask = (client: RawClient) => envelope({ type: "question", to: client.identity, pattern: "ask" })
  const asks = Array.from({ length: MOST }, () => ask(bob))
  for (let i = 0; i < MOST; i += 100) {
    await ada.sendBatch(asks.slice(i, i + 100))
    await bob.expectMany("question", 100)
  }
  expectError(await ada.request(ask(bob)), "too_many_asks")
  // A tell is none, another session has its own, and an answered one frees a place.
  await ada.send(envelope({ type: "tell", to: bob.identity }))
  await bob.expect("tell")
  await bob.send(envelope({ type: "answer", to: ada.identity, correlationId: asks[0]!.id }))
  await ada.answerTo(asks[0]!.id, "the first")
  await ada.send(ask(bob))
  await bob.expect("question")
})

test("the limits that a client needs are told in hub:connected", async () => {
  const client = await hub.open()
  const { limits } = fieldsOf((await client.handshake()).payload)
  const numbers = Object.values(fieldsOf(limits))
  expect(numbers.length).toBeGreaterThan(0)
  for (const bound of [1_048_576, 1_000, 100, 300, 10, 3_600]) expect(numbers).toContain(bound)
})

test("fault 69: more bytes than the burst and the rate are refused undecoded; others lose nothing", async () => {
  const [client, ada, bob] = await Promise.all([hub.connect(), hub.connect(), hub.connect()])
  const frame = JSON.stringify(
    envelope({ to: address("nobody"), type: "note", payload: "x".repeat(1_000_000) }),
  )
  // 16 MiB at once and 4 MiB a second: so many take longer to be allowed than to be sent.
  await client.raw(...Array.from({ length: 60 }, () => frame))
  await ada.send(envelope({ to: bob.identity, type: "note", payload: 1 }))
  const refused = await client.expect("hub:rate_limited")
  expect(refused.correlationId).toBeNull()
  expect(refused.payload).toMatchObject({ unit: "bytes", limit: 4_194_304, retryAfterMs: expect.any(Number) })
  expect((await bob.expect("note")).payload).toBe(1)
})
