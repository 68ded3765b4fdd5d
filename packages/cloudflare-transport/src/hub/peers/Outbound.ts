/**
 * Envelopes that leave a hub or a gateway for other objects, a lane for each address and each who sends
 * there. Which object serves an address is found by `Whereabouts`; what becomes of them is in `Outcomes`.
 */
import type { Address, Envelope } from "@signal-hub/actor-core/vocabulary"
import type { Claims } from "../../auth/Claims.ts"
import { notifyPaused, notifyResumed } from "../Backpressure.ts"
import type { HubState } from "../HubState.ts"
import { addressOf, type Session } from "../../session/Session.ts"
import type { PeersPort } from "./PeersPort.ts"
import { Lanes } from "../../delivery/Lanes.ts"
import { Outcomes, type Undelivered } from "./Outcomes.ts"
import type { Place } from "../../delivery/Place.ts"
import { type AskHome, CallFailed, type Caller, type Delivery, type Outcome } from "../../delivery/Rpc.ts"
import { aged, type Sending, SureLanes } from "../../delivery/SureLanes.ts"
import { Whereabouts } from "../../delivery/Whereabouts.ts"

interface Item {
  /** `Sending`: it is reliable, and has its number once it is stored. */
  readonly what: Delivery | Sending
  /** The address here on whose behalf it leaves. */
  readonly sender: Address.Address
  /** When it is too late to deliver, epoch milliseconds. */
  readonly until: number
}

/** Sends envelopes to other objects, each sender and target in a lane: volatile ones from memory, reliable ones from rows. */
export class Outbound {
  readonly #hub: HubState
  readonly #port: PeersPort
  readonly #place: Place
  /** Told what became of what left. */
  readonly outcomes: Outcomes
  readonly #lanes: Lanes<Item, Outcome | CallFailed>
  /** What is reliable. */
  readonly sure: SureLanes
  readonly #whereabouts: Whereabouts
  /** Lanes to slow readers that have caught up while a call was in flight: what it says is of before. */
  readonly #resumed = new Set<string>()
  /** Whoever asks without an address, by the one that it was given: a Worker that waits for its call's end. */
  readonly #callers = new Map<Address.Address, (answer: Envelope.Envelope) => void>()

