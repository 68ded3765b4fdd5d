/**
 * The storage port: synchronous SQL, as SQLite in a Durable Object has it. Each concept keeps its queries beside its
 * logic. The tables are in `Schema`. Tests run the same queries on Node's SQLite.
 */

/** A value that a column may hold. */
export type SqlValue = string | number | Uint8Array | null

/** Runs statements on one database. Each of them throws the database's own error if it fails. */
export interface Sql {
  /** Returns all rows of the query. If its table is not made yet there are none, not even a count. */
  readonly all: <Row>(query: string, ...bindings: ReadonlyArray<SqlValue>) => ReadonlyArray<Row>
  readonly run: (query: string, ...bindings: ReadonlyArray<SqlValue>) => void
  /** Runs the writes together or not at all: if they throw, no row of them is left. */
  readonly transaction: <A>(writes: () => A) => A
}

/**
 * Builds the statement that inserts a row or updates the row of this key. Columns that it does not name keep their
 * values, because newer code may have added them. `OR REPLACE` covers a unique constraint that newer code may have
 * added. Bind the key first, then the columns.
 */
export const upsert = (table: string, key: ReadonlyArray<string>, columns: ReadonlyArray<string>): string => {
  const names = [...key, ...columns]
  const updates = columns.map((column) => `${column} = excluded.${column}`)
  return `INSERT OR REPLACE INTO ${table} (${names.join(", ")}) VALUES (${names.map(() => "?").join(", ")})
    ON CONFLICT (${key.join(", ")}) DO UPDATE SET ${updates.join(", ")}`
}

/** Returns the count that the query names `n`; 0 if there is no row. */
export const countOf = (sql: Sql, query: string, ...bindings: ReadonlyArray<SqlValue>): number =>
  sql.all<{ n: number }>(query, ...bindings)[0]?.n ?? 0

/** Returns the time that the query names `at`, epoch milliseconds; `undefined` if there is none. */
export const earliestOf = (sql: Sql, query: string): number | undefined =>
  sql.all<{ at: number | null }>(query)[0]?.at ?? undefined

/**
 * Returns true if the database failed because a value or its row is too large, so that no retry can succeed.
 * Cloudflare's database takes rows of 2 MB, a local workerd's takes 8 MiB.
 */
export const isTooLarge = (error: unknown): boolean => String(error).includes("string or blob too big")

/** Wraps the SQLite database of a Durable Object. */
export const durableObjectSql = (storage: DurableObjectStorage): Sql => ({
  all: (query, ...bindings) => storage.sql.exec(query, ...bindings).toArray() as never,
  run: (query, ...bindings) => void storage.sql.exec(query, ...bindings),
  transaction: (writes) => storage.transactionSync(writes),
})
