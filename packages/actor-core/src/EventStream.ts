/**
 * Events of one actor system, by type: what the runtime does to actors, dead letters, and whatever an
 * application publishes. Counted; who subscribes hears of each, in the stack of who publishes.
 */
import type { Address } from "./Address.ts"
import type { DeadLetter } from "./DeadLetters.ts"
import type { TerminatedReason } from "./Signal.ts"
import type { Failure } from "./Supervision.ts"

/** What the runtime publishes. */
export type SystemEvent =
  | { readonly _tag: "DeadLetter"; readonly letter: DeadLetter }
  | { readonly _tag: "ActorFailed"; readonly address: Address; readonly failure: Failure }
  | { readonly _tag: "ActorRestarted"; readonly address: Address; readonly failure: Failure }
  | { readonly _tag: "ActorStopped"; readonly address: Address; readonly reason: TerminatedReason }
  | { readonly _tag: "ActorActivated"; readonly address: Address }
  | { readonly _tag: "ActorPassivated"; readonly address: Address }

/** Something that happened. */
export interface Event {
  readonly _tag: string
}

/** The event of this tag: the runtime's, where the tag is one of its own. */
type EventOf<E extends Event, T extends string> = T extends SystemEvent["_tag"]
  ? Extract<SystemEvent, { readonly _tag: T }>
  : Extract<E, { readonly _tag: T }>

export interface EventStream {
  /**
   * Calls back for each event of this type from now on, until the returned function is called. What it
   * throws is dropped. An application's own events are named by the type parameter.
   */
  readonly subscribe: <E extends Event = SystemEvent, const T extends E["_tag"] = E["_tag"]>(
    tag: T,
    listener: (event: EventOf<E, T>) => void,
  ) => () => void
  readonly publish: <E extends Event = SystemEvent>(event: E) => void
  /** How many there were, by type. */
  readonly counts: { readonly [tag: string]: number }
}

/** Events, from the side of the runtime. */
export class Events implements EventStream {
  readonly #listeners = new Map<string, Set<(event: never) => void>>()
  readonly counts: { [tag: string]: number } = {}

  readonly subscribe: EventStream["subscribe"] = (tag, listener) => {
    // A function given twice is two subscriptions, each with its own end.
    const own: typeof listener = (event) => listener(event)
    let listeners = this.#listeners.get(tag)
    if (listeners === undefined) this.#listeners.set(tag, (listeners = new Set()))
    listeners.add(own)
    return () => {
      listeners.delete(own)
      if (listeners.size === 0 && this.#listeners.get(tag) === listeners) this.#listeners.delete(tag)
    }
  }

  readonly publish: EventStream["publish"] = (event): void => {
    this.count(event._tag)
    for (const listener of this.#listeners.get(event._tag) ?? []) {
      try {
        listener(event as never)
      } catch {
        // Whoever looks on must not stop what is looked at.
      }
    }
  }

  /** Whether anybody listens: else an event is only counted, not made. */
  heard(tag: string): boolean {
    return this.#listeners.has(tag)
  }

  count(tag: string): void {
    this.counts[tag] = (this.counts[tag] ?? 0) + 1
  }
}
