/** protocol.md, section 3: the envelope's fields, addresses and patterns. */
import { describe, expect, test } from "vitest"
import { envelope, fieldsOf, HUB, listOf, type Fields, type RawClient } from "../support/RawClient.ts"
import { address, unique } from "../support/names.ts"
import { expectError, expectQuiet } from "../support/expectations.ts"
import { twoPhase, useHub } from "../support/hub.ts"

const hub = useHub()

/** Sends an envelope to oneself and returns what arrives. */
const echoed = async (client: RawClient, fields: Fields) => {
  const sent = envelope({ type: "echo", to: client.identity, ...fields })
  await client.send(sent)
  return client.expectThat("the echo", (one) => one.id === sent.id && one.from !== HUB)
}

describe("id", () => {
  test.each([[1], [128]])("of %i characters is taken", async (length) => {
    const client = await hub.connect()
    const id = "i".repeat(length)
    expect((await echoed(client, { id })).id).toBe(id)
  })

  test.each([
    ["of 129 characters", "i".repeat(129)],
    ["empty", ""],
    ["a number", 7],
    ["null", null],
    ["absent", undefined],
  ])("%s is invalid_message", async (_, id) => {
    const client = await hub.connect()
    await client.send({ ...envelope({ type: "x", to: client.identity }), id })
    expectError(await client.expect("hub:error"), "invalid_message")
    await expectQuiet(client)
  })

  test("of an open ask of the same sender is invalid_message; the ask itself stays open", async () => {
    const [ada, bob] = [await hub.connect(), await hub.connect()]
    const ask = envelope({ type: "question", to: bob.identity, pattern: "ask" })
    await ada.send(ask)
    await bob.expect("question")
    await ada.send(ask)
    expectError(await ada.answerTo(ask.id, "the second"), "invalid_message")
    await bob.send(envelope({ type: "answer", to: ada.identity, correlationId: ask.id }))
    expect((await ada.answerTo(ask.id, "the ask")).type).toBe("answer")
    await expectQuiet(bob)
  })

  test("of an ended ask may be used again, and two senders may use the same", async () => {
    const [ada, bob, eve] = [await hub.connect(), await hub.connect(), await hub.connect()]
    const id = unique("m")
    for (const asker of [ada, eve, ada]) {
      await asker.send(envelope({ id, type: "question", to: bob.identity, pattern: "ask" }))
      const question = await bob.expect("question")
      expect(question.from).toBe(asker.identity)
      await bob.send(envelope({ type: "answer", to: asker.identity, correlationId: id }))
      expect((await asker.answerTo(id, "question")).type).toBe("answer")
    }
  })

  test("volatile tells aren't deduplicated", async () => {
    const [ada, bob] = [await hub.connect(), await hub.connect()]
    const tell = envelope({ type: "again", to: bob.identity })
    await ada.send(tell, tell)
    await bob.expectMany("again", 2)
  })
})

describe("from", () => {
  test.each([
    ["absent", undefined],
    ["null", null],
    ["empty", ""],
    ["another's", "@(test/somebody-else)"],
    ["the hub's", HUB],
    ["no address", "me"],
    ["of a session", "@(session/x)"],
  ])("fault 23: it is the session's identity where a client wrote one that is %s", async (_, from) => {
    const client = await hub.connect()
    expect((await echoed(client, { from })).from).toBe(client.identity)
  })

  test("fault 23: another live session's address isn't taken either", async () => {
    const [ada, bob] = [await hub.connect(), await hub.connect()]
    await ada.send(envelope({ type: "x", to: bob.identity, from: bob.identity }))
    expect((await bob.expect("x")).from).toBe(ada.identity)
  })

  test("is kept where it is an address that the session holds", async () => {
    const client = await hub.connect()
    const other = address("other")
    await client.ask("hub:register", { actorAddress: other })
    expect((await echoed(client, { from: other })).from).toBe(other)
    expect((await echoed(client, { from: client.identity })).from).toBe(client.identity)
    await client.ask("hub:unregister", { actorAddress: other })
    expect((await echoed(client, { from: other })).from).toBe(client.identity)
  })

  twoPhase("is the provisional address before there is an identity", async () => {
    const [ada, bob] = [await hub.connect({ identity: null }), await hub.connect()]
    await ada.send(envelope({ type: "x", to: bob.identity, from: "@(test/liar)" }))
    expect((await bob.expect("x")).from).toBe(`@(session/${ada.sessionId})`)
  })
})

