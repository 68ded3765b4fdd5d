import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import type { TestClient } from "../support/TestClient.ts"
import { TestHub } from "../support/TestHub.ts"

/** Small, so that few messages make a reader slow. */
const LIMITS = { pauseThreshold: 4_000, resumeThreshold: 1_000, maxUnacknowledged: 64_000 }
const SLOW = "@(node/slow)"
const V1 = { protocolVersion: "1.0.0" }
const text = "x".repeat(1_000)

const pair = (limits = {}) => {
  const hub = new TestHub({ ...LIMITS, ...limits })
  const slow = hub.connect(SLOW, V1)
  const sender = hub.connect("@(node/sender)", V1)
  return { hub, slow, sender }
}

/** Says that everything that was sent on its socket has arrived. */
const ackAll = (client: TestClient): void => {
  client.send({ type: "hub:ack", payload: { through: 0, bytes: client.socket.received } })
}

/** Tells until the reader is slow; the last of them told its sender so. */
const makeSlow = (sender: TestClient, to = SLOW): number => {
  for (let n = 1; n < 100; n++) {
    sender.tell(to, "note", text)
    if (sender.takeOf("hub:pause").length > 0) return n
  }
  throw new Error("nobody was told to pause")
}

/** Goes on to tell a slow reader, until the hub takes no more. Gives how many it took, and the one refused. */
const fill = (sender: TestClient, to = SLOW): { readonly taken: number; readonly refused: string } => {
  for (let taken = 0; taken < 100; taken++) {
    const told = sender.tell(to, "note", text)
    if (sender.take().some(({ payload }) => payload.code === "queue_full")) return { taken, refused: told }
  }
  throw new Error("all of it was taken")
}

