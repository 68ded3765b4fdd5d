/** The envelopes that the object of a durable actor makes: in the actor's name, and of how asks end. */
import { type Address, Envelope, Forwarding, messageId } from "@signal-hub/actor-core"
import { errorEnvelope, hubEnvelope, unknownActorEnvelope } from "../protocol/HubEnvelope.ts"
import type { Answer, Outcome } from "../delivery/ActorRpc.ts"

export class Letters {
  readonly #home: Address.Address
  readonly #now: () => number

  constructor(home: Address.Address, now: () => number) {
    this.#home = home
    this.#now = now
  }

  envelope(
    draft: Pick<Envelope.Envelope, "to" | "type" | "payload" | "pattern"> & Partial<Envelope.Envelope>,
  ): Envelope.Envelope {
    return {
      id: messageId(),
      from: this.#home,
      correlationId: null,
      timestamp: this.#now(),
      metadata: Envelope.NO_METADATA,
      ttl: null,
      signature: null,
      ...draft,
    }
  }

  /** The answer to the ask of this id. `asked`: the address that was asked, where the ask was forwarded. */
  answer(
    to: Address.Address,
    correlationId: string,
    { payload, type }: Answer,
    asked: Address.Address = this.#home,
  ): Envelope.Envelope {
    const metadata = Forwarding.answeredFor(Envelope.NO_METADATA, asked, this.#home)
    return this.envelope({ to, type, payload, pattern: "tell", correlationId, metadata })
  }

  /** Why the ask was not taken. */
  failure(
    to: Address.Address,
    asked: Envelope.Envelope,
    { code, message }: Extract<Outcome, { readonly status: "refused" }>,
  ): Envelope.Envelope {
    const now = this.#now()
    if (code === "unknown_actor") {
      return unknownActorEnvelope(to, { actorAddress: asked.to, message }, now, asked.id)
    }
    const wire = code === "actor_failed" || code === "not_subscribed" ? "actor_terminated" : code
    return errorEnvelope(null, to, wire, message, now, asked.id)
  }

  /** No answer came to the ask of this id. */
  timeout(to: Address.Address, id: string, message: string): Envelope.Envelope {
    return errorEnvelope(null, to, "timeout", message, this.#now(), id)
  }

  /** The answer to the ask of this id can't be handed on. */
  tooLarge(to: Address.Address, id: string): Envelope.Envelope {
    const message = "the answer is larger than a row of the database of who handed the ask on, 2 MB"
    return errorEnvelope(null, to, "message_too_large", message, this.#now(), id)
  }

  /** The same, as it can't be encoded. */
  notStorable(to: Address.Address, id: string): Envelope.Envelope {
    const message = "the answer could not be encoded by who handed the ask on"
    return errorEnvelope(null, to, "internal_error", message, this.#now(), id)
  }

  /** For the home of an ask: somebody else has it now. */
  forwarded(asked: Envelope.Envelope): Envelope.Envelope {
    const asker = asked.from as Address.Address
    return hubEnvelope("hub:forwarded", asker, { actorAddress: asked.to }, this.#now(), asked.id)
  }
}
