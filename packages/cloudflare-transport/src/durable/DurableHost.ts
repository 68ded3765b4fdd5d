/**
 * One durable actor in the memory of its Durable Object: an actor system with one virtual actor, and the
 * parts that make it durable, put together here. What came and is not done, what is to be sent, and what is
 * to happen later are rows, each kind of them a part's; this can be thrown away between any two messages.
 */
import {
  ActorError,
  ActorSystem,
  Address,
  type Envelope,
  Forwarding,
  Persistence,
  type PersistentBehavior,
  type Protocol,
  Signal,
  VirtualActors,
} from "@signal-hub/actor-core"
import { Journals, MicrotaskDispatcher } from "@signal-hub/actor-core/hosting"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Scheduler from "effect/Scheduler"
import * as Scope from "effect/Scope"
import { snapshotsIn } from "./SqlitePersistence.ts"
import type { ObjectStorage } from "../object/ObjectStorage.ts"
import type { Sql } from "../object/Sql.ts"
import { isUnstorable, NotStorable } from "../object/StoredValue.ts"
import {
  type ActorRpc,
  type Batch,
  type Delivery,
  type Outcome,
  type Served,
  TAKEN,
} from "../delivery/ActorRpc.ts"
import { Callers } from "./Callers.ts"
import { Courier } from "./Courier.ts"
import type { DurableActorOptions } from "./DurableActorOptions.ts"
import { DurableAlarm } from "./DurableAlarm.ts"
import { DurableJournal } from "./DurableJournal.ts"
import { takeDue } from "./DurableReceiveTimeout.ts"
import { DurableTransport } from "./DurableTransport.ts"
import { Inbox, Taken } from "./Inbox.ts"
import { Letters } from "./Letters.ts"
import { Owed } from "./Owed.ts"
import { OwnMessages } from "./OwnMessages.ts"
import { Reception } from "./Reception.ts"
import { Streams } from "./Streams.ts"
import { Watching } from "./Watching.ts"
import { Writes } from "./Writes.ts"

/** Milliseconds that a call waits for what it brought to be done, unless told otherwise. */
const DEFAULT_HOLD = 50

export class DurableHost implements Served<ActorRpc> {
  readonly sql: Sql
  readonly alarm: DurableAlarm
  readonly writes: Writes
  readonly persistence: Persistence.Persistence
  readonly address: Address.Address
  readonly inbox: Inbox
  readonly watching: Watching
  readonly letters: Letters
  readonly own: OwnMessages
  readonly owed: Owed
  readonly streams: Streams
  readonly reception: Reception
  readonly transport: DurableTransport
  readonly #name: string
  readonly #options: DurableActorOptions
  readonly #courier: Courier
  readonly #callers: Callers
  #dispatcher!: MicrotaskDispatcher
  #journal: DurableJournal | undefined
  #signal: ((signal: symbol, event?: unknown) => void) | undefined
  /** Those that wait for the actor to begin. */
  readonly #signals: Array<readonly [signal: symbol, event?: unknown]> = []
  #activate: () => void = () => undefined

  private constructor(
    ctx: DurableObjectState,
    options: DurableActorOptions,
    storage: ObjectStorage,
    armedAt: number | null,
  ) {
    const sql = storage.tables
    this.#options = options
    this.#name = ctx.id.name ?? ctx.id.toString()
    this.address = Address.parse(`@(${options.type}/${this.#name})`)
    this.sql = sql
    this.persistence = snapshotsIn(sql)
    const alarm = (this.alarm = new DurableAlarm(sql, armedAt, (at) => storage.setAlarm(at)))
    const { address } = this
    const now = (): number => this.now()
    const reach = options.reach ?? (() => undefined)
    const { follow, step, transaction } = (this.writes = new Writes(sql, alarm))
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
    const streams = (this.streams = new Streams({
      sql,
      alarm,
      address,
      inbox,
      letters,
      now,
      transaction,
      follow,
      carry: (target, deliveries) => courier.carry(target, deliveries),
      put,
      receive,
    }))
    this.transport = new DurableTransport({
      home: address,
      inbox,
      owed,
      streams,
      courier,
      letters,
      put,
      step,
      transaction,
      stage: (write) => (this.#journal === undefined ? transaction(write) : this.#journal.stage(write)),
    })
    const callers = (this.#callers = new Callers(
      address,
      (delivery) => this.reception.take(delivery),
      letters,
    ))
    const own = (this.own = new OwnMessages({
      sql,
      alarm,
      timers: () => this.#journal?.timers,
      transaction,
      follow,
      tell: (id, type, payload) =>
        receive(letters.envelope({ id, to: address, type, payload, pattern: "tell" })),
    }))
    const watching = (this.watching = new Watching({
      sql,
      alarm,
      address,
      now,
      reach,
      follow,
      send: put,
      signal: (signal, event) => this.#signaled(signal, event),
    }))
    this.reception = new Reception({
      address,
      alarm,
      callers,
      inbox,
      own,
      owed,
      streams,
      watching,
      now,
      transaction,
      receive,
    })
  }

