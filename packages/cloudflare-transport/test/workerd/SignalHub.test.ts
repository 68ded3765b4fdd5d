import {
  abortAllDurableObjects,
  evictDurableObject,
  runDurableObjectAlarm,
  runInDurableObject,
} from "cloudflare:test"
import { env } from "cloudflare:workers"
import { describe, expect, it, vi } from "vitest"
import { PING, PONG } from "../../src/protocol/Frame.ts"
import { DEFAULT_LIMITS } from "../../src/protocol/Limits.ts"
import { SocketClient, socketsOf } from "./SocketClient.ts"
import { countRows } from "./stored.ts"
import { eventually } from "../support/eventually.ts"

/** A hub of its own for each test. */
const newHub = () => env.SIGNAL_HUB.get(env.SIGNAL_HUB.newUniqueId())
const newImpatientHub = () => env.IMPATIENT_HUB.get(env.IMPATIENT_HUB.newUniqueId())
type HubStub = ReturnType<typeof newHub>

const connected = async (
  hub: HubStub,
  identity?: string,
  metadata: { readonly [key: string]: unknown } = {},
): Promise<SocketClient> => {
  const client = await SocketClient.open(hub)
  expect((await client.connect(identity, metadata)).type).toBe("hub:connected")
  return client
}

const rows = (hub: HubStub, table: string) =>
  runInDurableObject(hub, (_, { storage }) => countRows(storage, table))

describe("reliable envelopes", () => {
  it("what can't be stored is not acknowledged and not delivered: it comes again", async () => {
    const hub = newHub()
    const metadata = { protocolVersion: "1.0.0" }
    const a = await SocketClient.open(hub)
    const { payload } = await a.connect("@(node/a)", metadata)
    const b = await connected(hub, "@(node/b)", metadata)
    await runInDurableObject(hub, (_, { storage: { sql } }) => {
      const exec = sql.exec.bind(sql)
      sql.exec = (query: string, ...bindings: Array<unknown>) => {
        if (query.startsWith("INSERT INTO outbox")) throw new Error("the disk is full")
        return exec(query, ...bindings)
      }
    })
    a.send({ to: "@(node/b)", seq: 1, payload: 1 })
    await Promise.all([a.closed, b.closed])
    const resume = {
      sessionId: payload.sessionId,
      resumeToken: (payload.session as { readonly resumeToken: string }).resumeToken,
      lastSeq: 0,
    }
    // A stub of what crashed is broken.
    const revived = env.SIGNAL_HUB.get(hub.id)
    const again = await SocketClient.open(revived)
    const answer = await again.connect("@(node/a)", { ...metadata, resume })
    expect(answer.payload.session).toMatchObject({ resumed: true, inSeq: 0 })
    expect(await rows(revived, "outbox")).toBe(0)
  })

  it("an alarm or a close that fails leaves a hub that goes on from its rows", async () => {
    const hub = newHub()
    await connected(hub, "@(node/a)")
    await runInDurableObject(hub, async (instance, state) => {
      const { sql } = state.storage
      const exec = sql.exec.bind(sql)
      let failures = 0
      const failOnce = () => {
        sql.exec = () => {
          sql.exec = exec
          failures++
          throw new Error("the disk is full")
        }
      }
      failOnce()
      await instance.alarm?.()
      failOnce()
      for (const socket of state.getWebSockets()) socketsOf(instance).webSocketClose(socket, 1006, "")
      expect(failures).toBe(2)
    })
    const b = await connected(hub, "@(node/b)")
    expect((await b.request("hub:heartbeat", { timestamp: 1 })).type).toBe("hub:heartbeat_ack")
  })

  it("what was taken before another's request failed is acknowledged to who sends nothing more", async () => {
    const hub = newHub()
    const a = await connected(hub, "@(node/a)", { protocolVersion: "1.0.0" })
    const b = await connected(hub, "@(node/b)")
    await runInDurableObject(hub, (_, { storage: { sql } }) => {
      const exec = sql.exec.bind(sql)
      sql.exec = (query: string, ...bindings: Array<unknown>) => {
        if (query.includes("INTO registration")) throw new Error("the disk is full")
        return exec(query, ...bindings)
      }
    })
    a.send({ to: "@(node/b)", seq: 1 })
    expect(await a.came()).toMatchObject({ type: "hub:ack", payload: { through: 1 } })
    a.send({ to: "@(node/b)", seq: 2 })
    expect([(await b.came()).type, (await b.came()).type]).toEqual(["note", "note"])
    const failed = await b.request("hub:register", { actorAddress: "@(place/1)" })
    expect(failed.payload).toMatchObject({ code: "internal_error" })
    expect(await a.came()).toMatchObject({ type: "hub:ack", payload: { through: 2 } })
  })

  it("what was worked on before another's request failed, in the same turn, leaves stored", async () => {
    const hub = newHub()
    const metadata = { protocolVersion: "1.0.0" }
    const a = await SocketClient.open(hub)
    const { payload } = await a.connect("@(node/a)", metadata)
    const b = await connected(hub, "@(node/b)", metadata)
    await SocketClient.open(hub)
    await runInDurableObject(hub, (instance, state) => {
      const { sql } = state.storage
      const sockets = state.getWebSockets()
      const exec = sql.exec.bind(sql)
      sql.exec = (query: string, ...bindings: Array<unknown>) => {
        if (query.startsWith("INSERT INTO identity")) throw new Error("the disk is full")
        return exec(query, ...bindings)
      }
      const socketOf = (sessionId: unknown) =>
        sockets.find((socket) => socket.deserializeAttachment().sessionId === sessionId)!
      const plain = { to: "@(cloudflare/signal-hub)", pattern: "tell", timestamp: 0 }
      const frame = (...all: ReadonlyArray<object>) =>
        JSON.stringify(all.map((fields, i) => Object.assign({ id: `${i}` }, plain, fields)))
      const events = socketsOf(instance)
      // Busy, so that what it writes waits for what others write.
      const noise = Array.from({ length: 60 }, () => ({ type: "noise", to: "@(nobody/x)" }))
      const subscribe = { type: "hub:subscribe", payload: { topic: "news" } }
      const tell = { type: "note", to: "@(node/b)", seq: 1 }
      const hello = { type: "hub:connect", metadata: { ...metadata, actorIdentity: "@(node/c)" } }
      events.webSocketMessage(socketOf(payload.sessionId), frame(...noise, subscribe, tell))
      events.webSocketMessage(socketOf(null), frame(hello))
    })
    expect(await b.came()).toMatchObject({ type: "note", seq: 1 })
    expect(await rows(hub, "outbox")).toBe(1)
  })
})