describe("type", () => {
  test("of 256 characters is taken; an application's type is the application's", async () => {
    const client = await hub.connect()
    for (const type of ["t".repeat(256), "t", "hubbub", "HUB:connect", "a type: with \u{1f600}"]) {
      expect((await echoed(client, { type })).type).toBe(type)
    }
  })

  test.each([
    ["of 257 characters", "t".repeat(257)],
    ["empty", ""],
    ["a number", 7],
    ["absent", undefined],
  ])("%s is invalid_message", async (_, type) => {
    const client = await hub.connect()
    const sent = envelope({ to: client.identity, type })
    await client.send(sent)
    expectError(await client.answerTo(sent.id, "it"), "invalid_message")
  })

  test("a hub:* type that the hub doesn't know is unknown_type, told or asked", async () => {
    const client = await hub.connect()
    for (const pattern of ["ask", "tell"]) {
      const sent = envelope({ type: "hub:frobnicate", pattern })
      expectError(await client.request(sent), "unknown_type")
    }
  })
})

describe("payload", () => {
  test("absent is null", async () => {
    const client = await hub.connect()
    expect((await echoed(client, { payload: undefined })).payload).toBeNull()
  })

  test.each([
    [null],
    [0],
    [-1.5],
    [""],
    ["text \u0000 \u2028 \u{1f600}"],
    [true],
    [[]],
    [{}],
    [[1, [2, { three: [null] }]]],
  ])("%j arrives as it was sent", async (payload) => {
    const client = await hub.connect()
    expect((await echoed(client, { payload })).payload).toEqual(payload)
  })

  test("keys that mean something to JavaScript are keys like others", async () => {
    const client = await hub.connect()
    const sent = envelope({ type: "echo", to: client.identity, payload: "?" })
    const payload =
      '{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}},"toString":1}'
    await client.raw(JSON.stringify(sent).replace('"?"', payload))
    const received = await client.expect("echo")
    expect(fieldsOf(received.payload).toString).toBe(1)
    expect(fieldsOf({}).polluted).toBeUndefined()
    expect(fieldsOf((await client.ask("hub:heartbeat", { timestamp: 1 })).payload).polluted).toBeUndefined()
  })
})

describe("pattern", () => {
  test.each([["shout"], ["TELL"], [null], [1], [undefined]])("%j is invalid_message", async (pattern) => {
    const client = await hub.connect()
    const sent = envelope({ type: "x", to: client.identity, pattern })
    await client.send(sent)
    expectError(await client.answerTo(sent.id, "it"), "invalid_message")
  })
})

describe("timestamp", () => {
  test("is the sender's clock, carried through", async () => {
    const client = await hub.connect()
    expect((await echoed(client, { timestamp: 12_345.5 })).timestamp).toBe(12_345.5)
  })

  test.each([["now"], [null], [undefined], [{}]])("%j is invalid_message", async (timestamp) => {
    const client = await hub.connect()
    const sent = envelope({ type: "x", to: client.identity, timestamp })
    await client.send(sent)
    expectError(await client.answerTo(sent.id, "it"), "invalid_message")
  })
})

