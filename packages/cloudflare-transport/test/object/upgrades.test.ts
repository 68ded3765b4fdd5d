import { describe, expect, it } from "vitest"
import { type Sql, type SqlValue, upsert } from "../../src/object/Sql.ts"
import type { Step } from "../../src/object/SchemaVersion.ts"
import { isStorageRejected, StorageRejected } from "../../src/object/StorageRejected.ts"
import { type Schema, schemaOf, Tables, versioned } from "../../src/object/Tables.ts"
import { NodeSql } from "../support/NodeSql.ts"

/** Version 1: notes, with their text and where they are. */
const ONE = schemaOf(
  "CREATE TABLE note (\n  id INTEGER PRIMARY KEY,\n  text TEXT NOT NULL\n)",
  "CREATE INDEX note_text ON note (text)",
)

/** Version 2 adds a column and a table, and does without an index: all of it older code can leave alone. */
const TWO = schemaOf(
  "CREATE TABLE note (\n  id INTEGER PRIMARY KEY,\n  text TEXT NOT NULL,\n  at INTEGER NOT NULL DEFAULT 0\n)",
  "CREATE TABLE tag (name TEXT PRIMARY KEY)",
  "CREATE INDEX note_at ON note (at)",
)
const TO_TWO: Step = { readableFrom: 1, upgrade: (sql) => sql.run("DROP INDEX IF EXISTS note_text") }

/** Version 3 renames a table, which older code would not find. */
const THREE = schemaOf(
  "CREATE TABLE remark (\n  id INTEGER PRIMARY KEY,\n  text TEXT NOT NULL,\n  at INTEGER NOT NULL DEFAULT 0\n)",
  "CREATE TABLE tag (name TEXT PRIMARY KEY)",
)
const TO_THREE: Step = {
  readableFrom: 3,
  upgrade: (sql) => {
    sql.run("DROP INDEX IF EXISTS note_at")
    sql.run("ALTER TABLE note RENAME TO remark")
    sql.run("UPDATE remark SET text = text || '!'")
    sql.run("UPDATE tag SET name = upper(name)")
  },
}

const CODE: { readonly [version: number]: Schema } = {
  1: versioned("notes", ONE),
  2: versioned("notes", TWO, TO_TWO),
  3: versioned("notes", THREE, TO_TWO, TO_THREE),
}

/** The storage as code of this version has it. */
const open = (database: Sql, version: number): Tables => {
  const tables = new Tables(database, CODE[version]!)
  tables.open()
  return tables
}

const dump = (database: NodeSql) => ({
  made: database.all("SELECT name, sql FROM sqlite_master ORDER BY name"),
  rows: database.tables().map((table) => database.all(`SELECT * FROM ${table}`)),
})

const rejection = (work: () => unknown): StorageRejected => {
  try {
    work()
  } catch (error) {
    if (error instanceof StorageRejected) return error
    throw error
  }
  throw new Error("it was not rejected")
}

const INSERT = "INSERT INTO note (id, text) VALUES (?, ?)"

