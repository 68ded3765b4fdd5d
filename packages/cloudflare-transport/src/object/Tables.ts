/**
 * SQL on tables that are made with their first row, and read as empty before that. There are many objects, and most
 * need few of their tables: each table costs rows written, a page stored, and time to parse at each wake-up. Tables
 * of an earlier version are upgraded by the steps of their schema, and get the columns and indexes that they lack.
 * Tables that only newer code can read are rejected and stay as they are.
 */
import { type SchemaVersion, versionOf } from "../protocol/SchemaVersion.ts"
import { createMark, dropMark, markOf, type Step, stepSql, storedVersion } from "./SchemaVersion.ts"
import type { Sql, SqlValue } from "./Sql.ts"
import { StorageRejected } from "./StorageRejected.ts"

interface Table {
  /** The statement that makes the table. */
  readonly create: string
  /** The statements that make its indexes, by the names of the indexes. */
  readonly indexes: Map<string, string>
}

/** Tables by their names. */
export interface Schema extends ReadonlyMap<string, Table> {
  /** Tells the version of this schema from the version of another schema in the same database. */
  readonly name?: string
  /** The steps from version 1 to this version, one for each version. */
  readonly steps?: ReadonlyArray<Step>
}

/**
 * Makes a schema of `CREATE TABLE` and `CREATE INDEX` statements, each table before its indexes. A column that is
 * added later stands on a line of its own, and may be null or has a default.
 */
export const schemaOf = (...statements: ReadonlyArray<string>): Schema => {
  const schema = new Map<string, Table>()
  for (const statement of statements) {
    const [, table, index, indexed] = /^CREATE (?:TABLE (\w+)|INDEX (\w+) ON (\w+))/.exec(statement)!
    if (table !== undefined) schema.set(table, { create: statement, indexes: new Map() })
    else schema.get(indexed!)!.indexes.set(index!, statement)
  }
  return schema
}

/** Gives the schema a name and the steps that lead to it. Its version is one more than the number of steps. */
export const versioned = (name: string, schema: Schema, ...steps: ReadonlyArray<Step>): Schema =>
  Object.assign(new Map(schema), { name, steps })

/** The tables of one object. Each statement is about one table, which it names first. */
export class Tables implements Sql {
  readonly #sql: Sql
  readonly #schema: Schema
  /** The version that this code writes. */
  readonly #version: SchemaVersion
  /** The stored version; the version of this code until the stored one was looked up. */
  #stored: SchemaVersion
  #isUpgraded = false
  /** Tables that are known to be there; all that are there, once they were looked up. */
  readonly #made = new Set<string>()
  #isLookedUp = false

  constructor(sql: Sql, schema: Schema) {
    this.#sql = sql
    this.#schema = schema
    this.#version = versionOf(schema.steps ?? [])
    this.#stored = this.#version
  }

  /**
   * Looks up the stored version and upgrades an older one, in one transaction. Returns true if it upgraded. Must be
   * called before anything else in each life of the object, outside of transactions. Throws `StorageRejected` if
   * this code can't read what is stored, which then stays as it is.
   */
  open(): boolean {
    this.#lookUp()
    return this.#isUpgraded
  }

  /** The stored version; the version of this code until the stored one was looked up. */
  get storedVersion(): number {
    return this.#stored.version
  }

  /** True if newer code may have stored something that this code does not know, and so must not delete. */
  get isNewer(): boolean {
    return this.#stored.version > this.#version.version
  }

