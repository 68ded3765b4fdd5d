/**
 * Whether the other side is still there: a ping every interval, whatever else is sent, and death 10 s
 * after one that stays unanswered. Only a pong answers a ping.
 *
 * Time is read at each wake-up and never inferred from a timer: a page's timers stand still while it
 * is frozen, and the answer may lie unread behind the late timer. So a deadline that is found late is
 * extended once, by a new ping.
 */
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"

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
  #probe = false
  readonly #wake = Latch.makeUnsafe()
  readonly #now: () => number
  readonly #ping: () => void
  readonly #onChange: () => void

  /** `onChange` is called when what `doubtful` or `roundTripMs` say may have changed. */
  constructor(now: () => number, ping: () => void, onChange: () => void) {
    this.#now = now
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

  /** Asks now whether the other side is there, unless a ping is on its way. */
  probe(): void {
    this.#probe = true
    this.#wake.openUnsafe()
  }

  /** Beats every `interval` milliseconds; ends when the other side is dead. */
  run(interval: number): Effect.Effect<void> {
    return Effect.gen({ self: this }, function* () {
      let nextPing = this.#now() + interval
      for (;;) {
        const due = Math.min(nextPing, this.#nextDoubt())
        yield* Effect.raceFirst(this.#wake.await, Effect.sleep(Math.max(0, due - this.#now())))
        this.#wake.closeUnsafe()
        const now = this.#now()
        if (this.#unansweredSince !== undefined && now - this.#unansweredSince >= PONG_TIMEOUT) {
          if (this.#reprieved || now - due < FROZEN) return
          this.#reprieved = true
          this.#unansweredSince = undefined
          nextPing = now
        }
        if (now >= nextPing || (this.#probe && this.#unansweredSince === undefined)) {
          this.#unansweredSince ??= now
          this.#ping()
          nextPing = now + interval
        }
        this.#probe = false
        this.#onChange()
      }
    })
  }

  /** When the unanswered ping next changes what is thought of the connection. */
  #nextDoubt(): number {
    if (this.#unansweredSince === undefined) return Infinity
    return this.#unansweredSince + (this.doubtful ? PONG_TIMEOUT : PONG_SLOW)
  }
}
