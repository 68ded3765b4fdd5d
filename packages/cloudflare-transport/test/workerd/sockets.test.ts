/**
 * What sockets cost a hub and a gateway that nobody sees: what is stored for them, those that stay after they were
 * closed, and the commits of many that go at once. Beside each an innocent client.
 */
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test"
import { env } from "cloudflare:workers"
import { describe, expect, it } from "vitest"
import { readClaims } from "../../src/auth/Claims.ts"
import { WebSocketBridge } from "../../src/bridge/WebSocketBridge.ts"
import { PING, PONG } from "../../src/protocol/Frame.ts"
import { DEFAULT_LIMITS } from "../../src/protocol/Limits.ts"
import type { HubEnv } from "../../src/object/HubEnv.ts"
import { makeHubWorker } from "../../src/worker/HubWorker.ts"
import { toHub } from "../../src/bridge/Upgrade.ts"
import { JWT_SECRET } from "./secret.ts"
import { SocketClient } from "./SocketClient.ts"
import { countRows } from "./stored.ts"
import { eventually } from "../support/eventually.ts"

/** Bytes of a database to which nothing was ever written. */
const BLANK = 4_096

interface Served {
  readonly hub: DurableObjectStub
  /** As whom its clients connect. */
  readonly identity: string
}

let made = 0
const places: ReadonlyArray<readonly [string, () => Served]> = [
  [
    "a hub",
    () => {
      const name = `sockets-${made++}`
      return { hub: env.COUNTING_HUB.getByName(name), identity: `@(user/${name})` }
    },
  ],
  [
    "a gateway",
    () => {
      const identity = `@(user/sockets-${made++})`
      return { hub: env.COUNTING_GATEWAY.getByName(identity), identity }
    },
  ],
]

/** What the platform stores for the object: bytes, tables of whatever name, and an alarm. */
const storedIn = (hub: DurableObjectStub) =>
  runInDurableObject(hub, async (_, { storage }) => ({
    bytes: storage.sql.databaseSize,
    tables: storage.sql.exec("SELECT name FROM sqlite_schema").toArray(),
    alarm: await storage.getAlarm(),
  }))

const NOTHING = { bytes: BLANK, tables: [], alarm: null }

const openSockets = (hub: DurableObjectStub): Promise<number> =>
  runInDurableObject(hub, (_, ctx) => ctx.getWebSockets().length)

const rowsOf = (hub: DurableObjectStub, table: string): Promise<number> =>
  runInDurableObject(hub, (_, { storage }) => countRows(storage, table))

/** One tells the other something. */
const tell = async (ada: SocketClient, bob: SocketClient, to: string, payload: unknown) => {
  ada.send({ to, type: "note", payload })
  expect(await bob.came()).toMatchObject({ type: "note", payload })
}