describe("hibernation", () => {
  it("fault 1: after an eviction the first frame finds session, registrations, subscriptions, watches", async () => {
    const hub = newHub()
    const a = await connected(hub, "@(node/a)")
    const b = await connected(hub, "@(node/b)")
    await a.request("hub:register", { actorAddress: "@(place/1)" })
    await a.request("hub:subscribe", { topic: "news" })
    await b.request("hub:watch", { actorAddress: "@(place/1)" })
    await evictDurableObject(hub)
    b.send({ to: "@(place/1)", payload: 1 })
    expect(await a.came()).toMatchObject({ type: "note", from: "@(node/b)", to: "@(place/1)" })
    await evictDurableObject(hub)
    const published = await b.request("hub:publish", { topic: "news", type: "item", data: 1 })
    expect(published.payload.subscriberCount).toBe(1)
    expect((await a.came()).type).toBe("item")
    await evictDurableObject(hub)
    a.close(1000)
    expect(await b.came()).toMatchObject({ type: "hub:terminated", payload: { reason: "disconnected" } })
    expect(await rows(hub, "session")).toBe(1)
  })

  it("fault 2: pings are answered and counted as heard, and the hub sleeps on", async () => {
    const hub = newHub()
    const client = await connected(hub, "@(node/a)")
    await evictDurableObject(hub)
    client.sendRaw(PING)
    expect(await client.frame()).toBe(PONG)
    await expect(evictDurableObject(hub)).rejects.toThrow()
    const pingedAt = await runInDurableObject(hub, (_, state) =>
      state.getWebSocketAutoResponseTimestamp(state.getWebSockets()[0]!)?.getTime(),
    )
    expect(Math.abs(pingedAt! - Date.now())).toBeLessThan(10_000)
  })

  it("fault 4: what a socket keeps over hibernation is small, whatever its client sends", async () => {
    const hub = newHub()
    const client = await SocketClient.open(hub, `signal-hub.json, signal-hub.bearer.${"t".repeat(4_000)}`)
    await client.connect(undefined, { capabilities: [5] })
    const name = "x".repeat(100)
    const identity = `@(${name}/${name})`
    await client.connect(identity, {
      capabilities: Array.from({ length: 8 }, () => "c".repeat(200)),
      clientMetadata: { x: "y".repeat(1_500) },
      sessionExpirySeconds: 3_600,
    })
    await client.request("hub:register", { actorAddress: identity, metadata: { x: "y".repeat(4_000) } })
    for (let n = 0; n < 20; n++) {
      await client.request("hub:register", { actorAddress: `@(place/${n})` })
      await client.request("hub:subscribe", { topic: `${n}/${"t".repeat(200)}` })
    }
    client.sendRaw("{")
    await client.came()
    const sizes = await runInDurableObject(hub, (_, state) =>
      state.getWebSockets().map((socket) => JSON.stringify(socket.deserializeAttachment()).length),
    )
    expect(sizes).toHaveLength(1)
    expect(sizes[0]).toBeLessThan(512)
  })

  it("fault 40: a connect, a takeover and a disconnect look at no other connection", async () => {
    const hub = newHub()
    await Promise.all(Array.from({ length: 10 }, (_, n) => connected(hub, `@(crowd/${n})`)))
    const first = await connected(hub, "@(node/a)")
    await first.request("hub:register", { actorAddress: "@(node/a)" })
    // The connection that is taken over is not in memory.
    await evictDurableObject(hub)
    let looks = 0
    await runInDurableObject(hub, (_, state) => {
      const every = state.getWebSockets.bind(state)
      state.getWebSockets = (tag) => {
        if (tag === undefined) looks++
        return every(tag)
      }
    })
    const second = await connected(hub, "@(node/a)")
    await first.closed
    await second.request("hub:disconnect", {})
    await second.closed
    expect(looks).toBe(0)
  })

  it("a socket has one tag, its connection's id", async () => {
    const hub = newHub()
    await connected(hub, "@(node/a)")
    const tags = await runInDurableObject(hub, (_, state) =>
      state.getWebSockets().map((socket) => [state.getTags(socket), socket.deserializeAttachment().id]),
    )
    expect(tags).toEqual([[[tags[0]![1]], tags[0]![1]]])
  })

  it("fault 5: an ask that is a row outlives an eviction and is answered once", async () => {
    const hub = newImpatientHub()
    const a = await connected(hub, "@(node/a)")
    const b = await connected(hub, "@(node/b)")
    const id = a.send({ to: "@(node/b)", type: "question", pattern: "ask", ttl: 60_000 })
    const question = await b.came()
    await evictDurableObject(hub)
    expect(await rows(hub, "ask")).toBe(1)
    await evictDurableObject(hub)
    b.send({ to: "@(node/a)", type: "answer", correlationId: question.id, payload: 1 })
    b.send({ to: "@(node/a)", type: "answer", correlationId: question.id, payload: 2 })
    expect(await a.came()).toMatchObject({ correlationId: id, payload: 1 })
    expect((await a.request("hub:heartbeat", { timestamp: 1 })).type).toBe("hub:heartbeat_ack")
    expect(await rows(hub, "ask")).toBe(0)
  })

  it("fault 5: one that nobody answers times out by the alarm, after memory was lost", async () => {
    const hub = newImpatientHub()
    const a = await connected(hub, "@(node/a)")
    const b = await connected(hub, "@(node/b)")
    const id = a.send({ to: "@(node/b)", type: "question", pattern: "ask", ttl: 100 })
    await b.came()
    await evictDurableObject(hub)
    expect(await a.came()).toMatchObject({ correlationId: id, payload: { code: "timeout" } })
  })
})

