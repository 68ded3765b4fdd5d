/** What one request looks at and is answered: bounded by rows and by bytes, and paid for. */
import { describe, expect, it } from "vitest"
import type { TokenPayload } from "../../src/auth/Claims.ts"
import type { TestClient } from "../support/TestClient.ts"
import { TestHub } from "../support/TestHub.ts"

/** What is left of the bucket of a client, which the test's host does not draw from. */
const tokens = (client: TestClient): number => client.hub.connection(client.socket.id)!.rate.tokens
/** What a request costs beside the one that the bridge takes. */
const costOf = (client: TestClient, type: string, payload: unknown, more: object = {}): number => {
  const before = tokens(client)
  client.request(type, payload, { ...more })
  return before - tokens(client)
}
const addressesOf = (payload: { readonly [field: string]: unknown }): ReadonlyArray<string> =>
  (payload.actors as ReadonlyArray<{ readonly address: string }>).map(({ address }) => address)
const name = (n: number): string => `@(many/${String(n).padStart(5, "0")})`
const fill = (hub: TestHub, count: number, more: object = {}): void => {
  const holder = hub.connect("@(node/holder)")
  for (let n = 0; n < count; n++) holder.register(name(n), { ...more })
}
const manyAddresses = { maxAddressesPerSession: 10_000 }

describe("fault 69: rows looked at", () => {
  it("cost one more for each 100, charged afterwards, into debt", () => {
    const hub = new TestHub(manyAddresses)
    fill(hub, 2_500)
    const client = hub.connect("@(node/a)")
    expect(costOf(client, "hub:discover", { pattern: "@(many/none*)" })).toBe(0)
    expect(costOf(client, "hub:discover", { pattern: "@(many/*x)" })).toBe(20)
    expect(costOf(client, "hub:discover", { pattern: "@(many/*)", limit: 50 })).toBe(0)
    expect(costOf(client, "hub:discover", { pattern: "@(many/*)", limit: 100 })).toBe(1)
    expect(costOf(client, "hub:discover", { pattern: "*", capability: "x" })).toBe(20)
    for (let n = 0; n < 30; n++) client.request("hub:discover", { pattern: "@(many/*x)" })
    expect(tokens(client)).toBeLessThan(-200)
    expect(tokens(hub.connect("@(node/b)"))).toBe(400)
  })

  it("of a broadcast and of a listing from far behind cost too", () => {
    const hub = new TestHub({ ...manyAddresses, broadcastSlice: 10_000 })
    fill(hub, 1_500)
    const client = hub.connect("@(node/a)")
    const pattern = { metadata: { targetPattern: "@(many/*7)" } }
    expect(costOf(client, "hub:broadcast", { type: "note", data: 1 }, pattern)).toBe(15)
    expect(costOf(client, "hub:list_actors", { offset: 1_000, limit: 10 })).toBe(10)
    // The next page goes on where that ended.
    expect(costOf(client, "hub:list_actors", { offset: 1_010, limit: 10 })).toBe(0)
  })

  it("end a page at 2,000, which may be empty while there is more", () => {
    const hub = new TestHub(manyAddresses)
    fill(hub, 4_100)
    const client = hub.connect("@(node/a)")
    const wanted = { pattern: "@(many/*)", capability: "x" }
    const pages: Array<ReadonlyArray<string>> = []
    hub.connect("@(node/b)").register("@(many/x)", { capabilities: ["x"] })
    for (let cursor: unknown; ;) {
      const { payload } = client.request("hub:discover", { ...wanted, cursor })
      pages.push(addressesOf(payload))
      if (payload.hasMore !== true) break
      cursor = payload.cursor
    }
    expect(pages).toEqual([[], [], ["@(many/x)"]])
  })
})

describe("fault 75: bytes of a page", () => {
  const limits = { ...manyAddresses, maxPageSize: 1_000, maxMessageSize: 40_000 }
  const walk = (client: TestClient, type: string, query: object, list: string) => {
    const found: Array<unknown> = []
    let pages = 0
    for (let cursor: unknown; ;) {
      const { payload } = client.request(type, { ...query, cursor })
      pages++
      expect(Buffer.byteLength(JSON.stringify(payload))).toBeLessThan(limits.maxMessageSize / 2 + 200)
      found.push(...(payload[list] as ReadonlyArray<unknown>))
      if (payload.hasMore !== true) return { found, pages }
      cursor = payload.cursor
    }
  }

  it("are at most half of the largest frame, in discovery; each entry comes once", () => {
    const hub = new TestHub(limits)
    fill(hub, 50, { metadata: { text: "€".repeat(1_000) } })
    const { found, pages } = walk(hub.connect("@(node/a)"), "hub:discover", { pattern: "*" }, "actors")
    expect(addressesOf({ actors: found })).toEqual(Array.from({ length: 50 }, (_, n) => name(n)))
    expect(pages).toBe(9)
  })

  it("the same in presence", () => {
    const hub = new TestHub(limits)
    for (let n = 0; n < 30; n++) {
      hub
        .connect(`@(node/${String(n).padStart(2, "0")})`, { clientMetadata: { text: "x".repeat(3_000) } })
        .subscribe("news")
    }
    const { found, pages } = walk(hub.connect("@(node/a)"), "hub:presence", { topic: "news" }, "members")
    expect(new Set(found.map((member) => (member as { actorAddress: string }).actorAddress)).size).toBe(30)
    expect(found).toHaveLength(30)
    expect(pages).toBe(5)
  })

  it("the same in a listing, whose next offset is the offset and what came", () => {
    const hub = new TestHub(limits)
    fill(hub, 30, { metadata: { text: "x".repeat(3_000) } })
    const client = hub.connect("@(node/a)")
    const found: Array<string> = []
    for (;;) {
      const { payload } = client.request("hub:list_actors", { offset: found.length })
      expect(Buffer.byteLength(JSON.stringify(payload))).toBeLessThan(limits.maxMessageSize / 2 + 200)
      found.push(...addressesOf(payload))
      if (payload.hasMore !== true) break
      hub.evict()
    }
    expect(found).toEqual(Array.from({ length: 30 }, (_, n) => name(n)))
  })

  it("one entry that is larger comes alone", () => {
    const hub = new TestHub({ ...limits, maxMessageSize: 2_000 })
    fill(hub, 3, { metadata: { text: "x".repeat(3_000) } })
    const { payload } = hub.connect("@(node/a)").request("hub:discover", { pattern: "*" })
    expect(addressesOf(payload)).toEqual([name(0)])
    expect(payload.hasMore).toBe(true)
  })
})

