/** What there is to say about a durable actor, for who makes one. */
import type { Forwarding, Mailbox, PersistentBehavior, Protocol, Supervision } from "@signal-hub/actor-core"
import type { Reach } from "./Reach.ts"

/** What a durable actor is. */
export interface DurableActorOptions {
  /** The first segment of its address; the rest is the name of its Durable Object. */
  readonly type: string
  readonly behavior: AnyPersistentBehavior
  /**
   * The object that serves an address: another durable actor's, or the gateway of an identity. Nothing else
   * can be reached. Default: nobody.
   */
  readonly reach?: Reach
  readonly supervision?: Supervision.Supervision
  readonly mailbox?: Mailbox.Mailbox
  readonly stash?: number
  /**
   * Whether it takes asks that clients forward to it: all, or those by some addresses. Their `sender` is who
   * asked, but their payload is the word of `context.forwardedBy`. Default: none; who asked hears `forbidden`.
   * What durable actors and functions of the routing table forward is always taken.
   */
  readonly acceptForwards?: Forwarding.AcceptForwards
  /** Milliseconds that a call waits for what it brought to be done. Default: 50. */
  readonly hold?: number
}

/** A persistent behavior that needs nothing, whatever its protocol. */
type AnyPersistentBehavior = Pick<
  PersistentBehavior.PersistentBehavior<Protocol.Any>,
  "protocol" | "persistent" | "start" | "~needs"
>
