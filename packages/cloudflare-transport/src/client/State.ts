/** What a client tells about its connection: the state, and how well the connection is. */
import type { Address, Envelope } from "@signal-hub/actor-core/vocabulary"
import type { Connected, ResumableSession } from "../protocol/HubMessage.ts"
import type { LoginRequired } from "./ClientError.ts"
import type { UnclaimedReason } from "./Receivers.ts"
import type { SessionLostReason, Unconfirmed } from "./Resume.ts"

/** What the hub said when it accepted the connection. */
export interface HubSession extends Omit<Connected, "session"> {
  /** How the session lasts; `null`: the hub resumes none, and nothing is sent reliably. */
  readonly session: Omit<ResumableSession, "resumeToken"> | null

  /** The address that this client speaks for; `null` until one is claimed. */
  readonly actorIdentity: Address.Address | null
  /** When the token that it connected with expires, epoch milliseconds by the hub's clock, where there is one. */
  readonly tokenExpiresAt: number | null
}

/**
 * What becomes of the session: `connected` anew; `resumed` on another connection, with all that was its
 * own; `notResumed`, and so anew, though there was one; `unconfirmed` messages that were its last;
 * `notStored`: the persistence failed, and from here on this process alone knows of the session; `unclaimed`: an
 * envelope that came for one of this client's addresses was given up, as neither an actor nor a listener took it:
 * within `unclaimedTimeout` (`timeout`), before its `ttl` was over (`expired`), or as too many waited (`full`).
 */
export type SessionEvent =
  | { readonly type: "connected" | "resumed"; readonly session: HubSession }
  | { readonly type: "notResumed"; readonly reason: SessionLostReason; readonly session: HubSession }
  | { readonly type: "unconfirmed"; readonly unconfirmed: Unconfirmed }
  | { readonly type: "notStored"; readonly error: unknown }
  | { readonly type: "unclaimed"; readonly envelope: Envelope.Envelope; readonly reason: UnclaimedReason }

/**
 * Where the connection is:
 * - `connecting`: the first attempt is under way;
 * - `connected`: the hub has answered `hub:connected`;
 * - `reconnecting`: lost, or not reached; the next attempt begins in `retryInMs` (0: it is under way);
 * - `superseded`: another connection holds the identity (4409). Final until `reclaim()`;
 * - `disconnected`: final: closed by its user, or by a refusal that no retry mends.
 *
 * `code` is the close code and `cause` says why in words: the hub's reason (`token_expired: …`),
 * where it gave one.
 */
export type ConnectionState =
  | { readonly status: "connecting"; readonly attempts: number }
  | { readonly status: "connected"; readonly attempts: 0; readonly session: HubSession }
  | {
      readonly status: "reconnecting"
      readonly attempts: number
      readonly retryInMs: number
      readonly code: number
      readonly cause: string
    }
  | {
      readonly status: "superseded"
      readonly attempts: number
      readonly code: number
      readonly cause: string
    }
  | {
      readonly status: "disconnected"
      readonly attempts: number
      readonly code: number
      readonly cause: string
      /** With what the token provider ended all attempts, where it did. */
      readonly error?: LoginRequired
      /** Messages that waited for a connection and will never be sent; asks among them have failed. */
      readonly undelivered: ReadonlyArray<Envelope.Envelope>
    }

/** The connection as seen from here, at the moment it was read. */
export interface Health {
  /**
   * `healthy`: connected and heard from; `degraded`: connected, but a ping waits for its answer longer
   * than it should, or nothing was heard for a heartbeat and 10 s; `unhealthy`: not connected.
   */
  readonly status: "healthy" | "degraded" | "unhealthy"
  readonly state: ConnectionState["status"]
  /** The last ping's time there and back, in milliseconds; `null` before the first. */
  readonly roundTripMs: number | null
  /** When the last frame came, epoch milliseconds; `null` before the first. */
  readonly lastHeardAt: number | null
  /** Attempts in a row that failed, or whose connection did not hold 10 s. */
  readonly attempts: number
  /** The close code of the last attempt or connection, as the state has it; `null` while none has ended since. */
  readonly code: number | null
  /** The cause of its end, in words; `null` where `code` is. */
  readonly cause: string | null
}
