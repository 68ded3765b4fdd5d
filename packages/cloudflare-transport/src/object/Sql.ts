/**
 * The storage port: SQL, synchronous, as SQLite in a Durable Object gives it. Each concept keeps its
 * queries beside its logic; the tables are in `Schema`. Tests run the same queries on Node's SQLite.
 */

/** What a column may hold. */
export type SqlValue = string | number | Uint8Array | null

export interface Sql {
  /** The rows that the query gives, all of them: none where its table is not made yet, not even a count. */
  readonly all: <Row>(query: string, ...bindings: ReadonlyArray<SqlValue>) => ReadonlyArray<Row>
  readonly run: (query: string, ...bindings: ReadonlyArray<SqlValue>) => void
  /** Runs the writes together or not at all: what throws leaves no row behind. */
  readonly transaction: <A>(writes: () => A) => A
}

/**
 * The statement that stores a row, whether there is one of this key or not. Columns that it does not name keep what
 * they hold: newer code may have added them. `OR REPLACE` is for a unique constraint that it may have added. Bind
 * the key first, then the columns.
 */
export const upsert = (table: string, key: ReadonlyArray<string>, columns: ReadonlyArray<string>): string => {
  const names = [...key, ...columns]
  const updates = columns.map((column) => `${column} = excluded.${column}`)
  return `INSERT OR REPLACE INTO ${table} (${names.join(", ")}) VALUES (${names.map(() => "?").join(", ")})
    ON CONFLICT (${key.join(", ")}) DO UPDATE SET ${updates.join(", ")}`
}

/** What the query counts as `n`. */
export const countOf = (sql: Sql, query: string, ...bindings: ReadonlyArray<SqlValue>): number =>
  sql.all<{ n: number }>(query, ...bindings)[0]?.n ?? 0

/** The time that the query gives as `at`; `undefined`: there is none. */
export const earliestOf = (sql: Sql, query: string): number | undefined =>
  sql.all<{ at: number | null }>(query)[0]?.at ?? undefined

/**
 * Whether a value, or the row that it is in, is larger than the database takes: it never will. Cloudflare's takes
 * rows of 2 MB, a local workerd's of 8 MiB.
 */
export const isTooLarge = (error: unknown): boolean => String(error).includes("string or blob too big")

/** The SQLite database of a Durable Object. */
export const durableObjectSql = (storage: DurableObjectStorage): Sql => ({
  all: (query, ...bindings) => storage.sql.exec(query, ...bindings).toArray() as never,
  run: (query, ...bindings) => void storage.sql.exec(query, ...bindings),
  transaction: (writes) => storage.transactionSync(writes),
})
