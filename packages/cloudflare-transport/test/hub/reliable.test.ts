import { describe, expect, it } from "vitest"
import { HUB_ADDRESS } from "../../src/protocol/HubMessage.ts"
import { DEFAULT_LIMITS } from "../../src/protocol/Limits.ts"
import type { Received, TestClient } from "../support/TestClient.ts"
import { TestHub } from "../support/TestHub.ts"

const V1 = { protocolVersion: "1.0.0" }
const A = "@(node/a)"
const B = "@(node/b)"

/** What came, without receipts. */
const takeSequenced = (client: TestClient): ReadonlyArray<Received> =>
  client.take().filter(({ type }) => type !== "hub:ack")
const numbers = (came: ReadonlyArray<Received>) => came.map(({ type, seq }) => [type, seq])
const acknowledge = (client: TestClient, through: number): string =>
  client.send({ type: "hub:ack", payload: { through, bytes: client.socket.received } })
const resume = (hub: TestHub, client: TestClient, lastSeq = 0, more: object = {}): TestClient =>
  hub.connect(client.identity, { ...V1, resume: client.resume(lastSeq), ...more })
const rows = (hub: TestHub): number => hub.sql.count("outbox")
/** The rows, once receipts are stored. */
const rowsLeft = (hub: TestHub): number => {
  hub.advance(DEFAULT_LIMITS.ackInterval)
  return rows(hub)
}

const pair = (limits: Partial<typeof DEFAULT_LIMITS> = {}) => {
  const hub = new TestHub(limits)
  return { hub, a: hub.connect(A, V1), b: hub.connect(B, V1) }
}

describe("numbers", () => {
  it("are given to each session and direction from 1, to reliable envelopes alone", () => {
    const { a, b } = pair()
    a.surely({ to: B, type: "one" })
    a.tell(B, "volatile")
    a.surely({ to: B, type: "two" })
    expect(numbers(takeSequenced(b))).toEqual([
      ["one", 1],
      ["volatile", undefined],
      ["two", 2],
    ])
  })

  it("mean nothing at 0.x, in either direction", () => {
    const hub = new TestHub()
    const [old, young] = [hub.connect(A), hub.connect(B, V1)]
    old.send({ to: B, type: "from 0.x", seq: 7 })
    young.surely({ to: A, type: "to 0.x" })
    expect(takeSequenced(young)[0]).not.toHaveProperty("seq")
    expect(takeSequenced(old)[0]).not.toHaveProperty("seq")
    expect(rows(hub)).toBe(0)
  })

  it("fault 42: a repeat is dropped and told again, a gap closes 4412 and touches nothing", () => {
    const { hub, a, b } = pair()
    a.surely({ to: B, type: "one" })
    a.take()
    hub.advance(1_000)
    a.send({ to: B, type: "one again", seq: 1 })
    expect(numbers(takeSequenced(b))).toEqual([["one", 1]])
    expect(a.takeOne()).toMatchObject({ type: "hub:ack", payload: { through: 1 } })
    a.send({ to: B, type: "three", seq: 3 })
    expect(a.socket.close?.code).toBe(4412)
    expect(takeSequenced(b)).toEqual([])
    expect(resume(hub, a).session).toMatchObject({ resumed: true, inSeq: 1 })
  })

  it("are consumed by what is refused, which is told as surely as it was sent", () => {
    const hub = new TestHub().requireTokens()
    const a = hub.enter({ actorId: A, send: ["@(open/**)"] }, V1)
    a.take()
    a.surely({ to: B, type: "not allowed" })
    a.surely({ to: "@(open/x)", type: "nobody there" })
    expect(numbers(takeSequenced(a))).toEqual([
      ["hub:error", 1],
      ["hub:unknown_actor", 2],
    ])
    a.drop()
    const again = hub.enter({ actorId: A }, { ...V1, resume: a.resume(0) })
    expect(again.session).toMatchObject({ resumed: true, inSeq: 2, outFirst: 1, outNext: 3 })
    expect(numbers(takeSequenced(again)).map(([type]) => type)).toEqual(["hub:error", "hub:unknown_actor"])
  })
})

