/**
 * A shard of the directory, sans I/O: who is registered, for those who look for others. What it says of a
 * lease is what the holder said last; where that is over, the holder is asked again. Nobody is routed by it.
 */
import { type Address, AddressPattern } from "@signal-hub/actor-core"
import { mayDiscover, maySend } from "../auth/Authorization.ts"
import { type Claims, keptClaims } from "../auth/Claims.ts"
import { literalPrefix } from "../hub/Registry.ts"
import { type ActorEntry, HUB_ADDRESS } from "../protocol/HubMessage.ts"
import { messageId } from "../protocol/MessageId.ts"
import type { Sql } from "../storage/Sql.ts"
import { Lanes } from "./Lanes.ts"
import { MOST_CALLS, type NodeHost } from "./NodeHost.ts"
import { Pending, whenAll } from "./Pending.ts"
import {
  type BroadcastResult,
  type BroadcastSlice,
  CallFailed,
  type Delivery,
  type DirectoryOp,
  type DirectoryPage,
  type DirectoryQuery,
  type Outcome,
} from "./Rpc.ts"

/** Rows that one page looks at: what is beyond comes with the next. */
const ROWS_A_PAGE = 2_000

interface EntryRow {
  readonly address: Address.Address
  readonly holder: Address.Address
  readonly capabilities: string
  readonly metadata: string
  readonly registered_at: number
  readonly expires_at: number
  readonly version: number
}

export const migrateDirectory = (sql: Sql): void =>
  sql.run(`CREATE TABLE IF NOT EXISTS entry (
    address TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    capabilities TEXT NOT NULL,
    metadata TEXT NOT NULL,
    registered_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    version INTEGER NOT NULL
  ) WITHOUT ROWID`)

export class DirectoryCore {
  readonly #host: NodeHost
  readonly #leases: Lanes<Address.Address, number | null>
  readonly #copies: Lanes<Delivery, Outcome>

