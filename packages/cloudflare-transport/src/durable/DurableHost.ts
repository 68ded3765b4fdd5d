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
  type Transport,
  VirtualActors,
} from "@signal-hub/actor-core"
import { Journals, REPLY } from "@signal-hub/actor-core/hosting"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import { errorEnvelope, hubEnvelope } from "../protocol/HubEnvelope.ts"
import { HUB_ADDRESS } from "../protocol/HubMessage.ts"
import { sqlitePersistence } from "../storage/SqlitePersistence.ts"
import { durableObjectSql, type Sql } from "../storage/Sql.ts"
import { type ActorRpc, type Answer, type Batch, type Delivery, type Outcome, TAKEN } from "./ActorRpc.ts"
import { Courier } from "./Courier.ts"
import { DurableAlarm } from "./DurableAlarm.ts"
import { DurableJournal, isStoreError } from "./DurableJournal.ts"
import { takeDue } from "./DurableReceiveTimeout.ts"
import { createTables } from "./DurableSchema.ts"
import { Inbox, Taken } from "./Inbox.ts"
import { OwnMessages } from "./OwnMessages.ts"
import type { Reach } from "./Reach.ts"
import { Watching } from "./Watching.ts"

/** Milliseconds that a call waits for what it brought to be done, unless told otherwise. */
export const DEFAULT_HOLD = 50
/** An ask without a time limit gets one, milliseconds. */
const ASK_TIMEOUT = 30_000
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
  readonly #name: string
  readonly #options: DurableActorOptions
  readonly #courier: Courier
  readonly #own: OwnMessages
  #journal: DurableJournal | undefined
  #signal: ((signal: symbol, event?: unknown) => void) | undefined
  /** Who asks without an address, by the one that it was given. */
  readonly #callers = new Map<Address.Address, (answer: Envelope.Envelope) => void>()
  /** Those that wait for the actor to begin. */
  readonly #signals: Array<readonly [signal: symbol, event?: unknown]> = []
  #activate: () => void = () => undefined
  #receiver: (envelope: Envelope.Envelope) => void = () => undefined
  /** Whether the answers that go are of a step that changed something. */
  #changes = false
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
    this.inbox = new Inbox({ sql, alarm, now, transaction, follow, receive: (it) => this.#receiver(it) })
    this.#courier = new Courier({
      sql,
      alarm,
      home: address,
      reach,
      now,
      transaction,
      settled: (delivery, outcome) => this.#sent(delivery, outcome),
    })
    this.#own = new OwnMessages({
      sql,
      timers: () => this.#journal?.timers,
      transaction,
      follow,
      tell: (id, type, payload) =>
        this.#receiver(this.envelope({ id, to: address, type, payload, pattern: "tell" })),
    })
    this.watching = new Watching({
      sql,
      alarm,
      address,
      now,
      reach,
      follow,
      send: (target, delivery) => this.put(target, delivery),
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
    return Effect.flatMap(ActorSystem.make({ name: this.address, transport: this.#transport }), (system) => {
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

  /** Runs what lets the answers of a step go; `changes`: it changed something. */
  release(changes: boolean, release: () => void): void {
    this.#changes = changes
    try {
      release()
    } finally {
      this.#changes = false
    }
  }

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
    return sender !== this.address || this.#own.isWanted(id)
  }

  /** A message is done with; an ask is when it is answered. Part of a step. */
  done(id: string, sender: Address.Address | null): void {
    if (sender === this.address) return this.#own.done(id)
    const taken = this.inbox.find(sender ?? "", id)
    if (taken?.isAsk === false) this.inbox.close(taken, null)
  }

  /** Sends, with what else the step writes. */
  put(target: Address.Address, delivery: Delivery): void {
    const caller = this.#callers.get(target)
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

  async request(asked: Envelope.Envelope, timeout: number): Promise<Envelope.Envelope> {
    const from: Address.Address = `@(worker/${crypto.randomUUID()})`
    const late = Promise.withResolvers<Envelope.Envelope | null>()
    const timer = setTimeout(() => late.resolve(null), timeout)
    this.#callers.set(from, late.resolve)
    try {
      const envelope = { ...asked, from, pattern: "ask", ttl: asked.ttl ?? timeout } as const
      const taken = this.#take({ envelope, ask: { home: from, timeout } })
      if (taken instanceof Taken) await Promise.race([Taken.wait([taken], timeout), late.promise])
      const outcome = taken instanceof Taken ? taken.outcome : taken
      if (outcome?.status === "answered") return this.#answer(from, asked.id, outcome.answer)
      if (outcome?.status === "refused") return this.#failure(from, asked, outcome)
      const answer = await late.promise
      if (answer !== null) return answer
    } finally {
      clearTimeout(timer)
      this.#callers.delete(from)
    }
    return errorEnvelope(null, from, "timeout", `no answer within ${timeout} ms`, this.now(), asked.id)
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
    this.#receiver(envelope)
    return TAKEN
  }

  /** The asker gives up. What was begun for it may still be done. */
  #cancelled(asker: string, id: string): void {
    this.transaction(() => {
      this.sql.run("DELETE FROM owed WHERE asker = ? AND id = ?", asker, id)
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
    const target = this.#own.target(id)
    if (target === undefined) this.#receiver(envelope)
    else if (envelope.from === HUB_ADDRESS && envelope.type === "hub:forwarded") {
      this.sql.run("UPDATE ask SET target = ? WHERE id = ?", String(actorAddress), id)
    } else if (envelope.from === HUB_ADDRESS || envelope.from === target) this.#own.answered(id, envelope)
    return TAKEN
  }

  /** A message that came to nothing. Of an ask, its answer says so. */
  #died({ cause, envelope: { from, id, pattern }, reason }: DeadLetter): void {
    if (pattern === "ask") return
    // What could not begin, or be stored, is tried again.
    const again = reason === "terminated" || (cause !== undefined && isStoreError(Cause.squash(cause)))
    if (again) this.alarm.atLatest(this.now() + AGAIN)
    if (from === this.address && this.#own.has(id)) {
      if (again) this.#own.forget(id)
      else this.transaction(() => this.done(id, from))
      return
    }
    const taken = this.inbox.find(from, id)
    if (taken === undefined) return
    if (again) this.inbox.leave(taken, refused("queue_full", `${this.address} could not take it now`))
    else this.transaction(() => this.inbox.discard(taken, TAKEN))
  }

  // -- what goes out

  readonly #transport: Transport = {
    guardsAnswers: true,
    send: (envelope) => this.#send(envelope),
    receive: (receiver) => Effect.sync(() => void (this.#receiver = receiver)),
    // It is reached by the name of its object: there is nobody to tell.
    register: () => Effect.void,
  }

  #send(envelope: Envelope.Envelope): undefined {
    if (envelope.correlationId !== null && !isAboutAsk(envelope.type)) return this.#reply(envelope)
    if (envelope.pattern === "ask") {
      if (envelope.from === this.address) void this.#ask(envelope)
      else this.#forward(envelope)
      return
    }
    // Reliable: what a stored step has sent is not sent again as something else.
    const put = (): void => this.put(envelope.to, { envelope: { ...envelope, seq: 1 } })
    if (envelope.from === this.address && this.#journal !== undefined) this.#journal.stage(put)
    else this.transaction(put)
  }

  /** The answer of the actor to an ask. */
  #reply(envelope: Envelope.Envelope): undefined {
    const { correlationId, payload, to, type } = envelope
    const taken = this.inbox.find(to, correlationId ?? "")
    if (taken === undefined) return
    const answer: Answer = { type, payload }
    const isTheActors = type === REPLY || (payload as { readonly data?: unknown } | null)?.data !== undefined
    this.transaction(() => {
      // That the runtime could not let the actor answer is no answer: the same may be tried again.
      const isLight = !this.#changes && taken.delivery.envelope.seq === undefined
      if (isTheActors && isLight) this.inbox.closeLightly(taken, answer)
      else if (isTheActors) this.inbox.close(taken, answer)
      else this.inbox.discard(taken, { status: "answered", answer })
      if (taken.isWaitedFor) return
      this.put(taken.delivery.ask?.home ?? to, { envelope })
    })
  }

  /** An ask that a handler waits for: in memory only. */
  async #ask(envelope: Envelope.Envelope): Promise<void> {
    const timeout = envelope.ttl ?? ASK_TIMEOUT
    const outcome = await this.#courier.once({ envelope, ask: { home: this.address, timeout } })
    if (outcome.status === "answered") {
      this.#receiver({ ...this.#answer(this.address, envelope.id, outcome.answer), from: envelope.to })
    } else if (outcome.status === "refused") {
      this.#receiver(this.#failure(this.address, envelope, outcome))
    }
  }

  /** Hands an ask on: its home hears who has it now. */
  #forward(envelope: Envelope.Envelope): void {
    const asker = envelope.from as Address.Address
    const { home, timeout } = this.homeOf(envelope)
    const forward = (): void => {
      const moved = hubEnvelope(
        "hub:forwarded",
        asker,
        { actorAddress: envelope.to },
        this.now(),
        envelope.id,
      )
      this.put(home, { envelope: moved })
      this.put(envelope.to, { envelope, ask: { home, timeout } })
      this.postponed(envelope)
    }
    if (this.#journal === undefined) this.transaction(forward)
    else this.#journal.stage(forward)
  }

  // -- answers that come later

  /** Where the answer to the ask goes, and how long it may take. */
  homeOf({ from, id, ttl }: Envelope.Envelope): { readonly home: Address.Address; readonly timeout: number } {
    const ask = this.inbox.find(from, id)?.delivery.ask
    return ask ?? { home: from as Address.Address, timeout: ttl ?? ASK_TIMEOUT }
  }

  /** The answer to this ask is not this message's. Part of a step. */
  postponed({ from, id }: Envelope.Envelope): void {
    const taken = this.inbox.find(from, id)
    if (taken !== undefined) this.inbox.close(taken, null)
  }

  /** An answer that was postponed. Part of a step. */
  answerLate(asker: Address.Address, id: string, home: Address.Address, answer: Answer): void {
    const stored = JSON.stringify(answer)
    this.sql.run("UPDATE handled SET answer = ? WHERE sender = ? AND id = ?", stored, asker, id)
    this.put(home, { envelope: this.#answer(asker, id, answer) })
  }

  #answer(to: Address.Address, correlationId: string, { payload, type }: Answer): Envelope.Envelope {
    return this.envelope({ to, type, payload, pattern: "tell", correlationId })
  }

  #failure(
    to: Address.Address,
    asked: Envelope.Envelope,
    { code, message }: Extract<Outcome, { readonly status: "refused" }>,
  ): Envelope.Envelope {
    const now = this.now()
    if (code === "unknown_actor") {
      return hubEnvelope("hub:unknown_actor", to, { actorAddress: asked.to, message }, now, asked.id)
    }
    const wire = code === "actor_failed" || code === "not_subscribed" ? "actor_terminated" : code
    return errorEnvelope(null, to, wire, message, now, asked.id)
  }

  envelope(
    draft: Pick<Envelope.Envelope, "to" | "type" | "payload" | "pattern"> & Partial<Envelope.Envelope>,
  ): Envelope.Envelope {
    return {
      id: crypto.randomUUID(),
      from: this.address,
      correlationId: null,
      timestamp: this.now(),
      metadata: Envelope.NO_METADATA,
      ttl: null,
      signature: null,
      ...draft,
    }
  }

  // -- what becomes of it

  /** What became of something sent. Its row is gone. */
  #sent({ ask, envelope }: Delivery, outcome: Outcome): void {
    if (ask === undefined || outcome.status === "taken" || outcome.status === "elsewhere") return
    const asker = envelope.from as Address.Address
    const answer =
      outcome.status === "answered"
        ? { ...this.#answer(asker, envelope.id, outcome.answer), from: envelope.to }
        : this.#failure(asker, envelope, outcome)
    if (ask.home === this.address) this.#own.answered(envelope.id, answer)
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
    this.#own.recover()
    this.watching.recover()
    this.#courier.kickAll()
  }

  /** Does what is due, and arms the alarm for what is next. */
  async wake(): Promise<void> {
    const now = this.now()
    for (const { id, target } of this.#own.overdue(now)) {
      const message = `${target} did not answer in time`
      this.#own.answered(id, errorEnvelope(null, this.address, "timeout", message, now, id))
    }
    this.sql.run("DELETE FROM owed WHERE deadline <= ?", now)
    this.#recover()
    this.#own.fire(now)
    if (takeDue(this.sql, now)) this.#signaled(Signal.receiveTimeout)
    await this.#own.settled(this.#options.hold ?? DEFAULT_HOLD)
    this.alarm.rearm(this.now())
  }
}

const isAboutAsk = (type: string): boolean => type === "actor:cancel" || type === "actor:demand"

const refused = (
  code: Extract<Outcome, { readonly status: "refused" }>["code"],
  message: string,
): Outcome => ({ status: "refused", code, message })
