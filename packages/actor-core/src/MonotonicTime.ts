/**
 * The time by which durations are measured. It only grows: a wall clock that is set back or forward changes
 * nothing of it. It stands still while a machine sleeps, on most platforms.
 */
import type * as Clock from "effect/Clock"

/** Whole milliseconds since an arbitrary moment. Only differences of two readings of one process mean anything. */
export const monotonicMillis = (clock: Clock.Clock): number =>
  Math.floor(Number(clock.monotonicTimeNanosUnsafe()) / 1e6)
