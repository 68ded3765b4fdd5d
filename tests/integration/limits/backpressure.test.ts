/** protocol.md, section 7: readers that fall behind, and those who send to them. */
import { afterEach, describe, expect, test } from "vitest"
import { codeOf, envelope, fieldsOf, numberOf, RawClient } from "../support/RawClient.ts"
import { address, topic, unique } from "../support/names.ts"
import { useHub } from "../support/hub.ts"

const hub = useHub({
  limits: { pauseThreshold: 20_000, resumeThreshold: 5_000, maxUnacknowledged: 320_000 },
})
const usual = useHub({ own: true })
const modern = useHub({ limits: { minProtocolMajor: 1 } })

const bytesOf = (client: RawClient): number =>
  client.frames.reduce((sum, frame) => {
    const heartbeat = frame === '{"type":"pong"}'
    return sum + (heartbeat ? 0 : Buffer.byteLength(frame))
  }, 0)
/** Says what it has, all of it. */
const ack = (client: RawClient) => {
  const { nonce } = client
  const payload = { through: 0, bytes: bytesOf(client), ...(nonce !== undefined && { nonce }) }
  return client.send(envelope({ type: "hub:ack", payload }))
}
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

/** Goes on to tell a slow reader until the hub takes no more; gives how many it took. */
const fill = async (sender: RawClient, reader: RawClient): Promise<number> => {
  for (let taken = 0; taken < 80; taken++) {
    await sender.send(note(reader))
    if ((await sender.rest()).some((one) => codeOf(one) === "queue_full")) return taken
  }
  throw new Error("all of it was taken")
}

