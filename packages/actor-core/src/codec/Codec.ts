/**
 * What a codec is: batches of envelopes to one frame and back. Frames are self-contained, as sockets
 * outlive the memory of the object that holds them.
 */
import * as Schema from "effect/Schema"
import type { Envelope } from "../Envelope.ts"

/** A frame that is not of the codec's form. */
export class UndecodableFrame extends Schema.TaggedError<UndecodableFrame>()("UndecodableFrame", {
  message: Schema.String,
}) {}

export interface Codec {
  /** The WebSocket subprotocol that names it. */
  readonly subprotocol: string
  /** One frame that holds these envelopes, in order. */
  readonly encode: (batch: ReadonlyArray<Envelope>) => string | Uint8Array
  /**
   * The values that the frame holds, in order, each to be judged alone by `Envelope.check`.
   * Throws `UndecodableFrame`.
   */
  readonly decode: (frame: string | Uint8Array) => ReadonlyArray<unknown>
}
