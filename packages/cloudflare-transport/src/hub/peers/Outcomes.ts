/**
 * What becomes of what an object sent to others: the answer to an ask goes to who asked, and what was not
 * delivered its sender is told, typed. `Outbound` carries it.
 */
import { type Address, Envelope, Forwarding } from "@signal-hub/actor-core/vocabulary"
import { failAsk } from "../features/AskEnds.ts"
import type { Ask } from "../features/Asks.ts"
import { isRemote } from "./Peers.ts"
import { idAtSender, likeThat } from "../Outboxes.ts"
import { unknownActor } from "../Router.ts"
import type { HubState } from "../HubState.ts"
import { errorEnvelope, unknownActorEnvelope } from "../../protocol/HubEnvelope.ts"
import { HUB_ERRORS, type HubErrorCode } from "../../protocol/HubError.ts"
import type { Session } from "../../session/Session.ts"
import { answerEnvelope } from "../../delivery/AnswerEnvelope.ts"
import type { Place } from "../../delivery/Place.ts"
import type { Answer, AskHome, Outcome, RefusalCode } from "../../delivery/Rpc.ts"
import type { Sending } from "../../delivery/SureLanes.ts"

/** Why something was not delivered. */
export interface Undelivered {
  readonly code: RefusalCode
  readonly message: string
}

/** The parts that outcomes are handled with. */
export interface OutcomesOptions {
  readonly hub: HubState
  readonly place: Place
  readonly now: () => number
  /** Sends on to the object at the address `at`, whose the ask is. */
  readonly send: (envelope: Envelope.Envelope, now: number, at: Address.Address) => void
}

/** Handles the outcome of each delivery to another object. */
export class Outcomes {
  readonly #hub: HubState
  readonly #options: OutcomesOptions

  constructor(options: OutcomesOptions) {
    this.#hub = options.hub
    this.#options = options
  }

  /** What became of a reliable delivery. */
  settled({ delivery: { ask, envelope }, session }: Sending, outcome: Outcome): void {
    if (outcome.status === "answered" && ask !== undefined) {
      return this.returned(envelope, ask, outcome.answer)
    }
    if (outcome.status !== "refused") return
    if (ask !== undefined) return this.askFailed(envelope, ask, outcome)
    this.lost(envelope, outcome, this.#options.now())
    const teller = session === null ? undefined : this.#hub.sessions.byId(session)
    // Who answers, is done with it.
    if (teller === undefined || envelope.correlationId !== null) return
    this.notifySender(teller, { ...envelope, id: idAtSender(envelope) }, outcome)
  }

  /** An answer that came back with the call. One that no client could take is none. */
  returned(asked: Envelope.Envelope, of: AskHome, answer: Answer): void {
    const now = this.#options.now()
    const given = answerEnvelope(asked, answer, now, of.asked)
    if (given instanceof Envelope.Malformed) {
      return this.askFailed(asked, of, { code: "actor_failed", message: given.reason })
    }
    const envelope = likeThat(given, asked)
    const ask = this.#openAsk(asked, of.home)
    if (ask === "elsewhere") this.#options.send(envelope, now, of.home)
    else if (ask === undefined || !this.#hub.asks.isNext(ask, envelope))
      this.#hub.deadLetter(envelope, "no_such_ask", now)
    else this.answered(ask, envelope, now)
  }

  /** An answer to an ask that was asked here: by a session, or by a caller without an address. */
  answered(ask: Ask, given: Envelope.Envelope, now: number): void {
    const metadata = Forwarding.answeredFor(given.metadata, ask.asked, given.from)
    const told = metadata === given.metadata ? given : { ...given, metadata }
    const envelope = ask.reliable ? Envelope.reliably(told) : told
    this.#hub.asks.answered(ask, envelope, now)
    if (isRemote(ask.askerSession)) return this.#options.send(envelope, now, ask.askerSession)
    const session = this.#hub.sessions.byId(ask.askerSession)
    if (session === undefined) this.#hub.deadLetter(envelope, "disconnected", now)
    else this.#hub.deliver(session, envelope, now)
  }

  /** Nobody answers the ask. */
  askFailed(envelope: Envelope.Envelope, of: AskHome, { code, message }: Undelivered): void {
    const { home } = of
    if (code === "actor_failed") {
      const payload = { code: "actor_failed", message, retryable: false }
      return this.returned(envelope, of, { type: "actor:error", payload })
    }
    const now = this.#options.now()
    const wire = code === "unknown_actor" ? code : wireCode(code)
    const ask = this.#openAsk(envelope, home)
    if (ask === "elsewhere") {
      const failure =
        wire === "unknown_actor"
          ? unknownActorEnvelope(
              envelope.from as Address.Address,
              { actorAddress: envelope.to, message },
              now,
              envelope.id,
            )
          : errorEnvelope(null, envelope.from as Address.Address, wire, message, now, envelope.id)
      this.#options.send(likeThat(failure, envelope), now, home)
    } else if (ask !== undefined) failAsk(this.#hub, ask, wire, envelope.to, now, message)
  }

  /** A dead letter. */
  lost(envelope: Envelope.Envelope, { code }: Undelivered, now: number): void {
    const reason = code === "unknown_actor" ? "unknown_actor" : "disconnected"
    this.#hub.deadLetter(envelope, code === "message_expired" ? "expired" : reason, now)
  }

  /** Tells the session that sent it. */
  notifySender(session: Session, envelope: Envelope.Envelope, { code, message }: Undelivered): void {
    const to = envelope.from as Address.Address
    const now = this.#options.now()
    if (code === "unknown_actor") unknownActor({ hub: this.#hub, session, from: to, envelope, now })
    else {
      const details = code === "queue_full" ? { actorAddress: envelope.to } : {}
      this.#hub.reject({ session, from: to, envelope, now }, wireCode(code), message, details)
    }
  }

  #openAsk({ from, id, to }: Envelope.Envelope, home: Address.Address): Ask | "elsewhere" | undefined {
    if (!this.#options.place.isHome(home)) return "elsewhere"
    const ask = this.#hub.asks.get(from as Address.Address, id)
    return ask?.target === to ? ask : undefined
  }
}

/** As a refusal of the request that it was. One that only newer code knows is not passed on. */
const wireCode = (code: Exclude<RefusalCode, "unknown_actor">): HubErrorCode =>
  code === "actor_failed" || code === "not_subscribed" || !(code in HUB_ERRORS) ? "actor_terminated" : code
