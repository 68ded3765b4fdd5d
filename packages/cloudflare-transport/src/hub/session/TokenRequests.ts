/**
 * Tokens that come over the socket: with `hub:connect`, or later with `hub:refresh_token`. To verify one
 * takes time; what its connection sends meanwhile waits. What follows from it is one synchronous step.
 */
import type { Envelope } from "@signal-hub/actor-core"
import { mayEnter } from "../../auth/Authorization.ts"
import { type Claims, keptClaims } from "../../auth/Claims.ts"
import { TokenRefused } from "../../auth/TokenRefused.ts"
import { CloseCode } from "../../protocol/CloseCode.ts"
import type { TokenRefreshed } from "../../protocol/HubMessage.ts"
import type { Connection } from "../../session/Connection.ts"
import { tokenUntil } from "../../session/Session.ts"
import { revokeForbidden } from "./Revocation.ts"
import type { HubState } from "../HubState.ts"
import { readMetadata, readPayload, NO_SESSION } from "../readRequest.ts"
import { malformed, Rejection } from "../Rejection.ts"
import type { Incoming } from "../Incoming.ts"
import { type Answer, respond } from "../Requests.ts"

/**
 * Finds out what is known of who connects: by the token of the upgrade, which the Worker has verified, or
 * by the one in `hub:connect`. `done` gets `null` in open mode. What was found is nowhere kept: a connect
 * that fails leaves nothing behind.
 */
export const authenticateConnect = (
  hub: HubState,
  connection: Connection,
  envelope: Envelope.Envelope,
  done: (claims: Claims | Rejection | null) => void,
): void => {
  const { authenticate } = hub.port
  if (authenticate === null) return done(null)
  const judged = (claims: Claims | TokenRefused): void => done(judge(hub, claims, "hub:connect"))
  if (connection.claims !== null) return judged(keptClaims(connection.claims))
  try {
    const source = { envelope, hub, session: NO_SESSION }
    const { authToken } = readMetadata("hub:connect", source, "authToken")
    if (authToken !== undefined) return authenticate(bare(authToken), judged)
  } catch (error) {
    if (!(error instanceof Rejection)) throw error
    return done(error)
  }
  const message = "there is no token: offer it with the upgrade, or in metadata.authToken"
  judged(new TokenRefused({ code: "unauthorized", message }))
}

/** A new token for the same identity takes the place of the one before. */
export const refreshToken = (request: Incoming): undefined => {
  const { hub, connection, session } = request
  const { authenticate } = hub.port
  if (authenticate === null) throw malformed("this hub is open: it takes no tokens")
  const { token } = readPayload("hub:refresh_token", request)
  connection.parked = []
  authenticate(bare(token), (found) => {
    const now = hub.port.now()
    // Superseded, closed or expired meanwhile: nobody is there to answer.
    if (hub.sessions.of(connection) === session && tokenUntil(session) > now) {
      respond({ ...request, now }, (again) => renewClaims(again, found))
    }
    hub.on.unpark(connection)
  })
  return undefined
}

const renewClaims = ({ hub, connection, session, now }: Incoming, found: Claims | TokenRefused): Answer => {
  const claims = judge(hub, found, "hub:refresh_token")
  if (claims instanceof Rejection) throw claims
  if (claims.identity !== session.identity) {
    throw new Rejection("forbidden", "the token is not for the identity of this session")
  }
  hub.atomically(() => {
    hub.sessions.setClaims(session, claims)
    revokeForbidden(hub, session, now)
  })
  connection.rate.claim(claims.rates)
  connection.save()
  if (claims.expiresAt !== null) hub.alarm.atLatest(claims.expiresAt)
  hub.logSession("token_refreshed", session, { tokenExpiresAt: claims.expiresAt })
  const payload: TokenRefreshed = { expiresAt: claims.expiresAt }
  return { payload }
}

/** The token without its scheme. */
const bare = (token: string): string => token.replace(/^bearer +/i, "")

/** The claims, or why they are no good here. */
const judge = (hub: HubState, found: Claims | TokenRefused, action: string): Claims | Rejection => {
  if (!(found instanceof TokenRefused)) {
    return mayEnter(found, hub.port.hubName)
      ? found
      : new Rejection("forbidden", "the token does not open this hub")
  }
  const { code, message } = found
  if (code === "internal_error") return new Rejection(code, message, {}, CloseCode.Unavailable)
  return new Rejection(code, message, code === "unauthorized" ? { action, reason: message } : {})
}
