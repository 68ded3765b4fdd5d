/** protocol.md, section 7: how many envelopes a session may send. */
import { setTimeout as delay } from "node:timers/promises"
import { describe, expect, inject, test } from "vitest"
import { codeOf, envelope, fieldsOf, HUB, type RawClient } from "../support/RawClient.ts"
import { address, unique } from "../support/names.ts"
import { useHub } from "../support/hub.ts"

const hub = useHub({ own: true })
const BURST = 20
/** So slow that nothing comes back within a test. */
const strict = useHub({
  limits: { maxEnvelopesPerSecond: 0.001, envelopeBurst: BURST, maxRefusals: 5 },
})

/** So few bytes, and so slow, that nothing comes back within a test. */
const slow = useHub({ limits: { maxBytesPerSecond: 0.001, byteBurst: 100_000 } })

const heartbeat = () => envelope({ type: "hub:heartbeat", payload: { timestamp: 1 }, pattern: "ask" })
const heartbeats = (count: number) => Array.from({ length: count }, heartbeat)
const typesOf = async (client: RawClient, sent: ReadonlyArray<{ readonly id: string }>) => {
  const types: Array<string> = []
  for (const { id } of sent) types.push((await client.answerTo(id, "a heartbeat")).type)
  return types
}
const count = (types: ReadonlyArray<string>, wanted: string) => types.filter((type) => type === wanted).length

describe("as a hub has it by default", () => {
  test("400 at once pass; of 460 some are refused, by their ids; and 200 more a second later pass", async () => {
    const client = await hub.connect({ hub: unique("rate") })
    const burst = heartbeats(460)
    await client.raw(JSON.stringify(burst))
    const types = await typesOf(client, burst)
    expect(types.slice(0, 399).every((type) => type === "hub:heartbeat_ack")).toBe(true)
    const refused = count(types, "hub:rate_limited")
    expect(refused).toBeGreaterThan(0)
    expect(count(types, "hub:heartbeat_ack") + refused).toBe(460)
    await delay(1_000)
    const more = heartbeats(150)
    await client.raw(JSON.stringify(more))
    expect(count(await typesOf(client, more), "hub:heartbeat_ack")).toBe(150)
  })

  test("fault 38: who waits retryAfterMs milliseconds, and no more, may go on", async () => {
    const client = await hub.connect({ hub: unique("rate") })
    const burst = heartbeats(450)
    await client.raw(JSON.stringify(burst))
    const refused = await client.expect("hub:rate_limited")
    const { retryAfter, retryAfterMs, limit } = fieldsOf(refused.payload)
    expect([retryAfter, limit]).toEqual([retryAfterMs, 200])
    expect(Number(retryAfterMs)).toBeLessThanOrEqual(10)
    await delay(Number(retryAfterMs) + 1)
    expect((await client.request(heartbeat())).type).toBe("hub:heartbeat_ack")
  })
})

