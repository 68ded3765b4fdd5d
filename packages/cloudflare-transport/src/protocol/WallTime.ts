/**
 * Stored moments outlive memory, so they are of the wall clock, which may be set back or forward. Where that must
 * stop nothing, moments are compared by this.
 */

/**
 * Milliseconds since the moment. `Infinity` where it is in the future: the clock was set back since, and how long ago
 * it was is not known.
 */
export const elapsedSince = (moment: number, now: number): number =>
  moment > now ? Number.POSITIVE_INFINITY : now - moment
