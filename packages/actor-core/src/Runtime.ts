/** What the parts of one actor system share: its actors, its open asks, its clock, the ways to other processes. */
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import type { VirtualKind } from "./Activation.ts"
import { ActorCell } from "./ActorCell.ts"
import type { SpawnOptions } from "./ActorContext.ts"
import { AddressInUse } from "./ActorError.ts"
import type { ActorMetrics } from "./ActorMetrics.ts"
import type { ActorSystem } from "./ActorSystem.ts"
import type { ActorTracing } from "./ActorTracing.ts"
import * as Address from "./Address.ts"
import type { AnyBehavior } from "./Behavior.ts"
import type { Border } from "./Border.ts"
import type { DeadLetterOffice, Reason } from "./DeadLetters.ts"
import { Deadlines } from "./Deadlines.ts"
import type { Dispatcher } from "./Dispatcher.ts"
import { NO_METADATA, type Envelope } from "./Envelope.ts"
import type { Events } from "./EventStream.ts"
import type { Family } from "./Family.ts"
import { type Message, senderAddress } from "./Message.ts"
import { messageId } from "./MessageId.ts"
import type { TerminatedReason } from "./Signal.ts"
import type { Failure } from "./Supervision.ts"
import { Trampoline } from "./Trampoline.ts"
import type { TransportError } from "./Transport.ts"

/** The fields that say something; the others are filled in. */
export type Draft = Pick<Envelope, "from" | "to" | "type" | "pattern"> & Partial<Envelope>

export interface RuntimeOptions {
  readonly name: string
  readonly deadLetters: DeadLetterOffice
  readonly events: Events
  readonly clock: Clock.Clock
  readonly dispatcher: Dispatcher
  readonly metrics: ActorMetrics | null
  readonly tracing: ActorTracing | null
  /** What the runtime's own effects run in. */
  readonly context: Context.Context<never>
  /** Milliseconds, or `Infinity`. */
  readonly askTimeout: number
}

const runtimes = new WeakMap<ActorSystem, Runtime>()

export class Runtime {
  readonly name: string
  readonly cells = new Map<Address.Address, ActorCell>()
  /** The kinds of virtual actors, by the first segment of their addresses. */
  readonly virtuals = new Map<string, VirtualKind>()
  /** The actors without a parent. */
  readonly root: Family<ActorCell> = { first: null, last: null }
  /** The way to other processes; `null`: there is none. */
  border: Border | null = null
  readonly deadLetters: DeadLetterOffice
  readonly events: Events
  readonly clock: Clock.Clock
  readonly dispatcher: Dispatcher
  readonly deadlines: Deadlines
  readonly askTimeout: number
  /** Who measures; `null`: nobody. */
  readonly metrics: ActorMetrics | null
  /** `null`: nothing is traced. */
  readonly tracing: ActorTracing | null
  /** Runs the steps by which actors end, each of which may lead to those of others. */
  readonly endings = new Trampoline()
  /** Whether it takes nobody in any more. */
  closed = false
  /** Whether it has ended. */
  over = false
  readonly #context: Context.Context<never>
  readonly #fibers = new Set<Fiber.Fiber<void>>()
  #system: ActorSystem | undefined

  constructor(options: RuntimeOptions) {
    this.name = options.name
    this.deadLetters = options.deadLetters
    this.events = options.events
    this.clock = options.clock
    this.dispatcher = options.dispatcher
    this.askTimeout = options.askTimeout
    this.metrics = options.metrics
    this.tracing = options.tracing
    this.#context = options.context
    this.deadlines = new Deadlines(options.clock, (effect) => this.fork(effect))
  }

  /** The system that this is the runtime of. */
  get system(): ActorSystem {
    return this.#system!
  }
  set system(system: ActorSystem) {
    this.#system = system
    runtimes.set(system, this)
  }

  /** The runtime of this system. */
  static of(system: ActorSystem): Runtime {
    return runtimes.get(system)!
  }

  /** Monotonic milliseconds, to measure by: those of `deadlines`. */
  now(): number {
    return this.deadlines.now()
  }

  /** Epoch milliseconds, for what others read. */
  timestamp(): number {
    return this.clock.currentTimeMillisUnsafe()
  }

