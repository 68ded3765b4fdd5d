import { describe, expect, it } from "vitest"
import { TestHub } from "../support/TestHub.ts"

const two = (limits = {}) => {
  const hub = new TestHub(limits)
  return { hub, a: hub.connect("@(node/a)"), b: hub.connect("@(node/b)") }
}

describe("asks", () => {
  it("fault 33: an actor is asked and its own answer comes back, as it gave it", () => {
    const { a, b } = two()
    const id = a.ask("@(node/b)", "question", { n: 1 })
    const question = b.takeOne()
    expect(question).toMatchObject({
      id,
      from: "@(node/a)",
      type: "question",
      pattern: "ask",
      payload: { n: 1 },
    })
    expect(a.take()).toEqual([])
    b.answer(question, { answer: 42 })
    expect(a.takeOne()).toMatchObject({
      type: "answer",
      from: "@(node/b)",
      correlationId: id,
      payload: { answer: 42 },
    })
  })

  it("an actor's failure comes back as it gave it", () => {
    const { a, b } = two()
    a.ask("@(node/b)", "question")
    const failure = { code: "no", message: "no", data: { x: 1 }, retryable: true }
    b.answer(b.takeOne(), failure, { type: "actor:error" })
    expect(a.takeOne()).toMatchObject({ type: "actor:error", payload: failure })
  })

  it("only one answer passes", () => {
    const { hub, a, b } = two()
    a.ask("@(node/b)", "question")
    const question = b.takeOne()
    b.answer(question, 1)
    b.answer(question, 2)
    expect(a.takeOne().payload).toBe(1)
    expect(hub.core.state.deadLetters.recent()).toMatchObject([{ reason: "no_such_ask" }])
  })

  it("nobody else's answer passes, and the right one still does", () => {
    const { hub, a, b } = two()
    const c = hub.connect("@(node/c)")
    a.ask("@(node/b)", "question")
    const question = b.takeOne()
    c.answer(question, "forged")
    c.answer(question, "forged", { from: "@(node/b)" })
    expect(a.take()).toEqual([])
    b.answer(question, "true")
    expect(a.takeOne().payload).toBe("true")
  })

  it("an answer to nobody's ask is dropped", () => {
    const { a, b } = two()
    b.send({ to: "@(node/a)", type: "answer", correlationId: "never" })
    expect(a.take()).toEqual([])
  })

  it("fault 31: the id of an open ask is refused until it is over", () => {
    const { a, b } = two()
    a.send({ id: "same", to: "@(node/b)", pattern: "ask" })
    a.send({ id: "same", to: "@(node/b)", pattern: "ask" })
    expect(a.takeOne().payload).toMatchObject({ code: "invalid_message" })
    b.answer(b.takeOne(), 1)
    a.take()
    a.send({ id: "same", to: "@(node/b)", pattern: "ask" })
    expect(b.take()).toHaveLength(1)
  })

  it("two sessions may use one id", () => {
    const { hub, a, b } = two()
    const c = hub.connect("@(node/c)")
    for (const client of [a, c]) client.send({ id: "same", to: "@(node/b)", pattern: "ask" })
    const [first, second] = b.take()
    b.answer(second!, "to c")
    b.answer(first!, "to a")
    expect(a.takeOne().payload).toBe("to a")
    expect(c.takeOne().payload).toBe("to c")
  })

  it("times out after its ttl, and after 30 s without one; a late answer goes nowhere", () => {
    const { hub, a, b } = two()
    const quick = a.ask("@(node/b)", "question", null, 300)
    const slow = a.ask("@(node/b)", "question")
    const [first] = b.take()
    hub.advance(299)
    expect(a.take()).toEqual([])
    hub.advance(1)
    expect(a.takeOne()).toMatchObject({ correlationId: quick, payload: { code: "timeout", retryable: true } })
    b.answer(first!, "late")
    hub.advance(29_699)
    expect(a.take()).toEqual([])
    hub.advance(1)
    expect(a.takeOne()).toMatchObject({ correlationId: slow, payload: { code: "timeout" } })
  })

  it("a short one is not held up by an older one's timer", () => {
    const { hub, a } = two()
    a.ask("@(node/b)", "question")
    hub.advance(1)
    a.ask("@(node/b)", "question", null, 10)
    hub.advance(10)
    expect(a.takeOne().payload).toMatchObject({ code: "timeout" })
  })

  it("a longer ttl than a day is brought down to one", () => {
    const { hub, a, b } = two({ sweepInterval: Number.POSITIVE_INFINITY })
    a.ask("@(node/b)", "question", null, 1e300)
    b.take()
    hub.advance(24 * 3_600_000 - 1)
    expect(a.take()).toEqual([])
    hub.advance(1)
    expect(a.takeOne().payload).toMatchObject({ code: "timeout" })
  })

  it("a session may have so many open, and not one more, also after memory was lost", () => {
    const { hub, a, b } = two({ maxAsksPerSession: 2 })
    a.ask("@(node/b)", "question")
    a.ask("@(node/b)", "question")
    a.ask("@(node/b)", "question")
    expect(a.takeOne().payload).toMatchObject({ code: "too_many_asks", retryable: true })
    hub.advance(1_000)
    expect(hub.evict()).toBe(true)
    a.ask("@(node/b)", "question")
    expect(a.takeOne().payload).toMatchObject({ code: "too_many_asks" })
    b.answer(b.take()[0]!, 1)
    a.take()
    a.ask("@(node/b)", "question")
    expect(a.take()).toEqual([])
  })

  it("ends actor_terminated when who is asked goes away, with its asker told once", () => {
    const { hub, a, b } = two()
    const young = a.ask("@(node/b)", "question")
    b.drop()
    expect(a.takeOne()).toMatchObject({
      correlationId: young,
      payload: { code: "actor_terminated", retryable: true },
    })
    hub.advance(60_000)
    expect(a.take()).toEqual([])
  })

  it("is told of once when both ends are found to be gone", () => {
    const { hub, a, b } = two()
    a.ask("@(node/b)", "question")
    a.ask("@(node/b)", "question")
    hub.advance(1_000)
    // The asker's socket is gone, and nobody was told: it is found when it is to hear of the end.
    a.socket.isOpen = false
    hub.evict()
    b.drop()
    expect(hub.sql.count("ask")).toBe(0)
    expect(hub.sql.count("session")).toBe(0)
    const c = hub.connect("@(node/c)")
    const d = hub.connect("@(node/d)")
    c.ask("@(node/d)", "question", null, 5)
    hub.advance(5)
    expect(c.takeOne().payload).toMatchObject({ code: "timeout" })
    expect(d.take()).toHaveLength(1)
  })

  it("costs no row when it is answered within a second", () => {
    const { hub, a, b } = two()
    const ask = () => a.ask("@(node/b)", "question")
    // Rows of an earlier memory are counted once.
    ask()
    b.answer(b.takeOne(), 1)
    const statements = hub.sql.record(() => {
      ask()
      hub.advance(999)
      b.answer(b.takeOne(), 1)
      hub.advance(1_000)
    })
    expect(statements).toEqual([])
    expect(hub.isBusy).toBe(false)
  })

  it("keeps nothing awake from when the last of them is answered", () => {
    const { hub, a, b } = two()
    a.ask("@(node/b)", "question")
    a.ask("@(node/b)", "question")
    const [first, second] = b.take()
    b.answer(first!, 1)
    expect(hub.isBusy).toBe(true)
    b.answer(second!, 2)
    expect(hub.isBusy).toBe(false)
  })
})

