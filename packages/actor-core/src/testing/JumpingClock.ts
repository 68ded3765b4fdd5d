/**
 * A wall clock that jumps, for tests of what measures time: a correction by the network, a user's change, or, where
 * it jumps forward, a machine that slept. Timers and the monotonic clock go on as they were.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"

/** Runs it with a wall clock that `jump` sets forward by so many milliseconds, or back where they are below 0. */
export const withJumps = <A, E, R>(
  use: (jump: (millis: number) => void) => Effect.Effect<A, E, R>,
): Effect.Effect<A, E, R> =>
  Clock.clockWith((clock) => {
    let ahead = 0
    const millis = (): number => clock.currentTimeMillisUnsafe() + ahead
    const nanos = (): bigint => clock.currentTimeNanosUnsafe() + BigInt(ahead) * 1_000_000n
    const jumping: Clock.Clock = Object.assign(Object.create(clock) as Clock.Clock, {
      currentTimeMillisUnsafe: millis,
      currentTimeMillis: Effect.sync(millis),
      currentTimeNanosUnsafe: nanos,
      currentTimeNanos: Effect.sync(nanos),
    })
    const jump = (by: number): void => void (ahead += by)
    return Effect.provideService(use(jump), Clock.Clock, jumping)
  })
