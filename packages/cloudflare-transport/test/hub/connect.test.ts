import { describe, expect, it } from "vitest"
import { TestHub } from "../support/TestHub.ts"

describe("connecting", () => {
  it("tells the session, the versions and the limits that a client needs", () => {
    const hub = new TestHub()
    const answer = hub.open().connect("@(node/a)", { protocolVersion: "1.0.0" })
    expect(answer).toMatchObject({
      type: "hub:connected",
      from: "@(cloudflare/signal-hub)",
      to: "@(node/a)",
      pattern: "tell",
      metadata: { actorIdentity: "@(node/a)" },
      payload: {
        supportedVersions: ["0.1.0", "1.0.0"],
        maxMessageSize: 1_048_576,
        heartbeatInterval: 25_000,
        topology: "hub",
        capabilities: { maxActorsPerInstance: 1_000 },
        limits: { maxPageSize: 100, maxAsksPerSession: 1_000, maxMetadataSize: 4_096 },
      },
    })
  })

  it("without an identity the session speaks from a provisional address", () => {
    const hub = new TestHub()
    const client = hub.open()
    const answer = client.connect()
    expect(answer.to).toBe(`@(session/${client.sessionId})`)
    expect(answer.metadata).toEqual({ actorIdentity: null })
  })

  it("until it succeeded every other message is answered not_connected, and costs nothing else", () => {
    const hub = new TestHub()
    const client = hub.open()
    for (const type of ["hub:register", "hub:metrics", "note"]) {
      expect(client.request(type, {})).toMatchObject({
        type: "hub:error",
        payload: { code: "not_connected", retryable: true },
      })
    }
    expect(client.connect("@(node/a)").type).toBe("hub:connected")
  })

  it("a second one on a connected session is invalid and changes nothing", () => {
    const hub = new TestHub()
    const client = hub.connect("@(node/a)")
    expect(client.connect("@(node/b)").payload).toMatchObject({ code: "invalid_message" })
    hub.connect("@(node/c)").tell("@(node/a)", "note")
    expect(client.takeOne().type).toBe("note")
  })

  it.each([
    ["protocolVersion", { protocolVersion: "one" }, "invalid_message"],
    ["capabilities", { capabilities: "all" }, "invalid_message"],
    ["capabilities", { capabilities: [""] }, "invalid_message"],
    ["actorIdentity", { actorIdentity: 5 }, "invalid_message"],
    ["actorIdentity", { actorIdentity: "node/a" }, "invalid_address"],
    ["actorIdentity", { actorIdentity: "@(cloudflare/x)" }, "forbidden"],
    ["actorIdentity", { actorIdentity: "@(session/x)" }, "forbidden"],
    ["clientMetadata", { clientMetadata: [1] }, "invalid_message"],
    ["sessionExpirySeconds", { sessionExpirySeconds: -1 }, "invalid_message"],
    ["sessionExpirySeconds", { sessionExpirySeconds: "60" }, "invalid_message"],
  ])("a wrong %s is refused by its name (%#)", (field, metadata, code) => {
    const hub = new TestHub()
    const answer = hub.open().connect(undefined, metadata)
    expect(answer.payload).toMatchObject({ code })
    expect(answer.payload.message).toContain(`metadata.${field}`)
    expect(hub.sql.count("session")).toBe(0)
  })

  it("a version that the hub does not have closes 4426 and tells which it has", () => {
    const hub = new TestHub()
    const client = hub.open()
    expect(client.connect(undefined, { protocolVersion: "2.0.0" }).payload).toMatchObject({
      code: "version_mismatch",
      details: { clientVersion: "2.0.0", supportedVersions: ["0.1.0", "1.0.0"] },
    })
    expect(client.socket.close?.code).toBe(4426)
  })

  it.each([
    ["malformed", { capabilities: "all" }, 4400],
    ["no valid claim", { actorIdentity: "@(cloudflare/x)" }, 4401],
  ])("the third failure closes: %s", (_, metadata, code) => {
    const hub = new TestHub()
    const client = hub.open()
    client.connect(undefined, metadata)
    hub.advance(100)
    client.connect(undefined, metadata)
    expect(client.socket.close).toBe(undefined)
    client.connect(undefined, metadata)
    expect(client.socket.close?.code).toBe(code)
  })

  it("a socket that does not connect is told so and closed 4408 after five seconds", () => {
    const hub = new TestHub()
    const early = hub.open()
    hub.advance(3_000)
    const late = hub.open()
    hub.advance(1_999)
    expect(early.socket.close).toBe(undefined)
    hub.advance(1)
    expect(early.takeOne().payload).toMatchObject({ code: "timeout" })
    expect(early.socket.close?.code).toBe(4408)
    expect(late.socket.close).toBe(undefined)
    hub.advance(3_000)
    expect(late.socket.close?.code).toBe(4408)
  })

  it("once every socket has connected no timer holds up hibernation", () => {
    const hub = new TestHub()
    const first = hub.open()
    const second = hub.open()
    first.connect()
    expect(hub.isBusy).toBe(true)
    second.connect()
    expect(hub.isBusy).toBe(false)
  })

  it("an unconnected socket whose timer was lost is found by the sweep", () => {
    const hub = new TestHub()
    const client = hub.open()
    hub.restart()
    hub.advance(59_999)
    expect(client.socket.close).toBe(undefined)
    hub.advance(1)
    expect(client.socket.close?.code).toBe(4408)
  })

  it("takes as many sessions as it may, and one more only in another's place", () => {
    const hub = new TestHub({ maxSessions: 2 })
    hub.connect("@(node/a)")
    hub.connect("@(node/b)")
    const third = hub.open()
    expect(third.connect("@(node/c)").payload).toMatchObject({ code: "registry_full" })
    expect(third.socket.close?.code).toBe(4503)
    expect(hub.open().connect("@(node/a)").type).toBe("hub:connected")
  })

  it("takes as many unconnected sockets as it may, and turns one more away with 4503", () => {
    const hub = new TestHub({ maxUnconnectedSockets: 2 })
    const waiting = [hub.open(), hub.open()]
    const third = hub.open()
    expect(third.socket.close?.code).toBe(4503)
    expect(waiting.map(({ socket }) => socket.close)).toEqual([undefined, undefined])
    waiting[0]!.connect()
    expect(hub.open().socket.close).toBe(undefined)
  })

  it("a failed step leaves the old connection in charge", () => {
    const hub = new TestHub()
    const old = hub.connect("@(node/a)")
    const rival = hub.open()
    // The step's last write fails: nothing of it may remain.
    const { run } = hub.sql
    hub.sql.run = (query, ...bindings) => {
      if (query.startsWith("INSERT OR REPLACE INTO session")) throw new Error("disk full")
      run.call(hub.sql, query, ...bindings)
    }
    expect(() => rival.connect("@(node/a)")).toThrow("disk full")
    hub.sql.run = run
    hub.restart()
    expect(old.socket.close).toBe(undefined)
    hub.connect("@(node/b)").tell("@(node/a)", "note")
    expect(old.takeOne().type).toBe("note")
  })

  it("every transition is logged with its cause, and nothing logged holds a payload", () => {
    const hub = new TestHub()
    const client = hub.connect("@(node/a)", { clientMetadata: { secret: "s3cret" } })
    client.tell("@(node/a)", "note", "s3cret")
    client.request("hub:disconnect", {})
    client.drop("closed 1000")
    expect(hub.logged("session_state_changed")).toMatchObject([
      { from: "connecting", to: "connected", cause: "hub:connect", sessionId: client.sessionId },
      { from: "connected", to: "disconnecting", cause: "hub:disconnect", actorIdentity: "@(node/a)" },
      { from: "disconnecting", to: "disconnected", cause: "closed 1000" },
    ])
    expect(hub.logged("session_cleaned_up")).toMatchObject([
      { sessionId: client.sessionId, removed: { registrations: 0 }, left: { sessions: 0 } },
    ])
    expect(JSON.stringify(hub.logs)).not.toContain("s3cret")
  })
})

