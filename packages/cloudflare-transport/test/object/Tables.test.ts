import { describe, expect, it } from "vitest"
import { DURABLE } from "../../src/durable/DurableSchema.ts"
import { DIRECTORY, GATEWAY, HUB, TOPIC } from "../../src/object/Schema.ts"
import { countOf, earliestOf } from "../../src/object/Sql.ts"
import { schemaOf, Tables } from "../../src/object/Tables.ts"
import { NodeSql } from "../support/NodeSql.ts"

const ONE = "CREATE TABLE one (a INTEGER PRIMARY KEY, b TEXT)"
const SCHEMA = schemaOf(ONE, "CREATE TABLE two (a INTEGER)", "CREATE INDEX one_b ON one (b)")

const setup = () => {
  const database = new NodeSql()
  return { database, tables: new Tables(database, SCHEMA) }
}

const INSERT = "INSERT INTO one (a, b) VALUES (?, ?)"
const ALL = "SELECT * FROM one"

describe("a table that has no row yet", () => {
  it("is not made by who reads it, counts it, changes it or takes rows away", () => {
    const { database, tables } = setup()
    expect(tables.all(ALL)).toEqual([])
    expect(countOf(tables, "SELECT count(*) AS n FROM one")).toBe(0)
    expect(earliestOf(tables, "SELECT min(a) AS at FROM one")).toBeUndefined()
    tables.run("UPDATE OR REPLACE one SET a = 1")
    tables.run("DELETE FROM one WHERE a = 1")
    expect(tables.all("DELETE FROM one RETURNING a")).toEqual([])
    expect(database.tables()).toEqual([])
    expect(tables.isEmpty()).toBe(true)
  })

  it("is made with the first, and its indexes; no other is", () => {
    const { database, tables } = setup()
    tables.run(INSERT, 1, "x")
    expect(database.tables()).toEqual(["one"])
    expect(database.plan("SELECT * FROM one WHERE b = 'x'").join()).toContain("one_b")
    expect(tables.all(ALL)).toEqual([{ a: 1, b: "x" }])
    expect(tables.isEmpty()).toBe(false)
  })
})

describe("tables", () => {
  it("are known by who comes after, with one look", () => {
    const { database, tables } = setup()
    tables.run(INSERT, 1, "x")
    const next = new Tables(database, SCHEMA)
    const ran = database.record(() => {
      expect(next.all("SELECT * FROM two")).toEqual([])
      expect(next.all(ALL)).toHaveLength(1)
      next.run(INSERT, 2, "y")
    })
    expect(ran).toEqual(["SELECT name, sql FROM sqlite_master", ALL, INSERT])
  })

  it("are not looked up where one is known", () => {
    const { database, tables } = setup()
    tables.run(INSERT, 1, "x")
    const next = new Tables(database, SCHEMA)
    next.know("one")
    expect(database.record(() => next.all(ALL))).toEqual([ALL])
  })

  it("are made anew after the step that made them was undone", () => {
    const { database, tables } = setup()
    const step = (fails: boolean): void => {
      tables.transaction(() => {
        tables.run(INSERT, 1, "x")
        if (fails) throw new Error("no more")
      })
    }
    expect(() => step(true)).toThrow("no more")
    expect(database.tables()).toEqual([])
    expect(tables.all(ALL)).toEqual([])
    step(false)
    expect(tables.all(ALL)).toHaveLength(1)
  })

  it("are made anew after somebody else deleted them", () => {
    const { database, tables } = setup()
    tables.run(INSERT, 1, "x")
    database.wipe()
    expect(tables.all(ALL)).toEqual([])
    tables.run(INSERT, 1, "x")
    database.wipe()
    tables.run(INSERT, 2, "y")
    expect(tables.all(ALL)).toEqual([{ a: 2, b: "y" }])
    database.wipe()
    tables.run("DELETE FROM one")
    expect(database.tables()).toEqual([])
  })

  it("are looked up anew after that was forgotten", () => {
    const { database, tables } = setup()
    tables.run(INSERT, 1, "x")
    database.wipe()
    tables.forget()
    expect(tables.isEmpty()).toBe(true)
  })

  it("are not blamed for another's that a query misses", () => {
    const { tables } = setup()
    tables.run(INSERT, 1, "x")
    expect(() => tables.all(`${ALL} WHERE a IN (SELECT a FROM missing)`)).toThrow("no such table: missing")
  })

  it("of somebody else are passed by, and don't count", () => {
    const { database, tables } = setup()
    database.run("CREATE TABLE other (a INTEGER)")
    tables.run("INSERT INTO other (a) VALUES (1)")
    expect(tables.all("SELECT a FROM other")).toEqual([{ a: 1 }])
    expect(tables.isEmpty()).toBe(true)
    expect(() => tables.all("SELECT a FROM missing")).toThrow("no such table")
  })
})

describe("tables of an earlier version", () => {
  it("are given the columns and indexes that they lack, and keep their rows", () => {
    const database = new NodeSql()
    new Tables(database, schemaOf("CREATE TABLE one (\n  a INTEGER PRIMARY KEY\n)")).run(
      "INSERT INTO one (a) VALUES (1)",
    )
    const later = schemaOf(
      "CREATE TABLE one (\n  a INTEGER PRIMARY KEY,\n  b INTEGER NOT NULL DEFAULT 7,\n  b_at INTEGER\n)",
      "CREATE INDEX one_b ON one (b)",
    )
    const tables = new Tables(database, later)
    expect(tables.all("SELECT a, b, b_at FROM one WHERE b = 7")).toEqual([{ a: 1, b: 7, b_at: null }])
    expect(database.plan("SELECT * FROM one WHERE b = 7").join()).toContain("one_b")
    // Once.
    const again = database.record(() => new Tables(database, later).all("SELECT b FROM one"))
    expect(again).toEqual(["SELECT name, sql FROM sqlite_master", "SELECT b FROM one"])
  })

  it("of a hub are brought up to date, with what is in them", () => {
    const database = new NodeSql()
    database.run(
      "CREATE TABLE identity (address TEXT PRIMARY KEY, epoch INTEGER NOT NULL, session TEXT, released_at INTEGER) WITHOUT ROWID",
    )
    database.run("INSERT INTO identity (address, epoch) VALUES ('@(user/ada)', 7)")
    const query = "SELECT address, epoch, takeovers, formerly FROM identity"
    const row = { address: "@(user/ada)", epoch: 7, takeovers: 0, formerly: null }
    expect(new Tables(database, HUB).all(query)).toEqual([row])
    expect(new Tables(database, HUB).all(query)).toEqual([row])
  })

  it("are told from those of this one by one comparison each", () => {
    const database = new NodeSql()
    for (const { create } of HUB.values()) database.run(create)
    const made = database.all<{ name: string; sql: string }>(
      "SELECT name, sql FROM sqlite_master WHERE type = 'table'",
    )
    for (const { name, sql } of made) expect(sql).toBe(HUB.get(name)!.create)
  })
})

it.each(Object.entries({ DIRECTORY, DURABLE, GATEWAY, HUB, TOPIC }))(
  "each table of %s can be made",
  (_, schema) => {
    const database = new NodeSql()
    for (const { create, indexes } of schema.values())
      for (const statement of [create, ...indexes.values()]) database.run(statement)
    expect(database.tables().filter((name) => !name.startsWith("sqlite_"))).toEqual([...schema.keys()])
  },
)
