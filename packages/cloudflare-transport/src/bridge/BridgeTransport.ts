/**
 * The bridge as the transport of an actor system that lives in the same Durable Object. Each client is
 * an address, `@(session/<connection id>)`, which it can't choose; whatever it sends comes from there.
 *
 * For objects that host their own actors and need no hub: no sessions, no registry, no takeover. What
 * the system holds in memory is gone when the object hibernates; clients' connections are not.
 */
import { type Address, Envelope, PayloadValue, type Transport, TransportError } from "@signal-hub/actor-core"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { errorEnvelope } from "../protocol/HubEnvelope.ts"
import { provisionalAddress } from "../protocol/HubMessage.ts"
import type { Connection } from "../session/Connection.ts"
import { encodedAs } from "../session/OutgoingFrames.ts"
import { type BridgeLimits, WebSocketBridge } from "./WebSocketBridge.ts"

const CLIENT_PREFIX = "@(session/"

export class BridgeTransport implements Transport {
  /** The sockets. Give it the object's upgrades and its `webSocket…` events. */
  readonly bridge: WebSocketBridge
  #receiver: ((envelope: Envelope.Envelope) => void) | undefined
  #flushing = false

  constructor(ctx: DurableObjectState, limits?: BridgeLimits) {
    const handler = {
      opened: (connection: Connection): void => {
        connection.state = "connected"
        connection.save()
      },
      received: (connection: Connection, envelope: Envelope.Envelope): void =>
        this.#received(connection, envelope),
      addressOf: ({ id }: Connection) => provisionalAddress(id),
      closed: (): void => {},
      violated: (): void => {},
      failed: (error: unknown): void => console.error(error),
      // What is sent here is encoded before.
      notEncoded: (_: Connection, { id }: Envelope.Envelope, error: unknown): void =>
        console.error(`message ${id} could not be encoded`, error),
    }
    this.bridge = new WebSocketBridge(ctx, handler, limits)
  }

  /** Sends to a client. One that is gone is unknown for ever: its address is never given again. */
  send(envelope: Envelope.Envelope): TransportError | undefined {
    const connection = envelope.to.startsWith(CLIENT_PREFIX)
      ? this.bridge.connection(envelope.to.slice(CLIENT_PREFIX.length, -1))
      : undefined
    if (connection === undefined) {
      const message = `no client is connected at ${envelope.to}`
      return new TransportError({ reason: "refused", code: "unknown_actor", message })
    }
    const { payload } = envelope
    const measured = PayloadValue.measure(payload)
    if (measured instanceof PayloadValue.UnsupportedValue) {
      const { message } = measured
      return new TransportError({ reason: "refused", code: "invalid_message", message })
    }
    // Without sessions nothing has a number.
    const volatile = Envelope.unnumbered(envelope)
    let frame: string | Uint8Array
    try {
      // Now, though it leaves when the turn is over: what its sender changes until then must not show.
      frame = connection.codec.encode([volatile])
    } catch (error) {
      const message = `the message can't be encoded: ${String(error)}`
      return new TransportError({ reason: "refused", code: "invalid_message", message })
    }
    connection.send(volatile, encodedAs(frame))
    this.#flushSoon()
    return undefined
  }

  receive(receiver: (envelope: Envelope.Envelope) => void): Effect.Effect<void, never, Scope.Scope> {
    const attach = Effect.sync(() => void (this.#receiver = receiver))
    return Effect.acquireRelease(attach, () => Effect.sync(() => void (this.#receiver = undefined)))
  }

  /** The system's actors are reached by every client at once: there is nobody to tell. */
  register(_address: Address.Address): Effect.Effect<void> {
    return Effect.void
  }

  #received(connection: Connection, envelope: Envelope.Envelope): void {
    const from = provisionalAddress(connection.id)
    if (envelope.type.startsWith("hub:")) {
      const message = `there is no hub here that knows "${envelope.type}"`
      connection.send(errorEnvelope(null, from, "unknown_type", message, Date.now(), envelope.id))
    } else this.#receiver?.({ ...envelope, from })
  }

  /** What the system sends in one turn leaves in one frame a client. */
  #flushSoon(): void {
    if (this.#flushing) return
    this.#flushing = true
    queueMicrotask(() => {
      this.#flushing = false
      this.bridge.flush()
    })
  }
}
