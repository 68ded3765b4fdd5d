/**
 * The decision when an identity is claimed: who holds it afterward, and what becomes of what the
 * holder had. Pure; `Sessions.claim` carries it out in one synchronous step.
 *
 * The last connection wins. Decided from stored state alone, never from the order of events.
 */
import type { Limits } from "../protocol/Limits.ts"
import type { Session } from "./Session.ts"
import { elapsedSince } from "../protocol/WallTime.ts"

export interface TakeoverPlan {
  readonly epoch: number
  /** The session that loses the identity. */
  readonly superseded: Session | undefined
  /** Whether the loser's registrations beside the identity pass to the winner or end. */
  readonly registrationsPass: boolean
}

/** What a claim by `claimant` of an identity at this epoch, held by `holder`, leads to. */
export const planTakeover = (
  claimant: Session,
  holder: Session | undefined,
  storedEpoch: number,
): TakeoverPlan => {
  const superseded = holder === claimant ? undefined : holder
  return {
    epoch: storedEpoch + 1,
    superseded,
    registrationsPass: superseded !== undefined && superseded.expirySeconds > 0,
  }
}

/** How often an identity was taken over since then, epoch milliseconds. */
export interface Takeovers {
  readonly count: number
  readonly since: number
}

/** One more takeover, counted, or the milliseconds until there may be one again. */
export const countTakeover = (
  before: Takeovers,
  { abuseWindow, maxTakeovers }: Pick<Limits, "abuseWindow" | "maxTakeovers">,
  now: number,
): Takeovers | { readonly retryAfterMs: number } => {
  if (elapsedSince(before.since, now) >= abuseWindow) return { count: 1, since: now }
  if (before.count >= maxTakeovers) return { retryAfterMs: before.since + abuseWindow - now }
  return { count: before.count + 1, since: before.since }
}