  /** Runs the effect beside the actors; the system's end interrupts it. */
  fork(effect: Effect.Effect<void>): Fiber.Fiber<void> {
    const fiber = Effect.runForkWith(this.#context)(effect)
    this.#fibers.add(fiber)
    fiber.addObserver(() => void this.#fibers.delete(fiber))
    return fiber
  }

  /** Ends what is left of the runtime once its actors have stopped, or had the time to. */
  close(): void {
    this.over = true
    this.deadlines.close()
    for (const kind of this.virtuals.values()) kind.end()
    for (const fiber of this.#fibers) fiber.interruptUnsafe()
    this.deadLetters.close()
  }

  // -- actors

  /** Starts an actor. Throws `AddressInUse`. */
  spawn(
    parent: ActorCell | null,
    behavior: AnyBehavior,
    options: SpawnOptions,
    services: Context.Context<never>,
  ): ActorCell {
    const address = addressFor(parent, options)
    if (address !== null && this.cells.has(address)) {
      throw new AddressInUse({ address, message: `${address} is in use: stop who has it, or take another` })
    }
    const cell = new ActorCell(this, parent, behavior, address, options, services)
    // What is closing takes nobody in.
    if (this.closed || parent?.ended === true) cell.stop("stopped")
    else if (address !== null) this.border?.served(address)
    return cell
  }

  /** The kind of virtual actors that the address is of. */
  virtualKind(address: Address.Address): VirtualKind | undefined {
    if (this.virtuals.size === 0) return undefined
    const kind = this.virtuals.get(address.slice(2, address.indexOf("/")))
    return kind?.serves(address) === true ? kind : undefined
  }

  /** The actor at the address. A virtual one begins to run. */
  reach(address: Address.Address): ActorCell | null {
    return this.cells.get(address) ?? this.virtualKind(address)?.activate(address) ?? null
  }

  /** Makes the actor reachable from elsewhere, until it has stopped. */
  register(cell: ActorCell): Effect.Effect<void, TransportError> {
    return Effect.suspend(() => {
      if (this.border === null) return Effect.void
      cell.registration = Scope.makeUnsafe()
      return Scope.provide(this.border.register(cell), cell.registration)
    })
  }

  /** The same from within an actor, which can't wait: a child that can't be registered is stopped. */
  registerSoon(cell: ActorCell): void {
    this.fork(
      Effect.catchCause(this.register(cell), (cause) =>
        Effect.sync(() => {
          this.report({
            kind: "error",
            error: Cause.squash(cause),
            cause,
            actor: cell.address,
            message: "register",
          })
          cell.stop("failed", Exit.failCause(cause))
        }),
      ),
    )
  }

  restarted(cell: ActorCell, failure: Failure): void {
    if (this.events.heard("ActorRestarted")) {
      this.events.publish({ _tag: "ActorRestarted", address: cell.address, failure })
    } else this.events.count("ActorRestarted")
  }

  stopped(cell: ActorCell, reason: TerminatedReason): void {
    if (this.events.heard("ActorStopped")) {
      this.events.publish({ _tag: "ActorStopped", address: cell.address, reason })
    } else this.events.count("ActorStopped")
  }

  activated(cell: ActorCell): void {
    if (this.events.heard("ActorActivated")) {
      this.events.publish({ _tag: "ActorActivated", address: cell.address })
    } else this.events.count("ActorActivated")
  }

  passivated(cell: ActorCell): void {
    if (this.events.heard("ActorPassivated")) {
      this.events.publish({ _tag: "ActorPassivated", address: cell.address })
    } else this.events.count("ActorPassivated")
  }

  /** For the log and who listens; never for the wire. */
  report(failure: Failure): void {
    if (this.events.heard("ActorFailed")) {
      this.events.publish({ _tag: "ActorFailed", address: failure.actor, failure })
    } else this.events.count("ActorFailed")
    const at = failure.message === null ? "as it started" : `at "${failure.message}"`
    this.fork(
      Effect.logError(`actor ${failure.actor} failed ${at}`, failure.cause).pipe(
        Effect.annotateLogs({
          system: this.name,
          actor: failure.actor,
          ...(failure.message !== null && { message: failure.message }),
        }),
      ),
    )
  }

  // -- messages

  envelope(draft: Draft): Envelope {
    return {
      id: draft.id ?? messageId(),
      from: draft.from,
      to: draft.to,
      type: draft.type,
      payload: draft.payload ?? null,
      pattern: draft.pattern,
      correlationId: draft.correlationId ?? null,
      timestamp: this.timestamp(),
      metadata: draft.metadata ?? NO_METADATA,
      ttl: draft.ttl ?? null,
      signature: null,
    }
  }

  /** Milliseconds until the deadline, as a `ttl` is. */
  remaining(deadline: number): number | null {
    return deadline === Infinity ? null : Math.max(0, deadline - this.now())
  }

  dead(reason: Reason, envelope: Envelope, cause?: Cause.Cause<unknown>): void {
    const letter = this.deadLetters.add(reason, envelope, this.timestamp(), cause)
    if (this.events.heard("DeadLetter")) this.events.publish({ _tag: "DeadLetter", letter })
    else this.events.count("DeadLetter")
  }

  /** A dead message that never left the process. */
  deadMessage(reason: Reason, to: Address.Address, message: Message, cause?: Cause.Cause<unknown>): void {
    this.dead(
      reason,
      this.envelope({
        id: (message.id ??= messageId()),
        from: senderAddress(message.sender) ?? "",
        to,
        type: message.name,
        payload: message.payload,
        pattern: message.pattern,
        metadata: message.metadata,
      }),
      cause,
    )
  }
}

const addressFor = (
  parent: ActorCell | null,
  { address, name }: Pick<SpawnOptions, "address" | "name">,
): Address.Address | null => {
  if (address !== undefined) return address
  if (name === undefined) return null
  return parent === null
    ? Address.make("local", name)
    : Address.make(...Address.segments(parent.address), name)
}
