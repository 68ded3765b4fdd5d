/**
 * Values as a row holds them. They are msgpack, which keeps bytes and dates, or JSON if a large value is smaller in
 * it, as long lists of short numbers are. A value that no payload may hold is rejected as `NotStorable`, whose cause
 * is an `UnsupportedValue`.
 */
import { Envelope, PayloadValue } from "@signal-hub/actor-core"
import { pack, unpack } from "@signal-hub/actor-core/codec/msgpack"
import { isTooLarge } from "./Sql.ts"

/** A value as the database returns it. */
export type StoredValue = string | ArrayBuffer | Uint8Array

/** Bytes above which the other form is tried. */
const LARGE_BYTES = 1_048_576

/** The error of a value that no row can hold. The cause is the error of its encoder. No retry can succeed. */
export class NotStorable extends Error {
  constructor(cause: unknown) {
    super(`it can't be encoded: ${String(cause)}`, { cause })
  }
}

/** Returns true if no retry can store the value: it can't be encoded, or no row is large enough. */
export const isUnstorable = (error: unknown): boolean => error instanceof NotStorable || isTooLarge(error)

/** Encodes a value for a row. Throws `NotStorable`. */
export const toRow = (value: unknown): string | Uint8Array => encoded(() => packed(value))

/**
 * Encodes a value as text that you can read in the database, or as msgpack if the value is large or holds bytes or
 * dates. Throws `NotStorable`.
 */
export const toReadableRow = (value: unknown): string | Uint8Array => encoded(() => readable(value))

const encoded = (encode: () => string | Uint8Array): string | Uint8Array => {
  try {
    return encode()
  } catch (cause) {
    throw new NotStorable(cause)
  }
}

const packed = (value: unknown): string | Uint8Array => {
  const bytes = pack(value)
  if (bytes.length <= LARGE_BYTES || !isJson(value)) return bytes
  const text = JSON.stringify(value)
  return Envelope.utf8Length(text) < bytes.length ? text : bytes
}

const readable = (value: unknown): string | Uint8Array => {
  if (!isJson(value)) return pack(value)
  const text = JSON.stringify(value)
  if (text.length <= LARGE_BYTES) return text
  const bytes = pack(value)
  return bytes.length < Envelope.utf8Length(text) ? bytes : text
}

/** Returns true if JSON gives back the same value. */
const isJson = (value: unknown): boolean =>
  value !== undefined && PayloadValue.formOf(value, PayloadValue.MAX_CODEC_LEVELS) === PayloadValue.AS_JSON

/** Decodes a value of a row. */
export const fromRow = (stored: StoredValue): unknown =>
  typeof stored === "string" ? JSON.parse(stored) : unpack(new Uint8Array(stored))
