/** Who connects with a token, for how long it is good, and how a new one takes its place. */
import { describe, expect, it } from "vitest"
import type { TokenPayload } from "../../src/auth/Claims.ts"
import { TokenRefused } from "../../src/auth/TokenRefused.ts"
import type { Received, TestClient } from "../support/TestClient.ts"
import { TestHub } from "../support/TestHub.ts"

const ADA = "@(user/ada)"
const BOB = "@(user/bob)"

const newHub = (limits = {}) => new TestHub(limits).requireTokens()
/** The text of a good token of the test host. */
const token = (more: Partial<TokenPayload> = {}) => JSON.stringify({ actorId: "user/ada", ...more })
/** In so many seconds, as tokens count. */
const expiry = (hub: TestHub, seconds: number) => hub.now() / 1_000 + seconds

const code = (answer: Received) => (answer.type === "hub:error" ? answer.payload.code : answer.type)
const refresh = (client: TestClient, text: string) => client.request("hub:refresh_token", { token: text })

describe("hub:connect", () => {
  it("takes the token of the upgrade, or else the one in its metadata, with bearer or without", () => {
    const hub = newHub()
    expect(hub.open({ actorId: "user/ada" }).connect().metadata).toEqual({ actorIdentity: ADA })
    for (const authToken of [token(), `bearer ${token()}`, `Bearer ${token()}`]) {
      expect(hub.open().connect(undefined, { authToken }).metadata).toEqual({ actorIdentity: ADA })
    }
    const both = hub.open({ actorId: "user/bob" }).connect(undefined, { authToken: token() })
    expect(both.metadata).toEqual({ actorIdentity: BOB })
  })

  it("says when the token expires", () => {
    const hub = newHub()
    const exp = expiry(hub, 60)
    const { metadata } = hub.open().connect(undefined, { authToken: token({ exp }) })
    expect(metadata).toEqual({ actorIdentity: ADA, tokenExpiresAt: exp * 1_000 })
  })

  it.each([
    ["no token", undefined, "unauthorized"],
    ["an empty token", "", "unauthorized"],
    ["one that is not valid", "forged", "unauthorized"],
    ["one that has expired", token({ exp: 1 }), "token_expired"],
    ["one of another hub", token({ hubs: ["other"] }), "forbidden"],
    ["what is no text", 1, "invalid_message"],
  ])("fault 25: with %s is refused, and changes nothing", (_, authToken, expected) => {
    const hub = newHub()
    const client = hub.open()
    const answer = client.connect(undefined, { authToken })
    expect(code(answer)).toBe(expected)
    if (expected === "unauthorized") {
      expect(answer.payload.details).toEqual({ action: "hub:connect", reason: answer.payload.message })
    }
    expect(hub.sql.count("session") + hub.sql.count("identity")).toBe(0)
    expect(code(client.request("hub:heartbeat", { timestamp: 1 }))).toBe("not_connected")
    expect(hub.logged("connect_rejected")).toHaveLength(1)
  })

  it("fault 25: a failed one leaves no claims behind; the third closes the connection", () => {
    const hub = newHub()
    const client = hub.open()
    const bad = client.connect(undefined, { authToken: token(), sessionExpirySeconds: -1 })
    expect(code(bad)).toBe("invalid_message")
    expect(code(client.connect())).toBe("unauthorized")
    expect(client.socket.close).toBeUndefined()
    client.connect(undefined, { authToken: "forged" })
    expect(client.socket.close).toEqual({ code: 4401, reason: "unauthorized" })
    expect(hub.sql.count("session")).toBe(0)
  })

  it("fault 25: the number of failures outlives memory", () => {
    const hub = newHub()
    const client = hub.open()
    for (const failures of [1, 2]) {
      client.connect(undefined, { authToken: `forged ${failures}` })
      hub.restart()
    }
    client.connect(undefined, { authToken: "forged 3" })
    expect(client.socket.close?.code).toBe(4401)
  })

  it("of a token that expired since the upgrade is the end of the connection", () => {
    const hub = newHub()
    const client = hub.open({ actorId: "user/ada", exp: expiry(hub, 2) })
    hub.advance(2_000)
    expect(code(client.connect())).toBe("token_expired")
    expect(client.socket.close?.code).toBe(4401)
  })

  it("where tokens can't be verified now is told to come back", () => {
    const hub = newHub()
    hub.authenticate = (_, done) =>
      hub.soon(() => done(new TokenRefused({ code: "internal_error", message: "no keys" })))
    const client = hub.open()
    expect(code(client.connect(undefined, { authToken: token() }))).toBe("internal_error")
    expect(client.socket.close?.code).toBe(4503)
  })

  it("what comes while its token is verified waits, in order and within bounds", () => {
    const hub = newHub({ maxParkedUnconnected: 2 })
    hub.holdsTokens = true
    const b = hub.enter({ actorId: "user/bob" })
    const a = hub.open()
    a.send({
      type: "hub:connect",
      pattern: "ask",
      metadata: { protocolVersion: "0.1.0", authToken: token() },
    })
    a.tell(BOB, "one")
    a.tell(BOB, "two")
    a.tell(BOB, "three")
    expect(code(a.takeOne())).toBe("queue_full")
    expect(b.take()).toEqual([])
    hub.verify()
    expect(a.takeOne().type).toBe("hub:connected")
    expect(b.take().map(({ type, from }) => [type, from])).toEqual([
      ["one", ADA],
      ["two", ADA],
    ])
  })

  it("fault 21: the takeover is decided after the token is verified; until then the old socket is served", () => {
    const hub = newHub()
    const old = hub.enter({ actorId: "user/ada" })
    hub.holdsTokens = true
    const newer = hub.open()
    newer.send({
      type: "hub:connect",
      pattern: "ask",
      metadata: { protocolVersion: "0.1.0", authToken: token() },
    })
    expect(old.request("hub:heartbeat", { timestamp: 1 }).type).toBe("hub:heartbeat_ack")
    hub.verify()
    expect(newer.takeOne().type).toBe("hub:connected")
    expect(old.socket.close?.code).toBe(4409)
  })

  it("whose socket goes while its token is verified makes no session", () => {
    const hub = newHub()
    hub.holdsTokens = true
    const client = hub.open()
    client.send({
      type: "hub:connect",
      pattern: "ask",
      metadata: { protocolVersion: "0.1.0", authToken: token() },
    })
    client.drop()
    hub.verify()
    expect(hub.sql.count("session")).toBe(0)
  })

  it("keeps claims with the session, and no more with its socket; a token nowhere", () => {
    const hub = newHub()
    const client = hub.open({ actorId: "user/ada", hubs: ["default", "s3cret"] })
    expect(hub.connection(client.socket.id)!.claims).toContain("s3cret")
    client.connect()
    hub.restart()
    expect(hub.connection(client.socket.id)!.claims).toBeNull()
    hub.open().connect(undefined, { authToken: token({ hubs: ["default", "s3cret"] }) })
    expect(JSON.stringify(hub.logs)).not.toContain("s3cret")
  })
})

