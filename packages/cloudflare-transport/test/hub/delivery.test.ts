import { describe, expect, it } from "vitest"
import { TestHub } from "../support/TestHub.ts"

describe("direct envelopes", () => {
  it("arrive as they were sent, with only from enforced", () => {
    const hub = new TestHub()
    const a = hub.connect("@(node/a)")
    const b = hub.connect("@(node/b)")
    const sent = {
      id: "m-1",
      to: "@(node/b)",
      type: "note",
      payload: { deep: [1, { x: null }] },
      pattern: "tell",
      correlationId: null,
      timestamp: 5,
      metadata: { traceparent: "00-1-2-01", mine: 1 },
      ttl: 1_000,
      signature: "sig",
    }
    a.send(sent)
    expect(b.takeOne()).toEqual({ ...sent, from: "@(node/a)" })
  })

  it("fault 23: from is what the sender holds, whatever it writes", () => {
    const hub = new TestHub()
    const a = hub.connect("@(node/a)")
    const b = hub.connect("@(node/b)")
    a.register("@(room/1)")
    const fromOf = (from: string) => {
      a.send({ to: "@(node/b)", from })
      return b.takeOne().from
    }
    expect(fromOf("@(node/b)")).toBe("@(node/a)")
    expect(fromOf("@(cloudflare/signal-hub)")).toBe("@(node/a)")
    expect(fromOf("not an address")).toBe("@(node/a)")
    expect(fromOf("@(room/1)")).toBe("@(room/1)")
    a.request("hub:unregister", { actorAddress: "@(room/1)" })
    expect(fromOf("@(room/1)")).toBe("@(node/a)")
    const nobody = hub.connect()
    nobody.send({ to: "@(node/b)", from: "@(node/a)" })
    expect(b.takeOne().from).toBe(`@(session/${nobody.sessionId})`)
  })

  it("an identity is reached from its connect on, a provisional address is not a way to send", () => {
    const hub = new TestHub()
    const a = hub.connect("@(node/a)")
    const b = hub.connect()
    a.ask(`@(session/${b.sessionId})`, "question")
    expect(a.takeOne().type).toBe("hub:unknown_actor")
    b.register("@(node/b)")
    a.tell("@(node/b)", "note")
    expect(b.takeOne().type).toBe("note")
  })

  it("a tell to nobody is silent, counted and kept as a dead letter without its payload", () => {
    const hub = new TestHub({ maxDeadLetters: 2 })
    const a = hub.connect("@(node/a)")
    for (const n of [1, 2, 3]) a.send({ to: "@(node/none)", id: `d${n}`, payload: "s3cret" })
    expect(a.take()).toEqual([])
    expect(hub.core.state.deadLetters.recent()).toEqual(
      ["d2", "d3"].map((id) => ({
        id,
        from: "@(node/a)",
        to: "@(node/none)",
        type: "note",
        reason: "unknown_actor",
        at: hub.now(),
      })),
    )
    expect(a.request("hub:metrics").payload.dead_letters).toBe(3)
  })

  it("fault 31: what expired is not delivered: an ask is told, a tell is a dead letter", () => {
    const hub = new TestHub()
    const a = hub.connect("@(node/a)")
    const b = hub.connect("@(node/b)")
    a.send({ to: "@(node/b)", ttl: 0 })
    a.send({ to: "@(node/b)", ttl: 0, pattern: "ask" })
    expect(a.takeOne().payload).toMatchObject({ code: "message_expired" })
    a.send({ to: "@(node/b)", ttl: 1 })
    expect(b.take()).toHaveLength(1)
    expect(hub.core.state.deadLetters.recent()).toMatchObject([{ reason: "expired" }])
  })

  it("a type that is not hub:* is not for the hub", () => {
    const hub = new TestHub()
    expect(hub.connect("@(node/a)").request("note")).toMatchObject({
      type: "hub:error",
      payload: { code: "unknown_type" },
    })
    expect(hub.connect("@(node/b)").request("hub:nonsense").payload).toMatchObject({ code: "unknown_type" })
    expect(hub.connect("@(node/c)").request("hub:toString").payload).toMatchObject({ code: "unknown_type" })
  })

  it("the order of one session to one address is kept, hub:send and direct envelopes mixed", () => {
    const hub = new TestHub()
    const a = hub.connect("@(node/a)")
    const b = hub.connect("@(node/b)")
    for (let n = 0; n < 40; n++) {
      if (n % 2 === 0) a.tell("@(node/b)", "note", n)
      else a.send({ type: "hub:send", payload: { to: "@(node/b)", type: "note", data: n } })
    }
    expect(b.take().map(({ payload }) => payload)).toEqual(Array.from({ length: 40 }, (_, n) => n))
  })
})

