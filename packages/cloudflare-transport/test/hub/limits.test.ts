import { describe, expect, it } from "vitest"
import { HUB_ADDRESS } from "../../src/protocol/HubMessage.ts"
import { envelope } from "../support/envelope.ts"
import type { TestClient } from "../support/TestClient.ts"
import { TestHub } from "../support/TestHub.ts"

const ADA = "@(node/ada)"
const V1 = { protocolVersion: "1.0.0" }

describe("takeovers of one identity", () => {
  it("30 within 10 s are served; the next is rate_limited and closed 4429, and its holder stays", () => {
    const hub = new TestHub()
    hub.connect(ADA)
    for (let n = 0; n < 30; n++) expect(hub.open().connect(ADA).type).toBe("hub:connected")
    const holder = hub.connect("@(node/other)")
    hub.advance(4_000)
    const refused = hub.open()
    expect(refused.connect(ADA)).toMatchObject({
      type: "hub:error",
      payload: {
        code: "rate_limited",
        details: { retryAfter: 6_000, retryAfterMs: 6_000, limit: 30 },
      },
    })
    expect(refused.socket.close).toMatchObject({ code: 4429 })
    holder.tell(ADA, "note")
    expect(hub.connection("connection-31")?.state).toBe("connected")
    // Of others nothing is counted.
    expect(hub.open().connect("@(node/other)").type).toBe("hub:connected")
    hub.advance(6_000)
    expect(hub.open().connect(ADA).type).toBe("hub:connected")
  })

  it("are counted in the identity's row: an eviction forgets none", () => {
    const hub = new TestHub({ maxTakeovers: 2 })
    hub.connect(ADA)
    for (let n = 0; n < 2; n++) {
      expect(hub.open().connect(ADA).type).toBe("hub:connected")
      expect(hub.evict()).toBe(true)
    }
    expect(hub.open().connect(ADA).payload).toMatchObject({ code: "rate_limited" })
  })

  it("by hub:register are counted too", () => {
    const hub = new TestHub({ maxTakeovers: 1 })
    hub.connect(ADA)
    expect(hub.connect().register(ADA).type).toBe("hub:registered")
    const refused = hub.connect(undefined, { ...V1, sessionExpirySeconds: 0 })
    expect(refused.register(ADA)).toMatchObject({ type: "hub:rate_limited", payload: { limit: 1 } })
    expect(refused.socket.close).toMatchObject({ code: 4429 })
    expect(hub.sql.count("session")).toBe(1)
  })

  it("one who comes back after goodbye takes nothing over", () => {
    const hub = new TestHub({ maxTakeovers: 1 })
    for (let n = 0; n < 5; n++) {
      const client = hub.connect(ADA)
      expect(client.sessionId).not.toBe("")
      client.request("hub:disconnect", {})
    }
  })
})

describe("what an identity has spent stays spent", () => {
  const spend = (hub: TestHub, id: string): void => {
    const rate = hub.connection(id)!.rate
    while (rate.take());
    for (let n = 0; n < 40; n++) rate.refuse(hub.now())
  }
  const tokens = (hub: TestHub, id: string): number => hub.connection(id)!.rate.tokens

  it("over a takeover", () => {
    const hub = new TestHub()
    hub.connect(ADA)
    spend(hub, "connection-1")
    hub.connect(ADA)
    expect(tokens(hub, "connection-2")).toBe(0)
    expect(hub.connection("connection-2")!.rate.refusals).toBe(40)
  })

  it("over a lost connection, with and without a grace period, and over a goodbye", () => {
    for (const version of ["0.1.0", "1.0.0"]) {
      const hub = new TestHub()
      const client = hub.connect(ADA, { protocolVersion: version })
      spend(hub, "connection-1")
      client.drop()
      hub.advance(500)
      const again = hub.connect(ADA, { protocolVersion: version })
      expect(tokens(hub, "connection-2")).toBe(100)
      again.request("hub:disconnect", {})
      hub.connect(ADA)
      expect(tokens(hub, "connection-3")).toBe(100)
      hub.connect("@(node/other)")
      expect(tokens(hub, "connection-4")).toBe(400)
    }
  })

  it("where a session claims the identity by registering it", () => {
    const hub = new TestHub()
    hub.connect(ADA)
    spend(hub, "connection-1")
    hub.connect().register(ADA)
    expect(tokens(hub, "connection-2")).toBe(0)
  })
})

describe("requests that write rows, of who sends much", () => {
  it("wait for what comes in together, are written and answered in order, and others don't wait", () => {
    const hub = new TestHub()
    const [busy, calm] = [hub.connect("@(node/busy)", V1), hub.connect("@(node/calm)", V1)]
    hub.connection(busy.socket.id)!.rate.tokens = 10
    const send = (client: TestClient, type: string, payload: unknown) =>
      hub.core.received(
        hub.connection(client.socket.id)!,
        envelope(HUB_ADDRESS, type, payload, { id: `${type} ${JSON.stringify(payload)}`, pattern: "ask" }),
        hub.now(),
      )
    send(busy, "hub:subscribe", { topic: "a" })
    send(busy, "hub:heartbeat", { timestamp: 1 })
    send(busy, "hub:subscribe", { topic: "b" })
    expect(hub.sql.count("subscription")).toBe(0)
    send(calm, "hub:subscribe", { topic: "c" })
    expect(hub.sql.count("subscription")).toBe(1)
    // What came in together ends with the frame that comes now.
    calm.request("hub:heartbeat", { timestamp: 1 })
    expect(hub.sql.count("subscription")).toBe(3)
    expect(busy.take().map(({ type, payload }) => [type, payload.topic])).toEqual([
      ["hub:subscribed", "a"],
      ["hub:heartbeat_ack", undefined],
      ["hub:subscribed", "b"],
    ])
  })
})
