/**
 * The port to what keeps a session beyond this process: a few named values, written together, by one
 * process at a time. `./client/indexeddb` and `./client/file` are made for it.
 */
import * as Data from "effect/Data"
import type { SchemaVersion } from "../protocol/SchemaVersion.ts"

/** Another process has opened the store since: it has the session now, and what was to be sent. */
export class StoreTaken extends Data.TaggedError("StoreTaken")<{ readonly message: string }> {
  constructor() {
    super({ message: "another process has opened the stored session since" })
  }
}

/** Only newer code than this can read the stored session. It is left as it is, and to whoever has it. */
export class StoreRejected extends Data.TaggedError("StoreRejected")<{
  /** The version of what is stored; `undefined`: it is not known. */
  readonly stored: number | undefined
  /** The version of this code. */
  readonly code: number
  readonly message: string
}> {
  constructor(stored: SchemaVersion | undefined, code: number) {
    const version = stored?.version
    const message = `the stored session is of ${version === undefined ? "a newer version" : `version ${version}`}, which this code, of version ${code}, can't read: reload the page, or update the program`
    super({ stored: version, code, message })
  }
}

/** Where a session is stored. */
export interface Persistence {
  /**
   * Takes the store over: from now on, who opened it before can write nothing.
   *
   * `prepare` is to be called with what is there, at once, before that: what it returns is written together with
   * the taking over, and is in the store's `entries`; where it throws, nothing is changed, and `open` rejects
   * with that.
   */
  readonly open: (prepare?: Prepare) => Promise<Store>
}

/** The changes to what is there without which it can't be read; `undefined` deletes. */
export type Prepare = (entries: ReadonlyMap<string, unknown>) => ReadonlyMap<string, unknown>

/** An opened store. */
export interface Store {
  /** What was there when it was opened. */
  readonly entries: ReadonlyMap<string, unknown>
  /**
   * Writes all of these, or nothing, and resolves when they survive this process; `undefined` deletes.
   * Called again only when the last call has ended. Rejects with `StoreTaken` where somebody else has
   * opened the store: also with nothing to write. Values are plain data, dates and bytes.
   */
  readonly write: (changes: ReadonlyMap<string, unknown>) => Promise<void>
}
