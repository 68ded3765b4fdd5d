/** protocol.md, section 4: heartbeat, disconnect, register, unregister, renew, discover, list, watch. */
import { describe, expect, test } from "vitest"
import { envelope, fieldsOf, HUB, listOf, numberOf, textOf, type RawClient } from "../support/RawClient.ts"
import { address, unique } from "../support/names.ts"
import { expectError, expectQuiet } from "../support/expectations.ts"
import { isGateway, useHub } from "../support/hub.ts"

const hub = useHub()
/** Where numbers are exact: in a hub of another name, or where all gateways are those of these tests. */
const alone = isGateway ? useHub({ own: true }) : hub

const register = (client: RawClient, actorAddress: string, more: object = {}) =>
  client.ask("hub:register", { actorAddress, ...more })

describe("hub:heartbeat", () => {
  test("is answered hub:heartbeat_ack with its timestamp and the server's time", async () => {
    const client = await hub.connect()
    const answer = await client.ask("hub:heartbeat", { timestamp: 1_234 })
    expect(answer).toMatchObject({ type: "hub:heartbeat_ack", payload: { timestamp: 1_234 } })
    expect(Math.abs(numberOf(answer, "serverTime") - Date.now())).toBeLessThan(60_000)
  })

  test.each([[null], [{}], [{ timestamp: "now" }], [7]])("%j: invalid_message", async (payload) => {
    const client = await hub.connect()
    expectError(await client.ask("hub:heartbeat", payload), "invalid_message")
  })
})

describe("hub:disconnect", () => {
  test("fault 13: is acknowledged, then the socket is closed 1000", async () => {
    for (const payload of [{ reason: "done" }, {}, null]) {
      const client = await hub.connect()
      const answer = await client.ask("hub:disconnect", payload)
      expect(answer).toMatchObject({ type: "hub:disconnect", payload: { acknowledged: true } })
      expect((await client.closed()).code).toBe(1000)
    }
  })

  test("fault 13: however fast it comes after other frames, these are served and it is acknowledged", async () => {
    const [ada, bob] = [await hub.connect(), await hub.connect()]
    const disconnect = envelope({ type: "hub:disconnect", pattern: "tell", payload: {} })
    const heartbeat = envelope({ type: "hub:heartbeat", pattern: "ask", payload: { timestamp: 1 } })
    await ada.send(
      ...Array.from({ length: 20 }, (_, payload) => envelope({ type: "n", to: bob.identity, payload })),
      heartbeat,
      disconnect,
    )
    expect((await ada.answerTo(heartbeat.id, "heartbeat")).type).toBe("hub:heartbeat_ack")
    expect((await ada.answerTo(disconnect.id, "disconnect")).payload).toMatchObject({ acknowledged: true })
    expect((await ada.closed()).code).toBe(1000)
    const received = await bob.expectMany("n", 20)
    expect(received.map((one) => one.payload)).toEqual(Array.from({ length: 20 }, (_, i) => i))
  })

  test("frames after it have no effect", async () => {
    const [ada, bob] = [await hub.connect(), await hub.connect()]
    await ada.send(
      envelope({ type: "hub:disconnect", pattern: "ask", payload: {} }),
      envelope({ type: "late", to: bob.identity }),
    )
    expect((await ada.closed()).code).toBe(1000)
    await expectQuiet(bob)
  })
})

