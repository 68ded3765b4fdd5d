/** The subprotocols that a client offers: the one to echo, and the token among them, which never is. */
import { SUBPROTOCOL_BEARER_PREFIX, SUBPROTOCOL_JSON, SUBPROTOCOL_MSGPACK } from "../protocol/Frame.ts"

const offeredBy = (request: Request): ReadonlyArray<string> =>
  request.headers
    .get("Sec-WebSocket-Protocol")
    ?.split(",")
    .map((name) => name.trim()) ?? []

/** The subprotocol to echo: the first that is known. */
export const chosenSubprotocol = (request: Request): string | undefined =>
  offeredBy(request).find((name) => name === SUBPROTOCOL_MSGPACK || name === SUBPROTOCOL_JSON)

/** The token that is offered as a subprotocol. */
export const offeredToken = (request: Request): string | undefined =>
  offeredBy(request)
    .find((name) => name.startsWith(SUBPROTOCOL_BEARER_PREFIX))
    ?.slice(SUBPROTOCOL_BEARER_PREFIX.length)
