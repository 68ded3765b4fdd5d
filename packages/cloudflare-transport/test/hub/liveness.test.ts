import { describe, expect, it } from "vitest"
import { TestHub } from "../support/TestHub.ts"

describe("silence", () => {
  it("fault 6: a socket that says nothing for three intervals is told and closed 4408 by the sweep", () => {
    const hub = new TestHub()
    const silent = hub.connect("@(node/silent)")
    const pings = hub.connect("@(node/pings)")
    for (let second = 0; second < 119; second++) {
      if (second % 25 === 0) hub.ping(pings.socket)
      hub.advance(1_000)
    }
    expect(silent.socket.close).toBe(undefined)
    hub.advance(1_000)
    expect(silent.takeOne()).toMatchObject({
      type: "hub:disconnect",
      payload: { reason: "heartbeat_timeout" },
    })
    expect(silent.socket.close?.code).toBe(4408)
    expect(pings.socket.close).toBe(undefined)
    expect(hub.sql.count("session")).toBe(1)
  })

  it("fault 6: any frame counts as heard, and hub:heartbeat is answered with the hub's time", () => {
    const hub = new TestHub()
    const client = hub.connect("@(node/a)")
    for (let n = 0; n < 10; n++) {
      hub.advance(70_000)
      expect(client.request("hub:heartbeat", { timestamp: 5 })).toMatchObject({
        type: "hub:heartbeat_ack",
        payload: { timestamp: 5, serverTime: hub.now() },
      })
    }
    expect(client.socket.close).toBe(undefined)
  })

  it("fault 6: what was heard before an eviction counts after it", () => {
    const hub = new TestHub()
    const client = hub.connect("@(node/a)")
    hub.advance(59_000)
    client.tell("@(node/none)", "note")
    hub.evict()
    hub.advance(70_000)
    expect(client.socket.close).toBe(undefined)
  })

  it("one alarm a minute looks after all sockets", () => {
    const hub = new TestHub()
    const clients = Array.from({ length: 50 }, (_, n) => hub.connect(`@(node/${n})`))
    for (let minute = 0; minute < 10; minute++) {
      for (let third = 0; third < 3; third++) {
        hub.advance(20_000)
        for (const { socket } of clients) hub.ping(socket)
      }
    }
    expect(hub.alarmsRun).toBe(10)
  })

  it("a ping moves no row and arms no alarm", () => {
    const hub = new TestHub()
    const client = hub.connect("@(node/a)")
    const armed = hub.alarmsSet
    expect(hub.sql.record(() => hub.ping(client.socket))).toEqual([])
    expect(hub.alarmsSet).toBe(armed)
  })
})

describe("the alarm", () => {
  it("fault 3: is not armed where nobody ever connected", () => {
    const hub = new TestHub()
    hub.evict()
    hub.advance(3_600_000)
    expect(hub.alarmAt).toBe(null)
    expect(hub.alarmsRun).toBe(0)
  })

  it("fault 3: once nobody is connected and nothing is due it comes for the last epoch, and then never", () => {
    for (const leave of ["disconnect", "drop"] as const) {
      const hub = new TestHub()
      const client = hub.connect("@(node/a)")
      client.register("@(node/a)")
      client.subscribe("news")
      if (leave === "disconnect") client.request("hub:disconnect", {})
      client.drop()
      const { identityKeptFor } = hub.limits
      expect(hub.alarmAt).toBe(hub.now() + identityKeptFor)
      hub.advance(2 * identityKeptFor)
      expect([hub.alarmsRun, hub.alarmAt, hub.sql.count("identity")]).toEqual([1, null, 0])
    }
  })

  it("fault 3: of sockets that a crash took, one last sweep, and then only that for the epoch", () => {
    const hub = new TestHub()
    hub.connect("@(node/a)").register("@(node/a)")
    hub.crash()
    hub.advance(3_600_000)
    expect(hub.alarmsRun).toBe(1)
    expect(hub.sql.count("session")).toBe(0)
    hub.advance(2 * hub.limits.identityKeptFor)
    expect([hub.alarmsRun, hub.alarmAt]).toEqual([2, null])
  })

  it("fault 3: ends each session once, though the end of one shows that the next is gone too", () => {
    const hub = new TestHub()
    const metadata = { protocolVersion: "1.0.0", sessionExpirySeconds: 0 }
    const [a, b] = [hub.connect("@(node/a)", metadata), hub.connect("@(node/b)", metadata)]
    a.surely({ to: "@(node/b)", type: "question", pattern: "ask", ttl: 120_000 })
    b.surely({ to: "@(node/a)", type: "question", pattern: "ask", ttl: 120_000 })
    hub.crash()
    const stays = hub.connect("@(node/c)")
    for (let third = 0; third < 3; third++) {
      hub.advance(20_000)
      hub.ping(stays.socket)
    }
    expect(hub.logged("session_cleaned_up")).toHaveLength(2)
    expect(hub.core.state.sessions.count()).toBe(1)
    expect(hub.sql.count("session")).toBe(1)
  })

  it("comes for the earliest of what is due, and is armed anew for the next", () => {
    const hub = new TestHub()
    const a = hub.connect("@(node/a)", { sessionExpirySeconds: 100 })
    const b = hub.connect("@(node/b)", { sessionExpirySeconds: 200 })
    a.drop()
    b.drop()
    const start = hub.now()
    hub.advance(90_000)
    expect(hub.alarmAt).toBe(start + 100_000)
    hub.advance(10_000)
    expect(hub.sql.count("session")).toBe(1)
    expect(hub.alarmAt).toBe(start + 200_000)
    hub.advance(100_000)
    expect(hub.sql.count("session")).toBe(0)
    expect(hub.alarmAt).toBe(hub.now() + hub.limits.identityKeptFor)
  })

  it("may come early, and twice", () => {
    const hub = new TestHub()
    const a = hub.connect("@(node/a)", { sessionExpirySeconds: 100 })
    a.drop()
    hub.alarm()
    hub.alarm()
    expect(hub.sql.count("session")).toBe(1)
    expect(hub.alarmAt).not.toBe(null)
  })
})

