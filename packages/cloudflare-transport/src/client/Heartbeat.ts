/**
 * Whether the other side is still there: a ping every interval, whatever else is sent, and death 10 s
 * after one that stays unanswered. Only a pong answers a ping.
 *
 * Time is read at each wake-up and never inferred from a timer: a page's timers stand still while it
 * is frozen, and the answer may lie unread behind the late timer. So a deadline that is found late is
 * extended once, by a new ping. What has passed is the larger of monotonic and wall-clock time.
 */
import { type Moment, momentOf, passedSince, type Timers } from "./Timers.ts"

/** Milliseconds after which an unanswered ping means a dead connection. */
export const PONG_TIMEOUT = 10_000
/** Milliseconds after which an unanswered ping makes the connection doubtful. */
const PONG_SLOW = 2_500
/** The same for the ping after the machine slept: with the time to notice the sleep, no more than `PONG_TIMEOUT`. */
const PONG_TIMEOUT_AWOKEN = 7_500
/** A timer that is this late, in milliseconds, stood still. */
const FROZEN = 1_000

export class Heartbeat {
  /** The last ping's time there and back, in milliseconds. */
  roundTripMs: number | null = null
  #unansweredSince: Moment | undefined
  #reprieved = false
  #interval = 0
  /** When an interval without a ping began. */
  #quietSince: Moment
  /** When the next beat was armed, and after how many milliseconds it is due. */
  #armedAt: Moment
  #wait = 0
  #pongTimeout = PONG_TIMEOUT
  #disarm: (() => void) | undefined
  readonly #timers: Timers
  readonly #ping: () => void
  readonly #onChange: () => void
  #onDead: () => void = () => {}

  /** `onChange` is called when what `doubtful` or `roundTripMs` say may have changed. */
  constructor(timers: Timers, ping: () => void, onChange: () => void) {
    this.#timers = timers
    this.#quietSince = this.#armedAt = momentOf(timers)
    this.#ping = ping
    this.#onChange = onChange
  }

  /** Whether a ping waits for its answer longer than it should. */
  get doubtful(): boolean {
    return (
      this.#reprieved ||
      (this.#unansweredSince !== undefined && this.#passed(this.#unansweredSince) >= PONG_SLOW)
    )
  }

  /** A pong came. */
  pong(): void {
    if (this.#unansweredSince === undefined) return
    this.roundTripMs = this.#timers.now() - this.#unansweredSince.monotonic
    this.#unansweredSince = undefined
    this.#reprieved = false
    this.#pongTimeout = PONG_TIMEOUT
    this.#onChange()
  }

  /** Beats every `interval` milliseconds from now on, until `stop`; `onDead`: the other side is. */
  start(interval: number, onDead: () => void): void {
    this.#interval = interval
    this.#onDead = onDead
    this.#quietSince = momentOf(this.#timers)
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
    const sent = this.#unansweredSince
    const late = this.#passed(this.#armedAt) - this.#wait
    if (late > this.#interval && !(this.#reprieved && sent !== undefined)) {
      // The machine slept: much may have happened to the connection. A ping that was on its way says nothing of it.
      this.#reprieved = probe = true
      this.#unansweredSince = undefined
      this.#pongTimeout = PONG_TIMEOUT_AWOKEN
    } else if (sent !== undefined && this.#passed(sent) >= this.#pongTimeout) {
      if (this.#reprieved || late < FROZEN) {
        this.stop()
        return this.#onDead()
      }
      this.#reprieved = true
      this.#unansweredSince = undefined
      probe = true
    }
    if (this.#passed(this.#quietSince) >= this.#interval || (probe && this.#unansweredSince === undefined)) {
      this.#quietSince = momentOf(this.#timers)
      this.#unansweredSince ??= this.#quietSince
      this.#ping()
    }
    this.#arm()
    this.#onChange()
  }

  #arm(): void {
    const wait = Math.min(this.#interval - this.#passed(this.#quietSince), this.#untilDoubt())
    this.#wait = Math.max(0, wait)
    this.#armedAt = momentOf(this.#timers)
    this.#disarm = this.#timers.after(this.#wait, () => this.#beat(false))
  }

  #passed(since: Moment): number {
    return passedSince(this.#timers, since)
  }

  /** Milliseconds until the unanswered ping next changes what is thought of the connection. */
  #untilDoubt(): number {
    if (this.#unansweredSince === undefined) return Infinity
    return (this.doubtful ? this.#pongTimeout : PONG_SLOW) - this.#passed(this.#unansweredSince)
  }
}
