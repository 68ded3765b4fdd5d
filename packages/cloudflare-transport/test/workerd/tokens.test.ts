/** What only the platform can show of tokens: the Worker's header, attachments, evictions, alarms. */
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test"
import { env } from "cloudflare:workers"
import { MsgPackCodec } from "@signal-hub/actor-core/codec/msgpack"
import { SignJWT } from "jose"
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"
import { MAX_CLAIMS_BYTES, readClaims, type TokenPayload } from "../../src/auth/Claims.ts"
import type { HubEnv } from "../../src/object/HubEnv.ts"
import { makeHubWorker } from "../../src/worker/HubWorker.ts"
import { JWT_SECRET } from "./secret.ts"
import { SocketClient } from "./SocketClient.ts"
import { tickets } from "./tickets.ts"

const token = (payload: Partial<TokenPayload> = {}, secret = JWT_SECRET) =>
  new SignJWT({ actorId: "user/ada", ...payload })
    .setProtectedHeader({ alg: "HS256" })
    .sign(new TextEncoder().encode(secret))
const inSeconds = (seconds: number) => Date.now() / 1_000 + seconds

let count = 0
/** The name of a hub that nobody has used. */
const newName = () => `tokens-${++count}`

/** Hubs whose objects were reached. */
let reached: Array<string> = []
const tokenEnv = {
  ...env,
  AUTH_MODE: "token",
  JWT_SECRET,
  LOG_LEVEL: "info",
  SIGNAL_HUB: {
    getByName: (name: string) => {
      reached.push(name)
      return env.TOKEN_HUB.getByName(name)
    },
  },
} as unknown as HubEnv
const worker = makeHubWorker()

const upgrade = async (path: string, headers: Record<string, string> = {}, environment = tokenEnv) => {
  const request = new Request(`https://hub.example${path}`, { headers: { Upgrade: "websocket", ...headers } })
  const context = { waitUntil: () => {}, passThroughOnException: () => {}, props: {} } as never
  return worker.fetch!(request as never, environment, context)
}
const open = async (path: string, headers: Record<string, string> = {}) =>
  new SocketClient(await upgrade(path, headers))

const logged: Array<string> = []
beforeEach(() => {
  reached = []
  logged.length = 0
  for (const level of ["info", "warn", "error"] as const) {
    vi.spyOn(console, level).mockImplementation((line) => void logged.push(String(line)))
  }
})
afterEach(() => vi.restoreAllMocks())

describe("the Worker", () => {
  it("fault 28: takes the token from the Authorization header, or of the bearer subprotocol, which is not echoed", async () => {
    const hub = newName()
    const good = await token({ hubs: [hub] })
    const places = [
      { Authorization: `Bearer ${good}` },
      { Authorization: `bearer ${good}` },
      { "Sec-WebSocket-Protocol": `signal-hub.bearer.${good}, signal-hub.json` },
      { "Sec-WebSocket-Protocol": `signal-hub.json,signal-hub.bearer.${good}` },
      // Of two places, the header counts.
      {
        Authorization: `Bearer ${good}`,
        "Sec-WebSocket-Protocol": "signal-hub.json, signal-hub.bearer.forged",
      },
    ]
    for (const headers of places) {
      const client = await open(`/ws/${hub}`, headers)
      expect(client.subprotocol).toBe("Sec-WebSocket-Protocol" in headers ? "signal-hub.json" : null)
      expect((await client.connect()).metadata).toEqual({ actorIdentity: "@(user/ada)" })
    }
  })

  it("fault 28: never takes one from the URL", async () => {
    const hub = newName()
    const good = await token({ hubs: [hub] })
    const client = await open(`/ws/${hub}?token=${good}&authToken=${good}&access_token=${good}`)
    expect(await client.connect()).toMatchObject({ type: "hub:error", payload: { code: "unauthorized" } })
  })

  it.each([
    ["forged", () => token({}, "another secret of the same length"), "unauthorized", 4401],
    ["expired", () => token({ exp: inSeconds(-1) }), "token_expired", 4401],
    ["of another hub", () => token({ hubs: ["other"] }), "forbidden", 4403],
    ["of a reserved identity", () => token({ actorId: "session/1" }), "forbidden", 4403],
  ])("tells of a token that is %s, closes, and wakes no object", async (_, bad, code, close) => {
    const client = await open("/ws", { Authorization: `Bearer ${await bad()}` })
    expect(await client.came()).toMatchObject({ type: "hub:error", payload: { code } })
    expect((await client.closed).code).toBe(close)
    expect(reached).toEqual([])
    expect(logged.map((line) => JSON.parse(line))).toMatchObject([
      { event: "connection_rejected", code: close, hub: "default", reason: expect.any(String) },
    ])
  })

  it("tells so in the codec that was offered, which it echoes: a browser reads nothing else", async () => {
    const client = await open("/ws", {
      "Sec-WebSocket-Protocol": "signal-hub.msgpack, signal-hub.bearer.forged",
    })
    expect(client.subprotocol).toBe("signal-hub.msgpack")
    const frame = MsgPackCodec.decode(new Uint8Array((await client.frame()) as ArrayBuffer))
    expect(frame).toMatchObject([{ type: "hub:error", payload: { code: "unauthorized" } }])
  })

  it("logs no token and no claims", async () => {
    const hub = newName()
    const good = await token({ hubs: [hub, "s3cret-hub"] })
    const client = await open(`/ws/${hub}`, { Authorization: `Bearer ${good}` })
    await client.connect()
    await open(`/ws/${hub}`, { Authorization: `Bearer ${good}x` })
    expect(logged.length).toBeGreaterThan(0)
    expect(logged.join()).not.toMatch(/s3cret|eyJ/)
  })

  it("lets pages of allowed origins in, and what is no page", async () => {
    const strict = { ...tokenEnv, ALLOWED_ORIGINS: "https://a.example, https://b.example" }
    for (const Origin of ["https://a.example", "https://b.example"]) {
      expect((await upgrade("/ws", { Origin }, strict)).status).toBe(101)
    }
    expect((await upgrade("/ws", {}, strict)).status).toBe(101)
    for (const Origin of [
      "https://c.example",
      "https://a.example.evil.example",
      "http://a.example",
      "null",
      "",
    ]) {
      const response = await upgrade("/ws", { Origin }, strict)
      expect([Origin, response.status]).toEqual([Origin, 403])
      await response.body?.cancel()
    }
    expect((await upgrade("/ws", { Origin: "https://c.example" })).status).toBe(101)
  })
})

