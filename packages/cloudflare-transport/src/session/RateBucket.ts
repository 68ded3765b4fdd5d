/**
 * How much a connection may send: two token buckets of plain numbers, refilled by the clock's reading. An
 * envelope takes one token, and more where it holds many values or has the hub look at many rows. A frame takes
 * its bytes. Refusals are counted too: the hub closes a connection that goes on regardless.
 */
import type { Limits } from "../protocol/Limits.ts"
import { elapsedSince } from "../protocol/WallTime.ts"

/** Rates, and how much may come at once after a quiet time. */
export type Rates = Pick<
  Limits,
  "maxEnvelopesPerSecond" | "envelopeBurst" | "maxBytesPerSecond" | "byteBurst"
>

export type RateLimits = Rates & Pick<Limits, "maxRefusals" | "abuseWindow">

/** Rates that the token of a trusted service claims in place of the deployment's. */
export type ClaimedRates = Partial<Pick<Limits, "maxEnvelopesPerSecond" | "maxBytesPerSecond">>

/** What of it outlives memory. */
export interface RateState {
  /** Envelopes that may pass. Below zero: a debt. */
  readonly tokens: number
  /** Bytes that may pass. `undefined` where an earlier version, which counted none, wrote the state. */
  readonly bytes?: number
  /** When `tokens` and `bytes` were true, epoch milliseconds. */
  readonly filledAt: number
  /** Envelopes and frames refused since `refusedSince`, epoch milliseconds. */
  readonly refusals: number
  readonly refusedSince: number
  /** The rates in force, where a token claims others than the deployment's. */
  readonly claimedRates?: ClaimedRates | null
}

/** A bucket that was never drawn from. */
export const fullBucket = ({ byteBurst, envelopeBurst }: RateLimits, now: number): RateState => ({
  tokens: envelopeBurst,
  bytes: byteBurst,
  filledAt: now,
  refusals: 0,
  refusedSince: now,
  claimedRates: null,
})

export { VALUES_A_TOKEN } from "../protocol/Limits.ts"
/** Rows that a request looks at for which it costs one more. */
export const ROWS_A_TOKEN = 100

/** The deployment's rates with those of a token in their place, bursts in proportion. */
const ratesOf = (limits: Rates, claimed: ClaimedRates | null): Rates => {
  const {
    maxEnvelopesPerSecond = limits.maxEnvelopesPerSecond,
    maxBytesPerSecond = limits.maxBytesPerSecond,
  } = claimed ?? {}
  return {
    maxEnvelopesPerSecond,
    maxBytesPerSecond,
    envelopeBurst: inProportion(limits.envelopeBurst, maxEnvelopesPerSecond, limits.maxEnvelopesPerSecond),
    byteBurst: inProportion(limits.byteBurst, maxBytesPerSecond, limits.maxBytesPerSecond),
  }
}

const inProportion = (burst: number, rate: number, to: number): number =>
  rate === to || to === 0 ? burst : (burst * rate) / to

const millisecondsUntil = (missing: number, perSecond: number): number =>
  Math.ceil((missing * 1_000) / perSecond)

/** One refusal: how long to wait, in milliseconds, and whether it was one too many. */
export interface RateRefusal {
  readonly retryAfterMs: number
  readonly tooMany: boolean
}

export class RateBucket {
  tokens: number
  bytes: number
  filledAt: number
  refusals: number
  refusedSince: number
  claimedRates: ClaimedRates | null
  readonly #limits: RateLimits
  #rates: Rates

  constructor(limits: RateLimits, state: RateState) {
    this.#limits = limits
    this.claimedRates = state.claimedRates ?? null
    this.#rates = ratesOf(limits, this.claimedRates)
    this.tokens = state.tokens
    this.bytes = state.bytes ?? this.#rates.byteBurst
    this.filledAt = state.filledAt
    this.refusals = state.refusals
    this.refusedSince = state.refusedSince
  }

  /** The rates in force. */
  get rates(): Rates {
    return this.#rates
  }

  /** A token claims these rates from now on, or the deployment's hold. As full as it was, as a part of its bursts. */
  claim(claimed: ClaimedRates | null): void {
    const { byteBurst, envelopeBurst } = this.#rates
    this.claimedRates = claimed
    this.#rates = ratesOf(this.#limits, claimed)
    if (envelopeBurst > 0) this.tokens *= this.#rates.envelopeBurst / envelopeBurst
    if (byteBurst > 0) this.bytes *= this.#rates.byteBurst / byteBurst
  }

