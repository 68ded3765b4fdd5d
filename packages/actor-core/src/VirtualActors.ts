/**
 * Virtual actors: actors that are there whenever they are addressed. All whose address begins with one
 * segment, `@(<type>/<name>)`, are of one kind and behave alike. A message to one that does not run
 * activates it; one that has nothing to do is passivated, and its next message activates it again.
 *
 * Within one system an actor has one activation at most: a message that comes while it begins or ends
 * waits, in order. That no other system activates the same actor is for whoever places actors; a
 * `PersistentBehavior` finds out when it stores (`SnapshotConflict`).
 *
 * Passivation loses what the behavior doesn't store. It loses nothing that is under way: an actor with a
 * timer set, an answer owed, work piped to it, messages put aside or children is not idle. A receive
 * timeout does not keep an actor; it ends with the activation, as watches of its own do.
 */
import type * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import type { Activation, VirtualKind } from "./Activation.ts"
import type { ActorCell } from "./ActorCell.ts"
import type { SpawnOptions } from "./ActorContext.ts"
import type { ActorRef } from "./ActorRef.ts"
import type { ActorSystem } from "./ActorSystem.ts"
import * as Address from "./Address.ts"
import type { AnyBehavior, Behavior } from "./Behavior.ts"
import { Deadline } from "./Deadlines.ts"
import { stopAndWait } from "./Ending.ts"
import type { MessageQueue } from "./Mailbox.ts"
import { TERMINATED } from "./Message.ts"
import type * as Protocol from "./Protocol.ts"
import { Reference } from "./Reference.ts"
import { Runtime } from "./Runtime.ts"
import type { TerminatedReason } from "./Signal.ts"
import { decide, DEFAULT, stop, type Supervision } from "./Supervision.ts"
import type { RegisterOptions, TransportError } from "./Transport.ts"

/** The system has virtual actors of this type already. */
export class TypeInUse extends Data.TaggedError("TypeInUse")<{
  readonly type: string
  readonly message: string
}> {}

export interface Options extends Pick<SpawnOptions, "supervision" | "mailbox" | "stash" | "acceptForwards"> {
  /** The first segment of their addresses. Default: the protocol's name. */
  readonly type?: string
  /**
   * Which of them are this system's: the others are looked for through its transports, where several
   * systems share a type. Default: all.
   */
  readonly serves?: (address: Address.Address) => boolean
  /** How long an actor is left without a message. Default: 5 minutes; infinite: for ever. */
  readonly passivateAfter?: Duration.Input
  /**
   * How many are kept active: one more passivates the one that was not used for longest. Those that have
   * something to do are let be, so there may be more for a while. Default: no limit.
   */
  readonly maxActive?: number
}

/** The virtual actors of one type. */
export interface VirtualActors<in out P extends Protocol.Any> {
  readonly type: string
  /** The actor of this name; slashes make further segments. Throws `InvalidAddress`. */
  readonly ref: (name: string) => ActorRef<P>
  /**
   * Makes the actor known through every transport until the scope closes, whether it is active or not:
   * where only registered addresses are reached, as through a hub, its first message needs that.
   */
  readonly register: (
    name: string,
    options?: RegisterOptions,
  ) => Effect.Effect<void, TransportError, Scope.Scope>
  /** Has the actor begin, where it is not active, as a message does. */
  readonly activate: (name: string) => void
  /** How many are active. */
  readonly active: number
}

/** How long an actor is left without a message unless told otherwise. */
export const DEFAULT_PASSIVATE_AFTER: Duration.Duration = Duration.minutes(5)

/**
 * Virtual actors in this system, until the scope closes: then all stop. Handlers run in the services of
 * this effect. Throws `InvalidAddress` for a type that is no segment of an address.
 */
export const make = Effect.fnUntraced(function* <P extends Protocol.Any, R>(
  system: ActorSystem,
  behavior: Behavior<P, R>,
  options: Options = {},
): Effect.fn.Return<VirtualActors<P>, TypeInUse, Exclude<R, Scope.Scope> | Scope.Scope> {
  const runtime = Runtime.of(system)
  const services = yield* Effect.context<Exclude<R, Scope.Scope>>()
  const type = options.type ?? behavior.protocol.name
  Address.make(type, "any")
  const kind = yield* Effect.acquireRelease(
    Effect.suspend(() => {
      if (runtime.virtuals.has(type)) {
        const message = `the system has virtual actors of type ${type} already: choose another`
        return Effect.fail(new TypeInUse({ type, message }))
      }
      const kind = new Kind(runtime, behavior, options, services)
      runtime.virtuals.set(type, kind)
      runtime.border?.served()
      return Effect.succeed(kind)
    }),
    (kind) =>
      Effect.andThen(
        kind.close,
        Effect.sync(() => void runtime.virtuals.delete(type)),
      ),
  )
  const addressOf = (name: string): Address.Address => Address.make(type, ...name.split("/"))
  return {
    type,
    ref: (name) => new Reference(runtime, behavior.protocol, null, addressOf(name), null),
    register: (name, registration) =>
      Effect.suspend(() => {
        const address = addressOf(name)
        const transports = runtime.border?.transports ?? []
        return Effect.forEach(transports, (transport) => transport.register(address, registration), {
          discard: true,
        })
      }),
    activate: (name) => void runtime.reach(addressOf(name)),
    get active() {
      return kind.active.size
    },
  }
})

type Ended = (reason: TerminatedReason) => void

