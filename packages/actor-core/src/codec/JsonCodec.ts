/**
 * The JSON codec: a text frame that holds one envelope as an object, or an array of envelopes.
 *
 * JSON has neither bytes nor dates: bytes are written as base64, a `Date` in its ISO form; both are strings
 * to who reads them.
 */
import type { Envelope } from "../Envelope.ts"
import {
  AS_JSON,
  formOf,
  isBytes,
  MAX_CODEC_LEVELS,
  rejectionOf,
  UNSUPPORTED,
  UnsupportedValue,
  WITH_BYTES,
  type Form,
} from "../PayloadValue.ts"
import { contentsOf, UndecodableFrame, type Codec } from "./Codec.ts"
import { measureJson } from "./measureJson.ts"

// The holder is asked, not the value: a Buffer has turned itself into an object by now.
const bytesAsBase64 = function (this: { readonly [key: string]: unknown }, key: string, value: unknown) {
  const held = this[key]
  return typeof held === "object" && held !== null && isBytes(held) ? base64(new Uint8Array(held)) : value
}

/** A global of browsers, Node and Workers alike. */
declare const btoa: (binary: string) => string

// Effect's module would bring its decoder to every client as well.
const base64 = (bytes: Uint8Array): string => {
  let binary = ""
  for (const byte of bytes) binary += String.fromCharCode(byte)
  return btoa(binary)
}

/** The value as JSON; `envelopes` are those that it is made of. Throws `UnsupportedValue`. */
const stringify = (value: unknown, envelopes: ReadonlyArray<Envelope>): string => {
  let form: Form = AS_JSON
  try {
    for (const { metadata, payload } of envelopes) {
      const ofPayload = formOf(payload, MAX_CODEC_LEVELS)
      const ofMetadata = formOf(metadata, MAX_CODEC_LEVELS)
      if (ofPayload === UNSUPPORTED || ofMetadata === UNSUPPORTED) throw rejectionOf(contentsOf(envelopes))
      if (ofPayload === WITH_BYTES || ofMetadata === WITH_BYTES) form = WITH_BYTES
    }
    return form === WITH_BYTES ? JSON.stringify(value, bytesAsBase64) : JSON.stringify(value)
  } catch (cause) {
    throw cause instanceof UnsupportedValue ? cause : rejectionOf(contentsOf(envelopes), cause)
  }
}

const textOf = (frame: string | Uint8Array): string => {
  if (typeof frame === "string") return frame
  throw new UndecodableFrame({
    message: "this socket speaks JSON: send text frames, or offer signal-hub.msgpack",
  })
}

/** The JSON codec. A batch of one is a plain object, which a peer without batches can read too. */
export const JsonCodec: Codec = {
  subprotocol: "signal-hub.json",
  encode: (batch) => stringify(batch.length === 1 ? batch[0] : batch, batch),
  encodeFor: (envelope) => {
    const { to: _, ...rest } = envelope
    const after = stringify(rest, [envelope]).slice(1)
    // Of an address, nothing needs escaping.
    return (to) => `{"to":"${to}",${after}`
  },
  measure: (frame) => measureJson(textOf(frame)),
  join: (frames) => (frames.length === 1 ? frames[0]! : `[${frames.join(",")}]`),
  decode: (frame) => {
    const text = textOf(frame)
    let value: unknown
    try {
      value = JSON.parse(text)
    } catch {
      throw new UndecodableFrame({ message: "the frame is not JSON" })
    }
    return Array.isArray(value) ? value : [value]
  },
}