describe("a reader that falls behind", () => {
  it("fault 39: its sender is told to pause once, and told when it may go on; it is refused what is too much", () => {
    const { slow, sender } = pair()
    const delivered = makeSlow(sender)
    expect(slow.take()).toHaveLength(delivered)
    // On its way when the pause came.
    sender.tell(SLOW, "note", "more")
    expect(slow.takeOne().payload).toBe("more")
    expect(sender.take()).toEqual([])
    const { taken } = fill(sender)
    expect(slow.take()).toHaveLength(taken)
    expect(slow.socket.received).toBeGreaterThan(LIMITS.pauseThreshold * 8)
    expect(slow.socket.received).toBeLessThan(LIMITS.pauseThreshold * 8 + 2 * text.length)
    const refused = sender.tell(SLOW, "note", "more")
    expect(sender.takeOne()).toMatchObject({
      type: "hub:error",
      correlationId: refused,
      payload: { code: "queue_full", retryable: true, details: { actorAddress: SLOW } },
    })
    expect(slow.take()).toEqual([])
    ackAll(slow)
    expect(sender.takeOne()).toMatchObject({
      type: "hub:resume",
      payload: { actorAddress: SLOW },
      correlationId: null,
    })
    sender.tell(SLOW, "note", "again")
    expect(slow.takeOne().payload).toBe("again")
    expect(sender.take()).toEqual([])
  })

  it("more than the threshold makes it slow, exactly the threshold does not", () => {
    const { hub, slow, sender } = pair()
    ackAll(slow)
    const before = slow.socket.received
    sender.tell(SLOW, "note", text)
    const size = slow.socket.received - before
    const second = pair({ pauseThreshold: size })
    ackAll(second.slow)
    second.sender.tell(SLOW, "note", text)
    second.sender.tell(SLOW, "note", "")
    expect(second.sender.take()).toEqual([])
    second.sender.tell(SLOW, "note", "")
    expect(second.sender.takeOne().type).toBe("hub:pause")
    expect(hub.connection(slow.socket.id)?.flow.slow).toBe(false)
  })

  it("goes on as before once less than the lower threshold is left, not at it", () => {
    const { hub, slow, sender } = pair()
    makeSlow(sender)
    const ack = (bytes: number) => slow.send({ type: "hub:ack", payload: { bytes } })
    ack(slow.socket.received - LIMITS.resumeThreshold)
    expect(sender.take()).toEqual([])
    expect(hub.sql.count("pause")).toBe(1)
    ack(slow.socket.received - LIMITS.resumeThreshold + 1)
    expect(sender.takeOne().type).toBe("hub:resume")
    expect(hub.sql.count("pause")).toBe(0)
  })

  it("each sender is told by each address that it uses, of either protocol; who does not send is not", () => {
    const { hub, slow, sender } = pair()
    slow.register("@(room/1)")
    const old = hub.connect("@(node/old)")
    const other = hub.connect("@(node/other)")
    makeSlow(sender)
    sender.tell("@(room/1)", "note")
    old.tell(SLOW, "note")
    expect(sender.takeOne()).toMatchObject({ type: "hub:pause", payload: { actorAddress: "@(room/1)" } })
    expect(old.takeOne()).toMatchObject({ type: "hub:pause", payload: { actorAddress: SLOW } })
    ackAll(slow)
    expect(sender.take().map(({ payload }) => payload.actorAddress)).toEqual([SLOW, "@(room/1)"])
    expect(old.takeOne().type).toBe("hub:resume")
    expect(other.take()).toEqual([])
  })

  it("asks, answers, forwards and hub:send are refused like tells, and what they were about stays open", () => {
    const { slow, sender } = pair()
    slow.ask("@(node/sender)", "question")
    const asked = sender.takeOne()
    makeSlow(sender)
    fill(sender)
    slow.take()
    const codes = () => sender.take().map(({ payload, correlationId }) => [payload.code, correlationId])
    const ask = sender.ask(SLOW, "question")
    expect(codes()).toEqual([["queue_full", ask]])
    const send = sender.send({ type: "hub:send", payload: { to: SLOW, type: "note", data: 1 } })
    expect(codes()).toEqual([["queue_full", send]])
    const answer = sender.answer(asked, 42)
    expect(codes()).toEqual([["queue_full", answer]])
    ackAll(slow)
    sender.take()
    // Nothing of it came, and the refused answer can be given again.
    expect(slow.take()).toEqual([])
    sender.answer(asked, 42)
    expect(slow.takeOne()).toMatchObject({ correlationId: asked.id, payload: 42 })
  })

  it("publications and broadcasts are dropped for it alone, and counted", () => {
    const { hub, slow, sender } = pair()
    const quick = hub.connect("@(node/quick)")
    for (const one of [slow, quick]) {
      one.subscribe("news")
      one.register(one.identity!)
    }
    makeSlow(sender)
    slow.take()
    const published = sender.request("hub:publish", { topic: "news", type: "item", data: 1 })
    expect(published.payload.subscriberCount).toBe(1)
    const broadcast = sender.request("hub:broadcast", { type: "note", data: 1 })
    expect(broadcast.payload).toMatchObject({ deliveredCount: 1, failedCount: 1 })
    expect(slow.take()).toEqual([])
    expect(quick.take()).toHaveLength(2)
    expect(sender.request("hub:metrics").payload).toMatchObject({ dropped: 2, dead_letters: 2 })
    expect(hub.core.state.deadLetters.recent()).toMatchObject([
      { to: SLOW, reason: "slow_consumer" },
      { to: SLOW, reason: "slow_consumer" },
    ])
    ackAll(slow)
    expect(sender.request("hub:publish", { topic: "news", type: "item" }).payload.subscriberCount).toBe(2)
  })

  it("what the hub answers still reaches it, until it is too far behind: slow_consumer, 4413", () => {
    const { hub, slow, sender } = pair()
    for (let n = 0; n < 20; n++) sender.register(`@(room/${n})`, { metadata: { text: text.slice(0, 100) } })
    makeSlow(sender)
    slow.take()
    sender.take()
    let pages = 0
    while (slow.socket.close === undefined && pages < 100) {
      slow.send({ type: "hub:discover", payload: { pattern: "@(room/*)" }, pattern: "ask" })
      pages++
    }
    expect(slow.socket.received).toBeGreaterThan(LIMITS.maxUnacknowledged)
    expect(slow.socket.close).toMatchObject({ code: 4413 })
    const came = slow.take()
    expect(came.slice(0, -1).every(({ type }) => type === "hub:discovered")).toBe(true)
    expect(came.at(-1)).toMatchObject({ type: "hub:disconnect", payload: { reason: "slow_consumer" } })
    // Who waited for it waits no more.
    expect(sender.takeOne().type).toBe("hub:resume")
    expect(hub.logged("session_state_changed").at(-1)).toMatchObject({ cause: "slow_consumer" })
  })

  it("no more senders are remembered than the limit; those beyond are not told, and refused what is too much", () => {
    const { hub, slow, sender } = pair({ maxPausesPerSession: 2 })
    makeSlow(sender)
    const [second, third] = [hub.connect(), hub.connect()]
    second.tell(SLOW, "note")
    third.tell(SLOW, "note")
    expect(second.takeOne().type).toBe("hub:pause")
    expect(third.take()).toEqual([])
    expect(hub.sql.count("pause")).toBe(2)
    fill(third)
    ackAll(slow)
    expect([sender, second, third].map((one) => one.take().length)).toEqual([1, 1, 0])
  })

  it("a sender whose first message is too much is told to pause too, as it waits for hub:resume", () => {
    const { hub, slow, sender } = pair()
    makeSlow(sender)
    fill(sender)
    const late = hub.connect("@(node/late)", V1)
    late.tell(SLOW, "note")
    expect(late.take().map(({ type, payload }) => [type, payload.code])).toEqual([
      ["hub:error", "queue_full"],
      ["hub:pause", undefined],
    ])
    ackAll(slow)
    expect(late.takeOne().type).toBe("hub:resume")
  })

  it("fault 71: what is reliable waits in its outbox, within that one's bounds, and comes in order behind what came", () => {
    const { hub, slow, sender } = pair({ replayWindow: LIMITS.pauseThreshold })
    const other = hub.connect("@(node/other)", V1)
    makeSlow(sender)
    fill(sender)
    slow.take()
    const before = slow.socket.received
    for (let n = 1; n <= 80; n++) sender.surely({ to: SLOW, type: "sure", payload: text })
    // More than would put it out, and none of it leaves.
    expect(slow.socket.received).toBe(before)
    expect(sender.take().map(({ type }) => type)).not.toContain("hub:error")
    // An innocent pair beside goes on.
    sender.surely({ to: "@(node/other)", type: "sure" })
    expect(other.takeOf("sure")).toHaveLength(1)
    hub.advance(1_000)
    expect(hub.evict()).toBe(true)
    const came: Array<number> = []
    for (let round = 0; round < 100 && came.length < 80; round++) {
      for (const { type, seq } of slow.take()) if (type === "sure") came.push(seq!)
      const payload = { through: came.at(-1) ?? 0, bytes: slow.socket.received }
      slow.send({ type: "hub:ack", payload })
    }
    expect(came).toEqual(Array.from({ length: 80 }, (_, n) => n + 1))
    expect(slow.socket.close).toBeUndefined()
    expect(hub.core.state.sessions.byIdentity(SLOW)?.outbox?.count).toBe(0)
  })

  it("what is volatile does not overtake what is reliable and waits; both are bounded", () => {
    const { hub, slow, sender } = pair({ maxOutboxEnvelopes: 3 })
    makeSlow(sender)
    slow.take()
    const [first] = [1, 2, 3].map((n) => sender.surely({ to: SLOW, type: "sure", payload: n }))
    sender.tell(SLOW, "note", "behind them")
    expect(first).toBeDefined()
    expect(slow.take()).toEqual([])
    const refused = sender.surely({ to: SLOW, type: "sure", payload: 4 })
    expect(sender.take().find(({ correlationId }) => correlationId === refused)?.payload.code).toBe(
      "queue_full",
    )
    const { taken } = fill(sender)
    expect(taken).toBeLessThan(30)
    ackAll(slow)
    const came = slow.take()
    expect(came.slice(0, 4).map(({ payload }) => payload)).toEqual([1, 2, 3, "behind them"])
    expect(came).toHaveLength(4 + taken)
    ackAll(slow)
    expect(hub.backlog.bytes).toBe(0)
  })
})

