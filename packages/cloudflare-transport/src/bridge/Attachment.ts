/**
 * What a socket keeps over hibernation: what leads to its session's row, and its small counters. Before
 * it has a session also the claims that were verified, of bounded size; never a token. An attachment may
 * have 16,384 bytes.
 */
import type { ProtocolMajor } from "../protocol/Version.ts"
import type { Connection } from "../session/Connection.ts"
import type { ConnectionState } from "../session/ConnectionState.ts"
import type { FlowState } from "../session/Flow.ts"
import type { RateState } from "../session/RateBucket.ts"

export interface Attachment extends RateState, FlowState {
  readonly id: string
  readonly codec: "json" | "msgpack"
  readonly openedAt: number
  readonly state: ConnectionState
  readonly sessionId: string | null
  readonly major: ProtocolMajor | null
  readonly strikes: number
  readonly failures: number
  readonly heardAt: number
  readonly claims: string | null
  readonly received: number
  /** The version of what its object stores. */
  readonly schema: number
  /** As in `Connection`. Absent where an earlier version wrote it. */
  readonly isAnonymous?: boolean
  readonly positions?: Connection["positions"]
}

export const readAttachment = (socket: WebSocket): Attachment | undefined =>
  (socket.deserializeAttachment() as Attachment | null) ?? undefined