describe("leaving", () => {
  it("fault 13: the answer to hub:disconnect is sent before the close", () => {
    const hub = new TestHub()
    const client = hub.connect("@(node/a)")
    expect(client.request("hub:disconnect", { reason: "done" })).toMatchObject({
      type: "hub:disconnect",
      payload: { acknowledged: true },
    })
    expect(client.socket.close).toEqual({ code: 1000, reason: "hub:disconnect" })
  })

  it("hub:disconnect is answered before the close however fast it follows a broadcast in slices", () => {
    const hub = new TestHub({ broadcastSlice: 2 })
    const client = hub.connect("@(node/a)")
    for (let i = 0; i < 7; i++) client.register(`@(room/${i})`)
    client.send({ type: "hub:broadcast", payload: { type: "note", data: 1 }, pattern: "ask", id: "b" })
    client.send({ type: "hub:disconnect", payload: {}, pattern: "ask", id: "d" })
    expect(client.socket.close).toBe(undefined)
    hub.advance(1)
    expect(client.take().flatMap(({ correlationId }) => correlationId ?? [])).toEqual(["b", "d"])
    expect(client.socket.close?.code).toBe(1000)
  })

  it("ends the session at once, whatever grace it had asked for", () => {
    const hub = new TestHub()
    const client = hub.connect("@(node/a)", { sessionExpirySeconds: 600 })
    client.register("@(node/a)")
    client.request("hub:disconnect", {})
    expect(hub.sql.count("session")).toBe(0)
    expect(hub.sql.count("registration")).toBe(0)
  })
})

describe("who breaks the protocol", () => {
  it("is closed 4400 and loses its session with it", () => {
    const hub = new TestHub()
    const client = hub.connect("@(node/a)")
    const other = hub.connect("@(node/b)")
    hub.core.violated(hub.connection(client.socket.id)!, 4400, "invalid_message")
    hub.flush()
    expect(client.socket.close?.code).toBe(4400)
    other.ask("@(node/a)", "question")
    expect(other.takeOne().type).toBe("hub:unknown_actor")
  })
})
