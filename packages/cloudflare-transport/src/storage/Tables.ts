/**
 * SQL on tables that are made with the first row of each, and read as empty before that. There are many objects
 * and most need few of their tables: each is rows written and a page stored, and is parsed again at each wake-up.
 */
import type { Sql, SqlValue } from "./Sql.ts"

/** The statements that make a table and its indexes, by the name of the table. */
export type Schema = ReadonlyMap<string, ReadonlyArray<string>>

/** A schema of `CREATE TABLE` and `CREATE INDEX` statements, each table before its indexes. */
export const schemaOf = (...statements: ReadonlyArray<string>): Schema => {
  const schema = new Map<string, Array<string>>()
  for (const statement of statements) {
    const [, table, indexed] = /^CREATE (?:TABLE (\w+)|INDEX \w+ ON (\w+))/.exec(statement)!
    if (table !== undefined) schema.set(table, [statement])
    else schema.get(indexed!)!.push(statement)
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
    for (const table of this.#made) if (this.#schema.has(table)) return false
    return true
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
    const statements = this.#schema.get(table)
    if (statements === undefined) return true
    this.#lookUp()
    if (this.#made.has(table)) return true
    if (!query.startsWith("INSERT")) return false
    this.#sql.transaction(() => {
      for (const statement of statements) this.#sql.run(statement)
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
    this.#isLookedUp = true
    for (const { name } of this.#sql.all<{ name: string }>(
      "SELECT name FROM sqlite_master WHERE type = 'table'",
    ))
      this.#made.add(name)
  }
}

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
