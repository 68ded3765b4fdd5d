/** Clocks and deadlines for plain code, by the Effect clock: so that one test clock drives all that waits. */
import { monotonicMillis } from "@signal-hub/actor-core/vocabulary"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"

export interface Timers {
  /** Monotonic milliseconds, to measure by. They stand still while the machine sleeps, on most platforms. */
  readonly now: () => number
  /** Epoch milliseconds, for what others read. They may jump. */
  readonly timestamp: () => number
  /** Calls `f` once after this many milliseconds; the result cancels it. */
  readonly after: (ms: number, f: () => void) => () => void
}

/** A moment, by both clocks. */
export interface Moment {
  readonly monotonic: number
  readonly wall: number
}

/** This moment. */
export const momentOf = ({ now, timestamp }: Timers): Moment => ({ monotonic: now(), wall: timestamp() })

/**
 * Milliseconds since the moment: the larger of what both clocks say, as the one stands still while the machine
 * sleeps, and the other may be set back.
 */
export const passedSince = ({ now, timestamp }: Timers, { monotonic, wall }: Moment): number =>
  Math.max(now() - monotonic, timestamp() - wall)

/** Timers by the clock of the calling effect. */
export const makeTimers: Effect.Effect<Timers> = Effect.gen(function* () {
  const clock = yield* Clock.Clock
  const fork = Effect.runForkWith(yield* Effect.context<never>())
  return {
    now: () => monotonicMillis(clock),
    timestamp: () => clock.currentTimeMillisUnsafe(),
    after: (ms, f) => {
      const fiber = fork(Effect.map(Effect.sleep(ms), f))
      return () => fiber.interruptUnsafe()
    },
  }
})

/** Waits so many milliseconds, or until what `listen` gets is called; `listen` gives what ends its listening. */
export const waitAtMost = (
  timers: Timers,
  ms: number,
  listen: (done: () => void) => () => void,
): Effect.Effect<void> =>
  Effect.callback((resume) => {
    let isDone = false
    const stops: Array<() => void> = []
    const stop = (): void => {
      for (const each of stops.splice(0)) each()
    }
    const done = (): void => {
      isDone = true
      stop()
      resume(Effect.void)
    }
    stops.push(timers.after(ms, done))
    stops.push(listen(done))
    // It was done at once, before there was anything to stop.
    if (isDone) stop()
    return Effect.sync(stop)
  })
