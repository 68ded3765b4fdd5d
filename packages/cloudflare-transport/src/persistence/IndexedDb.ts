/**
 * Stores a session in IndexedDB, for browsers. Who opens it writes its name into it; what is written, is
 * written in one transaction with the look at that name.
 */
import {
  type Persistence,
  type Prepare,
  type Store,
  StoreRejected,
  StoreTaken,
} from "../client/Persistence.ts"

const ENTRIES = "entries"
const OWNER = "owner"
/** The version of the database, which has one object store: not that of what is in it. */
const LAYOUT = 1

/**
 * A session that is stored in the database of this name. Who shares the name shares the session: a second
 * tab takes it over from the first. For a session a tab, make the name from what `sessionStorage` keeps.
 */
export const indexedDbPersistence = (name: string): Persistence => ({
  open: (prepare) => openDatabase(name, prepare),
})

const openDatabase = async (name: string, prepare: Prepare = () => new Map()): Promise<Store> => {
  const request = indexedDB.open(name, LAYOUT)
  request.addEventListener("upgradeneeded", () => void request.result.createObjectStore(ENTRIES))
  const database = await done(request).catch((error: unknown) => {
    // Newer code has given the database another layout.
    if ((error as DOMException).name === "VersionError") throw new StoreRejected(undefined, LAYOUT)
    throw error
  })
  // Newer code is about to: it would wait for this process for ever.
  database.addEventListener("versionchange", () => database.close())
  const owner = crypto.randomUUID()
  const transaction = database.transaction(ENTRIES, "readwrite")
  const store = transaction.objectStore(ENTRIES)
  const whole = ended(transaction)
  let entries = new Map<string, unknown>()
  let rejection: { readonly error: unknown } | undefined
  const keys = store.getAllKeys()
  const values = store.getAll()
  // The last that was asked for: both are there. What follows is part of the transaction.
  values.addEventListener("success", () => {
    entries = new Map(keys.result.map((key, at) => [String(key), values.result[at]]))
    try {
      apply(store, entries, prepare(entries))
    } catch (error) {
      rejection = { error }
      return transaction.abort()
    }
    store.put(owner, OWNER)
  })
  await whole.catch((error: unknown) => {
    database.close()
    throw rejection === undefined ? error : rejection.error
  })
  return {
    entries,
    write: async (changes) => {
      const transaction = database.transaction(ENTRIES, "readwrite", { durability: "strict" })
      const store = transaction.objectStore(ENTRIES)
      const whole = ended(transaction)
      let taken = false
      const holder = store.get(OWNER)
      holder.addEventListener("success", () => {
        if (holder.result !== owner) {
          taken = true
          return transaction.abort()
        }
        apply(store, new Map(), changes)
      })
      await whole.catch((error: unknown) => {
        throw taken ? new StoreTaken() : error
      })
    },
  }
}

/** Makes the changes in the store, and in what is known of it. */
const apply = (
  store: IDBObjectStore,
  entries: Map<string, unknown>,
  changes: ReadonlyMap<string, unknown>,
): void => {
  for (const [key, value] of changes) {
    if (value === undefined) {
      entries.delete(key)
      store.delete(key)
    } else {
      entries.set(key, value)
      store.put(value, key)
    }
  }
}

const done = <A>(request: IDBRequest<A>): Promise<A> =>
  new Promise((resolve, reject) => {
    request.addEventListener("success", () => resolve(request.result))
    request.addEventListener("error", () => reject(request.error))
  })

const ended = (transaction: IDBTransaction): Promise<void> =>
  new Promise((resolve, reject) => {
    transaction.addEventListener("complete", () => resolve())
    transaction.addEventListener("abort", () =>
      reject(transaction.error ?? new Error("the transaction was aborted")),
    )
  })