describe.each(places)("storage of %s", (_, serve) => {
  it("fault 72: a socket that goes without hub:connect leaves nothing", async () => {
    const { hub } = serve()
    const socket = await SocketClient.open(hub)
    socket.send({ type: "hub:heartbeat", payload: { timestamp: 1 } })
    expect(await socket.came()).toMatchObject({ payload: { code: "not_connected" } })
    socket.close(1000)
    await eventually(async () => expect(await storedIn(hub)).toEqual(NOTHING))
  })

  it("fault 72: nor does one that is closed as it never connects, and whose client does not answer that", async () => {
    const { hub } = serve()
    // A client of the platform answers by itself: what it is closed for is looked at before that.
    const socket = await SocketClient.open(hub)
    await runInDurableObject(hub, (instance, ctx) => {
      for (const one of ctx.getWebSockets()) one.close(4408, "timeout")
      return instance.alarm?.({ isRetry: false, retryCount: 0, scheduledTime: 0 })
    })
    expect((await socket.closed).code).toBe(4408)
    await eventually(async () => expect(await storedIn(hub)).toEqual(NOTHING))
  })

  it("fault 72: nor do failed connects, the third of which closes", async () => {
    const { hub } = serve()
    const socket = await SocketClient.open(hub)
    for (let attempt = 0; attempt < 3; attempt++) {
      await socket.request("hub:connect", null, { metadata: { protocolVersion: "no version" } })
    }
    expect((await socket.closed).code).toBe(4400)
    await eventually(async () => expect(await storedIn(hub)).toEqual(NOTHING))
  })

  it("fault 72: nor does one that sleeps through an eviction", async () => {
    const { hub } = serve()
    const socket = await SocketClient.open(hub)
    // An eviction waits for the timer of the socket, which closes it.
    await evictDurableObject(hub)
    expect((await socket.closed).code).toBe(4408)
    await eventually(async () => expect(await storedIn(hub)).toEqual(NOTHING))
  }, 20_000)

  it("fault 72: a socket that never connects takes nothing from who is connected", async () => {
    const { hub, identity } = serve()
    const ada = await SocketClient.open(hub)
    await ada.connect(identity)
    const idle = await SocketClient.open(hub)
    idle.close(1000)
    await eventually(async () => expect(await openSockets(hub)).toBe(1))
    await evictDurableObject(hub)
    await tell(ada, ada, identity, "still here")
    expect(await rowsOf(hub, "session")).toBe(1)
    expect((await storedIn(hub)).alarm).not.toBeNull()
    ada.close(1000)
  })

  it("fault 72: all is deleted when the last epoch is a week old, and not a moment before", async () => {
    const { hub, identity } = serve()
    const ada = await SocketClient.open(hub)
    await ada.connect(identity)
    await ada.request("hub:subscribe", { topic: "news" })
    await ada.request("hub:register", { actorAddress: identity })
    const before = Date.now()
    ada.close(1000)
    const { identityKeptFor } = DEFAULT_LIMITS
    await eventually(async () => {
      const { alarm } = await storedIn(hub)
      expect(alarm).toBeGreaterThanOrEqual(before + identityKeptFor)
    })
    expect([
      await rowsOf(hub, "identity"),
      await rowsOf(hub, "session"),
      await rowsOf(hub, "registration"),
    ]).toEqual([1, 0, 0])
    // An alarm that comes early deletes nothing.
    await runDurableObjectAlarm(hub)
    expect(await rowsOf(hub, "identity")).toBe(1)
    await evictDurableObject(hub)
    await runInDurableObject(hub, (_, { storage }) => {
      storage.sql.exec("UPDATE identity SET released_at = released_at - ?", identityKeptFor)
    })
    expect(await runDurableObjectAlarm(hub)).toBe(true)
    await eventually(async () => expect(await storedIn(hub)).toEqual(NOTHING))
    // And it is there for who comes back.
    const again = await SocketClient.open(hub)
    expect((await again.connect(identity)).type).toBe("hub:connected")
    again.close(1000)
  })

  it("fault 72: a durable subscription of who is gone is kept, and what is stored with it", async () => {
    const { hub, identity } = serve()
    const ada = await SocketClient.open(hub)
    await ada.connect(identity)
    await ada.request("hub:subscribe", { topic: "news", durable: true })
    ada.close(1000)
    await eventually(async () => expect(await rowsOf(hub, "session")).toBe(0))
    await runInDurableObject(hub, (_, { storage }) => void storage.sql.exec("DELETE FROM identity"))
    await runDurableObjectAlarm(hub)
    expect(await rowsOf(hub, "subscription")).toBe(1)
  })
})

/** Counts the turns in which sessions end: each is a commit. */
const countingEnds = async (hub: DurableObjectStub): Promise<() => Promise<number>> => {
  let turns = 0
  let isCounted = false
  await runInDurableObject(hub, (_, { storage: { sql } }) => {
    const exec = sql.exec.bind(sql)
    sql.exec = (query: string, ...bindings: Array<unknown>) => {
      if (query.startsWith("DELETE FROM session") && !isCounted) {
        turns++
        isCounted = true
        queueMicrotask(() => (isCounted = false))
      }
      return exec(query, ...bindings)
    }
  })
  return () => runInDurableObject(hub, () => turns)
}

const CROWD = 200

