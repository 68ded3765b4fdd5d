/**
 * Stores a session in IndexedDB, for browsers. Who opens it writes its name into it; what is written, is
 * written in one transaction with the look at that name.
 */
import { type Persistence, type Store, StoreTaken } from "../client/Persistence.ts"

const ENTRIES = "entries"
const OWNER = "owner"

/**
 * A session that is stored in the database of this name. Who shares the name shares the session: a second
 * tab takes it over from the first. For a session a tab, make the name from what `sessionStorage` keeps.
 */
export const indexedDbPersistence = (name: string): Persistence => ({ open: () => openDatabase(name) })

const openDatabase = async (name: string): Promise<Store> => {
  const request = indexedDB.open(name, 1)
  request.addEventListener("upgradeneeded", () => void request.result.createObjectStore(ENTRIES))
  const database = await done(request)
  const owner = crypto.randomUUID()
  const transaction = database.transaction(ENTRIES, "readwrite")
  const store = transaction.objectStore(ENTRIES)
  store.put(owner, OWNER)
  const [keys, values] = await Promise.all([
    done(store.getAllKeys()),
    done(store.getAll()),
    ended(transaction),
  ])
  return {
    entries: new Map(keys.map((key, at) => [String(key), values[at]] as const)),
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
        for (const [key, value] of changes) {
          if (value === undefined) store.delete(key)
          else store.put(value, key)
        }
      })
      await whole.catch((error: unknown) => {
        throw taken ? new StoreTaken() : error
      })
    },
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