describe("what the Worker says of a client", () => {
  const forged = { "Signal-Hub-Claims": readClaims({ actorId: "user/admin" }).text }

  it("faults 24, 32: can't be said by the client through the Worker", async () => {
    const hub = newName()
    const client = await open(`/ws/${hub}`, forged)
    expect(await client.connect()).toMatchObject({ payload: { code: "unauthorized" } })
    const ada = await open(`/ws/${hub}`, {
      ...forged,
      Authorization: `Bearer ${await token({ hubs: [hub] })}`,
    })
    expect((await ada.connect()).metadata).toEqual({ actorIdentity: "@(user/ada)" })
  })

  it("faults 24, 32: can't be said by a request that a Worker handed through as it came", async () => {
    const stub = env.TOKEN_HUB.getByName(newName())
    const request = new Request("https://hub.example/ws", { headers: { Upgrade: "websocket", ...forged } })
    const client = new SocketClient(await stub.fetch(request))
    expect(await client.connect()).toMatchObject({ payload: { code: "unauthorized" } })
  })

  it("is not believed in an open hub", async () => {
    const stub = env.SIGNAL_HUB.getByName(newName())
    const request = new Request("https://hub/ws", { headers: { Upgrade: "websocket", ...forged } })
    const client = new SocketClient(await stub.fetch(request))
    expect((await client.connect("@(person/eve)")).metadata).toEqual({ actorIdentity: "@(person/eve)" })
  })
})