describe("a token's expiry", () => {
  it("fault 26: ends the session's service to the millisecond, and its connection: told, closed 4401", () => {
    const hub = newHub()
    const a = hub.enter({ actorId: "user/ada", exp: expiry(hub, 30) })
    hub.advance(29_999)
    expect(a.request("hub:heartbeat", { timestamp: 1 }).type).toBe("hub:heartbeat_ack")
    expect(a.socket.close).toBeUndefined()
    hub.advance(1)
    expect(a.takeOne()).toMatchObject({ type: "hub:disconnect", payload: { reason: "token_expired" } })
    expect(a.socket.close).toEqual({ code: 4401, reason: "token_expired" })
  })

  it("fault 26: finds a silent session too, and after memory was lost", () => {
    const hub = newHub()
    // Between two sweeps, which would find it too.
    const a = hub.enter({ actorId: "user/ada", exp: expiry(hub, 615) })
    for (let pings = 0; pings < 24; pings++) {
      hub.ping(a.socket)
      hub.advance(24_999)
      hub.evict()
    }
    hub.ping(a.socket)
    hub.advance(15_023)
    expect(a.socket.close).toBeUndefined()
    hub.advance(1)
    expect(a.socket.close?.code).toBe(4401)
    expect(hub.evictions).toBe(24)
  })

  it("fault 26: nothing is served or delivered after it, even before the alarm came", () => {
    const hub = newHub()
    const b = hub.enter({ actorId: "user/bob" })
    for (const act of ["sends", "is sent to"] as const) {
      const a = hub.enter({ actorId: "user/ada", exp: expiry(hub, 1) })
      hub.alarmAt = null
      hub.advance(1_000)
      if (act === "sends") a.tell(BOB, "late")
      else b.tell(ADA, "late")
      expect(a.take().map(({ type }) => type)).toEqual(["hub:disconnect"])
      expect(a.socket.close?.code).toBe(4401)
      expect(b.take()).toEqual([])
    }
  })

  it("leaves the session its grace: a fresh token finds registrations, subscriptions and watches", () => {
    const hub = newHub()
    const b = hub.enter({ actorId: "user/bob" })
    const a = hub.open({ actorId: "user/ada", exp: expiry(hub, 30) })
    a.connect(undefined, { sessionExpirySeconds: 60 })
    a.register(ADA)
    a.subscribe("news")
    b.watch(ADA)
    hub.advance(30_000)
    expect(a.socket.close?.code).toBe(4401)
    a.drop()
    hub.advance(10_000)
    const again = hub.enter({ actorId: "user/ada", exp: expiry(hub, 30) })
    b.request("hub:publish", { topic: "news", type: "item", data: 1 })
    expect(again.takeOne().type).toBe("item")
    expect(b.take()).toEqual([])
    expect(hub.sql.count("registration")).toBe(1)
  })

  it("is a deadline that the next one moves and the last one ends: fault 3", () => {
    const hub = newHub({ sweepInterval: 3_600_000, heartbeatInterval: 3_600_000 })
    const a = hub.enter({ actorId: "user/ada", exp: expiry(hub, 30) })
    expect(hub.alarmAt).toBe(hub.now() + 30_000)
    a.request("hub:disconnect", {})
    a.drop("closed 1000")
    expect(hub.alarmAt).toBe(hub.now() + hub.limits.identityKeptFor)
  })

  it("is found by index, not by looking through the sessions", () => {
    const hub = newHub()
    hub.enter({ actorId: "user/ada", exp: expiry(hub, 30) })
    const plan = hub.sql.plan("SELECT * FROM session WHERE token_until <= 1 LIMIT 1000").join()
    expect(plan).toContain("session_token")
  })
})

