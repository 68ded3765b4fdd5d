import { describe, expect, it } from "vitest"
import { TestHub } from "../support/TestHub.ts"

const refused = (code: string) => ({ type: "hub:error", payload: { code } })

describe("registering", () => {
  it("answers when the lease ends, a token and a version, in the payload and in the metadata", () => {
    const hub = new TestHub()
    const client = hub.connect("@(node/a)")
    const { payload, metadata } = client.register("@(node/a)", { ttlSeconds: 100 })
    expect(payload).toEqual({
      actorAddress: "@(node/a)",
      expiresAt: hub.now() + 100_000,
      renewalToken: expect.any(String),
      version: 1,
    })
    const { expiresAt, renewalToken, version } = payload
    expect(metadata).toEqual({ expiresAt, renewalToken, version })
  })

  it("again by its holder raises the version and keeps the first date", () => {
    const hub = new TestHub()
    const client = hub.connect("@(node/a)")
    client.register("@(node/a)")
    const first = hub.now()
    hub.advance(1_000)
    expect(client.register("@(node/a)", { capabilities: ["x"] }).payload.version).toBe(2)
    expect(client.request("hub:discover", { pattern: "*" }).payload.actors).toMatchObject([
      { version: 2, registeredAt: first, capabilities: ["x"] },
    ])
  })

  it("fault 7: a TTL is a number from 10 to 3,600, and NaN or a negative one is refused", () => {
    const hub = new TestHub()
    const client = hub.connect("@(node/a)")
    // No frame holds NaN or Infinity: their envelope is malformed.
    for (const ttlSeconds of [Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => client.register("@(node/a)", { ttlSeconds })).toThrow("payload.ttlSeconds is")
    }
    for (const ttlSeconds of [-1, 0, 9.99, 3_600.01, "300", {}]) {
      expect(client.register("@(node/a)", { ttlSeconds }), String(ttlSeconds)).toMatchObject(
        refused("invalid_message"),
      )
    }
    expect(hub.sql.count("registration")).toBe(0)
    expect(client.register("@(node/a)", { ttlSeconds: 10 }).payload.expiresAt).toBe(hub.now() + 75_000)
    expect(client.register("@(node/a)", { ttlSeconds: 3_600 }).payload.expiresAt).toBe(hub.now() + 3_600_000)
  })

  it("fault 7: a renewal keeps the registration's own TTL, unless another is asked for", () => {
    const hub = new TestHub()
    const client = hub.connect("@(node/a)")
    const { renewalToken } = client.register("@(node/a)", { ttlSeconds: 1_000 }).payload
    hub.advance(5_000)
    const renewed = client.request("hub:renew", { renewalToken })
    expect(renewed).toMatchObject({ type: "hub:renewed", payload: { expiresAt: hub.now() + 1_000_000 } })
    const shorter = client.request("hub:renew", {
      renewalToken: renewed.payload.renewalToken,
      ttlSeconds: 200,
    })
    expect(shorter.payload.expiresAt).toBe(hub.now() + 200_000)
  })

  it("a renewal rotates the token, and the old one is void", () => {
    const hub = new TestHub()
    const client = hub.connect("@(node/a)")
    const { renewalToken } = client.register("@(node/a)").payload
    const renewed = client.request("hub:renew", { renewalToken })
    expect(renewed.payload.renewalToken).not.toBe(renewalToken)
    expect(client.request("hub:renew", { renewalToken })).toMatchObject(refused("forbidden"))
    expect(client.request("hub:renew", { renewalToken: renewed.payload.renewalToken }).type).toBe(
      "hub:renewed",
    )
  })

  it.each(["", "x", "a.b", "QChub2RlL2Ep.", ".".repeat(1_000)])(
    "%# a token that is none renews nothing",
    (renewalToken) => {
      const hub = new TestHub()
      const client = hub.connect("@(node/a)")
      client.register("@(node/a)")
      expect(client.request("hub:renew", { renewalToken })).toMatchObject(refused("forbidden"))
    },
  )

  it("only the holder renews and unregisters, and is not told from nobody", () => {
    const hub = new TestHub()
    const holder = hub.connect("@(node/a)")
    const thief = hub.connect("@(node/b)")
    const { renewalToken } = holder.register("@(node/a)").payload
    const theirs = thief.request("hub:renew", { renewalToken }).payload
    const nobodys = thief.request("hub:renew", { renewalToken: "none" }).payload
    expect(theirs).toEqual(nobodys)
    expect(theirs.code).toBe("forbidden")
    expect(thief.request("hub:unregister", { actorAddress: "@(node/a)" }).payload).toEqual(
      thief.request("hub:unregister", { actorAddress: "@(node/none)" }).payload,
    )
  })

  it("an address that is another session's identity can't be registered beside one's own", () => {
    const hub = new TestHub()
    hub.connect("@(node/a)")
    expect(hub.connect("@(node/b)").register("@(node/a)")).toMatchObject(refused("address_in_use"))
  })

  it("an additional address moves to who registers it, and its old holder is told and stays", () => {
    const hub = new TestHub()
    const before = hub.connect("@(node/a)")
    const after = hub.connect("@(node/b)")
    const watcher = hub.connect("@(node/w)")
    expect(before.register("@(room/1)").payload.version).toBe(1)
    watcher.watch("@(room/1)")
    expect(after.register("@(room/1)").payload.version).toBe(2)
    expect(before.takeOne()).toMatchObject({
      type: "hub:unregistered",
      payload: { actorAddress: "@(room/1)", reason: "superseded" },
    })
    expect(watcher.takeOne()).toMatchObject({ type: "hub:terminated", payload: { reason: "superseded" } })
    watcher.tell("@(room/1)", "note")
    expect(after.takeOne().type).toBe("note")
    expect(before.request("hub:heartbeat", { timestamp: 1 }).type).toBe("hub:heartbeat_ack")
  })

  it("unregistering with a null payload means the envelope's from; a tell of it is not answered", () => {
    const hub = new TestHub()
    const client = hub.connect("@(node/a)")
    client.register("@(node/a)")
    client.send({ type: "hub:unregister", payload: null })
    expect(client.take()).toEqual([])
    expect(hub.sql.count("registration")).toBe(0)
    client.register("@(room/1)")
    expect(client.request("hub:unregister", null, { from: "@(room/1)" })).toMatchObject({
      type: "hub:unregistered",
      payload: { actorAddress: "@(room/1)" },
    })
  })

  it.each([
    ["actorAddress", { actorAddress: 5 }, "invalid_message"],
    ["actorAddress", { actorAddress: "a" }, "invalid_address"],
    ["actorAddress", { actorAddress: "@(cloudflare/signal-hub)" }, "forbidden"],
    ["capabilities", { actorAddress: "@(node/a)", capabilities: Array(65).fill("x") }, "invalid_message"],
    ["metadata", { actorAddress: "@(node/a)", metadata: { x: "y".repeat(4_096) } }, "invalid_message"],
    ["metadata", { actorAddress: "@(node/a)", metadata: [] }, "invalid_message"],
  ])("a wrong %s is refused by its name (%#)", (field, payload, code) => {
    const hub = new TestHub()
    const answer = hub.connect("@(node/a)").request("hub:register", payload)
    expect(answer).toMatchObject(refused(code))
    expect(answer.payload.message).toContain(field)
  })

  it("metadata and tags at their limits are taken", () => {
    const hub = new TestHub()
    const metadata = { x: "y".repeat(4_096 - '{"x":""}'.length) }
    const capabilities = Array.from({ length: 64 }, (_, i) => `tag${i}`)
    expect(hub.connect("@(node/a)").register("@(node/a)", { metadata, capabilities }).type).toBe(
      "hub:registered",
    )
  })

  it("a session may hold so many addresses, and not one more; those it has it may register again", () => {
    const hub = new TestHub({ maxAddressesPerSession: 2 })
    const client = hub.connect("@(node/a)")
    client.register("@(node/a)")
    client.register("@(node/2)")
    expect(client.register("@(node/3)")).toMatchObject(refused("registry_full"))
    hub.evict()
    expect(client.register("@(node/3)")).toMatchObject(refused("registry_full"))
    expect(client.register("@(node/2)").type).toBe("hub:registered")
    client.request("hub:unregister", { actorAddress: "@(node/2)" })
    expect(client.register("@(node/3)").type).toBe("hub:registered")
  })

  it("a hub may hold so many registrations, and not one more", () => {
    const hub = new TestHub({ maxRegistrations: 2 })
    hub.connect("@(node/a)").register("@(node/a)")
    const b = hub.connect("@(node/b)")
    b.register("@(node/b)")
    expect(b.register("@(node/3)")).toMatchObject(refused("registry_full"))
  })
})

