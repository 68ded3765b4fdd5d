/** The storage of a Durable Object: its tables, whose version is checked before their first use, and its alarm. */
import type { Log } from "./Log.ts"
import type { Schema } from "./Tables.ts"
import { durableObjectSql } from "./Sql.ts"
import { RECHECK_MS, rejectionFields, StorageRejected } from "./StorageRejected.ts"
import { Tables } from "./Tables.ts"

/** Bytes of a blank database. */
const PAGE_BYTES = 4_096

/** The tables of an object, and its log. */
export interface ObjectStorageOptions {
  readonly schema: Schema
  readonly log: Log
  /** Called once in the life of the object's memory, if its storage is rejected. */
  readonly rejected?: () => void
}

/** Storage that older and newer code share. Code that can't read it neither writes nor deletes anything. */
export class ObjectStorage {
  readonly tables: Tables
  readonly #ctx: DurableObjectState
  readonly #log: Log
  readonly #rejected: (() => void) | undefined
  #isRejected = false

  constructor(ctx: DurableObjectState, { log, rejected, schema }: ObjectStorageOptions) {
    this.#ctx = ctx
    this.#log = log
    this.#rejected = rejected
    this.tables = new Tables(durableObjectSql(ctx.storage), schema)
  }

  /**
   * Looks up the stored version and upgrades older tables. Returns true if it upgraded them. Must be called before
   * the first query. Throws `StorageRejected` if this code can't read what is stored.
   */
  open(): boolean {
    try {
      return this.tables.open()
    } catch (error) {
      if (error instanceof StorageRejected) this.reject(error)
      throw error
    }
  }

  /** Logs the rejection. Only the first one is logged, because each event of the platform finds it again. */
  reject(error: StorageRejected): void {
    if (this.#isRejected) return
    this.#isRejected = true
    this.#log("error", "storage_rejected", { name: this.#ctx.id.name, ...rejectionFields(error) })
    this.#rejected?.()
  }

  /** True if the database is blank: without even the table that the platform keeps its alarm in. */
  get isBlank(): boolean {
    return this.tables.isEmpty() && this.#ctx.storage.sql.databaseSize <= PAGE_BYTES
  }

  /** The time of the alarm, epoch milliseconds, or `null` if it is not armed. */
  armedAt(): Promise<number | null> {
    return this.#ctx.storage.getAlarm()
  }

  /** Arms the alarm, epoch milliseconds, or disarms it with `null`. */
  setAlarm(at: number | null): void {
    const { storage } = this.#ctx
    void (at === null ? storage.deleteAlarm() : storage.setAlarm(at))
  }

  /**
   * Arms the alarm so that a rejected storage is looked at again. Its deadlines are for newer code, and the alarm
   * that would have woken that code has fired.
   */
  recheck(): void {
    this.setAlarm(Date.now() + RECHECK_MS)
  }

  /**
   * Deletes all that is stored, tables and alarm too, after `before` has run. Does nothing if newer code wrote to
   * it: that code may have stored something that this code does not know.
   */
  forget(before?: () => void): void {
    if (this.tables.isNewer) return
    before?.()
    void this.#ctx.storage.deleteAll()
    this.tables.forget()
  }
}