describe("hub:refresh_token", () => {
  it("extends the session: the new token's expiry and claims hold from then on", () => {
    const hub = newHub()
    const a = hub.enter({ actorId: "user/ada", exp: expiry(hub, 30) })
    expect(code(a.request("hub:metrics", {}))).toBe("forbidden")
    hub.advance(20_000)
    const exp = expiry(hub, 60)
    const answer = refresh(a, token({ exp, capabilities: ["metrics"] }))
    expect(answer).toMatchObject({ type: "hub:token_refreshed", payload: { expiresAt: exp * 1_000 } })
    expect(a.request("hub:metrics", {}).type).toBe("hub:metrics_response")
    hub.restart()
    hub.advance(59_999)
    expect(a.request("hub:metrics", {}).type).toBe("hub:metrics_response")
    hub.advance(1)
    expect(a.socket.close?.code).toBe(4401)
  })

  it("takes the token in its metadata too, with bearer or without", () => {
    const hub = newHub()
    const a = hub.enter({ actorId: "user/ada" })
    const metadata = { authToken: `Bearer ${token()}` }
    expect(a.request("hub:refresh_token", null, { metadata }).payload).toEqual({ expiresAt: null })
    expect(refresh(a, `bearer ${token()}`).payload).toEqual({ expiresAt: null })
  })

  it.each([
    ["another identity", () => token({ actorId: "user/bob", capabilities: ["metrics"] }), "forbidden"],
    ["another hub", () => token({ hubs: ["other"], capabilities: ["metrics"] }), "forbidden"],
    ["the past", () => token({ exp: 1, capabilities: ["metrics"] }), "token_expired"],
    ["nobody", () => "forged", "unauthorized"],
  ])("fault 26: a token of %s is refused, and the one before holds", (_, text, expected) => {
    const hub = newHub()
    const a = hub.enter({ actorId: "user/ada", exp: expiry(hub, 30) })
    expect(code(refresh(a, text()))).toBe(expected)
    expect(code(a.request("hub:metrics", {}))).toBe("forbidden")
    expect(a.tell(ADA, "still there")).toBeDefined()
    expect(a.takeOne()).toMatchObject({ type: "still there", from: ADA })
    hub.advance(30_000)
    expect(a.socket.close?.code).toBe(4401)
  })

  it("fault 26: the hub mints no tokens: a request without one is malformed", () => {
    const hub = newHub()
    const a = hub.enter({ actorId: "user/ada" })
    expect(code(a.request("hub:refresh_token", null))).toBe("invalid_message")
    expect(code(a.request("hub:refresh_token", { token: 1 }))).toBe("invalid_message")
    expect(code(new TestHub().connect(ADA).request("hub:refresh_token", { token: "x" }))).toBe(
      "invalid_message",
    )
  })

  it("is answered in order with what its session sends meanwhile, which waits", () => {
    const hub = newHub()
    const a = hub.enter({ actorId: "user/ada" })
    hub.holdsTokens = true
    a.send({
      type: "hub:refresh_token",
      pattern: "ask",
      payload: { token: token({ capabilities: ["metrics"] }) },
    })
    a.send({ type: "hub:metrics", pattern: "ask", payload: {} })
    expect(a.take()).toEqual([])
    hub.verify()
    expect(a.take().map(({ type }) => type)).toEqual(["hub:token_refreshed", "hub:metrics_response"])
  })

  it.each(["drops", "expires", "is superseded"] as const)(
    "fault 26: whose session %s while the token is verified has no effect",
    (meanwhile) => {
      const hub = newHub()
      const a = hub.open({ actorId: "user/ada", exp: expiry(hub, 30) })
      a.connect(undefined, { sessionExpirySeconds: 60 })
      hub.holdsTokens = true
      a.send({
        type: "hub:refresh_token",
        pattern: "ask",
        payload: { token: token({ capabilities: ["metrics"] }) },
      })
      if (meanwhile === "drops") a.drop()
      if (meanwhile === "expires") hub.advance(30_000)
      if (meanwhile === "is superseded") hub.enter({ actorId: "user/ada" })
      a.take()
      hub.verify()
      expect(a.take()).toEqual([])
      expect(hub.logged("token_refreshed")).toEqual([])
    },
  )

  it("fault 27: ends what the new claims do not allow, and says so", () => {
    const hub = newHub()
    const b = hub.enter({ actorId: "user/bob" })
    b.register(BOB)
    const a = hub.enter({ actorId: "user/ada", actors: ["@(room/*)"] })
    a.register("@(room/1)")
    a.register(ADA)
    a.subscribe("news")
    a.subscribe("talk")
    a.watch(BOB)
    b.watch("@(room/1)")
    expect(refresh(a, token({ subscribe: ["talk"], send: [ADA] })).type).toBe("hub:token_refreshed")
    expect(a.take().map(({ type, payload }) => [type, payload.actorAddress ?? payload.details])).toEqual([
      ["hub:unregistered", "@(room/1)"],
      ["hub:error", { topic: "news" }],
      ["hub:error", { actorAddress: BOB }],
    ])
    expect(b.takeOne()).toMatchObject({ type: "hub:terminated", payload: { actorAddress: "@(room/1)" } })
    expect(b.request("hub:publish", { topic: "news", type: "item", data: 1 }).payload.subscriberCount).toBe(0)
    expect(b.request("hub:publish", { topic: "talk", type: "item", data: 1 }).payload.subscriberCount).toBe(1)
    expect(hub.sql.count("watch")).toBe(0)
    expect(hub.sql.count("registration")).toBe(2)
  })
})

describe("a takeover", () => {
  it("fault 27: passes on only what the winner's token allows", () => {
    const hub = newHub()
    const b = hub.enter({ actorId: "user/bob" })
    const a = hub.open({ actorId: "user/ada", actors: ["@(room/*)"] })
    a.connect(undefined, { sessionExpirySeconds: 60 })
    a.register("@(room/1)")
    a.subscribe("news", { durable: true })
    const winner = hub.open({ actorId: "user/ada", subscribe: ["talk"] })
    winner.send({ type: "hub:connect", pattern: "ask", metadata: { protocolVersion: "0.1.0" } })
    expect(a.socket.close?.code).toBe(4409)
    expect(hub.sql.count("registration")).toBe(0)
    expect(winner.take().map(({ type }) => type)).toEqual(["hub:connected", "hub:unregistered", "hub:error"])
    expect(b.request("hub:publish", { topic: "news", type: "item", data: 1 }).payload.subscriberCount).toBe(0)
  })
})
