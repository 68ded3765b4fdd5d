/**
 * The close codes of the protocol, each with its verdict: what a client does after it. One table,
 * shared by client and server.
 */
import { Envelope } from "@signal-hub/actor-core/vocabulary"

/**
 * What a client does after a close:
 * - `stay-away`: nothing by itself;
 * - `reconnect`: by its back-off;
 * - `refresh-token`: asks its token provider for a fresh token and reconnects, once;
 * - `superseded`: stays away until its user calls `reclaim()`;
 * - `resync`: reconnects and resumes from what it has;
 * - `retry-after`: reconnects after the `retryAfterMs` that it was told.
 */
export type Verdict = "stay-away" | "reconnect" | "refresh-token" | "superseded" | "resync" | "retry-after"

/** The codes that a WebSocket of the protocol is closed with; those from 4400 on are the protocol's own. */
export const CloseCode = {
  Normal: 1000,
  GoingAway: 1001,
  NoStatus: 1005,
  Abnormal: 1006,
  TooLarge: 1009,
  InternalError: 1011,
  ServiceRestart: 1012,
  ProtocolViolation: 4400,
  Unauthorized: 4401,
  Forbidden: 4403,
  Timeout: 4408,
  Superseded: 4409,
  SequenceGap: 4412,
  SlowConsumer: 4413,
  VersionMismatch: 4426,
  RateLimited: 4429,
  Unavailable: 4503,
} as const
/** One of the close codes. */
export type CloseCode = (typeof CloseCode)[keyof typeof CloseCode]

/** A code's meaning, and its verdict. */
export interface CloseMeaning {
  readonly meaning: string
  readonly verdict: Verdict
  /** The verdict after a goodbye, where it differs: the client or the hub has said `hub:disconnect` before. */
  readonly afterGoodbye?: Verdict
}

/** Meaning and verdict of each code. A proxy may close with 1000 too, of an idle connection. */
export const CLOSE_CODES: { readonly [code in CloseCode]: CloseMeaning } = {
  1000: { meaning: "normal", verdict: "reconnect", afterGoodbye: "stay-away" },
  1001: { meaning: "going away", verdict: "reconnect" },
  1005: { meaning: "closed without a code", verdict: "reconnect" },
  1006: { meaning: "connection lost", verdict: "reconnect" },
  1009: { meaning: "too large for something on the way", verdict: "reconnect" },
  1011: { meaning: "internal error", verdict: "reconnect" },
  1012: { meaning: "service restart", verdict: "reconnect" },
  4400: { meaning: "protocol violation", verdict: "stay-away" },
  4401: { meaning: "no valid token, or it expired", verdict: "refresh-token" },
  4403: { meaning: "forbidden", verdict: "stay-away" },
  4408: { meaning: "no hub:connect in time, or heartbeats missing", verdict: "reconnect" },
  4409: { meaning: "superseded: another connection holds this identity now", verdict: "superseded" },
  4412: { meaning: "sequence gap", verdict: "resync" },
  4413: { meaning: "slow consumer", verdict: "reconnect" },
  4426: { meaning: "version mismatch", verdict: "stay-away" },
  4429: { meaning: "over a limit again and again", verdict: "retry-after" },
  4503: { meaning: "overloaded or draining", verdict: "reconnect" },
}

/**
 * The verdict on a close code; `isGoodbye`: the client or the hub had said `hub:disconnect`. A code that is not
 * in the table is a lost connection, but another 44xx is a refusal by a newer server.
 */
export const verdictOf = (code: number, isGoodbye = false): Verdict => {
  const known = (CLOSE_CODES as { readonly [code: number]: CloseMeaning })[code]
  if (known === undefined) return code >= 4400 && code < 4500 ? "stay-away" : "reconnect"
  return (isGoodbye ? known.afterGoodbye : undefined) ?? known.verdict
}

/** Codes that mean something to whoever sees a close, and that no close may carry. */
const RESERVED_CODES: ReadonlySet<number> = new Set([1004, 1005, 1006, 1015])

/** Longest reason of a close, in bytes of UTF-8. */
export const MAX_CLOSE_REASON_BYTES = 123

/** Returns why a WebSocket can't be closed with these; `undefined` where it can. */
export const closeViolation = (code: number, reason: string): string | undefined => {
  if (!Number.isInteger(code) || code < 1000 || code > 4999 || RESERVED_CODES.has(code)) {
    return `"code" must be 1000, a code of the close table, or one from 3000 to 4999: ${code} can't be sent`
  }
  const bytes = Envelope.utf8Length(reason)
  return bytes <= MAX_CLOSE_REASON_BYTES
    ? undefined
    : `"reason" must be at most ${MAX_CLOSE_REASON_BYTES} bytes: it has ${bytes}; send the rest in a message before`
}

/** The code to answer a peer's close with: codes that may not be sent become 1000. */
export const closeCodeToEcho = (code: number): number =>
  code === 1000 || (code >= 3000 && code <= 4999) ? code : CloseCode.Normal
