/**
 * The envelope: what travels between actors, in whatever process they are.
 *
 * `check` is the hand-written fast path for what comes off a wire; a property test shows that it agrees
 * with the schema, `WireEnvelope` of `WireSchema`. `check` also normalizes: what may be absent is filled
 * in, what is unknown is left behind, and the object has always one shape.
 */
import { isAddress, MAX_ADDRESS_BYTES, type Address } from "./Address.ts"
import {
  formOf,
  isPlainObject,
  MAX_DEPTH,
  MAX_PAYLOAD_LEVELS,
  measure,
  rejectionOf,
  UNSUPPORTED,
  UnsupportedValue,
} from "./PayloadValue.ts"

export { isPlainObject, MAX_DEPTH }
/** Longest `id` and `correlationId`, in characters. */
export const MAX_ID_LENGTH = 128
/** Longest `type`, in characters. */
export const MAX_TYPE_LENGTH = 256
/** Most bytes of `metadata`, as JSON. */
export const MAX_METADATA_BYTES = 4_096

/**
 * What an application may add to a message; ≤ 4 KiB as JSON. `traceparent` is carried untouched. Some fields
 * are the server's alone to set: see `Forwarding`.
 */
export type Metadata = { readonly [key: string]: unknown }

/** One message. The same fields on the wire, in every codec and in memory. */
export interface Envelope {
  /** Unique per sender; 1–128 characters. */
  readonly id: string
  /**
   * Set by the server: what a client writes here is only a wish. Empty where a client left it out. Of an ask
   * that was handed on it is who asked; the payload is the word of `metadata.forwardedBy`.
   */
  readonly from: Address | ""
  readonly to: Address
  readonly type: string
  readonly payload: unknown
  readonly pattern: "tell" | "ask"
  /** On an answer, which is a tell: the `id` of the ask. An ask has none. */
  readonly correlationId: string | null
  /** The sender's clock, epoch milliseconds. */
  readonly timestamp: number
  readonly metadata: Metadata
  /** Milliseconds that remain when it is sent, or `null`: no expiry. */
  readonly ttl: number | null
  /** Carried untouched. */
  readonly signature: string | null
  /** Present on a reliable envelope: contiguous per session and direction, from 1. */
  readonly seq?: number
}

/** The metadata of an envelope that has none. */
export const NO_METADATA: Metadata = Object.freeze({})

/**
 * The `seq` of a reliable envelope that has no number yet: whatever carries it gives it one. As wide as any,
 * so that what is encoded with it is as large as what is sent.
 */
export const UNNUMBERED = 0xffff_ffff

/** The same, to be sent reliably. */
export const reliably = (envelope: Envelope): Envelope => ({ ...envelope, seq: UNNUMBERED })

/** The same, as a volatile one. */
export const unnumbered = (envelope: Envelope): Envelope => {
  if (envelope.seq === undefined) return envelope
  const { seq: _, ...rest } = envelope
  return rest
}

/** Why a value is no envelope, and its `id` where one could be read. */
export class Malformed {
  readonly id: string | null
  readonly reason: string
  constructor(id: string | null, reason: string) {
    this.id = id
    this.reason = reason
  }
}

/** The `id` that the decoded value has, envelope or not; `null` where there is none to be read. */
export const idOf = (value: unknown): string | null => {
  const { id } = (typeof value === "object" && value !== null ? value : {}) as { readonly id?: unknown }
  return isText(id, MAX_ID_LENGTH) ? id : null
}

/** The `seq` that the decoded value has, envelope or not; `undefined` where there is none to be read. */
export const seqOf = (value: unknown): number | undefined => {
  const { seq } = (typeof value === "object" && value !== null ? value : {}) as { readonly seq?: unknown }
  return Number.isSafeInteger(seq) && (seq as number) >= 1 ? (seq as number) : undefined
}

