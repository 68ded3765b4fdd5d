/** What a hub remembers of one client, however much that sends. */
import { describe, expect, it } from "vitest"
import { TestHub } from "../support/TestHub.ts"

/** As long as a client may write one. */
const stranger = (n: number): string => `stranger ${n} `.padEnd(256, "x")

describe("a from that its sender does not hold", () => {
  const start = () => {
    const hub = new TestHub()
    const a = hub.connect("@(node/a)")
    const b = hub.connect("@(node/b)")
    return { hub, a, b }
  }

  it.each([
    ["tells nobody", { to: "@(node/nobody)" }],
    ["tells nobody too late", { to: "@(node/b)", ttl: 0 }],
    ["answers nobody", { to: "@(node/b)", correlationId: "none" }],
    ["tells somebody", { to: "@(node/b)" }],
    ["asks the hub", { type: "hub:heartbeat", payload: { timestamp: 1 }, pattern: "ask" }],
  ])(
    "fault 70: is neither looked for among addresses nor kept as a dead letter, where it %s",
    (_, fields) => {
      const { hub, a, b } = start()
      a.register("@(room/1)")
      const before = b.take().length
      for (let n = 0; n < 50; n++) a.send({ ...fields, from: stranger(n) })
      expect(before).toBe(0)
      for (const letter of hub.core.state.deadLetters.recent()) expect(letter.from).toBe("@(node/a)")
      for (const { from } of b.take()) expect(from).toBe("@(node/a)")
      // Private fields are out of reach from here: the registry is asked for what it would have to know.
      const asked: Array<unknown> = []
      const all = hub.sql.all.bind(hub.sql)
      hub.sql.all = ((query: string, ...values: ReadonlyArray<string>) => {
        asked.push(query)
        return all(query, ...values)
      }) as typeof hub.sql.all
      hub.core.state.registry.get(stranger(1) as "@(a/b)")
      expect(asked).toHaveLength(1)
      expect(JSON.stringify(hub.logs)).not.toContain("stranger")
    },
  )

  it("a session speaks for each address that it holds, and for no other's", () => {
    const { a, b } = start()
    a.register("@(room/1)")
    b.register("@(room/2)")
    for (const from of ["@(room/1)", "@(room/2)", "@(node/b)", "@(room/3)"]) a.send({ to: "@(node/b)", from })
    expect(b.take().map(({ from }) => from)).toEqual(["@(room/1)", "@(node/a)", "@(node/a)", "@(node/a)"])
  })
})

describe("the registrations that a hub remembers", () => {
  it("fault 70: have a bound of bytes, and what is forgotten is found in its row", () => {
    const hub = new TestHub({ envelopeBurst: 1e6, maxAddressesPerSession: 1e6 })
    const a = hub.connect("@(node/a)")
    a.register("@(room/first)", { metadata: { first: true } })
    const { registry, sessions } = hub.core.state
    const session = sessions.byIdentity("@(node/a)")!
    const first = registry.get("@(room/first)")!
    const reads = (): number => {
      let count = 0
      const all = hub.sql.all.bind(hub.sql)
      hub.sql.all = ((query: string, ...values: ReadonlyArray<string>) => {
        count++
        return all(query, ...values)
      }) as typeof hub.sql.all
      const found = registry.get("@(room/first)")
      hub.sql.all = all
      expect(found).toEqual(first)
      return count
    }
    expect(reads()).toBe(0)
    const metadata = { text: "x".repeat(4_000) }
    for (let n = 0; n < 9_000; n++) {
      registry.put({ ...first, address: `@(room/${n})`, metadata, renewalToken: `token ${n}` }, session)
    }
    expect(reads()).toBe(1)
    expect(reads()).toBe(0)
    // What one has in hand after that, and changes, is what others find from then on.
    registry.pass(first, session)
    expect(registry.get("@(room/first)")).toBe(first)
  })
})