describe("what can't be delivered", () => {
  it("is refused where no receiver would take it: a copy has room for what the hub adds", () => {
    const { hub, a, b } = pair()
    const metadata = { note: "x".repeat(4_070) }
    const sends = ["hub:send", "hub:publish", "hub:broadcast"].map((type) =>
      a.surely({ type, payload: { to: B, topic: "news", type: "note", data: 1 }, metadata }),
    )
    expect(takeSequenced(a).map(({ payload, correlationId }) => [payload.code, correlationId])).toEqual(
      sends.map((id) => ["invalid_message", id]),
    )
    a.surely({ to: B, type: "as it is", metadata })
    expect(numbers(takeSequenced(b))).toEqual([["as it is", 1]])
    expect(numbers(takeSequenced(resume(hub, b)))).toEqual([["as it is", 1]])
  })

  it("its sender is told of, be it sent by hub:send", () => {
    const { a } = pair()
    const id = a.surely({ type: "hub:send", payload: { to: "@(nobody/x)", type: "note", data: 1 } })
    expect(takeSequenced(a)).toMatchObject([{ type: "hub:unknown_actor", correlationId: id, seq: 1 }])
  })

  it("its sender is told of where the receiver is found to be gone", () => {
    const hub = new TestHub()
    const a = hub.connect(A, V1)
    const b = hub.connect(B, { ...V1, sessionExpirySeconds: 0 })
    b.socket.isOpen = false
    expect(hub.evict()).toBe(true)
    const id = a.surely({ to: B, type: "note" })
    expect(takeSequenced(a)).toMatchObject([
      { type: "hub:error", payload: { code: "actor_terminated" }, correlationId: id, seq: 1 },
    ])
  })
})

describe("receipts", () => {
  it("leave at once where the last is long ago, else once an interval, or for so many envelopes", () => {
    const { hub, a, b } = pair()
    const receipts = () => a.takeOf("hub:ack").map(({ payload }) => payload.through)
    a.surely({ to: B, type: "1" })
    expect(receipts()).toEqual([1])
    a.surely({ to: B, type: "2" })
    a.surely({ to: B, type: "3" })
    expect(receipts()).toEqual([])
    hub.advance(DEFAULT_LIMITS.ackInterval)
    expect(receipts()).toEqual([3])
    for (let i = 0; i < DEFAULT_LIMITS.ackEvery; i++) a.surely({ to: B, type: "more" })
    expect(receipts()).toEqual([3 + DEFAULT_LIMITS.ackEvery])
    expect(b.take()).toHaveLength(3 + DEFAULT_LIMITS.ackEvery)
  })

  it("go along with what leaves anyway", () => {
    const { hub, a } = pair()
    a.surely({ to: B, type: "1" })
    a.take()
    a.surely({ to: A, type: "to myself" })
    expect(a.take().map(({ type }) => type)).toEqual(["to myself", "hub:ack"])
    expect(hub.isBusy).toBe(false)
  })

  it("follow what is replayed: what was refused is heard of before the receipt that covers it", () => {
    const { hub, a, b } = pair({ replayWindow: 1_500 })
    const big = "x".repeat(1_000)
    a.drop()
    for (let n = 1; n <= 3; n++) b.surely({ to: A, type: `${n}`, payload: big })
    const again = resume(hub, a)
    again.surely({ to: "@(nobody/x)", type: "refused" })
    hub.advance(1_000)
    const came: Array<string> = []
    for (let through = 0; through <= 4; through++) {
      came.push(...again.take().map(({ type }) => type))
      acknowledge(again, through)
    }
    expect(came).toEqual(["1", "2", "3", "hub:unknown_actor", "hub:ack"])
  })

  it("come again after a resume, behind what is replayed", () => {
    const { hub, a, b } = pair()
    a.surely({ to: "@(nobody/x)", type: "refused" })
    a.surely({ to: B, type: "1" })
    b.surely({ to: A, type: "2" })
    const again = resume(hub, a)
    expect(again.session).toMatchObject({ resumed: true, inSeq: 2 })
    expect(again.take().map(({ type, payload }) => [type, payload?.through])).toEqual([
      ["hub:unknown_actor", undefined],
      ["2", undefined],
      ["hub:ack", 2],
    ])
    expect(resume(hub, b).takeOf("hub:ack")).toMatchObject([{ payload: { through: 1 } }])
  })

  it("of more than was given are refused, and change nothing", () => {
    const { hub, a, b } = pair()
    a.surely({ to: B, type: "1" })
    b.take()
    acknowledge(b, 2)
    expect(b.takeOne()).toMatchObject({ type: "hub:error", payload: { code: "invalid_message" } })
    expect(rows(hub)).toBe(1)
    acknowledge(b, 1)
    expect(rowsLeft(hub)).toBe(0)
  })
})

