/**
 * The time limit of an ask: one rule for actors in this process, over every transport, and for the client.
 *
 * A limit is a duration from 0. The longest is 24 hours: a longer one, `Infinity` included, is brought down to
 * it, so that no ask stays open for ever and the limit means the same wherever the actor is.
 */
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"

/** Milliseconds that an ask may take unless it says otherwise. */
export const DEFAULT_ASK_TIMEOUT_MS = 30_000
/** Longest time limit of an ask, in milliseconds. `Infinity` stands for it. */
export const MAX_ASK_TIMEOUT_MS = 24 * 3_600_000

/** A time limit below 0, `NaN`, or no duration at all. `message` names the option and the rule. */
export class InvalidTimeLimit extends Data.TaggedError("InvalidTimeLimit")<{
  readonly message: string
}> {}

/** The rule that these milliseconds break, as a sentence about the option; `undefined` where they keep it. */
export const violation = (millis: unknown, option: string): string | undefined =>
  typeof millis === "number" && millis >= 0
    ? undefined
    : `"${option}" must be a number of milliseconds from 0, or Infinity`

/**
 * The duration in whole milliseconds, as a `ttl` is; `Infinity` where it has no end.
 *
 * @param option - its name, for the message of the `InvalidTimeLimit`
 */
export const read = (duration: Duration.Input, option: string): number | InvalidTimeLimit => {
  const millis = toMillis(duration)
  const message = violation(millis, option)
  return message === undefined ? Math.ceil(millis) : new InvalidTimeLimit({ message })
}

/** The time limit of an ask that is given this one. */
export const ofAsk = (millis: number): number => Math.min(millis, MAX_ASK_TIMEOUT_MS)

/** `NaN` where it is no duration. Effect itself reads a `NaN` as 0. */
const toMillis = (duration: Duration.Input): number => {
  const parts = typeof duration === "object" && duration !== null ? Object.values(duration) : [duration]
  if (parts.some(Number.isNaN)) return NaN
  try {
    return Duration.toMillis(duration)
  } catch {
    return NaN
  }
}
