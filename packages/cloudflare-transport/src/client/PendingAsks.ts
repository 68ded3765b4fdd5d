/**
 * Asks that have no answer yet, and tells whose sender waits for their acknowledgment. Each ends exactly
 * once: by an answer, by its deadline, with the connection that it went out on, or the session where it is
 * reliable, with the client, or as its asker gives up. One timer serves them all.
 */
import {
  type Address,
  AskError,
  type Envelope,
  Forwarding,
  TransportError,
} from "@signal-hub/actor-core/vocabulary"
import type { Timers } from "./Timers.ts"
import { ConnectionLost, type RequestError } from "./ClientError.ts"

/** An ask that waits. */
export interface PendingAsk {
  /** Who was asked, or told. */
  readonly to: Address.Address
  /** Monotonic milliseconds. A stream of answers has none once it has begun. */
  deadline: number
  /** Whether it left on a connection; not while it waits in the offline queue. */
  transmitted: boolean
  /** Whether it left with a number: it outlives its connection. */
  reliable?: boolean
  /** Of a tell: called once the hub has it, which ends it. */
  readonly acknowledged?: () => void
  /** Takes the answer, or why there is none. Where it returns `true`, more answers may follow. */
  readonly settle: (outcome: Envelope.Envelope | RequestError) => boolean | void
}

export class PendingAsks {
  readonly #asks = new Map<string, PendingAsk>()
  readonly #timers: Timers
  readonly #onExpired: (id: string, ask: PendingAsk) => void
  #armedFor = Infinity
  #disarm: () => void = () => {}

  /** `onExpired` is called before an ask whose deadline has come ends. */
  constructor(timers: Timers, onExpired: (id: string, ask: PendingAsk) => void) {
    this.#timers = timers
    this.#onExpired = onExpired
  }

  has(id: string): boolean {
    return this.#asks.has(id)
  }

  add(id: string, ask: PendingAsk): void {
    this.#asks.set(id, ask)
    if (ask.deadline < this.#armedFor) this.#arm(ask.deadline)
  }

  /** The ask left on a connection. */
  transmitted(id: string, reliable: boolean): void {
    const ask = this.#asks.get(id)
    if (ask === undefined) return
    ask.transmitted = true
    ask.reliable = reliable
    if (!reliable && ask.acknowledged !== undefined) {
      this.delete(id)
      ask.settle(
        new TransportError({
          reason: "refused",
          message: "the hub acknowledges no messages: it was sent once",
        }),
      )
    }
  }

  /** The hub has the message. */
  acknowledged(id: string): void {
    const acknowledged = this.#asks.get(id)?.acknowledged
    if (acknowledged === undefined) return
    this.delete(id)
    acknowledged()
  }

  /** It does not leave. `false`: nobody waits for what becomes of it. */
  fail(id: string, error: RequestError): boolean {
    const ask = this.delete(id)
    ask?.settle(error)
    return ask !== undefined
  }

  /** The message's time was over before it left. */
  expire(id: string): void {
    const ask = this.#asks.get(id)
    if (ask !== undefined) this.#late(id, ask)
  }

  /** The ask has no deadline any more: who asked minds the time. Whether it is, or may become, reliable. */
  keep(id: string | null): boolean {
    const ask = this.#asks.get(id!)
    if (ask !== undefined) ask.deadline = Infinity
    return ask !== undefined && ask.reliable !== false
  }

  /**
   * Gives the answer to its ask; `false` where none waits for it, or who sends it may not answer. Of a tell the
   * hub alone says how it ends.
   */
  answer(correlationId: string, answer: Envelope.Envelope): boolean {
    const ask = this.#asks.get(correlationId)
    if (ask === undefined) return false
    const isByActor = ask.acknowledged === undefined && Forwarding.isAnswerOf(ask.to, answer)
    if (!isByActor && !Forwarding.isByHub(answer)) return false
    if (ask.settle(answer) === true) ask.deadline = Infinity
    else this.#asks.delete(correlationId)
    return true
  }

  /** Takes the ask out, unanswered. */
  delete(id: string): PendingAsk | undefined {
    const ask = this.#asks.get(id)
    this.#asks.delete(id)
    // Not after each answer, which would arm a timer an ask: only so that none outlives the client.
    if (this.#asks.size === 0) this.#rest()
    return ask
  }

  /** Ends the asks that went out on a connection that is lost; not those that are reliable. */
  lose(code: number, cause: string): void {
    this.#end(
      (ask) => ask.transmitted && ask.reliable !== true,
      () =>
        new ConnectionLost({
          code,
          message: `the connection was lost with this on its way (${cause}); it may have been acted on`,
        }),
    )
  }

  /** Ends what is reliable and was sent, as its session is over. */
  loseReliable(error: RequestError): void {
    this.#end(
      (ask) => ask.reliable === true,
      () => error,
    )
  }

  /** Ends all. */
  end(failure: () => RequestError): void {
    this.#end(() => true, failure)
    this.#rest()
  }

  #rest(): void {
    this.#disarm()
    this.#armedFor = Infinity
  }

  #end(which: (ask: PendingAsk) => boolean, failure: () => RequestError): void {
    for (const [id, ask] of this.#asks) {
      if (!which(ask)) continue
      this.#asks.delete(id)
      ask.settle(failure())
    }
  }

  #arm(deadline: number): void {
    this.#disarm()
    this.#armedFor = deadline
    this.#disarm = this.#timers.after(Math.max(0, deadline - this.#timers.now()), () => this.#expire())
  }

  #expire(): void {
    this.#armedFor = Infinity
    const now = this.#timers.now()
    let next = Infinity
    for (const [id, ask] of this.#asks) {
      if (ask.deadline > now) {
        next = Math.min(next, ask.deadline)
        continue
      }
      this.#late(id, ask)
    }
    if (next < this.#armedFor) this.#arm(next)
  }

  #late(id: string, ask: PendingAsk): void {
    this.#asks.delete(id)
    this.#onExpired(id, ask)
    ask.settle(
      new AskError.AskTimeout({
        message: ask.transmitted
          ? "no answer in time: ask again if the request is safe to repeat"
          : "not connected in time: the ask was never sent",
      }),
    )
  }
}
