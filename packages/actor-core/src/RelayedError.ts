/** Failures of asks that an actor made in another's stead, as it hands them on. */
import * as AskError from "./AskError.ts"

/** Whether it is a failure of the asking, not an actor's own error. */
export const isAskError = (error: unknown): error is AskError.AskError =>
  error instanceof AskError.UnknownActor ||
  error instanceof AskError.ActorTerminated ||
  error instanceof AskError.AskTimeout ||
  error instanceof AskError.ActorFailed ||
  error instanceof AskError.AskRefused

const CODES = {
  UnknownActor: "unknown_actor",
  ActorTerminated: "actor_terminated",
  AskTimeout: "timeout",
} as const

/** What the actor says of it. */
export const payloadOf = (error: AskError.AskError): AskError.ActorErrorPayload => ({
  code: "code" in error ? error.code : CODES[error._tag],
  message: error.message,
  retryable: "retryable" in error && error.retryable,
})