describe("who waits for a slow reader hears that it may go on", () => {
  it("fault 39: after memory was lost", () => {
    const { hub, slow, sender } = pair()
    makeSlow(sender)
    fill(sender)
    expect(hub.evict()).toBe(true)
    sender.tell(SLOW, "note")
    expect(sender.takeOne()).toMatchObject({ payload: { code: "queue_full" } })
    hub.evict()
    ackAll(slow)
    expect(sender.takeOne().type).toBe("hub:resume")
  })

  const endings: ReadonlyArray<
    readonly [string, (hub: TestHub, slow: TestClient, sender: TestClient) => void]
  > = [
    ["loses its connection", (_, slow) => slow.drop()],
    ["says goodbye", (_, slow) => void slow.request("hub:disconnect", {})],
    ["is taken over", (hub) => void hub.connect(SLOW, V1)],
    [
      "falls silent",
      (hub, slow, sender) => {
        for (let n = 0; n < 6; n++) {
          hub.advance(25_000)
          hub.ping(sender.socket)
        }
        expect(slow.socket.close?.code).toBe(4408)
      },
    ],
  ]
  it.each(endings)("when it %s", (_, end) => {
    const { hub, slow, sender } = pair()
    makeSlow(sender)
    end(hub, slow, sender)
    expect(sender.takeOf("hub:resume")).toMatchObject([{ payload: { actorAddress: SLOW } }])
    expect(hub.sql.count("pause")).toBe(0)
  })

  it("when its connection was gone without a word, as the sweep finds", () => {
    const { hub, sender } = pair()
    makeSlow(sender)
    hub.crash()
    hub.advance(hub.limits.sweepInterval)
    expect(hub.sql.count("pause")).toBe(0)
  })
})

