/**
 * What waits for the next flush of a connection, as frames. An envelope that can't be encoded is left out and
 * told of: those beside it leave all the same.
 */
import { type Address, type Codec, Envelope } from "@signal-hub/actor-core"
import { frameBytes } from "../protocol/Frame.ts"

/** A frame of one envelope, encoded before it was put in line. */
export interface Encoded {
  /** The frame that holds the envelope alone, to this receiver. */
  readonly frameFor: (to: Address.Address, codec: Codec) => string | Uint8Array
  /** The bytes of a text frame that `frameFor` gave. */
  readonly utf8Length?: (frame: string) => number
}

/** One that was encoded for its one receiver, in the codec of that. */
export const encodedAs = (frame: string | Uint8Array): Encoded => ({ frameFor: () => frame })

/** Told of an envelope that can't be encoded, and of what its encoder threw. */
export type NotEncoded = (envelope: Envelope.Envelope, error: unknown) => void

/** The frame of one envelope; `undefined`: it can't be encoded. */
export const frameOf = (
  codec: Codec,
  envelope: Envelope.Envelope,
  encoded: Encoded | undefined,
  failed: NotEncoded,
): string | Uint8Array | undefined => {
  try {
    return encoded === undefined ? codec.encode([envelope]) : encoded.frameFor(envelope.to, codec)
  } catch (error) {
    failed(envelope, error)
    return undefined
  }
}

/**
 * The frames of a batch: one, or as many as it takes to keep each within `maxFrameBytes`. `encoded` has, at the
 * index of an envelope, the frame that it has already, if any.
 */
export const framesOf = (
  codec: Codec,
  batch: ReadonlyArray<Envelope.Envelope>,
  encoded: ReadonlyArray<Encoded | undefined>,
  maxFrameBytes: number,
  failed: NotEncoded,
): ReadonlyArray<string | Uint8Array> => {
  // Together is faster than one by one, where none is encoded yet.
  const together = encoded.length === 0 ? encodedTogether(codec, batch) : undefined
  if (together !== undefined && frameBytes(together, maxFrameBytes) <= maxFrameBytes) return [together]
  const frames: Array<string | Uint8Array> = []
  for (let i = 0; i < batch.length; i++) {
    const frame = frameOf(codec, batch[i]!, encoded[i], failed)
    if (frame !== undefined) frames.push(frame)
  }
  return joinWithin(codec, frames, maxFrameBytes)
}

const encodedTogether = (
  codec: Codec,
  batch: ReadonlyArray<Envelope.Envelope>,
): string | Uint8Array | undefined => {
  try {
    return codec.encode(batch)
  } catch {
    // Which of them it was is found one by one.
    return undefined
  }
}

/** Joins frames of one envelope each, in order, as many in each as are within the limit; one alone may be larger. */
const joinWithin = (
  codec: Codec,
  frames: ReadonlyArray<string | Uint8Array>,
  maxFrameBytes: number,
): ReadonlyArray<string | Uint8Array> => {
  const joined: Array<string | Uint8Array> = []
  for (let from = 0, to = 0; from < frames.length; from = to) {
    to = endOfJoin(frames, from, maxFrameBytes)
    joined.push(codec.join(from === 0 && to === frames.length ? frames : frames.slice(from, to)))
  }
  return joined
}

/** Bytes that a frame of several has beside them: brackets, or the header of the array. */
const OVERHEAD = 5

/** The end of the longest run from there on that fits within one frame: one at least. */
export const endOfJoin = (
  frames: ReadonlyArray<string | Uint8Array>,
  from: number,
  maxFrameBytes: number,
): number => {
  let most = OVERHEAD
  // A character is 3 bytes at most; of each two texts there is a comma between.
  for (let i = from; i < frames.length; i++) most += frames[i]!.length * 3 + 1
  if (most <= maxFrameBytes) return frames.length
  let bytes = OVERHEAD
  let to = from
  while (to < frames.length) {
    bytes += sizeOf(frames[to]!) + 1
    if (to > from && bytes > maxFrameBytes) break
    to++
  }
  return to
}

/** The frame's bytes. */
export const sizeOf = (frame: string | Uint8Array): number =>
  typeof frame === "string" ? Envelope.utf8Length(frame) : frame.length
