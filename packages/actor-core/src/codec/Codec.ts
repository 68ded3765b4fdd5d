/**
 * What a codec is: batches of envelopes to one frame and back. Frames are self-contained, as sockets
 * outlive the memory of the object that holds them.
 */
import * as Data from "effect/Data"
import type { Address } from "../Address.ts"
import type { Envelope } from "../Envelope.ts"

/** A frame that is not of the codec's form. */
export class UndecodableFrame extends Data.TaggedError("UndecodableFrame")<{
  readonly message: string
}> {}

export interface Codec {
  /** The WebSocket subprotocol that names it. */
  readonly subprotocol: string
  /** One frame that holds these envelopes, in order. */
  readonly encode: (batch: ReadonlyArray<Envelope>) => string | Uint8Array
  /**
   * The frames of one envelope for many receivers, which differ in `to` alone: encoded once, then
   * completed for each.
   */
  readonly encodeFor: (envelope: Envelope) => (to: Address) => string | Uint8Array
  /**
   * The values that the frame holds, in order, each to be judged alone by `Envelope.check`.
   * Throws `UndecodableFrame`.
   */
  readonly decode: (frame: string | Uint8Array) => ReadonlyArray<unknown>
}
