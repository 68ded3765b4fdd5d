/** Typed events of the life of sessions, addresses and subscriptions. Peers subscribe to them. */
import type { Address } from "@signal-hub/actor-core"
import type { TerminatedReason } from "../protocol/HubMessage.ts"
import type { Session } from "../session/Session.ts"
import type { Registration } from "./features/Registry.ts"

/** A change that others may have to hear of. */
export type LifecycleEvent =
  /** A session has the identity, which no session had. Part of a transaction. */
  | { readonly type: "claimed"; readonly identity: Address.Address }
  /** A registration is there, or has changed. Part of a transaction. */
  | {
      readonly type: "registered"
      readonly registration: Registration
      readonly session: Session
      /** Epoch milliseconds. */
      readonly now: number
    }
  /** A registration is over. Part of a transaction. */
  | { readonly type: "unregistered"; readonly address: Address.Address; readonly reason: TerminatedReason }
  /** An address has ended that a remote actor watched. Part of a transaction. */
  | {
      readonly type: "terminated"
      readonly watcher: Address.Address
      readonly address: Address.Address
      readonly reason: TerminatedReason
    }
  /** A local reader of this address has caught up, for which a sender at a peer was paused. Part of a transaction. */
  | { readonly type: "resumed"; readonly home: Address.Address; readonly address: Address.Address }
  /** A session has ended, and with it its subscriptions and watches. Part of a transaction. */
  | {
      readonly type: "released"
      readonly address: Address.Address
      readonly topics: ReadonlyArray<string>
      readonly targets: ReadonlyArray<Address.Address>
    }
  /** A subscription is in use, or has changed. */
  | { readonly type: "joined"; readonly topic: string; readonly session: Session }
  /** A subscription has ended. */
  | { readonly type: "left"; readonly topic: string; readonly owner: Address.Address }
  /** The connection of a subscriber is lost, or there is one again. */
  | {
      readonly type: "connection_changed"
      readonly topic: string
      readonly owner: Address.Address
      readonly isConnected: boolean
    }

/** Passes each event to all that subscribed, at once and in the order in which they did. */
export class LifecycleEvents {
  readonly #listeners: Array<(event: LifecycleEvent) => void> = []

  subscribe(listener: (event: LifecycleEvent) => void): void {
    this.#listeners.push(listener)
  }

  emit(event: LifecycleEvent): void {
    for (const listener of this.#listeners) listener(event)
  }
}
