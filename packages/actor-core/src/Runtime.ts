/** What the parts of one actor system share: its actors, its open asks, and the way to other processes. */
import type * as Clock from "effect/Clock"
import type { ActorCell, Message } from "./ActorCell.ts"
import type { Address } from "./Address.ts"
import { Asks } from "./Asks.ts"
import type { DeadLetterOffice, Reason } from "./DeadLetters.ts"
import { NO_METADATA, type Envelope } from "./Envelope.ts"
import type * as Protocol from "./Protocol.ts"
import { TransportError, type Transport } from "./Transport.ts"

/** An actor that is served here. */
export interface Served {
  readonly cell: ActorCell
  readonly protocol: Protocol.Any
  /** Asks from elsewhere that are not answered yet, by asker and id: what `actor:cancel` names. */
  readonly asks: Map<string, Message>
}

/** The fields that say something; the others are filled in. */
export type Draft = Pick<Envelope, "from" | "to" | "type" | "pattern"> & Partial<Envelope>

export interface RuntimeOptions {
  readonly transport: Transport | undefined
  readonly deadLetters: DeadLetterOffice
  readonly clock: Clock.Clock
  /** Begins every id of this system; no two systems have the same. */
  readonly idPrefix: string
  /** Milliseconds; `null`: none. */
  readonly askTimeout: number | null
}

export class Runtime {
  readonly served = new Map<Address, Served>()
  readonly asks: Asks
  readonly transport: Transport | undefined
  readonly deadLetters: DeadLetterOffice
  readonly clock: Clock.Clock
  readonly askTimeout: number | null
  closed = false
  readonly #idPrefix: string
  #ids = 0

  constructor(options: RuntimeOptions) {
    this.transport = options.transport
    this.asks = new Asks(options.transport?.guardsAnswers === true)
    this.deadLetters = options.deadLetters
    this.clock = options.clock
    this.askTimeout = options.askTimeout
    this.#idPrefix = options.idPrefix
  }

  now(): number {
    return this.clock.currentTimeMillisUnsafe()
  }

  nextId(): string {
    return `${this.#idPrefix}-${(++this.#ids).toString(36)}`
  }

  envelope(draft: Draft): Envelope {
    return {
      id: draft.id ?? this.nextId(),
      from: draft.from,
      to: draft.to,
      type: draft.type,
      payload: draft.payload ?? null,
      pattern: draft.pattern,
      correlationId: draft.correlationId ?? null,
      timestamp: this.now(),
      metadata: draft.metadata ?? NO_METADATA,
      ttl: draft.ttl ?? null,
      signature: null,
    }
  }

  /** Hands the envelope to the transport, or says why it did not take it. */
  transmit(envelope: Envelope): TransportError | undefined {
    return this.transport === undefined
      ? new TransportError({
          reason: "refused",
          code: "unknown_actor",
          message: `nobody is at ${envelope.to}, and there is no transport to look elsewhere`,
        })
      : this.transport.send(envelope)
  }

  dead(reason: Reason, envelope: Envelope): void {
    this.deadLetters.add(reason, envelope, this.now())
  }

  /** A dead message that never left the process. */
  deadMessage(reason: Reason, to: Address, message: Message): void {
    this.dead(
      reason,
      this.envelope({
        id: message.id,
        from: message.sender ?? "",
        to,
        type: message.name,
        payload: message.payload,
        pattern: message.answer === null ? "tell" : "ask",
        metadata: message.metadata,
      }),
    )
  }
}
