/**
 * What comes to a durable actor: whether it may come, which of the actor's parts it is for, and when it is
 * done with. What is done once is remembered in `Inbox`.
 */
import { Address, AnswerStream, type DeadLetter, Envelope, Forwarding } from "@signal-hub/actor-core"
import * as Cause from "effect/Cause"
import { HUB_ADDRESS } from "../protocol/HubMessage.ts"
import { type Delivery, type Outcome, TAKEN } from "../delivery/ActorRpc.ts"
import type { Callers } from "./Callers.ts"
import type { DurableAlarm } from "./DurableAlarm.ts"
import { isPassing } from "./DurableJournal.ts"
import type { Inbox, Taken } from "./Inbox.ts"
import type { Owed } from "./Owed.ts"
import type { OwnMessages } from "./OwnMessages.ts"
import type { Streams } from "./Streams.ts"
import type { Watching } from "./Watching.ts"

/** Milliseconds until what the actor could not take, or keep, is tried again. */
const AGAIN = 30_000

export interface ReceptionOptions {
  readonly address: Address.Address
  readonly alarm: DurableAlarm
  readonly callers: Callers
  readonly inbox: Inbox
  readonly own: OwnMessages
  readonly owed: Owed
  readonly streams: Streams
  readonly watching: Watching
  readonly now: () => number
  readonly transaction: (writes: () => void) => void
  /** Gives it to the actor. */
  readonly receive: (envelope: Envelope.Envelope) => void
}

export class Reception {
  readonly #options: ReceptionOptions

  constructor(options: ReceptionOptions) {
    this.#options = options
  }

  /** What became of it, where that is known at once. */
  take(delivery: Delivery): Outcome | Taken {
    const { address, callers, inbox, receive } = this.#options
    const checked = Envelope.check(delivery.envelope)
    if (checked instanceof Envelope.Malformed) return refused("actor_failed", checked.reason)
    const envelope = Forwarding.uncorrelated(checked)
    const { from, to, type } = envelope
    if (envelope.correlationId !== null && callers.give(envelope)) return TAKEN
    if (to !== address) return refused("unknown_actor", `${to} is not here`)
    if (from === HUB_ADDRESS || (envelope.correlationId !== null && !AnswerStream.isAboutAsk(type))) {
      return this.#correlated(envelope)
    }
    if (from === address || type.startsWith("hub:")) {
      return refused("unknown_actor", `${address} takes no such message from others`)
    }
    if (!AnswerStream.isAboutAsk(type)) return inbox.take({ ...delivery, envelope })
    if (type === "actor:cancel" && Address.isAddress(from))
      this.#cancelled(from, envelope.correlationId ?? "")
    receive(envelope)
    return TAKEN
  }

  /** Whether a message is still to be handled. */
  isWanted(id: string, sender: Address.Address | null): boolean {
    const { address, own } = this.#options
    return sender !== address || own.isWanted(id)
  }

  /** A message is done with; an ask is when it is answered. Part of a step. */
  done(id: string, sender: Address.Address | null): void {
    const { address, inbox, own } = this.#options
    if (sender === address) return own.done(id)
    const taken = inbox.find(sender ?? "", id)
    if (taken?.isAsk === false) inbox.close(taken, null)
  }

  /** Whether nothing is written of it when it is done with: what is, is with its answer. */
  leavesNoTrace(id: string, sender: Address.Address | null): boolean {
    const { address, inbox } = this.#options
    return sender !== address && inbox.find(sender ?? "", id)?.isAsk !== false
  }

  /** A message that came to nothing. Of an ask, its answer says so. */
  died({ cause, envelope: { from, id, pattern }, reason }: DeadLetter): void {
    const { address, alarm, inbox, now, own, transaction } = this.#options
    if (pattern === "ask") return
    // What could not begin, or be stored, is tried again, unless it never could be.
    const again = reason === "terminated" || (cause !== undefined && isPassing(Cause.squash(cause)))
    if (again) alarm.atLatest(now() + AGAIN)
    if (from === address && own.has(id)) {
      if (again) own.forget(id)
      else transaction(() => own.done(id))
      return
    }
    const taken = inbox.find(from, id)
    if (taken === undefined) return
    if (again) inbox.leave(taken, refused("queue_full", `${address} could not take it now`))
    else transaction(() => inbox.discard(taken, TAKEN))
  }

  /** The asker gives up. What was begun for it may still be done. */
  #cancelled(asker: Address.Address, id: string): void {
    const { inbox, owed, streams, transaction } = this.#options
    transaction(() => {
      owed.cancelled(asker, id)
      streams.cancelled(asker, id)
      const taken = inbox.find(asker, id)
      if (taken !== undefined) inbox.close(taken, null)
    })
  }

  /** The end of an ask of this actor, or of what it watches. */
  #correlated(envelope: Envelope.Envelope): Outcome {
    const { own, receive, watching } = this.#options
    const { actorAddress, reason } = (envelope.payload ?? {}) as { readonly [field: string]: unknown }
    if (envelope.from === HUB_ADDRESS && envelope.type === "hub:terminated") {
      if (Address.isAddress(actorAddress)) watching.ended(actorAddress, String(reason))
      return TAKEN
    }
    const id = envelope.correlationId ?? ""
    const ask = own.find(id)
    if (ask === undefined) receive(envelope)
    else if (envelope.from === HUB_ADDRESS && envelope.type === "hub:forwarded") {
      own.forwarded(id, String(actorAddress))
    } else if (
      Forwarding.isByHub(envelope) ||
      envelope.from === ask.target ||
      // Whoever has it now, may be heard of later.
      envelope.metadata.answeredFor === ask.asked
    )
      own.answered(id, envelope)
    return TAKEN
  }
}

const refused = (
  code: Extract<Outcome, { readonly status: "refused" }>["code"],
  message: string,
): Outcome => ({ status: "refused", code, message })
