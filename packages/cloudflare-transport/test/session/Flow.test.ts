import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import { DEFAULT_LIMITS } from "../../src/protocol/Limits.ts"
import { Backlog } from "../../src/session/Backlog.ts"
import { Flow, type FlowLimits, type FlowState, NO_FLOW } from "../../src/session/Flow.ts"

const flowOf = (
  limits: FlowLimits,
  state: FlowState = NO_FLOW,
  backlog = new Backlog(DEFAULT_LIMITS, () => {}),
): Flow => new Flow(limits, state, backlog)

/** How many acknowledgments of one byte more each say something new. */
const news = (flow: Flow): number => {
  let count = 0
  while (flow.acknowledge(flow.acked + 1).isNews) count++
  return count
}
const sent = (frames: number): Flow => {
  const flow = flowOf(DEFAULT_LIMITS)
  for (let n = 0; n < frames; n++) flow.count(100)
  return flow
}

it("an acknowledgment is news once for each frame, however many bytes it names", () => {
  expect(news(sent(3))).toBe(3)
  const flow = sent(3)
  flow.acknowledge(100)
  flow.acknowledge(100)
  flow.acknowledge(0)
  expect(news(flow)).toBe(2)
})

it("who has acknowledged all that was sent has nothing new to say", () => {
  const flow = sent(3)
  flow.acknowledge(1_000)
  expect(news(flow)).toBe(0)
  flow.count(100)
  flow.count(1_000)
  expect(news(flow)).toBe(2)
})

it("what was not acknowledged for long can't be made up for without end", () => {
  expect(news(sent(20_000))).toBe(10_000)
})

describe("probes", () => {
  const LIMITS = {
    pauseThreshold: 1_000,
    resumeThreshold: 250,
    maxUnacknowledged: 16_000,
    probeInterval: 1_000,
  }
  /** Sends a frame as a connection does: behind a probe, where one is due. Gives that probe's nonce. */
  const send = (flow: Flow, bytes: number): string | undefined => {
    const nonce = flow.isCheckDue(bytes) ? `probe ${flow.sent}` : undefined
    if (nonce !== undefined) flow.probed(nonce, 50)
    flow.count(bytes)
    return nonce
  }

  it("fault 77: what is acknowledged counts at most one interval beyond the last probe that was answered", () => {
    const flow = flowOf(LIMITS)
    const nonces: Array<string> = []
    for (let n = 0; n < 50; n++) {
      const nonce = send(flow, 100)
      if (nonce !== undefined) nonces.push(nonce)
    }
    expect(nonces).toHaveLength(4)
    flow.acknowledge(flow.sent)
    expect(flow.acked).toBe(1_000)
    flow.acknowledge(flow.sent, "a guess")
    expect(flow.acked).toBe(1_000)
    flow.acknowledge(flow.sent, nonces[1])
    expect(flow.acked).toBe(2_000 + 2 * 50 + 1_000)
    // The one before is void by that.
    flow.acknowledge(flow.sent, nonces[0])
    expect(flow.acked).toBe(3_100)
    flow.acknowledge(flow.sent, nonces[3])
    expect(flow.unacknowledged).toBe(0)
  })

  it("fault 77: a reader that reads is never held back by a probe, in whatever frames and lives it reads", () => {
    const frame = fc.record({ bytes: fc.integer({ min: 1, max: 1_000 }), isEvicted: fc.boolean() })
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 100 }), (frames) => {
        let flow = flowOf(LIMITS)
        for (const { bytes, isEvicted } of frames) {
          const nonce = send(flow, bytes)
          if (isEvicted) flow = flowOf(LIMITS, structuredClone({ ...flow, probes: flow.probes }))
          flow.acknowledge(flow.sent, nonce)
          expect(flow.unacknowledged).toBe(0)
          expect(flow.probes).toEqual([])
        }
      }),
    )
  })

  it("fault 77: a reader that reads nothing is lost in time, whatever it acknowledges", () => {
    const step = fc.oneof(
      fc.record({ send: fc.integer({ min: 1, max: 1_000 }) }),
      fc.record({ ack: fc.nat(100_000), nonce: fc.string() }),
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const flow = flowOf(LIMITS)
        let unread = 0
        for (const one of steps) {
          if ("send" in one) {
            unread += one.send
            send(flow, one.send)
          } else if (!flow.isOverstated(one.ack)) flow.acknowledge(one.ack, one.nonce)
          if (flow.isLost) return
          expect(unread).toBeLessThanOrEqual(LIMITS.maxUnacknowledged + LIMITS.probeInterval)
        }
      }),
    )
  })

  it("few enough are open for an attachment, however large the bounds", () => {
    const flow = flowOf({ ...LIMITS, maxUnacknowledged: 1e9 })
    for (let n = 0; n < 20_000 && !flow.isLost; n++) send(flow, 1e5)
    expect(flow.isLost).toBe(true)
    expect(flow.probes.length).toBeLessThanOrEqual(16)
  })
})

describe("a reader that acknowledges nothing", () => {
  it("fault 71: is behind by what was sent since it was heard, by a frame or a ping", () => {
    const flow = flowOf(DEFAULT_LIMITS)
    flow.countUnheard(17_000_000)
    expect(flow.isLost).toBe(true)
    flow.look(0)
    expect(flow.isLost).toBe(true)
    flow.look(5_000)
    expect(flow.unacknowledged).toBe(0)
    flow.countUnheard(17_000_000)
    flow.look(5_000)
    expect(flow.isLost).toBe(true)
    flow.heard()
    expect(flow.isLost).toBe(false)
    expect(flow.slow).toBe(false)
  })
})
