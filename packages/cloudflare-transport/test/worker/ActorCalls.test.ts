import { describe, expect, it, vi } from "vitest"
import { RoutingTable } from "../../src/delivery/RoutingTable.ts"
import { ActorCallFailed, actorCalls } from "../../src/worker/ActorCalls.ts"
import type { HubEnv } from "../../src/object/HubEnv.ts"

describe("fault 47: a call from a Worker", () => {
  const heard: Array<unknown> = []
  const table = new RoutingTable<HubEnv>({
    routes: { log: { run: ({ payload }) => void heard.push(payload) } },
  })
  // No binding is used: the function runs in the caller.
  const actors = actorCalls({} as HubEnv, table)

  it("takes what a payload may hold", async () => {
    await actors.tell("@(log/a)", "note", { at: new Date(0), toJSON: 1 })
    expect(heard.splice(0)).toEqual([{ at: new Date(0), toJSON: 1 }])
  })

  it.each([new Float64Array(2_000), new Map(), 1n, NaN, () => 1])(
    "rejects what no message can carry by its path, and calls nobody",
    async (value) => {
      const failed = {
        _tag: "ActorCallFailed",
        code: "invalid_message",
        message: expect.stringMatching(/^payload\.list\[0\] is .*can't be sent/),
      }
      await expect(actors.tell("@(log/a)", "note", { list: [value] })).rejects.toMatchObject(failed)
      await expect(actors.ask("@(log/a)", "note", { list: [value] })).rejects.toBeInstanceOf(ActorCallFailed)
      expect(heard).toEqual([])
    },
  )
})

describe("the time limit of an ask of a Worker", () => {
  const table = new RoutingTable<HubEnv>({
    routes: {
      slow: { run: ({ payload }) => new Promise<unknown>((answer) => setTimeout(answer, 50, payload)) },
    },
  })
  const actors = actorCalls({} as HubEnv, table)

  it.each([NaN, -1, -Infinity])("fault 51: is refused where it is %s", async (timeout) => {
    await expect(actors.ask("@(slow/a)", "echo", 1, { timeout })).rejects.toMatchObject({
      _tag: "ActorCallFailed",
      code: "invalid_message",
      message: expect.stringContaining('"timeout" must be'),
    })
  })

  it("fault 51: is 24 hours where it is Infinity, and not the platform's 1 ms", async () => {
    const set = vi.spyOn(globalThis, "setTimeout")
    try {
      expect(await actors.ask("@(slow/a)", "echo", 1, { timeout: Infinity })).toBe(1)
      expect(set.mock.calls.map(([, ms]) => ms)).toContain(86_400_000)
    } finally {
      set.mockRestore()
    }
  })
})
