/**
 * The port that actors keep their state behind: one snapshot for each address. What the state is, and how
 * it is encoded, is the actor's; who stores sees values that a payload may hold.
 *
 * A snapshot has a version, which says how often it was stored. Who stores names the version that it
 * began from; where another has stored meanwhile it is refused, and nothing changes.
 */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { Address } from "./Address.ts"
import { pack, unpack } from "./codec/MsgPack.ts"

/** The stored state of one actor. */
export interface Snapshot {
  /** From 1. */
  readonly version: number
  /** A value that a payload may hold: see `PayloadValue`. */
  readonly state: unknown
}

/** The store did not do what it was asked: it can't be reached, is full, or refuses the value. */
export class PersistenceError extends Data.TaggedError("PersistenceError")<{
  readonly address: Address
  readonly operation: "load" | "save" | "delete"
  readonly message: string
  readonly cause?: unknown
  /** Whether it is of no use to try again: what was to be stored is too large. Default: no. */
  readonly permanent?: boolean
}> {}

/** Another has stored, or deleted, since this state was loaded: load again. */
export class SnapshotConflict extends Data.TaggedError("SnapshotConflict")<{
  readonly address: Address
  /** The version that was expected; 0: none. */
  readonly expected: number
  readonly message: string
}> {}

export interface Persistence {
  /** The stored snapshot, or `null`. */
  readonly load: (address: Address) => Effect.Effect<Snapshot | null, PersistenceError>
  /** Stores as version `expected + 1`, where the stored version is `expected`; 0: where there is none. */
  readonly save: (
    address: Address,
    state: unknown,
    expected: number,
  ) => Effect.Effect<void, PersistenceError | SnapshotConflict>
  /** Deletes version `expected`. Nothing is left behind. */
  readonly delete: (
    address: Address,
    expected: number,
  ) => Effect.Effect<void, PersistenceError | SnapshotConflict>
}

/** Where actors keep their state, as a service. */
export const Persistence: Context.Service<Persistence, Persistence> = Context.Service<Persistence>(
  "@signal-hub/actor-core/Persistence",
)

/** The error of a version that is not the one expected. */
export const conflict = (address: Address, expected: number): SnapshotConflict =>
  new SnapshotConflict({
    address,
    expected,
    message: `the snapshot of ${address} is no longer version ${expected}: another has stored it`,
  })

/** Keeps snapshots in memory, packed as a database keeps them, so that nothing is shared with the actors. */
export const makeInMemory: Effect.Effect<Persistence> = Effect.sync(() => {
  const snapshots = new Map<Address, { readonly version: number; readonly state: Uint8Array }>()
  const changing = (
    operation: "save" | "delete",
    address: Address,
    expected: number,
    change: () => void,
  ): Effect.Effect<void, PersistenceError | SnapshotConflict> =>
    Effect.suspend((): Effect.Effect<void, PersistenceError | SnapshotConflict> => {
      if ((snapshots.get(address)?.version ?? 0) !== expected) return Effect.fail(conflict(address, expected))
      return Effect.try({
        try: change,
        catch: (cause) =>
          new PersistenceError({ address, operation, cause, message: (cause as Error).message }),
      })
    })
  return {
    load: (address) =>
      Effect.sync(() => {
        const stored = snapshots.get(address)
        return stored === undefined ? null : { version: stored.version, state: unpack(stored.state) }
      }),
    save: (address, state, expected) =>
      changing("save", address, expected, () => {
        snapshots.set(address, { version: expected + 1, state: pack(state, "state").slice() })
      }),
    delete: (address, expected) =>
      changing("delete", address, expected, () => void snapshots.delete(address)),
  }
})

/** `makeInMemory` as a layer. */
export const layerInMemory: Layer.Layer<Persistence> = Layer.effect(Persistence, makeInMemory)
