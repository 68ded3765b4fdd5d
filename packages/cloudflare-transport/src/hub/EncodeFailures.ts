/**
 * Envelopes that could not be encoded. Each is counted, logged and a dead letter, and whoever sent it hears so: once
 * the event under way was taken whole, as it may be noticed in the middle of a step.
 */
import { type Address, AnswerStream, type Envelope } from "@signal-hub/actor-core/vocabulary"
import { errorEnvelope } from "../protocol/HubEnvelope.ts"
import { HUB_ADDRESS } from "../protocol/HubMessage.ts"
import { Multicast } from "../session/Multicast.ts"
import type { Session } from "../session/Session.ts"
import { failAsk } from "./features/AskEnds.ts"
import type { HubState } from "./HubState.ts"
import { likeThat, notifySender } from "./Outboxes.ts"
import { malformed } from "./Rejection.ts"
import type { Incoming } from "./Incoming.ts"

interface Failure {
  readonly envelope: Envelope.Envelope
  /** Who was to get it, where that is a session. */
  readonly receiver: Session | undefined
  readonly error: unknown
}

/** Collects the envelopes of an event that could not be encoded, and notifies their senders once it is over. */
export class EncodeFailures {
  readonly #hub: HubState
  #failures: Array<Failure> = []

  constructor(hub: HubState) {
    this.#hub = hub
  }

  add(envelope: Envelope.Envelope, receiver: Session | undefined, error: unknown): void {
    this.#failures.push({ envelope, receiver, error })
  }

  /** Tells of those that there are. Gives whether there were any: what they are told is to be stored too. */
  tell(): boolean {
    if (this.#failures.length === 0) return false
    const now = this.#hub.port.now()
    const { metrics } = this.#hub
    for (const failure of this.#failures.splice(0)) {
      const before = metrics.errors
      this.#tell(failure, now)
      // Counted by what is told of it; of some there is nobody to tell.
      if (metrics.errors === before) metrics.errors++
    }
    return true
  }

  /** It is logged, by the id that its sender knows. */
  note({ from, id, to, type }: Envelope.Envelope, error: unknown): void {
    this.#hub.log("error", "encode_failed", { messageId: id, from, to, type, error: String(error) })
  }

  #tell({ envelope, error, receiver }: Failure, now: number): void {
    const hub = this.#hub
    const { correlationId, from, id, pattern, to, type } = envelope
    this.note(envelope, error)
    if (from === HUB_ADDRESS) return this.#answerFailed(envelope, receiver, now)
    hub.deadLetter(envelope, "not_encoded", now)
    const open = pattern === "ask" && from !== "" ? hub.asks.get(from, id) : undefined
    if (open !== undefined) return failAsk(hub, open, "invalid_message", to, now, MESSAGE)
    if (correlationId !== null && !AnswerStream.isAboutAsk(type)) {
      this.#tellAsker(envelope, correlationId, receiver, now)
    }
    notifySender(hub, envelope, "invalid_message", MESSAGE, now)
  }

  /** What the hub says itself: whoever asked for it hears that there is no answer. */
  #answerFailed(envelope: Envelope.Envelope, receiver: Session | undefined, now: number): void {
    const { correlationId, seq, to, type } = envelope
    // A refusal that can't be encoded is not refused in turn.
    if (correlationId === null || receiver === undefined || type === "hub:error") return
    const about = { id: correlationId, ...(seq !== undefined && { seq }) }
    const rejected = { session: receiver, from: to, envelope: about, now }
    this.#hub.reject(rejected, "internal_error", "the answer could not be encoded")
  }

  /** The answer to an ask of another's is lost: whoever asked must not wait for it. */
  #tellAsker(envelope: Envelope.Envelope, askId: string, receiver: Session | undefined, now: number): void {
    const hub = this.#hub
    const { from, to } = envelope
    const message = `the answer of ${from} could not be encoded`
    const open = hub.asks.get(to, askId)
    if (open !== undefined) return failAsk(hub, open, "internal_error", from as Address.Address, now, message)
    if (receiver === undefined) return
    hub.metrics.errors++
    const failure = errorEnvelope(receiver.major, to, "internal_error", message, now, askId)
    hub.deliver(receiver, likeThat(failure, envelope), now)
  }
}

/**
 * What a request has delivered to many, as each of them gets it. One that can't be encoded is refused, before anybody
 * got it.
 */
export const copiesOf = (copy: Envelope.Envelope, { envelope, from, hub }: Incoming): Multicast => {
  try {
    return new Multicast(copy).prepare()
  } catch (error) {
    hub.encodeFailures.note({ ...envelope, from }, error)
    throw malformed('"data", or the metadata, could not be encoded for the receivers: send plain data')
  }
}

const MESSAGE = "the message could not be encoded for its receiver: send plain data"
