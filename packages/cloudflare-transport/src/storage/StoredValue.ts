/**
 * Values as a row holds them: msgpack, which keeps bytes and dates. JSON where a large value is smaller in it, as
 * one that came in JSON may be: long lists of short numbers.
 */
import { Envelope } from "@signal-hub/actor-core"
import { pack, unpack } from "@signal-hub/actor-core/codec/msgpack"

/** A value as the database gives it. */
export type StoredValue = string | ArrayBuffer | Uint8Array

/** Bytes from which on it is worth a look at the other form. */
const LARGE = 1_048_576

export const toRow = (value: unknown): string | Uint8Array => {
  const packed = pack(value)
  if (packed.length <= LARGE) return packed
  const text = JSON.stringify(value)
  return Envelope.utf8Length(text) < packed.length ? text : packed
}

/** The same of what is JSON-safe: a text, which who looks into the database can read, unless it is large. */
export const toReadableRow = (value: unknown): string | Uint8Array => {
  const text = JSON.stringify(value)
  if (text.length <= LARGE) return text
  const packed = pack(value)
  return packed.length < Envelope.utf8Length(text) ? packed : text
}

export const fromRow = (stored: StoredValue): unknown =>
  typeof stored === "string" ? JSON.parse(stored) : unpack(new Uint8Array(stored))
