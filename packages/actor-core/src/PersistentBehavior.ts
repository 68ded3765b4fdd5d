/**
 * Persistent behaviors: state in, next state out, and the state is stored. What is stored is loaded when the
 * actor starts, restarts, or is activated again; an answer leaves when the state that it speaks of is stored.
 *
 * An actor of such a behavior runs wherever there is a `Persistence`: spawned, virtual (`VirtualActors`), or
 * as a Durable Object. It is found in the store by its address, so it needs one that stays.
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type * as Behavior from "./Behavior.ts"
import { Deadline } from "./Deadlines.ts"
import { DelayedJournal, type Journal, Journals, SnapshotJournal } from "./Journal.ts"
import { Persistence } from "./Persistence.ts"
import { asEffect } from "./Pending.ts"
import { PersistentCellContext, Steps } from "./PersistentCell.ts"
import type { PersistentContext, PersistentMessageContext } from "./PersistentContext.ts"
import type * as Protocol from "./Protocol.ts"
import { Runtime } from "./Runtime.ts"
import * as Signal from "./Signal.ts"

/** A behavior whose state is stored. */
export interface PersistentBehavior<in out P extends Protocol.Any, out R = never> extends Behavior.Behavior<
  P,
  R | Persistence
> {
  readonly persistent: true
  /** What its handlers need besides. */
  readonly "~needs"?: R
}

/** A value, now or later. */
type Made<A, E, R> = A | Promise<A> | Effect.Effect<A, E, R>

/**
 * A function for each message and wanted signal: state in, next state out. The state is not changed in
 * place: a state that is the same as before is not stored.
 */
export type Handlers<P extends Protocol.Any, S, R = never> = {
  readonly [N in keyof P["messages"]]: (
    state: S,
    payload: Protocol.Payload<P, N>,
    context: PersistentMessageContext<P, N>,
  ) => Made<S, Protocol.Failure<P, N>, R>
} & Signal.StateSignals<PersistentContext<P>, S, R>

export interface Definition<P extends Protocol.Any, S extends Protocol.AnySchema, R, R2, R3> {
  /** The state, as it is stored: also what an earlier version of the program has stored. */
  readonly state: S
  /** The state of an actor of which nothing is stored. */
  readonly initial: (context: PersistentContext<P>) => Made<Protocol.TypeOf<S>, unknown, R>
  /**
   * Called after each start, with the state, before the first message: where the actor sets its receive
   * timeout, watches, and what else is not part of the state.
   */
  readonly started?: (
    state: Protocol.TypeOf<S>,
    context: PersistentContext<P>,
  ) => Made<Protocol.TypeOf<S>, unknown, R2>
  readonly handlers: Handlers<P, Protocol.TypeOf<S>, R3>
  /**
   * When the state is stored. `each`: with each message that changed it, before its answer leaves. A
   * duration: that long after the first change at the latest, and when the actor stops; answers don't wait,
   * and a crash takes back what they said. A durable actor stores with each message. Default: `each`.
   */
  readonly store?: "each" | Duration.Input
}

/** A behavior whose state is stored. */
export const make = <P extends Protocol.Any, S extends Protocol.AnySchema, R = never, R2 = never, R3 = never>(
  protocol: P,
  definition: Definition<P, S, R, R2, R3>,
): PersistentBehavior<P, Exclude<R | R2 | R3, Scope.Scope>> => ({
  protocol,
  persistent: true,
  start: {
    _tag: "State",
    context: (cell) => new PersistentCellContext(cell),
    initial: (context: PersistentCellContext) => start(definition, context),
    handlers: asSteps(definition.handlers),
  },
})

/** As whoever runs it sees it. */
interface AnyDefinition {
  readonly state: Protocol.AnySchema
  readonly initial: (context: never) => unknown
  readonly started?: (state: never, context: never) => unknown
  readonly store?: "each" | Duration.Input
}

const start = (
  { initial, started, state, store = "each" }: AnyDefinition,
  context: PersistentCellContext,
): Effect.Effect<Steps, unknown> => {
  context.reset()
  const journal = open(context, store)
  context.journal = journal
  // The context has what a `PersistentContext` has; the types of its messages are the compiler's to check.
  const own = context as never
  const steps = new Steps(context, journal, state, () => asEffect(initial(own)))
  return Effect.flatMap(steps.load, () =>
    started === undefined
      ? Effect.succeed(steps)
      : asEffect(steps.run((state) => started(state as never, own))),
  )
}

/** Told to the actor itself: it is time to store. */
const STORE: unique symbol = Symbol("store")

const open = (context: PersistentCellContext, store: "each" | Duration.Input): Journal => {
  const journals = Context.getOrUndefined(context.services as Context.Context<Journals>, Journals)
  if (journals !== undefined) return journals.open(context)
  const persistence = Context.getUnsafe(context.services as Context.Context<Persistence>, Persistence)
  const snapshots = new SnapshotJournal(persistence, context.address)
  if (store === "each") return snapshots
  const { deadlines } = Runtime.of(context.system)
  const soon = new StoreSoon(() => context.signal(STORE))
  const journal: DelayedJournal = new DelayedJournal(snapshots, () =>
    deadlines.set(soon, deadlines.now() + Duration.toMillis(store)),
  )
  const end = Scope.addFinalizerExit(context.scope, (exit) => {
    deadlines.clear(soon)
    // After a failure what is stored is what counts.
    return Exit.isSuccess(exit) ? Effect.orDie(journal.store) : Effect.void
  })
  Effect.runSync(end)
  return journal
}

class StoreSoon extends Deadline {
  readonly fire: () => void

  constructor(fire: () => void) {
    super()
    this.fire = fire
  }
}

type Function = (...of: ReadonlyArray<unknown>) => unknown

/** The same functions, each a step of its actor. */
const asSteps = (handlers: object): object => {
  const steps: { [key: string | symbol]: Function } = {}
  for (const key of Reflect.ownKeys(handlers)) {
    const handle = (handlers as { readonly [key: string | symbol]: Function })[key]!
    const last = key === Signal.preRestart || key === Signal.postStop
    steps[key] = last
      ? (own, ...of) => handle.call(handlers, (own as Steps).state, ...of)
      : (own, ...of) => {
          const event = of.length > 1 ? of[0] : undefined
          const at = typeof key === "symbol" ? ({ _tag: "Signal", signal: key, event } as const) : undefined
          return (own as Steps).run((state) => handle.call(handlers, state, ...of), at)
        }
  }
  steps[STORE] = (own, context) =>
    Effect.as(((context as PersistentCellContext).journal as DelayedJournal).store, own)
  return steps
}
