/** A Durable Object whose actors use the bridge as their transport; here one that answers by hand. */
import { DurableObject } from "cloudflare:workers"
import type { Envelope } from "@signal-hub/actor-core"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import { BridgeTransport } from "../../src/bridge/BridgeTransport.ts"

export class Host extends DurableObject {
  readonly transport: BridgeTransport
  /** What came, with `from` as the transport gave it. */
  readonly came: Array<Envelope.Envelope> = []

  constructor(ctx: DurableObjectState, env: Cloudflare.Env) {
    super(ctx, env)
    this.transport = new BridgeTransport(ctx)
    const receive = this.transport.receive((envelope) => {
      this.came.push(envelope)
      if (envelope.pattern === "ask") this.answer(envelope)
    })
    // Open for as long as the object's memory lasts.
    Effect.runSync(Scope.provide(receive, Scope.makeUnsafe()))
  }

  answer({ id, from, to, payload }: Envelope.Envelope) {
    return this.transport.send({
      id: `answer-${id}`,
      from: to,
      to: from === "" ? to : from,
      type: "answer",
      payload,
      pattern: "tell",
      correlationId: id,
      timestamp: 0,
      metadata: {},
      ttl: null,
      signature: null,
    })
  }

  override fetch(request: Request): Response {
    return this.transport.bridge.upgrade(request)
  }

  override webSocketMessage(socket: WebSocket, frame: string | ArrayBuffer): void {
    this.transport.bridge.webSocketMessage(socket, frame)
  }

  override webSocketClose(socket: WebSocket, code: number, reason: string): void {
    this.transport.bridge.webSocketClose(socket, code, reason)
  }

  override webSocketError(socket: WebSocket): void {
    this.transport.bridge.webSocketError(socket)
  }
}
