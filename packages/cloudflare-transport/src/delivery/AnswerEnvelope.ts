/** Answers that come as data, not as envelopes: of a backend that answers with its call, of a function of the table. */
import { type Address, Envelope, Forwarding, messageId } from "@signal-hub/actor-core/vocabulary"
import type { Answer } from "./Rpc.ts"

/**
 * The answer as an envelope, or why no client could take it. `first`: the address that was asked, where the ask
 * was forwarded.
 */
export const answerEnvelope = (
  asked: Envelope.Envelope,
  { type, payload, metadata = {} }: Answer,
  now: number,
  first: Address.Address = asked.to,
): Envelope.Envelope | Envelope.Malformed =>
  Envelope.check({
    id: messageId(),
    from: asked.to,
    to: asked.from as Address.Address,
    type,
    payload,
    pattern: "tell",
    correlationId: asked.id,
    timestamp: now,
    metadata: Forwarding.answeredFor(metadata, first, asked.to),
    ttl: null,
    signature: null,
  })
