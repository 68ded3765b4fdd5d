/** Rates and backpressure on real sockets that hibernate; the hub is `StrictHub`. */
import { evictDurableObject, runInDurableObject } from "cloudflare:test"
import { env } from "cloudflare:workers"
import { MsgPackCodec } from "@signal-hub/actor-core/codec/msgpack"
import { describe, expect, it } from "vitest"
import { readAttachment } from "../../src/bridge/Attachment.ts"
import { BRIDGE_PING, PING } from "../../src/protocol/Frame.ts"
import { HUB_ADDRESS } from "../../src/protocol/HubMessage.ts"
import { SocketClient, socketsOf } from "./SocketClient.ts"

const BURST = 20
const newHub = () => env.STRICT_HUB.get(env.STRICT_HUB.newUniqueId())
type HubStub = ReturnType<typeof newHub>

const connected = async (hub: HubStub, identity: string, version = "1.0.0"): Promise<SocketClient> => {
  const client = await SocketClient.open(hub)
  const answer = await client.connect(identity, { protocolVersion: version })
  expect(answer.type).toBe("hub:connected")
  return client
}
const heartbeat = (client: SocketClient) => client.request("hub:heartbeat", { timestamp: 1 })
const ask = (n: number) => ({
  id: `b${n}`,
  to: HUB_ADDRESS,
  type: "hub:heartbeat",
  pattern: "ask",
  timestamp: 0,
  payload: { timestamp: 1 },
})
const attachments = (hub: HubStub) =>
  runInDurableObject(hub, (_, state) => state.getWebSockets().map((socket) => readAttachment(socket)!))

