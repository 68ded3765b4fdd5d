/**
 * Supervision: what becomes of an actor that fails.
 *
 * A failure is anything that a handler, a signal or the making of a behavior ends with, except the typed
 * error of an ask, which is an answer. The failing message goes to the dead letters with its cause, its
 * asker hears `actor_failed`, and then this decides. The mailbox is kept in any case but `stop`.
 */
import type * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schedule from "effect/Schedule"
import type { Address } from "./Address.ts"

/** What went wrong, where. */
export interface Failure {
  /** `error`: an effect failed, as its type says. `defect`: something was thrown, or died. */
  readonly kind: "error" | "defect"
  /** What it failed with. */
  readonly error: unknown
  readonly cause: Cause.Cause<unknown>
  /** Who failed first: with `escalate`, an actor further down. */
  readonly actor: Address
  /** The message or signal that it failed at; `null`: as it started. */
  readonly message: string | null
}

/** How often restarts may happen: more than that within the window, and it is enough. */
export interface Intensity {
  readonly restarts: number
  readonly within: Duration.Input
}

export interface RestartOptions {
  /**
   * Who is restarted: the failing actor alone; all children of its parent; or it and those that were
   * spawned after it. They are stopped last to first and started first to last. Default: `one-for-one`.
   */
  readonly siblings?: "one-for-one" | "one-for-all" | "rest-for-one"
  /** Default: 10 restarts within 10 seconds. */
  readonly intensity?: Intensity
  /**
   * How long to wait before each restart; messages wait as well. Its end counts as too many restarts; it
   * begins anew after a window of `intensity` without a failure. Default: no wait.
   */
  readonly backoff?: Schedule.Schedule<unknown, Failure>
  /** What to do when it has been restarted too often. Default: `escalate`. */
  readonly exhausted?: "stop" | "escalate"
}

/** What to do with an actor that failed. */
export type Directive =
  | { readonly _tag: "Resume" }
  | { readonly _tag: "Stop" }
  | { readonly _tag: "Escalate" }
  | ({ readonly _tag: "Restart" } & RestartOptions)

/** What to do with an actor whenever it fails, or how that is decided. A function that throws: `stop`. */
export type Supervision = Directive | ((failure: Failure) => Directive)

/** The actor goes on as it was, with its next message. */
export const resume: Directive = { _tag: "Resume" }

/** The actor stops. */
export const stop: Directive = { _tag: "Stop" }

/** It is the parent's failure: the parent's own supervision decides. At the top the actor stops. */
export const escalate: Directive = { _tag: "Escalate" }

/**
 * The actor begins anew: its children stop, what it acquired is released, its timers, watches and open
 * answers end, and its behavior is made again. Its mailbox and what it had stashed are kept.
 */
export const restart = (options: RestartOptions = {}): Directive => ({ _tag: "Restart", ...options })

/** How actors are supervised unless told otherwise. */
export const DEFAULT: Directive = restart()

/** What `supervision` says to this failure. */
export const decide = (supervision: Supervision, failure: Failure): Directive => {
  if (typeof supervision !== "function") return supervision
  try {
    return supervision(failure)
  } catch {
    return stop
  }
}

const DEFAULT_INTENSITY: Intensity = { restarts: 10, within: "10 seconds" }

/** The time to measure by, and that of the wall clock, which a schedule may go by. Milliseconds. */
interface Clocks {
  readonly now: () => number
  readonly timestamp: () => number
}

/** The restarts of one actor. */
export class Restarts {
  #times: Array<number> = []
  #step:
    | ((now: number, failure: Failure) => Effect.Effect<readonly [unknown, Duration.Duration], unknown>)
    | null = null

  /** Milliseconds to wait before the restart, or `null`: there have been too many. */
  readonly next = Effect.fnUntraced(
    { self: this },
    function* (options: RestartOptions, failure: Failure, clocks: Clocks) {
      const now = clocks.now()
      const { restarts, within } = options.intensity ?? DEFAULT_INTENSITY
      const since = now - Duration.toMillis(within)
      this.#times = this.#times.filter((time) => time > since)
      if (this.#times.length === 0) this.#step = null
      if (this.#times.length >= restarts) return null
      // Where there is no limit, the last one tells as much as all would.
      if (restarts === Infinity) this.#times.length = 0
      this.#times.push(now)
      if (options.backoff === undefined) return 0
      this.#step ??= yield* Schedule.toStep(options.backoff)
      const step = yield* Effect.exit(this.#step(clocks.timestamp(), failure))
      return Exit.isSuccess(step) ? Duration.toMillis(step.value[1]) : null
    },
  )
}
