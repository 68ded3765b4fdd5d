import {
  evictDurableObject,
  evictAllDurableObjects,
  runDurableObjectAlarm,
  runInDurableObject,
} from "cloudflare:test"
import type { Address, Envelope } from "@signal-hub/actor-core"
import { env } from "cloudflare:workers"
import { describe, expect, it } from "vitest"
import type { HubEnv } from "../../src/object/HubEnv.ts"
import worker, { actors } from "./worker.ts"
import { envelope } from "./durable/actors.ts"
import { SocketClient } from "./SocketClient.ts"
import { eventually } from "../support/eventually.ts"

let count = 0
/** An identity that no other test has. */
const newIdentity = (): string => `@(user/u${++count})`
const gatewayOf = (identity: string) => env.SESSION_GATEWAY.getByName(identity)

const upgrade = (
  query: string,
  environment: unknown = env,
  headers: { readonly [header: string]: string } = {},
) => {
  const context = { waitUntil: () => {}, passThroughOnException: () => {}, props: {} }
  const handler = worker.fetch as (request: Request, env: HubEnv, context: unknown) => Promise<Response>
  return SocketClient.open(
    {
      fetch: (request) =>
        handler(
          new Request(request, { headers: { Upgrade: "websocket", ...headers } }),
          environment as HubEnv,
          context,
        ),
    },
    undefined,
    `https://hub.example/gateway${query}`,
  )
}

const connected = async (
  identity: string,
  metadata: { readonly [key: string]: unknown } = {},
): Promise<SocketClient> => {
  const client = await upgrade(`?identity=${encodeURIComponent(identity)}`)
  const answer = await client.connect(undefined, metadata)
  expect(answer).toMatchObject({ type: "hub:connected", to: identity, payload: { topology: "gateway" } })
  return client
}

describe("entering", () => {
  it.each([
    ["", "unauthorized", 4401],
    ["?identity=", "invalid_address", 4400],
    ["?identity=ada", "invalid_address", 4400],
    ["?identity=%40(user%2F..)", "invalid_address", 4400],
    ["?identity=%40(cloudflare%2Fsignal-hub)", "forbidden", 4403],
    ["?identity=%40(session%2Fx)", "forbidden", 4403],
    ["?identity=%40(room%2F1)", "forbidden", 4403],
  ])("%s is accepted, told %s and closed %d", async (query, code, close) => {
    const client = await upgrade(query)
    expect(await client.came()).toMatchObject({ type: "hub:error", payload: { code } })
    expect((await client.closed).code).toBe(close)
  })

  it("without a token, where tokens are wanted, it is told so and closed 4401; no object is woken", async () => {
    const secret = { ...env, AUTH_MODE: "token", JWT_SECRET: "a secret of thirty-two characters" }
    const client = await upgrade("?identity=%40(user%2Fmallory)", secret)
    expect(await client.came()).toMatchObject({ type: "hub:error", payload: { code: "unauthorized" } })
    expect((await client.closed).code).toBe(4401)
    await expect(evictDurableObject(gatewayOf("@(user/mallory)"))).rejects.toThrow()
  })

  it("another identity than the object's is refused, and changes nothing", async () => {
    const identity = newIdentity()
    const client = await upgrade(`?identity=${encodeURIComponent(identity)}`)
    expect(await client.connect("@(user/somebody-else)")).toMatchObject({ payload: { code: "forbidden" } })
    expect((await client.connect(identity)).type).toBe("hub:connected")
  })
})

describe("takeover", () => {
  it("fault 21: of ten tabs of one identity at once exactly one is served; each other is closed 4409", async () => {
    const identity = newIdentity()
    const tabs = await Promise.all(
      Array.from({ length: 10 }, () => upgrade(`?identity=${encodeURIComponent(identity)}`)),
    )
    for (const tab of tabs) {
      tab.send({ type: "hub:connect", pattern: "ask", metadata: { protocolVersion: "1.0.0" } })
    }
    const standing = new Set(tabs)
    while (standing.size > 1) {
      const { tab, code } = await Promise.race(
        [...standing].map(async (tab) => ({ tab, code: (await tab.closed).code })),
      )
      expect(code).toBe(4409)
      standing.delete(tab)
    }
    const bob = await connected(newIdentity())
    bob.send({ to: identity, type: "note" })
    const [winner] = standing
    for (;;) if ((await winner!.came()).type === "note") break
  })

  it("faults 8, 20: after a takeover and an eviction the old close does nothing", async () => {
    const [identity, other] = [newIdentity(), newIdentity()]
    const [old, bob] = [await connected(identity), await connected(other)]
    await old.request("hub:subscribe", { topic: "fault/20" })
    const again = await connected(identity)
    expect((await old.closed).code).toBe(4409)
    await evictDurableObject(gatewayOf(identity))
    old.close(1000)
    const published = await bob.request("hub:publish", { topic: "fault/20", type: "item", data: 1 })
    expect(published.payload.subscriberCount).toBe(1)
    expect((await again.came()).type).toBe("item")
  })
})

