/** The storage port on Node's SQLite, which keeps a record of the statements that ran. */
import { DatabaseSync, type StatementSync } from "node:sqlite"
import type { Sql, SqlValue } from "../../src/object/Sql.ts"

export class NodeSql implements Sql {
  #database = new DatabaseSync(":memory:")
  readonly #statements = new Map<string, StatementSync>()
  #depth = 0
  /** The statements that ran since `record()`, in order. */
  #recorded: Array<string> = []

  all<Row>(query: string, ...bindings: ReadonlyArray<SqlValue>): ReadonlyArray<Row> {
    this.#recorded.push(query)
    return this.#prepare(query).all(...bindings) as ReadonlyArray<unknown> as ReadonlyArray<Row>
  }

  run(query: string, ...bindings: ReadonlyArray<SqlValue>): void {
    this.#recorded.push(query)
    this.#prepare(query).run(...bindings)
  }

  transaction<A>(writes: () => A): A {
    // Savepoints, as transactions nest: what an inner one throws may be caught by the outer one.
    const name = `level${this.#depth++}`
    this.#database.exec(`SAVEPOINT ${name}`)
    try {
      const result = writes()
      this.#database.exec(`RELEASE ${name}`)
      return result
    } catch (error) {
      this.#database.exec(`ROLLBACK TO ${name}`)
      this.#database.exec(`RELEASE ${name}`)
      throw error
    } finally {
      this.#depth--
    }
  }

  /** The statements that run while `work` does. */
  record(work: () => void): ReadonlyArray<string> {
    this.#recorded = []
    work()
    return this.#recorded.splice(0)
  }

  /** How SQLite would carry the query out. */
  plan(query: string): ReadonlyArray<string> {
    return this.#prepare(`EXPLAIN QUERY PLAN ${query}`)
      .all()
      .map((row) => String(row.detail))
  }

  /** Deletes all, the tables too. */
  wipe(): void {
    this.#database = new DatabaseSync(":memory:")
    this.#statements.clear()
  }

  /** The tables that there are. */
  tables(): ReadonlyArray<string> {
    return this.#database
      .prepare("SELECT name FROM sqlite_master WHERE type = 'table'")
      .all()
      .map(({ name }) => String(name))
  }

  /** How many rows the table has; none where it is not there. */
  count(table: string): number {
    if (!this.tables().includes(table)) return 0
    return Number(this.#prepare(`SELECT count(*) AS n FROM ${table}`).get()!.n)
  }

  #prepare(query: string): StatementSync {
    let statement = this.#statements.get(query)
    if (statement === undefined) this.#statements.set(query, (statement = this.#database.prepare(query)))
    return statement
  }
}