describe("hub:send", () => {
  it("delivers a tell of a new id, and acknowledges an ask", () => {
    const hub = new TestHub()
    const a = hub.connect("@(node/a)")
    const b = hub.connect("@(node/b)")
    const ack = a.request(
      "hub:send",
      { to: "@(node/b)", type: "note", data: 7 },
      { id: "s1", metadata: { mine: 1 } },
    )
    const copy = b.takeOne()
    expect(copy).toMatchObject({
      from: "@(node/a)",
      to: "@(node/b)",
      type: "note",
      payload: 7,
      pattern: "tell",
      correlationId: null,
      metadata: { mine: 1, forwarded: true, via: "@(cloudflare/signal-hub)", originalMessageId: "s1" },
    })
    expect(copy.id).not.toBe("s1")
    expect(ack).toMatchObject({
      type: "hub:delivery_ack",
      payload: { messageId: "s1", deliveredAt: hub.now(), status: "delivered" },
    })
  })

  it("falls back to the envelope's to", () => {
    const hub = new TestHub()
    const a = hub.connect("@(node/a)")
    a.send({ type: "hub:send", to: "@(node/a)", payload: { type: "note", data: 1 } })
    expect(a.takeOne().type).toBe("note")
  })

  it("to nobody tells an ask, and a tell nothing", () => {
    const hub = new TestHub()
    const a = hub.connect("@(node/a)")
    const payload = { to: "@(node/none)", type: "note", data: 1 }
    expect(a.request("hub:send", payload)).toMatchObject({
      type: "hub:unknown_actor",
      payload: { actorAddress: "@(node/none)" },
    })
    a.send({ type: "hub:send", payload })
    expect(a.take()).toEqual([])
  })

  it.each(["hub:send", "hub:broadcast", "hub:publish"])("a hub:* type inside %s is refused", (type) => {
    const hub = new TestHub()
    const a = hub.connect("@(node/a)")
    const answer = a.request(type, { to: "@(node/a)", topic: "t", type: "hub:disconnect", data: 1 })
    expect(answer.payload).toMatchObject({ code: "invalid_message" })
    expect(a.take()).toEqual([])
  })
})

