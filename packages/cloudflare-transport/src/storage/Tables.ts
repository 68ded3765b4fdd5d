/**
 * SQL on tables that are made with the first row of each, and read as empty before that. There are many objects
 * and most need few of their tables: each is rows written and a page stored, and is parsed again at each wake-up.
 * Tables of an earlier version are given the columns and indexes that they lack.
 */
import type { Sql, SqlValue } from "./Sql.ts"

interface Table {
  /** The statement that makes it. */
  readonly create: string
  /** Those that make its indexes, by their names. */
  readonly indexes: Map<string, string>
}

/** Tables by their names. */
export type Schema = ReadonlyMap<string, Table>

/**
 * A schema of `CREATE TABLE` and `CREATE INDEX` statements, each table before its indexes. A column that is added
 * to one later stands on a line of its own, and may be null or has a default.
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

export class Tables implements Sql {
  readonly #sql: Sql
  readonly #schema: Schema
  /** Those that are known to be there: all of them, once that was looked up. */
  readonly #made = new Set<string>()
  #isLookedUp = false

  constructor(sql: Sql, schema: Schema) {
    this.#sql = sql
    this.#schema = schema
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

  /** Whether none of them is there. Others may be: the platform has some of its own. */
  isEmpty(): boolean {
    if (this.#made.size === 0) this.#lookUp()
    return this.#made.size === 0
  }

  /** A row of this table was stored for sure, so that it need not be looked up. */
  know(table: string): void {
    this.#made.add(table)
  }

  /** What is known of tables holds no more: they may be gone. */
  forget(): void {
    this.#made.clear()
    this.#isLookedUp = false
  }

  /** Whether the query's table is there; made, where the query is to put a row into it. */
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
    })
    this.#made.add(table)
    return true
  }

  /**
   * Whether the query failed as its table is gone: with the transaction that made it, or deleted by somebody else.
   * What is known of tables is forgotten then.
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
    const found = new Map<string, string>()
    for (const { name, sql } of this.#sql.all<{ name: string; sql: string }>(FIND)) found.set(name, sql)
    for (const [table, definition] of this.#schema) {
      const created = found.get(table)
      if (created === undefined) continue
      this.#made.add(table)
      if (created !== definition.create) this.#addColumns(table, definition.create, created)
      for (const [index, create] of definition.indexes) if (!found.has(index)) this.#sql.run(create)
    }
    this.#isLookedUp = true
  }

  /** Adds the columns that a table of an earlier version lacks. */
  #addColumns(table: string, wanted: string, created: string): void {
    for (const [, definition, column] of wanted.matchAll(/^\s*(([a-z_]+) .+?),?$/gm)) {
      if (new RegExp(`\\b${column} `).test(created)) continue
      this.#sql.run(`ALTER TABLE ${table} ADD COLUMN ${definition}`)
    }
  }
}

/** All that was made, with the statements that made it, as SQLite keeps them. */
const FIND = "SELECT name, sql FROM sqlite_master"

/** By queries, which are constants. */
const tableByQuery = new Map<string, string>()

/** The one table that the query is about. */
const tableOf = (query: string): string => {
  const known = tableByQuery.get(query)
  if (known !== undefined) return known
  const table = /\b(?:FROM|INTO|UPDATE(?: OR \w+)?)\s+(\w+)/.exec(query)?.[1] ?? ""
  tableByQuery.set(query, table)
  return table
}