describe("two gateways", () => {
  it("ask and answer one another, with everything evicted in between", async () => {
    const [a, b] = [newIdentity(), newIdentity()]
    const [ada, bob] = [await connected(a), await connected(b)]
    const id = ada.send({ to: b, type: "question", pattern: "ask", payload: 1 })
    const question = await bob.came()
    expect(question).toMatchObject({ id, from: a, type: "question" })
    await evictAllDurableObjects()
    bob.send({ to: a, type: "answer", correlationId: id, payload: 2 })
    expect(await ada.came()).toMatchObject({ type: "answer", from: b, correlationId: id, payload: 2 })
  })

  it("an identity where nobody ever was has no tables after it was asked", async () => {
    const ada = await connected(newIdentity())
    const nobody = newIdentity()
    const id = ada.send({ to: nobody, type: "question", pattern: "ask" })
    expect(await ada.came()).toMatchObject({ type: "hub:unknown_actor", correlationId: id })
    const tables = await runInDurableObject(gatewayOf(nobody), (_, { storage }) =>
      storage.sql.exec("SELECT name FROM sqlite_master WHERE name = 'session'").toArray(),
    )
    expect(tables).toEqual([])
  })

  it("grace ends by alarm; then who asks hears unknown_actor", async () => {
    const [a, b] = [newIdentity(), newIdentity()]
    const [ada, bob] = [await connected(a), await connected(b, { sessionExpirySeconds: 60 })]
    bob.close(1000)
    // Found while it waits: its session is there, its connection is not.
    const ask = async () => {
      const id = ada.send({ to: b, type: "question", pattern: "ask" })
      const answer = await ada.came()
      expect(answer.correlationId).toBe(id)
      return answer.type === "hub:error" ? answer.payload.code : answer.type
    }
    while ((await ask()) !== "actor_terminated");
    await runInDurableObject(gatewayOf(b), (_, { storage }) => {
      storage.sql.exec("UPDATE session SET grace_until = 1")
    })
    await evictDurableObject(gatewayOf(b))
    expect(await runDurableObjectAlarm(gatewayOf(b))).toBe(true)
    expect(await ask()).toBe("hub:unknown_actor")
  })
})