/** The envelope that the decoded value is, normalized, or why it is none. Never throws. */
export const check = (value: unknown): Envelope | Malformed => {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return new Malformed(null, "an envelope must be an object")
  }
  const { id, from, to, type, payload, pattern, correlationId, timestamp, metadata, ttl, signature, seq } =
    value as { readonly [field: string]: unknown }
  if (!isText(id, MAX_ID_LENGTH))
    return new Malformed(null, `"id" must be a string of 1 to ${MAX_ID_LENGTH} characters`)
  if (from !== undefined && from !== null && typeof from !== "string")
    return new Malformed(id, '"from" must be an address')
  if (typeof from === "string" && !isAddressSized(from))
    return new Malformed(id, `"from" must be an address: at most ${MAX_ADDRESS_BYTES} bytes`)
  if (!isAddress(to)) return new Malformed(id, '"to" must be an address, as "@(type/name)"')
  if (!isText(type, MAX_TYPE_LENGTH)) {
    return new Malformed(id, `"type" must be a string of 1 to ${MAX_TYPE_LENGTH} characters`)
  }
  if (pattern !== "tell" && pattern !== "ask") return new Malformed(id, '"pattern" must be "tell" or "ask"')
  if (correlationId !== undefined && correlationId !== null && !isText(correlationId, MAX_ID_LENGTH)) {
    return new Malformed(id, `"correlationId" must be null or a string of 1 to ${MAX_ID_LENGTH} characters`)
  }
  if (!isFiniteNumber(timestamp)) return new Malformed(id, '"timestamp" must be a number of milliseconds')
  if (ttl !== undefined && ttl !== null && !(isFiniteNumber(ttl) && ttl >= 0)) {
    return new Malformed(id, '"ttl" must be null or a number of milliseconds, 0 or more')
  }
  if (
    signature !== undefined &&
    signature !== null &&
    !(typeof signature === "string" && signature.isWellFormed())
  ) {
    return new Malformed(id, '"signature" must be null or a string')
  }
  if (seq !== undefined && !(Number.isSafeInteger(seq) && (seq as number) >= 1)) {
    return new Malformed(id, '"seq" must be an integer from 1')
  }
  if (metadata !== undefined && metadata !== null) {
    if (!isPlainObject(metadata)) return new Malformed(id, '"metadata" must be an object')
    if (formOf(metadata, MAX_PAYLOAD_LEVELS) === UNSUPPORTED)
      return new Malformed(id, flawOf("metadata", metadata))
    if (!metadataFits(metadata))
      return new Malformed(id, `"metadata" is larger than ${MAX_METADATA_BYTES} bytes`)
  }
  if (formOf(payload, MAX_PAYLOAD_LEVELS) === UNSUPPORTED)
    return new Malformed(id, flawOf("payload", payload))
  const envelope: Envelope = {
    id,
    from: (from ?? "") as Address | "",
    to,
    type,
    payload: payload ?? null,
    pattern,
    correlationId: correlationId ?? null,
    timestamp,
    metadata: (metadata as Metadata | null | undefined) ?? NO_METADATA,
    ttl: ttl ?? null,
    signature: signature ?? null,
  }
  return seq === undefined ? envelope : { ...envelope, seq: seq as number }
}

const flawOf = (name: string, value: unknown): string => {
  const measured = measure(value, { name })
  return (measured instanceof UnsupportedValue ? measured : rejectionOf([[name, value]])).message
}

/** Whether the metadata, less what the server alone sets (`Forwarding`), is within `MAX_METADATA_BYTES`. */
export const metadataFits = (metadata: Metadata): boolean => {
  for (const _ in metadata) {
    if (jsonFits(metadata)) return true
    const { answeredFor, forwardedBy, forwardedByServer, ...own } = metadata
    return (answeredFor ?? forwardedBy ?? forwardedByServer) !== undefined && jsonFits(own)
  }
  return true
}

const jsonFits = (metadata: Metadata): boolean => {
  const json = JSON.stringify(metadata)
  return json.length * 3 <= MAX_METADATA_BYTES || utf8Length(json) <= MAX_METADATA_BYTES
}

/** A global of browsers, Node and Workers alike. */
declare const TextEncoder: new () => {
  encodeInto(text: string, into: Uint8Array): { readonly read: number; readonly written: number }
}
const encoder = /* @__PURE__ */ new TextEncoder()
const scratch = /* @__PURE__ */ new Uint8Array(16_384)

/** The bytes that the text has in UTF-8. Encoded piece by piece, which is faster than to count. */
export const utf8Length = (text: string): number => {
  let bytes = 0
  for (let at = 0; at < text.length;) {
    const { read, written } = encoder.encodeInto(at === 0 ? text : text.slice(at), scratch)
    at += read
    bytes += written
  }
  return bytes
}

/** Whether the text has no more bytes than an address may have. */
export const isAddressSized = (text: string): boolean =>
  text.length <= MAX_ADDRESS_BYTES &&
  (text.length * 3 <= MAX_ADDRESS_BYTES || utf8Length(text) <= MAX_ADDRESS_BYTES)

const isText = (value: unknown, max: number): value is string =>
  typeof value === "string" && value.length >= 1 && value.length <= max && value.isWellFormed()

const isFiniteNumber = (value: unknown): value is number =>
  typeof value === "number" && Number.isFinite(value)
