/** A transport whose other end is the test: it sees what is sent, and says what arrives. */
import * as Effect from "effect/Effect"
import { check, Malformed, type Envelope } from "../../src/Envelope.ts"
import type { Address } from "../../src/Address.ts"
import type { Receiver, Transport, TransportError } from "../../src/Transport.ts"

export class ScriptedTransport implements Transport {
  readonly guardsAnswers: boolean
  readonly sent: Array<Envelope> = []
  /** What the next sends are refused with, for as long as it is set. */
  refusal: ((envelope: Envelope) => TransportError | undefined) | undefined
  /** How actors elsewhere are watched; absent: they can't be. */
  declare watch?: NonNullable<Transport["watch"]>
  /** The addresses that it is for; all by default. */
  reaches: (address: Address) => boolean = () => true
  /** Present where it keeps what is not taken. */
  declare served?: NonNullable<Transport["served"]>
  #receiver: Receiver | undefined

  constructor(guardsAnswers = false) {
    this.guardsAnswers = guardsAnswers
  }

  readonly send: Transport["send"] = (envelope) => {
    const refused = this.refusal?.(envelope)
    if (refused === undefined) this.sent.push(envelope)
    return refused
  }

  readonly receive: Transport["receive"] = (receiver) =>
    Effect.acquireRelease(
      Effect.sync(() => void (this.#receiver = receiver)),
      () => Effect.sync(() => void (this.#receiver = undefined)),
    )

  readonly register: Transport["register"] = () => Effect.void

  /**
   * What arrives, with the fields that the test is not about filled in; a last time where it is `isUnclaimed`.
   * `false` where it was not taken.
   */
  arrive(fields: Partial<Envelope> & Pick<Envelope, "type">, isUnclaimed?: boolean): boolean | void {
    const envelope = check({
      id: "in-1",
      from: "@(node/peer)",
      to: "@(node/greeter)",
      pattern: "tell",
      timestamp: 0,
      ...fields,
    })
    if (envelope instanceof Malformed) throw new Error(envelope.reason)
    return this.#receiver?.(envelope, isUnclaimed)
  }
}
