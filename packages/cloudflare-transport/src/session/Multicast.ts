/** One envelope for many receivers, whose copies differ in `to` alone: encoded once for each codec. */
import { type Address, type Codec, Envelope } from "@signal-hub/actor-core"

export class Multicast {
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

  /** The frame that holds the copy for this receiver alone. */
  frameFor(to: Address.Address, codec: Codec): string | Uint8Array {
    let encode = this.#encoders.get(codec)
    if (encode === undefined) this.#encoders.set(codec, (encode = codec.encodeFor(this.#envelope)))
    return encode(to)
  }

  /** The bytes of one of its text frames, counted once for all. */
  utf8Length(frame: string): number {
    this.#beyond ??= Envelope.utf8Length(frame) - frame.length
    return frame.length + this.#beyond
  }
}
