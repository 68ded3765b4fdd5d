/** Pages that are put together from all shards of the directory: bounded, paid for, each entry once. */
import { describe, expect, it } from "vitest"
import type { TestClient } from "../support/TestClient.ts"
import { TestSystem } from "../support/TestSystem.ts"

const name = (n: number): string => `@(many/${String(n).padStart(3, "0")})`
const addressesOf = (payload: { readonly [field: string]: unknown }): ReadonlyArray<string> =>
  (payload.actors as ReadonlyArray<{ readonly address: string }>).map(({ address }) => address)

/** A system in which one session holds so many addresses. */
const filled = (count: number, limits: object = {}, more: object = {}): TestSystem => {
  const system = new TestSystem(limits).requireTokens()
  const holder = system.enter({ actorId: "user/holder", actors: ["*"] })
  for (let n = 0; n < count; n++) {
    holder.send({ type: "hub:register", pattern: "ask", payload: { actorAddress: name(n), ...more } })
    system.settle()
  }
  return system
}
const asked = (system: TestSystem, client: TestClient, type: string, payload: object) => {
  client.take()
  client.send({ type, pattern: "ask", payload })
  system.settle()
  return client.takeOne().payload
}
/** What is left of the bucket of a client, which the test's host does not draw from. */
const tokens = (client: TestClient): number => client.hub.connection(client.socket.id)!.rate.tokens

describe("a gateway's pages", () => {
  it("fault 75: end at half of the largest frame, in discovery and in listings; each entry comes once", () => {
    const limits = { maxMessageSize: 20_000 }
    const system = filled(30, limits, { metadata: { text: "x".repeat(2_000) } })
    const ada = system.enter({ actorId: "user/ada", capabilities: ["list"] })
    const all = Array.from({ length: 30 }, (_, n) => name(n))
    const found: Array<string> = []
    for (let cursor: unknown; ;) {
      const payload = asked(system, ada, "hub:discover", { pattern: "@(many/*)", cursor })
      expect(JSON.stringify(payload).length).toBeLessThan(limits.maxMessageSize / 2 + 200)
      found.push(...addressesOf(payload))
      if (payload.hasMore !== true) break
      cursor = payload.cursor
    }
    expect(found).toEqual(all)
    const listed: Array<string> = []
    for (;;) {
      const payload = asked(system, ada, "hub:list_actors", { offset: listed.length })
      expect(JSON.stringify(payload).length).toBeLessThan(limits.maxMessageSize / 2 + 200)
      expect(payload.total).toBe(30)
      listed.push(...addressesOf(payload))
      if (payload.hasMore !== true) break
      system.evictAll()
    }
    expect(listed).toEqual(all)
  })

  it("fault 69: cost one more for each 100 rows that all shards looked at", () => {
    const system = filled(350)
    const ada = system.enter({ actorId: "user/ada" })
    const before = tokens(ada)
    asked(system, ada, "hub:discover", { pattern: "@(many/*x)" })
    expect(before - tokens(ada)).toBe(3)
  })

  it("of a listing count what the token allows to see, and go on where the last ended", () => {
    const system = filled(60, { maxPageSize: 5 })
    const ada = system.enter({
      actorId: "user/ada",
      capabilities: ["list"],
      send: ["@(many/*7)", "@(many/*9)"],
    })
    const found: Array<string> = []
    for (;;) {
      const payload = asked(system, ada, "hub:list_actors", { offset: found.length })
      expect(addressesOf(payload).length).toBeGreaterThan(0)
      found.push(...addressesOf(payload))
      if (payload.hasMore !== true) break
    }
    expect(found).toEqual([7, 9, 17, 19, 27, 29, 37, 39, 47, 49, 57, 59].map(name))
    expect(addressesOf(asked(system, ada, "hub:list_actors", { offset: 3, limit: 2 }))).toEqual(
      [19, 27].map(name),
    )
  })
})
