/** The port of a hub's core: what it asks its platform for, beside envelopes, closes and alarms, which it is given. */
import type { Address } from "@signal-hub/actor-core"
import type { Claims } from "../auth/Claims.ts"
import type { TokenRefused } from "../auth/TokenRefused.ts"
import type { ObjectPort } from "../object/ObjectPort.ts"
import type { Connection } from "../session/Connection.ts"

/**
 * Verifies a token and calls `done` once, later, within `connectTimeout`; then sends what that gave. A crash loses
 * it.
 */
export type CheckToken = (token: string, done: (found: Claims | TokenRefused) => void) => void

/** The open connections of an object with clients. */
export interface ConnectionsPort {
  /** The open connection of this id. By index, never a scan. */
  readonly connection: (id: string) => Connection | undefined
  /** All open connections. Only the sweep walks them. */
  readonly connections: () => Iterable<Connection>
  /** The check of tokens; `null` in open mode. */
  readonly authenticate: CheckToken | null
}

/** Storage, alarm, timers, connections and the check of tokens, for the core of a hub or gateway. */
export interface HubPort extends ObjectPort, ConnectionsPort {
  /** Runs the task once what came in together was taken, then sends what it gave. A crash loses it. */
  readonly soon: (task: () => void) => void
  /** The name of the hub that a token must be for. */
  readonly hubName: string
  /** The one identity that connections to this object speak for; `undefined` if each names its own. */
  readonly identity?: Address.Address
}
