/** How the client fails: to connect, and with what was on its way when a connection was lost. */
import * as Data from "effect/Data"
import type { AskError, TransportError } from "@signal-hub/actor-core/vocabulary"
import type { Unconfirmed } from "./Resume.ts"

/**
 * A token provider throws it, or rejects with it, when only a login can bring a token. The client then makes no
 * further attempt: it is `disconnected` with code 4401, and `connect` rejects with this as the cause.
 *
 * @example
 * ```ts
 * const token = async () => {
 *   const answer = await fetch("/token")
 *   if (answer.status === 401) throw new LoginRequired({ message: "your session is over" })
 *   return answer.text()
 * }
 * ```
 */
export class LoginRequired extends Data.TaggedError("LoginRequired")<{
  readonly message: string
}> {}

/**
 * No connection came about, or none may: `code` is the close code, where there was a close. `cause` is the
 * `LoginRequired` of the token provider, where that ended it.
 */
export class ConnectFailed extends Data.TaggedError("ConnectFailed")<{
  readonly code: number | null
  readonly message: string
  readonly cause?: LoginRequired
}> {}

/**
 * The connection went with this ask on its way. Whether the actor acted on it is not known: ask again
 * only what is safe to repeat.
 */
export class ConnectionLost extends Data.TaggedError("ConnectionLost")<{
  readonly code: number
  readonly message: string
}> {}

/**
 * The session went with this on its way, and was not taken up again, as `reason` says. Whether it was
 * delivered, or the actor acted on it, is not known: repeat only what is safe to repeat.
 */
export class SessionLost extends Data.TaggedError("SessionLost")<{
  readonly reason: Unconfirmed["reason"]
  readonly message: string
}> {}

/**
 * How an ask or a request to the hub fails: answered by a failure or not in time (`AskError`), lost
 * with its connection or session, or not taken at all (`TransportError`).
 */
export type RequestError = AskError.AskError | ConnectionLost | SessionLost | TransportError
