/** The tables of an object on Node's SQLite, with what tests want to know of them. */
import { type Schema, Tables } from "../../src/object/Tables.ts"
import { NodeSql } from "./NodeSql.ts"

export class TestTables extends Tables {
  readonly #database: NodeSql

  constructor(schema: Schema, database = new NodeSql()) {
    super(database, schema)
    this.#database = database
  }

  /** The statements that run while `work` does. */
  record(work: () => void): ReadonlyArray<string> {
    return this.#database.record(work)
  }

  /** How SQLite would carry the query out. */
  plan(query: string): ReadonlyArray<string> {
    return this.#database.plan(query)
  }

  /** The tables that there are. */
  tables(): ReadonlyArray<string> {
    return this.#database.tables()
  }

  /** How many rows the table has; none where it is not there. */
  count(table: string): number {
    return this.#database.count(table)
  }

  /** Deletes all, the tables too. */
  wipe(): void {
    this.#database.wipe()
    this.forget()
  }
}