describe("the alarm", () => {
  it("fault 3: is armed while somebody is connected; when nobody is, only to forget the last epoch", async () => {
    const hub = newHub()
    const client = await connected(hub, "@(node/a)")
    expect(await runDurableObjectAlarm(hub)).toBe(true)
    expect(await runDurableObjectAlarm(hub)).toBe(true)
    expect((await client.request("hub:heartbeat", { timestamp: 1 })).type).toBe("hub:heartbeat_ack")
    client.close(1000)
    await client.closed
    await eventually(async () => expect(await rows(hub, "session")).toBe(0))
    const alarm = await runInDurableObject(hub, (_, { storage }) => storage.getAlarm())
    expect(alarm).toBeGreaterThan(Date.now() + DEFAULT_LIMITS.identityKeptFor - 60_000)
  })

  it("fault 6: finds who fell silent, by itself and after hibernation", async () => {
    const hub = newImpatientHub()
    const client = await connected(hub, "@(node/a)")
    await evictDurableObject(hub)
    expect(await client.came()).toMatchObject({
      type: "hub:disconnect",
      to: "@(node/a)",
      payload: { reason: "heartbeat_timeout" },
    })
    expect((await client.closed).code).toBe(4408)
    await eventually(async () => expect(await rows(hub, "session")).toBe(0))
  })
})