  constructor(host: NodeHost) {
    this.#host = host
    const bounds = {
      defer: host.defer,
      maxItems: 256,
      maxWaiting: Number.POSITIVE_INFINITY,
      maxCalls: MOST_CALLS,
    }
    this.#leases = new Lanes({
      ...bounds,
      call: (holder, addresses, done) => host.call("address", holder, "leases", [addresses], true, done),
    })
    const caller = { home: HUB_ADDRESS, claims: null }
    this.#copies = new Lanes({
      ...bounds,
      call: (holder, deliveries, done) =>
        host.call("address", holder, "deliver", [{ caller, deliveries }], false, done),
    })
  }

  /** Puts and takes entries. What is older than what is known has no effect. */
  apply(ops: ReadonlyArray<DirectoryOp>): void {
    this.#host.sql.transaction(() => {
      for (const op of ops) {
        if (op.do === "put") this.#put(op.entry, op.holder)
        else this.#remove(op.address, op.holder)
      }
    })
  }

  page(query: DirectoryQuery, done: (page: DirectoryPage) => void): void {
    const { after, limit, capabilities: wanted } = query
    const pattern = AddressPattern.compile(query.pattern)
    const claims = readClaims(query.claims)
    const prefix = pattern.matchesAll ? "" : literalPrefix(pattern)
    const rows = this.#rows(prefix, after, ROWS_A_PAGE + 1)
    const found: Array<EntryRow> = []
    let last = after
    let isCut = rows.length > ROWS_A_PAGE
    for (const row of rows.slice(0, ROWS_A_PAGE)) {
      if (isMeant(row, pattern, wanted) && mayDiscover(claims, row.address)) {
        if (found.length === limit) {
          isCut = true
          break
        }
        found.push(row)
      }
      last = row.address
    }
    this.#live(found, (entries) => done({ entries, next: isCut ? last : null }))
  }

  count(): number {
    return this.#host.sql.all<{ n: number }>("SELECT count(*) AS n FROM entry")[0]!.n
  }

  slice(
    offset: number,
    limit: number,
    claims: string | null,
    done: (entries: ReadonlyArray<ActorEntry>) => void,
  ): void {
    const rows = this.#host.sql.all<EntryRow>(
      "SELECT * FROM entry ORDER BY address LIMIT ? OFFSET ?",
      limit,
      offset,
    )
    const bearer = readClaims(claims)
    this.#live(
      rows.filter(({ address }) => mayDiscover(bearer, address)),
      done,
    )
  }

  /** Sends the copies of one slice, those for one holder together. */
  broadcast(slice: BroadcastSlice, done: (result: BroadcastResult) => void): void {
    const { envelope, after } = slice
    const { broadcastSlice } = this.#host.limits
    const pattern = slice.pattern === null ? undefined : AddressPattern.compile(slice.pattern)
    const prefix = pattern === undefined || pattern.matchesAll ? "" : literalPrefix(pattern)
    const wanted = slice.capability === null ? [] : [slice.capability]
    const claims = readClaims(slice.claims)
    const rows = this.#rows(prefix, after, broadcastSlice + 1)
    const looked = rows.slice(0, broadcastSlice)
    const meant = looked.filter(
      (row) =>
        row.holder !== slice.except && isMeant(row, pattern, wanted) && maySend(claims, row.address),
    )
    const sending = meant.map(({ address, holder }) => {
      const delivered = new Pending<boolean>()
      const delivery = { envelope: { ...envelope, id: messageId(), to: address } }
      this.#copies.push(holder, delivery, (outcome) => {
        const isTaken = !(outcome instanceof CallFailed) && outcome.status === "taken"
        if (!isTaken && !(outcome instanceof CallFailed)) this.#refused(address, holder, outcome)
        delivered.settle(isTaken)
      })
      return delivered
    })
    whenAll(sending, (results) => {
      const delivered = results.filter(Boolean).length
      const next = rows.length > broadcastSlice ? looked.at(-1)!.address : null
      done({ delivered, failed: results.length - delivered, next })
    })
  }

  /** Who says that it has no such address holds it no more. */
  #refused(address: Address.Address, holder: Address.Address, outcome: Outcome): void {
    const isGone =
      outcome.status === "elsewhere" || (outcome.status === "refused" && outcome.code === "unknown_actor")
    if (isGone) this.#remove(address, holder)
  }

  /** The entries that live: of those whose lease is over as far as is known, the holder knows more. */
  #live(rows: ReadonlyArray<EntryRow>, done: (entries: ReadonlyArray<ActorEntry>) => void): void {
    const now = this.#host.now()
    const checked = rows.map((row) => {
      const until = new Pending<number | null>()
      if (row.expires_at > now) until.settle(row.expires_at)
      else this.#leases.push(row.holder, row.address, (lease) => until.settle(this.#renewed(row, lease)))
      return until
    })
    whenAll(checked, (leases) =>
      done(
        rows.flatMap((row, at) => {
          const expiresAt = leases[at]!
          return expiresAt === null ? [] : [entryOf(row, expiresAt)]
        }),
      ),
    )
  }

  #renewed({ address, holder }: EntryRow, lease: number | null | CallFailed): number | null {
    // Who does not answer may be back: not shown, but kept.
    if (lease instanceof CallFailed) return null
    if (lease === null) this.#remove(address, holder)
    else {
      this.#host.sql.run(
        "UPDATE entry SET expires_at = ? WHERE address = ? AND holder = ?",
        lease,
        address,
        holder,
      )
    }
    return lease
  }

  #put(entry: ActorEntry, holder: Address.Address): void {
    this.#host.sql.run(
      `INSERT INTO entry (address, holder, capabilities, metadata, registered_at, expires_at, version)
       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
       ON CONFLICT (address) DO UPDATE SET holder = ?2, capabilities = ?3, metadata = ?4,
         registered_at = ?5, expires_at = ?6, version = ?7 WHERE version <= ?7`,
      entry.address,
      holder,
      JSON.stringify(entry.capabilities),
      JSON.stringify(entry.metadata),
      entry.registeredAt,
      entry.expiresAt,
      entry.version,
    )
  }

  #remove(address: Address.Address, holder: Address.Address): void {
    this.#host.sql.run("DELETE FROM entry WHERE address = ? AND holder = ?", address, holder)
  }

  #rows(prefix: string, after: string, limit: number): ReadonlyArray<EntryRow> {
    return this.#host.sql.all<EntryRow>(
      "SELECT * FROM entry WHERE address > ? AND address >= ? AND address < ? ORDER BY address LIMIT ?",
      after,
      prefix,
      `${prefix}\x7f`,
      limit,
    )
  }
}

const readClaims = (text: string | null): Claims | null => (text === null ? null : keptClaims(text))

const isMeant = (
  { address, capabilities }: EntryRow,
  pattern: AddressPattern.AddressPattern | undefined,
  wanted: ReadonlyArray<string>,
): boolean => {
  if (pattern !== undefined && !pattern.matches(address)) return false
  if (wanted.length === 0) return true
  const has = JSON.parse(capabilities) as ReadonlyArray<string>
  return wanted.every((capability) => has.includes(capability))
}

const entryOf = (row: EntryRow, expiresAt: number): ActorEntry => ({
  address: row.address,
  actorAddress: row.address,
  capabilities: JSON.parse(row.capabilities),
  metadata: JSON.parse(row.metadata),
  registeredAt: row.registered_at,
  expiresAt,
  version: row.version,
})
