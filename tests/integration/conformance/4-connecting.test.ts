/** protocol.md, section 4: hub:connect, what goes before it, and versions. */
import { describe, expect, test } from "vitest"
import { envelope, fieldsOf, HUB, textOf, type Fields } from "../support/RawClient.ts"
import { address, topic } from "../support/names.ts"
import { expectError, expectQuiet } from "../support/expectations.ts"
import { isGateway, twoPhase, useHub } from "../support/hub.ts"

const hub = useHub()

describe("hub:connect", () => {
  test("is answered hub:connected with everything that the contract lists", async () => {
    const actorIdentity = address("me")
    const client = await hub.open({ identity: actorIdentity })
    const connected = await client.handshake({
      identity: actorIdentity,
      metadata: {
        capabilities: ["a", "b"],
        clientMetadata: { app: "test", version: 3 },
        cleanStart: false,
        reclaim: false,
        sessionExpirySeconds: 0,
      },
    })
    expect(connected).toMatchObject({
      type: "hub:connected",
      from: HUB,
      to: actorIdentity,
      pattern: "tell",
      payload: {
        sessionId: expect.stringMatching(/./),
        serverVersion: expect.stringMatching(/^\d+\.\d+\.\d+/),
        supportedVersions: expect.any(Array),
        maxMessageSize: 1_048_576,
        heartbeatInterval: 25_000,
        capabilities: {
          maxActorsPerInstance: expect.any(Number),
          supportsBackpressure: expect.any(Boolean),
          supportedContentTypes: expect.any(Array),
        },
        limits: expect.any(Object),
        topology: isGateway ? "gateway" : "hub",
      },
      metadata: { actorIdentity },
    })
    const majors = (fieldsOf(connected.payload).supportedVersions as ReadonlyArray<unknown>).map((version) =>
      String(version).replace(/\..*/, ""),
    )
    expect(new Set(majors)).toEqual(new Set(["0", "1"]))
    expect("tokenExpiresAt" in connected.metadata && connected.metadata.tokenExpiresAt !== null).toBe(false)
  })

  test("as a tell it is answered too", async () => {
    const client = await hub.open()
    const answer = await client.request(
      envelope({ type: "hub:connect", pattern: "tell", metadata: { protocolVersion: "1.0.0" } }),
    )
    expect(answer.type).toBe("hub:connected")
  })

  test("until it has succeeded, every other request gets not_connected", async () => {
    const client = await hub.open()
    const actorAddress = address("x")
    for (const [type, payload] of [
      ["hub:heartbeat", { timestamp: 1 }],
      ["hub:register", { actorAddress }],
      ["hub:unregister", { actorAddress }],
      ["hub:renew", { renewalToken: "x" }],
      ["hub:discover", { pattern: "*" }],
      ["hub:list_actors", {}],
      ["hub:send", { to: actorAddress, type: "x", data: 1 }],
      ["hub:broadcast", { type: "x", data: 1 }],
      ["hub:subscribe", { topic: topic("x") }],
      ["hub:unsubscribe", { topic: topic("x") }],
      ["hub:publish", { topic: topic("x"), type: "x", data: 1 }],
      ["hub:watch", { actorAddress }],
      ["hub:unwatch", { actorAddress }],
      ["hub:presence", { topic: topic("x") }],
      ["hub:queue_stats", {}],
      ["hub:metrics", {}],
    ] as const) {
      expectError(await client.ask(type, payload), "not_connected")
    }
    const direct = envelope({ type: "x", to: actorAddress, pattern: "ask" })
    expectError(await client.request(direct), "not_connected")
    expect((await client.handshake()).type).toBe("hub:connected")
    expect((await client.ask("hub:discover", { pattern: actorAddress })).payload).toMatchObject({
      actors: [],
    })
  })

  const malformed: ReadonlyArray<readonly [string, Fields]> = [
    ["no metadata", { metadata: undefined }],
    ["no version", { metadata: {} }],
    ["a version that is no text", { metadata: { protocolVersion: 1 } }],
    ["a version that is no version", { metadata: { protocolVersion: "latest" } }],
    ["capabilities that are no list", { metadata: { protocolVersion: "1.0.0", capabilities: "all" } }],
    ["capabilities that are no texts", { metadata: { protocolVersion: "1.0.0", capabilities: [1] } }],
    ["client metadata that is no object", { metadata: { protocolVersion: "1.0.0", clientMetadata: "x" } }],
    ["an identity that is no address", { metadata: { protocolVersion: "1.0.0", actorIdentity: "me" } }],
    ["an identity that is no text", { metadata: { protocolVersion: "1.0.0", actorIdentity: 7 } }],
    ["an expiry below 0", { metadata: { protocolVersion: "1.0.0", sessionExpirySeconds: -1 } }],
    ["an expiry that is text", { metadata: { protocolVersion: "1.0.0", sessionExpirySeconds: "60" } }],
  ]

  test.each(malformed)("with %s it is refused, and a good one succeeds after it", async (_, fields) => {
    const client = await hub.open()
    const refusal = await client.ask("hub:connect", null, fields)
    expectError(refusal, "invalid_message", "invalid_address", "version_mismatch")
    expectError(await client.ask("hub:heartbeat", { timestamp: 1 }), "not_connected")
    expect((await client.handshake()).type).toBe("hub:connected")
  })

  test("fault 25: the third failure closes, with 4400 where it was malformed", async () => {
    const client = await hub.open()
    for (let i = 0; i < 2; i++) {
      expectError(await client.ask("hub:connect", null, { metadata: {} }), "invalid_message")
    }
    await client.send(envelope({ type: "hub:connect", pattern: "ask", metadata: {} }))
    expectError(await client.expect("hub:error"), "invalid_message")
    expect((await client.closed()).code).toBe(4400)
  })

  test("fault 25: a failed one changes nothing: nobody has the identity that it named", async () => {
    const [ada, client] = [await hub.connect(), await hub.open()]
    const actorIdentity = address("wished")
    await client.ask("hub:connect", null, { metadata: { actorIdentity } })
    expect((await ada.request(envelope({ type: "x", to: actorIdentity, pattern: "ask" }))).type).toBe(
      "hub:unknown_actor",
    )
  })

  test("a second one on a connected session is invalid_message, and the session stays as it is", async () => {
    const client = await hub.connect()
    expectError(await client.handshake({ identity: address("second") }), "invalid_message")
    const echo = envelope({ type: "echo", to: client.identity })
    await client.send(echo)
    expect((await client.expect("echo")).from).toBe(client.identity)
    await expectQuiet(client)
  })

  twoPhase("without an identity, the session has none", async () => {
    const client = await hub.open()
    const connected = await client.handshake({ identity: null })
    expect(connected.metadata.actorIdentity ?? null).toBeNull()
    expect(connected.to).toBe(`@(session/${client.sessionId})`)
  })

  test("each connection gets a session of its own", async () => {
    const all = await Promise.all([hub.connect(), hub.connect(), hub.connect()])
    expect(new Set(all.map((one) => one.sessionId)).size).toBe(3)
  })
})

