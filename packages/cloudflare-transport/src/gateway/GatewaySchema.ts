/** The tables of a gateway beside those of every hub. */
import type { Sql } from "../storage/Sql.ts"

export const GATEWAY_TABLES: ReadonlyArray<string> = [
  // Who serves the address that the gateway is named by, where that is no identity. One row at most.
  `CREATE TABLE IF NOT EXISTS held (
    address TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    stamp INTEGER NOT NULL
  ) WITHOUT ROWID`,
  // What others must hear, until they have.
  `CREATE TABLE IF NOT EXISTS notice (
    id INTEGER PRIMARY KEY,
    body TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    due_at INTEGER NOT NULL
  )`,
]

/** Brings the tables to the version of this code. */
export const migrateGateway = (sql: Sql): void => {
  for (const table of GATEWAY_TABLES) sql.run(table)
}
