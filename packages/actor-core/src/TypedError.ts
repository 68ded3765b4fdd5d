/** Telling an actor's typed errors from defects, in what its plain code throws. */
import * as Option from "effect/Option"
import type * as Schema from "effect/Schema"
import * as Protocol from "./Protocol.ts"

/** Whether it is the typed error of this ask. What an effect fails with is, as the compiler saw to it. */
export const isErrorOf = (
  protocol: Protocol.Any,
  name: string,
  error: unknown,
  ofEffect: boolean,
): boolean => {
  const definition = Protocol.find(protocol, name)
  if (definition === undefined || definition.pattern === "tell") return false
  if (definition.error === Protocol.Never) return false
  return ofEffect || isTypedError(definition.error, error)
}

/**
 * Whether what was thrown is an error of this schema: an instance, where it is a class. Done with what
 * the schema brings along, so that no schema library is loaded for it.
 */
export const isTypedError = (schema: Protocol.AnySchema, thrown: unknown): boolean => {
  try {
    if ("ast" in schema) {
      const made = (schema as Protocol.AnySchema & Pick<Schema.Top, "makeOption">).makeOption(thrown)
      return Option.isSome(made) && isAlike(made.value, thrown)
    }
    const result = schema["~standard"].validate(thrown)
    return !("then" in result) && result.issues === undefined
  } catch {
    return false
  }
}

/** Whether it is of the same kind: an instance of a class that was constructed of something else is not. */
const isAlike = (made: unknown, thrown: unknown): boolean =>
  typeof made === "object" && made !== null && typeof thrown === "object" && thrown !== null
    ? Object.getPrototypeOf(made) === Object.getPrototypeOf(thrown)
    : made === thrown
