import { describe, expect, it } from "vitest"
import type { TestClient } from "../support/TestClient.ts"
import { TestHub } from "../support/TestHub.ts"

/** A hub with this many other sessions, each with what sessions have. */
const crowded = (sessions: number): TestHub => {
  const hub = new TestHub({ maxUnconnectedSockets: 10_000 })
  for (let n = 0; n < sessions; n++) {
    const client = hub.connect(`@(crowd/${n})`, { sessionExpirySeconds: 60 })
    client.register(`@(crowd/${n})`)
    client.subscribe(`topic/${n}`)
    client.watch(`@(crowd/${n})`)
    client.take()
  }
  return hub
}

interface Actors {
  readonly hub: TestHub
  readonly a: TestClient
  readonly b: TestClient
}

const OPERATIONS: { readonly [name: string]: (actors: Actors) => void } = {
  connect: ({ hub }) => void hub.connect("@(node/new)"),
  register: ({ a }) => void a.register("@(room/new)"),
  renew: ({ a }) => {
    void a.request("hub:renew", { renewalToken: a.register("@(room/1)").payload.renewalToken })
  },
  unregister: ({ a }) => void a.request("hub:unregister", { actorAddress: "@(room/1)" }),
  discover: ({ a }) => void a.request("hub:discover", { pattern: "@(room/*)" }),
  tell: ({ a }) => void a.tell("@(node/b)", "note"),
  "ask and answer": ({ a, b }) => {
    a.ask("@(node/b)", "question")
    b.answer(b.take().at(-1)!, 1)
  },
  "hub:send": ({ a }) => void a.request("hub:send", { to: "@(node/b)", type: "note", data: 1 }),
  subscribe: ({ a }) => void a.subscribe("news"),
  publish: ({ a }) => void a.request("hub:publish", { topic: "news", type: "item", data: 1 }),
  unsubscribe: ({ a }) => void a.request("hub:unsubscribe", { topic: "news" }),
  watch: ({ b }) => void b.watch("@(room/1)"),
  unwatch: ({ b }) => void b.request("hub:unwatch", { actorAddress: "@(room/1)" }),
  presence: ({ a }) => void a.request("hub:presence", { topic: "news" }),
  takeover: ({ hub }) => void hub.connect("@(node/a)"),
  disconnect: ({ a }) => void a.request("hub:disconnect", {}),
  "lost socket": ({ b }) => b.drop(),
}

/** The statements that each operation runs, with memory warm or just after memory was lost. */
const statementsOf = (hub: TestHub, cold: boolean): { readonly [name: string]: ReadonlyArray<string> } =>
  Object.fromEntries(
    Object.entries(OPERATIONS).map(([name, operation]) => {
      const actors = {
        hub,
        a: hub.connect("@(node/a)"),
        b: hub.connect("@(node/b)", { sessionExpirySeconds: 60 }),
      }
      actors.a.register("@(room/1)")
      actors.a.subscribe("warm")
      // What is counted once in a memory's life is not an operation's cost.
      actors.a.request("hub:metrics")
      if (cold) hub.evict()
      const statements = hub.sql.record(() => operation(actors))
      for (const client of [hub.connect("@(node/a)"), hub.connect("@(node/b)"), hub.connect("@(node/new)")]) {
        client.request("hub:disconnect", {})
      }
      hub.advance(1_000)
      return [name, statements]
    }),
  )

/** Counts of a whole table, asked for at most once in a memory's life: no bound is kept without them. */
const isCount = (statement: string): boolean =>
  /^SELECT count\(\*\) AS n FROM (session|registration|ask)$/.test(statement)

describe("fault 40: no operation costs more with more sessions", () => {
  const [few, many] = [crowded(10), crowded(5_000)]

  it("fault 40: each runs the same statements beside 10 and beside 5,000 other sessions", () => {
    expect(statementsOf(many, false)).toEqual(statementsOf(few, false))
  })

  it("fault 40: also just after memory was lost", () => {
    expect(statementsOf(many, true)).toEqual(statementsOf(few, true))
  })

  it("fault 40: no statement of an operation scans a table", () => {
    const seen = new Set(
      [statementsOf(many, false), statementsOf(many, true)].flatMap((of) => Object.values(of).flat()),
    )
    expect(seen.size).toBeGreaterThan(20)
    for (const statement of seen) {
      if (isCount(statement)) continue
      const scans = many.sql.plan(statement).filter((step) => /^SCAN (?!CONSTANT ROW)/.test(step))
      expect(scans, statement).toEqual([])
    }
  })

  it("fault 40: a table is counted at most once in a memory's life", () => {
    many.evict()
    const statements = many.sql.record(() => {
      for (let n = 0; n < 3; n++) {
        const client = many.connect("@(node/a)")
        client.register("@(room/1)")
        client.request("hub:disconnect", {})
      }
    })
    const counts = statements.filter(isCount)
    expect(counts).toHaveLength(new Set(counts).size)
  })

  it("a tell, an answered ask and a publication write and read no row once memory is warm", () => {
    const warm = statementsOf(few, false)
    expect(warm.tell).toEqual([])
    expect(warm["ask and answer"]).toEqual([])
    expect(warm["hub:send"]).toEqual([])
  })
})
