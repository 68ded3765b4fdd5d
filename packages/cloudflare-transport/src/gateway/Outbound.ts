/**
 * Envelopes that leave a hub or a gateway for other objects, a lane for each address and each who sends
 * there. Finds the object that serves an address: the one named by it, else the one that the directory says.
 * What is refused there is told to whoever sent it, typed.
 */
import { type Address, AnswerStream, Envelope } from "@signal-hub/actor-core/vocabulary"
import type { Claims } from "../auth/Claims.ts"
import { failAsk } from "../hub/AskEnds.ts"
import type { Ask } from "../hub/Asks.ts"
import { isElsewhere } from "../hub/Elsewhere.ts"
import { tellPause, tellResume } from "../hub/Backpressure.ts"
import { idAtSender, likeThat, surely } from "../hub/Outboxes.ts"
import { unknownActor } from "../hub/Router.ts"
import type { HubState } from "../hub/HubState.ts"
import { errorEnvelope, hubEnvelope } from "../protocol/HubEnvelope.ts"
import type { HubErrorCode } from "../protocol/HubError.ts"
import { messageId } from "../protocol/MessageId.ts"
import { addressOf, type Session } from "../session/Session.ts"
import type { NeighborsHost } from "./GatewayHost.ts"
import { Lanes } from "./Lanes.ts"
import type { Place } from "./Place.ts"
import { CallFailed, type Caller, type Delivery, isOnward, type Outcome, type RefusalCode } from "./Rpc.ts"
import { shardOf } from "./Shards.ts"
import { aged, type Sending, SureLanes } from "./SureLanes.ts"

/** Objects that are tried for one address: whoever held it when last seen, its own, whoever holds it now. */
const MOST_HOPS = 3
/** Addresses of which it is remembered who serves them. */
const MOST_HINTS = 1_000

interface Item {
  /** `Sending`: it is reliable, and has its number once it is stored. */
  readonly what: Delivery | Sending
  /** The address here on whose behalf it leaves. */
  readonly sender: Address.Address
  /** When it is too late to deliver, epoch milliseconds. */
  readonly until: number
}

/** Why something was not delivered. */
export interface Undelivered {
  readonly code: RefusalCode
  readonly message: string
}

export class Outbound {
  readonly #hub: HubState
  readonly #host: NeighborsHost
  readonly #place: Place
  readonly #lanes: Lanes<Item, Outcome | CallFailed>
  /** What is reliable. */
  readonly sure: SureLanes
  /** The objects that serve addresses which are not their own names. */
  readonly #hints = new Map<string, Address.Address>()
  /** Lanes to slow readers that have caught up while a call was in flight: what it says is of before. */
  readonly #resumed = new Set<string>()
  /** Whoever asks without an address, by the one that it was given: a Worker that waits for its call's end. */
  readonly #callers = new Map<Address.Address, (answer: Envelope.Envelope) => void>()