describe("routes", () => {
  const ask = async (client: SocketClient, to: string, type: string, more: object = {}) => {
    const id = client.send({ to, type, pattern: "ask", payload: "p", ...more })
    const answer = await client.came()
    expect(answer.correlationId).toBe(id)
    return answer
  }

  it("a Durable Object answers with the call, or later, and is heard once", async () => {
    const ada = await connected(newIdentity())
    expect(await ask(ada, "@(room/1)", "now")).toMatchObject({
      type: "done",
      from: "@(room/1)",
      payload: "p",
    })
    expect(await ask(ada, "@(room/1)", "later")).toMatchObject({ type: "done", from: "@(room/1)" })
    expect((await ada.request("hub:heartbeat", { timestamp: 1 })).type).toBe("hub:heartbeat_ack")
  })

  it("a service and a function answer", async () => {
    const identity = newIdentity()
    const ada = await connected(identity)
    expect(await ask(ada, "@(desk/any/name)", "x")).toMatchObject({
      type: "desk",
      payload: "@(desk/any/name)",
    })
    expect(await ask(ada, "@(clock/1)", "x", { from: "@(user/forged)" })).toMatchObject({
      type: "actor:reply",
      from: "@(clock/1)",
      payload: { type: "x", payload: "p", from: identity },
    })
  })

  it.each(["@(room/2)", "@(clock/2)"])(
    "%s throws: actor:error for its asker, without its text",
    async (to) => {
      const ada = await connected(newIdentity())
      const answer = await ask(ada, to, "throw")
      expect(answer).toMatchObject({ type: "actor:error", from: to, payload: { retryable: false } })
      expect(JSON.stringify(answer)).not.toContain("secret")
      expect((await ask(ada, to, "x")).type).not.toBe("hub:error")
    },
  )

  it("a route that throws is nobody's way in: a typed answer, and the gateway goes on", async () => {
    const ada = await connected(newIdentity())
    expect(await ask(ada, "@(lost/1)", "x")).toMatchObject({
      type: "hub:error",
      payload: { retryable: true },
    })
    expect(await ask(ada, "@(clock/1)", "x")).toMatchObject({ from: "@(clock/1)" })
  })

  it.each(["@(room/3)", "@(clock/3)"])(
    "%s hangs: its asker hears timeout, others are served meanwhile",
    async (to) => {
      const [a, b] = [newIdentity(), newIdentity()]
      const [ada, bob] = [await connected(a), await connected(b)]
      const id = ada.send({ to, type: "hang", pattern: "ask", ttl: 300 })
      ada.send({ to: b, type: "note" })
      expect((await bob.came()).type).toBe("note")
      expect(await ada.came()).toMatchObject({ correlationId: id, payload: { code: "timeout" } })
    },
  )

  it("fault 32: hostile names reach nothing but objects of the route's own namespace", async () => {
    const ada = await connected(newIdentity())
    for (const to of ["@(SESSION_GATEWAY/x)", "@(__proto__/x)", "@(constructor/x)", "@(DESK/x)"]) {
      expect((await ask(ada, to, "x")).type).toBe("hub:unknown_actor")
    }
    expect(await ask(ada, "@(room/a:b/~c/__proto__)", "now")).toMatchObject({ type: "done" })
  })

  it("10 tells and asks to one object arrive in order", async () => {
    const ada = await connected(newIdentity())
    for (let n = 0; n < 10; n++) ada.send({ to: "@(room/order)", type: "n", payload: n })
    await ask(ada, "@(room/order)", "now")
    const came = await runInDurableObject(env.ROOM.getByName("order"), (room) =>
      (room as unknown as { readonly came: ReadonlyArray<{ readonly payload: unknown }> }).came.map(
        ({ payload }) => payload,
      ),
    )
    expect(came).toEqual([...Array.from({ length: 10 }, (_, n) => n), "p"])
  })
})

describe("a Worker without a socket", () => {
  it("tells and asks clients, actors and functions", async () => {
    const { ask, tell } = actors(env)
    const identity = newIdentity()
    const ada = await connected(identity)
    await tell(identity, "hello", 1)
    expect(await ada.came()).toMatchObject({ type: "hello", payload: 1 })
    const answer = ask(identity, "question", 2)
    const question = await ada.came()
    ada.send({ to: question.from, type: "answer", correlationId: question.id, payload: 3 })
    expect(await answer).toBe(3)
    expect(await ask("@(room/9)", "x", 4)).toEqual({ type: "x", payload: 4 })
    expect(await ask("@(clock/9)", "x", 5)).toMatchObject({ payload: 5 })
  })

  it("reaches an address that an identity holds beside its own", async () => {
    const { ask, tell } = actors(env)
    const ada = await connected(newIdentity())
    const desk = `@(table/t${++count})`
    await ada.request("hub:register", { actorAddress: desk })
    await tell(desk, "hello")
    expect(await ada.came()).toMatchObject({ type: "hello", to: desk })
    const answer = ask(desk, "question")
    const question = await ada.came()
    ada.send({ to: question.from, from: desk, type: "answer", correlationId: question.id, payload: 1 })
    expect(await answer).toBe(1)
  })

  it("hears typed what fails", async () => {
    const { ask, tell } = actors(env)
    await expect(ask("@(user/nobody-there)", "x")).rejects.toMatchObject({ code: "unknown_actor" })
    await expect(tell("@(user/nobody-there)", "x")).rejects.toMatchObject({ code: "unknown_actor" })
    await expect(tell("nobody", "x")).rejects.toMatchObject({ code: "invalid_address" })
    const identity = newIdentity()
    const ada = await connected(identity)
    const answer = ask(identity, "question", null, { timeout: 50 })
    await expect(answer).rejects.toMatchObject({ code: "timeout" })
    expect((await ada.came()).type).toBe("question")
  })
})