describe("fault 69: bytes", () => {
  const note = (bytes: number) =>
    envelope({ to: address("nobody"), type: "note", payload: "x".repeat(bytes) })
  /** More than an eighth of the burst: less may be forgotten where the object is evicted. 7 pass, and no more. */
  const PART = 13_000

  test("are advertised beside envelopes", async () => {
    const client = await hub.open({ hub: unique("bytes") })
    const connected = await client.handshake()
    expect(fieldsOf(fieldsOf(connected.payload).limits)).toMatchObject({
      maxBytesPerSecond: 4_194_304,
      byteBurst: 16_777_216,
      maxValues: 50_000,
    })
  })

  test.each(["0.1.0", "1.0.0"])(
    "over the rate a frame is refused undecoded, in the form of %s, and nobody else notices",
    async (version) => {
      const name = unique("bytes")
      const client = await slow.connect({ hub: name, version })
      const [ada, bob] = await Promise.all([slow.connect({ hub: name }), slow.connect({ hub: name })])
      for (let n = 0; n < 7; n++) await client.send(note(PART))
      const asked = heartbeat()
      expect((await client.request(asked)).type).toBe("hub:heartbeat_ack")
      await client.raw(`{"x":"${"y".repeat(PART)}`)
      const refused = await client.expect(version === "1.0.0" ? "hub:rate_limited" : "hub:error")
      expect(refused.correlationId).toBe(null)
      if (version === "0.1.0")
        expect(refused.payload).toMatchObject({ code: "rate_limited", retryable: true })
      const fields =
        version === "1.0.0" ? fieldsOf(refused.payload) : fieldsOf(fieldsOf(refused.payload).details)
      expect(fields).toMatchObject({ limit: 0.001, unit: "bytes", retryAfter: fields.retryAfterMs })
      await ada.send(envelope({ to: bob.identity, type: "note", payload: 1 }))
      expect((await bob.expect("note")).payload).toBe(1)
    },
  )

  test("of frames that are refused for another reason count too", async () => {
    const client = await slow.connect({ hub: unique("bytes") })
    for (let n = 0; n < 4; n++) {
      await client.raw("x".repeat(20_000))
      expect(codeOf(await client.expect("hub:error"))).toBe("invalid_message")
    }
    await client.raw("x".repeat(25_000))
    expect(fieldsOf((await client.expect("hub:rate_limited")).payload).unit).toBe("bytes")
  })

  test("that text has in UTF-8, not its characters", async () => {
    const client = await slow.connect({ hub: unique("bytes") })
    await client.send(envelope({ to: address("nobody"), type: "note", payload: "€".repeat(40_000) }))
    expect(fieldsOf((await client.expect("hub:rate_limited")).payload).unit).toBe("bytes")
  })

  test("on a session that has sent reliably end the connection with 4429", async () => {
    const client = await slow.connect({ hub: unique("bytes"), version: "1.0.0" })
    await client.send(envelope({ type: "hub:heartbeat", payload: { timestamp: 1 }, pattern: "ask", seq: 1 }))
    await client.expect("hub:heartbeat_ack")
    for (let n = 0; n < 8; n++) await client.send(note(PART))
    expect((await client.closed()).code).toBe(4429)
  })

  test("are not given anew to a client that connects anew", async () => {
    const name = unique("bytes")
    const client = await slow.connect({ hub: name })
    for (let n = 0; n < 8; n++) await client.send(note(PART))
    await client.expect("hub:rate_limited")
    client.terminate()
    // Where the object is evicted in between, what was left of a session that is over is forgotten.
    if (inject("evicting")) return
    const again = await slow.connect({ hub: name, identity: client.identity })
    await again.send(note(PART))
    expect(fieldsOf((await again.expect("hub:rate_limited")).payload).unit).toBe("bytes")
  })
})

describe("with a bucket that does not fill", () => {
  test.each(["0.1.0", "1.0.0"])(
    "the burst passes and one more is refused, in the form of %s",
    async (version) => {
      const client = await strict.connect({ hub: unique("rate"), version })
      for (let n = 1; n < BURST; n++)
        expect((await client.request(heartbeat())).type).toBe("hub:heartbeat_ack")
      const last = heartbeat()
      const refused = await client.request(last)
      expect(refused).toMatchObject({ from: HUB, pattern: "tell", correlationId: last.id })
      const fields =
        version === "1.0.0" ? fieldsOf(refused.payload) : fieldsOf(fieldsOf(refused.payload).details)
      expect(refused.type).toBe(version === "1.0.0" ? "hub:rate_limited" : "hub:error")
      if (version !== "1.0.0") {
        expect(refused.payload).toMatchObject({ code: "rate_limited", retryable: true })
      }
      expect(fields).toMatchObject({ limit: 0.001, retryAfter: fields.retryAfterMs })
    },
  )

  test("fault 69: an envelope costs one more for each 500 values in it, which may leave a debt", async () => {
    const client = await strict.connect({ hub: unique("rate") })
    const numbers = (count: number) =>
      envelope({ to: address("nobody"), type: "note", payload: Array.from({ length: count }, () => 1) })
    await client.send(numbers(400))
    await client.send(numbers(3_000))
    for (let n = 0; n < BURST - 1 - 1 - 7; n++)
      expect((await client.request(heartbeat())).type).toBe("hub:heartbeat_ack")
    expect((await client.request(heartbeat())).type).toBe("hub:rate_limited")
    const other = await strict.connect({ hub: unique("rate") })
    await other.send(numbers(40_000))
    const refused = fieldsOf((await other.request(heartbeat())).payload)
    // 61 too many, at a thousandth a second.
    expect(Number(refused.retryAfterMs)).toBeGreaterThan(60e6)
  })

  test("malformed, refused and direct envelopes count like requests; heartbeats don't", async () => {
    const client = await strict.connect({ hub: unique("rate") })
    for (let n = 0; n < 2 * BURST; n++) {
      await client.raw('{"type":"ping"}')
      expect(await client.expectText()).toBe('{"type":"pong"}')
    }
    for (let n = 1; n < BURST; n++) {
      if (n % 3 === 0) await client.raw("nonsense")
      else
        await client.raw(JSON.stringify(n % 3 === 1 ? { id: `bad-${n}` } : envelope({ type: "hub:nothing" })))
      await client.expect("hub:error")
    }
    await client.send(envelope({ to: address("nobody"), type: "note" }))
    await client.expect("hub:rate_limited")
  })

  test("refused again and again: closed 4429, told when to come back; who connects anew has no more", async () => {
    const name = unique("rate")
    const client = await strict.connect({ hub: name })
    await client.raw(JSON.stringify(heartbeats(BURST + 50)))
    const refusals = await client.expectMany("hub:rate_limited", 5)
    expect((await client.closed()).code).toBe(4429)
    expect(fieldsOf(refusals.at(-1)!.payload).retryAfterMs).toBeGreaterThan(
      Number(fieldsOf(refusals[0]!.payload).retryAfterMs),
    )
    // Where the object is evicted in between, what was left of a session that is over is forgotten: in
    // ten quiet seconds a bucket of the default rate fills.
    if (inject("evicting")) return
    const again = await strict.connect({ hub: name, identity: client.identity })
    expect((await again.request(heartbeat())).type).toBe("hub:rate_limited")
    const other = await strict.connect({ hub: name })
    expect((await other.request(heartbeat())).type).toBe("hub:heartbeat_ack")
  })

  test("before hub:connect it holds too, in the form that everybody can read", async () => {
    const client = await strict.open({ hub: unique("rate") })
    for (let n = 0; n < BURST; n++)
      expect(fieldsOf((await client.request(heartbeat())).payload).code).toBe("not_connected")
    const refused = await client.request(heartbeat())
    expect(refused).toMatchObject({ type: "hub:error", payload: { code: "rate_limited" } })
  })
})

