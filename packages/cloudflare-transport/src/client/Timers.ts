/** Deadlines for plain code, by the Effect clock: so that one test clock drives all that waits. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"

export interface Timers {
  /** Epoch milliseconds. */
  readonly now: () => number
  /** Calls `f` once after this many milliseconds; the result cancels it. */
  readonly after: (ms: number, f: () => void) => () => void
}

/** Timers by the clock of the calling effect. */
export const makeTimers: Effect.Effect<Timers> = Effect.gen(function* () {
  const clock = yield* Clock.Clock
  const fork = Effect.runForkWith(yield* Effect.context<never>())
  return {
    now: () => clock.currentTimeMillisUnsafe(),
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
    const stops: Array<() => void> = []
    const stop = (): void => stops.forEach((each) => each())
    const done = (): void => {
      stop()
      resume(Effect.void)
    }
    stops.push(timers.after(ms, done))
    stops.push(listen(done))
    return Effect.sync(stop)
  })
