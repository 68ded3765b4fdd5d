/** The ports of cores that call other objects. */
import type { Address } from "@signal-hub/actor-core"
import type { ObjectPort } from "../object/ObjectPort.ts"
import type { Remote } from "./Rpc.ts"

/** The port of a topic or of a shard of the directory. */
export interface ServicePort extends ObjectPort, Remote {}

/**
 * The most calls that such an object makes at once. The platform queues calls beyond 6 connections of one event, and
 * a call that waits there can't be told from a slow object.
 */
export const MAX_CONCURRENT_CALLS = 6

/** The port of a core that sends to actors by address, wherever they are. */
export interface AddressPort extends Remote {
  /** Returns true if the address may be an identity of a gateway, or one that such an identity holds. */
  readonly isIdentity: (address: Address.Address) => boolean
}