describe("fault 69: connections without identity in open mode", () => {
  test("share one bucket, whatever each opens anew; those with one are not touched", async () => {
    const name = unique("anonymous")
    const [ada, bob] = await Promise.all([strict.connect({ hub: name }), strict.connect({ hub: name })])
    const first = await strict.connect({ hub: name, identity: null })
    for (let n = 0; n < BURST; n++) expect((await first.request(heartbeat())).type).toBe("hub:heartbeat_ack")
    expect((await first.request(heartbeat())).type).toBe("hub:rate_limited")
    for (let n = 0; n < 3; n++) {
      const next = await strict.connect({ hub: name, identity: null })
      expect((await next.request(heartbeat())).type).toBe("hub:rate_limited")
      next.terminate()
    }
    await ada.send(envelope({ to: bob.identity, type: "note", payload: 1 }))
    expect((await bob.expect("note")).payload).toBe(1)
  })

  test("have their own once they name an identity", async () => {
    const name = unique("anonymous")
    const first = await strict.connect({ hub: name, identity: null })
    const second = await strict.connect({ hub: name, identity: null })
    for (let n = 0; n < BURST - 1; n++)
      expect((await first.request(heartbeat())).type).toBe("hub:heartbeat_ack")
    expect((await second.ask("hub:register", { actorAddress: address("named") })).type).toBe("hub:registered")
    // After an eviction the bucket is what the attachments say that were read since: here the first one's own.
    if (inject("evicting")) expect((await first.request(heartbeat())).type).toBe("hub:heartbeat_ack")
    expect((await first.request(heartbeat())).type).toBe("hub:rate_limited")
    expect((await second.request(heartbeat())).type).toBe("hub:heartbeat_ack")
  })

  test("before hub:connect share one too, which hub:connect itself does not need", async () => {
    const name = unique("anonymous")
    const first = await strict.open({ hub: name })
    for (let n = 0; n < BURST; n++)
      expect(fieldsOf((await first.request(heartbeat())).payload).code).toBe("not_connected")
    const second = await strict.open({ hub: name })
    expect(fieldsOf((await second.request(heartbeat())).payload).code).toBe("rate_limited")
    expect((await second.handshake()).type).toBe("hub:connected")
    expect((await second.request(heartbeat())).type).toBe("hub:heartbeat_ack")
  })
})
