/**
 * The msgpack codec: a binary frame that holds an array of envelopes, each an array of its fields by
 * position, what is absent at the end left out:
 * `[id, from, to, type, pattern (0 tell, 1 ask), timestamp, payload, correlationId, metadata, ttl,
 * signature, seq]`; `from` null where the sender leaves it to the server, `metadata` null for `{}`.
 *
 * Records and shared structures of msgpackr are off: they need `new Function`, which Workers refuse,
 * and state between frames, which hibernation loses.
 */
import { Packr } from "msgpackr/index-no-eval"
import type { Envelope } from "../Envelope.ts"
import { UndecodableFrame, type Codec } from "./Codec.ts"

const packr = new Packr({ useRecords: false, int64AsType: "number", structuredClone: false })

/** Any plain value as frames hold it, with its bytes and dates. */
export const pack = (value: unknown): Uint8Array => packr.pack(value)

/** What `pack` was given. */
export const unpack = (packed: Uint8Array): unknown => packr.unpack(packed)

const toPositional = (e: Envelope): ReadonlyArray<unknown> => {
  let hasMetadata = false
  for (const _ in e.metadata) {
    hasMetadata = true
    break
  }
  const fields: Array<unknown> = [
    e.id,
    e.from === "" ? null : e.from,
    e.to,
    e.type,
    e.pattern === "ask" ? 1 : 0,
    e.timestamp,
    e.payload,
  ]
  if (e.seq !== undefined)
    fields.push(e.correlationId, hasMetadata ? e.metadata : null, e.ttl, e.signature, e.seq)
  else if (e.signature !== null)
    fields.push(e.correlationId, hasMetadata ? e.metadata : null, e.ttl, e.signature)
  else if (e.ttl !== null) fields.push(e.correlationId, hasMetadata ? e.metadata : null, e.ttl)
  else if (hasMetadata) fields.push(e.correlationId, e.metadata)
  else if (e.correlationId !== null) fields.push(e.correlationId)
  return fields
}

const fromPositional = (f: unknown): unknown =>
  Array.isArray(f)
    ? {
        id: f[0],
        from: f[1],
        to: f[2],
        type: f[3],
        pattern: f[4] === 1 ? "ask" : f[4] === 0 ? "tell" : f[4],
        timestamp: f[5],
        payload: f[6],
        correlationId: f[7],
        metadata: f[8],
        ttl: f[9],
        signature: f[10],
        seq: f[11] ?? undefined,
      }
    : f

/** Most frames that share one allocation. */
const FRAMES_A_BLOCK = 64

/**
 * Gives room for frames of about one size, many from one allocation: a buffer of its own for each would
 * cost more than what is written to it. The blocks grow, so that a few frames don't pay for many.
 */
const roomFor = (): ((length: number) => Uint8Array) => {
  let block = new Uint8Array(0)
  let used = 0
  let frames = 1
  return (length) => {
    if (used + length > block.length) {
      block = new Uint8Array(length * frames)
      used = 0
      frames = Math.min(frames * 2, FRAMES_A_BLOCK)
    }
    return block.subarray(used, (used += length))
  }
}

/** The msgpack codec. */
export const MsgPackCodec: Codec = {
  subprotocol: "signal-hub.msgpack",
  encode: (batch) => packr.pack(batch.length === 1 ? [toPositional(batch[0]!)] : batch.map(toPositional)),
  encodeFor: (envelope) => {
    const fields = toPositional(envelope).with(2, "")
    const whole = packr.pack([fields])
    // Two arrays of less than 16 begin with a byte each; the empty string is one byte.
    const at = 2 + packr.pack(fields[0]).length + packr.pack(fields[1]).length
    const before = whole.slice(0, at)
    const after = whole.slice(at + 1)
    const room = roomFor()
    return (to) => {
      const { length } = to
      const header = length < 32 ? 1 : length < 256 ? 2 : 3
      const frame = room(before.length + header + length + after.length)
      frame.set(before)
      // The three forms of a string of so many bytes; of an address, characters are bytes.
      if (header === 1) frame[at] = 0xa0 | length
      else if (header === 2) frame.set([0xd9, length], at)
      else frame.set([0xda, length >> 8, length & 0xff], at)
      for (let i = 0; i < length; i++) frame[at + header + i] = to.charCodeAt(i)
      frame.set(after, at + header + length)
      return frame
    }
  },
  decode: (frame) => {
    if (typeof frame === "string") {
      throw new UndecodableFrame({
        message: "this socket speaks msgpack: send binary frames, or offer signal-hub.json",
      })
    }
    let value: unknown
    try {
      value = packr.unpack(frame)
    } catch {
      throw new UndecodableFrame({ message: "the frame is not msgpack" })
    }
    if (!Array.isArray(value))
      throw new UndecodableFrame({ message: "the frame does not hold an array of envelopes" })
    return value.map(fromPositional)
  },
}