describe("metadata", () => {
  test("absent is {}", async () => {
    const client = await hub.connect()
    expect((await echoed(client, {})).metadata).toEqual({})
  })

  test("is carried through, traceparent untouched", async () => {
    const client = await hub.connect()
    const metadata = {
      traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
      tracestate: "a=b",
      nested: { list: [1, "two"] },
    }
    expect((await echoed(client, { metadata })).metadata).toEqual(metadata)
  })

  /** Metadata that has this many bytes as JSON. */
  const ofBytes = (bytes: number) => ({ m: "x".repeat(bytes - '{"m":""}'.length) })

  test("of 4 KiB is carried, a byte more is invalid_message", async () => {
    const client = await hub.connect()
    expect((await echoed(client, { metadata: ofBytes(4_096) })).metadata).toEqual(ofBytes(4_096))
    const sent = envelope({ type: "x", to: client.identity, metadata: ofBytes(4_097) })
    await client.send(sent)
    expectError(await client.answerTo(sent.id, "it"), "invalid_message")
  })

  test("its size is counted in bytes", async () => {
    const client = await hub.connect()
    const sent = envelope({ type: "x", to: client.identity, metadata: { m: "ä".repeat(2_100) } })
    await client.send(sent)
    expectError(await client.answerTo(sent.id, "it"), "invalid_message")
  })

  test.each([[[]], ["text"], [7], [true]])("%j is invalid_message", async (metadata) => {
    const client = await hub.connect()
    const sent = envelope({ type: "x", to: client.identity, metadata })
    await client.send(sent)
    expectError(await client.answerTo(sent.id, "it"), "invalid_message")
  })
})

describe("ttl", () => {
  test.each([[null], [60_000], [undefined]])("%j: delivered", async (ttl) => {
    const client = await hub.connect()
    await echoed(client, { ttl })
  })

  test("fault 31: what has expired is never delivered; an ask gets message_expired", async () => {
    const [ada, bob] = [await hub.connect(), await hub.connect()]
    const ask = envelope({ type: "question", to: bob.identity, pattern: "ask", ttl: 0 })
    expectError(await ada.request(ask), "message_expired")
    await ada.send(envelope({ type: "told", to: bob.identity, ttl: 0 }))
    await expectQuiet(bob, ada)
    await expectQuiet(ada)
  })

  test("is what remains by the server's clock: an old timestamp expires nothing", async () => {
    const client = await hub.connect()
    await echoed(client, { ttl: 60_000, timestamp: Date.now() - 3_600_000 })
  })

  test("fault 31: an answer that expired isn't delivered", async () => {
    const [ada, bob] = [await hub.connect(), await hub.connect()]
    const ask = envelope({ type: "question", to: bob.identity, pattern: "ask" })
    await ada.send(ask)
    await bob.expect("question")
    await bob.send(envelope({ type: "answer", to: ada.identity, correlationId: ask.id, ttl: 0 }))
    await bob.sync()
    expect((await ada.rest()).map((one) => one.type)).not.toContain("answer")
  })

  test.each([[-1], ["60000"], [true], [{}]])("%j is invalid_message", async (ttl) => {
    const client = await hub.connect()
    const sent = envelope({ type: "x", to: client.identity, ttl })
    await client.send(sent)
    expectError(await client.answerTo(sent.id, "it"), "invalid_message")
  })

  test("infinity is invalid_message", async () => {
    const client = await hub.connect()
    const sent = envelope({ type: "x", to: client.identity, ttl: 7 })
    await client.raw(JSON.stringify(sent).replace('"ttl":7', '"ttl":1e999'))
    expectError(await client.answerTo(sent.id, "it"), "invalid_message")
  })
})

describe("signature", () => {
  test.each([["abc=="], [null]])("%j is carried through untouched", async (signature) => {
    const client = await hub.connect()
    expect((await echoed(client, { signature })).signature).toBe(signature)
  })
})

test("unknown fields are ignored", async () => {
  const client = await hub.connect()
  await echoed(client, { priority: 9, correlation: "x" })
  const answer = await client.ask("hub:heartbeat", { timestamp: 1, more: { of: "it" } }, { later: true })
  expect(answer.type).toBe("hub:heartbeat_ack")
})

describe("answers of the hub", () => {
  test("are tells from the hub with an id of their own, the request's id, and to its from", async () => {
    const client = await hub.connect()
    const other = address("other")
    await client.ask("hub:register", { actorAddress: other })
    for (const [from, enforced] of [
      [undefined, client.identity],
      [other, other],
      ["@(test/liar)", client.identity],
    ]) {
      const request = envelope({ type: "hub:heartbeat", pattern: "ask", from, payload: { timestamp: 1 } })
      const answer = await client.request(request)
      expect(answer).toMatchObject({ pattern: "tell", correlationId: request.id, from: HUB, to: enforced })
      expect(answer.id).toMatch(/^.{1,128}$/)
      expect(answer.id).not.toBe(request.id)
    }
  })

  twoPhase("to a session without an identity they go to its provisional address", async () => {
    const client = await hub.connect({ identity: null })
    const answer = await client.ask("hub:heartbeat", { timestamp: 1 })
    expect(answer.to).toBe(`@(session/${client.sessionId})`)
  })
})

