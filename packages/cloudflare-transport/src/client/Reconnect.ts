/** When to try again: the retry schedule and what resets it. */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"

/** The first retry begins within this time, in milliseconds. */
const FIRST_RETRY = 250
/** No retry waits longer than this, in milliseconds. */
const LONGEST_RETRY = 30_000
/** A connection that held this long, in milliseconds, was a good one: the schedule begins anew. */
export const HELD = 10_000

/**
 * The default: exponential from 250 ms to 30 s, with full jitter (each delay is drawn evenly from zero
 * to its bound), for ever. Full jitter, so that clients that were dropped together come back apart.
 */
export const reconnectSchedule: Schedule.Schedule<Duration.Duration> = Schedule.exponential(
  FIRST_RETRY,
  2,
).pipe(
  Schedule.modifyDelay(({ duration }) =>
    Effect.map(Random.next, (random) => random * Math.min(Duration.toMillis(duration), LONGEST_RETRY)),
  ),
)

/** Walks along a schedule. */
export interface Backoff {
  /** Milliseconds to wait before the next attempt, or `undefined` where the schedule has ended. */
  readonly next: Effect.Effect<number | undefined>
  /** Back to the schedule's beginning. */
  readonly reset: () => void
  /** Delays handed out since the beginning. */
  readonly attempts: () => number
}

/** A walk along this schedule. */
export const makeBackoff = (schedule: Schedule.Schedule<unknown>): Backoff => {
  const begin = Schedule.toStep(schedule)
  // Begun when it is first needed: most connections never do.
  let step: Effect.Success<typeof begin> | undefined
  let attempts = 0
  return {
    next: Effect.gen(function* () {
      step ??= yield* begin
      attempts++
      const taken = yield* Effect.exit(step(yield* Clock.currentTimeMillis, undefined))
      return Exit.isSuccess(taken) ? Math.round(Duration.toMillis(taken.value[1])) : undefined
    }),
    reset: () => {
      step = undefined
      attempts = 0
    },
    attempts: () => attempts,
  }
}
