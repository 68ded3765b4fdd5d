/** The tables of the gateway topology beside those of every hub. */
import type { Sql } from "../storage/Sql.ts"

/** What others must hear, until they have: of gateways, and of the directory. */
export const migrateNotices = (sql: Sql): void =>
  sql.run(`CREATE TABLE IF NOT EXISTS notice (
    id INTEGER PRIMARY KEY,
    body TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    due_at INTEGER NOT NULL
  )`)