/** An address of this many bytes, of segments that are short enough. */
const long = (bytes: number): string => {
  const start = `@(test/${unique("long")}/${"s".repeat(100)}/${"s".repeat(60)}/`
  return `${start}${"s".repeat(bytes - start.length - 1)})`
}

describe("addresses", () => {
  test.each([
    ["two segments", () => address("two")],
    ["seven segments", () => `@(test/${unique("s")}/c/d/e/f/g)`],
    ["every allowed character", () => `@(test/${unique("s")}/AZaz09._~:-)`],
    ["a segment of 100 bytes", () => `@(test/${unique("s")}/${"x".repeat(100)})`],
    ["three dots", () => `@(test/${unique("s")}/...)`],
    ["256 bytes", () => long(256)],
  ])("%s: can be registered and reached", async (_, make) => {
    const client = await hub.connect()
    const actorAddress = make()
    const registered = await client.ask("hub:register", { actorAddress })
    expect(registered.payload).toMatchObject({ actorAddress })
    await client.send(envelope({ type: "reach", to: actorAddress }))
    expect((await client.expect("reach")).to).toBe(actorAddress)
  })

  const bad: ReadonlyArray<readonly [string, unknown]> = [
    ["one segment", "@(one)"],
    ["no segment", "@()"],
    ["no parentheses", "test/ada"],
    ["no end", "@(test/ada"],
    ["more after its end", "@(test/ada) "],
    ["an empty segment", "@(test//ada)"],
    ["a slash at its end", "@(test/ada/)"],
    ["a slash at its start", "@(/ada)"],
    ["a segment .", "@(test/./ada)"],
    ["a segment ..", "@(test/..)"],
    ["a space", "@(test/a da)"],
    ["a percent sign", "@(test/a%64a)"],
    ["a letter that isn't ASCII", "@(test/ädä)"],
    ["a star", "@(test/*)"],
    ["a newline", "@(test/ada)\n"],
    ["an address wrapped twice", "@(@(test/ada))"],
    ["a segment of 101 bytes", `@(test/${"x".repeat(101)})`],
    ["257 bytes", long(257)],
    ["a number", 7],
    ["null", null],
    ["an object", { test: "ada" }],
  ]

  test.each(bad)("%s: no address to send to (invalid_message)", async (_, to) => {
    const client = await hub.connect()
    const sent = envelope({ type: "x", to, pattern: "ask" })
    expectError(await client.request(sent), "invalid_message")
  })

  test.each(bad)("%s: no address in a request (invalid_address)", async (_, actorAddress) => {
    const client = await hub.connect()
    for (const type of ["hub:register", "hub:watch"]) {
      expectError(await client.ask(type, { actorAddress }), "invalid_address", "invalid_message")
    }
  })

  test("a malformed one in a request is invalid_address", async () => {
    const client = await hub.connect()
    expectError(await client.ask("hub:register", { actorAddress: "@(one)" }), "invalid_address")
    expectError(await client.ask("hub:watch", { actorAddress: "@(test/..)" }), "invalid_address")
    expectError(await client.ask("hub:send", { to: "@(one)", type: "x", data: 1 }), "invalid_address")
  })

  test("fault 45: an address arrives as it was written, once, and is case-sensitive", async () => {
    const [ada, bob] = [await hub.connect(), await hub.connect()]
    const name = unique("Case")
    await ada.ask("hub:register", { actorAddress: `@(test/${name})` })
    await bob.ask("hub:register", { actorAddress: `@(test/${name.toLowerCase()})` })
    await ada.send(
      envelope({ type: "upper", to: `@(test/${name})` }),
      envelope({ type: "lower", to: `@(test/${name.toLowerCase()})` }),
    )
    expect((await ada.expect("upper")).to).toBe(`@(test/${name})`)
    const lower = await bob.expect("lower")
    expect(lower.to).toBe(`@(test/${name.toLowerCase()})`)
    expect(lower.from).toBe(ada.identity)
  })

  test.each([["@(cloudflare/signal-hub)"], ["@(cloudflare/other)"], ["@(session/x)"], ["@(session/x/y)"]])(
    "%s is reserved: forbidden to register",
    async (actorAddress) => {
      const client = await hub.connect()
      expectError(await client.ask("hub:register", { actorAddress }), "forbidden")
      const unnamed = await hub.connect({ identity: null })
      expectError(await unnamed.ask("hub:register", { actorAddress }), "forbidden")
    },
  )

  test.each([["@(cloudflare/signal-hub)"], ["@(session/x)"]])(
    "%s is reserved: forbidden to connect as",
    async (actorIdentity) => {
      const client = await hub.open()
      expectError(await client.handshake({ identity: actorIdentity }), "forbidden")
    },
  )

  test("what only begins like a reserved one isn't reserved", async () => {
    const client = await hub.connect()
    for (const type of ["cloudflared", "sessions"]) {
      const actorAddress = `@(${type}/${unique("x")})`
      expect((await client.ask("hub:register", { actorAddress })).type).toBe("hub:registered")
    }
  })
})

