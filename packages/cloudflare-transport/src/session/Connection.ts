/**
 * One connection of a session, as the core sees it: an id, what its socket's attachment keeps over
 * hibernation, and what is waiting to leave. A session outlives its connections.
 */
import type { Codec, Envelope } from "@signal-hub/actor-core"
import type { ProtocolMajor } from "../protocol/Version.ts"
import type { ConnectionState } from "./ConnectionState.ts"
import type { Flow } from "./Flow.ts"
import type { Encoded } from "./OutgoingFrames.ts"
import type { RateBucket } from "./RateBucket.ts"
import type { Session } from "./Session.ts"

/**
 * What waits for an earlier envelope: an envelope, or that the one of this number is refused. `received`: how many
 * bytes had come on the connection by then.
 */
export type Parked = { readonly received: number } & (
  | { readonly envelope: Envelope.Envelope; readonly receivedAt: number }
  | { readonly refusal: Envelope.Envelope; readonly seq: number }
)

/** The place of an answer among those of its connection: filled once it may be sent. */
export interface Place {
  send: (() => void) | undefined
}

export interface Connection {
  readonly id: string
  readonly codec: Codec
  /** Epoch milliseconds. */
  readonly openedAt: number
  state: ConnectionState
  /** The session that it connected as: the id, which leads to its row. */
  sessionId: string | null
  /** The session itself, once it was looked up. Not kept over hibernation. */
  session: Session | undefined
  /** The protocol's major that was agreed in `hub:connect`. */
  major: ProtocolMajor | null
  /** Bad frames or envelopes in a row. */
  strikes: number
  /** Failed `hub:connect`s. */
  failures: number
  /** What it may send. One bucket for all `isAnonymous`. */
  readonly rate: RateBucket
  /** Whether its session has no identity in open mode, where a new one costs nothing. */
  isAnonymous: boolean
  /** Addresses that cursors of it stand for, the last of so many in all. */
  positions: { readonly count: number; readonly addresses: ReadonlyArray<string> }
  /** How far its reader is behind. */
  readonly flow: Flow
  /** When a frame was last received, epoch milliseconds. The runtime knows of pings. */
  heardAt: number
  /** The last ping that was found to be ahead of the clock, which was set back then. Not kept over hibernation. */
  aheadPingedAt?: number
  /** The claims that came with the upgrade, as text, until a session has them or the connection ends. */
  claims: string | null
  /** What leaves with the next flush, in order. */
  readonly outgoing: Array<Envelope.Envelope>
  /** What leaves with the next flush as a frame, where it was encoded already. Void once more is put in line. */
  frame: string | Uint8Array | undefined
  /** Bytes of the data frames that came on it, as far as they were counted. */
  received: number
  /** What came in while an earlier envelope of this connection is still worked on; `null`: nothing is. */
  parked: Array<Parked> | null
  /** Answers that its client waits for, and what follows them; `null`: it waits for none. */
  replies: Array<Place> | null
  /** When the runtime last answered a ping for it, epoch milliseconds; 0 where never. */
  readonly pingedAt: () => number
  /** Puts an envelope in line for the next flush, with its frame where it was encoded already. */
  readonly send: (envelope: Envelope.Envelope, encoded?: Encoded) => void
  /** Writes what is to outlive hibernation to the socket's attachment. */
  readonly save: () => void
  /**
   * Flushes, then closes the socket. Throws a `TransportError`, with nothing changed, where no close can have this
   * code (1004, 1005, 1006, 1015, or outside 1000–4999) or a reason of more than 123 bytes.
   */
  readonly close: (code: number, reason: string) => void
}
