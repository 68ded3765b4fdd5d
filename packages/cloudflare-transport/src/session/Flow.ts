/**
 * How far a reader is behind: the bytes sent on its connection that it has not acknowledged. Only who
 * speaks 1.0 acknowledges; others are not measured.
 */
import type { Limits } from "../protocol/Limits.ts"

export type FlowLimits = Pick<Limits, "pauseThreshold" | "resumeThreshold" | "maxUnacknowledged">

/** What of it outlives memory. */
export interface FlowState {
  /** Bytes of all data frames sent on the connection. */
  readonly sent: number
  /** How many of them the reader says to have. */
  readonly acked: number
  /** Whether it fell too far behind, and has not caught up since. */
  readonly slow: boolean
}

/** Most frames that acknowledgments may be for, one each. */
const MOST_FRAMES = 10_000

export const NO_FLOW: FlowState = { sent: 0, acked: 0, slow: false }

export class Flow {
  sent: number
  acked: number
  slow: boolean
  /** Frames sent that no acknowledgment was for yet. In memory only: forgotten, a few acknowledgments count. */
  #frames = 0
  readonly #limits: FlowLimits

  constructor(limits: FlowLimits, state: FlowState) {
    this.#limits = limits
    this.sent = state.sent
    this.acked = state.acked
    this.slow = state.slow
  }

  get unacknowledged(): number {
    return this.sent - this.acked
  }

  /** Whether it is so far behind that its connection must end. */
  get isLost(): boolean {
    return this.unacknowledged > this.#limits.maxUnacknowledged
  }

  /** This much was sent. Gives whether the reader is slow from now on. */
  count(bytes: number): boolean {
    this.sent += bytes
    if (this.#frames < MOST_FRAMES) this.#frames++
    if (this.slow || this.unacknowledged <= this.#limits.pauseThreshold) return false
    this.slow = true
    return true
  }

  /** Whether to acknowledge this much says something new, as it may once for each frame. */
  isNews(bytes: number): boolean {
    return bytes > this.acked && this.#frames > 0
  }

  /**
   * The reader has this much in all. It knows better than what was written down here before the last
   * eviction. Gives whether it has caught up by that.
   */
  acknowledge(bytes: number): boolean {
    if (this.isNews(bytes)) this.#frames = bytes < this.sent ? this.#frames - 1 : 0
    this.acked = Math.max(this.acked, bytes)
    this.sent = Math.max(this.sent, this.acked)
    if (!this.slow || this.unacknowledged >= this.#limits.resumeThreshold) return false
    this.slow = false
    return true
  }
}
