/**
 * Time in tests. How long a test waits for something is always real time; how long an actor's world
 * stands still is that world's, which with Effect's test clock only the test moves.
 */
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as TestClock from "effect/testing/TestClock"

/** Rounds of timers and promises after which nothing is under way any more that needs no time. */
const ROUNDS = 16

/** Lets run whatever can without time passing: turns of actors, promises, what a network in memory carries. */
export const settle: Effect.Effect<void> = Effect.forEach(
  Array.from({ length: ROUNDS }),
  () => Effect.yieldNow,
  { discard: true },
)

/** The time passes: by the test clock where there is one. What falls due in it has run then. */
export const pass = (duration: Duration.Input): Effect.Effect<void> =>
  Clock.clockWith((clock) =>
    settle.pipe(
      Effect.andThen(isTestClock(clock) ? clock.adjust(duration) : Effect.sleep(duration)),
      Effect.andThen(settle),
    ),
  )

/** Runs it in real time. */
export const live = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Clock.clockWith((clock) => (isTestClock(clock) ? clock.withLive(effect) : effect))

const isTestClock = (clock: Clock.Clock): clock is TestClock.TestClock =>
  "adjust" in clock && "withLive" in clock
