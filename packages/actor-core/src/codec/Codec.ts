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

/** How much a frame holds. */
export interface FrameMeasure {
  /** Objects, arrays, strings, numbers, booleans, nulls, byte strings and extensions. Keys are none. */
  readonly values: number
  /** Levels of nesting of the deepest envelope, the envelope itself being level 1. Beyond the limit: a number beyond it. */
  readonly depth: number
}

export interface Codec {
  /** The WebSocket subprotocol that names it. */
  readonly subprotocol: string
  /**
   * One frame that holds these envelopes, in order. Throws `UnsupportedValue` where a payload or metadata
   * holds what no codec can carry, and never at what came out of `decode` and passed `Envelope.check`.
   */
  readonly encode: (batch: ReadonlyArray<Envelope>) => string | Uint8Array
  /**
   * The frames of one envelope for many receivers, which differ in `to` alone: encoded once, then
   * completed for each. Throws as `encode` does, and what it returns never throws.
   */
  readonly encodeFor: (envelope: Envelope) => (to: Address) => string | Uint8Array
  /** The frame of a batch, made of the frames of its envelopes: no value in them is looked at again. */
  readonly join: (frames: ReadonlyArray<string | Uint8Array>) => string | Uint8Array
  /**
   * What the frame holds, found in one linear pass that makes nothing of it. Throws `UndecodableFrame` where it
   * notices that the frame is not of the codec's form; `decode` notices the rest.
   */
  readonly measure: (frame: string | Uint8Array) => FrameMeasure
  /**
   * The values that the frame holds, in order, each to be judged alone by `Envelope.check`: it rejects those
   * that hold what no payload may. Throws `UndecodableFrame`.
   */
  readonly decode: (frame: string | Uint8Array) => ReadonlyArray<unknown>
}

/** What the application gave these envelopes to carry, by name. */
export const contentsOf = (
  envelopes: ReadonlyArray<Envelope>,
): ReadonlyArray<readonly [name: string, value: unknown]> =>
  envelopes.flatMap(({ metadata, payload }) => [
    ["payload", payload] as const,
    ["metadata", metadata] as const,
  ])