  all<Row>(query: string, ...bindings: ReadonlyArray<SqlValue>): ReadonlyArray<Row> {
    if (!this.#isThereFor(query)) return []
    try {
      return this.#sql.all<Row>(query, ...bindings)
    } catch (error) {
      if (!this.#isUndone(query, error)) throw error
      return this.all<Row>(query, ...bindings)
    }
  }

  run(query: string, ...bindings: ReadonlyArray<SqlValue>): void {
    if (!this.#isThereFor(query)) return
    try {
      this.#sql.run(query, ...bindings)
    } catch (error) {
      if (!this.#isUndone(query, error)) throw error
      this.run(query, ...bindings)
    }
  }

  transaction<A>(writes: () => A): A {
    return this.#sql.transaction(writes)
  }

  /** True if none of the tables is there. The platform may have tables of its own beside them. */
  isEmpty(): boolean {
    if (this.#made.size === 0) this.#lookUp()
    return this.#made.size === 0
  }

  /** The table is known to be there, so that it need not be looked up. */
  know(table: string): void {
    this.#made.add(table)
  }

  /** Forgets which tables are there: they may be gone. */
  forget(): void {
    this.#made.clear()
    this.#isLookedUp = false
    this.#stored = this.#version
  }

  /** Returns true if the query's table is there. Makes the table if the query inserts a row into it. */
  #isThereFor(query: string): boolean {
    const table = tableOf(query)
    if (this.#made.has(table)) return true
    const definition = this.#schema.get(table)
    if (definition === undefined) return true
    this.#lookUp()
    if (this.#made.has(table)) return true
    if (!query.startsWith("INSERT")) return false
    this.#sql.transaction(() => {
      this.#sql.run(definition.create)
      for (const index of definition.indexes.values()) this.#sql.run(index)
      if (this.#version.version > 1) this.#sql.run(createMark(this.#schema, this.#version))
    })
    this.#made.add(table)
    return true
  }

  /**
   * Returns true if the query failed because its table is gone: undone with the transaction that made it, or deleted by
   * other code. Then it forgets which tables are there.
   */
  #isUndone(query: string, error: unknown): boolean {
    const table = tableOf(query)
    const gone = /no such table: (?:main\.)?(\w+)/.exec(String(error))?.[1]
    if (gone !== table || !this.#schema.has(table)) return false
    this.forget()
    return true
  }

  #lookUp(): void {
    if (this.#isLookedUp) return
    let found = this.#find()
    const own = this.#version
    const stored = storedVersion(found.get(markOf(this.#schema)))
    if (stored.readableFrom > own.version) throw StorageRejected.newer(stored, own)
    this.#isUpgraded = stored.version < own.version && hasTables(found)
    if (this.#isUpgraded) found = this.#upgrade(stored, found)
    // Newer tables are left as they are: they have all that this code needs.
    else if (stored.version <= own.version) this.#complete(found)
    for (const table of this.#schema.keys()) if (found.has(table)) this.#made.add(table)
    this.#stored = found.size > 0 && stored.version > own.version ? stored : own
    this.#isLookedUp = true
  }

  #find(): Map<string, string> {
    const found = new Map<string, string>()
    for (const { name, sql } of this.#sql.all<{ name: string; sql: string }>(FIND)) found.set(name, sql)
    return found
  }

  /** Runs the missing steps, all of them or none. Returns the tables, views and indexes that are there then. */
  #upgrade(stored: SchemaVersion, before: ReadonlyMap<string, string>): Map<string, string> {
    try {
      return this.#sql.transaction(() => {
        // Older code may have made tables since, without the columns that an earlier step added to others.
        this.#complete(before)
        const sql = stepSql(this.#sql)
        for (const step of this.#schema.steps!.slice(stored.version - 1)) step.upgrade(sql)
        this.#sql.run(dropMark(this.#schema))
        this.#sql.run(createMark(this.#schema, this.#version))
        const found = this.#find()
        this.#complete(found)
        return found
      })
    } catch (error) {
      throw StorageRejected.failed(stored, this.#version, error)
    }
  }

  /** Adds missing columns and indexes to the tables that are there. */
  #complete(found: ReadonlyMap<string, string>): void {
    for (const [table, definition] of this.#schema) {
      const created = found.get(table)
      if (created === undefined) continue
      if (created !== definition.create) this.#addColumns(table, definition.create, created)
      for (const [index, create] of definition.indexes) if (!found.has(index)) this.#sql.run(create)
    }
  }

  /** Adds the columns that a table of an earlier version lacks. */
  #addColumns(table: string, wanted: string, created: string): void {
    for (const [, definition, column] of wanted.matchAll(/^\s*(([a-z_]+) .+?),?$/gm)) {
      if (new RegExp(`\\b${column} `).test(created)) continue
      this.#sql.run(`ALTER TABLE ${table} ADD COLUMN ${definition}`)
    }
  }
}

/** All tables, views and indexes, with the statements that made them, as SQLite keeps them. */
const FIND = "SELECT name, sql FROM sqlite_master"

/** Returns true if there is a table beside those that the platform and SQLite keep for themselves. */
const hasTables = (found: ReadonlyMap<string, string>): boolean =>
  found.keys().some((name) => !/^(_cf_|sqlite_)/.test(name))

/** The tables of queries. There are as many queries as constants in the code. */
const tableByQuery = new Map<string, string>()

/** Returns the one table that the query is about. */
const tableOf = (query: string): string => {
  const known = tableByQuery.get(query)
  if (known !== undefined) return known
  const table = /\b(?:FROM|INTO|UPDATE(?: OR \w+)?)\s+(\w+)/.exec(query)?.[1] ?? ""
  tableByQuery.set(query, table)
  return table
}