describe("takeover", () => {
  it("closes the old socket 4409 after telling it why; its close removes nothing of the winner's", async () => {
    const hub = newHub()
    const old = await connected(hub, "@(node/a)")
    await old.request("hub:register", { actorAddress: "@(node/a)" })
    await evictDurableObject(hub)
    const winner = await connected(hub, "@(node/a)")
    expect(await old.came()).toMatchObject({ payload: { reason: "duplicate_connection" } })
    expect(await old.closed).toEqual({ code: 4409, reason: "duplicate_connection" })
    old.close()
    await evictDurableObject(hub)
    const b = await connected(hub, "@(node/b)")
    b.send({ to: "@(node/a)" })
    expect((await winner.came()).type).toBe("note")
    expect(await rows(hub, "registration")).toBe(1)
  })

  it("fault 8: the old socket's close and error, told again and again, run one harmless clean-up", async () => {
    const hub = newHub()
    await connected(hub, "@(node/a)", { sessionExpirySeconds: 60 })
    await runInDurableObject(hub, (instance, state) => {
      const [socket] = state.getWebSockets()
      for (let n = 0; n < 3; n++) {
        socketsOf(instance).webSocketError(socket!)
        socketsOf(instance).webSocketClose(socket!, 1006, "")
      }
    })
    const winner = await connected(hub, "@(node/a)")
    await winner.request("hub:register", { actorAddress: "@(node/a)" })
    await runInDurableObject(hub, (instance, state) => {
      for (const socket of state.getWebSockets()) {
        if (socket.readyState !== WebSocket.READY_STATE_OPEN)
          socketsOf(instance).webSocketClose(socket, 1006, "")
      }
    })
    expect((await winner.request("hub:heartbeat", { timestamp: 1 })).type).toBe("hub:heartbeat_ack")
    expect(await rows(hub, "session")).toBe(1)
  })

  it("fault 21: of ten simultaneous claims one stays", async () => {
    const hub = newHub()
    const clients = await Promise.all(Array.from({ length: 10 }, () => SocketClient.open(hub)))
    const outcomes = await Promise.all(
      clients.map(async (client) => {
        await client.connect("@(node/a)")
        const next = await Promise.race([client.closed, stays(client)])
        return next.code
      }),
    )
    expect(outcomes.toSorted()).toEqual([0, ...Array.from({ length: 9 }, () => 4409)])
  })
  /** Resolves when the connection is answered after all ten have connected. */
  const stays = async (client: SocketClient) => {
    const answer = await client.request("hub:heartbeat", { timestamp: 1 }).catch(() => undefined)
    return answer === undefined ? client.closed : { code: 0, reason: "" }
  }
})

describe("a crash", () => {
  it("takes every socket; rows are kept, and who comes back finds what its grace held", async () => {
    const before = newHub()
    const lost = await connected(before, "@(node/lost)", { sessionExpirySeconds: 600 })
    const gone = await connected(before, "@(node/gone)")
    await lost.request("hub:register", { actorAddress: "@(place/1)" })
    await gone.request("hub:register", { actorAddress: "@(place/2)" })
    await lost.request("hub:subscribe", { topic: "news" })
    await abortAllDurableObjects()
    await Promise.all([lost.closed, gone.closed])
    // A stub is broken by the crash of its object.
    const hub = env.SIGNAL_HUB.get(before.id)
    expect(await rows(hub, "session")).toBe(2)
    const back = await connected(hub, "@(node/lost)")
    const b = await connected(hub, "@(node/b)")
    b.send({ to: "@(place/1)", type: "note" })
    expect((await back.came()).type).toBe("note")
    // Whose socket went with the crash, and had no grace, is found at the next send to it.
    const broadcast = await b.request("hub:broadcast", { type: "all", data: 1 })
    expect(broadcast.payload).toMatchObject({ deliveredCount: 1, failedCount: 1 })
    expect((await back.came()).type).toBe("all")
    expect(await rows(hub, "session")).toBe(2)
    expect((await b.request("hub:discover", { pattern: "*" })).payload.actors).toMatchObject([
      { address: "@(place/1)", version: 2 },
    ])
  })

  it("loses a young ask, whose asker comes back to a hub that knows nothing of it", async () => {
    const before = newHub()
    const a = await connected(before, "@(node/a)")
    const b = await connected(before, "@(node/b)")
    const id = a.send({ to: "@(node/b)", type: "question", pattern: "ask" })
    await b.came()
    await abortAllDurableObjects()
    await Promise.all([a.closed, b.closed])
    const hub = env.SIGNAL_HUB.get(before.id)
    const [again, other] = [await connected(hub, "@(node/a)"), await connected(hub, "@(node/b)")]
    other.send({ to: "@(node/a)", type: "answer", correlationId: id })
    other.send({ to: "@(node/a)", type: "after" })
    expect((await again.came()).type).toBe("after")
  })
})

