/** What an object has stored, as its own code sees it: a table that is not made yet has no rows. */
import { DURABLE } from "../../src/durable/DurableSchema.ts"
import { GATEWAY } from "../../src/object/Schema.ts"
import { countOf, durableObjectSql } from "../../src/object/Sql.ts"
import { Tables } from "../../src/object/Tables.ts"

/** The tables of hubs, gateways and durable actors. */
const ALL = new Map([...GATEWAY, ...DURABLE])

export const stored = (storage: DurableObjectStorage): Tables => new Tables(durableObjectSql(storage), ALL)

/** How many rows the table has. */
export const countRows = (storage: DurableObjectStorage, table: string): number =>
  countOf(stored(storage), `SELECT count(*) AS n FROM ${table}`)