describe("grace", () => {
  it("a session of 0.x ends with its socket, one of 1.0 after a minute, or after what it asked for", () => {
    const endOf = (metadata: { readonly [key: string]: unknown }) => {
      const hub = new TestHub()
      hub.connect("@(node/a)", metadata).drop()
      const start = hub.now()
      while (hub.sql.count("session") > 0) hub.advance(1_000)
      return (hub.now() - start) / 1_000
    }
    expect(endOf({})).toBe(0)
    expect(endOf({ protocolVersion: "1.0.0" })).toBe(60)
    expect(endOf({ sessionExpirySeconds: 90 })).toBe(90)
    expect(endOf({ protocolVersion: "1.0.0", sessionExpirySeconds: 0 })).toBe(0)
    expect(endOf({ sessionExpirySeconds: 99_999 })).toBe(3_600)
  })

  it("its registrations stay in place meanwhile, and its watchers hear when it is over", () => {
    const hub = new TestHub()
    const watcher = hub.connect("@(node/w)")
    const target = hub.connect("@(node/t)", { sessionExpirySeconds: 50 })
    target.register("@(node/t)")
    watcher.watch("@(node/t)")
    target.drop()
    hub.evict()
    hub.advance(49_999)
    expect(watcher.request("hub:discover", { pattern: "*" }).payload.actors).toHaveLength(1)
    expect(watcher.take()).toEqual([])
    hub.advance(1)
    expect(watcher.takeOne().payload).toEqual({ actorAddress: "@(node/t)", reason: "disconnected" })
  })

  it("a registration whose lease ends within the grace expires on time", () => {
    const hub = new TestHub()
    const watcher = hub.connect("@(node/w)")
    const target = hub.connect("@(node/t)", { sessionExpirySeconds: 3_000 })
    target.register("@(node/t)", { ttlSeconds: 100 })
    watcher.watch("@(node/t)")
    target.drop()
    hub.evict()
    for (let n = 0; n < 99; n++) {
      hub.ping(watcher.socket)
      hub.advance(1_000)
    }
    expect(watcher.take()).toEqual([])
    hub.advance(1_000)
    expect(watcher.takeOne().payload).toEqual({ actorAddress: "@(node/t)", reason: "expired" })
  })

  it("who asks it meanwhile is told that it has lost its connection, and a tell is a dead letter", () => {
    const hub = new TestHub()
    const a = hub.connect("@(node/a)")
    hub.connect("@(node/t)", { sessionExpirySeconds: 50 }).drop()
    a.ask("@(node/t)", "question")
    expect(a.takeOne().payload).toMatchObject({ code: "actor_terminated" })
    a.tell("@(node/t)", "note")
    expect(hub.core.state.deadLetters.recent().at(-1)).toMatchObject({ reason: "disconnected" })
  })

  it("a connect of the identity within it takes the registrations over, and the grace is off", () => {
    const hub = new TestHub()
    const old = hub.connect("@(node/t)", { sessionExpirySeconds: 50 })
    old.register("@(node/t)")
    old.register("@(room/1)")
    old.drop()
    hub.evict()
    const winner = hub.connect("@(node/t)")
    hub.advance(60_000)
    hub.connect("@(node/a)").tell("@(room/1)", "note")
    expect(winner.takeOne().type).toBe("note")
  })

  it("a lease that would have ended within the grace ends no registration that was taken over", () => {
    const hub = new TestHub()
    const old = hub.connect("@(node/t)", { sessionExpirySeconds: 3_000 })
    old.register("@(node/t)", { ttlSeconds: 100 })
    old.drop()
    const winner = hub.connect("@(node/t)")
    for (let n = 0; n < 20; n++) {
      hub.ping(winner.socket)
      hub.advance(10_000)
    }
    expect(winner.request("hub:discover", { pattern: "*" }).payload.actors).toHaveLength(1)
  })

  it("a clean-up that runs twice is a clean-up that ran once", () => {
    const hub = new TestHub()
    const watcher = hub.connect("@(node/w)")
    const target = hub.connect("@(node/t)", { sessionExpirySeconds: 50 })
    target.register("@(node/t)")
    watcher.watch("@(node/t)")
    target.drop("closed 1006")
    const { grace_until: graceUntil } = hub.sql.all<{ grace_until: number }>(
      "SELECT grace_until FROM session WHERE grace_until IS NOT NULL",
    )[0]!
    hub.advance(10_000)
    target.drop("socket error")
    expect(hub.sql.all("SELECT grace_until FROM session WHERE grace_until = ?", graceUntil)).toHaveLength(1)
    hub.advance(40_000)
    target.drop("closed 1006")
    expect(watcher.take()).toHaveLength(1)
    expect(hub.logged("session_cleaned_up")).toHaveLength(1)
  })
})