describe("hub:register", () => {
  test("is answered hub:registered, whose metadata repeats expiresAt, renewalToken and version", async () => {
    const client = await hub.connect()
    const actorAddress = address("a")
    const answer = await register(client, actorAddress, {
      capabilities: ["chat", "admin"],
      metadata: { name: "A" },
      ttlSeconds: 600,
    })
    expect(answer).toMatchObject({
      type: "hub:registered",
      payload: {
        actorAddress,
        expiresAt: expect.any(Number),
        renewalToken: expect.stringMatching(/./),
        version: expect.any(Number),
      },
    })
    const { expiresAt, renewalToken, version } = fieldsOf(answer.payload)
    expect(answer.metadata).toMatchObject({ expiresAt, renewalToken, version })
    expect(Math.abs(Number(expiresAt) - Date.now() - 600_000)).toBeLessThan(30_000)
  })

  test("without ttlSeconds it is 300 s", async () => {
    const client = await hub.connect()
    const answer = await register(client, address("a"))
    expect(Math.abs(numberOf(answer, "expiresAt") - Date.now() - 300_000)).toBeLessThan(30_000)
  })

  test("registering again replaces capabilities and metadata, and its token", async () => {
    const client = await hub.connect()
    const actorAddress = address("a")
    const first = await register(client, actorAddress, { capabilities: ["old"], metadata: { n: 1 } })
    const second = await register(client, actorAddress, { capabilities: ["new"], metadata: { n: 2 } })
    expect(second.type).toBe("hub:registered")
    expect(numberOf(second, "version")).toBeGreaterThanOrEqual(numberOf(first, "version"))
    const found = listOf(await client.ask("hub:discover", { pattern: actorAddress }), "actors")
    expect(found).toMatchObject([{ address: actorAddress, capabilities: ["new"], metadata: { n: 2 } }])
  })

  test.each([[10], [3_600], [60.0]])("fault 07: a ttl of %d s is taken", async (ttlSeconds) => {
    const client = await hub.connect()
    expect((await register(client, address("a"), { ttlSeconds })).type).toBe("hub:registered")
  })

  test.each([[9], [0], [-1], [-300], [3_601], [1e300], ["300"], ["NaN"], [{}], [[300]], [true]])(
    "fault 07: a ttl of %j is invalid_message, and nothing is registered",
    async (ttlSeconds) => {
      const client = await hub.connect()
      const actorAddress = address("a")
      expectError(await register(client, actorAddress, { ttlSeconds }), "invalid_message")
      const found = await client.ask("hub:discover", { pattern: actorAddress })
      expect(found.payload).toMatchObject({ actors: [] })
    },
  )

  test("fault 07: an infinite ttl is invalid_message", async () => {
    const client = await hub.connect()
    const request = envelope({
      type: "hub:register",
      pattern: "ask",
      payload: { actorAddress: address("a"), ttlSeconds: 7 },
    })
    await client.raw(JSON.stringify(request).replace('"ttlSeconds":7', '"ttlSeconds":1e999'))
    expectError(await client.answerTo(request.id, "it"), "invalid_message")
  })

  test("64 tags are taken; 65, and what is no list of texts, are invalid_message", async () => {
    const client = await hub.connect()
    const tags = (count: number) => Array.from({ length: count }, (_, i) => `tag-${i}`)
    expect((await register(client, address("a"), { capabilities: tags(64) })).type).toBe("hub:registered")
    for (const capabilities of [tags(65), "chat", [1], { chat: true }, [null]]) {
      expectError(await register(client, address("a"), { capabilities }), "invalid_message")
    }
  })

  test("4 KiB of metadata are taken; a byte more, and what is no object, are invalid_message", async () => {
    const client = await hub.connect()
    const ofBytes = (bytes: number) => ({ m: "x".repeat(bytes - '{"m":""}'.length) })
    expect((await register(client, address("a"), { metadata: ofBytes(4_096) })).type).toBe("hub:registered")
    for (const metadata of [ofBytes(4_097), { m: "ä".repeat(2_100) }, [], "x", 7]) {
      expectError(await register(client, address("a"), { metadata }), "invalid_message")
    }
  })

  test.each([[null], [{}], ["@(test/x)"], [[]]])("%j: refused with a typed error", async (payload) => {
    const client = await hub.connect()
    expectError(await client.ask("hub:register", payload), "invalid_message", "invalid_address")
  })
})