  constructor(hub: HubState, port: PeersPort, place: Place) {
    this.#hub = hub
    this.#port = port
    this.#place = place
    this.#whereabouts = new Whereabouts(port)
    this.outcomes = new Outcomes({ hub, place, now: port.now, send: (...sent) => this.send(...sent) })
    const { maxLane, maxOutboxBytes } = port.limits
    this.#lanes = new Lanes({
      call: (lane, items, done) => this.#call(lane, items, done),
      defer: port.defer,
      maxItems: 256,
      maxWaiting: maxLane,
      maxWaitingBytes: maxOutboxBytes,
      maxCalls: Number.POSITIVE_INFINITY,
    })
    this.sure = new SureLanes({
      ...port,
      atLatest: (at) => hub.alarm.atLatest(at),
      push: (lane, sending, done) => {
        const { at, delivery, isRepeat, sender, takenAt } = sending
        const { to, ttl } = delivery.envelope
        if (at !== null) this.#whereabouts.note(to, at)
        // Whether one that may have arrived is too late, its target says.
        const until = ttl === null || isRepeat ? Number.POSITIVE_INFINITY : takenAt + ttl
        this.#lanes.push(lane, { what: sending, sender, until }, done, true)
      },
      drop: (lane, why) => this.#lanes.drop(lane, why),
      settled: (sending, outcome) => this.#settled(sending, outcome),
      notEncoded: ({ delivery }, error) => hub.encodeFailures.add(delivery.envelope, undefined, error),
      unreadable: (error) => hub.log("error", "row_unreadable", { table: "sending", error: String(error) }),
    })
  }

  /** An envelope that nobody waits for: what is not delivered is a dead letter. Who sent it reliably is told. */
  send(envelope: Envelope.Envelope, now: number, at?: Address.Address): void {
    const caller = at === undefined ? undefined : this.#callers.get(at)
    if (caller !== undefined) return caller(envelope)
    if (envelope.seq !== undefined) return this.#sendSurely({ envelope }, now, undefined, at)
    if (at !== undefined && at !== envelope.to) this.#whereabouts.note(envelope.to, at)
    this.deliver({ envelope }, now, (failed) => {
      if (failed === undefined) return
      this.outcomes.lost(envelope, failed, now)
      if (failed.code !== "queue_full") return
      const session = this.#sessionOf(envelope.from as Address.Address)
      if (session !== undefined) this.outcomes.notifySender(session, envelope, failed)
    })
  }

  /**
   * An ask, of which the answer goes home. One that is not delivered fails there. `sender`: who here
   * sends it on.
   */
  ask(
    envelope: Envelope.Envelope,
    ask: AskHome,
    now: number,
    sender = envelope.from as Address.Address,
  ): void {
    const delivery: Delivery = { envelope, ask }
    if (envelope.seq !== undefined) return this.#sendSurely(delivery, now, sender)
    const done = (failed: Undelivered | undefined): void => {
      if (failed !== undefined) this.outcomes.askFailed(envelope, ask, failed)
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
      return this.#port.defer(() => done({ code: "actor_terminated", message }))
    }
    const until = envelope.ttl === null ? Number.POSITIVE_INFINITY : now + envelope.ttl
    this.#lanes.push(lane, { what: delivery, sender, until }, (outcome) => {
      if (outcome instanceof CallFailed) return done(outcome)
      if (isToPause(outcome)) this.#pause(sender, envelope.to, lane)
      if (outcome.status === "refused") return done(outcome)
      done(undefined)
      if (outcome.status === "answered" && delivery.ask !== undefined) {
        this.outcomes.returned(envelope, delivery.ask, outcome.answer)
      }
    })
  }

  /** A slow reader has caught up: whoever sends to it hears so, and hears nothing older after that. */
  resumed(sender: Address.Address, address: Address.Address, now: number): void {
    const lane = this.#laneOf(sender, address)
    if (this.#lanes.isCalling(lane)) this.#resumed.add(lane)
    const session = this.#sessionOf(sender)
    if (session !== undefined) notifyResumed(this.#hub, session, address, now)
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
    this.#port.defer(() => this.#settled(sending, { status: "refused", code: "queue_full", message }))
  }

  /** What became of a reliable delivery. */
  #settled(sending: Sending, outcome: Outcome): void {
    const { delivery, sender } = sending
    const { to } = delivery.envelope
    if (isToPause(outcome)) this.#pause(sender, to, this.#laneOf(sender, to))
    this.outcomes.settled(sending, outcome)
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
    done: (outcomes: ReadonlyArray<Outcome | CallFailed> | CallFailed) => void,
  ): void {
    const now = this.#port.now()
    this.#resumed.delete(lane)
    // Nothing leaves before it is stored.
    this.sure.write()
    const deliveries: Array<Delivery> = []
    for (const item of items) {
      const { what } = item
      if (!isTooLate(item, now)) deliveries.push(isSending(what) ? aged(what, now) : what)
    }
    const inTime = deliveries.length === items.length
    const all: typeof done = inTime ? done : (outcomes) => done(withExpired(items, outcomes, now))
    if (deliveries.length === 0) return all([])
    this.#whereabouts.carry({ caller: this.#callerOf(lane, items), deliveries }, all)
  }

  /** The session here that the address is of. A gateway has but one, whatever addresses that has. */
  #sessionOf(sender: Address.Address): Session | undefined {
    const home = this.#place.homeOf(sender)
    return this.#hub.sessions.byIdentity(home) ?? this.#hub.resolve(sender, this.#port.now())
  }

  /** One session's messages to one address leave in their order, whichever of its addresses they are from. */
  #laneOf(sender: Address.Address, to: string): string {
    const home = this.#place.homeOf(sender)
    // The same for all that leave a gateway.
    if (home !== sender || this.#hub.sessions.byIdentity(sender) !== undefined) return `${home} ${to}`
    const session = this.#hub.resolve(sender, this.#port.now())
    return `${session === undefined ? home : addressOf(session)} ${to}`
  }

  #callerOf(lane: string, items: ReadonlyArray<Item>): Caller {
    const { sender } = items[0]!
    const session = this.#sessionOf(sender)
    const home = this.#place.homeOf(sender)
    const caller: Caller =
      session === undefined
        ? { home, claims: null }
        : { home, session: session.id, claims: visible(session.claims) }
    const sure = items.find(({ what }) => isSending(what))?.what
    if (sure === undefined || !isSending(sure)) return caller
    const line = `${this.sure.numbers.id} ${lane}`
    // What was sent in an earlier call has the rights of then.
    return { ...caller, ...(sure.isRepeat && { claims: sure.claims }), line }
  }

  /** The reader is slow: its sender waits from now on. */
  #pause(sender: Address.Address, to: Address.Address, lane: string): void {
    const session = this.#sessionOf(sender)
    if (session === undefined || this.#resumed.has(lane)) return
    notifyPaused({ hub: this.#hub, session, from: sender, now: this.#port.now() }, to)
  }
}

const EXPIRED: Outcome = { status: "refused", code: "message_expired", message: "its ttl ran out" }

/** The outcomes of all, where some were too late to leave. */
const withExpired = (
  items: ReadonlyArray<Item>,
  outcomes: ReadonlyArray<Outcome | CallFailed> | CallFailed,
  now: number,
): ReadonlyArray<Outcome | CallFailed> => {
  let index = 0
  const next = (): Outcome | CallFailed => (outcomes instanceof CallFailed ? outcomes : outcomes[index++]!)
  return items.map((item) => (isTooLate(item, now) ? EXPIRED : next()))
}

/** Whether it leaves no more: its time is over, or it could not be stored, which its sender has heard. */
const isTooLate = ({ until, what }: Item, now: number): boolean =>
  until <= now || (isSending(what) && what.isOver === true)

const isToPause = (outcome: Outcome): boolean =>
  (outcome.status === "taken" || outcome.status === "refused") && outcome.pause === true

const isSending = (what: Delivery | Sending): what is Sending => "delivery" in what

/** What a receiver may know of the claims. */
const visible = (claims: Claims | null): Caller["claims"] =>
  claims === null ? null : { capabilities: [...claims.capabilities], expiresAt: claims.expiresAt }