describe("a reader of 0.x", () => {
  const OLD = "@(node/old)"
  const start = () => {
    const { hub, sender } = pair()
    const old = hub.connect(OLD)
    return { hub, sender, old }
  }
  const toldUntilClosed = (old: TestClient, sender: TestClient, most = 100): number => {
    for (let n = 0; n < most; n++) {
      if (old.socket.close !== undefined) return n
      sender.tell(OLD, "note", text)
    }
    return most
  }

  it("fault 71: is closed 4413 once it was sent too much since it was heard, evicted or not", () => {
    const { hub, sender, old } = start()
    for (let n = 0; n < 8; n++) sender.tell(OLD, "note", text)
    expect(hub.evict()).toBe(true)
    const more = toldUntilClosed(old, sender)
    expect(8 + more).toBeGreaterThan(LIMITS.maxUnacknowledged / (text.length + 300))
    expect(8 + more).toBeLessThan(LIMITS.maxUnacknowledged / text.length + 2)
    expect(old.socket.close).toMatchObject({ code: 4413 })
    const goodbye = old.take().at(-1)
    expect(goodbye).toMatchObject({ type: "hub:disconnect", payload: { reason: "slow_consumer" } })
    expect(goodbye?.payload.message).toMatch(/ping more often/)
    expect(hub.logged("session_state_changed").at(-1)).toMatchObject({ cause: "slow_consumer" })
    expect(sender.take()).toEqual([])
  })

  it("is never paused, and nothing is dropped for it, while it is heard: by frames", () => {
    const { sender, old } = start()
    for (let n = 0; n < 10; n++) {
      expect(toldUntilClosed(old, sender, 10)).toBe(10)
      old.request("hub:heartbeat", { timestamp: 0 })
    }
    expect(sender.take()).toEqual([])
    expect(old.take()).toHaveLength(100)
    expect(old.request("hub:queue_stats").payload.queueBytes).toBe(0)
  })

  it("is never paused, and nothing is dropped for it, while it is heard: by pings that wake nobody", () => {
    const { hub, sender, old } = start()
    for (let n = 0; n < 10; n++) {
      expect(toldUntilClosed(old, sender, 10)).toBe(10)
      hub.advance(1_000)
      hub.ping(old.socket)
      if (n % 2 === 0) expect(hub.evict()).toBe(true)
    }
    expect(sender.take()).toEqual([])
    expect(old.take()).toHaveLength(100)
    // The same ping does not count twice.
    expect(toldUntilClosed(old, sender)).toBeLessThan(80)
  })

  it("what it acknowledges means nothing", () => {
    const { old } = start()
    old.send({ type: "hub:ack", payload: { through: 9, bytes: 1e9 } })
    expect(old.take()).toEqual([])
  })
})

