/**
 * A session: whose it is, which connection carries it now, and how long it waits for another. It is
 * named by `sessionId`, which is neither an address nor a secret; it speaks for its identity.
 */
import type { Address } from "@signal-hub/actor-core"
import type { Claims } from "../auth/Claims.ts"
import { provisionalAddress } from "../protocol/HubMessage.ts"
import type { ProtocolMajor } from "../protocol/Version.ts"
import type { Connection } from "./Connection.ts"
import type { InSequence } from "./InSequence.ts"
import type { Outbox } from "./Outbox.ts"

export interface Session {
  readonly id: string
  /** Id of the connection that carries it, `null` while it waits for one. */
  connectionId: string | null
  /** That connection, once it was looked up. Not kept over hibernation. */
  connection: Connection | undefined
  identity: Address.Address | null
  /** What it may do, and until when; `null` in open mode. */
  claims: Claims | null
  /** Goes up with every claim of the identity. */
  epoch: number
  readonly major: ProtocolMajor
  /** `clientMetadata` of its `hub:connect`. */
  metadata: { readonly [key: string]: unknown }
  /** Epoch milliseconds. */
  readonly connectedAt: number
  expirySeconds: number
  /** When it was last heard, as far as rows know: exact once it lost its connection. */
  heardAt: number
  /** When it ends unless a connection comes, epoch milliseconds; `null` while it has one. */
  graceUntil: number | null
  /** What its client must show to have it again; `null` at 0.x. */
  resumeToken: string | null
  /** The one before, until something is heard of who has the new one. */
  previousToken: string | null
  /** Its client's reliable envelopes. */
  readonly incoming: InSequence
  /** The last reliable envelope that its client has. */
  outAcked: number
  /**
   * The last that was transmitted on this connection, while some wait to be; `null`: all were, and what comes
   * leaves at once.
   */
  replayed: number | null
  /** Reliable envelopes for its client, once there was one. */
  outbox: Outbox | undefined
  /** Envelopes received in this memory's life, for its rate. */
  received: number
  /** Since when `received` counts, epoch milliseconds. */
  readonly receivedSince: number
  /** Keys of its open asks that are in memory: those it asked, and those it was asked. */
  readonly asked: Set<string>
  readonly answering: Set<string>
  /** How many of these it has, once counted. */
  addresses: number | undefined
  subscriptions: number | undefined
  watches: number | undefined
  /** Where its last page of `hub:list_actors` ended: at this offset, with this address. In memory only. */
  listed?: { readonly offset: number; readonly after: Address.Address } | undefined
}

/** The address it is known by: its identity, or a provisional one. */
export const addressOf = (session: Session): Address.Address =>
  session.identity ?? provisionalAddress(session.id)

/** When its token expires, epoch milliseconds. */
export const tokenUntil = ({ claims }: Session): number => claims?.expiresAt ?? Number.POSITIVE_INFINITY
