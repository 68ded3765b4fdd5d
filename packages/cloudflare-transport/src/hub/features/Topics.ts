/**
 * Subscriptions: who hears what is published on a topic. By address (an identity, or a session's
 * provisional address), so that they outlive connections and pass with a takeover by themselves.
 */
import type { Address } from "@signal-hub/actor-core"
import type { Session } from "../../session/Session.ts"
import { addressOf } from "../../session/Session.ts"
import { countOf, type Sql, upsert } from "../../object/Sql.ts"

const STORE_SUBSCRIPTION = upsert(
  "subscription",
  ["topic", "owner"],
  ["id", "durable", "presence", "unused_since"],
)

/** A subscription of an owner to a topic. */
export interface Subscription {
  readonly id: string
  readonly topic: string
  readonly owner: Address.Address
  readonly durable: boolean
  readonly presence: boolean
}

interface SubscriptionRow {
  readonly id: string
  readonly topic: string
  readonly owner: Address.Address
  readonly durable: number
  readonly presence: number
}

/** The subscriptions in use on one topic, by owner. */
export class Topic {
  readonly #byOwner = new Map<Address.Address, Subscription>()
  #listeners = 0

  get size(): number {
    return this.#byOwner.size
  }

  /** Whether anybody wants to hear of joins and leaves. */
  get hasListeners(): boolean {
    return this.#listeners > 0
  }

  get(owner: Address.Address): Subscription | undefined {
    return this.#byOwner.get(owner)
  }

  values(): IterableIterator<Subscription> {
    return this.#byOwner.values()
  }

  set(subscription: Subscription): void {
    this.delete(subscription.owner)
    this.#byOwner.set(subscription.owner, subscription)
    if (subscription.presence) this.#listeners++
  }

  delete(owner: Address.Address): Subscription | undefined {
    const subscription = this.#byOwner.get(owner)
    this.#byOwner.delete(owner)
    if (subscription?.presence === true) this.#listeners--
    return subscription
  }
}

/** The subscriptions, in memory by topic and in the table `subscription`. */
export class Topics {
  readonly #sql: Sql
  /** A topic is loaded whole. One without subscribers is not kept: names alone would cost memory. */
  readonly #topics = new Map<string, Topic>()

  constructor(sql: Sql) {
    this.#sql = sql
  }

  get(name: string): Topic {
    const cached = this.#topics.get(name)
    if (cached !== undefined) return cached
    const topic = new Topic()
    const rows = this.#sql.all<SubscriptionRow>(
      "SELECT * FROM subscription WHERE topic = ? AND unused_since IS NULL ORDER BY owner",
      name,
    )
    for (const row of rows) topic.set(fromRow(row))
    if (topic.size > 0) this.#topics.set(name, topic)
    return topic
  }

  /** Up to `limit` owners of subscriptions on a topic, after an owner, in the order of addresses. */
  page(name: string, after: string, limit: number): ReadonlyArray<Address.Address> {
    return this.#sql
      .all<{ owner: Address.Address }>(
        `SELECT owner FROM subscription WHERE topic = ? AND owner > ? AND unused_since IS NULL
         ORDER BY owner LIMIT ?`,
        name,
        after,
        limit,
      )
      .map(({ owner }) => owner)
  }

  /** The topics that an owner is subscribed to. */
  namesOf(owner: Address.Address): ReadonlyArray<string> {
    return this.#of(owner, true).map(({ topic }) => topic)
  }

  /** How many the session has. */
  countOf(session: Session): number {
    session.subscriptions ??= countOf(
      this.#sql,
      "SELECT count(*) AS n FROM subscription WHERE owner = ?",
      addressOf(session),
    )
    return session.subscriptions
  }

  /** The topic of a subscription of this owner by its id. */
  topicOf(id: string, owner: Address.Address): string | undefined {
    return this.#sql.all<{ topic: string }>(
      "SELECT topic FROM subscription WHERE owner = ? AND id = ?",
      owner,
      id,
    )[0]?.topic
  }

  put(subscription: Subscription, session: Session): void {
    const topic = this.get(subscription.topic)
    if (topic.get(subscription.owner) === undefined && session.subscriptions !== undefined) {
      session.subscriptions++
    }
    this.#sql.run(
      STORE_SUBSCRIPTION,
      subscription.topic,
      subscription.owner,
      subscription.id,
      Number(subscription.durable),
      Number(subscription.presence),
      null,
    )
    topic.set(subscription)
    this.#topics.set(subscription.topic, topic)
  }

  /** Ends a subscription; gives whether there was one. */
  remove(name: string, owner: Address.Address, session: Session): boolean {
    if (this.get(name).get(owner) === undefined) return false
    this.#forget(name, owner)
    this.#sql.run("DELETE FROM subscription WHERE topic = ? AND owner = ?", name, owner)
    if (session.subscriptions !== undefined) session.subscriptions--
    return true
  }

  /** A session got its identity: what it subscribed to before moves there. Gives the topics moved. */
  move(from: Address.Address, to: Address.Address): ReadonlyArray<string> {
    const moved = this.#of(from, true)
    for (const subscription of moved) {
      const { topic } = subscription
      this.#sql.run(
        "UPDATE OR REPLACE subscription SET owner = ? WHERE topic = ? AND owner = ?",
        to,
        topic,
        from,
      )
      const cached = this.#topics.get(topic)
      cached?.delete(from)
      cached?.set({ ...subscription, owner: to })
    }
    return moved.map(({ topic }) => topic)
  }

  /**
   * The session is over: the durable subscriptions of its identity wait for that to come back, others
   * end. Gives what left.
   */
  release(session: Session, now: number): ReadonlyArray<Subscription> {
    const owner = addressOf(session)
    const left = this.#of(owner, true)
    if (left.length === 0) return left
    if (session.identity === null) {
      // Nobody can come back to a provisional address.
      this.#sql.run("DELETE FROM subscription WHERE owner = ?", owner)
    } else {
      this.#sql.run("DELETE FROM subscription WHERE owner = ? AND durable = 0", owner)
      this.#sql.run("UPDATE subscription SET unused_since = ? WHERE owner = ?", now, owner)
    }
    for (const { topic } of left) this.#forget(topic, owner)
    return left
  }

  /** The owner is back: its durable subscriptions are in use again. Gives their topics. */
  revive(owner: Address.Address): ReadonlyArray<string> {
    const waiting = this.#of(owner, false)
    if (waiting.length === 0) return []
    this.#sql.run("UPDATE subscription SET unused_since = NULL WHERE owner = ?", owner)
    for (const subscription of waiting) this.#topics.get(subscription.topic)?.set(subscription)
    return waiting.map(({ topic }) => topic)
  }

  /** Ends durable subscriptions unused since before then. */
  forgetUnused(before: number): void {
    this.#sql.run("DELETE FROM subscription WHERE unused_since <= ?", before)
  }

  /** Those of an owner that are in use, or those that wait for it. */
  #of(owner: Address.Address, used: boolean): ReadonlyArray<Subscription> {
    const unused = used ? "IS NULL" : "IS NOT NULL"
    return this.#sql
      .all<SubscriptionRow>(`SELECT * FROM subscription WHERE owner = ? AND unused_since ${unused}`, owner)
      .map(fromRow)
  }

  #forget(name: string, owner: Address.Address): void {
    const topic = this.#topics.get(name)
    topic?.delete(owner)
    if (topic?.size === 0) this.#topics.delete(name)
  }
}

const fromRow = (row: SubscriptionRow): Subscription => ({
  id: row.id,
  topic: row.topic,
  owner: row.owner,
  durable: row.durable === 1,
  presence: row.presence === 1,
})