describe("asks over hibernation", () => {
  it("fault 5: one older than a second outlives memory, and is answered once", () => {
    const { hub, a, b } = two()
    const id = a.ask("@(node/b)", "question")
    expect(hub.evict()).toBe(false)
    hub.advance(1_000)
    expect(hub.evict()).toBe(true)
    const question = b.takeOne()
    b.answer(question, 1)
    b.answer(question, 2)
    expect(a.takeOne()).toMatchObject({ correlationId: id, payload: 1 })
    expect(hub.sql.count("ask")).toBe(0)
  })

  it("fault 5: one that nobody answers times out by the alarm, on time and once", () => {
    const { hub, a } = two()
    const id = a.ask("@(node/b)", "question", null, 10_000)
    hub.advance(1_000)
    hub.evict()
    hub.advance(8_999)
    expect(a.take()).toEqual([])
    hub.advance(1)
    expect(a.takeOne()).toMatchObject({ correlationId: id, payload: { code: "timeout" } })
    hub.evict()
    hub.advance(60_000)
    expect(a.takeOf("hub:error")).toEqual([])
  })

  it("fault 5: of several each times out on its own time", () => {
    const { hub, a } = two()
    for (const ttl of [5_000, 10_000, 20_000]) a.ask("@(node/b)", "question", ttl, ttl)
    hub.advance(1_000)
    for (const wait of [4_000, 5_000, 10_000]) {
      hub.evict()
      hub.advance(wait - 1)
      expect(a.take()).toEqual([])
      hub.advance(1)
      expect(a.takeOne().payload).toMatchObject({ code: "timeout" })
    }
  })

  it("fault 5: its asker hears at once when who is asked goes away after an eviction", () => {
    const { hub, a, b } = two()
    const id = a.ask("@(node/b)", "question")
    hub.advance(1_000)
    hub.evict()
    b.drop()
    expect(a.takeOne()).toMatchObject({ correlationId: id, payload: { code: "actor_terminated" } })
  })

  it("a crash loses one that is younger than a second, and keeps an older one", () => {
    const { hub, a, b } = two({ defaultSessionExpirySeconds: [60, 60] })
    const [c, d] = [hub.connect("@(node/c)"), hub.connect("@(node/d)")]
    a.ask("@(node/b)", "question", null, 40_000)
    hub.advance(1_000)
    c.ask("@(node/d)", "question", null, 40_000)
    hub.crash()
    expect(hub.sql.count("ask")).toBe(1)
    expect([a, b, c, d].map(({ socket }) => socket.isOpen)).toEqual([false, false, false, false])
  })
})

