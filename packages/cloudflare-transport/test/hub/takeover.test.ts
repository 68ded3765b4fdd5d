import { describe, expect, it } from "vitest"
import { TestHub } from "../support/TestHub.ts"

const epochOf = (hub: TestHub) =>
  hub.sql.all<{ epoch: number }>("SELECT epoch FROM identity WHERE address = '@(node/a)'")[0]!.epoch

describe("takeover", () => {
  it("the last connection wins; the old one is told why, closed 4409, and nobody else notices", () => {
    const hub = new TestHub()
    const bystander = hub.connect("@(node/b)")
    const old = hub.connect("@(node/a)")
    const winner = hub.connect("@(node/a)")
    expect(old.takeOne()).toMatchObject({
      type: "hub:disconnect",
      to: "@(node/a)",
      payload: { reason: "duplicate_connection", message: expect.any(String) },
    })
    expect(old.socket.close).toEqual({ code: 4409, reason: "duplicate_connection" })
    bystander.tell("@(node/a)", "note")
    expect(winner.takeOne().type).toBe("note")
    expect(bystander.take()).toEqual([])
    expect(bystander.socket.close).toBe(undefined)
    expect(epochOf(hub)).toBe(2)
  })

  it("finds the old connection after an eviction too", () => {
    const hub = new TestHub()
    const old = hub.connect("@(node/a)")
    hub.evict()
    hub.connect("@(node/a)")
    expect(old.takeOne()).toMatchObject({ to: "@(node/a)", payload: { reason: "duplicate_connection" } })
    expect(old.socket.close?.code).toBe(4409)
  })

  it("the register that claims the identity takes over as a connect does", () => {
    const hub = new TestHub()
    const old = hub.connect("@(node/a)")
    const winner = hub.connect()
    expect(winner.register("@(node/a)").type).toBe("hub:registered")
    expect(old.socket.close?.code).toBe(4409)
    hub.connect("@(node/b)").tell("@(node/a)", "note")
    expect(winner.takeOne().type).toBe("note")
  })

  it("the first register claims the identity, later ones add addresses", () => {
    const hub = new TestHub()
    const a = hub.connect()
    a.register("@(node/a)")
    a.register("@(room/1)")
    const b = hub.connect("@(node/b)")
    a.tell("@(node/b)", "note")
    expect(b.takeOne().from).toBe("@(node/a)")
  })

  it("fault 8: an old connection's late close or error removes nothing of the new one's, and starts no grace", () => {
    for (const evicting of [false, true]) {
      const hub = new TestHub()
      const old = hub.connect("@(node/a)", { sessionExpirySeconds: 60 })
      old.register("@(node/a)")
      old.register("@(room/1)")
      const winner = hub.connect("@(node/a)", { sessionExpirySeconds: 60 })
      winner.register("@(room/2)")
      if (evicting) hub.evict()
      // A dead socket reports 1006, whatever it was closed with, and may report an error beside.
      old.drop("closed 1006")
      if (evicting) hub.evict()
      old.drop("socket error")
      expect(hub.sql.count("registration")).toBe(3)
      expect(hub.sql.all("SELECT id FROM session WHERE grace_until IS NOT NULL")).toEqual([])
      hub.connect("@(node/b)").tell("@(room/1)", "note")
      expect(winner.takeOne().type).toBe("note")
    }
  })

  it("fault 9: frames of the old connection that arrive after the takeover have no effect", () => {
    for (const evicting of [false, true]) {
      const hub = new TestHub()
      const b = hub.connect("@(node/b)")
      const old = hub.connect("@(node/a)")
      hub.connect("@(node/a)")
      old.take()
      if (evicting) hub.evict()
      old.tell("@(node/b)", "note")
      old.send({ type: "hub:register", payload: { actorAddress: "@(room/1)" } })
      old.send({ type: "hub:subscribe", payload: { topic: "news" } })
      old.send({ type: "hub:disconnect", payload: {} })
      expect(b.take()).toEqual([])
      expect(old.take()).toEqual([])
      expect(hub.sql.count("registration")).toBe(0)
      expect(hub.sql.count("subscription")).toBe(0)
      expect(hub.sql.count("session")).toBe(2)
    }
  })

  it("fault 9: what the old connection had waiting behind a broadcast is dropped with it", () => {
    const hub = new TestHub({ broadcastSlice: 2 })
    const b = hub.connect("@(node/b)")
    const old = hub.connect("@(node/a)", { sessionExpirySeconds: 60 })
    for (let n = 0; n < 5; n++) b.register(`@(room/${n})`)
    old.send({ type: "hub:broadcast", payload: { type: "note", data: 1 } })
    old.tell("@(node/b)", "late")
    hub.connect("@(node/a)")
    hub.advance(10)
    expect(b.takeOf("late")).toEqual([])
  })

  it("fault 11: a connection that is closing carries nobody any more", () => {
    const hub = new TestHub()
    const b = hub.connect("@(node/b)")
    const old = hub.connect("@(node/a)")
    const winner = hub.connect("@(node/a)")
    old.take()
    hub.evict()
    b.ask("@(node/a)", "question")
    expect(old.take()).toEqual([])
    expect(winner.takeOne().type).toBe("question")
    expect([...hub.connections()].map(({ id }) => id)).toEqual([b.socket.id, winner.socket.id])
  })

  it("fault 21: of many claims at once exactly one stays, and every loser is told 4409", () => {
    const hub = new TestHub()
    const claimants = Array.from({ length: 10 }, () => hub.open())
    for (const claimant of claimants) claimant.send({ type: "hub:connect", metadata: claim, pattern: "ask" })
    const open = claimants.filter(({ socket }) => socket.isOpen)
    expect(open).toHaveLength(1)
    for (const loser of claimants.filter(({ socket }) => !socket.isOpen)) {
      expect(loser.socket.close?.code).toBe(4409)
      expect(loser.take().map(({ type }) => type)).toEqual(["hub:connected", "hub:disconnect"])
    }
    expect(hub.sql.count("session")).toBe(1)
    expect(epochOf(hub)).toBe(10)
  })
  const claim = { protocolVersion: "1.0.0", actorIdentity: "@(node/a)" }

  it("the epoch goes up with every claim, and is not begun again when the identity was free", () => {
    const hub = new TestHub()
    hub.connect("@(node/a)").request("hub:disconnect", {})
    expect(epochOf(hub)).toBe(1)
    hub.evict()
    hub.connect("@(node/a)")
    expect(epochOf(hub)).toBe(2)
  })

  it("the identity's registration passes with its version up; others pass only out of a grace", () => {
    const versions = (expiry: number) => {
      const hub = new TestHub()
      const watcher = hub.connect("@(node/w)")
      const old = hub.connect("@(node/a)", { sessionExpirySeconds: expiry })
      old.register("@(node/a)", { metadata: { kept: true } })
      old.register("@(room/1)")
      watcher.watch("@(node/a)")
      watcher.watch("@(room/1)")
      hub.connect("@(node/a)")
      const told = watcher.take().map(({ payload }) => payload)
      const actors = watcher.request("hub:discover", { pattern: "*" }).payload.actors
      return { told, actors }
    }
    expect(versions(0)).toMatchObject({
      told: [{ actorAddress: "@(room/1)", reason: "superseded" }],
      actors: [{ address: "@(node/a)", version: 2, metadata: { kept: true } }],
    })
    expect(versions(60)).toMatchObject({
      told: [],
      actors: [
        { address: "@(node/a)", version: 2 },
        { address: "@(room/1)", version: 2 },
      ],
    })
  })

  it("watches pass to the winner", () => {
    const hub = new TestHub()
    const target = hub.connect("@(node/t)")
    target.register("@(node/t)")
    hub.connect("@(node/a)").watch("@(node/t)")
    const winner = hub.connect("@(node/a)")
    target.drop()
    expect(winner.takeOne()).toMatchObject({ type: "hub:terminated", payload: { reason: "disconnected" } })
  })

  it("asks that the loser had to answer end, asks that it had open never reach the winner", () => {
    for (const evicting of [false, true]) {
      const hub = new TestHub()
      const b = hub.connect("@(node/b)")
      const old = hub.connect("@(node/a)")
      const toLoser = b.ask("@(node/a)", "question")
      old.ask("@(node/b)", "question")
      const ofLoser = b.takeOne()
      hub.advance(1_000)
      if (evicting) hub.evict()
      const winner = hub.connect("@(node/a)")
      expect(b.takeOne()).toMatchObject({ correlationId: toLoser, payload: { code: "actor_terminated" } })
      b.answer(ofLoser, 1)
      hub.advance(60_000)
      expect(winner.takeOf("answer")).toEqual([])
      expect(winner.takeOf("hub:error")).toEqual([])
      expect(hub.sql.count("ask")).toBe(0)
    }
  })

  it("is logged: that it was found, and that the old connection was closed", () => {
    const hub = new TestHub()
    const old = hub.connect("@(node/a)")
    const winner = hub.connect("@(node/a)")
    expect(hub.logged("duplicate_connection_detected")).toMatchObject([
      {
        sessionId: winner.sessionId,
        actorIdentity: "@(node/a)",
        epoch: 2,
        supersededSessionId: old.sessionId,
        oldSessionId: old.sessionId,
        newSessionId: winner.sessionId,
      },
    ])
    expect(hub.logged("old_session_closed")).toMatchObject([{ sessionId: old.sessionId }])
  })
})

