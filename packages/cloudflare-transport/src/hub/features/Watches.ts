/** Who is told when an address ends. A watch is told once and is over then. By the watcher's address. */
import type { Address } from "@signal-hub/actor-core"
import type { Session } from "../../session/Session.ts"
import { addressOf } from "../../session/Session.ts"
import { countOf, type Sql } from "../../object/Sql.ts"

/** The watches, in the table `watch`. */
export class Watches {
  readonly #sql: Sql

  constructor(sql: Sql) {
    this.#sql = sql
  }

  countOf(session: Session): number {
    session.watches ??= countOf(
      this.#sql,
      "SELECT count(*) AS n FROM watch WHERE watcher = ?",
      addressOf(session),
    )
    return session.watches
  }

  add(target: Address.Address, session: Session): void {
    this.addWatcher(target, addressOf(session))
    session.watches = undefined
  }

  /** A watcher who may be elsewhere. */
  addWatcher(target: Address.Address, watcher: Address.Address): void {
    this.#sql.run("INSERT OR IGNORE INTO watch (target, watcher) VALUES (?, ?)", target, watcher)
  }

  /** Ends a watch; gives whether there was one. */
  removeWatcher(target: Address.Address, watcher: Address.Address): boolean {
    const removed = this.#sql.all(
      "DELETE FROM watch WHERE target = ? AND watcher = ? RETURNING target",
      target,
      watcher,
    )
    return removed.length > 0
  }

  /** The session watches it no more; gives whether it did. */
  remove(target: Address.Address, session: Session): boolean {
    session.watches = undefined
    return this.removeWatcher(target, addressOf(session))
  }

  /** What a watcher watches. */
  targetsOf(watcher: Address.Address): ReadonlyArray<Address.Address> {
    return this.#sql
      .all<{ target: Address.Address }>("SELECT target FROM watch WHERE watcher = ?", watcher)
      .map(({ target }) => target)
  }

  /** The target ended: gives its watchers, whose watches are over now. */
  take(target: Address.Address): ReadonlyArray<Address.Address> {
    const watchers = this.#sql
      .all<{ watcher: Address.Address }>("SELECT watcher FROM watch WHERE target = ?", target)
      .map(({ watcher }) => watcher)
    if (watchers.length > 0) this.#sql.run("DELETE FROM watch WHERE target = ?", target)
    return watchers
  }

  /** A session got its identity: what it watched before is watched by that. */
  move(from: Address.Address, to: Address.Address): void {
    this.#sql.run("UPDATE OR REPLACE watch SET watcher = ? WHERE watcher = ?", to, from)
  }

  /** The watcher is gone. */
  release(watcher: Address.Address): void {
    this.#sql.run("DELETE FROM watch WHERE watcher = ?", watcher)
  }
}