describe("patterns", () => {
  test("a star matches within its segment, ** as the last segment the rest, * alone all", async () => {
    const client = await hub.connect()
    const name = unique("room")
    const all = [`@(test/${name})`, `@(test/${name}/one)`, `@(test/${name}/two)`, `@(test/${name}/two/deep)`]
    for (const actorAddress of all) await client.ask("hub:register", { actorAddress })
    const found = async (pattern: string) => {
      const answer = await client.ask("hub:discover", { pattern })
      return listOf(answer, "actors").map((actor) => actor.address)
    }
    expect(await found(`@(test/${name})`)).toEqual([all[0]])
    expect((await found(`@(test/${name}/*)`)).toSorted()).toEqual([all[1], all[2]])
    expect(await found(`@(test/${name}/t*)`)).toEqual([all[2]])
    expect(await found(`@(test/${name}/*w*)`)).toEqual([all[2]])
    expect(await found(`@(*/${name}/*/de*p)`)).toEqual([all[3]])
    expect((await found(`@(test/${name}/**)`)).toSorted()).toEqual([all[1], all[2], all[3]])
    expect(await found(`@(test/${name}*/one)`)).toEqual([all[1]])
    expect(await found(`@(test/${name}.*)`)).toEqual([])
    expect((await found("*")).length).toBeGreaterThan(0)
  })

  test.each([["@(a/**/b)"], ["@(a/b"], ["a/*"], [""], ["@(a//b)"], ["@(a/b c*)"], [7], [null], [undefined]])(
    "%j is refused",
    async (pattern) => {
      const client = await hub.connect()
      expectError(await client.ask("hub:discover", { pattern }), "invalid_message", "invalid_address")
    },
  )

  test("of 256 bytes is taken, of 257 refused", async () => {
    const client = await hub.connect()
    const of = (bytes: number) => `@(test/${"*".repeat(bytes - 8)})`
    expect((await client.ask("hub:discover", { pattern: of(256) })).type).toBe("hub:discovered")
    expectError(await client.ask("hub:discover", { pattern: of(257) }), "invalid_message", "invalid_address")
  })

  test("fault 29: a pattern of many stars takes no longer than any other", async () => {
    const client = await hub.connect()
    const name = unique("s")
    await client.bulk(
      Array.from({ length: 50 }, (_, i) =>
        envelope({
          type: "hub:register",
          pattern: "ask",
          payload: { actorAddress: `@(${name}/${"a".repeat(97)}${i})` },
        }),
      ),
    )
    for (const pattern of [
      `@(${name}/${"a*".repeat(40)}b)`,
      `@(${name}/${"*a".repeat(40)}*b)`,
      `@(${"*".repeat(60)}x/${"*".repeat(100)}x)`,
      `@(${name}/${"*a".repeat(40)}*)`,
    ]) {
      // An exponential matcher needs longer than this universe has lasted, and `ask` waits for seconds.
      expect((await client.ask("hub:discover", { pattern })).type).toBe("hub:discovered")
    }
  })
})