  /** Time has passed. Once for each frame is enough. */
  refill(now: number): void {
    const { byteBurst, envelopeBurst, maxBytesPerSecond, maxEnvelopesPerSecond } = this.#rates
    const seconds = Math.max(0, now - this.filledAt) / 1_000
    this.tokens = Math.min(envelopeBurst, this.tokens + seconds * maxEnvelopesPerSecond)
    this.bytes = Math.min(byteBurst, this.bytes + seconds * maxBytesPerSecond)
    this.filledAt = now
  }

  /** One envelope: whether it may pass. */
  take(): boolean {
    if (this.tokens < 1) return false
    this.tokens--
    return true
  }

  /** What passed costs so much more, as is known only now. */
  charge(tokens: number): void {
    this.tokens -= tokens
  }

  /** The envelope that passed last does not count. */
  giveBack(): void {
    this.tokens = Math.min(this.#rates.envelopeBurst, this.tokens + 1)
  }

  /**
   * A frame of so many bytes: whether it may pass. One larger than the burst may where nothing was taken
   * before. Refused bytes count too, down to a debt of one burst.
   */
  takeBytes(size: number): boolean {
    const { byteBurst } = this.#rates
    const passes = this.bytes >= Math.min(size, byteBurst)
    this.bytes = Math.max(this.bytes - size, -byteBurst)
    return passes
  }

  /** One envelope was refused; `counted` counts it. After one too many the wait is until the bucket is full again. */
  refuse(now: number, counted: RateBucket = this): RateRefusal {
    const { envelopeBurst, maxEnvelopesPerSecond } = this.#rates
    const tooMany = counted.#countRefusal(now)
    const missing = (tooMany ? envelopeBurst : 1) - this.tokens
    return { retryAfterMs: millisecondsUntil(missing, maxEnvelopesPerSecond), tooMany }
  }

  /** A frame of so many bytes was refused. */
  refuseBytes(size: number, now: number, counted: RateBucket = this): RateRefusal {
    const { byteBurst, maxBytesPerSecond } = this.#rates
    const tooMany = counted.#countRefusal(now)
    const missing = (tooMany ? byteBurst : Math.min(size, byteBurst)) - this.bytes
    return { retryAfterMs: millisecondsUntil(missing, maxBytesPerSecond), tooMany }
  }

  /** Whether this one refusal more is one too many. */
  #countRefusal(now: number): boolean {
    const { abuseWindow, maxRefusals } = this.#limits
    if (elapsedSince(this.refusedSince, now) >= abuseWindow) {
      this.refusals = 0
      this.refusedSince = now
    }
    return ++this.refusals >= maxRefusals
  }

  /** Goes on from another, of the same client before: a client that connects anew has no more for it. */
  inherit(other: RateBucket, now: number): void {
    other.refill(now)
    this.refill(now)
    // By how long each needs to be full again, as the rates may differ.
    this.tokens = Math.min(this.tokens, other.tokenPart * this.#rates.envelopeBurst)
    this.bytes = Math.min(this.bytes, other.bytePart * this.#rates.byteBurst)
    this.refusals = other.refusals
    this.refusedSince = other.refusedSince
  }

  /** How full it is of envelopes, and of bytes: 1 is full, below 0 a debt. */
  get tokenPart(): number {
    const { envelopeBurst } = this.#rates
    return envelopeBurst === 0 ? 1 : this.tokens / envelopeBurst
  }
  get bytePart(): number {
    const { byteBurst } = this.#rates
    return byteBurst === 0 ? 1 : this.bytes / byteBurst
  }

  /** When it is full again if nothing more is taken, epoch milliseconds. */
  fullAt(): number {
    const { byteBurst, envelopeBurst, maxBytesPerSecond, maxEnvelopesPerSecond } = this.#rates
    const tokensAt = (envelopeBurst - this.tokens) / maxEnvelopesPerSecond
    const bytesAt = (byteBurst - this.bytes) / maxBytesPerSecond
    // Where nothing comes back and nothing is missing, 0 / 0.
    return this.filledAt + Math.max(tokensAt || 0, bytesAt || 0) * 1_000
  }
}
