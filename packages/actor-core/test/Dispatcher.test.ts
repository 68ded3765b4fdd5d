import { MixedScheduler } from "effect/Scheduler"
import { describe, expect, it } from "vitest"
import { BUDGET, MicrotaskDispatcher, type Runnable } from "../src/Dispatcher.ts"

const setup = () => {
  const dispatcher = new MicrotaskDispatcher(new MixedScheduler())
  const ran: Array<string> = []
  const named = (name: string, then?: () => void): Runnable => ({
    address: "@(local/one)",
    run: () => {
      ran.push(name)
      then?.()
      return 1
    },
  })
  return { dispatcher, ran, named }
}

describe("a dispatcher", () => {
  it("runs what is ready in a microtask, never in the stack of who made it so", async () => {
    const { dispatcher, ran, named } = setup()
    dispatcher.schedule(named("one"))
    dispatcher.schedule(named("two"))
    expect(ran).toEqual([])
    await Promise.resolve()
    expect(ran).toEqual(["one", "two"])
  })

  it("runs after work what the work made ready, and what that makes ready, before it returns", () => {
    const { dispatcher, ran, named } = setup()
    dispatcher.runAfter(() => {
      dispatcher.schedule(named("one", () => dispatcher.schedule(named("three"))))
      dispatcher.schedule(named("two"))
      expect(ran).toEqual([])
    })
    expect(ran).toEqual(["one", "two", "three"])
  })

  it("runs it once, though a microtask was on its way already", async () => {
    const { dispatcher, ran, named } = setup()
    dispatcher.schedule(named("one"))
    dispatcher.runAfter(() => dispatcher.schedule(named("two")))
    await Promise.resolve()
    expect(ran).toEqual(["one", "two"])
  })

  it("runs it though the work throws, and goes on afterwards", async () => {
    const { dispatcher, ran, named } = setup()
    const work = (): void => {
      dispatcher.schedule(named("one"))
      throw new Error("no more")
    }
    expect(() => dispatcher.runAfter(work)).toThrow("no more")
    expect(ran).toEqual(["one"])
    dispatcher.schedule(named("two"))
    await Promise.resolve()
    expect(ran).toEqual(["one", "two"])
  })

  it("lets timers and sockets have their turn, though more work comes meanwhile", async () => {
    const { dispatcher, ran } = setup()
    const done = Promise.withResolvers<void>()
    let runs = 0
    const busy: Runnable = {
      address: "@(local/busy)",
      run: () => {
        runs += 1
        if (runs === BUDGET + 1) done.resolve()
        else dispatcher.schedule(busy)
        return 0
      },
    }
    dispatcher.runAfter(() => dispatcher.schedule(busy))
    dispatcher.runAfter(() => void ran.push("work"))
    expect({ ran, runs }).toEqual({ ran: ["work"], runs: BUDGET })
    await done.promise
    expect(runs).toBe(BUDGET + 1)
  })
})
