/**
 * The bounds of what one request looks at and is answered: a page ends at its limit, at so many rows looked at,
 * or at half of the largest frame. Its cursor says where the next begins, and names no address that the token
 * does not allow to see.
 */
import type { Address } from "@signal-hub/actor-core"
import { Envelope } from "@signal-hub/actor-core/vocabulary"
import { mayDiscover } from "../../auth/Authorization.ts"
import type { Claims } from "../../auth/Claims.ts"
import { decodeCursor, encodeCursor } from "../../protocol/Cursor.ts"
import type { Limits } from "../../protocol/Limits.ts"
import type { Connection } from "../../session/Connection.ts"
import { ROWS_A_TOKEN } from "../../session/RateBucket.ts"
import { malformed } from "../Rejection.ts"

/** Rows that one page looks at. The rest comes with the next. */
export const ROWS_A_PAGE = 2_000
/** Rows that are read together: more are read only where these were not enough. */
export const ROWS_A_READ = 250

/** The connection's request has looked at so many rows. Charged afterwards: its bucket may go below zero. */
export const chargeRows = ({ rate }: Connection, rows: number): void =>
  rate.charge(Math.floor(rows / ROWS_A_TOKEN))

/** The first of these that a page has room for, and at least one. */
export const fitting = <A>(
  entries: ReadonlyArray<A>,
  { maxMessageSize }: Pick<Limits, "maxMessageSize">,
): ReadonlyArray<A> => {
  let room = maxMessageSize / 2
  const end = entries.findIndex((entry, at) => {
    room -= Envelope.utf8Length(JSON.stringify(entry)) + 1
    return room < 0 && at > 0
  })
  return end === -1 ? entries : entries.slice(0, end)
}

/** Positions that a connection's cursors may stand for at a time: each is an address of up to 256 bytes. */
const MAX_POSITIONS = 8
/** What such a cursor begins with, and no address does. */
const POSITION = "#"

/**
 * The cursor of the page that begins after an address. If the token hides the address, the cursor is the number
 * of a position that the connection keeps, of its last few.
 */
export const cursorAfter = (connection: Connection, claims: Claims | null, after: string): string => {
  if (mayDiscover(claims, after as Address.Address)) return encodeCursor(after)
  const { count, addresses } = connection.positions
  const kept = [...addresses, after].slice(-MAX_POSITIONS)
  connection.positions = { count: count + 1, addresses: kept }
  connection.save()
  return encodeCursor(`${POSITION}${count + 1}`)
}

/** The address after which the page of this cursor begins. */
export const readCursor = ({ positions }: Connection, given = ""): string => {
  const cursor = decodeCursor(given) ?? ""
  if (!cursor.startsWith(POSITION)) return cursor
  const { count, addresses } = positions
  const address = addresses.at(Number(cursor.slice(1)) - count - 1)
  const isKept = Number(cursor.slice(1)) <= count && address !== undefined
  if (!isKept) throw malformed(`"cursor" is not one of the last ${MAX_POSITIONS} of this connection`)
  return address
}
