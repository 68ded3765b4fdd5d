import { expect, it } from "vitest"
import { DEFAULT_LIMITS } from "../../src/protocol/Limits.ts"
import { Flow, NO_FLOW } from "../../src/session/Flow.ts"

/** How many acknowledgments of one byte more each say something new. */
const news = (flow: Flow): number => {
  let count = 0
  for (; flow.isNews(flow.acked + 1); count++) flow.acknowledge(flow.acked + 1)
  return count
}
const sent = (frames: number): Flow => {
  const flow = new Flow(DEFAULT_LIMITS, NO_FLOW)
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
  expect(news(flow)).toBe(1)
})

it("what was not acknowledged for long can't be made up for without end", () => {
  expect(news(sent(20_000))).toBe(10_000)
})