describe("broadcast", () => {
  it("fault 35: a copy has no correlationId of its sender's ask, and keeps the sender's metadata", () => {
    const hub = new TestHub()
    const a = hub.connect("@(node/a)")
    a.register("@(node/a)")
    const ack = a.request("hub:broadcast", { type: "note", data: 1 }, { id: "b1", metadata: { mine: 1 } })
    expect(ack).toMatchObject({
      type: "hub:broadcast_ack",
      correlationId: "b1",
      payload: { messageId: "b1", deliveredCount: 1, failedCount: 0, queuedCount: 0 },
    })
    expect(a.takeOne()).toMatchObject({
      type: "note",
      correlationId: null,
      from: "@(node/a)",
      metadata: { mine: 1, broadcast: true, via: "@(cloudflare/signal-hub)" },
    })
  })

  it("goes to each registered address that the tag, the pattern and excludeSelf let through", () => {
    const hub = new TestHub()
    const a = hub.connect("@(node/a)")
    const b = hub.connect("@(node/b)")
    hub.connect("@(node/unregistered)")
    a.register("@(room/1)", { capabilities: ["room"] })
    b.register("@(room/2)", { capabilities: ["room"] })
    b.register("@(node/b)")
    const counts = (payload: object, metadata: object) =>
      a.request("hub:broadcast", { type: "note", data: 1, ...payload }, { metadata }).payload.deliveredCount
    expect(counts({}, {})).toBe(3)
    expect(counts({}, { targetCapability: "room" })).toBe(2)
    expect(counts({}, { targetPattern: "@(node/*)" })).toBe(1)
    expect(counts({ excludeSelf: true }, { targetCapability: "room" })).toBe(1)
    expect(b.take().map(({ to }) => to)).toEqual([
      "@(node/b)",
      "@(room/2)",
      "@(room/2)",
      "@(node/b)",
      "@(room/2)",
    ])
  })

  it("goes out in slices between which the hub serves others, and then its sender, in order", () => {
    const hub = new TestHub({ broadcastSlice: 1_000 })
    const sender = hub.connect("@(node/sender)")
    const crowd = hub.connect("@(node/crowd)")
    const crowd2 = hub.connect("@(node/crowd2)")
    const other = hub.connect("@(node/other)")
    for (let n = 0; n < 1_000; n++) crowd.register(`@(crowd/${n})`)
    for (let n = 0; n < 500; n++) crowd2.register(`@(more/${n})`)
    sender.send({ type: "hub:broadcast", payload: { type: "note", data: 1 }, pattern: "ask", id: "b" })
    expect(crowd.take()).toHaveLength(1_000)
    sender.send({ type: "hub:heartbeat", payload: { timestamp: 1 }, pattern: "ask", id: "h" })
    sender.tell("@(node/other)", "after")
    // Another client is served between the slices; the sender's own requests wait their turn.
    expect(other.request("hub:heartbeat", { timestamp: 2 }).type).toBe("hub:heartbeat_ack")
    expect(sender.take()).toEqual([])
    expect(hub.isBusy).toBe(true)
    hub.advance(0)
    expect(crowd2.take()).toHaveLength(500)
    const answers = sender.take()
    expect(answers.map(({ correlationId }) => correlationId)).toEqual(["b", "h"])
    expect(answers[0]!.payload).toMatchObject({ deliveredCount: 1_500 })
    expect(other.takeOne().type).toBe("after")
  })

  it("counts who is gone as failed, with all the addresses that a lost session had", () => {
    const hub = new TestHub()
    const lost = hub.connect("@(node/lost)")
    for (const n of [1, 2, 3]) lost.register(`@(lost/${n})`)
    hub.crash()
    const sender = hub.connect("@(node/sender)")
    sender.register("@(node/sender)")
    expect(sender.request("hub:broadcast", { type: "note", data: 1 }).payload).toMatchObject({
      deliveredCount: 1,
      failedCount: 3,
    })
    expect(hub.sql.count("registration")).toBe(1)
  })

  it("a second broadcast waits for the first, and both are answered in order", () => {
    const hub = new TestHub({ broadcastSlice: 2 })
    const a = hub.connect("@(node/a)")
    for (let n = 0; n < 5; n++) a.register(`@(room/${n})`)
    for (const id of ["b1", "b2"]) {
      a.send({ type: "hub:broadcast", payload: { type: id, data: 1 }, pattern: "ask", id })
    }
    a.send({ type: "hub:heartbeat", payload: { timestamp: 1 }, pattern: "ask", id: "h" })
    hub.advance(0)
    const came = a.take()
    expect(came.flatMap(({ correlationId }) => correlationId ?? [])).toEqual(["b1", "b2", "h"])
    expect(came.filter(({ type }) => type === "b1")).toHaveLength(5)
    expect(came.filter(({ type }) => type === "b2")).toHaveLength(5)
  })
})

