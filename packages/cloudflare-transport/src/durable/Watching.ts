/** Whom a durable actor watches, and who watches it: rows, until told. */
import { type Address, Signal } from "@signal-hub/actor-core"
import { hubEnvelope } from "../protocol/HubEnvelope.ts"
import type { TerminatedReason } from "../protocol/HubMessage.ts"
import type { Sql } from "../object/Sql.ts"
import { type ActorRpc, type Delivery, isUnsupported } from "../delivery/ActorRpc.ts"
import type { DurableAlarm } from "./DurableAlarm.ts"

/** Milliseconds until a watch that could not be begun, or an end that was not told, is tried again. */
const AGAIN = 30_000

export interface WatchingOptions {
  readonly sql: Sql
  readonly alarm: DurableAlarm
  readonly address: Address.Address
  readonly now: () => number
  readonly reach: (address: Address.Address) => Pick<ActorRpc, "watch" | "unwatch"> | undefined
  readonly follow: (task: () => void) => void
  readonly send: (target: Address.Address, delivery: Delivery) => void
  /** Signals it to the actor, once that runs. */
  readonly signal: (signal: symbol, event: unknown) => void
}

export class Watching {
  readonly #options: WatchingOptions
  /** Ends that the actor is being told. */
  readonly #telling = new Set<string>()

  constructor(options: WatchingOptions) {
    this.#options = options
  }

  /** Begins to watch. Part of a step. */
  add(address: Address.Address): void {
    const { alarm, follow, now, sql } = this.#options
    const [new_] = sql.all(
      "INSERT OR IGNORE INTO actor_watching (address, begun) VALUES (?, 0) RETURNING address",
      address,
    )
    if (new_ === undefined) return
    alarm.atLatest(now() + AGAIN)
    follow(() => void this.#begin(address))
  }

  /** Ends a watch. Part of a step. */
  remove(address: Address.Address): void {
    const { follow, reach, sql } = this.#options
    this.#telling.delete(address)
    sql.run("DELETE FROM actor_watching WHERE address = ?", address)
    follow(
      () =>
        void reach(address)
          ?.unwatch(address, this.#options.address)
          .catch(() => undefined),
    )
  }

  /** The actor was told. Part of a step. */
  told(address: Address.Address): void {
    this.#options.sql.run("DELETE FROM actor_watching WHERE address = ?", address)
    this.#options.follow(() => void this.#telling.delete(address))
  }

  /** What the actor was being told may not have got there: it is told again. */
  untold(): void {
    this.#telling.clear()
  }

  /** What is watched has ended. */
  ended(address: Address.Address, reason: string): void {
    const { alarm, now, sql } = this.#options
    const [watched] = sql.all(
      "UPDATE actor_watching SET reason = ? WHERE address = ? RETURNING address",
      reason,
      address,
    )
    if (watched === undefined) return
    alarm.atLatest(now() + AGAIN)
    this.#tell(address)
  }

  /** Goes on with what is not begun, or not told. */
  recover(): void {
    const { sql } = this.#options
    const rows = sql.all<{ address: Address.Address; begun: number; reason: string | null }>(
      "SELECT address, begun, reason FROM actor_watching WHERE begun = 0 OR reason IS NOT NULL",
    )
    for (const { address, reason } of rows) {
      if (reason === null) void this.#begin(address)
      else this.#tell(address)
    }
  }

  /** Somebody watches the actor from now on. */
  addWatcher(watcher: Address.Address): void {
    this.#options.sql.run("INSERT OR IGNORE INTO actor_watcher (address) VALUES (?)", watcher)
  }

  removeWatcher(watcher: Address.Address): void {
    this.#options.sql.run("DELETE FROM actor_watcher WHERE address = ?", watcher)
  }

  /** The actor has ended: all who watch it hear so. Part of a step. */
  tellWatchers(reason: TerminatedReason): void {
    const { address, now, send, sql } = this.#options
    for (const watcher of sql.all<{ address: Address.Address }>(
      "DELETE FROM actor_watcher RETURNING address",
    )) {
      const payload = { actorAddress: address, reason }
      send(watcher.address, { envelope: hubEnvelope("hub:terminated", watcher.address, payload, now()) })
    }
  }

  #tell(address: Address.Address): void {
    const { signal, sql } = this.#options
    const [row] = sql.all<{ reason: string | null }>(
      "SELECT reason FROM actor_watching WHERE address = ?",
      address,
    )
    if (row?.reason == null || this.#telling.has(address)) return
    this.#telling.add(address)
    signal(Signal.terminated, { address, reason: row.reason })
  }

  async #begin(address: Address.Address): Promise<void> {
    const stub = this.#options.reach(address)
    let isThere = false
    try {
      isThere = stub !== undefined && (await stub.watch(address, this.#options.address))
    } catch (error) {
      // Tried again by the alarm, unless nobody there can be watched.
      if (!isUnsupported(error, "watch")) return
    }
    if (isThere) this.#options.sql.run("UPDATE actor_watching SET begun = 1 WHERE address = ?", address)
    else this.ended(address, "unknown")
  }
}
