/**
 * The version of a stored schema, and the oldest version of the code that can read it. A view holds both: it takes
 * no page, is written with the first table in the same transaction, and is read by the query that looks tables up.
 * Version 1 needs none: no code is older. `PRAGMA user_version` is not authorized in a Durable Object.
 */
import { FIRST_VERSION, type SchemaVersion } from "../protocol/SchemaVersion.ts"
import type { Sql } from "./Sql.ts"

/** What leads from one version of a schema to the next. */
export interface Step {
  /**
   * The oldest version whose code can read and write what the step leaves. The step's own version, unless all
   * that it does is to add what older code can leave alone.
   */
  readonly readableFrom: number
  /**
   * Changes what is stored. The columns of the newest schema are there; tables that only it has are not, and the
   * step makes those that it fills. Statements on tables that were never made are passed over.
   */
  readonly upgrade: (sql: Sql) => void
}

interface Versioned {
  readonly name?: string
}

/** The name of the view that holds the version. */
export const markOf = ({ name }: Versioned): string =>
  name === undefined ? "schema_version" : `${name}_schema`

/** The version that the view of this text holds; `undefined`: there is no view. */
export const storedVersion = (text: string | undefined): SchemaVersion => {
  const [, version, readableFrom] = /SELECT (\d+) AS version, (\d+) AS readable_from/.exec(text ?? "") ?? []
  if (version !== undefined) return { version: Number(version), readableFrom: Number(readableFrom) }
  // One that this code can't read is a newer one.
  return text === undefined ? FIRST_VERSION : { version: Infinity, readableFrom: Infinity }
}

export const createMark = (schema: Versioned, { readableFrom, version }: SchemaVersion): string =>
  `CREATE VIEW IF NOT EXISTS ${markOf(schema)} AS SELECT ${version} AS version, ${readableFrom} AS readable_from`

export const dropMark = (schema: Versioned): string => `DROP VIEW IF EXISTS ${markOf(schema)}`

/** SQL for a step: a statement on a table that is not there finds and does nothing. */
export const stepSql = (sql: Sql): Sql => {
  const isThere = (table: string): boolean =>
    sql.all("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", table).length > 0
  const isThereFor = (query: string): boolean =>
    query.startsWith("CREATE TABLE") || tablesOf(query).every(isThere)
  return {
    all: (query, ...bindings) => (isThereFor(query) ? sql.all(query, ...bindings) : []),
    run: (query, ...bindings) => {
      if (isThereFor(query)) sql.run(query, ...bindings)
    },
    transaction: (writes) => sql.transaction(writes),
  }
}

const TABLES =
  /\b(?:FROM|INTO|JOIN|UPDATE(?: OR \w+)?|(?:ALTER|DROP) TABLE|^CREATE (?:UNIQUE )?INDEX \w+ ON)\s+(?!SET\b)(\w+)/g

/** The tables that a statement needs. */
const tablesOf = (query: string): ReadonlyArray<string> =>
  Array.from(query.matchAll(TABLES), ([, table]) => table!)
