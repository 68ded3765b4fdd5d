/**
 * Answers that do not come with the step that handles the ask: those that a durable actor gives later are
 * rows until then, and those of an ask that was handed on are another's to give.
 */
import { type Address, type Envelope, TimeLimit } from "@signal-hub/actor-core"
import type { Sql } from "../object/Sql.ts"
import { toRow } from "../object/StoredValue.ts"
import type { Answer, AskHome, Delivery } from "../delivery/ActorRpc.ts"
import type { DurableAlarm } from "./DurableAlarm.ts"
import type { Inbox } from "./Inbox.ts"
import type { Letters } from "./Letters.ts"

export interface OwedRow {
  readonly token: string
  readonly asker: Address.Address
  readonly id: string
  readonly home: Address.Address
  /** The address that was asked, where the ask was forwarded here. */
  readonly asked: Address.Address | null
}

export interface OwedOptions {
  readonly sql: Sql
  readonly alarm: DurableAlarm
  readonly inbox: Inbox
  readonly letters: Letters
  readonly now: () => number
  readonly send: (target: Address.Address, delivery: Delivery) => void
}

export class Owed {
  readonly #options: OwedOptions

  constructor(options: OwedOptions) {
    this.#options = options
  }

  homeOf({ from, id, ttl }: Envelope.Envelope): AskHome {
    const ask = this.#options.inbox.find(from, id)?.delivery.ask
    return ask ?? { home: from as Address.Address, timeout: ttl ?? TimeLimit.DEFAULT_ASK_TIMEOUT_MS }
  }

  /** The ask is handled, and somebody else answers it. Part of a step. */
  letGo({ from, id }: Envelope.Envelope): void {
    const { inbox } = this.#options
    const taken = inbox.find(from, id)
    if (taken !== undefined) inbox.close(taken, null)
  }

  /** The ask is handled, and is answered later, by this token. Part of a step. */
  add(token: string, asked: Envelope.Envelope, { asked: first, home, timeout }: AskHome): void {
    const { alarm, now, sql } = this.#options
    const deadline = now() + timeout
    sql.run(
      "INSERT INTO actor_owed (token, asker, id, home, deadline, asked) VALUES (?, ?, ?, ?, ?, ?)",
      token,
      asked.from,
      asked.id,
      home,
      deadline,
      first ?? null,
    )
    alarm.atLatest(deadline)
    this.letGo(asked)
  }

  find(token: string): OwedRow | undefined {
    const query = "SELECT token, asker, id, home, asked FROM actor_owed WHERE token = ?"
    return this.#options.sql.all<OwedRow>(query, token)[0]
  }

  /** Part of a step. */
  give(owed: OwedRow, answer: Answer): void {
    this.#options.sql.run("DELETE FROM actor_owed WHERE token = ?", owed.token)
    this.#answer(owed, answer)
  }

  /** The actor gives none of them any more. Part of a step. */
  giveAll(answer: Answer): void {
    const query = "DELETE FROM actor_owed RETURNING token, asker, id, home, asked"
    for (const owed of this.#options.sql.all<OwedRow>(query)) this.#answer(owed, answer)
  }

  /** Who asked gave up. Part of a step. */
  cancelled(asker: string, id: string): void {
    this.#options.sql.run("DELETE FROM actor_owed WHERE asker = ? AND id = ?", asker, id)
  }

  /** Nobody waits any more for what was not given in time. */
  expire(now: number): void {
    this.#options.sql.run("DELETE FROM actor_owed WHERE deadline <= ?", now)
  }

  #answer({ asked, asker, home, id }: OwedRow, answer: Answer): void {
    const { letters, send, sql } = this.#options
    sql.run("UPDATE actor_handled SET answer = ? WHERE sender = ? AND id = ?", toRow(answer), asker, id)
    send(home, { envelope: letters.answer(asker, id, answer, asked ?? undefined) })
  }
}
