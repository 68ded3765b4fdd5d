/**
 * Continuations: an ask whose answer comes to the asker as a message of its own protocol, together with
 * what the asker wanted to remember. So an open ask is data: it can be stored, and outlive the memory of
 * who asked.
 */
import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as AskError from "./AskError.ts"
import { isAskError } from "./RelayedError.ts"
import * as Protocol from "./Protocol.ts"

/** How an ask ended. `Refused`: without a word of the actor's own, as an `AskError`; `code` says why. */
export type Answer<S, E> =
  | { readonly _tag: "Success"; readonly value: S }
  | { readonly _tag: "Failure"; readonly error: E }
  | {
      readonly _tag: "Refused"
      /** An error code: `timeout`, `unknown_actor`, `actor_terminated`, `actor_failed` … */
      readonly code: string
      readonly message: string
      readonly retryable: boolean
    }

/** What a continuation carries. */
export interface Answered<out About, out S, out E> {
  /** What was given with the ask. */
  readonly about: About
  readonly answer: Answer<S, E>
}

/** A schema of Effect's with these values. */
type CodecOf<T> = Schema.Codec<T, unknown>

/**
 * A message by which an actor gets the answer to its own ask: `ask` of `protocol`, asked by
 * `context.askToSelf`. `about` describes what the actor gives along and gets back.
 */
export const message = <
  Q extends Protocol.Any,
  N extends Protocol.AskName<Q>,
  About extends Schema.ConstraintCodec<unknown, unknown>,
>(
  protocol: Q,
  ask: N,
  about: About,
): Protocol.Own<CodecOf<Answered<About["Type"], Protocol.Success<Q, N>, Protocol.Failure<Q, N>>>> => {
  const asked = Protocol.find(protocol, ask)
  if (asked?.pattern !== "ask") throw new TypeError(`protocol ${protocol.name} has no ask "${ask}"`)
  const answer = Schema.Union([
    Schema.TaggedStruct("Success", { value: embedded(asked.success) }),
    Schema.TaggedStruct("Failure", { error: embedded(asked.error) }),
    Schema.TaggedStruct("Refused", {
      code: Schema.String,
      message: Schema.String,
      retryable: Schema.Boolean,
    }),
  ])
  // The types of a protocol and its schemas say the same.
  return Protocol.own({ payload: Schema.Struct({ about, answer }) as never })
}

/** Any schema as a part of one of Effect's. What a Standard Schema describes is JSON-safe as it is. */
const embedded = (schema: Protocol.AnySchema): Schema.ConstraintCodec<unknown, unknown> => {
  if ("ast" in schema) return schema
  if (schema === Protocol.Nothing) return Schema.Void
  return Schema.Json
}

/** How an ask of this process ended. */
export const fromExit = (exit: Exit.Exit<unknown, unknown>): Answer<unknown, unknown> => {
  if (Exit.isSuccess(exit)) return { _tag: "Success", value: exit.value }
  const found = Cause.findError(exit.cause)
  if (Result.isFailure(found)) return refused("actor_failed", "the ask was not carried out", true)
  const error = found.success
  return isAskError(error) ? fromError(error) : { _tag: "Failure", error }
}

/** An ask that ended with this. */
export const fromError = (error: AskError.AskError): Answer<never, never> => {
  switch (error._tag) {
    case "UnknownActor":
      return refused("unknown_actor", error.message, true)
    case "ActorTerminated":
      return refused("actor_terminated", error.message, true)
    case "AskTimeout":
      return refused("timeout", error.message, true)
    default:
      return refused(error.code, error.message, error.retryable)
  }
}

const refused = (code: string, message: string, retryable: boolean): Answer<never, never> => ({
  _tag: "Refused",
  code,
  message,
  retryable,
})