describe("discovering", () => {
  const hubWith = (...addresses: ReadonlyArray<string>) => {
    // Without a sweep meanwhile: leases hold by arithmetic alone.
    const hub = new TestHub({ maxPageSize: 3, sweepInterval: 3_600_000 })
    const holder = hub.connect("@(node/holder)")
    for (const address of addresses) {
      holder.register(address, { capabilities: address.includes("room") ? ["room", "big"] : ["user"] })
    }
    return { hub, holder, asker: hub.connect("@(node/asker)") }
  }
  const found = (answer: { readonly payload: { readonly [field: string]: unknown } }) =>
    (answer.payload.actors as ReadonlyArray<{ readonly address: string }>).map(({ address }) => address)

  it("finds by pattern, in the order of addresses, and shows neither token nor session", () => {
    const { asker, holder } = hubWith("@(room/2)", "@(room/1)", "@(room/1/door)", "@(user/1)")
    const answer = asker.request("hub:discover", { pattern: "@(room/*)" })
    expect(found(answer)).toEqual(["@(room/1)", "@(room/2)"])
    expect(answer.payload.hasMore).toBe(false)
    expect(Object.keys((answer.payload.actors as ReadonlyArray<object>)[0]!).toSorted()).toEqual([
      "actorAddress",
      "address",
      "capabilities",
      "expiresAt",
      "metadata",
      "registeredAt",
      "version",
    ])
    expect(JSON.stringify(answer)).not.toContain(holder.sessionId)
    expect(found(asker.request("hub:discover", { pattern: "@(room/**)" }))).toHaveLength(3)
  })

  it("finds by one tag or by several, all of which must be there", () => {
    const { asker } = hubWith("@(room/1)", "@(user/1)")
    const by = (payload: object) => found(asker.request("hub:discover", { pattern: "*", ...payload }))
    expect(by({ capability: "user" })).toEqual(["@(user/1)"])
    expect(by({ capabilities: ["room", "big"] })).toEqual(["@(room/1)"])
    expect(by({ capability: "user", capabilities: ["big"] })).toEqual([])
  })

  it("gives pages whose cursors lead through all, once each", () => {
    const addresses = Array.from({ length: 8 }, (_, i) => `@(room/${i})`)
    const { asker } = hubWith(...addresses)
    const seen: Array<string> = []
    let cursor: unknown
    for (;;) {
      const answer = asker.request("hub:discover", { pattern: "@(room/*)", cursor })
      seen.push(...found(answer))
      if (answer.payload.hasMore !== true) break
      cursor = answer.payload.cursor
    }
    expect(seen).toEqual(addresses)
  })

  it("lists with a total, an offset and a limit", () => {
    const { asker } = hubWith("@(a/1)", "@(a/2)", "@(a/3)", "@(a/4)")
    expect(asker.request("hub:list_actors", { offset: 1, limit: 2 })).toMatchObject({
      type: "hub:actor_list",
      payload: { total: 4, offset: 1, limit: 2, hasMore: true, actors: [{ address: "@(a/2)" }, {}] },
    })
    expect(asker.request("hub:list_actors", {}).payload).toMatchObject({ limit: 3, hasMore: true })
    expect(asker.request("hub:list_actors", { offset: 3 }).payload).toMatchObject({ hasMore: false })
  })

  it.each([
    ["pattern", { pattern: 5 }],
    ["pattern", {}],
    ["pattern", { pattern: "@(a/**/b)" }],
    ["pattern", { pattern: "x".repeat(300) }],
    ["limit", { pattern: "*", limit: 0 }],
    ["limit", { pattern: "*", limit: 1.5 }],
    ["cursor", { pattern: "*", cursor: "%" }],
    ["cursor", { pattern: "*", cursor: 5 }],
  ])("a wrong %s is refused by its name (%#)", (field, payload) => {
    const { asker } = hubWith()
    const answer = asker.request("hub:discover", payload)
    expect(answer).toMatchObject(refused("invalid_message"))
    expect(answer.payload.message).toContain(field)
  })

  it("does not show who was silent for longer than the lease", () => {
    const { hub, asker } = hubWith("@(room/1)")
    const list = () => found(asker.request("hub:discover", { pattern: "*" }))
    hub.advance(299_999)
    expect(list()).toEqual(["@(room/1)"])
    hub.advance(1)
    expect(list()).toEqual([])
  })

  it("a ping that wakes nothing keeps a registration", () => {
    const { hub, holder, asker } = hubWith("@(room/1)")
    hub.advance(200_000)
    hub.ping(holder.socket)
    hub.advance(299_999)
    expect(found(asker.request("hub:discover", { pattern: "*" }))).toEqual(["@(room/1)"])
    asker.watch("@(room/1)")
    hub.advance(1)
    expect(asker.watch("@(room/1)").payload.registered).toBe(false)
  })
})