describe("hub:ack", () => {
  it("is not answered; what is no whole number from 0 is refused", () => {
    const { slow } = pair()
    ackAll(slow)
    expect(slow.take()).toEqual([])
    for (const bytes of [-1, 1.5, "9", null, undefined, Number.MAX_VALUE]) {
      const id = slow.send({ type: "hub:ack", payload: { through: 0, bytes } })
      expect(slow.takeOne()).toMatchObject({ correlationId: id, payload: { code: "invalid_message" } })
    }
  })

  it("fault 77: goes forward only; more than was sent is refused, and counts as nothing", () => {
    const { slow } = pair()
    const left = () => slow.request("hub:queue_stats").payload.queueBytes
    const all = slow.socket.received
    slow.send({ type: "hub:ack", payload: { bytes: all } })
    slow.send({ type: "hub:ack", payload: { bytes: 1 } })
    expect(left()).toBe(0)
    // What an eviction may have forgotten is let pass.
    slow.send({ type: "hub:ack", payload: { bytes: slow.socket.received + LIMITS.pauseThreshold / 16 } })
    expect(slow.take()).toEqual([])
    expect(left()).toBe(0)
    const behind = left() as number
    const id = slow.send({ type: "hub:ack", payload: { bytes: slow.socket.received + 1_000 } })
    const refusal = slow.takeOne()
    expect(refusal).toMatchObject({ correlationId: id, payload: { code: "invalid_message" } })
    expect(refusal.payload.message).toMatch(
      /"bytes" must be what came on this connection: \d+ bytes were sent/,
    )
    expect(left()).toBeGreaterThan(behind)
  })

  it("fault 77: who acknowledges without reading is as slow as who acknowledges nothing, after evictions too", () => {
    const { hub, slow, sender } = pair({ probeInterval: 2_000, maxUnacknowledged: 20_000 })
    const lie = () => slow.send({ type: "hub:ack", payload: { bytes: slow.socket.received } })
    let pauses = 0
    let told = 0
    while (pauses === 0 && told < 100) {
      sender.tell(SLOW, "note", text)
      told++
      lie()
      hub.evict()
      pauses += sender.takeOf("hub:pause").length
    }
    expect(pauses).toBe(1)
    expect(slow.socket.received).toBeLessThan(2_000 + LIMITS.pauseThreshold + 3 * text.length)
    lie()
    expect(sender.take()).toEqual([])
    // It reads after all, and can say so.
    slow.send({ type: "hub:ack", payload: { bytes: slow.socket.received, nonce: slow.socket.nonce } })
    hub.evict()
    slow.send({ type: "hub:ack", payload: { bytes: slow.socket.received } })
    expect(sender.takeOne().type).toBe("hub:resume")
    expect(slow.request("hub:queue_stats").payload.queueBytes).toBe(0)
  })

  it("what is no nonce is refused; one of another time means nothing", () => {
    const { slow } = pair()
    const bytes = slow.socket.received
    for (const nonce of [1, {}, "x".repeat(65)]) {
      const id = slow.send({ type: "hub:ack", payload: { through: 0, bytes, nonce } })
      expect(slow.takeOne()).toMatchObject({ correlationId: id, payload: { code: "invalid_message" } })
    }
    slow.send({ type: "hub:ack", payload: { through: 0, bytes, nonce: "of another time" } })
    expect(slow.take()).toEqual([])
  })

  it("queue_stats tells what is not acknowledged, and the thresholds", () => {
    const { slow, sender } = pair()
    ackAll(slow)
    const before = slow.socket.received
    sender.tell(SLOW, "note", "é".repeat(100))
    const size = slow.socket.received - before
    expect(size).toBeGreaterThan(200)
    expect(slow.request("hub:queue_stats").payload).toMatchObject({
      queueBytes: size,
      pauseThreshold: LIMITS.pauseThreshold,
      resumeThreshold: LIMITS.resumeThreshold,
    })
  })

  it("whatever comes in whatever order, nobody is left waiting for a reader that has everything", () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant("tell" as const), by: fc.nat(2), size: fc.nat(1_500) }),
      fc.record({ do: fc.constant("ack" as const), part: fc.double({ min: 0, max: 1, noNaN: true }) }),
      fc.record({ do: fc.constant("evict" as const) }),
      fc.record({ do: fc.constant("publish" as const), by: fc.nat(2) }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const { hub, slow } = pair({ maxUnacknowledged: 1_000_000 })
        slow.subscribe("news")
        const senders = [hub.connect(), hub.connect(), hub.connect()]
        const paused = new Set<TestClient>()
        let acked = 0
        const hear = (): void => {
          for (const sender of senders) {
            for (const { type } of sender.take()) {
              if (type === "hub:pause") {
                expect(paused.has(sender)).toBe(false)
                paused.add(sender)
              } else if (type === "hub:resume") {
                expect(paused.delete(sender)).toBe(true)
              }
            }
          }
        }
        for (const one of steps) {
          if (one.do === "tell") senders[one.by]!.tell(SLOW, "note", "x".repeat(one.size))
          else if (one.do === "evict") hub.evict()
          else if (one.do === "publish") {
            senders[one.by]!.send({ type: "hub:publish", payload: { topic: "news", type: "n", data: text } })
          } else {
            acked += Math.floor((slow.socket.received - acked) * one.part)
            slow.send({ type: "hub:ack", payload: { bytes: acked } })
          }
          hear()
        }
        ackAll(slow)
        hear()
        expect(paused.size).toBe(0)
        expect(hub.sql.count("pause")).toBe(0)
      }),
    )
  })
})

