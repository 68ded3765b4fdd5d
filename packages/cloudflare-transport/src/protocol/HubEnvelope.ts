/** Envelopes that the hub itself sends. */
import { type Address, Envelope, messageId } from "@signal-hub/actor-core/vocabulary"
import { HUB_ADDRESS } from "./HubMessage.ts"
import { type HubErrorCode, hubErrorPayload, OWN_TYPE } from "./HubError.ts"
import type { ProtocolMajor } from "./Version.ts"

/** Makes a tell of the hub itself. `now` is its timestamp, in milliseconds; `correlationId` names the request. */
export const hubEnvelope = (
  type: string,
  to: Address.Address,
  payload: unknown,
  now: number,
  correlationId: string | null = null,
  metadata: Envelope.Metadata = Envelope.NO_METADATA,
): Envelope.Envelope => ({
  id: messageId(),
  from: HUB_ADDRESS,
  to,
  type,
  payload,
  pattern: "tell",
  correlationId,
  timestamp: now,
  metadata,
  ttl: null,
  signature: null,
})

/** The answer to a message for an address that no actor has. */
export const unknownActorEnvelope = (
  to: Address.Address,
  payload: { readonly actorAddress: Address.Address; readonly message: string },
  now: number,
  correlationId: string,
): Envelope.Envelope => hubEnvelope("hub:unknown_actor", to, payload, now, correlationId)

/**
 * A refusal, in the form that the receiver's protocol has for it: to connected sessions of 1.0 some
 * codes are types of their own, to all others they are `hub:error` with those fields in `details`.
 */
export const errorEnvelope = (
  major: ProtocolMajor | null,
  to: Address.Address,
  code: HubErrorCode,
  message: string,
  now: number,
  correlationId: string | null,
  details: { readonly [key: string]: unknown } = {},
): Envelope.Envelope => {
  const ownType = major === 1 ? OWN_TYPE[code] : undefined
  return ownType === undefined
    ? hubEnvelope("hub:error", to, hubErrorPayload(code, message, details), now, correlationId)
    : hubEnvelope(ownType, to, { message, ...details }, now, correlationId)
}
