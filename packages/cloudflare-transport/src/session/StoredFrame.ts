/**
 * Envelopes as a row holds them: a frame of either codec, and never larger than a database takes. Cloudflare's
 * takes rows of 2 MB: https://developers.cloudflare.com/durable-objects/platform/limits/
 */
import { type Codec, Envelope, JsonCodec } from "@signal-hub/actor-core"
import { MsgPackCodec } from "@signal-hub/actor-core/codec/msgpack"
import { frameBytes } from "../protocol/Frame.ts"
import { endOfJoin, sizeOf } from "./OutgoingFrames.ts"

/** A frame as the database gives it. */
export type StoredFrame = string | ArrayBuffer | Uint8Array

/** Bytes of what several envelopes share a row in. */
const MAX_SHARED_ROW_BYTES = 1_048_576
/** Bytes of a frame that a row takes, beside its other columns. */
const MAX_ROW_BYTES = 2_000_000

const codecOf = (frame: StoredFrame): Codec => (typeof frame === "string" ? JsonCodec : MsgPackCodec)

/** Whether the frame can be a row as it is. */
export const isRow = (frame: string | Uint8Array): boolean =>
  frameBytes(frame, MAX_SHARED_ROW_BYTES) <= MAX_SHARED_ROW_BYTES

/**
 * The frame, or the same in the other codec where it is too large and that is smaller. In the codec in which an
 * envelope was sent it is hardly larger than a frame may be; in the other it may be six times as large. Throws
 * where no row takes it.
 */
export const asRow = (
  envelopes: ReadonlyArray<Envelope.Envelope>,
  frame: string | Uint8Array,
): string | Uint8Array => {
  if (isRow(frame)) return frame
  const other = (codecOf(frame) === JsonCodec ? MsgPackCodec : JsonCodec).encode(envelopes)
  const row = sizeOf(other) < sizeOf(frame) ? other : frame
  if (sizeOf(row) > MAX_ROW_BYTES)
    throw new RangeError(`it is larger than a row takes, ${MAX_ROW_BYTES} bytes`)
  return row
}

/** The frame of one or more envelopes, and the same as a row takes it. */
export interface Framed {
  readonly frame: string | Uint8Array
  readonly row: string | Uint8Array
}

/** The envelope as a frame and as a row. Throws what its encoder throws, and where no row takes it. */
export const framed = (envelope: Envelope.Envelope, codec: Codec): Framed => {
  const frame = codec.encode([envelope])
  return { frame, row: asRow([envelope], frame) }
}

/** The same of several. None of them is encoded again. */
export const joined = (batch: ReadonlyArray<Framed>, codec: Codec): Framed => {
  if (batch.length === 1) return batch[0]!
  const frame = codec.join(batch.map((one) => one.frame))
  return { frame, row: frame }
}

/** The end of the longest run from there on that shares a row. */
export const endOfRow = (batch: ReadonlyArray<Framed>, from: number): number => {
  return endOfJoin(
    batch.map(({ frame }) => frame),
    from,
    MAX_SHARED_ROW_BYTES,
  )
}

/** What the row holds. It was checked when it came, from whomever: now it only gets its shape back. */
export const readRow = (frame: StoredFrame): ReadonlyArray<Envelope.Envelope> =>
  codecOf(frame)
    .decode(typeof frame === "string" ? frame : new Uint8Array(frame))
    .map((value) => Envelope.check(value) as Envelope.Envelope)