describe("hub:unregister", () => {
  test("is answered hub:unregistered to an ask, and by nothing to a tell", async () => {
    const client = await hub.connect()
    const [one, two] = [address("one"), address("two")]
    for (const actorAddress of [one, two]) await register(client, actorAddress)
    expect(await client.ask("hub:unregister", { actorAddress: one })).toMatchObject({
      type: "hub:unregistered",
      payload: { actorAddress: one },
    })
    await client.send(envelope({ type: "hub:unregister", payload: { actorAddress: two } }))
    await expectQuiet(client)
    for (const pattern of [one, two]) {
      expect((await client.ask("hub:discover", { pattern })).payload).toMatchObject({ actors: [] })
    }
  })

  test("with payload null it is about the envelope's from", async () => {
    const client = await hub.connect()
    const other = address("other")
    await register(client, client.identity)
    await register(client, other)
    const answer = await client.ask("hub:unregister", null, { from: other })
    expect(answer).toMatchObject({ type: "hub:unregistered", payload: { actorAddress: other } })
    expect(await client.ask("hub:unregister", null)).toMatchObject({
      type: "hub:unregistered",
      payload: { actorAddress: client.identity },
    })
  })

  test("only the holder unregisters: else forbidden", async () => {
    const [ada, bob, eve] = [await hub.connect(), await hub.connect(), await hub.connect()]
    const other = address("other")
    await register(ada, other)
    expectError(await eve.ask("hub:unregister", { actorAddress: other }), "forbidden")
    await bob.send(envelope({ type: "x", to: other }))
    expect((await ada.expect("x")).to).toBe(other)
  })
})

describe("hub:renew", () => {
  test("is answered hub:renewed with a new token; the old one is void", async () => {
    const client = await hub.connect()
    const actorAddress = address("a")
    const old = textOf(await register(client, actorAddress), "renewalToken")
    const renewed = await client.ask("hub:renew", { renewalToken: old })
    expect(renewed).toMatchObject({
      type: "hub:renewed",
      payload: { actorAddress, expiresAt: expect.any(Number), version: expect.any(Number) },
    })
    const next = textOf(renewed, "renewalToken")
    expect(next).not.toBe(old)
    expectError(await client.ask("hub:renew", { renewalToken: old }), "forbidden")
    expect((await client.ask("hub:renew", { renewalToken: next })).type).toBe("hub:renewed")
  })

  test("registering again recovers from a lost token", async () => {
    const client = await hub.connect()
    const actorAddress = address("a")
    await register(client, actorAddress)
    const renewalToken = textOf(await register(client, actorAddress), "renewalToken")
    expect((await client.ask("hub:renew", { renewalToken })).type).toBe("hub:renewed")
  })

  test("fault 07: the registration keeps its own ttl unless another is asked for", async () => {
    const client = await hub.connect()
    const registered = await register(client, address("a"), { ttlSeconds: 1_200 })
    const lasts = (seconds: number, answer: typeof registered) =>
      expect(Math.abs(numberOf(answer, "expiresAt") - Date.now() - seconds * 1_000)).toBeLessThan(30_000)
    lasts(1_200, registered)
    const own = await client.ask("hub:renew", { renewalToken: textOf(registered, "renewalToken") })
    lasts(1_200, own)
    const asked = await client.ask("hub:renew", {
      renewalToken: textOf(own, "renewalToken"),
      ttlSeconds: 2_400,
    })
    lasts(2_400, asked)
    lasts(2_400, await client.ask("hub:renew", { renewalToken: textOf(asked, "renewalToken") }))
  })

  test.each([[9], [3_601], [-1], ["60"]])(
    "fault 07: a ttl of %j is invalid_message, and the token stays good",
    async (ttlSeconds) => {
      const client = await hub.connect()
      const renewalToken = textOf(await register(client, address("a")), "renewalToken")
      expectError(await client.ask("hub:renew", { renewalToken, ttlSeconds }), "invalid_message")
      expect((await client.ask("hub:renew", { renewalToken })).type).toBe("hub:renewed")
    },
  )

  test("only the holder renews: else forbidden, the token known or not", async () => {
    const [ada, eve] = [await hub.connect(), await hub.connect()]
    const renewalToken = textOf(await register(ada, address("a")), "renewalToken")
    expectError(await eve.ask("hub:renew", { renewalToken }), "forbidden")
    expectError(await eve.ask("hub:renew", { renewalToken: "made up" }), "forbidden")
    expect((await ada.ask("hub:renew", { renewalToken })).type).toBe("hub:renewed")
  })

  test.each([[null], [{}], [{ renewalToken: 7 }], [{ renewalToken: null }]])(
    "%j: invalid_message",
    async (payload) => {
      const client = await hub.connect()
      expectError(await client.ask("hub:renew", payload), "invalid_message")
    },
  )
})

