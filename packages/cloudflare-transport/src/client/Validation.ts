/**
 * Judges what a call is given by the rules of the protocol, before any of it is sent, queued or numbered. A
 * bad argument rejects its own call, and the hub never sees it.
 */
import { Address, Envelope, PayloadValue, TransportError } from "@signal-hub/actor-core/vocabulary"
import type { RuleLimits } from "../protocol/FieldRules.ts"
import { HUB_ADDRESS } from "../protocol/HubMessage.ts"
import { VALUES_A_TOKEN } from "../protocol/Limits.ts"
import { violationOfRequest } from "../protocol/requests.ts"
import type { FrameCodec, Part } from "./FrameCodec.ts"

/** Values that an envelope has beside its payload and its metadata: itself, and a field each. */
export const ENVELOPE_VALUES = 11

/** A call that the client rejects: the message names the field and its rule. */
export const invalid = (message: string, code = "invalid_message"): TransportError =>
  new TransportError({ reason: "refused", code, message: `${message}; nothing was sent, correct it` })

/** A message that no frame can hold. */
export const tooLarge = (why: string): TransportError =>
  new TransportError({
    reason: "too_large",
    code: "message_too_large",
    message: `the message ${why}; nothing was sent, send it in parts`,
  })

/** Why the envelope can't be read or encoded: it holds a value that no message can carry, or one that throws. */
export const unreadable = (
  { metadata, payload }: Partial<Envelope.Envelope>,
  error: unknown,
): TransportError => {
  const { measure, UnsupportedValue } = PayloadValue
  for (const flaw of [measure(payload), measure(metadata, { name: "metadata" }), error]) {
    if (flaw instanceof UnsupportedValue) return invalid(flaw.message)
  }
  return invalid(`a value throws when it is read: ${error instanceof Error ? error.message : typeof error}`)
}

/**
 * The envelope, normalized; or why the hub would not take it. Throws where what the user gave does. What only
 * an encoder notices of a value is left to that.
 */
export const validate = (
  envelope: Envelope.Envelope,
  limits: RuleLimits,
): Envelope.Envelope | TransportError => {
  const checked = Envelope.check(envelope)
  if (checked instanceof Envelope.Malformed) return invalid(checked.reason)
  if (checked.from !== "" && !Address.isAddress(checked.from)) {
    return invalid('"from" must be an address, as "@(type/name)"')
  }
  const violation = checked.to === HUB_ADDRESS ? violationOfRequest(checked, limits) : undefined
  return violation === undefined ? checked : invalid(violation.message, violation.code)
}

/** Values in the part, or more: of a short one its length, as no value is shorter than 1. */
export const valuesOf = (part: Part, { codec }: FrameCodec): number =>
  part.length < VALUES_A_TOKEN ? part.length : codec.measure(part).values
