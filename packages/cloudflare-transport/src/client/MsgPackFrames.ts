/** Frames of the msgpack codec. Loaded when it is asked for. */
import { MsgPackCodec } from "@signal-hub/actor-core/codec/msgpack"
import { decodeWith, type FrameCodec } from "./FrameCodec.ts"

export const msgPackFrames: FrameCodec = {
  codec: MsgPackCodec,
  encode: (envelope) => MsgPackCodec.encode([envelope]),
  decode: decodeWith(MsgPackCodec),
  // The number is the last field, and `UNNUMBERED` takes the last four bytes.
  number: (part, seq) => {
    const bytes = part as Uint8Array
    new DataView(bytes.buffer, bytes.byteOffset).setUint32(bytes.length - 4, seq)
    return part
  },
  sizeOf: (part) => part.length,
  join: (parts) => MsgPackCodec.join(parts),
}
