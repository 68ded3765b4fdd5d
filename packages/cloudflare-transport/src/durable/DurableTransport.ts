/**
 * The transport of the system that a durable actor runs in: what the actor sends becomes rows, with the
 * step that sends it; what its handlers ask and wait for is a call. What comes in is checked before
 * (`DurableHost`); here it is only handed over.
 */
import {
  type Address,
  AnswerStream,
  Envelope,
  Forwarding,
  TimeLimit,
  type Transport,
} from "@signal-hub/actor-core/vocabulary"
import { REPLY } from "@signal-hub/actor-core/hosting"
import * as Effect from "effect/Effect"
import { unmarked } from "../hub/DeliveryMetadata.ts"
import type { Answer, Delivery } from "../delivery/ActorRpc.ts"
import type { Courier } from "./Courier.ts"
import type { Inbox } from "./Inbox.ts"
import type { Letters } from "./Letters.ts"
import type { Owed } from "./Owed.ts"
import type { Streams } from "./Streams.ts"

export interface DurableTransportOptions {
  readonly home: Address.Address
  readonly inbox: Inbox
  readonly owed: Owed
  readonly streams: Streams
  readonly courier: Pick<Courier, "once">
  readonly letters: Letters
  readonly put: (target: Address.Address, delivery: Delivery) => void
  readonly transaction: (writes: () => void) => void
  /** The same for what writes one row at most. */
  readonly step: (work: () => void) => void
  /** Writes with the step that is under way, or at once. */
  readonly stage: (write: () => void) => void
}

export class DurableTransport implements Transport {
  readonly guardsAnswers = true
  readonly #options: DurableTransportOptions
  #receiver: (envelope: Envelope.Envelope) => void = () => undefined
  /** Whether the answers that go are of a step that changed something. */
  #changes = false

  constructor(options: DurableTransportOptions) {
    this.#options = options
  }

  receive(receiver: (envelope: Envelope.Envelope) => void): Effect.Effect<void> {
    return Effect.sync(() => void (this.#receiver = receiver))
  }

  /** It is reached by the name of its object: there is nobody to tell. */
  register(): Effect.Effect<void> {
    return Effect.void
  }

  /** Hands over what came in. */
  handOver(envelope: Envelope.Envelope): void {
    this.#receiver(envelope)
  }

  /** Runs what lets the answers of a step go; `changes`: it changed something. */
  release(changes: boolean, release: () => void): void {
    this.#changes = changes
    try {
      release()
    } finally {
      this.#changes = false
    }
  }

  send(given: Envelope.Envelope): undefined {
    const { home, put, stage, transaction } = this.#options
    if (given.correlationId !== null && !AnswerStream.isAboutAsk(given.type)) return this.#reply(given)
    const envelope = this.#marked(given)
    if (envelope.pattern === "ask") {
      if (envelope.from === home) void this.#ask(envelope)
      else this.#forward(envelope)
      return
    }
    // Reliable: what a stored step has sent is not sent again as something else.
    const write = (): void => put(envelope.to, { envelope: Envelope.reliably(envelope) })
    if (envelope.from === home) stage(write)
    else transaction(write)
  }

  /**
   * With who hands it on, where the actor does, and without what only a server may say: an actor may have its
   * metadata from somebody else.
   */
  #marked(envelope: Envelope.Envelope): Envelope.Envelope {
    const { home } = this.#options
    const metadata = unmarked(envelope.metadata)
    if (envelope.from !== home && metadata.forwardOf === envelope.id) {
      return { ...envelope, metadata: { ...metadata, forwardedBy: home, forwardedByServer: true } }
    }
    return metadata === envelope.metadata ? envelope : { ...envelope, metadata }
  }

  /** The answer of the actor to an ask. */
  #reply(envelope: Envelope.Envelope): undefined {
    const { home, inbox, put, step, streams, transaction } = this.#options
    const { correlationId, payload, to, type } = envelope
    const taken = inbox.find(to, correlationId ?? "")
    if (streams.isPart(envelope)) return void streams.give(envelope, taken)
    if (taken === undefined) return
    const answer: Answer = { type, payload }
    const isTheActors = type === REPLY || (payload as { readonly data?: unknown } | null)?.data !== undefined
    const isLight = !this.#changes && taken.delivery.envelope.seq === undefined
    const write = isLight && taken.isWaitedFor ? step : transaction
    write(() => {
      // First, as no row may take it: then it is not the answer.
      if (!taken.isWaitedFor) {
        const { ask, envelope: asked } = taken.delivery
        const metadata = Forwarding.answeredFor(envelope.metadata, ask?.asked ?? home, home)
        const told = { ...envelope, metadata }
        put(ask?.home ?? to, { envelope: asked.seq === undefined ? told : Envelope.reliably(told) })
      }
      // That the runtime could not let the actor answer is no answer: the same may be tried again.
      if (isTheActors && isLight) inbox.closeLightly(taken, answer)
      else if (isTheActors) inbox.close(taken, answer)
      else inbox.discard(taken, { status: "answered", answer })
    })
  }

  /** An ask that a handler waits for: in memory only. */
  async #ask(envelope: Envelope.Envelope): Promise<void> {
    const { courier, home, letters } = this.#options
    const timeout = envelope.ttl ?? TimeLimit.DEFAULT_ASK_TIMEOUT_MS
    const outcome = await courier.once({ envelope, ask: { home, timeout } })
    if (outcome.status === "answered") {
      this.#receiver({ ...letters.answer(home, envelope.id, outcome.answer), from: envelope.to })
    } else if (outcome.status === "refused") {
      this.#receiver(letters.failure(home, envelope, outcome))
    }
  }

  /** Hands an ask on: its home hears who has it now. */
  #forward(envelope: Envelope.Envelope): void {
    const { home, letters, owed, put, stage } = this.#options
    const asked = owed.homeOf(envelope)
    const ask = { ...asked, asked: asked.asked ?? home }
    stage(() => {
      put(ask.home, { envelope: letters.forwarded(envelope) })
      put(envelope.to, { envelope: Envelope.reliably(envelope), ask })
      owed.letGo(envelope)
    })
  }
}
