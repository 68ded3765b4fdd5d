/** protocol.md, section 5: errors and close codes, as far as an open hub shows them. */
import { describe, expect, test } from "vitest"
import { codeOf, envelope, fieldsOf, HUB, type Received } from "../support/RawClient.ts"
import { address, topic } from "../support/names.ts"
import { expectError } from "../support/expectations.ts"
import { useHub } from "../support/hub.ts"

const hub = useHub()

describe("hub:error", () => {
  test("says which field is wrong, and tells nothing of the inside", async () => {
    const client = await hub.connect()
    const errors: ReadonlyArray<readonly [string, Received]> = [
      ["ttlSeconds", await client.ask("hub:register", { actorAddress: address("a"), ttlSeconds: -1 })],
      ["topic", await client.ask("hub:subscribe", { topic: "!" })],
      ["actorAddress", await client.ask("hub:watch", { actorAddress: "x" })],
      ["pattern", await client.request(envelope({ type: "x", to: HUB, pattern: "shout" }))],
      ["renewalToken", await client.ask("hub:renew", {})],
    ]
    for (const [field, error] of errors) {
      const { message } = expectError(error, "invalid_message", "invalid_topic", "invalid_address")
      expect(message).toContain(field)
      expect(JSON.stringify(error)).not.toMatch(/\bat .*\.(js|ts):\d|node_modules|SQLITE|Error:/)
    }
  })

  const refusals: ReadonlyArray<readonly [code: string, type: string, payload: unknown]> = [
    ["invalid_message", "hub:register", { actorAddress: address("a"), ttlSeconds: "x" }],
    ["invalid_message", "hub:heartbeat", null],
    ["unknown_type", "hub:nonsense", null],
    ["forbidden", "hub:register", { actorAddress: "@(cloudflare/me)" }],
    ["invalid_address", "hub:register", { actorAddress: "nobody" }],
    ["invalid_topic", "hub:subscribe", { topic: "no topic" }],
  ]
  test.each(refusals)("%s: answers %s, to sessions of both majors", async (code, type, payload) => {
    // At 0.x the time of the envelope counts where a heartbeat has none.
    for (const version of type === "hub:heartbeat" ? ["1.0.0"] : ["1.0.0", "0.1.0"]) {
      const client = await hub.connect({ version })
      expectError(await client.ask(type, payload), code)
    }
  })

  test("fault 38: no wrong request is answered internal_error or not at all", async () => {
    const client = await hub.connect()
    const types = [
      "hub:heartbeat",
      "hub:register",
      "hub:unregister",
      "hub:renew",
      "hub:discover",
      "hub:list_actors",
      "hub:send",
      "hub:broadcast",
      "hub:subscribe",
      "hub:unsubscribe",
      "hub:publish",
      "hub:watch",
      "hub:unwatch",
      "hub:presence",
    ]
    const wrong = [
      7,
      "text",
      true,
      [],
      [null],
      { actorAddress: {}, topic: {}, pattern: {}, type: {}, timestamp: {}, renewalToken: {}, offset: {} },
      { actorAddress: null, topic: null, pattern: null, type: null, timestamp: null, renewalToken: null },
      { actorAddress: [], topic: [], pattern: [], type: [], timestamp: [], renewalToken: [], limit: [] },
      { subscriptionId: 7, limit: "x", offset: "x", cursor: {} },
    ]
    for (const type of types) {
      for (const payload of wrong) {
        const answer = await client.ask(type, payload)
        const code = codeOf(answer)
        expect(code, `${type} ${JSON.stringify(payload)}`).not.toBe("internal_error")
        // Listing asks for nothing, so that some of these mean the first page.
        if (type !== "hub:list_actors")
          expect(answer.type, `${type} ${JSON.stringify(payload)}`).toBe("hub:error")
      }
    }
  })

  test("fault 38: an error in an ask is its answer, at once, with its id", async () => {
    const client = await hub.connect()
    const ask = envelope({ type: "hub:publish", pattern: "ask", payload: { topic: topic("x") } })
    await client.send(ask)
    // It is in before the answer to what is asked next.
    const [answer, ...more] = await client.rest()
    expectError(answer!, "invalid_message")
    expect(answer!.correlationId).toBe(ask.id)
    expect(more).toEqual([])
  })

  test("retryable is a verdict: true where the same request may succeed later", async () => {
    const [ada, bob] = [await hub.connect(), await hub.connect()]
    expect(expectError(await ada.ask("hub:subscribe", { topic: "!" }), "invalid_topic").retryable).toBe(false)
    const ask = envelope({ type: "question", to: bob.identity, pattern: "ask" })
    await ada.send(ask)
    await bob.expect("question")
    await bob.ask("hub:disconnect", {})
    expect(expectError(await ada.answerTo(ask.id, "the ask"), "actor_terminated").retryable).toBe(true)
  })
})

describe("close codes", () => {
  test("1000: asked for", async () => {
    const client = await hub.connect()
    await client.ask("hub:disconnect", { reason: "done" })
    expect((await client.closed()).code).toBe(1000)
  })

  test("4400: protocol violation", async () => {
    const client = await hub.connect()
    await client.raw(...Array.from({ length: 10 }, () => "{"))
    expect((await client.closed()).code).toBe(4400)
  })

  test("4408: no hub:connect within 5 s", async () => {
    const start = performance.now()
    const client = await hub.open()
    expect(await client.closeFrame).toBe(4408)
    expect(performance.now() - start).toBeGreaterThan(4_000)
  })

  test("4408: pings alone don't put it off", async () => {
    const client = await hub.open()
    await client.raw('{"type":"ping"}')
    await client.expectText()
    expect(await client.closeFrame).toBe(4408)
  })

  test("4409: superseded", async () => {
    const client = await hub.connect()
    await hub.connect({ identity: client.identity })
    expect((await client.closed()).code).toBe(4409)
  })

  test("4426: version mismatch", async () => {
    const client = await hub.open()
    const refusal = await client.handshake({ version: "7.0.0" })
    expect(fieldsOf(refusal.payload).code).toBe("version_mismatch")
    expect((await client.closed()).code).toBe(4426)
  })

  test.each([[1000], [3001], [4999], [undefined]])(
    "a client's close is answered, and never with a reserved code: %s",
    async (code) => {
      const client = await hub.connect()
      client.socket.close(code)
      // 1006 would be a close that nobody answered. 1005 is how a close frame without a code reads.
      expect([code ?? 1005, 1000]).toContain((await client.closed()).code)
    },
  )
})