describe("fault 76: what is stored", () => {
  it("is upgraded a version at a time, or several at once, to the same", () => {
    const [slowly, atOnce] = [new NodeSql(), new NodeSql()]
    for (const database of [slowly, atOnce]) open(database, 1).run(INSERT, 1, "hello")
    expect(open(slowly, 2).all("SELECT * FROM note")).toEqual([{ id: 1, text: "hello", at: 0 }])
    expect(slowly.all("SELECT * FROM notes_schema")).toEqual([{ version: 2, readable_from: 1 }])
    for (const database of [slowly, atOnce]) {
      expect(open(database, 3).all("SELECT * FROM remark")).toMatchObject([{ id: 1, text: "hello!", at: 0 }])
      expect(database.all("SELECT * FROM notes_schema")).toEqual([{ version: 3, readable_from: 3 }])
      // Once.
      expect(open(database, 3).all("SELECT text FROM remark")).toEqual([{ text: "hello!" }])
    }
  })

  it("is upgraded in one transaction: where a step fails, all stays as it was", () => {
    const database = new NodeSql()
    open(database, 1).run(INSERT, 1, "hello")
    const before = dump(database)
    const statements = database.record(() => open(database, 3)).length
    expect(statements).toBeGreaterThan(5)
    for (let at = 1; at < statements; at++) {
      const failing = new NodeSql()
      open(failing, 1).run(INSERT, 1, "hello")
      let left = at
      const run = (query: string, ...bindings: ReadonlyArray<SqlValue>): void => {
        if (left-- === 0) throw new Error("the disk is full")
        failing.run(query, ...bindings)
      }
      const all = <Row>(query: string, ...bindings: ReadonlyArray<SqlValue>): ReadonlyArray<Row> => {
        if (left-- === 0) throw new Error("the disk is full")
        return failing.all<Row>(query, ...bindings)
      }
      const sql: Sql = { all, run, transaction: (writes) => failing.transaction(writes) }
      const { cause, reason } = rejection(() => open(sql, 3))
      expect([reason, String(cause)]).toEqual(["upgrade_failed", "Error: the disk is full"])
      expect(dump(failing)).toEqual(before)
      expect(open(failing, 3).all("SELECT text FROM remark")).toEqual([{ text: "hello!" }])
    }
  })

  it("by newer code is rejected by what can't read it, whatever that does, and stays as it is", () => {
    const database = new NodeSql()
    open(database, 3).run("INSERT INTO remark (id, text) VALUES (1, 'hello')")
    const before = dump(database)
    for (const version of [1, 2]) {
      const tables = new Tables(database, CODE[version]!)
      for (const use of [
        () => tables.open(),
        () => tables.isEmpty(),
        () => tables.all("SELECT * FROM note"),
        () => tables.run(INSERT, 1, "mine"),
        () => tables.run("DELETE FROM note"),
      ]) {
        expect(rejection(use)).toMatchObject({ reason: "newer", stored: 3, readableFrom: 3, code: version })
      }
      expect(dump(database)).toEqual(before)
    }
  })

  it("by newer code is read and written by what is between, which changes no table of it", () => {
    const database = new NodeSql()
    const newer = open(database, 2)
    newer.run("INSERT INTO note (id, text, at) VALUES (1, 'hello', 7)")
    newer.run("INSERT INTO tag (name) VALUES ('a')")
    const { made } = dump(database)
    const between = open(database, 1)
    expect([between.isNewer, newer.isNewer, between.storedVersion]).toEqual([true, false, 2])
    between.run(upsert("note", ["id"], ["text"]), 1, "changed")
    between.run(upsert("note", ["id"], ["text"]), 2, "new")
    expect(dump(database).made).toEqual(made)
    expect(open(database, 2).all("SELECT * FROM note")).toEqual([
      { id: 1, text: "changed", at: 7 },
      { id: 2, text: "new", at: 0 },
    ])
  })

  it("in a table that older code made in newer storage has the columns of newer code", () => {
    const database = new NodeSql()
    open(database, 2).run("INSERT INTO tag (name) VALUES ('a')")
    open(database, 1).run(INSERT, 1, "hello")
    expect(open(database, 2).all("SELECT * FROM note")).toEqual([{ id: 1, text: "hello", at: 0 }])
  })

  it("in a table that older code made in newer storage has them before a step uses them", () => {
    const database = new NodeSql()
    open(database, 2).run("INSERT INTO tag (name) VALUES ('a')")
    open(database, 1).run(INSERT, 1, "hello")
    const dated: Step = { readableFrom: 3, upgrade: (sql) => sql.run("UPDATE note SET at = 9") }
    const tables = new Tables(database, versioned("notes", TWO, TO_TWO, dated))
    expect(tables.all("SELECT * FROM note")).toEqual([{ id: 1, text: "hello", at: 9 }])
  })

  it("is told apart from what others keep in the same database", () => {
    const database = new NodeSql()
    open(database, 3).run("INSERT INTO remark (id, text) VALUES (1, 'hello')")
    const others = new Tables(database, versioned("others", schemaOf("CREATE TABLE other (a INTEGER)")))
    others.run("INSERT INTO other (a) VALUES (1)")
    expect(others.isNewer).toBe(false)
    expect(open(database, 3).all("SELECT text FROM remark")).toEqual([{ text: "hello" }])
  })
})

describe("the version", () => {
  it("is stored with the first table, in the same transaction, and not before", () => {
    const database = new NodeSql()
    const tables = open(database, 2)
    expect(database.all("SELECT name FROM sqlite_master")).toEqual([])
    expect(tables.all("SELECT * FROM note")).toEqual([])
    expect(database.all("SELECT name FROM sqlite_master")).toEqual([])
    expect(() =>
      tables.transaction(() => {
        tables.run(INSERT, 1, "hello")
        throw new Error("no more")
      }),
    ).toThrow("no more")
    expect(database.all("SELECT name FROM sqlite_master")).toEqual([])
    tables.run("INSERT INTO tag (name) VALUES ('a')")
    expect(database.all("SELECT * FROM notes_schema")).toEqual([{ version: 2, readable_from: 1 }])
  })

  it("1 takes nothing, and is read with the tables", () => {
    const database = new NodeSql()
    open(database, 1).run(INSERT, 1, "hello")
    expect(database.all("SELECT name FROM sqlite_master WHERE type = 'view'")).toEqual([])
    expect(database.record(() => open(database, 1))).toEqual(["SELECT name, sql FROM sqlite_master"])
  })

  it("of storage that was deleted is that of whoever stores next", () => {
    const database = new NodeSql()
    open(database, 2).run(INSERT, 1, "hello")
    const between = open(database, 1)
    database.wipe()
    between.forget()
    between.run(INSERT, 1, "hello")
    expect([between.isNewer, between.storedVersion]).toEqual([false, 1])
  })

  it("that can't be read is a newer one", () => {
    const database = new NodeSql()
    open(database, 1).run(INSERT, 1, "hello")
    database.run("CREATE VIEW notes_schema AS SELECT 'four' AS version")
    expect(rejection(() => open(database, 1)).reason).toBe("newer")
  })
})

it("a rejection is known by its message where its class did not come along", () => {
  const error = StorageRejected.newer({ version: 2, readableFrom: 2 }, { version: 1, readableFrom: 1 })
  expect(
    [error, new Error(error.message), new Error(`StorageRejected: ${error.message}`)].map(isStorageRejected),
  ).toEqual([true, true, true])
  expect([new Error("no"), null, undefined, "storage_rejected:"].map(isStorageRejected)).toEqual([
    false,
    false,
    false,
    false,
  ])
})
