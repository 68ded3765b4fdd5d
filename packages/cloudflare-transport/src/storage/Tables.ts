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
    return this.#isThereFor(query) ? this.#sql.all<Row>(query, ...bindings) : []
  }

  run(query: string, ...bindings: ReadonlyArray<SqlValue>): void {
    if (this.#isThereFor(query)) this.#sql.run(query, ...bindings)
  }

  transaction<A>(writes: () => A): A {
    try {
      return this.#sql.transaction(writes)
    } catch (error) {
      // Undone with the rows that they were made for.
      this.forget()
      throw error
    }
  }

  /** Whether none of them is there: nothing was ever stored. */
  isBlank(): boolean {
    if (this.#made.size === 0) this.#lookUp()
    for (const table of this.#made) if (this.#schema.has(table)) return false
    return true
  }

  /** This table is there: it need not be looked up. */
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
const tables = new Map<string, string>()

/** The one table that the query is about. */
const tableOf = (query: string): string => {
  const known = tables.get(query)
  if (known !== undefined) return known
  const table = /\b(?:FROM|INTO|UPDATE(?: OR \w+)?)\s+(\w+)/.exec(query)?.[1] ?? ""
  tables.set(query, table)
  return table
}
