/** One envelope for many receivers, whose copies differ in `to` alone: encoded once for each codec. */
import { type Address, type Codec, Envelope, JsonCodec } from "@signal-hub/actor-core"
import { MsgPackCodec } from "@signal-hub/actor-core/codec/msgpack"
import type { Encoded } from "./OutgoingFrames.ts"

/** Those that a receiver may have chosen. */
const CODECS: ReadonlyArray<Codec> = [JsonCodec, MsgPackCodec]

export class Multicast implements Encoded {
  readonly #envelope: Envelope.Envelope
  readonly #encoders = new Map<Codec, (to: Address.Address) => string | Uint8Array>()

  /** Bytes that a text frame has beyond its characters: addresses have none. */
  #beyond: number | undefined

  constructor(envelope: Envelope.Envelope) {
    this.#envelope = envelope
  }

  /** The copy for this receiver. */
  copyFor(to: Address.Address): Envelope.Envelope {
    return { ...this.#envelope, to }
  }

  /**
   * Encodes it for receivers of every codec. Throws what an encoder throws: after this none can for any copy, so
   * that all receivers get theirs, or none does.
   */
  prepare(): this {
    for (const codec of CODECS) this.#encoderOf(codec)
    return this
  }

  /** The frame that holds the copy for this receiver alone. */
  frameFor(to: Address.Address, codec: Codec): string | Uint8Array {
    return this.#encoderOf(codec)(to)
  }

  #encoderOf(codec: Codec): (to: Address.Address) => string | Uint8Array {
    let encode = this.#encoders.get(codec)
    if (encode === undefined) this.#encoders.set(codec, (encode = codec.encodeFor(this.#envelope)))
    return encode
  }

  /** The bytes of one of its text frames, counted once for all. */
  utf8Length(frame: string): number {
    this.#beyond ??= Envelope.utf8Length(frame) - frame.length
    return frame.length + this.#beyond
  }
}
