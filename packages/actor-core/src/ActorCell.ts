/**
 * One actor that runs: what comes in, in order and one at a time, and how the actor stands, from its spawn
 * over its restarts to its end.
 *
 * Sending to it and a handler that returns a plain value are plain code: no fiber, no closure, nothing
 * made but the message. What an actor holds besides is made when it is needed (`Incarnation`). How its
 * functions are called is in `Turns`, what an end waits for in `Ending`, and what becomes of it when it
 * fails is decided in `Supervisor`. A cell knows neither schemas on the wire nor envelopes: what it takes is
 * decoded, and answers go to whoever is given with the message.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { Activation } from "./Activation.ts"
import type { SpawnOptions } from "./ActorContext.ts"
import * as Address from "./Address.ts"
import type { ActorErrorPayload } from "./AskError.ts"
import type { AnyBehavior } from "./Behavior.ts"
import { CellContext } from "./CellContext.ts"
import type { Reason } from "./DeadLetters.ts"
import type { Runnable } from "./Dispatcher.ts"
import { endIncarnation, quietly } from "./Ending.ts"
import { Incarnation } from "./Incarnation.ts"
import { Inbox, type Taken } from "./Inbox.ts"
import type { MessageQueue } from "./Mailbox.ts"
import { type Addressed, EXPIRED, type Message, NOT_ACTIVATED, TERMINATED } from "./Message.ts"
import { messageId } from "./MessageId.ts"
import { outsideProtocol } from "./Outbound.ts"
import * as Protocol from "./Protocol.ts"
import type { Runtime } from "./Runtime.ts"
import * as Signal from "./Signal.ts"
import type { Failure, Restarts } from "./Supervision.ts"
import { supervise } from "./Supervisor.ts"
import { Turns } from "./Turns.ts"

/**
 * Where an actor stands. `new`: its behavior is still to be made. `suspended`: its supervision is at
 * work. From `stopping` on it takes no messages.
 */
type Status = "new" | "ready" | "suspended" | "stopping" | "stopped"

export class ActorCell extends Turns implements Addressed, Runnable {
  readonly runtime: Runtime
  readonly protocol: Protocol.Any
  readonly options: SpawnOptions
  readonly services: Context.Context<never>
  readonly parent: ActorCell | null
  readonly #behavior: AnyBehavior
  #address: Address.Address | null
  #status: Status = "new"
  #become: AnyBehavior | null = null

  readonly #inbox: Inbox
  #system: Array<() => void> | null = null

  #scheduled = false
  #stopRequested = false
  /** Whether an incarnation's end is under way. */
  #ending = false
  #reason: Signal.TerminatedReason = "stopped"

  #context: CellContext | null = null
  incarnation: Incarnation | null = null
  #watchers: Set<(reason: Signal.TerminatedReason) => void> | null = null
  /** Of an actor that can be reached from elsewhere: its registration. */
  registration: Scope.Closeable | null = null
  /** Asks from elsewhere that are not answered yet, by asker and id: what `actor:cancel` names. */
  asks: Map<string, Message> | null = null
  restarts: Restarts | null = null
  /** Of a virtual actor: what this cell is to it. */
  activation: Activation | null = null
  /** Whether the actor goes on when this cell has stopped: what still waits is for its next activation. */
  #passes = false
  /** Whether the actor itself ends with this cell, virtual or not. */
  #forgotten = false

  constructor(
    runtime: Runtime,
    parent: ActorCell | null,
    behavior: AnyBehavior,
    address: Address.Address | null,
    options: SpawnOptions,
    services: Context.Context<never>,
  ) {
    super(parent ?? runtime.root)
    this.runtime = runtime
    this.parent = parent
    this.#behavior = behavior
    this.protocol = behavior.protocol
    this.#address = address
    this.options = options
    this.services = services
    this.#inbox = new Inbox(this, options.mailbox)
    if (address !== null) runtime.cells.set(address, this)
    this.join()
    if (behavior.start._tag === "Handlers") {
      this.use(behavior.start.handlers)
      this.#status = "ready"
    } else this.#wake()
  }

