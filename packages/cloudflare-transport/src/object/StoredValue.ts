/**
 * Values as a row holds them: msgpack, which keeps bytes and dates. JSON where a large value is smaller in it, as
 * one that came in JSON may be: long lists of short numbers. A value that no payload may hold is not stored, but
 * rejected as `NotStorable`, whose cause is an `UnsupportedValue`.
 */
import { Envelope, PayloadValue } from "@signal-hub/actor-core"
import { pack, unpack } from "@signal-hub/actor-core/codec/msgpack"
import { isTooLarge } from "./Sql.ts"

/** A value as the database gives it. */
export type StoredValue = string | ArrayBuffer | Uint8Array

/** Bytes from which on it is worth a look at the other form. */
const LARGE = 1_048_576

/** A value that no row holds, for what its encoder threw: it never will be stored. */
export class NotStorable extends Error {
  constructor(cause: unknown) {
    super(`it can't be encoded: ${String(cause)}`, { cause })
  }
}

/** Whether something can't be stored however often it is tried: no row is large enough, or it can't be encoded. */
export const isUnstorable = (error: unknown): boolean => error instanceof NotStorable || isTooLarge(error)

/** Throws `NotStorable`. */
export const toRow = (value: unknown): string | Uint8Array => encoded(() => packed(value))

/**
 * The same as a text, which you can read in the database, unless it is large or holds bytes or dates. Throws
 * `NotStorable`.
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
  if (bytes.length <= LARGE || !isJson(value)) return bytes
  const text = JSON.stringify(value)
  return Envelope.utf8Length(text) < bytes.length ? text : bytes
}

const readable = (value: unknown): string | Uint8Array => {
  if (!isJson(value)) return pack(value)
  const text = JSON.stringify(value)
  if (text.length <= LARGE) return text
  const bytes = pack(value)
  return bytes.length < Envelope.utf8Length(text) ? bytes : text
}

/** Whether JSON gives back the same value. */
const isJson = (value: unknown): boolean =>
  value !== undefined && PayloadValue.formOf(value, PayloadValue.MAX_CODEC_LEVELS) === PayloadValue.AS_JSON

export const fromRow = (stored: StoredValue): unknown =>
  typeof stored === "string" ? JSON.parse(stored) : unpack(new Uint8Array(stored))
