/** Frames of the msgpack codec. Loaded when it is asked for. */
import { MsgPackCodec } from "@signal-hub/actor-core/codec/msgpack"
import type { FrameCodec, Part } from "./FrameCodec.ts"

/** A frame of one begins with the byte 0x91, an array of one; the rest is the envelope. */
const join = (parts: ReadonlyArray<Part>): Part => {
  if (parts.length === 1) return parts[0]!
  const list = parts as ReadonlyArray<Uint8Array>
  const frame = new Uint8Array(list.reduce((bytes, part) => bytes + part.length - 1, 5))
  frame[0] = 0xdd
  new DataView(frame.buffer).setUint32(1, list.length)
  let at = 5
  for (const part of list) {
    frame.set(part.subarray(1), at)
    at += part.length - 1
  }
  return frame
}

export const msgPackFrames: FrameCodec = {
  codec: MsgPackCodec,
  encode: (envelope) => MsgPackCodec.encode([envelope]),
  // The number is the last field, and `UNNUMBERED` takes the last four bytes.
  number: (part, seq) => {
    const bytes = part as Uint8Array
    new DataView(bytes.buffer, bytes.byteOffset).setUint32(bytes.length - 4, seq)
    return part
  },
  sizeOf: (part) => part.length,
  join,
}
