/**
 * Envelopes to frames, each envelope encoded once, when it is sent: its size is known then, and what
 * its sender changes later changes nothing. Encoded envelopes join into one frame without a second
 * encoding. The msgpack codec is loaded when it is asked for.
 */
import { Envelope, JsonCodec, type Codec } from "@signal-hub/actor-core/vocabulary"
import * as Effect from "effect/Effect"

/** One encoded envelope, which is a frame of one. */
export type Part = string | Uint8Array

export interface FrameCodec {
  readonly codec: Codec
  readonly encode: (envelope: Envelope.Envelope) => Part
  /** The envelope that was encoded, as its receiver will have it: nothing of its sender's is in it. */
  readonly decode: (part: Part) => Envelope.Envelope
  /** The part of an envelope whose `seq` is `UNNUMBERED`, with its number in that place: perhaps the same, changed. */
  readonly number: (part: Part, seq: number) => Part
  /** No fewer bytes than the part takes in a frame; exact where it matters, `limit` being near. */
  readonly sizeOf: (part: Part, limit: number) => number
  /** One frame of these, in order. At least one; all of the same codec. */
  readonly join: (parts: ReadonlyArray<Part>) => Part
}

/** Bytes that a frame of several envelopes has beside them: brackets or the head of the array. */
export const FRAME_OVERHEAD = 8

/** As `FrameCodec.decode`. */
export const decodeWith =
  (codec: Codec) =>
  (part: Part): Envelope.Envelope =>
    // Only what is an envelope is encoded.
    Envelope.check(codec.decode(part)[0]) as Envelope.Envelope

const json: FrameCodec = {
  codec: JsonCodec,
  encode: (envelope) => JsonCodec.encode([envelope]),
  decode: decodeWith(JsonCodec),
  number: (part, seq) => `${(part as string).slice(0, (part as string).lastIndexOf(":") + 1)}${seq}}`,
  sizeOf: (part, limit) => {
    const most = part.length * 3 + 1
    return most <= limit ? most : Envelope.utf8Length(part as string) + 1
  },
  join: (parts) => JsonCodec.join(parts),
}

/** Kept, as even a module that is there already takes long to import. */
let msgPack: FrameCodec | undefined

const loadMsgPack = async (): Promise<FrameCodec> =>
  (msgPack = (await import("./MsgPackFrames.ts")).msgPackFrames)

/** The codec by its name. */
export const loadFrameCodec = (name: "json" | "msgpack"): Effect.Effect<FrameCodec> => {
  const known = name === "json" ? json : msgPack
  return known === undefined ? Effect.promise(loadMsgPack) : Effect.succeed(known)
}
