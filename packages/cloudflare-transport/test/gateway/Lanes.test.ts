/** Lines to other objects: what one call carries, and what may wait. */
import { describe, expect, it } from "vitest"
import { Lanes } from "../../src/delivery/Lanes.ts"
import { CallFailed } from "../../src/delivery/Rpc.ts"

const MIB = 1_048_576
const TARGET = "@(node/target)"

const start = (maxWaitingBytes = Number.POSITIVE_INFINITY) => {
  const calls: Array<{ readonly items: ReadonlyArray<string>; readonly end: (failed?: CallFailed) => void }> =
    []
  const tasks: Array<() => void> = []
  const lanes = new Lanes<string, string>({
    call: (_, items, done) =>
      void calls.push({ items, end: (failed) => done(failed ?? items.map((item) => `${item.length}`)) }),
    defer: (task) => void tasks.push(task),
    maxItems: 256,
    maxWaiting: 1_000,
    maxWaitingBytes,
    maxCalls: 8,
  })
  const run = (): void => {
    for (const task of tasks.splice(0)) task()
  }
  const results: Array<string> = []
  const push = (bytes: number, unbounded = false): void =>
    lanes.push(
      TARGET,
      "x".repeat(bytes),
      (result) => void results.push(result instanceof CallFailed ? result.code : result),
      unbounded,
    )
  return { lanes, calls, run, push, results }
}

describe("fault 70: the bytes of a line", () => {
  it("travel in calls that the platform takes, in order, however many wait", () => {
    const { calls, push, results, run } = start()
    for (let n = 0; n < 100; n++) push(MIB + n)
    run()
    const sizes: Array<number> = []
    for (let at = 0; at < calls.length; at++) {
      const bytes = calls[at]!.items.reduce((sum, { length }) => sum + length, 0)
      expect(bytes).toBeLessThanOrEqual(8 * MIB)
      expect(calls[at]!.items.length).toBeGreaterThan(at === calls.length - 1 ? 0 : 5)
      sizes.push(...calls[at]!.items.map(({ length }) => length))
      calls[at]!.end()
      run()
    }
    expect(sizes).toEqual(Array.from({ length: 100 }, (_, n) => MIB + n))
    expect(results).toEqual(sizes.map(String))
  })

  it("travel alone where one is larger than a call's share", () => {
    const { calls, push, run } = start()
    push(20 * MIB)
    push(1)
    run()
    expect(calls[0]!.items.map(({ length }) => length)).toEqual([20 * MIB])
    calls[0]!.end()
    run()
    expect(calls[1]!.items.map(({ length }) => length)).toEqual([1])
  })

  it("have a bound while they wait; what must not be refused is taken all the same", () => {
    const { calls, lanes, push, results, run } = start(4 * MIB)
    push(MIB)
    run()
    for (let n = 0; n < 6; n++) push(MIB)
    run()
    expect(results).toEqual(["queue_full", "queue_full"])
    push(MIB, true)
    calls[0]!.end()
    run()
    expect(calls[1]!.items).toHaveLength(5)
    // All that waited has left: there is room again, also after the line was emptied.
    for (let n = 0; n < 4; n++) push(MIB)
    run()
    expect(results.filter((one) => one === "queue_full")).toHaveLength(2)
    lanes.drop(TARGET, new CallFailed("timeout", "dropped"))
    results.length = 0
    for (let n = 0; n < 4; n++) push(MIB)
    run()
    expect(results).toEqual([])
  })
})
