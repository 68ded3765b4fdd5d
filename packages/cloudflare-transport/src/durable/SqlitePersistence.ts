/**
 * The `Persistence` port on the SQLite database of a Durable Object: a row for each actor. Reading and
 * writing are synchronous, so a snapshot and what else is written in the same turn are stored together.
 */
import { type Address, Persistence } from "@signal-hub/actor-core"
import * as Effect from "effect/Effect"
import type { Sql } from "../object/Sql.ts"
import { schemaOf, Tables } from "../object/Tables.ts"
import { fromRow, isUnstorable, NotStorable, type StoredValue, toReadableRow } from "../object/StoredValue.ts"

/** The statement that makes the table of snapshots. */
export const SNAPSHOT = `CREATE TABLE actor_snapshot (
  address TEXT PRIMARY KEY,
  version INTEGER NOT NULL,
  state BLOB NOT NULL
) WITHOUT ROWID`

/** Keeps snapshots in this database; makes its table with the first of them. */
export const sqlitePersistence = (sql: Sql): Persistence.Persistence =>
  snapshotsIn(new Tables(sql, schemaOf(SNAPSHOT)))

/** The same where the table is one of others. */
export const snapshotsIn = (sql: Sql): Persistence.Persistence => {
  const attempt = <A>(
    address: Address.Address,
    operation: "load" | "save" | "delete",
    work: () => A,
  ): Effect.Effect<A, Persistence.PersistenceError> =>
    Effect.try({
      try: work,
      catch: (cause) => {
        const permanent = isUnstorable(cause)
        const message =
          cause instanceof NotStorable
            ? `the state of ${address} is no plain data: ${cause.message}`
            : permanent
              ? `the state of ${address} is larger than a row of its database, 2 MB: keep less, or in several actors`
              : `the database did not ${operation} the snapshot of ${address}: ${String(cause)}`
        return new Persistence.PersistenceError({ address, operation, cause, message, permanent })
      },
    })
  const changed = (address: Address.Address, expected: number, rows: ReadonlyArray<unknown>) =>
    rows.length > 0 ? Effect.void : Effect.fail(Persistence.conflict(address, expected))
  return {
    load: (address) =>
      attempt(address, "load", () => {
        const [row] = sql.all<{ version: number; state: StoredValue }>(
          "SELECT version, state FROM actor_snapshot WHERE address = ?",
          address,
        )
        return row === undefined ? null : { version: row.version, state: fromRow(row.state) }
      }),
    save: (address, state, expected) =>
      attempt(address, "save", () =>
        expected === 0
          ? sql.all(
              "INSERT INTO actor_snapshot (address, version, state) VALUES (?, 1, ?) ON CONFLICT DO NOTHING RETURNING version",
              address,
              toReadableRow(state),
            )
          : sql.all(
              "UPDATE actor_snapshot SET version = version + 1, state = ? WHERE address = ? AND version = ? RETURNING version",
              toReadableRow(state),
              address,
              expected,
            ),
      ).pipe(Effect.flatMap((rows) => changed(address, expected, rows))),
    delete: (address, expected) =>
      attempt(address, "delete", () =>
        sql.all(
          "DELETE FROM actor_snapshot WHERE address = ? AND version = ? RETURNING version",
          address,
          expected,
        ),
      ).pipe(Effect.flatMap((rows) => changed(address, expected, rows))),
  }
}
