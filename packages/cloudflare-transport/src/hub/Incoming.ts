/** The context of one message on its way through the hub. */
import type { Address, Envelope } from "@signal-hub/actor-core"
import type { Connection } from "../session/Connection.ts"
import type { Session } from "../session/Session.ts"
import type { HubState } from "./HubState.ts"
import type { About } from "./Outboxes.ts"

/**
 * A message that a client sent, with its sender. The core makes one object for each message, and the router and all
 * handlers take that.
 */
export interface Incoming {
  readonly hub: HubState
  readonly connection: Connection
  readonly session: Session
  /** The sender's address, as enforced. */
  readonly from: Address.Address
  readonly envelope: Envelope.Envelope
  /** Epoch milliseconds. */
  readonly now: number
}

/** A message and its sender, as far as a rejection needs them. Each `Incoming` is one. */
export interface Rejected {
  readonly session: Session
  /** The address that the sender is told by. */
  readonly from: Address.Address
  /** The message; `null`: the rejection is about none. */
  readonly envelope: About | null
  /** Epoch milliseconds. */
  readonly now: number
}