describe("the rate", () => {
  it.each(["volatile", "reliable"])("who acknowledges each %s message spends nothing by it", async (kind) => {
    const hub = newHub()
    const client = await connected(hub, "@(node/a)")
    let bytes = 0
    const takeSome = async (): Promise<number> => {
      const frame = String(await client.frame())
      bytes += frame.length
      const came = [JSON.parse(frame)].flat() as ReadonlyArray<{
        readonly type: string
        readonly seq?: number
      }>
      for (const { seq: through = 0, type } of came) {
        expect(type).toBe("note")
        // Of numbers alone.
        if (through > 0) client.send({ type: "hub:ack", payload: { through, bytes: 0 } })
      }
      if (kind === "volatile") client.send({ type: "hub:ack", payload: { through: 0, bytes } })
      return came.length
    }
    // Three send more than one may.
    for (const name of ["x", "y", "z"]) {
      const sender = await connected(hub, `@(node/${name})`)
      for (let seq = 1; seq < BURST; seq++) {
        sender.send({ to: "@(node/a)", ...(kind === "reliable" && { seq }) })
      }
      for (let came = 0; came < BURST - 1;) came += await takeSome()
      if (kind === "reliable") client.send({ type: "hub:ack", payload: { through: 0, bytes } })
    }
    for (let n = 1; n < BURST; n++) expect((await heartbeat(client)).type).toBe("hub:heartbeat_ack")
    expect((await heartbeat(client)).type).toBe("hub:rate_limited")
  })

  it.each([
    ["says nothing new", () => 0],
    ["takes what one frame had in small pieces", (n: number) => n],
    ["names what was never sent", (n: number) => 1_000_000 * n],
  ])("who acknowledges, and %s, is refused as any other", async (_, bytesOf) => {
    const hub = newHub()
    const client = await connected(hub, "@(node/a)")
    const acks = Array.from({ length: BURST + 10 }, (_, n) => ({
      type: "hub:ack",
      payload: { through: 0, bytes: bytesOf(n) },
    }))
    client.sendAll(acks)
    expect((await client.closed).code).toBe(4429)
  })

  it.each(["0.1.0", "1.0.0"])(
    "fault 38: the burst passes and the next is rate_limited, in the form of %s",
    async (version) => {
      const client = await connected(newHub(), "@(node/a)", version)
      for (let n = 1; n < BURST; n++) expect((await heartbeat(client)).type).toBe("hub:heartbeat_ack")
      const refused = await heartbeat(client)
      const fields = { retryAfter: expect.any(Number), retryAfterMs: expect.any(Number), limit: 0.001 }
      if (version === "1.0.0") expect(refused).toMatchObject({ type: "hub:rate_limited", payload: fields })
      else {
        expect(refused).toMatchObject({
          type: "hub:error",
          payload: { code: "rate_limited", retryable: true, details: fields },
        })
      }
      const { retryAfter, retryAfterMs } = (refused.payload.details ?? refused.payload) as Record<
        string,
        number
      >
      expect(retryAfter).toBe(retryAfterMs)
      // A thousandth of an envelope a second: milliseconds, not seconds.
      expect(retryAfterMs).toBeGreaterThan(900_000)
    },
  )

  it("outlives eviction: who is evicted before each frame has no more", async () => {
    const hub = newHub()
    const client = await connected(hub, "@(node/a)")
    for (let n = 1; n < BURST; n++) {
      await evictDurableObject(hub)
      expect((await heartbeat(client)).type).toBe("hub:heartbeat_ack")
    }
    await evictDurableObject(hub)
    expect((await heartbeat(client)).type).toBe("hub:rate_limited")
  })

  it("counts each envelope of a batch, and refuses those beyond, each by its id", async () => {
    const client = await connected(newHub(), "@(node/a)")
    client.sendRaw(JSON.stringify(Array.from({ length: BURST + 1 }, (_, n) => ask(n))))
    const answers = JSON.parse(String(await client.frame())) as ReadonlyArray<Record<string, unknown>>
    expect(answers.map(({ correlationId }) => correlationId)).toEqual(
      Array.from({ length: BURST + 1 }, (_, n) => `b${n}`),
    )
    const refused = answers.filter(({ type }) => type === "hub:rate_limited")
    expect(refused.map(({ correlationId }) => correlationId)).toEqual([`b${BURST - 1}`, `b${BURST}`])
  })

  it("counts what is no envelope, what is too large, and the bridge's ping; heartbeats not", async () => {
    const hub = newHub()
    const client = await connected(hub, "@(node/a)")
    const left = async () => (await attachments(hub))[0]!.tokens
    for (let n = 0; n < 30; n++) {
      client.sendRaw(PING)
      await client.frame()
    }
    for (const frame of [
      "nonsense",
      '{"id":"x"}',
      "x".repeat(100_001),
      BRIDGE_PING,
      '{"type":"PING","id":"x"}',
    ]) {
      client.sendRaw(frame)
      await client.frame()
    }
    await heartbeat(client)
    await evictDurableObject(hub)
    await heartbeat(client)
    expect(Math.floor(await left())).toBe(BURST - 1 - 5 - 2)
  })

  it("who goes on regardless is closed 4429, told when to come back; unconnected ones too", async () => {
    for (const isConnected of [true, false]) {
      const hub = newHub()
      const client = isConnected ? await connected(hub, "@(node/a)") : await SocketClient.open(hub)
      client.sendRaw(JSON.stringify(Array.from({ length: 100 }, (_, n) => ask(n))))
      let last: Record<string, unknown> = {}
      const closed = client.closed
      for (let came = 0; came < BURST + 5 - Number(isConnected);) {
        const frame: unknown = JSON.parse(String(await client.frame()))
        const batch = (Array.isArray(frame) ? frame : [frame]) as ReadonlyArray<Record<string, unknown>>
        came += batch.length
        last = batch.at(-1)!
      }
      expect(await closed).toMatchObject({ code: 4429 })
      expect(JSON.stringify(last)).toMatch(/"retryAfterMs":\d+/)
      expect(last.correlationId).toBe(`b${BURST + 4 - Number(isConnected)}`)
    }
  })

  it("who connects anew goes on from what was left", async () => {
    const hub = newHub()
    const client = await connected(hub, "@(node/a)")
    for (let n = 1; n < BURST; n++) await heartbeat(client)
    const again = await connected(hub, "@(node/a)")
    expect((await heartbeat(again)).type).toBe("hub:rate_limited")
    // Of another identity it is not.
    expect((await heartbeat(await connected(hub, "@(node/b)"))).type).toBe("hub:heartbeat_ack")
  })

  it("costs no attachment a message", async () => {
    const hub = env.SIGNAL_HUB.get(env.SIGNAL_HUB.newUniqueId())
    const sender = await SocketClient.open(hub)
    const { sessionId } = (await sender.connect("@(node/a)", { protocolVersion: "1.0.0" })).payload
    const reader = await SocketClient.open(hub)
    await reader.connect("@(node/b)", { protocolVersion: "1.0.0" })
    const written = await runInDurableObject(hub, (instance, state) => {
      let count = 0
      const sockets = state.getWebSockets()
      for (const socket of sockets) {
        const serialize = socket.serializeAttachment.bind(socket)
        socket.serializeAttachment = (value) => {
          count++
          serialize(value)
        }
      }
      const from = sockets.find((socket) => readAttachment(socket)?.sessionId === sessionId)!
      const note = { to: "@(node/b)", type: "note", pattern: "tell", timestamp: 0 }
      for (let n = 0; n < 200; n++)
        socketsOf(instance).webSocketMessage(from, JSON.stringify({ ...note, id: `m${n}` }))
      return count
    })
    expect(written).toBeGreaterThan(0)
    expect(written).toBeLessThan(12)
  })
})