class Kind implements VirtualKind {
  readonly runtime: Runtime
  /** Those that run, the least recently used first. */
  readonly active = new Set<Active>()
  readonly passivateAfter: number
  readonly #maxActive: number
  readonly serves: (address: Address.Address) => boolean
  readonly #watchers = new Map<Address.Address, Set<Ended>>()
  readonly #behavior: AnyBehavior
  readonly #options: Options
  readonly #services: Context.Context<never>
  closed = false
  #isOver = false

  constructor(runtime: Runtime, behavior: AnyBehavior, options: Options, services: Context.Context<never>) {
    this.runtime = runtime
    this.passivateAfter = Duration.toMillis(options.passivateAfter ?? DEFAULT_PASSIVATE_AFTER)
    this.#maxActive = options.maxActive ?? Infinity
    this.serves = options.serves ?? (() => true)
    this.#behavior = behavior
    this.#options = options
    this.#services = services
  }

  activate(address: Address.Address): ActorCell | null {
    const { runtime } = this
    if (this.closed || runtime.closed) return null
    this.trim(this.#maxActive - 1)
    const { acceptForwards, mailbox, stash, supervision = DEFAULT } = this.#options
    const cell = runtime.spawn(
      null,
      this.#behavior,
      {
        address,
        supervision: activationOf(address, supervision),
        ...(mailbox !== undefined && { mailbox }),
        ...(stash !== undefined && { stash }),
        ...(acceptForwards !== undefined && { acceptForwards }),
      },
      this.#services,
    )
    const activation = new Active(this, cell)
    cell.activation = activation
    this.active.add(activation)
    runtime.activated(cell)
    return cell
  }

  watch(address: Address.Address, ended: Ended): () => void {
    if (this.#isOver) {
      ended("stopped")
      return () => {}
    }
    const watchers = this.#watchers.get(address) ?? new Set()
    this.#watchers.set(address, watchers)
    watchers.add(ended)
    return () => {
      watchers.delete(ended)
      if (watchers.size === 0 && this.#watchers.get(address) === watchers) this.#watchers.delete(address)
    }
  }

  terminated(address: Address.Address, reason: TerminatedReason): void {
    const watchers = this.#watchers.get(address)
    this.#watchers.delete(address)
    for (const ended of watchers ?? []) ended(reason)
  }

  /** To the end of the line of those that may be passivated. */
  used(activation: Active): void {
    if (this.#maxActive === Infinity || !this.active.delete(activation)) return
    this.active.add(activation)
    if (this.active.size > this.#maxActive) this.trim(this.#maxActive)
  }

  /** Passivates until there are no more than that, as far as they have nothing to do. */
  trim(limit: number): void {
    let tries = TRIES
    for (const activation of this.active) {
      if (this.active.size <= limit || tries-- === 0) return
      // One that is at work is not the least recently used any more.
      if (!activation.passivate()) {
        this.active.delete(activation)
        this.active.add(activation)
      }
    }
  }

  /** Stops all for good. */
  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    this.closed = true
    const cells = [...this.active].map(({ cell }) => cell)
    return Effect.forEach(cells, stopAndWait, { concurrency: "unbounded", discard: true })
  }).pipe(Effect.andThen(Effect.sync(() => this.end())))

  end(): void {
    this.#isOver = true
    for (const address of this.#watchers.keys()) this.terminated(address, "stopped")
  }
}

/** How many that are at work are looked at, at once, for one that is not. */
const TRIES = 16

/** One that could not begin stops: the next message lets it try again. All else is as the options say. */
const activationOf =
  (address: Address.Address, supervision: Supervision): Supervision =>
  (failure) =>
    failure.message === null && failure.actor === address ? stop : decide(supervision, failure)

/** One activation; as a deadline, the end of its idleness. */
class Active extends Deadline implements Activation {
  readonly cell: ActorCell
  readonly #kind: Kind
  #usedAt: number
  #left = false

  constructor(kind: Kind, cell: ActorCell) {
    super()
    this.#kind = kind
    this.cell = cell
    this.#usedAt = kind.runtime.now()
    this.#wait(this.#usedAt)
  }

  get lasting(): boolean {
    return !this.#kind.closed && !this.#kind.runtime.closed
  }

  touched(): void {
    this.#usedAt = this.#kind.runtime.now()
    this.#kind.used(this)
  }

  /** Whether it had nothing to do, and ends. */
  passivate(): boolean {
    if (!this.cell.idle) return false
    this.#leave()
    this.cell.stop("stopped", Exit.void)
    return true
  }

  override fire(): void {
    const now = this.#kind.runtime.now()
    if (now - this.#usedAt >= this.#kind.passivateAfter && this.passivate()) return
    // It was used meanwhile, or is at work.
    this.#wait(this.cell.idle ? this.#usedAt : now)
  }

  over(reason: TerminatedReason | null, waiting: MessageQueue): void {
    this.#leave()
    const { cell } = this
    const { address } = cell
    if (reason !== null) this.#kind.terminated(address, reason)
    if (waiting.size === 0) return
    const next = this.#kind.runtime.reach(address)
    if (next !== null) return next.inherit(waiting, cell.asks)
    for (let message = waiting.shift(); message !== null; message = waiting.shift()) {
      cell.drop("terminated", message, TERMINATED)
    }
  }

  #leave(): void {
    if (this.#left) return
    this.#left = true
    this.#kind.active.delete(this)
    this.#kind.runtime.deadlines.clear(this)
  }

  #wait(since: number): void {
    const { passivateAfter, runtime } = this.#kind
    if (passivateAfter !== Infinity) runtime.deadlines.set(this, since + passivateAfter)
  }
}