describe("hub:discover", () => {
  test("finds what was registered, with exactly the entries of the contract", async () => {
    const [ada, bob] = [await hub.connect(), await hub.connect()]
    const actorAddress = address("a")
    const before = Date.now()
    const registered = await register(ada, actorAddress, { capabilities: ["chat"], metadata: { n: 1 } })
    const answer = await bob.ask("hub:discover", { pattern: actorAddress })
    expect(answer.payload).toMatchObject({ hasMore: false })
    const [entry, ...more] = listOf(answer, "actors")
    expect(more).toEqual([])
    expect(entry).toEqual({
      address: actorAddress,
      actorAddress,
      capabilities: ["chat"],
      metadata: { n: 1 },
      registeredAt: expect.any(Number),
      expiresAt: expect.any(Number),
      version: numberOf(registered, "version"),
    })
    expect(Math.abs(Number(entry?.registeredAt) - before)).toBeLessThan(60_000)
    expect(JSON.stringify(answer)).not.toContain(textOf(registered, "renewalToken"))
    expect(JSON.stringify(answer)).not.toContain(ada.sessionId)
  })

  test("capability and capabilities narrow it down", async () => {
    const client = await hub.connect()
    const name = unique("caps")
    const [one, two, both] = [`@(test/${name}/one)`, `@(test/${name}/two)`, `@(test/${name}/both)`]
    await register(client, one, { capabilities: ["red"] })
    await register(client, two, { capabilities: ["blue"] })
    await register(client, both, { capabilities: ["red", "blue"] })
    const found = async (more: object) =>
      listOf(await client.ask("hub:discover", { pattern: `@(test/${name}/*)`, ...more }), "actors")
        .map((actor) => actor.address)
        .toSorted()
    expect(await found({})).toEqual([one, two, both].toSorted())
    expect(await found({ capability: "red" })).toEqual([one, both].toSorted())
    expect(await found({ capabilities: ["red", "blue"] })).toEqual([both])
    expect(await found({ capability: "green" })).toEqual([])
    expect(await found({ capability: "re" })).toEqual([])
  })

  test("pages: at most 100 to a page, each entry once, the cursor leads on while hasMore", async () => {
    const client = await hub.connect()
    const name = unique("pages")
    const all = Array.from({ length: 230 }, (_, i) => `@(test/${name}/${i})`)
    await client.bulk(
      all.map((actorAddress) =>
        envelope({ type: "hub:register", pattern: "ask", payload: { actorAddress } }),
      ),
    )
    for (const limit of [undefined, 100, 7]) {
      const found: Array<unknown> = []
      let cursor: unknown
      do {
        const page = await client.ask("hub:discover", {
          pattern: `@(test/${name}/**)`,
          ...(limit === undefined ? {} : { limit }),
          ...(cursor === undefined ? {} : { cursor }),
        })
        const actors = listOf(page, "actors")
        expect(actors.length).toBeLessThanOrEqual(limit ?? 100)
        found.push(...actors.map((actor) => actor.address))
        const payload = fieldsOf(page.payload)
        cursor = payload.hasMore === true ? payload.cursor : undefined
        expect(cursor !== undefined).toBe(payload.hasMore)
      } while (cursor !== undefined)
      expect(found.toSorted()).toEqual(all.toSorted())
    }
  })

  test.each([
    [{ limit: 0 }],
    [{ limit: -1 }],
    [{ limit: 1.5 }],
    [{ limit: "ten" }],
    [{ cursor: 7 }],
    [{ capability: 7 }],
    [{ capabilities: "red" }],
  ])("%j: invalid_message", async (more) => {
    const client = await hub.connect()
    expectError(await client.ask("hub:discover", { pattern: "@(test/*)", ...more }), "invalid_message")
  })

  test("fault 75: a page of large entries ends at half of maxMessageSize, and the cursor leads on", async () => {
    const client = await hub.open()
    const half = numberOf(await client.handshake(), "maxMessageSize") / 2
    const name = unique("large")
    const all = Array.from({ length: 60 }, (_, i) => `@(test/${name}/${i})`)
    const large = {
      capabilities: Array.from({ length: 60 }, (_, n) => `${n}${"c".repeat(200)}`),
      metadata: { text: "x".repeat(4_000) },
    }
    for (const actorAddress of all) {
      expect((await register(client, actorAddress, large)).type).toBe("hub:registered")
    }
    const found: Array<unknown> = []
    let pages = 0
    for (let cursor: unknown; pages === 0 || cursor !== undefined; pages++) {
      const query = { pattern: `@(test/${name}/**)`, ...(cursor !== undefined && { cursor }) }
      const page = await client.ask("hub:discover", query)
      expect(JSON.stringify(page).length).toBeLessThan(half + 1_000)
      found.push(...listOf(page, "actors").map((actor) => actor.address))
      cursor = fieldsOf(page.payload).cursor
    }
    expect(found.toSorted()).toEqual(all.toSorted())
    expect(pages).toBe(2)
  })

  test("a cursor that the hub never gave is refused, or leads to no error of the hub's own", async () => {
    const client = await hub.connect()
    for (const cursor of ["made up", "x".repeat(5_000), "' OR 1=1 --"]) {
      const answer = await client.ask("hub:discover", { pattern: "@(test/nobody-here)", cursor })
      if (answer.type === "hub:discovered") expect(answer.payload).toMatchObject({ actors: [] })
      else expectError(answer, "invalid_message")
    }
  })
})

