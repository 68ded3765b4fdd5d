/**
 * One attempt and the connection that it leads to: the token, the socket, and the socket's release,
 * however it ends.
 */
import * as Effect from "effect/Effect"
import { CloseCode } from "../protocol/CloseCode.ts"
import { LoginRequired } from "./ClientError.ts"
import { openWebSocket, socketUrl, type SocketLike } from "./Socket.ts"
import { SocketLife, type AttemptOptions, type Ended } from "./SocketLife.ts"
import { presentToken } from "./Token.ts"

/** Runs one attempt until its connection is gone. Interrupting it closes the socket. */
export const runAttempt = (
  options: AttemptOptions,
  how: { readonly reclaim: boolean; readonly refused: boolean },
): Effect.Effect<Ended> =>
  Effect.gen(function* () {
    const { channel, client, token } = options
    const fetched: { readonly token: string | undefined } | Ended =
      typeof token === "function"
        ? yield* Effect.promise(() =>
            token(how.refused).then(
              (token) => ({ token }),
              (error: unknown) => withoutToken(error),
            ),
          )
        : { token }
    if ("cause" in fetched) return fetched
    yield* options.turn.wait(fetched.token)
    return yield* Effect.callback<Ended>((resume) => {
      let socket: SocketLike
      try {
        const open = client.webSocket ?? openWebSocket
        const { protocols } = presentToken(fetched.token)
        // A token says it itself.
        const identity = fetched.token === undefined ? client.identity : undefined
        socket = open(socketUrl(client.url, identity), [channel.subprotocol, ...protocols])
      } catch (error) {
        // What cannot even be opened, a URL or a protocol that is none, no retry mends.
        const ended = failed(`the socket could not be opened: ${textOf(error)}`)
        return resume(Effect.succeed({ ...ended, verdict: "stay-away" as const }))
      }
      const life = new SocketLife(options, socket, fetched.token, how.reclaim, (ended) =>
        resume(Effect.succeed(ended)),
      )
      return Effect.sync(() => life.end(CloseCode.Normal, "closed"))
    })
  })

const failed = (cause: string): Ended => ({
  code: CloseCode.Abnormal,
  cause,
  verdict: "reconnect",
  connectedAt: undefined,
  retryAfterMs: undefined,
})

const withoutToken = (error: unknown): Ended => {
  const ended = failed(`no token: ${textOf(error)}`)
  if (!(error instanceof LoginRequired)) return ended
  return { ...ended, code: CloseCode.Unauthorized, verdict: "stay-away", error }
}

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
