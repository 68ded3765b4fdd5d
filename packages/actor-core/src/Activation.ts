/**
 * Virtual actors as the runtime sees them: kinds of actors that are there whenever they are addressed, and
 * the activations that run them. What they are and do is in `VirtualActors`, which is loaded only by who
 * uses it.
 */
import type { ActorCell } from "./ActorCell.ts"
import type { Address } from "./Address.ts"
import type { MessageQueue } from "./Mailbox.ts"
import type { TerminatedReason } from "./Signal.ts"

/** All actors whose addresses begin with one segment. */
export interface VirtualKind {
  /** Whether the actor at this address is this system's, and not another's. */
  readonly serves: (address: Address) => boolean
  /** Runs the actor at this address, which does not run yet; `null`: no more. */
  readonly activate: (address: Address) => ActorCell | null
  /** Calls back when the actor has ended for good, which the end of an activation is not. */
  readonly watch: (address: Address, ended: (reason: TerminatedReason) => void) => () => void
  /** No actor of the kind runs any more: tells those who watch one, and at once whoever does so later. */
  readonly end: () => void
}

/** What runs a virtual actor, for a while. */
export interface Activation {
  /** Whether the actor outlives this activation when that is stopped. */
  readonly lasting: boolean
  /** The actor has been at work. */
  readonly touched: () => void
  /**
   * The cell has stopped. `reason`: the actor has ended; `null`: only its activation has. `waiting`: what
   * came too late for it.
   */
  readonly over: (reason: TerminatedReason | null, waiting: MessageQueue) => void
}