  constructor(hub: HubState, host: NeighborsHost, place: Place) {
    this.#hub = hub
    this.#host = host
    this.#place = place
    const { maxLane } = host.limits
    this.#lanes = new Lanes({
      call: (lane, items, done) => this.#call(lane, items, done),
      defer: host.defer,
      maxItems: 256,
      maxWaiting: maxLane,
      maxCalls: Number.POSITIVE_INFINITY,
    })
    this.sure = new SureLanes({
      ...host,
      atLatest: (at) => hub.alarm.atLatest(at),
      push: (lane, sending, done) => {
        const { at, delivery, isRepeat, sender, takenAt } = sending
        const { to, ttl } = delivery.envelope
        if (at !== null) this.#hint(to, at)
        // Whether one that may have arrived is too late, its target says.
        const until = ttl === null || isRepeat ? Number.POSITIVE_INFINITY : takenAt + ttl
        this.#lanes.push(lane, { what: sending, sender, until }, done, true)
      },
      drop: (lane, why) => this.#lanes.drop(lane, why),
      settled: (sending, outcome) => this.#settled(sending, outcome),
    })
  }

  /** An envelope that nobody waits for: what is not delivered is a dead letter. Who sent it reliably is told. */
  send(envelope: Envelope.Envelope, now: number, at?: Address.Address): void {
    const caller = at === undefined ? undefined : this.#callers.get(at)
    if (caller !== undefined) return caller(envelope)
    if (envelope.seq !== undefined) return this.#sendSurely({ envelope }, now, undefined, at)
    if (at !== undefined && at !== envelope.to) this.#hint(envelope.to, at)
    this.deliver({ envelope }, now, (failed) => {
      if (failed === undefined) return
      this.#lost(envelope, failed, now)
      if (failed.code !== "queue_full") return
      const session = this.#sessionOf(envelope.from as Address.Address)
      if (session !== undefined) this.#tellSender(session, envelope, failed)
    })
  }

  /**
   * An ask, of which the answer goes to `home`. One that is not delivered fails there. `sender`: who here
   * sends it on.
   */
  ask(
    envelope: Envelope.Envelope,
    home: Address.Address,
    timeout: number,
    now: number,
    sender = envelope.from as Address.Address,
  ): void {
    const delivery: Delivery = { envelope, ask: { home, timeout } }
    if (envelope.seq !== undefined) return this.#sendSurely(delivery, now, sender)
    const done = (failed: Undelivered | undefined): void => {
      if (failed !== undefined) this.#askFailed(envelope, home, failed)
    }
    this.deliver(delivery, now, done, sender)
  }

  /** Puts a volatile delivery in line; `done` is told, later, whether it was taken. */
  deliver(
    delivery: Delivery,
    now: number,
    done: (failed: Undelivered | undefined) => void,
    sender = delivery.envelope.from as Address.Address,
  ): void {
    const { envelope } = delivery
    const lane = this.#laneOf(sender, envelope.to)
    if (this.sure.isBehind(lane)) {
      const message = `${envelope.to} can't be reached now`
      return this.#host.defer(() => done({ code: "actor_terminated", message }))
    }
    const until = envelope.ttl === null ? Number.POSITIVE_INFINITY : now + envelope.ttl
    this.#lanes.push(lane, { what: delivery, sender, until }, (outcome) => {
      if (outcome instanceof CallFailed) return done(outcome)
      if (outcome.status === "refused") return done(outcome)
      if (outcome.status === "taken" && outcome.pause === true) this.#pause(sender, envelope.to, lane)
      done(undefined)
      if (outcome.status === "answered" && delivery.ask !== undefined) {
        const { type, payload, metadata } = outcome.answer
        this.#answer(envelope, delivery.ask.home, type, payload, metadata)
      }
    })
  }

  /** A slow reader has caught up: whoever sends to it hears so, and hears nothing older after that. */
  resumed(sender: Address.Address, address: Address.Address, now: number): void {
    const lane = this.#laneOf(sender, address)
    if (this.#lanes.isCalling(lane)) this.#resumed.add(lane)
    const session = this.#sessionOf(sender)
    if (session !== undefined) tellResume(this.#hub, session, address, now)
  }

  /** Puts a reliable delivery in line, and in a row. */
  #sendSurely(
    delivery: Delivery,
    now: number,
    sender = delivery.envelope.from as Address.Address,
    at?: Address.Address,
  ): void {
    const { correlationId, to } = delivery.envelope
    const session = this.#sessionOf(sender)
    const sending: Sending = {
      delivery,
      sender,
      takenAt: now,
      session: session?.id ?? null,
      claims: visible(session?.claims ?? null),
      at: at === undefined || at === to ? null : at,
      isRepeat: false,
    }
    // What ends an ask always has room.
    const isBounded = correlationId === null && session !== undefined
    if (this.sure.put(this.#laneOf(sender, to), sending, isBounded)) return
    const message = `too much waits for ${to}`
    this.#host.defer(() => this.#settled(sending, { status: "refused", code: "queue_full", message }))
  }

  /** What became of a reliable delivery. */
  #settled({ delivery: { ask, envelope }, sender, session }: Sending, outcome: Outcome): void {
    if (outcome.status === "taken" && outcome.pause === true) {
      this.#pause(sender, envelope.to, this.#laneOf(sender, envelope.to))
    }
    if (outcome.status === "answered" && ask !== undefined) {
      const { type, payload, metadata } = outcome.answer
      return this.#answer(envelope, ask.home, type, payload, metadata)
    }
    if (outcome.status !== "refused") return
    if (ask !== undefined) return this.#askFailed(envelope, ask.home, outcome)
    this.#lost(envelope, outcome, this.#host.now())
    const teller = session === null ? undefined : this.#hub.sessions.byId(session)
    // Who answers, is done with it.
    if (teller === undefined || envelope.correlationId !== null) return
    this.#tellSender(teller, { ...envelope, id: idAtSender(envelope) }, outcome)
  }

  #lost(envelope: Envelope.Envelope, { code }: Undelivered, now: number): void {
    const reason = code === "unknown_actor" ? "unknown_actor" : "disconnected"
    this.#hub.deadLetter(envelope, code === "message_expired" ? "expired" : reason, now)
  }

  /** Who asks without an address gets one, until it has its answer. */
  attend(address: Address.Address, answered: (answer: Envelope.Envelope) => void): () => void {
    this.#callers.set(address, answered)
    return () => void this.#callers.delete(address)
  }

  /** Whether a caller without an address has this one. */
  attends(address: string): boolean {
    return this.#callers.has(address as Address.Address)
  }

  /** All of a lane is for one address, and on behalf of one session. */
  #call(
    lane: string,
    items: ReadonlyArray<Item>,
    done: (outcomes: ReadonlyArray<Outcome | CallFailed>) => void,
  ): void {
    const now = this.#host.now()
    this.#resumed.delete(lane)
    // Nothing leaves before it is stored.
    this.sure.write()
    const leaving = items.map(({ what }) => (isSending(what) ? aged(what, now) : what))
    const { to } = leaving[0]!.envelope
    const caller = this.#callerOf(lane, items)
    const outcomes: Array<Outcome | CallFailed> = items.map(({ until }) => (until <= now ? EXPIRED : UNKNOWN))
    const going = [...items.keys()].filter((at) => items[at]!.until > now)
    const next = (at: Address.Address, going: ReadonlyArray<number>, hop: number): void => {
      if (going.length === 0) return done(outcomes)
      const deliveries = going.map((index) => leaving[index]!)
      const batch = { caller, deliveries }
      this.#host.call("address", at, "deliver", [batch], false, (results) => {
        if (results instanceof CallFailed) {
          for (const index of going) outcomes[index] = results
          return done(outcomes)
        }
        const onward = going.filter((_, i) => isOnward(results[i]!))
        for (const [i, index] of going.entries()) {
          if (!isOnward(results[i]!)) outcomes[index] = results[i]!
        }
        if (onward.length === 0 || hop === MOST_HOPS) return done(outcomes)
        if (at !== to) {
          this.#hints.delete(to)
          return next(to, onward, hop + 1)
        }
        if (!this.#host.isIdentity(to)) return done(outcomes)
        this.#host.call("directory", shardOf(to), "holder", [to], true, (holder) => {
          if (holder instanceof CallFailed) for (const index of onward) outcomes[index] = holder
          if (typeof holder !== "string") return done(outcomes)
          this.#hint(to, holder)
          next(holder, onward, hop + 1)
        })
      })
    }
    next(this.#hints.get(to) ?? to, going, 1)
  }

  #hint(address: Address.Address, at: Address.Address): void {
    this.#hints.delete(address)
    if (at === address) return
    this.#hints.set(address, at)
    if (this.#hints.size > MOST_HINTS) this.#hints.delete(this.#hints.keys().next().value!)
  }

  /** The session here that the address is of. A gateway has but one, whatever addresses that has. */
  #sessionOf(sender: Address.Address): Session | undefined {
    const home = this.#place.homeOf(sender)
    return this.#hub.sessions.byIdentity(home) ?? this.#hub.resolve(sender, this.#host.now())
  }

  /** One session's messages to one address leave in their order, whichever of its addresses they are from. */
  #laneOf(sender: Address.Address, to: string): string {
    const home = this.#place.homeOf(sender)
    // The same for all that leave a gateway.
    if (home !== sender || this.#hub.sessions.byIdentity(sender) !== undefined) return `${home} ${to}`
    const session = this.#hub.resolve(sender, this.#host.now())
    return `${session === undefined ? home : addressOf(session)} ${to}`
  }

  #callerOf(lane: string, items: ReadonlyArray<Item>): Caller {
    const { sender } = items[0]!
    const session = this.#sessionOf(sender)
    const caller = {
      home: this.#place.homeOf(sender),
      ...(session !== undefined && { session: session.id }),
      claims: visible(session?.claims ?? null),
    }
    const sure = items.find(({ what }) => isSending(what))?.what
    if (sure === undefined || !isSending(sure)) return caller
    const line = `${this.sure.numbers.id} ${lane}`
    // What was sent in an earlier call has the rights of then.
    return { ...caller, ...(sure.isRepeat && { claims: sure.claims }), line }
  }

  /** The reader took it, and is slow: its sender waits from now on. */
  #pause(sender: Address.Address, to: Address.Address, lane: string): void {
    const session = this.#sessionOf(sender)
    if (session === undefined || this.#resumed.has(lane)) return
    tellPause(this.#hub, session, sender, to, this.#host.now())
  }

  #askFailed(envelope: Envelope.Envelope, home: Address.Address, { code, message }: Undelivered): void {
    if (code === "actor_failed") {
      const payload = { code: "actor_failed", message, retryable: false }
      return this.#answer(envelope, home, "actor:error", payload)
    }
    const now = this.#host.now()
    const wire = code === "not_subscribed" ? "actor_terminated" : code
    const ask = this.#openAsk(envelope, home)
    if (ask === "elsewhere") {
      const failure =
        wire === "unknown_actor"
          ? hubEnvelope(
              "hub:unknown_actor",
              envelope.from as Address.Address,
              { actorAddress: envelope.to, message },
              now,
              envelope.id,
            )
          : errorEnvelope(null, envelope.from as Address.Address, wire, message, now, envelope.id)
      this.send(likeThat(failure, envelope), now, home)
    } else if (ask !== undefined) failAsk(this.#hub, ask, wire, envelope.to, now, message)
  }

  /** An answer that came back with the call. One that no client could take is none. */
  #answer(
    asked: Envelope.Envelope,
    home: Address.Address,
    type: string,
    payload: unknown,
    metadata: Envelope.Metadata = {},
  ): void {
    const now = this.#host.now()
    const given: Envelope.Envelope = {
      id: messageId(),
      from: asked.to,
      to: asked.from as Address.Address,
      type,
      payload,
      pattern: "tell",
      correlationId: asked.id,
      timestamp: now,
      metadata,
      ttl: null,
      signature: null,
    }
    const checked = Envelope.check(given)
    if (checked instanceof Envelope.Malformed) {
      return this.#askFailed(asked, home, { code: "actor_failed", message: checked.reason })
    }
    const envelope = likeThat(given, asked)
    const ask = this.#openAsk(asked, home)
    if (ask === "elsewhere") this.send(envelope, now, home)
    else if (ask === undefined) this.#hub.deadLetter(envelope, "no_such_ask", now)
    else this.answered(ask, envelope, now)
  }

  /** An answer to an ask that was asked here: by a session, or by a caller without an address. */
  answered(ask: Ask, given: Envelope.Envelope, now: number): void {
    const envelope = ask.reliable ? surely(given) : given
    if (AnswerStream.isMoreToCome(envelope)) this.#hub.asks.extend(ask, now)
    else this.#hub.asks.close(ask)
    if (isElsewhere(ask.askerSession)) return this.send(envelope, now, ask.askerSession)
    const session = this.#hub.sessions.byId(ask.askerSession)
    if (session === undefined) this.#hub.deadLetter(envelope, "disconnected", now)
    else this.#hub.deliver(session, envelope, now)
  }

  #openAsk({ from, id, to }: Envelope.Envelope, home: Address.Address): Ask | "elsewhere" | undefined {
    if (!this.#place.isHome(home)) return "elsewhere"
    const ask = this.#hub.asks.get(from as Address.Address, id)
    return ask?.target === to ? ask : undefined
  }

  #tellSender(session: Session, envelope: Envelope.Envelope, { code, message }: Undelivered): void {
    const to = envelope.from as Address.Address
    const now = this.#host.now()
    if (code === "unknown_actor") unknownActor(this.#hub, session, to, envelope, now)
    else {
      const details = code === "queue_full" ? { actorAddress: envelope.to } : {}
      this.#hub.refuse(session, to, wireCode(code), message, envelope, now, details)
    }
  }
}

/** As a refusal of the request that it was. */
const wireCode = (code: Exclude<RefusalCode, "unknown_actor">): HubErrorCode =>
  code === "actor_failed" || code === "not_subscribed" ? "actor_terminated" : code

const UNKNOWN: Outcome = { status: "refused", code: "unknown_actor", message: "there is no such actor" }
const EXPIRED: Outcome = { status: "refused", code: "message_expired", message: "its ttl ran out" }

const isSending = (what: Delivery | Sending): what is Sending => "delivery" in what

/** What a receiver may know of the claims. */
const visible = (claims: Claims | null): Caller["claims"] =>
  claims === null ? null : { capabilities: [...claims.capabilities], expiresAt: claims.expiresAt }