describe("farewells", () => {
  const crowded = async () => {
    const name = `crowd-${made++}`
    const hub = env.COUNTING_HUB.getByName(name)
    const [ada, bob] = [await SocketClient.open(hub), await SocketClient.open(hub)]
    await ada.connect(`@(user/ada-${name})`)
    await bob.connect(`@(user/bob-${name})`)
    const crowd = await Promise.all(Array.from({ length: CROWD }, () => SocketClient.open(hub)))
    const connects = crowd.map((one, n) => one.connect(`@(user/${name}-${n})`))
    for (const { type } of await Promise.all(connects)) expect(type).toBe("hub:connected")
    return { hub, ada, bob, bobs: `@(user/bob-${name})`, crowd, turns: await countingEnds(hub) }
  }

  it("fault 74: many hub:disconnects at once are few commits; each is answered, then closed 1000", async () => {
    const { hub, ada, bob, bobs, crowd, turns } = await crowded()
    const farewells = crowd.map((one) => one.request("hub:disconnect", {}))
    const exchanged = tell(ada, bob, bobs, "in between")
    for (const { payload } of await Promise.all(farewells)) expect(payload).toEqual({ acknowledged: true })
    const closed = await Promise.all(crowd.map((one) => one.closed))
    expect(new Set(closed.map(({ code }) => code))).toEqual(new Set([1000]))
    await exchanged
    expect(await rowsOf(hub, "session")).toBe(2)
    expect(await turns()).toBeLessThan(CROWD / 4)
  })

  it("fault 74: many lost sockets at once are few commits", async () => {
    const { hub, ada, bob, bobs, crowd, turns } = await crowded()
    for (const one of crowd) one.close(1001)
    await tell(ada, bob, bobs, "in between")
    await eventually(async () => expect(await rowsOf(hub, "session")).toBe(2))
    await tell(ada, bob, bobs, "after them")
    expect(await turns()).toBeLessThan(CROWD / 4)
  })

  it("fault 74: what a client sent before its farewell is done, what it sends after is not", async () => {
    const hub = env.COUNTING_HUB.getByName(`last-words-${made++}`)
    const [ada, bob] = [await SocketClient.open(hub), await SocketClient.open(hub)]
    await ada.connect("@(user/ada)")
    await bob.connect("@(user/bob)")
    const note = (payload: string) => ({ to: "@(user/bob)", type: "note", payload })
    const farewell = { type: "hub:disconnect", payload: {}, pattern: "ask" }
    ada.sendAll([note("before"), farewell, note("after")])
    expect(await bob.came()).toMatchObject({ payload: "before" })
    expect(await ada.came()).toMatchObject({ type: "hub:disconnect", payload: { acknowledged: true } })
    expect((await ada.closed).code).toBe(1000)
    await tell(bob, bob, "@(user/bob)", "and nothing else")
    bob.close(1000)
  })
})

const upgrade = (hub: DurableObjectStub): Promise<Response> =>
  hub.fetch(new Request("https://hub/ws", { headers: { Upgrade: "websocket" } }))

/** Sockets whose clients say nothing, and don't answer that they are closed until they close themselves. */
const openDeaf = async (hub: DurableObjectStub, count: number): Promise<ReadonlyArray<WebSocket>> => {
  const deaf: Array<WebSocket> = []
  for (let n = 0; n < count; n++) {
    const { webSocket } = await upgrade(hub)
    webSocket!.accept({ allowHalfOpen: true })
    deaf.push(webSocket!)
  }
  return deaf
}

/** Until the object has closed all sockets that never connected. */
const untilClosed = (hub: DurableObjectStub, count: number) =>
  eventually(async () => {
    const states = await runInDurableObject(hub, (_, ctx) => ctx.getWebSockets().map((one) => one.readyState))
    expect(states.filter((state) => state !== WebSocket.READY_STATE_OPEN)).toHaveLength(count)
  }, 5_000)

/** How many closed sockets a memory counts that knows nothing of the one before. */
const countedAnew = (hub: DurableObjectStub): Promise<number> =>
  runInDurableObject(hub, (_, ctx) => {
    const nothing = (): void => {}
    const handler = {
      opened: nothing,
      received: nothing,
      closed: nothing,
      failed: nothing,
      violated: nothing,
      notEncoded: nothing,
    }
    return new WebSocketBridge(ctx, { ...handler, addressOf: () => "@(user/nobody)" }).closingCount
  })