  // -- who it is

  /** Given when it is first asked for, where none was given before. */
  get address(): Address.Address {
    if (this.#address === null) {
      this.#address = `@(local/~${messageId()})`
      if (this.#status !== "stopped") this.runtime.cells.set(this.#address, this)
    }
    return this.#address
  }

  /** Whether it takes no messages any more. */
  get ended(): boolean {
    return this.#status === "stopping" || this.#status === "stopped"
  }

  get stopped(): boolean {
    return this.#status === "stopped"
  }

  get suspended(): boolean {
    return this.#status === "suspended"
  }

  /** Whether it has something to do, or something waits. */
  get occupied(): boolean {
    return this.wait !== null || this.#inbox.size > 0 || this.#status === "suspended"
  }

  /** Whether nothing is under way, nothing waits, and nothing is owed. */
  get idle(): boolean {
    return (
      this.#status === "ready" &&
      this.wait === null &&
      this.#inbox.empty &&
      this.#system === null &&
      this.first === null &&
      this.incarnation?.engaged !== true
    )
  }

  /** How many messages wait. */
  get waiting(): number {
    return this.#inbox.size
  }

  get context(): CellContext {
    return (this.#context ??= this.#behavior.start.context?.(this) ?? new CellContext(this))
  }

  /** What this incarnation holds, made when it is first asked for. */
  get holds(): Incarnation {
    return (this.incarnation ??= new Incarnation(this))
  }

  // -- what comes in

  /** Takes a message. Its handler runs later, never in the caller's stack. */
  deliver(message: Message): void {
    if (this.ended) return this.#deliverLate(message)
    this.#inbox.put(message)
    if (!this.#scheduled && this.wait === null) this.#wake()
  }

  #deliverLate(message: Message): void {
    if (this.#passes && !this.stopped) this.#inbox.push(message)
    else this.drop("terminated", message, TERMINATED)
  }

  /** Takes over what waited for an earlier activation. */
  inherit(waiting: MessageQueue, asks: Map<string, Message> | null): void {
    this.asks = asks
    for (let message = waiting.shift(); message !== null; message = waiting.shift()) {
      if (message.holder !== null) message.holder = this
      this.#inbox.push(message)
    }
    this.#wake()
  }

  /** As `deliver`, and says when there was room for it, or that there is none. */
  offer(message: Message, taken: Taken): (() => void) | undefined {
    if (this.ended) {
      if (this.#passes && !this.stopped) {
        this.#inbox.push(message)
        taken(null)
      } else taken("terminated")
      return undefined
    }
    const withdraw = this.#inbox.offer(message, taken)
    this.#wake()
    return withdraw
  }

  /** Puts to use what the runtime has to say: before messages, between two of them. Not after the end. */
  system(task: () => void): void {
    if (this.ended) return
    this.#system ??= []
    this.#system.push(task)
    this.#wake()
  }

  /** The asker gave up: a message that waits is skipped, an effect that handles it is interrupted. */
  cancel(message: Message): void {
    message.state = "cancelled"
    message.answer = null
    this.#inbox.withdraw(message)
    this.incarnation?.settle(message)?.cancelled?.()
    if (this.current === message) this.wait?.interrupt()
  }

  /** Ends a message that is not handled. */
  drop(reason: Reason, message: Message, refusal: ActorErrorPayload): void {
    message.state = "taken"
    const answer = message.takeAnswer()
    if (answer === null) this.runtime.deadMessage(reason, this.address, message)
    else answer.refuse(refusal)
  }

  // -- what it does

  #wake(): void {
    if (this.#scheduled || this.wait !== null) return
    const idle = this.#inbox.size === 0 && this.#system === null && this.#status !== "new"
    if (idle || this.#status === "suspended" || this.ended) return
    this.#scheduled = true
    this.runtime.dispatcher.schedule(this)
  }

  /** One turn: until a handler takes its time, or it is another's turn. */
  run(): number {
    const { throughput } = this.runtime.dispatcher
    let steps = 0
    if (this.#status === "new") {
      this.#status = "ready"
      this.make(this.#behavior, () => undefined)
    }
    while (this.#status === "ready" && this.wait === null && steps < throughput) {
      if (this.#system !== null) {
        const [task] = this.#system.splice(0, 1)
        if (this.#system.length === 0) this.#system = null
        task?.()
        continue
      }
      const message = this.#inbox.take()
      if (message === null) break
      steps++
      this.#take(message)
    }
    this.#scheduled = false
    this.#wake()
    return steps
  }

  #take(message: Message): void {
    if (message.state === "cancelled") return
    if (message.source !== null && message.source !== this.incarnation) return
    if (message.deadline !== Infinity && this.runtime.now() >= message.deadline) {
      return this.drop("expired", message, EXPIRED)
    }
    // The compiler was kept from seeing the name: that is its sender's fault, not this actor's.
    if (Protocol.find(this.protocol, message.name) === undefined) {
      return this.drop("unknown_message", message, outsideProtocol(this.protocol, message.name, "tell")!)
    }
    message.state = "taken"
    this.runtime.metrics?.began(this, message)
    this.handle(message)
  }

  protected override endTurn(): void {
    this.turnOver()
    if (this.#stopRequested) return this.stop("stopped")
    if (this.#become !== null && this.#status === "ready") {
      const behavior = this.#become
      this.#become = null
      this.make(behavior, () => undefined)
    }
    this.#wake()
  }

  protected override turnOver(): void {
    const handled = this.current !== null
    super.turnOver()
    this.activation?.touched()
    this.runtime.metrics?.ended(this)
    const receiveTimeout = this.incarnation?.receiveTimeout
    if (handled && receiveTimeout != null) receiveTimeout.lastAt = this.runtime.now()
  }

  // -- what its context asks for

  become(behavior: AnyBehavior): void {
    this.#become = behavior
  }

  stopSoon(): void {
    this.#stopRequested = true
    if (this.wait === null && this.current === null) this.system(() => this.stop("stopped"))
  }

  /** Ends with the message at hand; a virtual actor too. */
  forgotten(): void {
    this.#forgotten = true
    this.stopSoon()
  }

  stash(): void {
    const message = this.current
    if (message === null) throw new TypeError("there is no message to put aside: none is being handled")
    this.#inbox.stash(message, this.options.stash)
    this.current = null
  }

  unstashAll(): void {
    this.#inbox.unstashAll()
    this.#wake()
  }

  // -- what goes wrong

  /** Has failed, by itself or as a child of its escalated. */
  fail(failure: Failure): void {
    this.turnOver()
    if (this.#stopRequested) return this.stop("stopped")
    // A sibling's failure restarts it already.
    if (this.#status !== "suspended") supervise(this, failure)
  }

  /** Goes on as it was. Without ever having got to where it was, it stops. */
  resume(): void {
    if (this.ended) return
    if (!this.made) return this.stop("failed")
    this.#status = "ready"
    this.endTurn()
  }

  suspend(): void {
    if (!this.ended) this.#status = "suspended"
  }

  /** Ends the incarnation of a suspended actor. The actor itself stays, with its mailbox. */
  endIncarnation(failure: Failure): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.#status !== "suspended") return Effect.void
      this.#ending = true
      const ending = this.#end(Signal.preRestart, failure, Exit.failCause(failure.cause)) ?? Effect.void
      return Effect.andThen(
        ending,
        Effect.sync(() => {
          this.#ending = false
          if (this.ended) this.#finish()
        }),
      )
    })
  }

  /** A new incarnation of a suspended actor. */
  begin(failure: Failure): void {
    if (this.#status !== "suspended") return
    this.#status = "ready"
    this.#become = null
    // What was still to be said was for the old one.
    this.#system = null
    this.unstashAll()
    this.runtime.restarted(this, failure)
    this.make(this.#behavior, () => this.system(() => this.signal(Signal.postRestart, failure)))
    this.#wake()
  }

  // -- its end

  /** Stops it: who waits for an answer is told at once, a running effect is interrupted and awaited. */
  stop(reason: Signal.TerminatedReason, exit: Exit.Exit<unknown, unknown> = Exit.void): void {
    if (!this.ended) this.runtime.endings.run(() => this.#stop(reason, exit))
  }

  /** Stops it because its parent ends. It begins when the step that leads to it is over, so that ends don't nest. */
  stopWithParent(): void {
    this.runtime.endings.give(() => this.#stop("stopped", Exit.void))
  }

  #stop(reason: Signal.TerminatedReason, exit: Exit.Exit<unknown, unknown>): void {
    if (this.ended) return
    this.#status = "stopping"
    this.#reason = reason
    this.#system = null
    this.#passes = reason === "stopped" && this.activation?.lasting === true
    if (this.#passes) this.#inbox.gather()
    else {
      const unborn = this.#unborn
      // The actor is as it was: its watchers hear nothing, and who is refused may ask again at once.
      this.#passes = unborn
      this.#inbox.close(unborn ? NOT_ACTIVATED : TERMINATED)
    }
    if (this.#ending) return
    const ending = this.#end(Signal.postStop, undefined, exit)
    if (ending === undefined) this.#finish()
    else
      this.runtime.fork(
        Effect.andThen(
          ending,
          Effect.sync(() => this.#finish()),
        ),
      )
  }

  /** Whether it is the activation of a virtual actor that never got to where it takes messages. */
  get #unborn(): boolean {
    return this.activation !== null && !this.made
  }

  /** Calls back when it has stopped; at once where it has. */
  addWatcher(ended: (reason: Signal.TerminatedReason) => void): void {
    if (this.#status === "stopped") return ended(this.#reason)
    this.#watchers ??= new Set()
    this.#watchers.add(ended)
  }

  removeWatcher(ended: (reason: Signal.TerminatedReason) => void): void {
    this.#watchers?.delete(ended)
  }

  /** Ends the incarnation, of which nothing is left then. `undefined`: it was done at once. */
  #end(
    signal: typeof Signal.preRestart | typeof Signal.postStop,
    failure: Failure | undefined,
    exit: Exit.Exit<unknown, unknown>,
  ): Effect.Effect<void> | undefined {
    const wait = this.wait
    this.current?.takeAnswer()?.refuse(TERMINATED)
    this.turnOver()
    const ending = endIncarnation(this, wait, this.lastLook(signal, failure), exit)
    if (ending === undefined) return this.#forget()
    return Effect.andThen(
      ending,
      Effect.sync(() => this.#forget()),
    )
  }

  #forget(): undefined {
    this.incarnation = null
    this.unmake()
  }

  #finish(): void {
    const { registration } = this
    this.registration = null
    if (registration !== null) {
      const left = quietly(this, "unregister", Scope.close(registration, Exit.void))
      this.runtime.fork(
        Effect.andThen(
          left,
          Effect.sync(() => this.#finish()),
        ),
      )
      return
    }
    this.#status = "stopped"
    this.leave()
    this.#context = null
    this.restarts = null
    if (this.#address !== null && this.runtime.cells.get(this.#address) === this) {
      this.runtime.cells.delete(this.#address)
    }
    const goesOn = this.#passes && !this.#forgotten
    if (goesOn) this.runtime.passivated(this)
    else this.runtime.stopped(this, this.#reason)
    const watchers = this.#watchers
    this.#watchers = null
    for (const ended of watchers ?? []) ended(this.#reason)
    this.activation?.over(goesOn ? null : this.#reason, this.#inbox)
  }
}
