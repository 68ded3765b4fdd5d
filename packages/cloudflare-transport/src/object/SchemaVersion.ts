/**
 * The version of a stored schema, and the oldest version of the code that can read it. A view holds both: it takes
 * no page, is written with the first table in the same transaction, and is read by the query that looks tables up.
 * Version 1 needs no view, because no code is older. A Durable Object does not authorize `PRAGMA user_version`.
 */
import { FIRST_VERSION, type SchemaVersion } from "../protocol/SchemaVersion.ts"
import type { Sql } from "./Sql.ts"

/** A migration: leads from one version of a schema to the next. */
export interface Step {
  /**
   * The oldest version whose code can read and write the result of the step. It is the step's own version, unless
   * the step only adds something that older code can leave alone.
   */
  readonly readableFrom: number
  /**
   * Changes what is stored. Columns of the newest schema are there before the step runs. Tables that only the newest
   * schema has are not: the step makes those that it fills. Statements on tables that were never made do nothing.
   */
  readonly upgrade: (sql: Sql) => void
}

interface Versioned {
  readonly name?: string
}

/** Returns the name of the view that holds the version. */
export const markOf = ({ name }: Versioned): string =>
  name === undefined ? "schema_version" : `${name}_schema`

/** Reads the version from the statement of its view; `undefined` stands for a database without the view. */
export const storedVersion = (text: string | undefined): SchemaVersion => {
  const [, version, readableFrom] = /SELECT (\d+) AS version, (\d+) AS readable_from/.exec(text ?? "") ?? []
  if (version !== undefined) return { version: Number(version), readableFrom: Number(readableFrom) }
  // A text that this code can't read is of newer code.
  return text === undefined ? FIRST_VERSION : { version: Infinity, readableFrom: Infinity }
}

/** Builds the statement that stores the version. */
export const createMark = (schema: Versioned, { readableFrom, version }: SchemaVersion): string =>
  `CREATE VIEW IF NOT EXISTS ${markOf(schema)} AS SELECT ${version} AS version, ${readableFrom} AS readable_from`

/** Builds the statement that deletes the stored version. */
export const dropMark = (schema: Versioned): string => `DROP VIEW IF EXISTS ${markOf(schema)}`

/** Wraps the database for a step: a statement on a table that is not there finds and does nothing. */
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
