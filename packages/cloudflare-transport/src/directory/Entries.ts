/** The entries of a shard of the directory: who is registered, and who holds an address. */
import type { Address, AddressPattern } from "@signal-hub/actor-core"
import type { ActorEntry } from "../protocol/HubMessage.ts"
import { hasAll } from "../hub/features/Registry.ts"
import { countOf, type Sql, upsert } from "../object/Sql.ts"
import { fromRow, type StoredValue, toReadableRow } from "../object/StoredValue.ts"

const STORE_ENTRY = upsert(
  "entry",
  ["address"],
  ["holder", "capabilities", "metadata", "registered_at", "expires_at", "version"],
)

export interface EntryRow {
  readonly address: Address.Address
  readonly holder: Address.Address
  readonly capabilities: string
  readonly metadata: StoredValue
  readonly registered_at: number
  readonly expires_at: number
  readonly version: number
}

export class Entries {
  readonly #sql: Sql
  /** How many there are, once counted and until that may have changed. */
  #count: number | undefined

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

  count(): number {
    this.#count ??= countOf(this.#sql, "SELECT count(*) AS n FROM entry")
    return this.#count
  }

  put(entry: ActorEntry, holder: Address.Address): void {
    this.#count = undefined
    this.#sql.run(
      STORE_ENTRY,
      entry.address,
      holder,
      JSON.stringify(entry.capabilities),
      toReadableRow(entry.metadata),
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
    this.#count = undefined
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
  return hasAll(wanted, capabilities)
}

export const entryOf = (row: EntryRow, expiresAt: number): ActorEntry => ({
  address: row.address,
  actorAddress: row.address,
  capabilities: JSON.parse(row.capabilities),
  metadata: fromRow(row.metadata) as ActorEntry["metadata"],
  registeredAt: row.registered_at,
  expiresAt,
  version: row.version,
})
