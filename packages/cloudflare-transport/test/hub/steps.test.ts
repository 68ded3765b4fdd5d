import { describe, expect, it } from "vitest"
import { TestHub } from "../support/TestHub.ts"

describe("a step that fails", () => {
  it("has told nobody and closed nothing: what is sent waits until all is written", () => {
    const hub = new TestHub()
    const watcher = hub.connect("@(node/w)")
    const old = hub.connect("@(node/a)")
    old.register("@(room/1)")
    watcher.watch("@(room/1)")
    const rival = hub.open()
    const { run } = hub.sql
    hub.sql.run = (query, ...bindings) => {
      if (query.startsWith("INSERT OR REPLACE INTO session")) throw new Error("disk full")
      run.call(hub.sql, query, ...bindings)
    }
    expect(() => rival.connect("@(node/a)")).toThrow("disk full")
    hub.sql.run = run
    hub.flush()
    hub.restart()
    expect(old.take()).toEqual([])
    expect(watcher.take()).toEqual([])
    expect(old.socket.close).toBe(undefined)
    expect(rival.connect("@(node/a)").type).toBe("hub:connected")
    expect(old.socket.close?.code).toBe(4409)
    expect(watcher.takeOne().payload).toMatchObject({ reason: "superseded" })
  })
})

describe("an address that ends", () => {
  const asked = () => {
    const hub = new TestHub()
    const holder = hub.connect("@(node/holder)")
    const asker = hub.connect("@(node/asker)")
    holder.register("@(room/1)")
    holder.register("@(node/holder)")
    const id = asker.ask("@(room/1)", "question")
    return { hub, holder, asker, id }
  }

  it("takes the asks to it along, when it is unregistered or moves", () => {
    for (const end of ["unregister", "move"] as const) {
      const { hub, holder, asker, id } = asked()
      if (end === "unregister") holder.request("hub:unregister", { actorAddress: "@(room/1)" })
      else hub.connect("@(node/other)").register("@(room/1)")
      expect(asker.takeOne(), end).toMatchObject({ correlationId: id, payload: { code: "actor_terminated" } })
    }
  })

  it("leaves the asks to its holder's other addresses open", () => {
    const { holder, asker, id } = asked()
    const [question] = holder.take()
    holder.request("hub:unregister", { actorAddress: "@(node/holder)" })
    expect(asker.take()).toEqual([])
    holder.answer(question!, 1, { from: "@(room/1)" })
    expect(asker.takeOne()).toMatchObject({ correlationId: id, payload: 1 })
  })

  it("ends each ask once, whatever else ends with it", () => {
    const { hub, holder, asker } = asked()
    const watcher = hub.connect("@(node/w)")
    watcher.watch("@(room/1)")
    hub.advance(1_000)
    hub.evict()
    holder.request("hub:disconnect", {})
    expect(asker.take()).toHaveLength(1)
    expect(watcher.take()).toHaveLength(1)
  })
})

describe("the hub's marks", () => {
  it("can't be put on a message by its sender", () => {
    const hub = new TestHub()
    const a = hub.connect("@(node/a)")
    const b = hub.connect("@(node/b)")
    b.register("@(node/b)")
    b.subscribe("news")
    const forged = { via: "@(x/y)", publication: true, broadcast: true, forwarded: true, mine: 1 }
    const direct = { to: "@(node/b)", metadata: forged }
    a.send(direct)
    expect(b.takeOne().metadata).toEqual({ mine: 1 })
    const via = "@(cloudflare/signal-hub)"
    a.send({ type: "hub:broadcast", payload: { type: "note", data: 1 }, metadata: forged })
    expect(b.takeOne().metadata).toEqual({ mine: 1, broadcast: true, via })
    a.send({ type: "hub:publish", payload: { topic: "news", type: "note", data: 1 }, metadata: forged })
    expect(b.takeOne().metadata).toEqual({ mine: 1, publication: true, topic: "news", via })
  })
})

describe("bounds in memory", () => {
  it("so many envelopes wait behind a broadcast, and one more is refused", () => {
    const hub = new TestHub({ broadcastSlice: 1, maxParked: 2 })
    const a = hub.connect("@(node/a)")
    for (let n = 0; n < 3; n++) a.register(`@(room/${n})`)
    a.send({ type: "hub:broadcast", payload: { type: "note", data: 1 }, pattern: "ask", id: "b" })
    for (const id of ["1", "2", "3"]) {
      a.send({ type: "hub:heartbeat", payload: { timestamp: 1 }, pattern: "ask", id })
    }
    expect(a.takeOf("hub:error")).toMatchObject([{ correlationId: "3", payload: { code: "queue_full" } }])
    hub.advance(0)
    expect(a.take().flatMap(({ correlationId }) => correlationId ?? [])).toEqual(["b", "1", "2"])
  })

  it("fault 70: so many bytes wait behind a broadcast, and what is more is refused", () => {
    const hub = new TestHub({ broadcastSlice: 1, maxParkedBytes: 10_000 })
    const a = hub.connect("@(node/a)")
    const b = hub.connect("@(node/b)")
    for (let n = 0; n < 3; n++) a.register(`@(room/${n})`)
    a.send({ type: "hub:broadcast", payload: { type: "note", data: 1 }, pattern: "ask", id: "b" })
    const told = Array.from({ length: 6 }, (_, n) => a.tell("@(node/b)", `${n}`, "x".repeat(4_000)))
    expect(a.takeOf("hub:error")).toMatchObject(
      told.slice(3).map((correlationId) => ({ correlationId, payload: { code: "queue_full" } })),
    )
    hub.advance(0)
    expect(b.take().map(({ type }) => type)).toEqual(["0", "1", "2"])
    // Nothing waits any more: there is room for as much again.
    a.send({ type: "hub:broadcast", payload: { type: "note", data: 1 }, pattern: "ask", id: "c" })
    a.tell("@(node/b)", "later", "x".repeat(4_000))
    hub.advance(0)
    expect(b.take().map(({ type }) => type)).toEqual(["later"])
  })

  it("a durable subscription of a session that never had an identity ends with it", () => {
    const hub = new TestHub()
    const a = hub.connect()
    a.subscribe("news", { durable: true })
    a.drop()
    // Nobody can come back to a provisional address.
    expect(hub.sql.count("subscription")).toBe(0)
  })
})

it("a socket whose session is over, which nobody told it, is closed 4408 at its next frame", () => {
  const hub = new TestHub()
  const a = hub.connect("@(node/a)")
  hub.sql.run("DELETE FROM session")
  hub.evict()
  a.tell("@(node/a)", "note")
  expect(a.take()).toEqual([])
  expect(a.socket.close?.code).toBe(4408)
})
