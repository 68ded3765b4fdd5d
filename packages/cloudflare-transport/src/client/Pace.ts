/**
 * How fast this client sends: within what the hub allows a session, by a margin, as what leaves evenly
 * arrives in a bunch where the network, or the hub, stood still for a second. The hub counts envelopes,
 * their values and the bytes of frames.
 */
import type { AdvertisedLimits } from "../protocol/HubMessage.ts"
import {
  DEFAULT_BYTE_BURST,
  DEFAULT_BYTES_PER_SECOND,
  DEFAULT_ENVELOPE_BURST,
  DEFAULT_ENVELOPES_PER_SECOND,
  VALUES_A_TOKEN,
} from "../protocol/Limits.ts"

/** Tokens that come back evenly. */
class Bucket {
  tokens = Infinity
  #burst = Infinity
  /** Tokens a millisecond. */
  #rate = 0
  #filledAt = 0

  allow(burst: number, perSecond: number): void {
    this.#burst = burst * 0.5
    this.#rate = perSecond * 0.0009
  }

  /** Whether there are so many, or as many as there ever are. */
  has(tokens: number, now: number): boolean {
    this.tokens = Math.min(this.#burst, this.tokens + Math.max(0, now - this.#filledAt) * this.#rate)
    this.#filledAt = now
    return this.tokens >= Math.min(tokens, this.#burst)
  }
}

export class Pace {
  readonly #envelopes = new Bucket()
  readonly #bytes = new Bucket()

  /** What the hub allows from now on. What was spent on an earlier connection stays spent, there too. */
  allow(limits: Partial<AdvertisedLimits> | undefined): void {
    this.#envelopes.allow(
      limits?.envelopeBurst ?? DEFAULT_ENVELOPE_BURST,
      limits?.maxEnvelopesPerSecond ?? DEFAULT_ENVELOPES_PER_SECOND,
    )
    this.#bytes.allow(
      limits?.byteBurst ?? DEFAULT_BYTE_BURST,
      limits?.maxBytesPerSecond ?? DEFAULT_BYTES_PER_SECOND,
    )
  }

  /** Whether one more envelope of so many values may leave now, in a frame that has so many bytes then. */
  take(now: number, values: number, bytes: number): boolean {
    const tokens = 1 + Math.floor(values / VALUES_A_TOKEN)
    if (!this.#bytes.has(bytes, now) || !this.#envelopes.has(tokens, now)) return false
    this.#envelopes.tokens -= tokens
    return true
  }

  /** A frame of so many bytes leaves. */
  spend(bytes: number): void {
    this.#bytes.tokens -= bytes
  }
}
