import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import type { TestClient } from "../support/TestClient.ts"
import { TestHub } from "../support/TestHub.ts"

/** Small, so that few messages make a reader slow. */
const LIMITS = { pauseThreshold: 4_000, resumeThreshold: 1_000, maxUnacknowledged: 20_000 }
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

describe("a reader that falls behind", () => {
  it("fault 39: its sender is told to pause once, then refused, and told when it may go on", () => {
    const { slow, sender } = pair()
    const delivered = makeSlow(sender)
    expect(slow.take()).toHaveLength(delivered)
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

  it("of 0.x nobody is measured", () => {
    const { hub, sender } = pair()
    const old = hub.connect("@(node/old)")
    for (let n = 0; n < 50; n++) sender.tell("@(node/old)", "note", text)
    expect(sender.take()).toEqual([])
    expect(old.take()).toHaveLength(50)
    expect(old.request("hub:queue_stats").payload.queueBytes).toBe(0)
  })

  it("no more senders are remembered than the limit; those beyond are refused at once", () => {
    const { hub, slow, sender } = pair({ maxPausesPerSession: 2 })
    makeSlow(sender)
    const [second, third] = [hub.connect(), hub.connect()]
    second.tell(SLOW, "note")
    third.tell(SLOW, "note")
    expect(second.takeOne().type).toBe("hub:pause")
    expect(third.takeOne()).toMatchObject({ type: "hub:error", payload: { code: "queue_full" } })
    expect(hub.sql.count("pause")).toBe(2)
    ackAll(slow)
    expect([sender, second, third].map((one) => one.take().length)).toEqual([1, 1, 0])
  })
})

describe("who waits for a slow reader hears that it may go on", () => {
  it("fault 39: after memory was lost", () => {
    const { hub, slow, sender } = pair()
    makeSlow(sender)
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

  it("goes forward only, and more than was sent counts as all of it", () => {
    const { slow } = pair()
    const left = () => slow.request("hub:queue_stats").payload.queueBytes
    const all = slow.socket.received
    slow.send({ type: "hub:ack", payload: { bytes: all } })
    slow.send({ type: "hub:ack", payload: { bytes: 1 } })
    expect(left()).toBe(0)
    slow.send({ type: "hub:ack", payload: { bytes: 1_000_000 } })
    expect(left()).toBe(0)
    expect(left()).toBeGreaterThan(0)
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
            for (const { type, payload } of sender.take()) {
              if (type === "hub:pause") {
                expect(paused.has(sender)).toBe(false)
                paused.add(sender)
              } else if (type === "hub:resume") {
                expect(paused.delete(sender)).toBe(true)
              } else if (payload.code === "queue_full") expect(paused.has(sender)).toBe(true)
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
