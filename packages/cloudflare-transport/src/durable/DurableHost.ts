/**
 * One durable actor in the memory of its Durable Object: an actor system with one virtual actor, whose
 * transport is the calls between objects. What came and is not done, what is to be sent, and what is to
 * happen later are rows; this can be thrown away between any two messages.
 */
import {
  ActorError,
  ActorSystem,
  Address,
  type DeadLetter,
  Envelope,
  type Mailbox,
  Persistence,
  type PersistentBehavior,
  type Protocol,
  Signal,
  type Supervision,
  VirtualActors,
} from "@signal-hub/actor-core"
import { Journals } from "@signal-hub/actor-core/hosting"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import { HUB_ADDRESS } from "../protocol/HubMessage.ts"
import { sqlitePersistence } from "../storage/SqlitePersistence.ts"
import { durableObjectSql, type Sql } from "../storage/Sql.ts"
import { type ActorRpc, type Batch, type Delivery, type Outcome, TAKEN } from "./ActorRpc.ts"
import { Callers } from "./Callers.ts"
import { Courier } from "./Courier.ts"
import { DurableAlarm } from "./DurableAlarm.ts"
import { DurableJournal, isStoreError } from "./DurableJournal.ts"
import { takeDue } from "./DurableReceiveTimeout.ts"
import { createTables } from "./DurableSchema.ts"
import { DurableTransport } from "./DurableTransport.ts"
import { Inbox, Taken } from "./Inbox.ts"
import { isAboutAsk, Letters } from "./Letters.ts"
import { Owed } from "./Owed.ts"
import { OwnMessages } from "./OwnMessages.ts"
import type { Reach } from "./Reach.ts"
import { Watching } from "./Watching.ts"

/** Milliseconds that a call waits for what it brought to be done, unless told otherwise. */
export const DEFAULT_HOLD = 50
/** Milliseconds until what the actor could not take, or keep, is tried again. */
const AGAIN = 30_000

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
  /** Milliseconds that a call waits for what it brought to be done. Default: 50. */
  readonly hold?: number
}

/** A persistent behavior that needs nothing, whatever its protocol. */
export type AnyPersistentBehavior = Pick<
  PersistentBehavior.PersistentBehavior<Protocol.Any>,
  "protocol" | "persistent" | "start" | "~needs"
>

export class DurableHost implements ActorRpc {
  readonly sql: Sql
  readonly alarm: DurableAlarm
  readonly persistence: Persistence.Persistence
  readonly address: Address.Address
  readonly inbox: Inbox
  readonly watching: Watching
  readonly letters: Letters
  readonly own: OwnMessages
  readonly owed: Owed
  readonly transport: DurableTransport
  readonly #name: string
  readonly #options: DurableActorOptions
  readonly #courier: Courier
  readonly #callers: Callers
  #journal: DurableJournal | undefined
  #signal: ((signal: symbol, event?: unknown) => void) | undefined
  /** Those that wait for the actor to begin. */
  readonly #signals: Array<readonly [signal: symbol, event?: unknown]> = []
  #activate: () => void = () => undefined
  /** What follows once the writes of a step are made; `undefined`: none are being made. */
  #after: Array<() => void> | undefined

