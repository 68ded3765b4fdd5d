/** What holds of every store of snapshots, on the one in memory and on SQLite. */
import { type Address, Persistence } from "@signal-hub/actor-core"
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"
import { sqlitePersistence } from "../../src/durable/SqlitePersistence.ts"
import { NodeSql } from "../support/NodeSql.ts"

const A: Address.Address = "@(account/a)"
const B: Address.Address = "@(account/b)"
const conflict = (expected: number) => ({ _tag: "SnapshotConflict", expected })

const stores = {
  "in memory": () => Effect.runSync(Persistence.makeInMemory),
  "on SQLite": () => sqlitePersistence(new NodeSql()),
}

describe.each(Object.entries(stores))("snapshots %s", (_, make) => {
  const run = Effect.runPromise
  const failure = <E>(effect: Effect.Effect<unknown, E>) => Effect.runPromise(Effect.flip(effect))

  it("are what was stored last, for each address its own", async () => {
    const store = make()
    expect(await run(store.load(A))).toBeNull()
    await run(store.save(A, { balance: 1 }, 0))
    await run(store.save(A, { balance: 2 }, 1))
    await run(store.save(B, [null, "text"], 0))
    expect(await run(store.load(A))).toEqual({ version: 2, state: { balance: 2 } })
    expect(await run(store.load(B))).toEqual({ version: 1, state: [null, "text"] })
  })

  it("are stored only by who knows the last version, and nothing changes otherwise", async () => {
    const store = make()
    expect(await failure(store.save(A, "x", 1))).toMatchObject(conflict(1))
    expect(await run(store.load(A))).toBeNull()
    await run(store.save(A, "first", 0))
    expect(await failure(store.save(A, "second", 0))).toMatchObject(conflict(0))
    expect(await failure(store.save(A, "second", 2))).toMatchObject(conflict(2))
    expect(await run(store.load(A))).toEqual({ version: 1, state: "first" })
  })

  it("are deleted only by who knows the last version, and leave nothing behind", async () => {
    const store = make()
    await run(store.save(A, "first", 0))
    expect(await failure(store.delete(A, 2))).toMatchObject(conflict(2))
    expect(await run(store.load(A))).toEqual({ version: 1, state: "first" })
    await run(store.delete(A, 1))
    expect(await run(store.load(A))).toBeNull()
    expect(await failure(store.delete(A, 1))).toMatchObject(conflict(1))
    await run(store.save(A, "again", 0))
  })

  it("share nothing with who stored or loaded them", async () => {
    const store = make()
    const state = { list: [1] }
    await run(store.save(A, state, 0))
    state.list.push(2)
    const loaded = (await run(store.load(A)))!.state as typeof state
    expect(loaded).toEqual({ list: [1] })
    loaded.list.push(3)
    expect((await run(store.load(A)))!.state).toEqual({ list: [1] })
  })

  it("that can't be stored are refused, typed", async () => {
    const refused = await failure(make().save(A, { big: 1n }, 0))
    expect(refused).toMatchObject({ _tag: "PersistenceError", operation: "save", address: A })
  })
})

describe("snapshots on SQLite", () => {
  it("are as before where the save of the first is undone from outside", async () => {
    const sql = new NodeSql()
    const store = sqlitePersistence(sql)
    const undone = () =>
      sql.transaction(() => {
        Effect.runSync(store.save(A, "undone", 0))
        throw new Error("no more")
      })
    expect(undone).toThrow("no more")
    expect(await Effect.runPromise(store.load(A))).toBeNull()
    await Effect.runPromise(store.save(A, "kept", 0))
    expect(await Effect.runPromise(store.load(A))).toEqual({ version: 1, state: "kept" })
  })
})
