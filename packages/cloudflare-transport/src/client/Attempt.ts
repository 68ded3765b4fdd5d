/**
 * One attempt and the connection that it leads to: the token, the socket, and the socket's release,
 * however it ends.
 */
import * as Effect from "effect/Effect"
import { CloseCode, type Verdict } from "../protocol/CloseCode.ts"
import { openWebSocket, toWebSocketUrl, type SocketLike } from "./Socket.ts"
import { SocketLife, type AttemptOptions, type Ended } from "./SocketLife.ts"
import { presentToken } from "./Token.ts"

/** Runs one attempt until its connection is gone. Interrupting it closes the socket. */
export const runAttempt = (
  options: AttemptOptions,
  how: { readonly reclaim: boolean; readonly refused: boolean },
): Effect.Effect<Ended> => {
  const failed = (cause: string, code: number = CloseCode.Abnormal, verdict?: Verdict): Ended => ({
    code,
    cause,
    connectedAt: undefined,
    retryAfterMs: undefined,
    ...(verdict === undefined ? {} : { verdict }),
  })
  const opened = (token: string | undefined): SocketLike | string => {
    try {
      const open = options.client.webSocket ?? openWebSocket
      return open(toWebSocketUrl(options.client.url), [
        options.channel.subprotocol,
        ...presentToken(token).protocols,
      ])
    } catch (error) {
      return `the socket could not be opened: ${error instanceof Error ? error.message : String(error)}`
    }
  }
  const { token } = options
  const fetched =
    typeof token === "function"
      ? Effect.tryPromise({
          try: () => token(how.refused),
          catch: (error) => `no token: ${error instanceof Error ? error.message : String(error)}`,
        })
      : Effect.succeed(token)
  return Effect.matchEffect(fetched, {
    onFailure: (cause) => Effect.succeed(failed(cause)),
    onSuccess: (token) =>
      Effect.acquireUseRelease(
        Effect.sync(() => {
          const socket = opened(token)
          return typeof socket === "string" ? socket : new SocketLife(options, socket, token, how.reclaim)
        }),
        // What cannot even be opened, a URL or a protocol that is none, no retry mends.
        (life) =>
          typeof life === "string"
            ? Effect.succeed(failed(life, CloseCode.Abnormal, "stay-away"))
            : life.gone,
        (life) => Effect.sync(() => typeof life !== "string" && life.end(CloseCode.Normal, "closed")),
      ),
  })
}
