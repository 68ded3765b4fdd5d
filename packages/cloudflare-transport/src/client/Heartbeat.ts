/**
 * Whether the other side is still there: a ping every interval, whatever else is sent, and death 10 s
 * after one that stays unanswered. Only a pong answers a ping.
 *
 * Time is read at each wake-up and never inferred from a timer: a page's timers stand still while it
 * is frozen, and the answer may lie unread behind the late timer. So a deadline that is found late is
 * extended once, by a new ping.
 */
import type { Timers } from "./Timers.ts"

/** Milliseconds after which an unanswered ping means a dead connection. */
export const PONG_TIMEOUT = 10_000
/** Milliseconds after which an unanswered ping makes the connection doubtful. */
export const PONG_SLOW = 2_500
/** A timer that is this late, in milliseconds, stood still. */
const FROZEN = 1_000

export class Heartbeat {
  /** The last ping's time there and back, in milliseconds. */
  roundTripMs: number | null = null
  #unansweredSince: number | undefined
  #reprieved = false
  #interval = 0
  #nextPing = 0
  /** When the next beat is due. */
  #due = 0
  #disarm: (() => void) | undefined
  readonly #timers: Timers
  readonly #ping: () => void
  readonly #onChange: () => void
  #onDead: () => void = () => {}

  /** `onChange` is called when what `doubtful` or `roundTripMs` say may have changed. */
  constructor(timers: Timers, ping: () => void, onChange: () => void) {
    this.#timers = timers
    this.#ping = ping
    this.#onChange = onChange
  }

  /** Whether a ping waits for its answer longer than it should. */
  get doubtful(): boolean {
    return (
      this.#reprieved ||
      (this.#unansweredSince !== undefined && this.#now() - this.#unansweredSince >= PONG_SLOW)
    )
  }

  /** A pong came. */
  pong(): void {
    if (this.#unansweredSince === undefined) return
    this.roundTripMs = Math.max(0, this.#now() - this.#unansweredSince)
    this.#unansweredSince = undefined
    this.#reprieved = false
    this.#onChange()
  }

  /** Beats every `interval` milliseconds from now on, until `stop`; `onDead`: the other side is. */
  start(interval: number, onDead: () => void): void {
    this.#interval = interval
    this.#onDead = onDead
    this.#nextPing = this.#now() + interval
    this.#arm()
  }

  stop(): void {
    this.#disarm?.()
    this.#disarm = undefined
  }

  /** Asks now whether the other side is there, unless a ping is on its way. */
  probe(): void {
    if (this.#disarm === undefined) return
    this.#disarm()
    this.#beat(true)
  }

  #beat(probe: boolean): void {
    const now = this.#now()
    if (this.#unansweredSince !== undefined && now - this.#unansweredSince >= PONG_TIMEOUT) {
      if (this.#reprieved || now - this.#due < FROZEN) {
        this.stop()
        return this.#onDead()
      }
      this.#reprieved = true
      this.#unansweredSince = undefined
      this.#nextPing = now
    }
    if (now >= this.#nextPing || (probe && this.#unansweredSince === undefined)) {
      this.#unansweredSince ??= now
      this.#ping()
      this.#nextPing = now + this.#interval
    }
    this.#arm()
    this.#onChange()
  }

  #arm(): void {
    this.#due = Math.min(this.#nextPing, this.#nextDoubt())
    this.#disarm = this.#timers.after(Math.max(0, this.#due - this.#now()), () => this.#beat(false))
  }

  #now(): number {
    return this.#timers.now()
  }

  /** When the unanswered ping next changes what is thought of the connection. */
  #nextDoubt(): number {
    if (this.#unansweredSince === undefined) return Infinity
    return this.#unansweredSince + (this.doubtful ? PONG_TIMEOUT : PONG_SLOW)
  }
}
