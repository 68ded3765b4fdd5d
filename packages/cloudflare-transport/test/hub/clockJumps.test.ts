/** The clock of an object's host is set back or forward: what is stored stays safe, and nothing waits for the clock. */
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"
import { ObjectTimers } from "../../src/object/ObjectTimers.ts"
import { DEFAULT_LIMITS } from "../../src/protocol/Limits.ts"
import { elapsedSince } from "../../src/protocol/WallTime.ts"
import { fullBucket, RateBucket } from "../../src/session/RateBucket.ts"
import { countTakeover } from "../../src/session/Takeover.ts"
import { TestHub } from "../support/TestHub.ts"

const HOUR = 3_600_000

describe.each([
  ["back by 60 s", [-60_000]],
  ["forward by 1 h and back", [HOUR, -HOUR]],
  ["back by a day", [-24 * HOUR]],
] as const)("a clock that is set %s", (_, jumps) => {
  /** A hub with somebody who pings and somebody who is dead, after the jumps, with a frame in between. */
  const jumped = () => {
    const hub = new TestHub()
    const pings = hub.connect("@(node/pings)")
    const dead = hub.connect("@(node/dead)")
    for (let second = 0; second < 70; second++) {
      if (second % 25 === 0) for (const { socket } of [pings, dead]) hub.ping(socket)
      hub.advance(1_000)
    }
    for (const by of jumps) {
      hub.jump(by)
      pings.request("hub:heartbeat", { timestamp: 1 })
    }
    return { hub, pings, dead }
  }

  it("fault 50: nobody who is alive is disconnected, and who is dead is found in time", () => {
    const { dead, hub, pings } = jumped()
    for (let second = 0; second < 300; second++) {
      if (second % 25 === 0) {
        hub.ping(pings.socket)
        // A frame makes the hub look at the clock.
        pings.request("hub:heartbeat", { timestamp: 1 })
      }
      hub.advance(1_000)
    }
    expect(pings.socket.close).toBe(undefined)
    expect(dead.socket.close?.code).toBe(4408)
  })

  it("fault 50: nor is who only pings, where the hub looks before the next ping", () => {
    const hub = new TestHub()
    const idle = hub.connect("@(node/idle)")
    for (let second = 0; second < 110; second++) {
      if (second % 25 === 0) hub.ping(idle.socket)
      hub.advance(1_000)
    }
    for (const by of jumps) {
      hub.jump(by)
      // Not in the hour that it seems to be silent for: the next ping comes before the next look.
      if (by < 0) hub.alarm()
    }
    hub.advance(1_000)
    expect(idle.socket.close).toBe(undefined)
  })

  it("fault 50: messages pass at once, and an ask is answered", () => {
    const { hub, pings } = jumped()
    const asks = hub.connect("@(node/asks)")
    asks.tell("@(node/pings)", "note", 1)
    expect(pings.takeOne()).toMatchObject({ type: "note", payload: 1 })
  })

  it("fault 50: a rate is as it was, and old refusals and takeovers are forgotten", () => {
    let now = 1_800_000_000_000
    const bucket = new RateBucket(DEFAULT_LIMITS, fullBucket(DEFAULT_LIMITS, now))
    const { abuseWindow, envelopeBurst, maxEnvelopesPerSecond, maxRefusals, maxTakeovers } = DEFAULT_LIMITS
    for (let n = 0; n < envelopeBurst; n++) bucket.take()
    let takeovers = { count: maxTakeovers, since: now }
    for (let n = 0; n < maxRefusals - 2; n++) bucket.refuse(now)
    for (const by of jumps) {
      now += by
      bucket.refill(now)
    }
    now += 1_000
    bucket.refill(now)
    for (let n = 0; n < maxEnvelopesPerSecond; n++) expect(bucket.take()).toBe(true)
    now += abuseWindow
    expect(bucket.refuse(now).tooMany).toBe(false)
    expect(bucket.refuse(now).tooMany).toBe(false)
    takeovers = countTakeover(takeovers, DEFAULT_LIMITS, now) as typeof takeovers
    expect(takeovers).toEqual({ count: 1, since: now })
  })

  it("fault 50: who never says hub:connect is closed in time", () => {
    const hub = new TestHub()
    const socket = hub.open()
    hub.advance(1_000)
    for (const by of jumps) hub.jump(by)
    hub.advance(2 * DEFAULT_LIMITS.connectTimeout)
    expect(socket.socket.close?.code).toBe(4408)
  })
})

describe("timers in the memory of an object", () => {
  beforeEach(() => void vi.useFakeTimers({ now: 1_800_000_000_000 }))
  afterEach(() => void vi.useRealTimers())

  it.each([-60_000, -24 * HOUR])(
    "fault 50: come in their time where the clock is set back by %s ms",
    (by) => {
      const done: Array<string> = []
      const { later } = new ObjectTimers((task) => task())
      later(100, () => done.push("a"))
      later(5_000, () => done.push("b"))
      vi.setSystemTime(Date.now() + by)
      later(200, () => done.push("c"))
      vi.advanceTimersByTime(100)
      expect(done).toEqual(["a"])
      vi.advanceTimersByTime(100)
      expect(done).toEqual(["a", "c"])
      vi.advanceTimersByTime(4_800)
      expect(done).toEqual(["a", "c", "b"])
    },
  )
})

it("a moment in the future is long ago", () => {
  expect(elapsedSince(5, 7)).toBe(2)
  expect(elapsedSince(7, 7)).toBe(0)
  expect(elapsedSince(8, 7)).toBe(Infinity)
})
