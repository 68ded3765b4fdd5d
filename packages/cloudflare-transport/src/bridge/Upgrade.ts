/**
 * The request for a WebSocket that the Worker sends to a hub: a fresh one, with what the handshake needs and the
 * claims that the Worker has verified. Nothing else of the client's request comes along.
 */
import { chosenSubprotocol } from "./Subprotocol.ts"
import type { Claims } from "../auth/Claims.ts"

/** No client's request has this address, as no zone can have this name: what a header says is believed only here. */
const URL_OF_HUB = "https://hub/ws"
const CLAIMS_HEADER = "Signal-Hub-Claims"

/** Makes the request that the hub gets. */
export const toHub = (request: Request, claims: Claims | null): Request => {
  const headers = new Headers({ Upgrade: "websocket" })
  const subprotocol = chosenSubprotocol(request)
  if (subprotocol !== undefined) headers.set("Sec-WebSocket-Protocol", subprotocol)
  if (claims !== null) headers.set(CLAIMS_HEADER, claims.text)
  return new Request(URL_OF_HUB, { headers })
}

/** Returns the claims that the Worker verified, as text; `null` if there are none yet. */
export const claimsIn = (request: Request): string | null =>
  request.url === URL_OF_HUB ? request.headers.get(CLAIMS_HEADER) : null
