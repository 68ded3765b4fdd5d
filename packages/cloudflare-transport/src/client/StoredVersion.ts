/**
 * The version of a stored session: an entry of the store, which version 1 has none of. Code that can't read it
 * leaves the store as it is, and to whoever has it.
 */
import { FIRST_VERSION, type SchemaVersion, versionOf } from "../protocol/SchemaVersion.ts"
import { type Persistence, type Store, StoreRejected } from "./Persistence.ts"

type Entries = ReadonlyMap<string, unknown>

/** What leads from one version of the entries to the next. */
export interface StoreStep {
  /** The oldest version whose code can read and write what the step leaves. */
  readonly readableFrom: number
  /** Changes the entries. */
  readonly upgrade: (entries: Map<string, unknown>) => void
}

/** The key of the version. */
const VERSION = "schema"

/** Those of this code. Never change or remove one that was released. */
export const STORE_STEPS: ReadonlyArray<StoreStep> = []

/**
 * Opens the store, with what is in it as this code has it. An older version is upgraded together with the taking
 * over. Rejects with `StoreRejected` where only newer code can read it.
 */
export const openStore = async (
  persistence: Persistence,
  steps: ReadonlyArray<StoreStep> = STORE_STEPS,
): Promise<Store> => {
  let prepared: Entries | undefined
  const store = await persistence.open((entries) => (prepared = changesTo(entries, steps)))
  if (prepared !== undefined) return store
  // A store that did not ask.
  const changes = changesTo(store.entries, steps)
  if (changes.size === 0) return store
  await store.write(changes)
  return { ...store, entries: changed(store.entries, changes) }
}

/** What an upgrade of the entries changes; `undefined` deletes. */
const changesTo = (entries: Entries, steps: ReadonlyArray<StoreStep>): Entries => {
  const own = versionOf(steps)
  const stored = (entries.get(VERSION) as SchemaVersion | undefined) ?? FIRST_VERSION
  // One that this code can't read is a newer one.
  if (!(stored.readableFrom <= own.version)) throw new StoreRejected(stored, own.version)
  if (stored.version >= own.version) return new Map()
  const upgraded = new Map(entries)
  for (const step of steps.slice(stored.version - 1)) step.upgrade(upgraded)
  upgraded.set(VERSION, own)
  const changes = new Map<string, unknown>()
  for (const [key, value] of upgraded) if (entries.get(key) !== value) changes.set(key, value)
  for (const key of entries.keys()) if (!upgraded.has(key)) changes.set(key, undefined)
  return changes
}

/** The entries after these changes. */
const changed = (entries: Entries, changes: Entries): Entries => {
  const result = new Map(entries)
  for (const [key, value] of changes) {
    if (value === undefined) result.delete(key)
    else result.set(key, value)
  }
  return result
}