describe("a reader that acknowledges nothing", () => {
  test("fault 39: its sender is told to pause once, gets queue_full for what is too much, and is told when it may go on", async () => {
    const { reader, sender } = await pair()
    const taken = await makeSlow(sender, reader)
    await reader.expectMany("note", taken)
    expect(bytesOf(reader)).toBeGreaterThan(20_000)
    // On its way when the pause came.
    await sender.send(note(reader, "on its way"))
    expect((await reader.expect("note")).payload).toBe("on its way")
    const more = await fill(sender, reader)
    await reader.expectMany("note", more)
    expect(bytesOf(reader)).toBeGreaterThan(160_000)
    expect(bytesOf(reader)).toBeLessThan(170_000)
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
    // What it asks for itself is sent to it, whatever it leaves unread.
    const holder = await hub.connect({ hub: name })
    const metadata = { text: "x".repeat(3_900) }
    for (let n = 0; n < 5; n++) {
      await holder.ask("hub:register", { actorAddress: `${holder.identity.slice(0, -1)}/${n})`, metadata })
    }
    for (let n = 0; n < 20; n++)
      await reader.send(envelope({ type: "hub:list_actors", pattern: "ask", payload: {} }))
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

describe("a reader of 0.x", () => {
  const ping = '{"type":"ping"}'

  test("fault 71: that is not heard is closed 4413; nobody is paused for it, and who sends loses nothing", async () => {
    const name = unique("flow")
    const reader = await hub.connect({ hub: name, version: "0.1.0" })
    const sender = await hub.connect({ hub: name })
    const innocent = await hub.connect({ hub: name, version: "0.1.0" })
    for (let n = 0; n < 120; n++) {
      await sender.send(note(reader))
      await sender.send(note(innocent, n))
    }
    expect((await reader.expect("hub:disconnect")).payload).toMatchObject({ reason: "slow_consumer" })
    expect((await reader.closed()).code).toBe(4413)
    const came = await innocent.expectMany("note", 120)
    expect(came.map(({ payload }) => payload)).toEqual([...Array(120).keys()])
    expect(await sender.rest()).toEqual([])
  })

  test("that pings is sent all, and nothing is dropped", async () => {
    const name = unique("flow")
    const reader = await hub.connect({ hub: name, version: "0.1.0" })
    const sender = await hub.connect({ hub: name })
    for (let round = 0; round < 4; round++) {
      for (let n = 0; n < 25; n++) await sender.send(note(reader))
      await reader.expectMany("note", 25)
      await reader.raw(ping)
      expect(await reader.expectText()).toBe('{"type":"pong"}')
    }
    expect(await sender.rest()).toEqual([])
    expect(reader.isOpen).toBe(true)
  })

  test("is refused by a deployment that serves 1.x only: version_mismatch, 4426", async () => {
    const old = await modern.open()
    const answer = await old.handshake({ version: "0.1.0" })
    expect(codeOf(answer)).toBe("version_mismatch")
    expect(answer.payload).toMatchObject({
      details: { clientVersion: "0.1.0", supportedVersions: ["1.0.0"] },
    })
    expect((await old.closed()).code).toBe(4426)
    const recent = await modern.open()
    expect((await recent.handshake()).payload).toMatchObject({ supportedVersions: ["1.0.0"] })
  })
})

const atGateways: Array<RawClient> = []
afterEach(() => {
  for (const client of atGateways.splice(0)) client.terminate()
})
const enterGateway = async (): Promise<RawClient> => {
  const named = address("flow")
  const url = `${usual.url().replace(/\/ws$/, "/gateway")}?identity=${encodeURIComponent(named)}`
  const client = await RawClient.connect(url, { named })
  atGateways.push(client)
  return client
}

describe("a reader that acknowledges what it did not read", () => {
  test.each(["hub", "gateway"])("fault 77: is slow by what it has not proven, at a %s", async (topology) => {
    const name = unique("flow")
    const enter = () => (topology === "hub" ? usual.connect({ hub: name }) : enterGateway())
    const [liar, honest, sender] = [await enter(), await enter(), await enter()]
    const large = "x".repeat(100_000)
    const taken: Array<unknown> = []
    for (let n = 0; n < 25; n++) {
      for (const reader of [liar, honest]) await sender.send(note(reader, `${n} ${large}`))
      taken.push((await honest.expect("note")).payload)
      await ack(honest)
      await liar.expect("note")
      const payload = { through: 0, bytes: bytesOf(liar) }
      await liar.send(envelope({ type: "hub:ack", payload }))
    }
    expect(taken).toEqual(Array.from({ length: 25 }, (_, n) => `${n} ${large}`))
    const heard = await sender.rest()
    expect(heard.map(({ type, payload }) => [type, fieldsOf(payload).actorAddress])).toEqual([
      ["hub:pause", liar.identity],
    ])
    await ack(liar)
    expect(fieldsOf((await sender.expect("hub:resume")).payload)).toEqual({ actorAddress: liar.identity })
  })

  test("fault 77: more than was sent is invalid_message", async () => {
    const { reader } = await pair()
    const lie = envelope({ type: "hub:ack", payload: { through: 0, bytes: bytesOf(reader) + 100_000 } })
    expect(codeOf(await reader.request(lie))).toBe("invalid_message")
  })
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
  await reader.expect("note")
  // On its way when the pause came, as far as 8 MiB; what is reliable has its outbox.
  for (let n = 0; n < 76; n++) await sender.send(note(reader, large))
  const refused = note(reader, "too much")
  const heard = (await sender.rest()).map(codeOf)
  expect(new Set(heard)).toEqual(new Set(["queue_full"]))
  expect(codeOf(await sender.request(refused))).toBe("queue_full")
  await reader.expectMany("note", 76 - heard.length)
  expect(bytesOf(reader)).toBeGreaterThan(8 * 1_048_576)
  expect(bytesOf(reader)).toBeLessThan(8 * 1_048_576 + 200_000)
  await sender.send({ ...note(reader, "sure"), seq: 1 })
  expect((await sender.rest()).filter(({ type }) => type !== "hub:ack")).toEqual([])
  await ack(reader)
  expect((await reader.expect("note")).payload).toBe("sure")
  await sender.expect("hub:resume")
})
