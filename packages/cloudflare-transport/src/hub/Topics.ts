/**
 * Subscriptions: who hears what is published on a topic. By address (an identity, or a session's
 * provisional address), so that they outlive connections and pass with a takeover by themselves.
 */
import type { Address } from "@signal-hub/actor-core"
import type { Session } from "../session/Session.ts"
import { addressOf } from "../session/Session.ts"
import type { Sql } from "../storage/Sql.ts"

export interface Subscription {
  readonly id: string
  readonly topic: string
  owner: Address.Address
  durable: boolean
  presence: boolean
}

interface SubscriptionRow {
  readonly id: string
  readonly topic: string
  readonly owner: Address.Address
  readonly durable: number
  readonly presence: number
}

export class Topics {
  readonly #sql: Sql
  /** Subscriptions in use, by topic and owner; a topic is loaded whole. */
  readonly #topics = new Map<string, Map<string, Subscription>>()

  constructor(sql: Sql) {
    this.#sql = sql
  }

  /** The subscriptions in use on a topic, by owner. */
  subscribers(topic: string): ReadonlyMap<string, Subscription> {
    return this.#load(topic)
  }

  /** How many the session has. */
  countOf(session: Session): number {
    session.subscriptions ??= this.#sql.all<{ n: number }>(
      "SELECT count(*) AS n FROM subscription WHERE owner = ?",
      addressOf(session),
    )[0]!.n
    return session.subscriptions
  }

  get(topic: string, owner: Address.Address): Subscription | undefined {
    return this.#load(topic).get(owner)
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
    const topic = this.#load(subscription.topic)
    if (!topic.has(subscription.owner) && session.subscriptions !== undefined) session.subscriptions++
    this.#sql.run(
      "INSERT OR REPLACE INTO subscription (topic, owner, id, durable, presence) VALUES (?, ?, ?, ?, ?)",
      subscription.topic,
      subscription.owner,
      subscription.id,
      Number(subscription.durable),
      Number(subscription.presence),
    )
    topic.set(subscription.owner, subscription)
    this.#topics.set(subscription.topic, topic)
  }

  remove(topic: string, owner: Address.Address, session: Session): boolean {
    const subscribers = this.#load(topic)
    if (!subscribers.delete(owner)) return false
    if (subscribers.size === 0) this.#topics.delete(topic)
    this.#sql.run("DELETE FROM subscription WHERE topic = ? AND owner = ?", topic, owner)
    if (session.subscriptions !== undefined) session.subscriptions--
    return true
  }

  /** All in use of this owner. */
  of(owner: Address.Address): ReadonlyArray<Subscription> {
    return this.#sql
      .all<SubscriptionRow>("SELECT * FROM subscription WHERE owner = ? AND unused_since IS NULL", owner)
      .map(fromRow)
  }

  /** A session got its identity: what it subscribed to before moves there. Gives the topics moved. */
  move(from: Address.Address, to: Address.Address): ReadonlyArray<string> {
    const moved = this.of(from)
    for (const { topic } of moved) {
      const subscribers = this.#load(topic)
      const subscription = subscribers.get(from)!
      this.#sql.run(
        "UPDATE OR REPLACE subscription SET owner = ? WHERE topic = ? AND owner = ?",
        to,
        topic,
        from,
      )
      subscribers.delete(from)
      subscription.owner = to
      subscribers.set(to, subscription)
    }
    return moved.map(({ topic }) => topic)
  }

  /** The owner is gone: durable subscriptions wait for it, the others end. Gives what left. */
  release(owner: Address.Address, now: number): ReadonlyArray<Subscription> {
    const left = this.of(owner)
    if (left.length === 0) return left
    this.#sql.run("DELETE FROM subscription WHERE owner = ? AND durable = 0", owner)
    this.#sql.run("UPDATE subscription SET unused_since = ? WHERE owner = ?", now, owner)
    for (const { topic } of left) {
      const subscribers = this.#topics.get(topic)
      subscribers?.delete(owner)
      if (subscribers?.size === 0) this.#topics.delete(topic)
    }
    return left
  }

  /** The owner is back: its durable subscriptions are in use again. Gives them. */
  revive(owner: Address.Address): ReadonlyArray<Subscription> {
    const waiting = this.#sql
      .all<SubscriptionRow>("SELECT * FROM subscription WHERE owner = ? AND unused_since IS NOT NULL", owner)
      .map(fromRow)
    if (waiting.length === 0) return waiting
    this.#sql.run("UPDATE subscription SET unused_since = NULL WHERE owner = ?", owner)
    for (const subscription of waiting) this.#topics.get(subscription.topic)?.set(owner, subscription)
    return waiting
  }

  /** Ends durable subscriptions unused since before then. */
  forgetUnused(before: number): void {
    this.#sql.run("DELETE FROM subscription WHERE unused_since <= ?", before)
  }

  #load(topic: string): Map<string, Subscription> {
    const cached = this.#topics.get(topic)
    if (cached !== undefined) return cached
    const subscribers = new Map<string, Subscription>()
    const rows = this.#sql.all<SubscriptionRow>(
      "SELECT * FROM subscription WHERE topic = ? AND unused_since IS NULL ORDER BY owner",
      topic,
    )
    for (const row of rows) subscribers.set(row.owner, fromRow(row))
    // A topic without subscribers is not remembered: its name alone would cost memory for ever.
    if (rows.length > 0) this.#topics.set(topic, subscribers)
    return subscribers
  }
}

const fromRow = (row: SubscriptionRow): Subscription => ({
  id: row.id,
  topic: row.topic,
  owner: row.owner,
  durable: row.durable === 1,
  presence: row.presence === 1,
})