describe("frames", () => {
  it("a session of 1.0 is sent batches, one of 0.x an object a frame", async () => {
    const hub = newHub()
    const [old, current] = [await SocketClient.open(hub), await SocketClient.open(hub)]
    await old.connect("@(node/old)")
    current.send({
      type: "hub:connect",
      metadata: { protocolVersion: "1.0.0", actorIdentity: "@(node/new)" },
    })
    await current.frame()
    const sender = await connected(hub, "@(node/s)")
    const to = (address: string) => ({
      id: `${address}`,
      to: address,
      type: "note",
      pattern: "tell",
      timestamp: 0,
    })
    sender.sendRaw(
      JSON.stringify([
        { ...to("@(node/old)"), id: "1" },
        { ...to("@(node/old)"), id: "2" },
        { ...to("@(node/new)"), id: "3" },
        { ...to("@(node/new)"), id: "4" },
      ]),
    )
    expect([(await old.came()).id, (await old.came()).id]).toEqual(["1", "2"])
    expect(JSON.parse(String(await current.frame()))).toMatchObject([{ id: "3" }, { id: "4" }])
  })

  it("an error in a frame after hibernation is addressed as one before it", async () => {
    const hub = newHub()
    const client = await connected(hub, "@(node/a)")
    client.sendRaw("{")
    const before = await client.came()
    await evictDurableObject(hub)
    client.sendRaw("{")
    expect((await client.came()).to).toBe(before.to)
    expect(before.to).toBe("@(node/a)")
  })

  it("ten undecodable frames end the session with the socket, and its watchers hear of it", async () => {
    const hub = newHub()
    const watcher = await connected(hub, "@(node/w)")
    const client = await connected(hub, "@(node/a)")
    await client.request("hub:register", { actorAddress: "@(node/a)" })
    await watcher.request("hub:watch", { actorAddress: "@(node/a)" })
    for (let n = 0; n < 10; n++) client.sendRaw("{")
    expect((await client.closed).code).toBe(4400)
    expect(await watcher.came()).toMatchObject({
      type: "hub:terminated",
      payload: { reason: "disconnected" },
    })
  })

  it("fault 13: the answer to hub:disconnect comes, then the close, however fast it follows other frames", async () => {
    const client = await connected(newHub(), "@(node/a)")
    for (let n = 0; n < 20; n++)
      client.send({ type: "hub:heartbeat", payload: { timestamp: n }, pattern: "ask" })
    client.send({ type: "hub:disconnect", payload: {}, pattern: "ask" })
    for (let n = 0; n < 20; n++) expect((await client.came()).payload.timestamp).toBe(n)
    expect((await client.came()).payload).toEqual({ acknowledged: true })
    expect((await client.closed).code).toBe(1000)
  })
})

describe("failures inside", () => {
  it("a hub whose storage fails answers internal_error, begins again from its rows, and serves on", async () => {
    const hub = newHub()
    const a = await connected(hub, "@(node/a)")
    const b = await connected(hub, "@(node/b)")
    await a.request("hub:register", { actorAddress: "@(place/1)" })
    await a.request("hub:subscribe", { topic: "old" })
    const errors = vi.spyOn(console, "error").mockImplementation(() => {})
    try {
      await runInDurableObject(hub, (_, { storage }) => {
        storage.sql.exec(
          "CREATE TRIGGER full BEFORE INSERT ON subscription BEGIN SELECT raise(FAIL, 'disk full'); END",
        )
      })
      const answer = await a.request("hub:subscribe", { topic: "news" })
      expect(answer.payload).toMatchObject({ code: "internal_error", retryable: true })
      expect(JSON.stringify(answer)).not.toContain("disk full")
      expect(errors.mock.calls.map(([line]) => JSON.parse(String(line)))).toMatchObject([
        { level: "error", event: "internal_error" },
      ])
    } finally {
      errors.mockRestore()
    }
    b.send({ to: "@(place/1)" })
    expect((await a.came()).type).toBe("note")
  })
})
