/** What objects are told by newer code, and do not know. */
import { describe, expect, it } from "vitest"
import type { Address } from "@signal-hub/actor-core"
import { shardOf } from "../../src/delivery/Shards.ts"
import type { DirectoryOp, Outcome, TopicOp } from "../../src/delivery/Rpc.ts"
import { TestSystem } from "../support/TestSystem.ts"

const ADA = "@(user/ada)"
const ROOM: Address.Address = "@(room/1)"

/** As it comes from newer code. */
const newer = <A>(value: unknown): A => value as A

describe("fault 76: of newer code", () => {
  it("an operation that a directory does not know changes nothing", () => {
    const system = new TestSystem()
    const ada = system.connect(ADA)
    ada.register("@(user/ada-2)")
    system.settle()
    const { core } = system.directories.get(shardOf("@(user/ada-2)"))!
    core.apply([newer<DirectoryOp>({ do: "moved", address: "@(user/ada-2)", to: "@(user/eve)" })])
    expect(core.holder("@(user/ada-2)")).toBe(ADA)
  })

  it("an operation that a topic does not know counts nobody", () => {
    const system = new TestSystem()
    system.connect(ADA).subscribe("news", { presence: true })
    system.settle()
    const { core } = system.topics.get("news")!
    let results: unknown
    core.apply([newer<TopicOp>({ do: "paused", owner: ADA })], (given) => (results = given))
    system.settle()
    expect(results).toMatchObject([{ count: 0 }])
  })

  it("a notice that a gateway does not know stays until that code is back, and holds up no other", () => {
    const system = new TestSystem()
    system.connect(ADA)
    const { sql } = system.gateway(ADA)
    const insert = "INSERT INTO notice (body, attempts, due_at) VALUES (?, 0, 0)"
    sql.run(insert, JSON.stringify({ do: "moved", address: ADA }))
    sql.run(insert, JSON.stringify({ do: "released", address: ADA, topics: [], targets: [] }))
    system.gateway(ADA).alarm()
    system.advance(3 * 86_400_000)
    expect(sql.all("SELECT body FROM notice")).toEqual([
      { body: JSON.stringify({ do: "moved", address: ADA }) },
    ])
  })

  it.each([
    ["an outcome", { status: "parked", until: 9 }, []],
    [
      "a code of a refusal",
      { status: "refused", code: "moved_away", message: "it moved" },
      [{ type: "hub:error", payload: { code: "actor_terminated", message: "it moved", retryable: true } }],
    ],
  ] as const)("%s that a gateway does not know reaches no client", (_, outcome, told) => {
    const system = new TestSystem()
    const ada = system.connect(ADA, { protocolVersion: "1.0.0", sessionExpirySeconds: 60 })
    // Backends of this system answer at once.
    system.backends.set(ROOM, { deliver: () => newer<Promise<ReadonlyArray<Outcome>>>([outcome]) })
    ada.surely({ to: ROOM, type: "note", payload: 1 })
    system.settle()
    expect(ada.take().filter(({ type }) => type === "hub:error")).toMatchObject(told)
  })
})
