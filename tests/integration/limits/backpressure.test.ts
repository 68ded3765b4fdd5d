/** protocol.md, section 7: readers that fall behind, and those who send to them. */
import { describe, expect, test } from "vitest"
import { codeOf, envelope, fieldsOf, numberOf, type RawClient } from "../support/RawClient.ts"
import { topic, unique } from "../support/names.ts"
import { useHub } from "../support/hub.ts"

const hub = useHub({
  limits: { pauseThreshold: 20_000, resumeThreshold: 5_000, maxUnacknowledged: 100_000 },
})
const usual = useHub({ own: true })

const bytesOf = (client: RawClient): number =>
  client.frames.reduce((sum, frame) => {
    const heartbeat = frame === '{"type":"pong"}'
    return sum + (heartbeat ? 0 : Buffer.byteLength(frame))
  }, 0)
/** Says what it has, all of it. */
const ack = (client: RawClient) =>
  client.send(envelope({ type: "hub:ack", payload: { through: 0, bytes: bytesOf(client) } }))
const note = (to: RawClient, payload: unknown = "x".repeat(3_000)) =>
  envelope({ to: to.identity, type: "note", payload })

const pair = async (name = unique("flow")) => {
  const reader = await hub.connect({ hub: name })
  const sender = await hub.connect({ hub: name })
  return { name, reader, sender }
}
/** Sends until the hub says pause; gives how many messages were taken. */
const makeSlow = async (sender: RawClient, reader: RawClient): Promise<number> => {
  for (let sent = 1; sent < 40; sent++) {
    await sender.send(note(reader))
    const paused = (await sender.rest()).find(({ type }) => type === "hub:pause")
    if (paused === undefined) continue
    expect(fieldsOf(paused.payload)).toMatchObject({ actorAddress: reader.identity })
    return sent
  }
  throw new Error("nobody was told to pause")
}

describe("a reader that acknowledges nothing", () => {
  test("fault 39: its sender is told to pause once, gets queue_full, and is told when it may go on", async () => {
    const { reader, sender } = await pair()
    const taken = await makeSlow(sender, reader)
    await reader.expectMany("note", taken)
    expect(bytesOf(reader)).toBeGreaterThan(20_000)
    for (const refused of [note(reader), note(reader)]) {
      await sender.send(refused)
      const answer = await sender.answerTo(refused.id, "a tell to a slow reader")
      expect(codeOf(answer)).toBe("queue_full")
      expect(answer.payload).toMatchObject({ retryable: true })
    }
    expect(await reader.rest()).toEqual([])
    await ack(reader)
    expect(fieldsOf((await sender.expect("hub:resume")).payload)).toEqual({ actorAddress: reader.identity })
    await sender.send(note(reader, "again"))
    expect((await reader.expect("note")).payload).toBe("again")
    expect(await sender.rest()).toEqual([])
  })

  test("holds up nobody: its publications are dropped and counted, others get theirs", async () => {
    const { name, reader, sender } = await pair()
    const quick = await hub.connect({ hub: name })
    const news = topic("news")
    for (const one of [reader, quick]) await one.ask("hub:subscribe", { topic: news })
    await makeSlow(sender, reader)
    await reader.rest()
    for (let n = 0; n < 5; n++) {
      const published = await sender.ask("hub:publish", { topic: news, type: "item", data: n })
      expect(numberOf(published, "subscriberCount")).toBe(1)
    }
    const items = await quick.expectMany("item", 5)
    expect(items.map(({ payload }) => payload)).toEqual([0, 1, 2, 3, 4])
    expect((await reader.rest()).filter(({ type }) => type === "item")).toEqual([])
    await ack(reader)
    await sender.expect("hub:resume")
    const published = await sender.ask("hub:publish", { topic: news, type: "item", data: 5 })
    expect(numberOf(published, "subscriberCount")).toBe(2)
  })

  test("is put out once it is far behind: slow_consumer, 4413; and its senders are told", async () => {
    const { name, reader, sender } = await pair()
    await makeSlow(sender, reader)
    const closed = reader.closed()
    // Each sender's first message is still delivered.
    for (let n = 0; n < 10 && reader.isOpen; n++) {
      const another = await hub.connect({ hub: name })
      await another.send(note(reader, "x".repeat(12_000)))
      await Promise.race([another.expect("hub:pause").catch(() => undefined), closed])
    }
    const goodbye = await reader.expect("hub:disconnect")
    expect(goodbye.payload).toMatchObject({ reason: "slow_consumer" })
    expect((await closed).code).toBe(4413)
    await sender.expect("hub:resume")
  })

  test("is measured: queue_stats tells its unacknowledged bytes", async () => {
    const { reader, sender } = await pair()
    await ack(reader)
    const base = bytesOf(reader)
    await sender.send(note(reader, "é".repeat(1_000)))
    await reader.expect("note")
    const unread = bytesOf(reader) - base
    expect(unread).toBeGreaterThan(2_000)
    const stats = await reader.ask("hub:queue_stats", {})
    expect(stats.payload).toMatchObject({
      queueBytes: unread,
      pauseThreshold: 20_000,
      resumeThreshold: 5_000,
    })
  })
})

test("acknowledgments are not answered; what is none is", async () => {
  const { reader } = await pair()
  await ack(reader)
  expect(await reader.rest()).toEqual([])
  for (const bytes of [-1, 0.5, "many", null]) {
    const bad = envelope({ type: "hub:ack", payload: { through: 0, bytes } })
    expect(codeOf(await reader.request(bad))).toBe("invalid_message")
  }
})

test("a reader that acknowledges is never slow, however much it gets", async () => {
  const { reader, sender } = await pair()
  for (let n = 0; n < 30; n++) {
    await sender.send(note(reader, n))
    await sender.send(note(reader))
    await reader.expectMany("note", 2)
    await ack(reader)
  }
  expect(await sender.rest()).toEqual([])
})

test("sessions of 0.x are not measured", async () => {
  const name = unique("flow")
  const [reader, sender] = [
    await hub.connect({ hub: name, version: "0.1.0" }),
    await hub.connect({ hub: name }),
  ]
  for (let n = 0; n < 30; n++) await sender.send(note(reader))
  await reader.expectMany("note", 30)
  expect(await sender.rest()).toEqual([])
})

test("a hub says that it supports backpressure, and by which thresholds: 1 MiB and 256 KiB", async () => {
  const client = await usual.open()
  const payload = fieldsOf((await client.handshake()).payload)
  expect(payload.capabilities).toMatchObject({ supportsBackpressure: true })
  expect(payload.limits).toMatchObject({
    pauseThreshold: 1_048_576,
    resumeThreshold: 262_144,
    maxEnvelopesPerSecond: 200,
    envelopeBurst: 400,
  })
})

test("by default more than 1 MiB makes a reader slow", async () => {
  const name = unique("flow")
  const [reader, sender] = [await usual.connect({ hub: name }), await usual.connect({ hub: name })]
  const large = "x".repeat(100_000)
  for (let n = 0; n < 10; n++) await sender.send(note(reader, large))
  await reader.expectMany("note", 10)
  expect(await sender.rest()).toEqual([])
  await sender.send(note(reader, large))
  await reader.expect("note")
  expect(bytesOf(reader)).toBeGreaterThan(1_048_576)
  await sender.send(note(reader, "told by this"))
  await sender.expect("hub:pause")
  const refused = note(reader, "too much")
  expect(codeOf(await sender.request(refused))).toBe("queue_full")
})