describe("a crash", () => {
  it("a session whose socket is gone is found at the next send to it", () => {
    const hub = new TestHub()
    hub.connect("@(node/lost)").register("@(node/lost)")
    hub.crash()
    const a = hub.connect("@(node/a)")
    a.ask("@(node/lost)", "question")
    expect(a.takeOne().payload).toMatchObject({ code: "actor_terminated" })
    expect(hub.sql.count("registration")).toBe(0)
    a.ask("@(node/lost)", "question")
    expect(a.takeOne().type).toBe("hub:unknown_actor")
  })

  it("a session with a grace waits for its client from when its socket was found to be gone", () => {
    const hub = new TestHub()
    hub.connect("@(node/lost)", { sessionExpirySeconds: 600 }).register("@(node/lost)")
    hub.crash()
    hub.advance(60_000)
    expect(hub.logged("session_detached")).toMatchObject([
      { cause: "socket_gone", graceUntil: hub.now() + 600_000 },
    ])
    const back = hub.connect("@(node/lost)")
    hub.connect("@(node/a)").tell("@(node/lost)", "note")
    expect(back.takeOne().type).toBe("note")
  })

  it("fault 22: what the identity had subscribed to durably and registered is there for who comes back", () => {
    const hub = new TestHub()
    const lost = hub.connect("@(node/lost)", { sessionExpirySeconds: 600 })
    lost.register("@(room/1)")
    lost.subscribe("news")
    hub.crash()
    const back = hub.connect("@(node/lost)")
    const a = hub.connect("@(node/a)")
    a.tell("@(room/1)", "note")
    a.request("hub:publish", { topic: "news", type: "item", data: 1 })
    expect(back.take().map(({ type }) => type)).toEqual(["note", "item"])
  })
})

it("fault 1: after an eviction the first frame finds session, registrations, subscriptions and watches", () => {
  const hub = new TestHub()
  const a = hub.connect("@(node/a)")
  const b = hub.connect("@(node/b)")
  a.register("@(room/1)", { capabilities: ["room"] })
  a.subscribe("news")
  b.register("@(node/b)")
  a.watch("@(node/b)")
  expect(hub.evict()).toBe(true)
  expect(a.request("hub:publish", { topic: "news", type: "item", data: 1 }).payload.subscriberCount).toBe(1)
  expect(a.takeOne().type).toBe("item")
  hub.evict()
  expect(b.request("hub:discover", { pattern: "*", capability: "room" }).payload.actors).toHaveLength(1)
  hub.evict()
  b.tell("@(room/1)", "note")
  expect(a.takeOne()).toMatchObject({ type: "note", from: "@(node/b)" })
  hub.evict()
  b.drop()
  expect(a.takeOne().type).toBe("hub:terminated")
  expect(a.socket.close).toBe(undefined)
})