  /** The actor, with all under way that its rows say is to be done. Fails with `StorageRejected`. */
  static async start(
    ctx: DurableObjectState,
    options: DurableActorOptions,
    storage: ObjectStorage,
  ): Promise<DurableHost> {
    storage.open()
    const host = new DurableHost(ctx, options, storage, await storage.armedAt())
    host.alarm.check(host.now())
    // It ends with the object's memory.
    await Effect.runPromise(Scope.provide(host.#begin, Scope.makeUnsafe()))
    if (host.alarm.isArmed) host.#recover()
    return host
  }

  readonly #begin = Effect.suspend(() => {
    const { acceptForwards, mailbox, stash, supervision, type } = this.#options
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
    const made = Effect.flatMap(Scheduler.Scheduler, (scheduler) => {
      const dispatcher = (this.#dispatcher = new MicrotaskDispatcher(scheduler))
      return ActorSystem.make({ name: this.address, transport: this.transport, dispatcher })
    })
    return Effect.flatMap(made, (system) => {
      system.deadLetters.subscribe((letter) => this.reception.died(letter))
      system.events.subscribe("ActorPassivated", () => this.#stopped())
      system.events.subscribe("ActorStopped", ({ address, reason }) => {
        if (address !== this.address) return
        this.#stopped()
        if (reason === "failed") this.writes.transaction(() => this.watching.tellWatchers("disconnected"))
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
        ...(acceptForwards !== undefined && { acceptForwards }),
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

  /** Sends, with what else the step writes. */
  put(target: Address.Address, delivery: Delivery): void {
    if (target === this.address) return this.writes.follow(() => void this.#callers.give(delivery.envelope))
    this.#courier.put(target, delivery)
    this.writes.follow(() => this.#courier.kick(target))
  }

  // -- what comes in

  /** What a turn of the actor's does at once is answered at once, without a promise. */
  deliver({ deliveries }: Batch): ReadonlyArray<Outcome> | Promise<ReadonlyArray<Outcome>> {
    const outcomes: Array<Outcome | Taken> = []
    let isDone = true
    try {
      this.#dispatcher.runAfter(() => {
        for (const delivery of deliveries) outcomes.push(this.reception.take(delivery))
      })
    } finally {
      for (const one of outcomes) {
        if (!(one instanceof Taken)) continue
        one.isInFirstTurn = false
        if (one.outcome === null) isDone = false
      }
    }
    return isDone ? outcomes.map(outcomeOf) : this.#hold(outcomes)
  }

  /** Waits a little for what is not done. What is not done then is a row. */
  async #hold(outcomes: ReadonlyArray<Outcome | Taken>): Promise<ReadonlyArray<Outcome>> {
    const taken = outcomes.filter((outcome) => outcome instanceof Taken)
    await Taken.wait(taken, this.#options.hold ?? DEFAULT_HOLD)
    this.inbox.store(taken)
    return outcomes.map(outcomeOf)
  }

  request(asked: Envelope.Envelope, timeout: number): Promise<Envelope.Envelope> {
    return this.#callers.request(asked, timeout)
  }

  watch(target: Address.Address, watcher: Address.Address): Promise<boolean> {
    const isHere = target === this.address && Address.isAddress(watcher)
    if (isHere) this.watching.addWatcher(watcher)
    return Promise.resolve(isHere)
  }

  unwatch(target: Address.Address, watcher: Address.Address): Promise<void> {
    if (target === this.address) this.watching.removeWatcher(watcher)
    return Promise.resolve()
  }

  // -- what becomes of it

  /** What became of something sent. Its row is gone. */
  #sent({ ask, envelope }: Delivery, outcome: Outcome): void {
    // Of what newer code may say beside that, nothing follows.
    if (ask === undefined || (outcome.status !== "answered" && outcome.status !== "refused")) return
    const asker = envelope.from as Address.Address
    const answer =
      outcome.status === "answered"
        ? {
            ...this.letters.answer(asker, envelope.id, outcome.answer),
            from: envelope.to,
            metadata: Forwarding.answeredFor({}, ask.asked ?? envelope.to, envelope.to),
          }
        : this.letters.failure(asker, envelope, outcome)
    if (asker === this.address) return this.own.answered(envelope.id, answer)
    // It was forwarded from here.
    try {
      this.put(ask.home, { envelope: answer })
    } catch (error) {
      if (!isUnstorable(error)) throw error
      const { letters } = this
      const isNoData = error instanceof NotStorable
      const failure = isNoData
        ? letters.notStorable(asker, envelope.id)
        : letters.tooLarge(asker, envelope.id)
      this.put(ask.home, { envelope: failure })
    }
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
    this.streams.recover()
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

const outcomeOf = (outcome: Outcome | Taken): Outcome =>
  outcome instanceof Taken ? (outcome.outcome ?? TAKEN) : outcome