describe("topics", () => {
  it("a topic of more subscribers than one object has reaches them all, in order, and counts them", async () => {
    const topic = "many"
    const identities = Array.from({ length: 8 }, newIdentity)
    const clients = await Promise.all(identities.map((identity) => connected(identity)))
    for (const client of clients) await client.request("hub:subscribe", { topic, presence: false })
    const ada = await connected(newIdentity())
    for (let data = 0; data < 5; data++) {
      const published = await ada.request("hub:publish", { topic, type: "n", data })
      expect(published.payload.subscriberCount).toBe(8)
    }
    for (const identity of identities) await evictDurableObject(gatewayOf(identity))
    await evictDurableObject(env.TOPIC_HUB.getByName(topic))
    await ada.request("hub:publish", { topic, type: "n", data: 5 })
    for (const client of clients) {
      for (let n = 0; n < 6; n++) expect((await client.came()).payload).toBe(n)
    }
  }, 20_000)
})

describe("a failure inside", () => {
  const V1 = { protocolVersion: "1.0.0" }

  it("what a call brought before it failed is stored, or would leave without that", async () => {
    const identity = newIdentity() as Address.Address
    const ada = await connected(identity, V1)
    const envelope = (id: string, pattern: "tell" | "ask", seq: number): Envelope.Envelope => ({
      id,
      from: "@(user/x)",
      to: identity,
      type: "note",
      payload: null,
      pattern,
      correlationId: null,
      timestamp: 0,
      metadata: {},
      ttl: null,
      signature: null,
      seq,
    })
    const outbox = await runInDurableObject(gatewayOf(identity), async (gateway, { storage: { sql } }) => {
      const exec = sql.exec.bind(sql)
      sql.exec = (query: string, ...bindings: Array<unknown>) => {
        if (query.includes("INTO ask")) throw new Error("the disk is full")
        return exec(query, ...bindings)
      }
      const caller = { home: "@(user/x)", claims: null, line: "x" } as const
      const ask = { home: "@(user/x)", timeout: 1_000 } as const
      const deliveries = [{ envelope: envelope("1", "tell", 1) }, { envelope: envelope("2", "ask", 2), ask }]
      expect(() => gateway.deliver({ caller, deliveries })).toThrow("the disk is full")
      return exec("SELECT first_seq, count FROM outbox").toArray()
    })
    expect(outbox).toEqual([{ first_seq: 1, count: 2 }])
    expect(await ada.came()).toMatchObject([{ seq: 1 }, { seq: 2 }])
  })

  it("who waits for an answer that was lost by it is closed, to come back", async () => {
    const identity = newIdentity()
    const ada = await connected(identity, V1)
    ada.send({ type: "hub:send", pattern: "ask", payload: { to: "@(room/hanging)", type: "hang", data: 1 } })
    await eventually(() =>
      runInDurableObject(env.ROOM.getByName("hanging"), (room) => expect(room.came).toHaveLength(1)),
    )
    await runInDurableObject(gatewayOf(identity), (gateway, { storage: { sql } }) => {
      const exec = sql.exec.bind(sql)
      sql.exec = () => {
        sql.exec = exec
        throw new Error("the disk is full")
      }
      gateway.alarm()
    })
    expect((await ada.closed).code).toBe(1011)
  })
})

