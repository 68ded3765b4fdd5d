/** The entries of a shard of the directory: who is registered, and who holds an address. */
import type { Address, AddressPattern } from "@signal-hub/actor-core"
import type { ActorEntry } from "../protocol/HubMessage.ts"
import { countOf, type Sql } from "../storage/Sql.ts"

export interface EntryRow {
  readonly address: Address.Address
  readonly holder: Address.Address
  readonly capabilities: string
  readonly metadata: string
  readonly registered_at: number
  readonly expires_at: number
  readonly version: number
}

export class Entries {
  readonly #sql: Sql

  constructor(sql: Sql) {
    this.#sql = sql
  }

  find(address: Address.Address): EntryRow | undefined {
    return this.#sql.all<EntryRow>("SELECT * FROM entry WHERE address = ?", address)[0]
  }

  /** Those with the prefix that are behind the address `after`, in order. */
  after(prefix: string, after: string, limit: number): ReadonlyArray<EntryRow> {
    return this.#sql.all<EntryRow>(
      "SELECT * FROM entry WHERE address > ? AND address >= ? AND address < ? ORDER BY address LIMIT ?",
      after,
      prefix,
      `${prefix}\x7f`,
      limit,
    )
  }

  slice(offset: number, limit: number): ReadonlyArray<EntryRow> {
    const query = "SELECT * FROM entry ORDER BY address LIMIT ? OFFSET ?"
    return this.#sql.all<EntryRow>(query, limit, offset)
  }

  count(): number {
    return countOf(this.#sql, "SELECT count(*) AS n FROM entry")
  }

  put(entry: ActorEntry, holder: Address.Address): void {
    this.#sql.run(
      `INSERT OR REPLACE INTO entry
       (address, holder, capabilities, metadata, registered_at, expires_at, version)
       VALUES (?, ?, ?, ?, ?, ?, ?)`,
      entry.address,
      holder,
      JSON.stringify(entry.capabilities),
      JSON.stringify(entry.metadata),
      entry.registeredAt,
      entry.expiresAt,
      entry.version,
    )
  }

  /** As long as the holder has it, its lease is until then, epoch milliseconds. */
  renew(address: Address.Address, holder: Address.Address, expiresAt: number): void {
    const query = "UPDATE entry SET expires_at = ? WHERE address = ? AND holder = ?"
    this.#sql.run(query, expiresAt, address, holder)
  }

  delete(address: Address.Address): void {
    this.#sql.run("DELETE FROM entry WHERE address = ?", address)
  }
}

/** Whether the pattern is of it, and it has all that is wanted. */
export const isMeant = (
  { address, capabilities }: EntryRow,
  pattern: AddressPattern.AddressPattern | undefined,
  wanted: ReadonlyArray<string>,
): boolean => {
  if (pattern !== undefined && !pattern.matches(address)) return false
  if (wanted.length === 0) return true
  const has = JSON.parse(capabilities) as ReadonlyArray<string>
  return wanted.every((capability) => has.includes(capability))
}

export const entryOf = (row: EntryRow, expiresAt: number): ActorEntry => ({
  address: row.address,
  actorAddress: row.address,
  capabilities: JSON.parse(row.capabilities),
  metadata: JSON.parse(row.metadata),
  registeredAt: row.registered_at,
  expiresAt,
  version: row.version,
})
