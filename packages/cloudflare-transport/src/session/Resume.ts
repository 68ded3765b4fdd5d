/**
 * Whether a client that comes back gets its session again, decided from stored state alone. Pure; the hub's
 * `ConnectRequest` carries it out.
 */
import type { Address } from "@signal-hub/actor-core"
import type { NotResumedReason, Resume } from "../protocol/HubMessage.ts"
import { sameSecret } from "../auth/SecretText.ts"
import type { Session } from "./Session.ts"

export type ResumeVerdict =
  | { readonly outcome: "resumed"; readonly session: Session }
  | { readonly outcome: "not_resumed"; readonly reason: NotResumedReason }
  /** Another connection holds the identity: the client slept through that. */
  | { readonly outcome: "superseded" }
  /** The token is not that of the session. */
  | { readonly outcome: "forbidden" }

/** What is known where a resume is judged. */
export interface ResumeFacts {
  /** The session of that id. */
  readonly session: Session | undefined
  /** The last number that it was given. */
  readonly last: number
  /** The identity that who connects may speak for; `undefined`: it named none. */
  readonly identity: Address.Address | undefined
  /** The session that holds it. */
  readonly holder: Session | undefined
  /** The id of the session that held it last, where nobody holds it. */
  readonly formerly: string | null
}

export const judgeResume = (
  { sessionId, resumeToken, lastSeq }: Resume,
  { session, last, identity, holder, formerly }: ResumeFacts,
): ResumeVerdict => {
  if (session === undefined) {
    if (holder !== undefined) return { outcome: "superseded" }
    return { outcome: "not_resumed", reason: formerly === sessionId ? "expired" : "unknown_session" }
  }
  const isTheirs =
    (identity === undefined || identity === session.identity) &&
    [session.resumeToken, session.previousToken].some(
      (token) => token !== null && sameSecret(token, resumeToken),
    )
  if (!isTheirs) return { outcome: "forbidden" }
  if (lastSeq > last) return { outcome: "not_resumed", reason: "server_reset" }
  if (lastSeq < session.outAcked) return { outcome: "not_resumed", reason: "buffer_overflow" }
  return { outcome: "resumed", session }
}