describe("what is left of an identity that is gone", () => {
  const stored = (stub: DurableObjectStub) =>
    runInDurableObject(stub, async (_, { storage }) => ({
      tables: storage.sql
        .exec("SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_cf%' ESCAPE '\\'")
        .toArray()
        .map(({ name }) => name),
      size: storage.sql.databaseSize,
      alarm: await storage.getAlarm(),
    }))
  /** Not even what the platform keeps of an alarm. */
  const NOTHING = { tables: [], size: 4_096, alarm: null }

  it("fault 19: after a goodbye nothing; and who comes back finds a gateway that works, awake or evicted", async () => {
    const identity = newIdentity()
    const topic = `left/${count}`
    for (const evicts of [false, true, false]) {
      const client = await connected(identity)
      await client.request("hub:register", { actorAddress: identity })
      expect((await client.request("hub:subscribe", { topic })).type).toBe("hub:subscribed")
      expect((await stored(gatewayOf(identity))).tables).toContain("session")
      await client.request("hub:disconnect", {})
      await client.closed
      await eventually(async () => expect(await stored(gatewayOf(identity))).toEqual(NOTHING))
      if (evicts) await evictDurableObject(gatewayOf(identity))
    }
    const left = env.TOPIC_HUB.getByName(topic)
    expect(await runDurableObjectAlarm(left)).toBe(true)
    expect(await stored(left)).toEqual(NOTHING)
  })

  it("after its grace nothing, by the alarm that ends it, also where memory was lost meanwhile", async () => {
    const identity = newIdentity()
    const client = await connected(identity, { sessionExpirySeconds: 60 })
    client.close(1000)
    const stub = gatewayOf(identity)
    await eventually(() =>
      runInDurableObject(stub, (_, { storage }) => {
        storage.sql.exec("UPDATE session SET grace_until = 1 WHERE connection IS NULL")
        expect(storage.sql.exec("SELECT 1 FROM session WHERE grace_until = 1").toArray()).toHaveLength(1)
      }),
    )
    await evictDurableObject(stub)
    expect(await runDurableObjectAlarm(stub)).toBe(true)
    await eventually(async () => expect(await stored(stub)).toEqual(NOTHING))
  })

  it("of a socket that never connected nothing", async () => {
    const identity = newIdentity()
    const client = await upgrade(`?identity=${encodeURIComponent(identity)}`)
    expect(await stored(gatewayOf(identity))).toEqual({ tables: [], size: 8_192, alarm: expect.any(Number) })
    client.close(1000)
    await eventually(async () => expect(await stored(gatewayOf(identity))).toEqual(NOTHING))
  })

  it("of what comes late to who is awake and nobody, nothing, at no statement", async () => {
    const identity = newIdentity() as Address.Address
    const stub = gatewayOf(identity)
    // It is awake, as a Worker's ask went out from it.
    await stub.request(envelope(identity, "question", null, { pattern: "ask" }), 1_000)
    const statements = await runInDurableObject(stub, (_, { storage: { sql } }) => {
      const ran: Array<string> = []
      const exec = sql.exec.bind(sql)
      sql.exec = (query: string, ...bindings: Array<unknown>) => {
        ran.push(query)
        return exec(query, ...bindings)
      }
      return () => ran.splice(0)
    })
    const caller = { home: "@(room/1)" as Address.Address, claims: null, line: "line" }
    let seq = 0
    // Once the ask is over, and what it began with it.
    await eventually(async () => {
      await runInDurableObject(stub, statements)
      const late = envelope(identity, "note", null, { seq: ++seq, ttl: 0 })
      const outcomes = await stub.deliver({ caller, deliveries: [{ envelope: late }] })
      expect(outcomes).toMatchObject([{ status: "refused", code: "unknown_actor" }])
      expect(await runInDurableObject(stub, statements)).toEqual([])
    })
  })

  it("fault 19: of 60 identities nothing, while one that has a durable subscription is remembered", async () => {
    const identities = Array.from({ length: 60 }, newIdentity)
    const faithful = newIdentity()
    for (let first = 0; first < identities.length; first += 20) {
      await Promise.all(
        identities.slice(first, first + 20).map(async (identity) => {
          const client = await connected(identity)
          await client.request("hub:subscribe", { topic: "crowd" })
          client.close(1000)
        }),
      )
    }
    const client = await connected(faithful)
    await client.request("hub:subscribe", { topic: "crowd", durable: true })
    client.close(1000)
    for (const identity of identities) {
      await eventually(async () => expect(await stored(gatewayOf(identity))).toEqual(NOTHING))
    }
    const crowd = env.TOPIC_HUB.getByName("crowd")
    await eventually(async () => expect((await stored(crowd)).alarm).not.toBe(null))
    expect(await runDurableObjectAlarm(crowd)).toBe(true)
    expect(await stored(crowd)).toEqual(NOTHING)
    await eventually(async () => {
      const { alarm, tables } = await stored(gatewayOf(faithful))
      expect(tables).toContain("subscription")
      expect(alarm).toBeGreaterThan(Date.now() + 6 * 24 * 3_600_000)
    })
  }, 60_000)
})