describe("hub:list_actors", () => {
  test("lists with total, offset, limit and hasMore; never a renewal token, never a session id", async () => {
    const name = unique("list")
    const client = await alone.connect({ hub: name })
    const all: Array<string> = []
    const secrets = [client.sessionId]
    for (let i = 0; i < 5; i++) {
      const actorAddress = address("a")
      all.push(actorAddress)
      secrets.push(textOf(await register(client, actorAddress), "renewalToken"))
    }
    const found: Array<unknown> = []
    for (const [offset, count] of [
      [0, 2],
      [2, 2],
      [4, 1],
      [5, 0],
    ] as const) {
      const page = await client.ask("hub:list_actors", { offset, limit: 2 })
      expect(page).toMatchObject({
        type: "hub:actor_list",
        payload: { total: 5, offset, limit: 2, hasMore: offset + 2 < 5 },
      })
      const actors = listOf(page, "actors")
      expect(actors).toHaveLength(count)
      for (const actor of actors) {
        expect(Object.keys(actor).toSorted()).toEqual([
          "actorAddress",
          "address",
          "capabilities",
          "expiresAt",
          "metadata",
          "registeredAt",
          "version",
        ])
      }
      found.push(...actors.map((actor) => actor.address))
      for (const secret of secrets) expect(JSON.stringify(page.payload)).not.toContain(secret)
    }
    expect(found.toSorted()).toEqual(all.toSorted())
    const whole = await client.ask("hub:list_actors", {})
    expect(whole.payload).toMatchObject({ total: 5, offset: 0, hasMore: false })
  })

  test("a page holds at most 100", async () => {
    const client = await alone.connect({ hub: unique("list") })
    await client.bulk(
      Array.from({ length: 105 }, () =>
        envelope({ type: "hub:register", pattern: "ask", payload: { actorAddress: address("a") } }),
      ),
    )
    const page = await client.ask("hub:list_actors", {})
    expect(listOf(page, "actors")).toHaveLength(100)
    expect(page.payload).toMatchObject({ total: 105, limit: 100, hasMore: true })
    const rest = await client.ask("hub:list_actors", { offset: 100 })
    expect(listOf(rest, "actors")).toHaveLength(5)
  })

  test.each([[{ offset: -1 }], [{ offset: "x" }], [{ limit: 0 }], [{ limit: -5 }], [{ offset: 0.5 }]])(
    "%j: invalid_message",
    async (payload) => {
      const client = await hub.connect()
      expectError(await client.ask("hub:list_actors", payload), "invalid_message")
    },
  )
})

