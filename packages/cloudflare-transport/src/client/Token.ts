/** Where the token of an attempt comes from, and how it travels: never in the URL. */
import * as Effect from "effect/Effect"
import { SUBPROTOCOL_BEARER_PREFIX } from "../protocol/Frame.ts"
import type { ClientOptions } from "./Options.ts"

/** Milliseconds that a token provider may take. */
export const TOKEN_TIMEOUT = 10_000

/** The token for an attempt, or why there is none. */
export const fetchToken = (
  token: ClientOptions["token"],
  refused: boolean,
): Effect.Effect<string | undefined, string> =>
  typeof token !== "function"
    ? Effect.succeed(token)
    : Effect.tryPromise({
        try: async () => token({ refused }),
        catch: (error) =>
          `the token provider failed: ${error instanceof Error ? error.message : String(error)}`,
      }).pipe(
        Effect.timeoutOrElse({
          duration: TOKEN_TIMEOUT,
          orElse: () => Effect.fail(`the token provider took longer than ${TOKEN_TIMEOUT} ms`),
        }),
      )

/** How a token is presented: as a subprotocol, or, where its characters forbid it, in `hub:connect`. */
export const presentToken = (
  token: string | undefined,
): { readonly protocols: ReadonlyArray<string>; readonly authToken?: string } => {
  if (token === undefined || token === "") return { protocols: [] }
  return /^[\w!#$%&'*+.^`|~-]+$/.test(token)
    ? { protocols: [SUBPROTOCOL_BEARER_PREFIX + token] }
    : { protocols: [], authToken: token }
}
