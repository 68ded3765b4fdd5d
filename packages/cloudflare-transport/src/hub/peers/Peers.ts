/**
 * The rest of a system of which an object is one part: where envelopes go that are for nobody here, and
 * who must hear of what ends here.
 */
import type { Address, Envelope } from "@signal-hub/actor-core"
import type { MessageToHub } from "../../protocol/requests.ts"
import type { Ask } from "../features/Asks.ts"
import type { Handler } from "../Requests.ts"

/** Whether this stands for an object elsewhere, whose address it is, and not for a session here. */
export const isRemote = (sessionOrAddress: string): sessionOrAddress is Address.Address =>
  sessionOrAddress.startsWith("@(")

/** Why a message may not leave. */
export const notFound = (from: Address.Address): string =>
  `who is elsewhere can't find ${from}: its type has no route to this hub`

/** The port of a hub to the other objects of its deployment. A hub without one is alone. */
export interface Peers {
  /** The only identity that sessions here have; `undefined`: each has its own. */
  readonly identity: Address.Address | undefined
  /** Whether an address that nobody here has may be elsewhere. */
  readonly leads: (address: Address.Address) => boolean
  /** Whether a session here may have the address. */
  readonly mayHold: (address: Address.Address) => boolean
  /** Whether those elsewhere find an address that a session here has: else nothing leaves in its name. */
  readonly isFound: (address: Address.Address) => boolean
  /** Requests that are answered otherwise than in a hub. */
  readonly handlers: { readonly [type in MessageToHub]?: Handler }
  /** Sends an envelope to its address; `at`: to the object there, which is known to serve it. */
  readonly send: (envelope: Envelope.Envelope, now: number, at?: Address.Address) => void
  /** Sends an ask of a session here, which is opened next. */
  readonly ask: (envelope: Envelope.Envelope, timeout: number, now: number) => void
  /** Hands on an ask that a session here held. */
  readonly forward: (ask: Ask, envelope: Envelope.Envelope, now: number) => void

  /** The memory before this one may have been lost with what it had under way. */
  readonly recover: () => void
  /** An event is over: what is to be stored before anything of it leaves, is stored now. */
  readonly settle: () => void
  /** All that is stored is about to be deleted. */
  readonly forget: () => void
  /** The alarm came. */
  readonly alarm: (now: number) => void
  /** When it must come for what is to be done elsewhere, epoch milliseconds. */
  readonly dueAt: () => number | undefined
}
