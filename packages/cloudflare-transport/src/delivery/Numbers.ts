/**
 * The numbers of what leaves an object reliably. They grow as long as its storage lives, so that whoever takes
 * them in tells a repeat by its number; a storage that was deleted begins anew under another name. Numbers are
 * reserved many at a time: a row is written seldom, and a memory that is lost leaves a gap behind, which means
 * nothing.
 */
import { type Sql, upsert } from "../object/Sql.ts"

const STORE_NUMBERS = upsert("numbers", ["one"], ["id", "reserved"])

/** Numbers that are reserved by one write. */
const RESERVED = 1_000

export class Numbers {
  readonly #sql: Sql
  #id: string | undefined
  #next = 1
  /** The first that is not reserved. */
  #end = 1

  constructor(sql: Sql) {
    this.#sql = sql
  }

  /** Its name: random, one for each life of the storage. */
  get id(): string {
    return this.#id ?? this.#load()
  }

  /** The next number. Not to be called in a step that may be undone. */
  next(): number {
    const { id } = this
    if (this.#next >= this.#end) {
      this.#end = this.#next + RESERVED
      this.#sql.run(STORE_NUMBERS, 1, id, this.#end)
    }
    return this.#next++
  }

  /** The storage is deleted, and what it was called with it. */
  forget(): void {
    this.#id = undefined
  }

  #load(): string {
    const [row] = this.#sql.all<{ id: string; reserved: number }>("SELECT id, reserved FROM numbers")
    this.#next = this.#end = row?.reserved ?? 1
    return (this.#id = row?.id ?? crypto.randomUUID())
  }
}
