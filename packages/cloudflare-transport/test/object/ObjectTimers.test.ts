import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"
import { ObjectTimers } from "../../src/object/ObjectTimers.ts"

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const timers = () => {
  const done: Array<string> = []
  const { later } = new ObjectTimers((task) => task())
  return { done, later: (milliseconds: number, name: string) => later(milliseconds, () => done.push(name)) }
}

describe("timers of one object", () => {
  it("come in the order of their times, whenever they were set", () => {
    const { done, later } = timers()
    later(30, "third")
    later(10, "first")
    vi.advanceTimersByTime(5)
    later(15, "second")
    vi.advanceTimersByTime(24)
    expect(done).toEqual(["first", "second"])
    vi.advanceTimersByTime(1)
    expect(done).toEqual(["first", "second", "third"])
  })

  it("are one of the platform's, and soon none where nothing waits: the object may hibernate", () => {
    const { done, later } = timers()
    const cancel = [later(1_000, "a"), later(2_000, "b"), later(500, "c")]
    expect(vi.getTimerCount()).toBe(1)
    for (const one of cancel) one()
    vi.advanceTimersByTime(20)
    expect(vi.getTimerCount()).toBe(0)
    later(1, "d")
    vi.advanceTimersByTime(1)
    expect(vi.getTimerCount()).toBe(0)
    cancel[0]!()
    vi.advanceTimersByTime(2_000)
    expect(done).toEqual(["d"])
  })

  it("set none each time for what is over at once, and clear one that would come late", () => {
    const set = vi.spyOn(globalThis, "setTimeout")
    const { done, later } = timers()
    for (let n = 0; n < 10; n++) later(1_000, "never")()
    expect(set).toHaveBeenCalledTimes(1)
    const cancel = later(1_000, "never")
    vi.advanceTimersByTime(30)
    expect(vi.getTimerCount()).toBe(1)
    cancel()
    expect(vi.getTimerCount()).toBe(0)
    later(1_000, "in time")
    vi.advanceTimersByTime(999)
    expect(done).toEqual([])
    vi.advanceTimersByTime(1)
    expect(done).toEqual(["in time"])
  })

  it("one that is cancelled does not come, and those after it do", () => {
    const { done, later } = timers()
    const cancel = later(10, "never")
    later(20, "later")
    cancel()
    vi.advanceTimersByTime(20)
    expect(done).toEqual(["later"])
    expect(vi.getTimerCount()).toBe(0)
  })
})
