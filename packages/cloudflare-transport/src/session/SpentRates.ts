/**
 * The rate buckets of identities whose connection went, until they would be full again: who connects
 * anew goes on from there. In memory only, as a bucket fills sooner than an object hibernates.
 */
import type { Address } from "@signal-hub/actor-core"
import type { RateBucket } from "./RateBucket.ts"

/** Most that are kept; beyond it the oldest goes. */
const MOST = 10_000

export class SpentRates {
  readonly #byIdentity = new Map<Address.Address, RateBucket>()

  /** The identity's connection went, with this left. */
  put(identity: Address.Address, bucket: RateBucket, now: number): void {
    for (const [oldest, spent] of this.#byIdentity) {
      if (spent.fullAt() > now && this.#byIdentity.size < MOST) break
      this.#byIdentity.delete(oldest)
    }
    if (bucket.fullAt() <= now) return
    this.#byIdentity.delete(identity)
    this.#byIdentity.set(identity, bucket)
  }

  /** What was left to the identity, which has a connection again. */
  take(identity: Address.Address): RateBucket | undefined {
    const bucket = this.#byIdentity.get(identity)
    if (bucket !== undefined) this.#byIdentity.delete(identity)
    return bucket
  }
}
