/**
 * The msgpack codec: a binary frame that holds an array of envelopes, each an array of its fields by
 * position, what is absent at the end left out:
 * `[id, from, to, type, pattern (0 tell, 1 ask), timestamp, payload, correlationId, metadata, ttl,
 * signature, seq]`; `from` null where the sender leaves it to the server, `metadata` null for `{}`.
 */
import type { Envelope } from "../Envelope.ts"
import { rejectionOf } from "../PayloadValue.ts"
import { contentsOf, UndecodableFrame, type Codec } from "./Codec.ts"
import { measureMsgPack } from "./measureMsgPack.ts"
import * as MsgPack from "./MsgPack.ts"

/** A value as frames hold it, with its bytes and dates. Throws `UnsupportedValue` at what no payload may hold. */
export const pack: (value: unknown, name?: string) => Uint8Array = MsgPack.pack

/** What `pack` was given. Throws where the bytes are none that `pack` made. */
export const unpack: (packed: Uint8Array) => unknown = MsgPack.unpack

/** The level of payload and metadata in a frame: in a field of an envelope of the batch. */
const FIELD_LEVEL = 2

/** Writes the envelope as it is for this receiver. Returns how many bytes came before `to`. */
const writeEnvelope = (e: Envelope, to: string): number => {
  const metadata = isEmpty(e.metadata) ? null : e.metadata
  const length = fieldsOf(e, metadata !== null)
  MsgPack.writeArrayHead(length)
  MsgPack.write(e.id, FIELD_LEVEL)
  MsgPack.write(e.from === "" ? null : e.from, FIELD_LEVEL)
  const beforeTo = MsgPack.countWritten()
  MsgPack.write(to, FIELD_LEVEL)
  MsgPack.write(e.type, FIELD_LEVEL)
  MsgPack.write(e.pattern === "ask" ? 1 : 0, FIELD_LEVEL)
  MsgPack.write(e.timestamp, FIELD_LEVEL)
  MsgPack.write(e.payload, FIELD_LEVEL)
  if (length > 7) MsgPack.write(e.correlationId, FIELD_LEVEL)
  if (length > 8) MsgPack.write(metadata, FIELD_LEVEL)
  if (length > 9) MsgPack.write(e.ttl, FIELD_LEVEL)
  if (length > 10) MsgPack.write(e.signature, FIELD_LEVEL)
  if (length > 11) MsgPack.write(e.seq, FIELD_LEVEL)
  return beforeTo
}

/** How many fields the envelope needs. */
const fieldsOf = (e: Envelope, hasMetadata: boolean): number => {
  if (e.seq !== undefined) return 12
  if (e.signature !== null) return 11
  if (e.ttl !== null) return 10
  if (hasMetadata) return 9
  return e.correlationId === null ? 7 : 8
}

const isEmpty = (metadata: object): boolean => {
  for (const _ in metadata) return false
  return true
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

const bytesOf = (frame: string | Uint8Array): Uint8Array => {
  if (typeof frame !== "string") return frame
  throw new UndecodableFrame({
    message: "this socket speaks msgpack: send binary frames, or offer signal-hub.json",
  })
}

/** The header of an array of so many. */
const arrayHeader = (length: number): ReadonlyArray<number> => {
  if (length < 16) return [0x90 | length]
  const low = [(length >> 8) & 0xff, length & 0xff]
  return length < 65_536 ? [0xdc, ...low] : [0xdd, length >>> 24, (length >> 16) & 0xff, ...low]
}

/** Joins frames of one envelope each: of the array of one that each is, the header is a byte. */
const join = (frames: ReadonlyArray<Uint8Array>): Uint8Array => {
  if (frames.length === 1) return frames[0]!
  const header = arrayHeader(frames.length)
  let length = header.length - frames.length
  for (const frame of frames) length += frame.length
  const joined = new Uint8Array(length)
  joined.set(header)
  let at = header.length
  for (const frame of frames) {
    joined.set(frame.subarray(1), at)
    at += frame.length - 1
  }
  return joined
}

/** The msgpack codec. */
export const MsgPackCodec: Codec = {
  subprotocol: "signal-hub.msgpack",
  encode: (batch) => {
    const outer = MsgPack.begin()
    try {
      MsgPack.writeArrayHead(batch.length)
      for (const envelope of batch) writeEnvelope(envelope, envelope.to)
      return MsgPack.bytesWritten()
    } catch (cause) {
      throw rejectionOf(contentsOf(batch), cause)
    } finally {
      MsgPack.end(outer)
    }
  },
  encodeFor: (envelope) => {
    let at: number
    let whole: Uint8Array
    const outer = MsgPack.begin()
    try {
      MsgPack.writeArrayHead(1)
      at = writeEnvelope(envelope, "")
      whole = MsgPack.bytesWritten()
    } catch (cause) {
      throw rejectionOf(contentsOf([envelope]), cause)
    } finally {
      MsgPack.end(outer)
    }
    const before = whole.slice(0, at)
    // The empty string is one byte.
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
  measure: (frame) => measureMsgPack(bytesOf(frame)),
  join: (frames) => join(frames as ReadonlyArray<Uint8Array>),
  decode: (frame) => {
    const bytes = bytesOf(frame)
    let value: unknown
    try {
      value = MsgPack.unpack(bytes)
    } catch {
      throw new UndecodableFrame({ message: "the frame is not msgpack" })
    }
    if (!Array.isArray(value))
      throw new UndecodableFrame({ message: "the frame does not hold an array of envelopes" })
    return value.map(fromPositional)
  },
}
