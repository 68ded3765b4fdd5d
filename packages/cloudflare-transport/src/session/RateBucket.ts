/**
 * How much a connection may send: a token bucket of plain numbers, refilled by the clock's reading. One
 * envelope takes one token. What is refused is counted too, as who goes on regardless is put out.
 */
import type { Limits } from "../protocol/Limits.ts"

export type RateLimits = Pick<
  Limits,
  "maxEnvelopesPerSecond" | "envelopeBurst" | "maxRefusals" | "abuseWindow"
>

/** What of it outlives memory. */
export interface RateState {
  readonly tokens: number
  /** When `tokens` was true, epoch milliseconds. */
  readonly filledAt: number
  /** Envelopes refused since `refusedSince`, epoch milliseconds. */
  readonly refusals: number
  readonly refusedSince: number
}

/** A bucket that was never drawn from. */
export const fullBucket = ({ envelopeBurst }: RateLimits, now: number): RateState => ({
  tokens: envelopeBurst,
  filledAt: now,
  refusals: 0,
  refusedSince: now,
})

export class RateBucket {
  tokens: number
  filledAt: number
  refusals: number
  refusedSince: number
  readonly #limits: RateLimits

  constructor(limits: RateLimits, state: RateState) {
    this.#limits = limits
    this.tokens = state.tokens
    this.filledAt = state.filledAt
    this.refusals = state.refusals
    this.refusedSince = state.refusedSince
  }

  /** Time has passed. Once for each frame is enough. */
  refill(now: number): void {
    const { envelopeBurst, maxEnvelopesPerSecond } = this.#limits
    const earned = ((now - this.filledAt) * maxEnvelopesPerSecond) / 1_000
    this.tokens = Math.min(envelopeBurst, this.tokens + Math.max(0, earned))
    this.filledAt = now
  }

  /** One envelope: whether it may pass. */
  take(): boolean {
    if (this.tokens < 1) return false
    this.tokens--
    return true
  }

  /** The envelope that passed last does not count. */
  giveBack(): void {
    this.tokens = Math.min(this.#limits.envelopeBurst, this.tokens + 1)
  }

  /**
   * One envelope was refused. Gives how long to wait, in milliseconds, and whether it was one too many:
   * then until the bucket is full again.
   */
  refuse(now: number): { readonly retryAfterMs: number; readonly tooMany: boolean } {
    const { abuseWindow, envelopeBurst, maxEnvelopesPerSecond, maxRefusals } = this.#limits
    if (now - this.refusedSince >= abuseWindow) {
      this.refusals = 0
      this.refusedSince = now
    }
    const tooMany = ++this.refusals >= maxRefusals
    const missing = (tooMany ? envelopeBurst : 1) - this.tokens
    return { retryAfterMs: Math.ceil((missing * 1_000) / maxEnvelopesPerSecond), tooMany }
  }

  /** Goes on from another, of the same client before: who connects anew has no more for it. */
  inherit(other: RateBucket, now: number): void {
    other.refill(now)
    this.refill(now)
    this.tokens = Math.min(this.tokens, other.tokens)
    this.refusals = other.refusals
    this.refusedSince = other.refusedSince
  }

  /** When it is full again if nothing more is taken, epoch milliseconds. */
  fullAt(): number {
    const { envelopeBurst, maxEnvelopesPerSecond } = this.#limits
    return this.filledAt + ((envelopeBurst - this.tokens) * 1_000) / maxEnvelopesPerSecond
  }
}