describe("figures", () => {
  it("count what came in, what went out, errors and connections", () => {
    const hub = new TestHub()
    const a = hub.connect("@(node/a)")
    const b = hub.connect("@(node/b)")
    a.tell("@(node/b)", "note")
    a.request("hub:nonsense")
    b.drop()
    hub.advance(1_000)
    expect(a.request("hub:metrics").payload).toEqual({
      // Two connects, the tell, the nonsense, and this.
      messages_received: 5,
      // Two hub:connected, the tell's delivery, the error.
      messages_sent: 4,
      errors: 1,
      connections_opened: 2,
      connections_closed: 1,
      dead_letters: 0,
      dropped: 0,
      sessions: 1,
      registrations: 0,
      windowStart: hub.now() - 1_000,
      timestamp: hub.now(),
    })
  })

  it("measure the session's queue and rate", () => {
    const hub = new TestHub()
    const a = hub.connect("@(node/a)")
    for (let n = 0; n < 9; n++) a.tell("@(node/none)", "note")
    hub.advance(2_000)
    expect(a.request("hub:queue_stats", {}).payload).toEqual({
      queueDepth: 0,
      queueBytes: 0,
      processingRate: 5,
      pauseThreshold: 1_048_576,
      resumeThreshold: 262_144,
    })
  })

  it("fault 38: what fails validation is invalid_message, named by its field, never internal_error", () => {
    const hub = new TestHub()
    const a = hub.connect("@(node/a)")
    const wrong: ReadonlyArray<readonly [string, unknown, string]> = [
      ["hub:heartbeat", { timestamp: "now" }, "timestamp"],
      ["hub:heartbeat", [], "payload"],
      ["hub:disconnect", { reason: 5 }, "reason"],
      ["hub:register", {}, "actorAddress"],
      ["hub:unregister", { actorAddress: 5 }, "actorAddress"],
      ["hub:renew", {}, "renewalToken"],
      ["hub:renew", { renewalToken: "x".repeat(2_000) }, "renewalToken"],
      ["hub:discover", {}, "pattern"],
      ["hub:list_actors", { offset: -1 }, "offset"],
      ["hub:send", { to: 5, type: "x" }, "to"],
      ["hub:send", { type: "x" }, "to"],
      ["hub:broadcast", { type: "" }, "type"],
      ["hub:broadcast", { type: "x".repeat(257) }, "type"],
      ["hub:broadcast", { type: "x", excludeSelf: 1 }, "excludeSelf"],
      ["hub:subscribe", { topic: 5 }, "topic"],
      ["hub:subscribe", { topic: "t", durable: "yes" }, "durable"],
      ["hub:unsubscribe", {}, "topic"],
      ["hub:unsubscribe", { subscriptionId: "none" }, "subscriptionId"],
      ["hub:publish", { topic: 5, type: "x" }, "topic"],
      ["hub:watch", { actorAddress: null }, "actorAddress"],
      ["hub:unwatch", {}, "actorAddress"],
      ["hub:presence", {}, "topic"],
    ]
    for (const [type, payload, field] of wrong) {
      const answer = a.request(type, payload)
      expect(answer, `${type} ${field}`).toMatchObject({
        type: "hub:error",
        payload: { code: "invalid_message", retryable: false, resolution: expect.any(String), details: {} },
      })
      expect(answer.payload.message).toContain(`"${field}"`)
    }
    expect(a.socket.close).toBe(undefined)
  })

  it("fault 38: an error in an ask is an answer to it, at once", () => {
    const hub = new TestHub()
    const a = hub.connect("@(node/a)")
    const id = a.ask("@(node/none)", "question")
    expect(a.takeOne()).toMatchObject({ type: "hub:unknown_actor", correlationId: id, to: "@(node/a)" })
    expect(hub.isBusy).toBe(false)
  })
})