describe("fault 70: what waits for all slow readers together", () => {
  const MAX_BACKLOG = 100_000
  const crowd = (limits = {}) => {
    const hub = new TestHub({
      ...LIMITS,
      maxMessageSize: 2_000,
      maxBacklog: MAX_BACKLOG,
      envelopeBurst: 10_000,
      ...limits,
    })
    const readers = Array.from({ length: 8 }, (_, n) => hub.connect(`@(node/slow-${n})`, V1))
    const sender = hub.connect("@(node/sender)", V1)
    for (const reader of readers) makeSlow(sender, reader.identity!)
    return { hub, readers, sender }
  }
  const fillAll = (sender: TestClient, readers: ReadonlyArray<TestClient>): ReadonlyArray<number> =>
    readers.map(({ identity }) => {
      ackAll(sender)
      return fill(sender, identity!).taken
    })

  it("has a bound of its own: beyond it what is volatile is refused, for those that are behind", () => {
    const { hub, readers, sender } = crowd()
    const taken = fillAll(sender, readers)
    expect(taken[0]).toBe(taken[1])
    expect(taken.at(-1)).toBe(0)
    expect(hub.backlog.bytes).toBeLessThanOrEqual(MAX_BACKLOG)
    expect(hub.backlog.bytes).toBeGreaterThan(MAX_BACKLOG - 4_000)
    // Nobody is put out for it, and who keeps up notices nothing.
    for (const { socket } of readers) expect(socket.close).toBeUndefined()
    const quick = hub.connect("@(node/quick)", V1)
    for (let n = 0; n < 20; n++) {
      sender.tell("@(node/quick)", "note", text)
      ackAll(quick)
    }
    expect(quick.take()).toHaveLength(20)
    expect(sender.take()).toEqual([])
    // What is reliable waits in rows.
    sender.surely({ to: readers[7]!.identity!, type: "sure", payload: text })
    expect(sender.take().filter(({ type }) => type === "hub:error")).toEqual([])
  })

  it("has room again once one of them has read, and counts it no more", () => {
    const { hub, readers, sender } = crowd()
    fillAll(sender, readers)
    const before = hub.backlog.bytes
    ackAll(readers[0]!)
    const room = before - hub.backlog.bytes
    expect(room).toBeGreaterThan(20_000)
    sender.take()
    expect(fill(sender, readers[7]!.identity).taken).toBeGreaterThan(10)
    for (const reader of readers) ackAll(reader)
    expect(hub.backlog.bytes).toBe(0)
  })

  it("counts a socket that was closed until its client has answered that", () => {
    const { hub, readers, sender } = crowd()
    fillAll(sender, readers)
    const before = hub.backlog.bytes
    const [reader] = readers
    hub.core.violated(hub.connection(reader!.socket.id)!, 4413, "slow_consumer")
    hub.flush()
    // With the farewell that it was sent.
    expect(hub.backlog.bytes).toBeGreaterThan(before)
    reader!.drop()
    expect(hub.backlog.bytes).toBeLessThan(before - 20_000)
  })

  it("ends the connection of a slow reader that asks for yet more", () => {
    const { hub, readers, sender } = crowd()
    sender.register("@(node/many)", { metadata: { text } })
    fillAll(sender, readers)
    const [reader, other] = readers
    reader!.take()
    for (let n = 0; n < 10 && reader!.socket.isOpen; n++)
      reader!.ask("@(cloudflare/signal-hub)", "hub:list_actors", {})
    expect(hub.backlog.bytes).toBeGreaterThan(MAX_BACKLOG)
    expect(reader!.socket.close?.code).toBe(4413)
    expect(reader!.takeOf("hub:disconnect")[0]?.payload.reason).toBe("slow_consumer")
    expect(other!.socket.close).toBeUndefined()
  })

  it("is found again after an eviction", () => {
    const { hub, readers, sender } = crowd()
    fillAll(sender, readers)
    const before = hub.backlog.bytes
    hub.evict()
    expect(hub.backlog.bytes).toBe(0)
    sender.tell(readers[7]!.identity!, "note", text)
    expect(sender.takeOf("hub:error").at(-1)?.payload.code).toBe("queue_full")
    expect(hub.backlog.bytes).toBe(before)
  })
})