describe("resume", () => {
  for (const evicting of [false, true]) {
    it(`gives back the session with what its client does not have${evicting ? ", also after an eviction" : ""}`, () => {
      const { hub, a, b } = pair()
      b.register("@(room/1)")
      b.subscribe("news")
      b.watch("@(room/1)")
      for (let i = 1; i <= 4; i++) a.surely({ to: B, type: `${i}` })
      b.drop()
      a.surely({ to: B, type: "5" })
      a.surely({ to: "@(room/1)", type: "6" })
      if (evicting) {
        hub.advance(1_000)
        expect(hub.evict()).toBe(true)
      }
      const again = resume(hub, b, 2)
      expect(again.sessionId).toBe(b.sessionId)
      expect(again.session).toMatchObject({
        resumed: true,
        kept: { registrations: 1, subscriptions: 1, watches: 1 },
        outFirst: 3,
        outNext: 5,
        epoch: 2,
      })
      a.surely({ to: B, type: "7" })
      expect(numbers(takeSequenced(again))).toEqual([
        ["3", 3],
        ["4", 4],
        ["5", 5],
        ["6", 6],
        ["7", 7],
      ])
      acknowledge(again, 7)
      expect(rowsLeft(hub)).toBe(0)
    })
  }

  it("fault 14: an ask in flight across a drop is answered on the next connection, once", () => {
    const { hub, a, b } = pair()
    const id = a.surely({ to: B, type: "question", pattern: "ask" })
    const [ask] = takeSequenced(b)
    a.drop()
    b.surely({ to: A, type: "answer", correlationId: id })
    hub.advance(1_000)
    hub.evict()
    const again = resume(hub, a)
    expect(takeSequenced(again)).toMatchObject([{ type: "answer", correlationId: ask!.id, seq: 1 }])
    expect(hub.sql.count("ask")).toBe(0)
  })

  it("fault 5: an open ask outlives an eviction at once, as it is a row before it is acknowledged", () => {
    const { hub, a, b } = pair()
    const id = a.surely({ to: B, type: "question", pattern: "ask" })
    hub.restart()
    b.surely({ to: A, type: "answer", correlationId: id })
    expect(a.takeOf("answer")).toMatchObject([{ correlationId: id, seq: 1 }])
  })

  it("the answer of one who can't number it is reliable where the ask was", () => {
    const hub = new TestHub()
    const [a, b] = [hub.connect(A, V1), hub.connect(B)]
    const id = a.surely({ to: B, type: "question", pattern: "ask" })
    b.send({ to: A, type: "answer", correlationId: id })
    expect(a.takeOf("answer")).toMatchObject([{ seq: 1 }])
  })

  it("fault 22: what comes live stays behind what is replayed, volatile and reliable alike", () => {
    const { hub, a, b } = pair({ replayWindow: 1_500 })
    b.drop()
    const big = "x".repeat(1_000)
    for (let i = 1; i <= 3; i++) a.surely({ to: B, type: `${i}`, payload: big })
    const again = resume(hub, b)
    expect(numbers(takeSequenced(again))).toEqual([["1", 1]])
    a.tell(B, "volatile")
    a.surely({ to: B, type: "4" })
    acknowledge(again, 1)
    expect(numbers(takeSequenced(again))).toEqual([["2", 2]])
    acknowledge(again, 2)
    acknowledge(again, 3)
    expect(numbers(takeSequenced(again))).toEqual([
      ["3", 3],
      ["volatile", undefined],
      ["4", 4],
    ])
    a.surely({ to: B, type: "5" })
    expect(numbers(takeSequenced(again))).toEqual([["5", 5]])
  })

  it("goes on with a receipt that comes while the connection waits for another object, and too much waits with it", () => {
    const { hub, a, b } = pair({ replayWindow: 1_500, broadcastSlice: 1, maxParked: 1 })
    for (const name of ["@(room/1)", "@(room/2)", "@(room/3)"]) a.register(name)
    b.drop()
    const big = "x".repeat(1_000)
    for (let i = 1; i <= 3; i++) a.surely({ to: B, type: `${i}`, payload: big })
    const again = resume(hub, b)
    expect(numbers(takeSequenced(again))).toEqual([["1", 1]])
    again.send({ type: "hub:broadcast", payload: { type: "all", data: 1 } })
    again.tell("@(room/1)", "waits")
    again.tell("@(room/1)", "refused")
    acknowledge(again, 1)
    expect(numbers(takeSequenced(again))).toEqual([["2", 2]])
    hub.advance(0)
    acknowledge(again, 2)
    expect(numbers(takeSequenced(again)).slice(0, 1)).toEqual([["3", 3]])
  })

  it("of what left together, only what is not acknowledged comes again", () => {
    const { hub, a, b } = pair()
    a.surelyAll(["1", "2", "3"].map((type) => ({ to: B, type })))
    expect(rows(hub)).toBe(1)
    acknowledge(b, 2)
    expect(rows(hub)).toBe(1)
    b.drop()
    const again = resume(hub, b, 2)
    expect(numbers(takeSequenced(again))).toEqual([["3", 3]])
    acknowledge(again, 3)
    expect(rowsLeft(hub)).toBe(0)
  })

  it("what was still waiting behind something slow comes again, and is taken then", () => {
    const hub = new TestHub().requireTokens()
    const [a, b] = [hub.enter({ actorId: A }, V1), hub.enter({ actorId: B }, V1)]
    hub.holdsTokens = true
    a.send({ type: "hub:refresh_token", pattern: "ask", payload: { token: JSON.stringify({ actorId: A }) } })
    a.surely({ to: B, type: "parked" })
    expect(takeSequenced(b)).toEqual([])
    a.drop()
    const again = hub.open({ actorId: A })
    again.send({ type: "hub:connect", pattern: "ask", metadata: { ...V1, resume: a.resume() } })
    hub.verify()
    expect(again.take()[0]).toMatchObject({ payload: { session: { resumed: true, inSeq: 0 } } })
    again.surely({ to: B, type: "again" })
    expect(numbers(takeSequenced(b))).toEqual([["again", 1]])
  })

  it("fault 42: what comes along with hub:connect is judged by its number too", () => {
    const { hub, a, b } = pair()
    a.surely({ to: B, type: "1" })
    const along = (resume: object | undefined, ...numbers: ReadonlyArray<number>) => {
      const client = hub.open()
      const hello = { type: "hub:connect", pattern: "ask", metadata: { ...V1, actorIdentity: A, resume } }
      const plain = { to: HUB_ADDRESS, pattern: "tell", timestamp: 0 }
      const rest = numbers.map((seq) =>
        Object.assign({ id: `${seq}`, type: `${seq}`, seq }, plain, { to: B }),
      )
      hub.receive(client.socket, { id: "hello", ...plain, ...hello }, ...rest)
      return client
    }
    const again = along(a.resume(0), 1, 2)
    expect(again.takeOf("hub:ack").at(-1)).toMatchObject({ payload: { through: 2 } })
    again.send({ to: B, type: "3", seq: 3 })
    expect(takeSequenced(b).map(({ type }) => type)).toEqual(["1", "2", "3"])
    expect(along(undefined, 2).socket.close?.code).toBe(4412)
    expect(takeSequenced(b)).toEqual([])
  })

  it("fault 42: what is refused behind something slow is told with that, or comes again and is judged anew", () => {
    const hub = new TestHub({ maxParked: 1 }).requireTokens()
    const [a, b] = [hub.enter({ actorId: A }, V1), hub.enter({ actorId: B }, V1)]
    const slowly = (client: TestClient, ...types: ReadonlyArray<string>) => {
      hub.holdsTokens = true
      client.send({ type: "hub:refresh_token", payload: { token: JSON.stringify({ actorId: A }) } })
      for (const type of types) client.surely({ to: B, type })
      hub.holdsTokens = false
    }
    slowly(a, "1", "2")
    expect(takeSequenced(a)).toEqual([])
    const again = hub.enter({ actorId: A }, { ...V1, resume: a.resume(0) })
    expect(again.session.inSeq).toBe(0)
    slowly(again, "1", "2")
    hub.verify()
    expect(takeSequenced(again)).toMatchObject([
      { type: "hub:token_refreshed" },
      { type: "hub:error", payload: { code: "queue_full" }, seq: 1 },
    ])
    again.surely({ to: B, type: "3" })
    expect(takeSequenced(b).map(({ type }) => type)).toEqual(["1", "3"])
  })

  it("fault 42: what waited behind something slow is taken in the turn of its effects, and not again", () => {
    const hub = new TestHub().requireTokens()
    const [a, b] = [hub.enter({ actorId: A }, V1), hub.enter({ actorId: B }, V1)]
    hub.holdsTokens = true
    a.send({ type: "hub:refresh_token", pattern: "ask", payload: { token: JSON.stringify({ actorId: A }) } })
    a.surely({ to: B, type: "parked" })
    hub.verify()
    expect(numbers(takeSequenced(b))).toEqual([["parked", 1]])
    hub.restart()
    a.drop()
    const again = hub.open({ actorId: A })
    again.send({ type: "hub:connect", pattern: "ask", metadata: { ...V1, resume: a.resume() } })
    hub.verify()
    expect(again.take()[0]).toMatchObject({ payload: { session: { resumed: true, inSeq: 1 } } })
  })

  it("takes in what comes in the same frame in which its reader is found to be gone", () => {
    const { hub, a, b } = pair()
    a.surely({ to: B, type: "1" })
    // Nobody tells the hub: it finds out as it sends.
    b.socket.isOpen = false
    a.surelyAll(["2", "3"].map((type) => ({ to: B, type })))
    expect(numbers(takeSequenced(resume(hub, b, 1))).map(([type]) => type)).toEqual(["2", "3"])
  })

  it("goes on where it was after an eviction in the middle of a replay", () => {
    const { hub, a, b } = pair({ replayWindow: 1_500 })
    b.drop()
    const big = "x".repeat(1_000)
    for (let i = 1; i <= 3; i++) a.surely({ to: B, type: `${i}`, payload: big })
    const again = resume(hub, b)
    hub.advance(1_000)
    hub.evict()
    for (const through of [1, 2, 3]) acknowledge(again, through)
    expect(numbers(takeSequenced(again))).toEqual([
      ["1", 1],
      ["2", 2],
      ["3", 3],
    ])
    expect(rowsLeft(hub)).toBe(0)
  })

  it("rotates the token; the one before is good until something is heard on the new epoch", () => {
    const { hub, b } = pair()
    b.drop()
    const second = resume(hub, b)
    const third = resume(hub, b)
    expect(third.session).toMatchObject({ resumed: true, epoch: 3 })
    expect(second.socket.close?.code).toBe(4409)
    third.send({ type: "hub:heartbeat", payload: { timestamp: 1 } })
    third.drop()
    const thief = hub.open()
    expect(thief.connect(B, { ...V1, resume: b.resume() })).toMatchObject({
      type: "hub:error",
      payload: { code: "forbidden" },
    })
    expect(thief.connect(B, { ...V1, resume: third.resume() }).type).toBe("hub:connected")
  })

  it("of a session with another token is refused, and nothing changes", () => {
    const { hub, a, b } = pair()
    a.surely({ to: B, type: "1" })
    const thief = hub.open()
    const forged = { sessionId: b.sessionId, resumeToken: crypto.randomUUID(), lastSeq: 1 }
    expect(thief.connect(B, { ...V1, resume: forged }).payload.code).toBe("forbidden")
    expect(thief.connect("@(node/c)", { ...V1, resume: b.resume(1) }).payload.code).toBe("forbidden")
    expect(b.socket.close).toBe(undefined)
    expect(rows(hub)).toBe(1)
  })

  it("needs a valid token of the same identity where the hub wants tokens", () => {
    const hub = new TestHub().requireTokens()
    const b = hub.enter({ actorId: B }, V1)
    b.drop()
    const other = hub.open({ actorId: "@(node/c)" })
    expect(other.connect(undefined, { ...V1, resume: b.resume() }).payload.code).toBe("forbidden")
    const again = hub.enter({ actorId: B, capabilities: ["list"] }, { ...V1, resume: b.resume() })
    expect(again.session.resumed).toBe(true)
    expect(again.request("hub:list_actors", {}).type).toBe("hub:actor_list")
  })

  it("fault 19: says why there is none, and what was kept", () => {
    const { hub, a, b } = pair()
    a.surely({ to: B, type: "1" })
    const future = resume(hub, b, 5)
    expect(future.session).toMatchObject({ resumed: false, reason: "server_reset", outFirst: 1, outNext: 1 })
    acknowledge(future, 1)
    future.drop()
    const past = resume(hub, future, 0)
    expect(past.session).toMatchObject({ resumed: false, reason: "buffer_overflow" })
    past.drop()
    hub.advance(61_000)
    const late = resume(hub, past)
    expect(late.session).toMatchObject({
      resumed: false,
      reason: "expired",
      kept: { registrations: 0, subscriptions: 0, watches: 0 },
    })
    late.request("hub:disconnect", {})
    expect(resume(hub, past).session).toMatchObject({ resumed: false, reason: "unknown_session" })
  })

  it("does not take the identity from another that has it, unless it reclaims it", () => {
    const { hub, b } = pair()
    const other = hub.connect(B, V1)
    const sleeper = hub.open()
    sleeper.send({
      type: "hub:connect",
      pattern: "ask",
      metadata: { ...V1, actorIdentity: B, resume: b.resume() },
    })
    expect(sleeper.takeOne()).toMatchObject({
      type: "hub:disconnect",
      payload: { reason: "duplicate_connection" },
    })
    expect(sleeper.socket.close?.code).toBe(4409)
    expect(other.socket.close).toBe(undefined)
    const back = resume(hub, b, 0, { reclaim: true })
    expect(back.session).toMatchObject({ resumed: false, reason: "unknown_session" })
    expect(other.socket.close?.code).toBe(4409)
  })

  it("keeps a session whose identity came by registering", () => {
    const hub = new TestHub()
    const a = hub.connect(undefined, V1)
    a.register(A)
    a.drop()
    const again = hub.connect(undefined, { ...V1, resume: a.resume() })
    expect(again.session.resumed).toBe(true)
    hub.connect(B).tell(A, "note")
    expect(again.takeOf("note")).toHaveLength(1)
  })
})

