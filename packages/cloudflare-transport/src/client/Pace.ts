/**
 * How fast this client sends: within what the hub allows a session, by a margin, as what leaves evenly
 * arrives in a bunch where the network, or the hub, stood still for a second.
 */
import type { AdvertisedLimits } from "../protocol/HubMessage.ts"
import { DEFAULT_ENVELOPE_BURST, DEFAULT_ENVELOPES_PER_SECOND } from "../protocol/Limits.ts"

export class Pace {
  #burst = Infinity
  #tokens = Infinity
  /** Envelopes a millisecond. */
  #rate = 0
  #filledAt = 0

  /** What the hub allows from now on. What was spent on an earlier connection stays spent, there too. */
  allow(limits: Partial<AdvertisedLimits> | undefined): void {
    this.#burst = (limits?.envelopeBurst ?? DEFAULT_ENVELOPE_BURST) * 0.5
    this.#rate = (limits?.maxEnvelopesPerSecond ?? DEFAULT_ENVELOPES_PER_SECOND) * 0.0009
  }

  /** Whether one more envelope may leave now. */
  take(now: number): boolean {
    this.#tokens = Math.min(this.#burst, this.#tokens + (now - this.#filledAt) * this.#rate)
    this.#filledAt = now
    return this.#tokens >= 1 && this.#tokens-- > 0
  }
}