describe("a slow reader", () => {
  const text = "é".repeat(1_500)

  it.each(["signal-hub.json", "signal-hub.msgpack"])(
    "fault 30: is measured in bytes, in %s",
    async (codec) => {
      const hub = newHub()
      const reader = await SocketClient.open(hub, codec)
      let received = 0
      const frame = async (): Promise<unknown> => {
        const data = await reader.frame()
        const bytes = typeof data === "string" ? new TextEncoder().encode(data) : new Uint8Array(data)
        received += bytes.length
        return typeof data === "string" ? JSON.parse(data) : MsgPackCodec.decode(bytes)[0]
      }
      const request = (type: string, metadata = {}): Promise<unknown> => {
        const fields = { id: type, from: "", to: HUB_ADDRESS, type, payload: null, metadata } as const
        const nothing = { correlationId: null, timestamp: 0, ttl: null, signature: null }
        const envelope = { ...fields, ...nothing, pattern: "ask" as const }
        reader.sendRaw(
          codec === "signal-hub.json" ? JSON.stringify(envelope) : MsgPackCodec.encode([envelope]),
        )
        return frame()
      }
      await request("hub:connect", { protocolVersion: "1.0.0", actorIdentity: "@(node/r)" })
      const sender = await connected(hub, "@(node/s)")
      sender.send({ to: "@(node/r)", payload: text })
      await frame()
      expect(received).toBeGreaterThan(3_000)
      const before = received
      expect(await request("hub:queue_stats")).toMatchObject({ payload: { queueBytes: before } })
    },
  )

  it("fault 39: is measured, and its sender told to pause and to go on, over evictions", async () => {
    const hub = newHub()
    const reader = await connected(hub, "@(node/r)")
    const sender = await connected(hub, "@(node/s)")
    let received = 0
    let told = false
    for (let n = 0; n < 5 && !told; n++) {
      await evictDurableObject(hub)
      sender.send({ to: "@(node/r)", payload: text })
      received += new TextEncoder().encode(String(await reader.frame())).length
      told = received > 8_000
    }
    await evictDurableObject(hub)
    sender.send({ to: "@(node/r)", payload: "told by this" })
    expect(await sender.came()).toMatchObject({ type: "hub:pause", payload: { actorAddress: "@(node/r)" } })
    received += new TextEncoder().encode(String(await reader.frame())).length
    await evictDurableObject(hub)
    sender.send({ to: "@(node/r)", payload: "on its way" })
    received += new TextEncoder().encode(String(await reader.frame())).length
    await evictDurableObject(hub)
    reader.send({ type: "hub:ack", payload: { through: 0, bytes: received } })
    expect(await sender.came()).toMatchObject({ type: "hub:resume" })
    sender.send({ to: "@(node/r)", payload: "again" })
    expect((await reader.came()).payload).toBe("again")
  })

  it("is known over an eviction to a sixteenth of the threshold, however fast it all was sent", async () => {
    const hub = newHub()
    const reader = await connected(hub, "@(node/r)")
    const sender = await connected(hub, "@(node/s)")
    const count = () => attachments(hub).then((all) => Math.max(...all.map(({ sent }) => sent)))
    const before = await count()
    let received = 0
    for (let n = 0; n < 2; n++) sender.send({ to: "@(node/r)", payload: text })
    for (let n = 0; n < 2; n++) received += new TextEncoder().encode(String(await reader.frame())).length
    await evictDurableObject(hub)
    expect((await count()) - before).toBeGreaterThan(received - 8_000 / 16)
  })

  it("is put out with hub:disconnect and 4413 where it leaves too much unread", async () => {
    const hub = newHub()
    const reader = await connected(hub, "@(node/r)")
    // What was on its way when the pause came is still delivered.
    for (let n = 0; n < 6; n++) {
      const sender = await connected(hub, `@(node/s${n})`)
      sender.send({ to: "@(node/r)", payload: "x".repeat(9_000) })
    }
    expect(await reader.closed).toMatchObject({ code: 4413 })
    const frames = []
    for (let n = 0; n < 6; n++) frames.push(String(await reader.frame()))
    expect(frames.join()).toContain('"reason":"slow_consumer"')
  })

  it("faults 71, 77: one that acknowledges what it did not read is slow, over evictions; one that reads is not", async () => {
    const hub = env.SIGNAL_HUB.get(env.SIGNAL_HUB.newUniqueId())
    const large = "x".repeat(100_000)
    const liar = await connected(hub, "@(node/liar)")
    const honest = await connected(hub, "@(node/honest)")
    const sender = await connected(hub, "@(node/s)")
    const notes = async (client: SocketClient): Promise<{ bytes: number; nonce?: string }> => {
      const heard: { bytes: number; nonce?: string } = { bytes: 0 }
      for (let type = ""; type !== "note";) {
        const frame = String(await client.frame())
        heard.bytes += frame.length
        const came = JSON.parse(frame)
        type = came.type
        if (type !== "hub:probe") continue
        heard.nonce = came.payload.nonce
        expect(atob(came.payload.nonce)).toHaveLength(16)
      }
      return heard
    }
    let [read, claimed, probes] = [0, 0, 0]
    for (let n = 0; n < 25; n++) {
      for (const name of ["liar", "honest"]) sender.send({ to: `@(node/${name})`, payload: large })
      const { bytes, nonce } = await notes(honest)
      read += bytes
      if (nonce !== undefined) {
        probes++
        // Between a probe and its answer too.
        const other = await connected(hub, "@(node/other)")
        await evictDurableObject(hub)
        expect((await heartbeat(other)).type).toBe("hub:heartbeat_ack")
      }
      honest.send({ type: "hub:ack", payload: { through: 0, bytes: read, ...(nonce && { nonce }) } })
      // It knows how much it was sent, as it could by its kernel, and looks at none of it.
      claimed += (await notes(liar)).bytes
      liar.send({ type: "hub:ack", payload: { through: 0, bytes: claimed } })
      await evictDurableObject(hub)
    }
    expect(probes).toBe(2)
    sender.send({ type: "hub:heartbeat", payload: { timestamp: 1 }, pattern: "ask" })
    const heard = []
    for (let came = await sender.came(); came.type !== "hub:heartbeat_ack"; came = await sender.came())
      heard.push([came.type, came.payload.actorAddress])
    expect(heard).toEqual([["hub:pause", "@(node/liar)"]])
  })

  it("fault 71: one of 0.x is closed 4413 unless it pings, over evictions; nobody is told to pause", async () => {
    const hub = newHub()
    const silent = await connected(hub, "@(node/silent)", "0.1.0")
    const pinging = await connected(hub, "@(node/pinging)", "0.1.0")
    let [notes, pongs] = [0, 0]
    for (let round = 0; round < 3; round++) {
      const sender = await connected(hub, `@(node/s${round})`)
      for (let n = 0; n < 8; n++) {
        sender.send({ to: "@(node/silent)", payload: text })
        sender.send({ to: "@(node/pinging)", payload: text })
        notes++
      }
      expect((await heartbeat(sender)).type).toBe("hub:heartbeat_ack")
      pinging.sendRaw(PING)
      pongs++
      for (let came = 0; came < 8 + 1; came++) await pinging.frame()
      await evictDurableObject(hub)
    }
    expect(await silent.closed).toMatchObject({ code: 4413 })
    expect([notes, pongs]).toEqual([24, 3])
    expect((await heartbeat(pinging)).type).toBe("hub:heartbeat_ack")
  })
})
