/**
 * Streams that a durable actor gives. Their elements are in memory, in a line for each object that asked;
 * that one is open is a row, so that its asker hears of its end where the memory was lost.
 */
import { type Address, AnswerStream, type Envelope, Forwarding } from "@signal-hub/actor-core"
import { Lanes } from "../delivery/Lanes.ts"
import { CallFailed } from "../delivery/Rpc.ts"
import type { Sql } from "../object/Sql.ts"
import type { Answer, Delivery, Outcome } from "../delivery/ActorRpc.ts"
import type { DurableAlarm } from "./DurableAlarm.ts"
import type { Inbox, Taken } from "./Inbox.ts"
import type { Letters } from "./Letters.ts"

/** Milliseconds until it is looked whether the memory that gives a stream is still there. */
const LOOK_AGAIN = 30_000

interface Open {
  readonly asker: Address.Address
  readonly id: string
  readonly home: Address.Address
  /** The address that was asked, where the ask was forwarded here. */
  readonly asked: Address.Address | null
}

export interface StreamsOptions {
  readonly sql: Sql
  readonly alarm: DurableAlarm
  readonly address: Address.Address
  readonly inbox: Inbox
  readonly letters: Letters
  readonly now: () => number
  readonly transaction: (writes: () => void) => void
  readonly follow: (task: () => void) => void
  /** Carries envelopes that are no rows. */
  readonly carry: (
    target: Address.Address,
    deliveries: ReadonlyArray<Delivery>,
  ) => Promise<ReadonlyArray<Outcome>>
  /** Sends what must arrive. */
  readonly put: (target: Address.Address, delivery: Delivery) => void
  /** Gives it to the actor. */
  readonly receive: (envelope: Envelope.Envelope) => void
}

export class Streams {
  readonly #options: StreamsOptions
  readonly #open = new Map<string, Open>()
  readonly #lanes: Lanes<Envelope.Envelope, Outcome>
  #staying: ReturnType<typeof setInterval> | null = null

  constructor(options: StreamsOptions) {
    this.#options = options
    this.#lanes = new Lanes({
      call: async (home, envelopes, done) => {
        const deliveries = envelopes.map((envelope) => ({ envelope }))
        done(await options.carry(home as Address.Address, deliveries).catch(() => UNREACHED))
      },
      defer: (task) => queueMicrotask(task),
      maxItems: 256,
      // No more than was demanded.
      maxWaiting: Number.POSITIVE_INFINITY,
      maxWaitingBytes: Number.POSITIVE_INFINITY,
      maxCalls: Number.POSITIVE_INFINITY,
    })
  }

  /** Whether the envelope is part of a stream, or its end. */
  isPart({ correlationId, metadata, to }: Envelope.Envelope): boolean {
    return metadata.stream !== undefined || this.#open.has(keyOf(to, correlationId ?? ""))
  }

  /** Gives a part. `taken`: the ask, where it is the first. */
  give(part: Envelope.Envelope, taken: Taken | undefined): void {
    const { address, follow } = this.#options
    const key = keyOf(part.to, part.correlationId ?? "")
    const stream = this.#open.get(key) ?? (taken && this.#begin(taken))
    if (stream === undefined) return
    const isLast = !AnswerStream.isMoreToCome(part)
    if (isLast) this.#forget(stream)
    const metadata = Forwarding.answeredFor(part.metadata, stream.asked ?? address, address)
    follow(() => {
      this.#lanes.push(stream.home, { ...part, metadata }, (outcome) => {
        if (outcome instanceof CallFailed || outcome.status !== "taken") this.#lost(stream, isLast)
        else if (isLast) this.#delete(stream)
      })
    })
  }

  /** Who asked gave up. Part of a step. */
  cancelled(asker: Address.Address, id: string): void {
    const stream = this.#open.get(keyOf(asker, id))
    if (stream === undefined) return
    this.#forget(stream)
    this.#delete(stream)
  }

  /** Ends those whose memory was lost: what gave them is no more. */
  recover(): void {
    const rows = this.#options.sql.all<Open>("SELECT asker, id, home, asked FROM actor_stream")
    for (const row of rows) if (!this.#open.has(keyOf(row.asker, row.id))) this.#end(row)
  }

  #begin(taken: Taken): Open | undefined {
    const { address, alarm, inbox, now, sql, transaction } = this.#options
    const { ask, envelope } = taken.delivery
    const asker = envelope.from as Address.Address
    const stream: Open = { asker, id: envelope.id, home: ask?.home ?? asker, asked: ask?.asked ?? null }
    if (stream.home === address) {
      // Who waits for a call's end reads one answer.
      transaction(() => inbox.close(taken, UNREADABLE))
      this.#stop(stream)
      return undefined
    }
    transaction(() => {
      sql.run(
        "INSERT OR IGNORE INTO actor_stream (asker, id, home, asked) VALUES (?, ?, ?, ?)",
        stream.asker,
        stream.id,
        stream.home,
        stream.asked,
      )
      alarm.atLatest(now() + LOOK_AGAIN)
      inbox.close(taken, null)
    })
    this.#open.set(keyOf(stream.asker, stream.id), stream)
    // While a timer runs, the object does not hibernate: what gives the stream is in its memory.
    this.#staying ??= setInterval(() => {}, LOOK_AGAIN)
    return stream
  }

  #forget({ asker, id }: Open): void {
    this.#open.delete(keyOf(asker, id))
    if (this.#open.size > 0 || this.#staying === null) return
    clearInterval(this.#staying)
    this.#staying = null
  }

  #delete({ asker, id }: Open): void {
    this.#options.sql.run("DELETE FROM actor_stream WHERE asker = ? AND id = ?", asker, id)
  }

  /** A part did not arrive: the stream has a gap, or nobody reads it. */
  #lost(stream: Open, isLast: boolean): void {
    if (!isLast && !this.#open.has(keyOf(stream.asker, stream.id))) return
    this.#forget(stream)
    this.#stop(stream)
    this.#end(stream)
  }

  /** Its asker hears that it is over. */
  #end(stream: Open): void {
    const { letters, put, transaction } = this.#options
    transaction(() => {
      this.#delete(stream)
      const { asked, asker, home, id } = stream
      put(home, { envelope: letters.answer(asker, id, LOST, asked ?? undefined) })
    })
  }

  /** The actor need not give any more. */
  #stop({ asker, id }: Open): void {
    const { address, follow, letters, receive } = this.#options
    const cancel = letters.envelope({
      from: asker,
      to: address,
      type: "actor:cancel",
      payload: null,
      pattern: "tell",
      correlationId: id,
    })
    follow(() => receive(cancel))
  }
}

const keyOf = (asker: string, id: string): string => `${asker} ${id}`

const UNREACHED = new CallFailed("actor_terminated", "it can't be reached")

const LOST: Answer = {
  type: "actor:error",
  payload: {
    code: "actor_terminated",
    message: "the actor, or the way to it, went away in the middle of the stream",
    retryable: true,
  },
}

const UNREADABLE: Answer = {
  type: "actor:error",
  payload: {
    code: "unknown_message",
    message: "it is answered by a stream, which only who has an address can read",
    retryable: false,
  },
}
