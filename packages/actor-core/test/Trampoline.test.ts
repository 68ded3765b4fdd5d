import { describe, expect, it } from "vitest"
import { Trampoline } from "../src/Trampoline.ts"

describe("Trampoline", () => {
  it("runs what tasks give in the order of calls, without their stacks", () => {
    const trampoline = new Trampoline()
    const log: Array<string> = []
    trampoline.run(() => {
      log.push("a")
      trampoline.give(() => {
        log.push("a1")
        trampoline.give(() => log.push("a11"))
      })
      trampoline.give(() => log.push("a2"))
      log.push("a ends")
    })
    trampoline.give(() => log.push("b"))
    expect(log).toEqual(["a", "a ends", "a1", "a11", "a2", "b"])
    let depth = 0
    const deeper = () => {
      if (++depth < 100_000) trampoline.give(deeper)
    }
    trampoline.run(deeper)
    expect(depth).toBe(100_000)
  })

  it("runs a task within another at once, with all that it gives", () => {
    const trampoline = new Trampoline()
    const log: Array<string> = []
    trampoline.run(() => {
      trampoline.give(() => log.push("given"))
      trampoline.run(() => {
        log.push("within")
        trampoline.give(() => log.push("given within"))
      })
      log.push("over")
    })
    expect(log).toEqual(["within", "given within", "over", "given"])
  })

  it("runs the others where one throws, and then throws what the first threw", () => {
    const trampoline = new Trampoline()
    const log: Array<string> = []
    const failing = () =>
      trampoline.run(() => {
        trampoline.give(() => {
          throw new Error("first")
        })
        trampoline.give(() => {
          throw new Error("second")
        })
        trampoline.give(() => log.push("last"))
      })
    expect(failing).toThrow("first")
    expect(log).toEqual(["last"])
    trampoline.run(() => log.push("again"))
    expect(log).toEqual(["last", "again"])
  })
})
