/** The JSON codec: a text frame that holds one envelope as an object, or an array of envelopes. */
import type { Envelope } from "../Envelope.ts"
import { UndecodableFrame, type Codec } from "./Codec.ts"

/** The JSON codec. A batch of one is a plain object, which a peer without batches can read too. */
export const JsonCodec: Codec = {
  subprotocol: "signal-hub.json",
  encode: (batch: ReadonlyArray<Envelope>) => JSON.stringify(batch.length === 1 ? batch[0] : batch),
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
