/**
 * Envelopes as a row holds them: a frame of either codec, and never larger than a database takes. Cloudflare's
 * takes rows of 2 MB: https://developers.cloudflare.com/durable-objects/platform/limits/
 */
import { type Codec, Envelope, JsonCodec } from "@signal-hub/actor-core"
import { MsgPackCodec } from "@signal-hub/actor-core/codec/msgpack"
import { frameBytes } from "../protocol/Frame.ts"

/** A frame as the database gives it. */
export type StoredFrame = string | ArrayBuffer | Uint8Array

/** Bytes of what several envelopes share a row in. */
const MOST_ROW_BYTES = 1_048_576

const codecOf = (frame: StoredFrame): Codec => (typeof frame === "string" ? JsonCodec : MsgPackCodec)

/** Whether the frame can be a row as it is. */
export const isRow = (frame: string | Uint8Array): boolean =>
  frameBytes(frame, MOST_ROW_BYTES) <= MOST_ROW_BYTES

/**
 * The frame, or the same in the other codec where it is too large and that is smaller. In the codec in which an
 * envelope was sent it is hardly larger than a frame may be; in the other it may be six times as large.
 */
export const asRow = (
  envelopes: ReadonlyArray<Envelope.Envelope>,
  frame: string | Uint8Array,
): string | Uint8Array => {
  if (isRow(frame)) return frame
  const other = (codecOf(frame) === JsonCodec ? MsgPackCodec : JsonCodec).encode(envelopes)
  return sizeOf(other) < sizeOf(frame) ? other : frame
}

const sizeOf = (frame: string | Uint8Array): number =>
  typeof frame === "string" ? Envelope.utf8Length(frame) : frame.length

/** What the row holds. It was checked when it came, from whomever: now it only gets its shape back. */
export const readRow = (frame: StoredFrame): ReadonlyArray<Envelope.Envelope> =>
  codecOf(frame)
    .decode(typeof frame === "string" ? frame : new Uint8Array(frame))
    .map((value) => Envelope.check(value) as Envelope.Envelope)