describe("version", () => {
  test.each([["0.1.0"], ["0.9.9"], ["1.0.0"], ["1.7.3"]])(
    "%s: a major that the hub has is served",
    async (version) => {
      const client = await hub.open()
      expect((await client.handshake({ version })).type).toBe("hub:connected")
      await client.sync()
    },
  )

  test.each([["2.0.0"], ["99.0.0"]])("%s: version_mismatch, then close 4426", async (version) => {
    const client = await hub.open()
    const refusal = expectError(await client.handshake({ version }), "version_mismatch")
    expect(refusal.details).toMatchObject({
      clientVersion: version,
      serverVersion: expect.any(String),
      supportedVersions: expect.any(Array),
      message: expect.any(String),
    })
    expect((await client.closed()).code).toBe(4426)
  })
})

describe("the rules of 0.x", () => {
  const V0 = { version: "0.1.0" }
  const MALFORMED = [
    "nobody",
    "@(browser)",
    "@(a/b",
    "@(a/b c)",
    "",
    `@(a/${"x".repeat(300)})`,
    "@(a/b)/..",
    "*",
  ]

  test("a `to` that is no address is answered hub:unknown_actor, not registered, and is no strike", async () => {
    const client = await hub.connect(V0)
    for (const to of [...MALFORMED, ...MALFORMED]) {
      const direct = envelope({ type: "greet", pattern: "ask", to })
      const sent = envelope({ type: "hub:send", pattern: "ask", payload: { to, type: "greet", data: 1 } })
      const fallen = envelope({ type: "hub:send", pattern: "ask", to, payload: { type: "greet", data: 1 } })
      for (const ask of [direct, sent, fallen]) {
        const answer = await client.request(ask)
        expect(answer, to).toMatchObject({ type: "hub:unknown_actor", correlationId: ask.id })
        const { actorAddress, message } = fieldsOf(answer.payload)
        expect(message).toContain("not registered")
        // No longer than an address may be, and a sign that it was cut.
        expect(actorAddress).toBe(to.length > 256 ? `${to.slice(0, 256)}…` : to)
      }
    }
    await client.sync()
  })

  test("a tell to such a `to` is silent, and those who send right beside it lose nothing", async () => {
    const [ada, ben] = [await hub.connect(V0), await hub.connect({ identity: address("ben") })]
    for (const to of [...MALFORMED, ...MALFORMED]) {
      await ada.send(
        envelope({ type: "note", to }),
        envelope({ type: "hub:send", payload: { to, type: "note", data: 1 } }),
        envelope({ type: "note", to: ben.identity, payload: to }),
      )
      expect((await ben.expect("note")).payload).toBe(to)
    }
    await expectQuiet(ada)
  })

  test("an envelope that is malformed in more than its `to` is so at 0.x too; from 1.0 `to` alone does", async () => {
    const old = await hub.connect(V0)
    expectError(await old.request(envelope({ type: "x", pattern: "shout", to: "nobody" })), "invalid_message")
    expectError(await old.request(envelope({ type: "x", pattern: "ask", to: 7 })), "invalid_message")
    const client = await hub.connect()
    expectError(
      await client.request(envelope({ type: "x", pattern: "ask", to: "nobody" })),
      "invalid_message",
    )
    const send = { to: "nobody", type: "x", data: 1 }
    expectError(await client.ask("hub:send", send), "invalid_address")
  })

  test("hub:heartbeat needs no timestamp; from 1.0 it does", async () => {
    const old = await hub.connect(V0)
    for (const payload of [null, {}]) {
      const answer = await old.request(
        envelope({ type: "hub:heartbeat", pattern: "ask", payload, timestamp: 1_234 }),
      )
      expect(answer).toMatchObject({ type: "hub:heartbeat_ack", payload: { timestamp: 1_234 } })
    }
    expectError(await old.ask("hub:heartbeat", { timestamp: "now" }), "invalid_message")
    const client = await hub.connect()
    for (const payload of [null, {}])
      expectError(await client.ask("hub:heartbeat", payload), "invalid_message")
  })

  test("hub:renew may carry its token in metadata; from 1.0 it may not", async () => {
    for (const version of ["0.1.0", "1.0.0"]) {
      const client = await hub.connect({ version })
      const registered = await client.ask("hub:register", { actorAddress: address("renews") })
      const renewalToken = textOf(registered, "renewalToken")
      const answer = await client.request(
        envelope({
          type: "hub:renew",
          pattern: "ask",
          payload: { ttlSeconds: 60 },
          metadata: { renewalToken },
        }),
      )
      if (version === "1.0.0") expectError(answer, "invalid_message")
      else {
        expect(answer.type).toBe("hub:renewed")
        expect(textOf(answer, "renewalToken")).not.toBe(renewalToken)
      }
    }
  })
})
