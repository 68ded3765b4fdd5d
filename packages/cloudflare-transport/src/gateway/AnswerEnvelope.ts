/** Answers that come as data, not as envelopes: of a backend that answers with its call, of a function of the table. */
import { type Address, Envelope } from "@signal-hub/actor-core/vocabulary"
import { messageId } from "../protocol/MessageId.ts"
import type { Answer } from "./Rpc.ts"

/** The answer as an envelope, or why no client could take it. */
export const answerEnvelope = (
  asked: Envelope.Envelope,
  { type, payload, metadata = {} }: Answer,
  now: number,
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
    metadata,
    ttl: null,
    signature: null,
  })
