/** Who was told to pause, for which slow reader: rows, as both may sleep until the reader catches up. */
import type { Address } from "@signal-hub/actor-core"
import { isRemote } from "./peers/Peers.ts"
import type { Session } from "../session/Session.ts"
import type { Sql } from "../object/Sql.ts"

/** A sender that was told, and the address that it sends to. */
export interface Pause {
  /** Id of its session, or as `remoteSender` has it. */
  readonly sender: string
  readonly address: Address.Address
}

/** A session at the object of this address, as the sender of a pause. No address has a blank in it. */
export const remoteSender = (home: Address.Address, session: string): string => `${home} ${session}`

/** The object of a sender that is not here. */
export const homeOf = (sender: string): Address.Address | undefined =>
  isRemote(sender) ? (sender.slice(0, sender.indexOf(" ")) as Address.Address) : undefined

const keyOf = (sender: string, address: string): string => `${sender}\n${address}`

/** The table of senders that pause until a slow reader has caught up, with a cache by reader. */
export class PausedSenders {
  readonly #sql: Sql
  /** By the slow reader's session: the keys of its rows. */
  readonly #told = new Map<string, Set<string>>()

  constructor(sql: Sql) {
    this.#sql = sql
  }

  countOf(reader: Session): number {
    return this.#of(reader).size
  }

  has(reader: Session, sender: string, address: Address.Address): boolean {
    return this.#of(reader).has(keyOf(sender, address))
  }

  add(reader: Session, sender: string, address: Address.Address): void {
    this.#sql.run(
      "INSERT OR IGNORE INTO pause (reader, sender, address) VALUES (?, ?, ?)",
      reader.id,
      sender,
      address,
    )
    this.#of(reader).add(keyOf(sender, address))
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
