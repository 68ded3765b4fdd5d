/** Who was told to pause, for which slow reader: rows, as both may sleep until the reader catches up. */
import type { Address } from "@signal-hub/actor-core"
import type { Session } from "../session/Session.ts"
import type { Sql } from "../storage/Sql.ts"

/** A sender that was told, and the address that it sends to. */
export interface Pause {
  readonly sender: string
  readonly address: Address.Address
}

const keyOf = (sender: string, address: string): string => `${sender}\n${address}`

export class Pauses {
  readonly #sql: Sql
  /** By the slow reader's session: the keys of its rows. */
  readonly #told = new Map<string, Set<string>>()

  constructor(sql: Sql) {
    this.#sql = sql
  }

  countOf(reader: Session): number {
    return this.#of(reader).size
  }

  has(reader: Session, sender: Session, address: Address.Address): boolean {
    return this.#of(reader).has(keyOf(sender.id, address))
  }

  add(reader: Session, sender: Session, address: Address.Address): void {
    this.#sql.run(
      "INSERT OR IGNORE INTO pause (reader, sender, address) VALUES (?, ?, ?)",
      reader.id,
      sender.id,
      address,
    )
    this.#of(reader).add(keyOf(sender.id, address))
  }

  /** The reader is slow no more: gives who was told, whose pauses are over now. */
  take(reader: Session): ReadonlyArray<Pause> {
    this.#told.delete(reader.id)
    const pauses = this.#sql.all<Pause>("SELECT sender, address FROM pause WHERE reader = ?", reader.id)
    if (pauses.length > 0) this.#sql.run("DELETE FROM pause WHERE reader = ?", reader.id)
    return pauses
  }

  #of(reader: Session): Set<string> {
    let told = this.#told.get(reader.id)
    if (told === undefined) {
      const rows = this.#sql.all<Pause>("SELECT sender, address FROM pause WHERE reader = ?", reader.id)
      told = new Set(rows.map(({ sender, address }) => keyOf(sender, address)))
      this.#told.set(reader.id, told)
    }
    return told
  }
}