const guarded = [
  ["a hub", () => env.GUARDED_HUB.getByName(`guarded-${made++}`)],
  ["a gateway", () => env.GUARDED_GATEWAY.getByName(`@(user/guarded-${made++})`)],
] as const

describe.each(guarded)("closed sockets of %s", (_, serve) => {
  it("fault 52: one that is closed by a timer is gone once its client has answered, and nothing of it is stored", async () => {
    const hub: DurableObjectStub = serve()
    const socket = await SocketClient.open(hub)
    socket.sendRaw(PING)
    expect(await socket.frame()).toBe(PONG)
    expect(await socket.came()).toMatchObject({ payload: { code: "timeout" } })
    const closedAt = Date.now()
    expect((await socket.closed).code).toBe(4408)
    await eventually(async () => expect(await openSockets(hub)).toBe(0))
    expect(Date.now() - closedAt).toBeLessThan(1_000)
    await eventually(async () => expect(await storedIn(hub)).toEqual(NOTHING))
  })

  it("fault 73: those whose clients do not answer have a bound; at it an upgrade is answered 503, until one is gone", async () => {
    const hub: DurableObjectStub = serve()
    // Two wait for their hub:connect, in vain; the third is one too many.
    const deaf = await openDeaf(hub, 3)
    await untilClosed(hub, 3)
    const refused = await upgrade(hub)
    expect([refused.status, refused.headers.get("Retry-After"), refused.webSocket]).toEqual([503, "5", null])
    expect(await countedAnew(hub)).toBe(3)
    // Its client answers at last.
    deaf[0]!.close(1000)
    await eventually(async () => expect(await openSockets(hub)).toBe(2))
    const next = new SocketClient(await upgrade(hub))
    expect(await next.connect("@(user/next)")).toMatchObject({ correlationId: "m1" })
    for (const one of deaf.slice(1)) one.close(1000)
    next.close(1000)
    await eventually(async () => expect(await openSockets(hub)).toBe(0))
  }, 20_000)
})

describe("closed sockets", () => {
  it("fault 73: who comes with a valid token is let in, and is served as ever", async () => {
    const name = `guarded-${made++}`
    const hub = env.GUARDED_HUB.getByName(name)
    const claims = readClaims({ actorId: "user/ada", hubs: [name] })
    const enter = async () => new SocketClient(await hub.fetch(toHub(new Request("https://hub/ws"), claims)))
    const ada = await enter()
    expect(await ada.connect()).toMatchObject({ type: "hub:connected" })
    const deaf = await openDeaf(hub, 3)
    await untilClosed(hub, 3)
    expect((await upgrade(hub)).status).toBe(503)
    await tell(ada, ada, "@(user/ada)", "still here")
    const again = await enter()
    expect(await again.connect()).toMatchObject({ type: "hub:connected" })
    await tell(again, again, "@(user/ada)", "here now")
    for (const one of deaf) one.close(1000)
    again.close(1000)
  }, 20_000)

  it("fault 73: the Worker's own refusals have a bound as well", async () => {
    const worker = makeHubWorker<HubEnv>()
    const own = { ...env, AUTH_MODE: "token", JWT_SECRET, LIMITS: { maxClosedSockets: 2 } }
    const context = { waitUntil: () => {}, passThroughOnException: () => {}, props: {} }
    const forged = async (): Promise<Response> =>
      (worker.fetch as (request: Request, env: unknown, context: unknown) => Promise<Response>)(
        new Request("https://hub.example/ws", {
          headers: { Upgrade: "websocket", Authorization: "Bearer forged" },
        }),
        own,
        context,
      )
    const [first, second] = [await forged(), await forged()]
    expect([first.status, second.status]).toEqual([101, 101])
    expect((await forged()).status).toBe(503)
    expect((await new SocketClient(first).closed).code).toBe(4401)
    await eventually(async () => {
      const next = await forged()
      expect(next.status).toBe(101)
      next.webSocket!.accept()
    })
    second.webSocket!.accept()
  })
})