describe("claims", () => {
  it("fault 4: as large as they may be fit into the header and the attachment, which they leave", async () => {
    const hub = newName()
    const base = { hubs: [hub], actors: ["@(room/*)"] }
    const filler = (length: number) => ({
      ...base,
      send: Array.from({ length }, () => `@(user/${"x".repeat(60)})`),
    })
    let most = 1
    while (
      JSON.stringify({ actorId: "@(user/ada)", capabilities: [], ...filler(most + 1) }).length <=
      MAX_CLAIMS_BYTES
    )
      most++
    expect(readClaims({ actorId: "user/ada", ...filler(most) }).text.length).toBeGreaterThan(
      MAX_CLAIMS_BYTES - 100,
    )
    const client = await open(`/ws/${hub}`, { Authorization: `Bearer ${await token(filler(most))}` })
    const stub = env.TOKEN_HUB.getByName(hub)
    const attached = () =>
      runInDurableObject(stub, (_, state) =>
        JSON.stringify(state.getWebSockets()[0]!.deserializeAttachment()),
      )
    expect((await attached()).length).toBeGreaterThan(MAX_CLAIMS_BYTES - 100)
    expect((await client.connect()).type).toBe("hub:connected")
    expect((await attached()).length).toBeLessThan(512)
    const tooMany = await open(`/ws/${hub}`, { Authorization: `Bearer ${await token(filler(most + 1))}` })
    expect((await tooMany.closed).code).toBe(4401)
  })

  it("outlive an eviction; so does the hub's name, for tokens that come later", async () => {
    const hub = newName()
    const stub = env.TOKEN_HUB.getByName(hub)
    const client = await open(`/ws/${hub}`, { Authorization: `Bearer ${await token({ hubs: [hub] })}` })
    await client.connect()
    await evictDurableObject(stub)
    expect((await client.request("hub:metrics", {})).payload).toMatchObject({ code: "forbidden" })
    await evictDurableObject(stub)
    const elsewhere = await token({ hubs: ["other"], capabilities: ["metrics"] })
    expect((await client.request("hub:refresh_token", { token: elsewhere })).payload).toMatchObject({
      code: "forbidden",
    })
    await evictDurableObject(stub)
    const fresh = await token({ hubs: [hub], capabilities: ["metrics"] })
    expect((await client.request("hub:refresh_token", { token: fresh })).type).toBe("hub:token_refreshed")
    await evictDurableObject(stub)
    expect((await client.request("hub:metrics", {})).type).toBe("hub:metrics_response")
    const rows = await runInDurableObject(stub, (_, { storage }) =>
      ["session", "identity"].flatMap((table) => storage.sql.exec(`SELECT * FROM ${table}`).toArray()),
    )
    expect(JSON.stringify(rows)).not.toContain(fresh)
  })

  it("come over the socket too: what is sent right after hub:connect waits for the token's check", async () => {
    const hub = newName()
    const client = await open(`/ws/${hub}`)
    const authToken = `Bearer ${await token({ hubs: [hub], capabilities: ["metrics"] })}`
    client.send({ type: "hub:connect", pattern: "ask", metadata: { protocolVersion: "0.1.0", authToken } })
    client.send({ type: "hub:metrics", pattern: "ask", payload: {} })
    expect((await client.came()).type).toBe("hub:connected")
    expect((await client.came()).type).toBe("hub:metrics_response")
  })
})

describe("a scheme of one's own", () => {
  it("is asked wherever a token comes: with the upgrade, in hub:connect, in hub:refresh_token", async () => {
    const ticketEnv = { ...env, AUTH_MODE: "token", SIGNAL_HUB: env.TICKET_HUB } as unknown as HubEnv
    const ask = async (headers: Record<string, string>) => {
      const request = new Request("https://hub.example/ws", { headers: { Upgrade: "websocket", ...headers } })
      const context = { waitUntil: () => {}, passThroughOnException: () => {}, props: {} } as never
      return new SocketClient(await tickets.worker.fetch!(request as never, ticketEnv, context))
    }
    const ada = await ask({ Authorization: "Bearer ticket ada" })
    expect((await ada.connect()).metadata).toEqual({ actorIdentity: "@(user/ada)" })
    const bob = await ask({})
    const connected = await bob.connect(undefined, { authToken: "ticket bob" })
    expect(connected.metadata).toEqual({ actorIdentity: "@(user/bob)" })
    const stolen = await bob.request("hub:refresh_token", { token: "ticket ada" })
    expect(stolen.payload.code).toBe("forbidden")
    const fresh = await bob.request("hub:refresh_token", { token: "ticket bob" })
    expect(fresh.type).toBe("hub:token_refreshed")
    const refused = await ask({ Authorization: "Bearer bought ada" })
    expect((await refused.came()).payload.code).toBe("unauthorized")
  })
})

describe("expiry", () => {
  it("fault 26: an evicted hub wakes for a silent session's within a second: told, closed 4401", async () => {
    const hub = newName()
    const stub = env.TOKEN_HUB.getByName(hub)
    const expiresAt = Date.now() + 2_000
    const good = await token({ hubs: [hub], exp: expiresAt / 1_000 })
    const client = await open(`/ws/${hub}`, { Authorization: `Bearer ${good}` })
    expect((await client.connect()).metadata).toMatchObject({ tokenExpiresAt: expiresAt })
    expect(await runInDurableObject(stub, (_, { storage }) => storage.getAlarm())).toBeLessThanOrEqual(
      expiresAt + 1_000,
    )
    await evictDurableObject(stub)
    expect(await client.came()).toMatchObject({
      type: "hub:disconnect",
      payload: { reason: "token_expired" },
    })
    expect((await client.closed).code).toBe(4401)
    expect(Date.now() - expiresAt).toBeGreaterThanOrEqual(0)
    await runDurableObjectAlarm(stub)
  })
})