describe("watching", () => {
  it("of a registered address tells its end once, with the reason", () => {
    const reasonOf = (end: (target: ReturnType<TestHub["connect"]>, hub: TestHub) => void) => {
      const hub = new TestHub()
      const watcher = hub.connect("@(node/w)", { sessionExpirySeconds: 3_600 })
      const target = hub.connect("@(node/t)")
      target.register("@(room/1)", { ttlSeconds: 10 })
      expect(watcher.watch("@(room/1)").payload).toEqual({ actorAddress: "@(room/1)", registered: true })
      hub.evict()
      end(target, hub)
      const came = watcher.take()
      target.register("@(room/1)")
      target.request("hub:unregister", { actorAddress: "@(room/1)" })
      expect(watcher.take()).toEqual([])
      expect(came.map(({ type }) => type)).toEqual(["hub:terminated"])
      return came[0]!.payload.reason
    }
    expect(reasonOf((target) => void target.request("hub:unregister", { actorAddress: "@(room/1)" }))).toBe(
      "unregistered",
    )
    expect(reasonOf((_, hub) => void hub.connect("@(node/x)").register("@(room/1)"))).toBe("superseded")
  })

  it("tells disconnected when the session ends with its socket", () => {
    const hub = new TestHub()
    const watcher = hub.connect("@(node/w)")
    const target = hub.connect("@(node/t)")
    target.register("@(node/t)")
    watcher.watch("@(node/t)")
    target.drop()
    expect(watcher.takeOne().payload).toEqual({ actorAddress: "@(node/t)", reason: "disconnected" })
  })

  it("of an address that is not registered is final: nothing follows", () => {
    const hub = new TestHub()
    const watcher = hub.connect("@(node/w)")
    const target = hub.connect("@(node/t)")
    expect(watcher.watch("@(node/t)").payload.registered).toBe(false)
    target.register("@(node/t)")
    target.drop()
    expect(watcher.take()).toEqual([])
    expect(hub.sql.count("watch")).toBe(0)
  })

  it("ends by hub:unwatch, which answers an ask only", () => {
    const hub = new TestHub()
    const watcher = hub.connect("@(node/w)")
    const target = hub.connect("@(node/t)")
    target.register("@(node/t)")
    watcher.watch("@(node/t)")
    expect(watcher.request("hub:unwatch", { actorAddress: "@(node/t)" })).toMatchObject({
      type: "hub:unwatched",
      payload: { actorAddress: "@(node/t)" },
    })
    watcher.send({ type: "hub:unwatch", payload: { actorAddress: "@(node/t)" } })
    target.drop()
    expect(watcher.take()).toEqual([])
  })

  it("twice is told once", () => {
    const hub = new TestHub()
    const watcher = hub.connect("@(node/w)")
    const target = hub.connect("@(node/t)")
    target.register("@(node/t)")
    watcher.watch("@(node/t)")
    watcher.watch("@(node/t)")
    target.drop()
    expect(watcher.take()).toHaveLength(1)
  })

  it("begun before the identity was claimed is the identity's", () => {
    const hub = new TestHub()
    const watcher = hub.connect()
    const target = hub.connect("@(node/t)")
    target.register("@(node/t)")
    watcher.watch("@(node/t)")
    watcher.register("@(node/w)")
    hub.evict()
    target.drop()
    expect(watcher.takeOne()).toMatchObject({ type: "hub:terminated", to: "@(node/w)" })
  })

  it("a session may have so many, and not one more", () => {
    const hub = new TestHub({ maxWatchesPerSession: 1 })
    const watcher = hub.connect("@(node/w)")
    const target = hub.connect("@(node/t)")
    target.register("@(room/1)")
    target.register("@(room/2)")
    watcher.watch("@(room/1)")
    expect(watcher.watch("@(room/2)").payload).toMatchObject({ code: "too_many_subscriptions" })
    target.request("hub:unregister", { actorAddress: "@(room/1)" })
    expect(watcher.watch("@(room/2)").type).toBe("hub:watching")
  })
})