describe("grace", () => {
  it("what is reliable waits, what is not is a dead letter; the rest ends with the session", () => {
    const { hub, a, b } = pair()
    b.register(B)
    a.watch(B)
    b.drop()
    a.tell(B, "volatile")
    a.surely({ to: B, type: "kept" })
    const id = a.surely({ to: B, type: "question", pattern: "ask", ttl: 600_000 })
    expect(rows(hub)).toBe(2)
    a.take()
    hub.advance(61_000)
    expect(takeSequenced(a)).toMatchObject([
      { type: "hub:terminated", seq: 1 },
      { type: "hub:error", payload: { code: "actor_terminated" }, correlationId: id, seq: 2 },
    ])
    expect(hub.sql.all("SELECT session FROM outbox WHERE session = ?", b.sessionId)).toEqual([])
    expect(hub.core.state.metrics.deadLetters).toBe(3)
  })

  it("fault 31: what waited longer than its ttl is never delivered; an ask is told so", () => {
    const { hub, a, b } = pair()
    b.drop()
    a.surely({ to: B, type: "short", ttl: 1_000 })
    const id = a.surely({ to: B, type: "question", pattern: "ask", ttl: 2_000 })
    a.surely({ to: B, type: "long", ttl: 50_000 })
    hub.advance(1_500)
    a.take()
    const again = resume(hub, b)
    const came = takeSequenced(again)
    expect(numbers(came)).toEqual([
      ["question", 1],
      ["long", 2],
    ])
    expect(came.map(({ ttl }) => ttl)).toEqual([500, 48_500])
    again.surely({ to: A, type: "answer", correlationId: id })
    expect(a.takeOf("answer")).toHaveLength(1)
  })

  it("a tell that expires before it is transmitted is told of, by the id that its sender knows", () => {
    const { hub, a, b } = pair()
    b.drop()
    const tell = a.surely({ to: B, type: "note", ttl: 1_000 })
    const send = a.surely({ type: "hub:send", pattern: "ask", payload: { to: B, type: "note" }, ttl: 1_000 })
    a.take()
    hub.advance(1_500)
    expect(takeSequenced(resume(hub, b))).toEqual([])
    expect(a.takeOf("hub:error")).toMatchObject([
      { correlationId: tell, seq: 1, payload: { code: "message_expired" } },
      { correlationId: send, seq: 2, payload: { code: "message_expired" } },
    ])
    const late = a.surely({ to: B, type: "note", ttl: 0 })
    expect(a.takeOf("hub:error")).toMatchObject([{ correlationId: late, seq: 3 }])
    a.send({ to: B, type: "volatile", ttl: 0 })
    expect(a.takeOf("hub:error")).toEqual([])
  })

  it("an ask that expires before it is transmitted ends typed", () => {
    const { hub, a, b } = pair()
    b.drop()
    a.surely({ to: B, type: "note", payload: 1 })
    const id = a.send({ to: B, type: "question", pattern: "ask", ttl: 0, seq: 2 })
    expect(a.takeOf("hub:error")).toMatchObject([{ correlationId: id, payload: { code: "message_expired" } }])
    expect(rows(hub)).toBe(2)
  })

  it("fault 39: who leaves refusals of its own in it, too, is put out until it reads, and loses none", () => {
    const { hub, a } = pair({ maxOutboxEnvelopes: 3 })
    a.drop()
    let client = resume(hub, a)
    const came: Array<Received> = []
    const types = () => Array.from({ length: 20 }, (_, n) => ({ to: "@(nobody/x)", type: `${n}` }))
    client.surelyAll(types())
    hub.advance(0)
    expect(client.socket.close?.code).toBe(4413)
    expect(client.take().at(-1)).toMatchObject({
      type: "hub:disconnect",
      payload: { reason: "slow_consumer" },
    })
    expect(rows(hub)).toBe(1)
    client = resume(hub, client, 0)
    came.push(...takeSequenced(client))
    expect(came.map(({ type, seq }) => [type, seq])).toEqual(
      Array.from({ length: 20 }, (_, n) => ["hub:unknown_actor", n + 1]),
    )
    acknowledge(client, 20)
    client.surely({ to: B, type: "read" })
    hub.advance(1_000)
    expect(client.socket.close).toBe(undefined)
  })

  it("is rows that a database takes, whatever form the reader's codec gives them", () => {
    const { hub, a, b } = pair()
    const payload = Array.from({ length: 250_000 }, () => 1.5)
    const wide = "漢".repeat(200_000)
    b.drop()
    a.surely({ to: B, type: "numbers", payload })
    a.surelyAll([1, 2, 3].map((n) => ({ to: B, type: "wide", payload: wide + n })))
    const longest = () =>
      hub.sql.all<{ bytes: number }>("SELECT max(length(CAST(frame AS BLOB))) AS bytes FROM outbox")[0]!.bytes
    expect(longest()).toBeLessThan(1_100_000)
    const again = resume(hub, b)
    for (const through of [1, 2, 3]) acknowledge(again, through)
    const came = takeSequenced(again)
    expect(came.map(({ type, seq }) => [type, seq])).toEqual([
      ["numbers", 1],
      ["wide", 2],
      ["wide", 3],
      ["wide", 4],
    ])
    expect(came[0]!.payload).toEqual(payload)
    expect(longest()).toBeLessThan(1_100_000)
  })

  it("a full outbox refuses what is reliable, and drops nothing", () => {
    const { hub, a, b } = pair({ maxOutboxEnvelopes: 2 })
    b.drop()
    for (const type of ["1", "2", "3"]) a.surely({ to: B, type })
    expect(takeSequenced(a)).toMatchObject([{ type: "hub:error", payload: { code: "queue_full" }, seq: 1 }])
    expect(numbers(takeSequenced(resume(hub, b)))).toEqual([
      ["1", 1],
      ["2", 2],
    ])
  })

  it("is told as queued to who sends by hub:send", () => {
    const { a, b } = pair()
    b.drop()
    a.surely({ type: "hub:send", pattern: "ask", payload: { to: B, type: "note", data: 1 } })
    expect(takeSequenced(a)).toMatchObject([{ type: "hub:delivery_ack", payload: { status: "queued" } }])
  })
})

