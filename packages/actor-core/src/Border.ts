/**
 * The border of a process: what leaves it and what arrives. A system without transports has none, and
 * for it every address that is not here is unknown; a local one carries nothing of this.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import type { ActorCell } from "./ActorCell.ts"
import type { Ended, Target } from "./Asking.ts"
import { Asks } from "./Asks.ts"
import type { Address } from "./Address.ts"
import type { Reason } from "./DeadLetters.ts"
import { type Envelope, type Metadata, NO_METADATA, reliably } from "./Envelope.ts"
import { forward } from "./Forward.ts"
import { receive } from "./Inbound.ts"
import { type Answer, type Message, senderAddress } from "./Message.ts"
import { messageId } from "./MessageId.ts"
import { measure, UnsupportedValue } from "./PayloadValue.ts"
import type * as Protocol from "./Protocol.ts"
import { RemoteAsk } from "./RemoteAsk.ts"
import type { Runtime } from "./Runtime.ts"
import { RemoteStream } from "./RemoteStream.ts"
import * as Schemas from "./Schemas.ts"
import type { StreamIntake } from "./StreamIntake.ts"
import type { StreamProducer } from "./StreamProducer.ts"
import { type Transport, TransportError } from "./Transport.ts"

export class Border {
  readonly runtime: Runtime
  readonly transports: ReadonlyArray<Transport>
  readonly asks = new Asks()
  /** What answers the asks from elsewhere that are answered by a stream. */
  readonly streams = new WeakMap<Message, StreamProducer>()

  constructor(runtime: Runtime, transports: ReadonlyArray<Transport>) {
    this.runtime = runtime
    this.transports = transports
  }

  /** Takes in what arrives, until the scope closes. */
  readonly open: Effect.Effect<void, never, Scope.Scope> = Effect.suspend(() =>
    Effect.forEach(
      this.transports,
      (transport) =>
        transport.receive((envelope, isUnclaimed) => {
          if (isUnclaimed !== true) return receive(this, transport, envelope)
          this.runtime.dead("unclaimed", envelope)
          return true
        }),
      { discard: true },
    ),
  )

  /** An actor begins at this address, or at any of several: transports may have kept envelopes for it. */
  served(address?: Address): void {
    for (const transport of this.transports) transport.served?.(address)
  }

  /** Makes the actor reachable through every transport, until the scope closes. */
  register(cell: ActorCell): Effect.Effect<void, TransportError, Scope.Scope> {
    const { register } = cell.options
    const options = typeof register === "object" ? register : undefined
    return Effect.forEach(this.transports, (transport) => transport.register(cell.address, options), {
      discard: true,
    })
  }

  /** The first transport that is for this address. */
  transportTo(address: Address): Transport | undefined {
    return this.transports.find((transport) => transport.reaches?.(address) ?? true)
  }

  /** Hands the envelope to a transport, and says to which, or why none took it. */
  transmit(envelope: Envelope): Transport | TransportError {
    // Of the payload its schema has made what may leave; metadata come from the sender as they are.
    const { metadata } = envelope
    const measured = metadata === NO_METADATA ? undefined : measure(metadata, { name: "metadata" })
    if (measured instanceof UnsupportedValue) {
      return new TransportError({ reason: "refused", code: "invalid_message", message: measured.message })
    }
    let refusal: TransportError | undefined
    for (const transport of this.transports) {
      if (transport.reaches?.(envelope.to) === false) continue
      const error = transport.send(envelope)
      if (error === undefined) return transport
      refusal = error
      if (error.code !== "unknown_actor") break
    }
    const message = `no transport is for ${envelope.to}`
    return refusal ?? new TransportError({ reason: "refused", code: "unknown_actor", message })
  }

  /** Why the message did not leave, or `undefined`; where it did not, it is a dead letter. */
  tell(
    protocol: Protocol.Any,
    to: Address,
    message: Message,
    metadata: Metadata = message.metadata,
  ): Reason | undefined {
    const { runtime } = this
    const encoded = Schemas.encodePayload(protocol, message.name, message.payload)
    if (Result.isFailure(encoded)) {
      runtime.deadMessage("invalid_payload", to, message)
      return "invalid_payload"
    }
    const volatile = runtime.envelope({
      id: (message.id ??= messageId()),
      from: senderAddress(message.sender) ?? "",
      to,
      type: message.name,
      payload: encoded.success,
      pattern: "tell",
      metadata,
      ttl: runtime.remaining(message.deadline),
    })
    const envelope = message.reliable ? reliably(volatile) : volatile
    if (!(this.transmit(envelope) instanceof TransportError)) return undefined
    runtime.dead("undeliverable", envelope)
    return "undeliverable"
  }

  /** Asks; what is returned is called to give it up. */
  ask(
    target: Target,
    name: string,
    payload: unknown,
    metadata: Metadata,
    millis: number,
    ended: Ended,
  ): Effect.Effect<void> {
    const asking = new RemoteAsk(this, target, name, millis, ended)
    asking.begin(payload, metadata)
    return asking.giveUp
  }

  /** Asks for a stream. */
  stream(
    target: Target,
    name: string,
    payload: unknown,
    metadata: Metadata,
    millis: number | null,
    window: number,
  ): StreamIntake {
    const intake = new RemoteStream(this, target, name, millis, window)
    intake.ask(payload, metadata)
    return intake
  }

  /** Hands on a message that an actor has begun to handle to one elsewhere. */
  forward(from: ActorCell, message: Message, answer: Answer | null, to: Address): void {
    forward(this, from, message, answer, to)
  }
}