describe("hub:watch", () => {
  test("is answered hub:watching {registered:true}; hub:terminated comes once, when it is unregistered", async () => {
    const [ada, bob] = [await hub.connect(), await hub.connect()]
    const actorAddress = address("a")
    await register(bob, actorAddress)
    expect(await ada.ask("hub:watch", { actorAddress })).toMatchObject({
      type: "hub:watching",
      payload: { actorAddress, registered: true },
    })
    await bob.ask("hub:unregister", { actorAddress })
    expect(await ada.expect("hub:terminated")).toMatchObject({
      from: HUB,
      to: ada.identity,
      payload: { actorAddress, reason: "unregistered" },
    })
    await register(bob, actorAddress)
    await bob.ask("hub:unregister", { actorAddress })
    await expectQuiet(ada, bob)
  })

  test("the reason is disconnected when its session leaves, or drops without a grace period", async () => {
    const ada = await hub.connect()
    for (const how of ["leaves", "drops"]) {
      const bob = await hub.connect()
      await register(bob, bob.identity)
      await ada.ask("hub:watch", { actorAddress: bob.identity })
      if (how === "leaves") await bob.ask("hub:disconnect", {})
      else bob.terminate()
      expect((await ada.expect("hub:terminated")).payload, how).toEqual({
        actorAddress: bob.identity,
        reason: "disconnected",
      })
    }
    await expectQuiet(ada)
  })

  test("registered:false is final: nothing follows", async () => {
    const [ada, bob] = [await hub.connect(), await hub.connect()]
    const actorAddress = address("a")
    expect((await ada.ask("hub:watch", { actorAddress })).payload).toEqual({
      actorAddress,
      registered: false,
    })
    await register(bob, actorAddress)
    await bob.ask("hub:unregister", { actorAddress })
    await expectQuiet(ada, bob)
  })

  test("several watchers hear it, each once, though one of them asked twice", async () => {
    const [ada, bob, eve] = [await hub.connect(), await hub.connect(), await hub.connect()]
    const actorAddress = address("a")
    await register(bob, actorAddress)
    for (const watcher of [ada, eve, eve]) await watcher.ask("hub:watch", { actorAddress })
    await bob.ask("hub:unregister", { actorAddress })
    for (const watcher of [ada, eve]) {
      await watcher.expect("hub:terminated")
      await expectQuiet(watcher)
    }
  })

  test("hub:unwatch is answered hub:unwatched to an ask only, and nothing comes then", async () => {
    const [ada, bob] = [await hub.connect(), await hub.connect()]
    const [one, two] = [address("one"), address("two")]
    for (const actorAddress of [one, two]) {
      await register(bob, actorAddress)
      await ada.ask("hub:watch", { actorAddress })
    }
    expect((await ada.ask("hub:unwatch", { actorAddress: one })).type).toBe("hub:unwatched")
    await ada.send(envelope({ type: "hub:unwatch", payload: { actorAddress: two } }))
    await expectQuiet(ada)
    for (const actorAddress of [one, two]) await bob.ask("hub:unregister", { actorAddress })
    await expectQuiet(ada, bob)
  })

  test.each([[null], [{}], [{ actorAddress: 7 }]])("%j: a typed error", async (payload) => {
    const client = await hub.connect()
    for (const type of ["hub:watch", "hub:unwatch"]) {
      expectError(await client.ask(type, payload), "invalid_message", "invalid_address")
    }
  })
})