describe("giving up, forwarding, streams", () => {
  it("a cancel reaches the actor, and the hub forgets the ask", () => {
    const { hub, a, b } = two()
    const id = a.ask("@(node/b)", "question")
    const question = b.takeOne()
    a.send({ to: "@(node/b)", type: "actor:cancel", correlationId: id })
    expect(b.takeOne()).toMatchObject({ type: "actor:cancel", correlationId: id, from: "@(node/a)" })
    b.answer(question, "late")
    hub.advance(60_000)
    expect(a.takeOf("answer")).toEqual([])
    expect(a.takeOf("hub:error")).toEqual([])
  })

  it("nobody cancels another's ask", () => {
    const { hub, a, b } = two()
    const c = hub.connect("@(node/c)")
    const id = a.ask("@(node/b)", "question")
    const question = b.takeOne()
    c.send({ to: "@(node/b)", type: "actor:cancel", correlationId: id })
    expect(b.take()).toEqual([])
    b.answer(question, 1)
    expect(a.takeOne().payload).toBe(1)
  })

  it("a forwarded ask is the asker's still, and the new target answers in its place", () => {
    const { hub, a, b } = two()
    const c = hub.connect("@(node/c)")
    const id = a.ask("@(node/b)", "question", 5)
    const question = b.takeOne()
    const forward = { id, from: "@(node/a)", to: "@(node/c)", type: "question", payload: 5, pattern: "ask" }
    b.send({ ...forward, metadata: { forwardOf: id } })
    const forwarded = c.takeOne()
    expect(forwarded).toMatchObject({ id, from: "@(node/a)", payload: 5, pattern: "ask" })
    b.answer(question, "not mine any more")
    c.answer(forwarded, "mine")
    expect(a.takeOne()).toMatchObject({ from: "@(node/c)", payload: "mine", correlationId: id })
  })

  it("a cancel of a forwarded ask reaches who holds it now", () => {
    const { hub, a, b } = two()
    const c = hub.connect("@(node/c)")
    const id = a.ask("@(node/b)", "question")
    const { type, payload } = b.takeOne()
    const forward = { id, from: "@(node/a)", to: "@(node/c)", type, payload, pattern: "ask" }
    b.send({ ...forward, metadata: { forwardOf: id } })
    c.take()
    a.send({ to: "@(node/b)", type: "actor:cancel", correlationId: id })
    expect(c.takeOne()).toMatchObject({ type: "actor:cancel", to: "@(node/c)", correlationId: id })
    expect(b.take()).toEqual([])
  })

  it("forwarding an ask that is not one's own does not speak for another", () => {
    const { hub, a, b } = two()
    const c = hub.connect("@(node/c)")
    const id = a.ask("@(node/b)", "question")
    b.take()
    c.send({ id, from: "@(node/a)", to: "@(node/c)", pattern: "ask", metadata: { forwardOf: id } })
    expect(c.takeOne().from).toBe("@(node/c)")
  })

  it("forwarding to nobody tells the asker", () => {
    const { a, b } = two()
    const id = a.ask("@(node/b)", "question")
    b.take()
    const forward = { id, from: "@(node/a)", to: "@(node/none)", type: "question", pattern: "ask" }
    b.send({ ...forward, metadata: { forwardOf: id } })
    expect(a.takeOne()).toMatchObject({ type: "hub:unknown_actor", correlationId: id })
    expect(b.take()).toEqual([])
  })

  it("a stream's answers all pass until the last, each giving it as long again", () => {
    const { hub, a, b } = two()
    const id = a.ask("@(node/b)", "question", null, 10_000)
    const question = b.takeOne()
    const answer = (n: number, done: boolean) => b.answer(question, n, { metadata: { stream: { n, done } } })
    answer(1, false)
    hub.advance(9_000)
    hub.evict()
    answer(2, false)
    hub.advance(9_000)
    a.send({ to: "@(node/b)", type: "actor:demand", correlationId: id, payload: { n: 16 } })
    expect(b.takeOne().type).toBe("actor:demand")
    answer(3, true)
    answer(4, true)
    expect(a.take().map(({ payload }) => payload)).toEqual([1, 2, 3])
  })

  it("a stream whose asker demands, be it nothing, has as long again for its next answer", () => {
    const { hub, a, b } = two()
    const id = a.ask("@(node/b)", "question", null, 10_000)
    const question = b.takeOne()
    for (const n of [16, 0, 0]) {
      hub.advance(9_000)
      if (n === 0) hub.evict()
      a.send({ to: "@(node/b)", type: "actor:demand", correlationId: id, payload: { n } })
    }
    hub.advance(9_000)
    b.answer(question, 1, { metadata: { stream: { n: 1, done: true } } })
    expect(a.take().map(({ payload }) => payload)).toEqual([1])
  })

  it("a stream that falls silent times out", () => {
    const { hub, a, b } = two()
    a.ask("@(node/b)", "question", null, 5_000)
    b.answer(b.takeOne(), 1, { metadata: { stream: { n: 1, done: false } } })
    a.take()
    hub.advance(5_000)
    expect(a.takeOne().payload).toMatchObject({ code: "timeout" })
  })

  it("a stream ends with the actor's failure, whatever its metadata says", () => {
    const { hub, a, b } = two()
    a.ask("@(node/b)", "question")
    const failure = { code: "no", message: "no", retryable: false }
    b.answer(b.takeOne(), failure, { type: "actor:error", metadata: { stream: { n: 1, done: false } } })
    expect(a.takeOne().type).toBe("actor:error")
    hub.advance(60_000)
    expect(a.takeOf("hub:error")).toEqual([])
  })
})
