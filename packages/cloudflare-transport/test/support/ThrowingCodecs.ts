/** Encoders that throw: at random, by a seed, or on what a test names. */
import { type Codec, type Envelope, JsonCodec } from "@signal-hub/actor-core"
import { MsgPackCodec } from "@signal-hub/actor-core/codec/msgpack"
import { vi } from "vitest"

/** Numbers in [0, 1) from a seed: mulberry32, public domain, by Tommy Ettinger. */
export const randomBySeed = (seed: number): (() => number) => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** From now on the codecs throw on each envelope that `throwsOn` says, in whatever frame it is. */
export const haveCodecsThrow = (
  throwsOn: (envelope: Envelope.Envelope) => boolean,
  codecs: ReadonlyArray<Codec> = [JsonCodec, MsgPackCodec],
): void => {
  for (const codec of codecs) {
    const { encode, encodeFor } = codec
    vi.spyOn(codec, "encode").mockImplementation((batch) => {
      for (const envelope of batch) if (throwsOn(envelope)) throw new TypeError("an encoder that throws")
      return encode(batch)
    })
    vi.spyOn(codec, "encodeFor").mockImplementation((envelope) => {
      if (throwsOn(envelope)) throw new TypeError("an encoder that throws")
      return encodeFor(envelope)
    })
  }
}
