/**
 * The JSON codec: a text frame that holds one envelope as an object, or an array of envelopes.
 *
 * JSON has neither bytes nor dates: a `Uint8Array`, which came in by another codec, is written as
 * base64, a `Date` in its ISO form; both are strings to who reads them.
 */
import type { Envelope } from "../Envelope.ts"
import { UndecodableFrame, type Codec } from "./Codec.ts"

/** Whether there are bytes anywhere in the value. A pass of its own, as a replacer slows every frame. */
const holdsBytes = (value: unknown): boolean => {
  if (typeof value !== "object" || value === null) return false
  if (Array.isArray(value)) return value.some(holdsBytes)
  if (value instanceof Uint8Array) return true
  for (const key in value) if (holdsBytes((value as { readonly [key: string]: unknown })[key])) return true
  return false
}

// The holder is asked, not the value: a Buffer has turned itself into an object by now.
const bytesAsBase64 = function (this: { readonly [key: string]: unknown }, key: string, value: unknown) {
  const held = this[key]
  return held instanceof Uint8Array ? base64(held) : value
}

/** A global of browsers, Node and Workers alike. */
declare const btoa: (binary: string) => string

// Effect's module would bring its decoder to every client as well.
const base64 = (bytes: Uint8Array): string => {
  let binary = ""
  for (const byte of bytes) binary += String.fromCharCode(byte)
  return btoa(binary)
}

/** The value as JSON; `envelopes` are those that it is made of. */
const stringify = (value: unknown, envelopes: ReadonlyArray<Envelope>): string =>
  envelopes.some(({ payload, metadata }) => holdsBytes(payload) || holdsBytes(metadata))
    ? JSON.stringify(value, bytesAsBase64)
    : JSON.stringify(value)

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
  decode: (frame) => {
    if (typeof frame !== "string") {
      throw new UndecodableFrame({
        message: "this socket speaks JSON: send text frames, or offer signal-hub.msgpack",
      })
    }
    let value: unknown
    try {
      value = JSON.parse(frame)
    } catch {
      throw new UndecodableFrame({ message: "the frame is not JSON" })
    }
    return Array.isArray(value) ? value : [value]
  },
}
