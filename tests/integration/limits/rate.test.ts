/** protocol.md, section 7: how many envelopes a session may send. */
import { setTimeout as delay } from "node:timers/promises"
import { describe, expect, inject, test } from "vitest"
import { envelope, fieldsOf, HUB, type RawClient } from "../support/RawClient.ts"
import { address, unique } from "../support/names.ts"
import { useHub } from "../support/hub.ts"

const hub = useHub({ own: true })
const BURST = 20
/** So slow that nothing comes back within a test. */
const strict = useHub({
  limits: { maxEnvelopesPerSecond: 0.001, envelopeBurst: BURST, maxRefusals: 5 },
})

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