describe("takeover by another process", () => {
  it("fault 12: the outbox passes, in order and renumbered, before anything live; answers are nobody's", () => {
    const { hub, a, b } = pair()
    const asked = b.surely({ to: A, type: "question", pattern: "ask" })
    a.surely({ to: B, type: "1" })
    a.surely({ to: B, type: "answer", correlationId: asked })
    a.surely({ to: B, type: "2" })
    acknowledge(b, 1)
    const question = a.surely({ to: B, type: "question", pattern: "ask" })
    const winner = hub.connect(B, V1)
    a.surely({ to: B, type: "3" })
    expect(winner.session).toMatchObject({ resumed: false, inSeq: 0, outFirst: 1, outNext: 1 })
    expect(numbers(takeSequenced(winner))).toEqual([
      ["2", 1],
      ["question", 2],
      ["3", 3],
    ])
    expect(b.socket.close?.code).toBe(4409)
    winner.surely({ to: A, type: "answer", correlationId: question })
    expect(a.takeOf("answer")).toHaveLength(1)
  })

  it("an ask that the loser had taken and not answered ends typed", () => {
    const { hub, a, b } = pair()
    const id = a.surely({ to: B, type: "question", pattern: "ask" })
    acknowledge(b, 1)
    hub.connect(B, V1)
    expect(a.takeOf("hub:error")).toMatchObject([
      { correlationId: id, payload: { code: "actor_terminated" } },
    ])
  })

  it("passes to a session that claims the identity by registering it", () => {
    const { hub, a, b } = pair()
    b.drop()
    a.surely({ to: B, type: "1" })
    const winner = hub.connect(undefined, V1)
    winner.surely({ to: A, type: "hello" })
    winner.register(B)
    a.surely({ to: B, type: "2" })
    expect(numbers(takeSequenced(winner))).toEqual([
      ["1", 1],
      ["2", 2],
    ])
  })

  it("brings an ask, and with it that it was given up", () => {
    const { hub, a, b } = pair()
    const old = a.surely({ to: B, type: "old question", pattern: "ask" })
    acknowledge(b, 1)
    a.surely({ to: B, type: "actor:cancel", correlationId: old })
    const id = a.surely({ to: B, type: "question", pattern: "ask" })
    a.surely({ to: B, type: "actor:cancel", correlationId: id })
    const winner = hub.connect(B, V1)
    expect(takeSequenced(winner).map(({ type, correlationId }) => [type, correlationId])).toEqual([
      ["question", null],
      ["actor:cancel", id],
    ])
  })

  it("is answered before the winner hears what it led to", () => {
    const hub = new TestHub()
    const loser = hub.connect(A, { ...V1, sessionExpirySeconds: 0 })
    loser.register("@(node/other)")
    loser.watch("@(node/other)")
    const winner = hub.open()
    winner.send({ type: "hub:connect", pattern: "ask", metadata: { ...V1, actorIdentity: A } })
    expect(winner.take()).toMatchObject([
      { type: "hub:connected", payload: { session: { outNext: 1 } } },
      { type: "hub:terminated", payload: { actorAddress: "@(node/other)" }, seq: 1 },
    ])
  })

  it("that starts clean ends all that was", () => {
    const { hub, a, b } = pair()
    b.register(B)
    b.subscribe("news")
    a.watch(B)
    a.surely({ to: B, type: "1" })
    const winner = hub.connect(B, { ...V1, cleanStart: true })
    expect(winner.session).toMatchObject({
      resumed: false,
      kept: { registrations: 0, subscriptions: 0, watches: 0 },
      epoch: 2,
    })
    expect(takeSequenced(winner)).toEqual([])
    expect(rows(hub)).toBe(1)
    expect(takeSequenced(a)).toMatchObject([{ type: "hub:terminated", seq: 1 }])
    expect(b.socket.close?.code).toBe(4409)
  })
})

describe("costs", () => {
  it("a volatile message writes nothing, a reliable one a row of the outbox and the sender's numbers", () => {
    const { hub, a, b } = pair()
    const writes = (work: () => void) =>
      hub.sql.record(work).filter((query) => /^(INSERT|UPDATE|DELETE)/.test(query))
    expect(writes(() => a.tell(B, "volatile"))).toEqual([])
    const reliable = writes(() => a.surely({ to: B, type: "reliable" }))
    expect(reliable).toHaveLength(2)
    expect(reliable[0]).toMatch(/^INSERT INTO outbox/)
    expect(reliable[1]).toMatch(/^UPDATE session SET in_seq/)
    // A receipt makes no commit of its own but for the last.
    expect(writes(() => acknowledge(b, 1))).toEqual([])
    const next = writes(() => a.surely({ to: B, type: "next" }))
    expect(next.map((query) => query.split(" ")[0])).toEqual(["INSERT", "UPDATE", "DELETE", "UPDATE"])
    acknowledge(b, 2)
    expect(writes(() => hub.advance(DEFAULT_LIMITS.ackInterval))).toHaveLength(2)
    expect(rows(hub)).toBe(0)
  })
})