describe("what a token hides", () => {
  const enter = (hub: TestHub, more: Partial<TokenPayload>) =>
    hub.enter({ actorId: "user/ada", capabilities: ["list"], ...more })
  const hiding = () => {
    const hub = new TestHub(manyAddresses).requireTokens()
    const holder = hub.enter({ actorId: "node/holder", actors: ["*"] })
    for (let n = 0; n < 4_100; n++) holder.register(name(n))
    holder.register("@(many/shown-1)")
    holder.register("@(many/shown-2)")
    return hub
  }
  const send = ["@(many/shown-*)"]

  it("fault 27: is in no cursor; the cursor outlives eviction, and is worth nothing to others", () => {
    const hub = hiding()
    const client = enter(hub, { send })
    const query = { pattern: "@(many/*)", limit: 1 }
    const first = client.request("hub:discover", query).payload
    expect(first).toMatchObject({ actors: [], hasMore: true })
    expect(atob(String(first.cursor))).not.toContain("many")
    expect(enterAs(hub).request("hub:discover", { ...query, cursor: first.cursor }).payload.code).toBe(
      "invalid_message",
    )
    hub.evict()
    const found: Array<string> = []
    for (let cursor = first.cursor; ;) {
      const { payload } = client.request("hub:discover", { ...query, cursor })
      found.push(...addressesOf(payload))
      if (payload.hasMore !== true) break
      cursor = payload.cursor
    }
    expect(found).toEqual(["@(many/shown-1)", "@(many/shown-2)"])
  })

  const enterAs = (hub: TestHub) => hub.enter({ actorId: "user/eve", send })

  it("of many such cursors the last 8 are good; the others are refused", () => {
    const hub = hiding()
    const client = enter(hub, { send })
    const query = { pattern: "@(many/*)" }
    const cursors = Array.from({ length: 9 }, () => client.request("hub:discover", query).payload.cursor)
    for (const [at, cursor] of cursors.entries()) {
      const { payload } = client.request("hub:discover", { ...query, cursor, limit: 1 })
      if (at === 0) expect(payload).toMatchObject({ code: "invalid_message" })
      // Each page that is read adds another.
      if (at === 8) expect(payload.hasMore).toBe(true)
    }
    for (const made of ["#0", "#-1", "#99", "#x", "#1.5"]) {
      const { payload } = client.request("hub:discover", { ...query, cursor: btoa(made) })
      expect(payload).toMatchObject({ code: "invalid_message" })
    }
  })

  it("does not count in the offsets of a listing: each that is seen comes once", () => {
    const hub = hiding()
    const client = enter(hub, { send })
    const found: Array<string> = []
    for (;;) {
      client.send({ type: "hub:list_actors", pattern: "ask", payload: { offset: found.length, limit: 1 } })
      hub.advance(0)
      const { payload } = client.takeOne()
      expect(addressesOf(payload)).toHaveLength(1)
      found.push(...addressesOf(payload))
      if (payload.hasMore !== true) break
      hub.evict()
    }
    expect(found).toEqual(["@(many/shown-1)", "@(many/shown-2)"])
  })
})

describe("rates that a token claims", () => {
  const rates = { maxEnvelopesPerSecond: 2_000 }
  const inForce = (client: TestClient) => client.hub.connection(client.socket.id)!.rate.rates

  it("hold from hub:connect on, are advertised, and outlive eviction", () => {
    const hub = new TestHub().requireTokens()
    const client = hub.open({ actorId: "user/ada", limits: rates })
    expect(client.connect().payload.limits).toMatchObject({
      maxEnvelopesPerSecond: 2_000,
      envelopeBurst: 4_000,
      maxBytesPerSecond: 4_194_304,
    })
    hub.evict()
    expect(inForce(client).envelopeBurst).toBe(4_000)
    expect(tokens(client)).toBe(4_000)
  })

  it("go with the token that is refreshed", () => {
    const hub = new TestHub().requireTokens()
    const client = hub.enter({ actorId: "user/ada", limits: rates })
    client.send({
      type: "hub:refresh_token",
      pattern: "ask",
      payload: { token: JSON.stringify({ actorId: "user/ada" }) },
    })
    hub.advance(0)
    hub.evict()
    expect(inForce(client).maxEnvelopesPerSecond).toBe(200)
    expect(tokens(client)).toBe(400)
  })
})