  private constructor(ctx: DurableObjectState, options: DurableActorOptions, armedAt: number | null) {
    this.#options = options
    this.#name = ctx.id.name ?? ctx.id.toString()
    this.address = Address.parse(`@(${options.type}/${this.#name})`)
    const sql = (this.sql = durableObjectSql(ctx.storage))
    createTables(sql)
    this.persistence = sqlitePersistence(sql)
    const alarm = (this.alarm = new DurableAlarm(sql, armedAt, (at) => {
      void (at === null ? ctx.storage.deleteAlarm() : ctx.storage.setAlarm(at))
    }))
    const { address } = this
    const now = (): number => this.now()
    const reach = options.reach ?? (() => undefined)
    const transaction = (writes: () => void): void => this.transaction(writes)
    const follow = (task: () => void): void => this.#follow(task)
    const put = (target: Address.Address, delivery: Delivery): void => this.put(target, delivery)
    const receive = (envelope: Envelope.Envelope): void => this.transport.handOver(envelope)
    const letters = (this.letters = new Letters(address, now))
    const inbox = (this.inbox = new Inbox({ sql, alarm, now, transaction, follow, receive }))
    const owed = (this.owed = new Owed({ sql, alarm, inbox, letters, now, send: put }))
    const courier = (this.#courier = new Courier({
      sql,
      alarm,
      home: address,
      reach,
      now,
      transaction,
      settled: (delivery, outcome) => this.#sent(delivery, outcome),
    }))
    this.transport = new DurableTransport({
      home: address,
      inbox,
      owed,
      courier,
      letters,
      put,
      transaction,
      stage: (write) => (this.#journal === undefined ? transaction(write) : this.#journal.stage(write)),
    })
    this.#callers = new Callers((delivery) => this.#take(delivery), letters)
    this.own = new OwnMessages({
      sql,
      alarm,
      timers: () => this.#journal?.timers,
      transaction,
      follow,
      tell: (id, type, payload) =>
        receive(letters.envelope({ id, to: address, type, payload, pattern: "tell" })),
    })
    this.watching = new Watching({
      sql,
      alarm,
      address,
      now,
      reach,
      follow,
      send: put,
      signal: (signal, event) => this.#signaled(signal, event),
    })
  }

  /** The actor, with all under way that its rows say is to be done. */
  static async start(ctx: DurableObjectState, options: DurableActorOptions): Promise<DurableHost> {
    const host = new DurableHost(ctx, options, await ctx.storage.getAlarm())
    // It ends with the object's memory.
    await Effect.runPromise(Scope.provide(host.#begin, Scope.makeUnsafe()))
    host.#recover()
    return host
  }

  readonly #begin = Effect.suspend(() => {
    const { mailbox, stash, supervision, type } = this.#options
    const behavior: PersistentBehavior.PersistentBehavior<Protocol.Any> = this.#options.behavior
    const journals: Journals = {
      open: (actor) => {
        this.#signal = actor.signal
        for (const signal of this.#signals.splice(0)) actor.signal(...signal)
        return (this.#journal = new DurableJournal(this, actor))
      },
    }
    const services = Context.make(Journals, journals).pipe(
      Context.add(Persistence.Persistence, this.persistence),
    )
    return Effect.flatMap(ActorSystem.make({ name: this.address, transport: this.transport }), (system) => {
      system.deadLetters.subscribe((letter) => this.#died(letter))
      system.events.subscribe("ActorPassivated", () => this.#stopped())
      system.events.subscribe("ActorStopped", ({ address, reason }) => {
        if (address !== this.address) return
        this.#stopped()
        if (reason === "failed") this.transaction(() => this.watching.tellWatchers("disconnected"))
      })
      system.events.subscribe("ActorFailed", ({ failure: { error } }) => {
        // One that can't live without what it watched would fail of it again at each start.
        if (error instanceof ActorError.DeathPact) this.watching.told(error.address)
        this.watching.untold()
      })
      const kind = VirtualActors.make(system, behavior, {
        type,
        // The others are objects of their own.
        serves: (address) => address === this.address,
        passivateAfter: Infinity,
        ...(supervision !== undefined && { supervision }),
        ...(mailbox !== undefined && { mailbox }),
        ...(stash !== undefined && { stash }),
      })
      return Effect.provide(kind, services)
    }).pipe(
      Effect.map((kind) => {
        this.#activate = () => kind.activate(this.#name)
      }),
    )
  })

  now(): number {
    return Date.now()
  }

  // -- steps

  /** Writes together, and then does what follows from it. */
  transaction(writes: () => void): void {
    if (this.#after !== undefined) return writes()
    const after: Array<() => void> = []
    this.#after = after
    try {
      this.sql.transaction(writes)
    } finally {
      this.#after = undefined
    }
    for (const task of after) task()
  }

  #follow(task: () => void): void {
    if (this.#after === undefined) task()
    else this.#after.push(task)
  }

  /** Whether a message is still to be handled. */
  isWanted(id: string, sender: Address.Address | null): boolean {
    return sender !== this.address || this.own.isWanted(id)
  }

  /** A message is done with; an ask is when it is answered. Part of a step. */
  done(id: string, sender: Address.Address | null): void {
    if (sender === this.address) return this.own.done(id)
    const taken = this.inbox.find(sender ?? "", id)
    if (taken?.isAsk === false) this.inbox.close(taken, null)
  }

  /** Sends, with what else the step writes. */
  put(target: Address.Address, delivery: Delivery): void {
    const caller = this.#callers.find(target)
    if (caller !== undefined) return this.#follow(() => caller(delivery.envelope))
    this.#courier.put(target, delivery)
    this.#follow(() => this.#courier.kick(target))
  }

  // -- what comes in

  async deliver({ deliveries }: Batch): Promise<ReadonlyArray<Outcome>> {
    const outcomes = deliveries.map((delivery) => this.#take(delivery))
    const open = outcomes.filter((outcome) => outcome instanceof Taken)
    if (open.length > 0) {
      await Taken.wait(open, this.#options.hold ?? DEFAULT_HOLD)
      this.inbox.store(open)
    }
    return outcomes.map((outcome) => (outcome instanceof Taken ? (outcome.outcome ?? TAKEN) : outcome))
  }

  request(asked: Envelope.Envelope, timeout: number): Promise<Envelope.Envelope> {
    return this.#callers.request(asked, timeout)
  }

  watch(target: Address.Address, watcher: Address.Address): Promise<boolean> {
    const isHere = target === this.address && Address.isAddress(watcher)
    if (isHere) this.sql.run("INSERT OR IGNORE INTO watcher (address) VALUES (?)", watcher)
    return Promise.resolve(isHere)
  }

  unwatch(target: Address.Address, watcher: Address.Address): Promise<void> {
    if (target === this.address) this.sql.run("DELETE FROM watcher WHERE address = ?", watcher)
    return Promise.resolve()
  }

  /** What became of it, where that is known at once. */
  #take(delivery: Delivery): Outcome | Taken {
    const envelope = Envelope.check(delivery.envelope)
    if (envelope instanceof Envelope.Malformed) return refused("actor_failed", envelope.reason)
    const { from, to, type } = envelope
    if (to !== this.address) return refused("unknown_actor", `${to} is not here`)
    if (from === HUB_ADDRESS || (envelope.correlationId !== null && !isAboutAsk(type))) {
      return this.#correlated(envelope)
    }
    if (from === this.address || type.startsWith("hub:")) {
      return refused("unknown_actor", `${this.address} takes no such message from others`)
    }
    if (!isAboutAsk(type)) return this.inbox.take({ ...delivery, envelope })
    if (type === "actor:cancel") this.#cancelled(from, envelope.correlationId ?? "")
    this.transport.handOver(envelope)
    return TAKEN
  }

  /** The asker gives up. What was begun for it may still be done. */
  #cancelled(asker: string, id: string): void {
    this.transaction(() => {
      this.owed.cancelled(asker, id)
      const taken = this.inbox.find(asker, id)
      if (taken !== undefined) this.inbox.close(taken, null)
    })
  }

  /** The end of an ask of this actor, or of what it watches. */
  #correlated(envelope: Envelope.Envelope): Outcome {
    const { actorAddress, reason } = (envelope.payload ?? {}) as { readonly [field: string]: unknown }
    if (envelope.from === HUB_ADDRESS && envelope.type === "hub:terminated") {
      if (Address.isAddress(actorAddress)) this.watching.ended(actorAddress, String(reason))
      return TAKEN
    }
    const id = envelope.correlationId ?? ""
    const target = this.own.target(id)
    if (target === undefined) this.transport.handOver(envelope)
    else if (envelope.from === HUB_ADDRESS && envelope.type === "hub:forwarded") {
      this.own.forwarded(id, String(actorAddress))
    } else if (envelope.from === HUB_ADDRESS || envelope.from === target) this.own.answered(id, envelope)
    return TAKEN
  }

  /** A message that came to nothing. Of an ask, its answer says so. */
  #died({ cause, envelope: { from, id, pattern }, reason }: DeadLetter): void {
    if (pattern === "ask") return
    // What could not begin, or be stored, is tried again.
    const again = reason === "terminated" || (cause !== undefined && isStoreError(Cause.squash(cause)))
    if (again) this.alarm.atLatest(this.now() + AGAIN)
    if (from === this.address && this.own.has(id)) {
      if (again) this.own.forget(id)
      else this.transaction(() => this.done(id, from))
      return
    }
    const taken = this.inbox.find(from, id)
    if (taken === undefined) return
    if (again) this.inbox.leave(taken, refused("queue_full", `${this.address} could not take it now`))
    else this.transaction(() => this.inbox.discard(taken, TAKEN))
  }

  // -- what becomes of it

  /** What became of something sent. Its row is gone. */
  #sent({ ask, envelope }: Delivery, outcome: Outcome): void {
    if (ask === undefined || outcome.status === "taken" || outcome.status === "elsewhere") return
    const asker = envelope.from as Address.Address
    const answer =
      outcome.status === "answered"
        ? { ...this.letters.answer(asker, envelope.id, outcome.answer), from: envelope.to }
        : this.letters.failure(asker, envelope, outcome)
    if (ask.home === this.address) this.own.answered(envelope.id, answer)
    // It was forwarded from here.
    else this.put(ask.home, { envelope: answer })
  }

  #signaled(signal: symbol, event?: unknown): void {
    if (this.#signal === undefined) this.#signals.push([signal, event])
    else this.#signal(signal, event)
    this.#activate()
  }

  #stopped(): void {
    this.#signal = undefined
    this.#journal = undefined
  }

  /** Goes on where the memory before this one was lost. */
  #recover(): void {
    this.inbox.recover()
    this.own.recover()
    this.watching.recover()
    this.#courier.kickAll()
  }

  /** Does what is due, and arms the alarm for what is next. */
  async wake(): Promise<void> {
    const now = this.now()
    for (const { id, target } of this.own.overdue(now)) {
      this.own.answered(id, this.letters.timeout(this.address, id, `${target} did not answer in time`))
    }
    this.owed.expire(now)
    this.#recover()
    this.own.fire(now)
    if (takeDue(this.sql, now)) this.#signaled(Signal.receiveTimeout)
    await this.own.settled(this.#options.hold ?? DEFAULT_HOLD)
    this.alarm.rearm(this.now())
  }
}

const refused = (
  code: Extract<Outcome, { readonly status: "refused" }>["code"],
  message: string,
): Outcome => ({ status: "refused", code, message })
