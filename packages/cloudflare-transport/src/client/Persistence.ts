/**
 * The port to what keeps a session beyond this process: a few named values, written together, by one
 * process at a time. `./client/indexeddb` and `./client/file` are made for it.
 */
import * as Data from "effect/Data"

/** Another process has opened the store since: it has the session now, and what was to be sent. */
export class StoreTaken extends Data.TaggedError("StoreTaken")<{ readonly message: string }> {
  constructor() {
    super({ message: "another process has opened the stored session since" })
  }
}

/** Where a session is stored. */
export interface Persistence {
  /** Takes the store over: from now on, who opened it before can write nothing. */
  readonly open: () => Promise<Store>
}

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
