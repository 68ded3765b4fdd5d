/**
 * A Durable Object that hosts actors of its own behind `WebSocketBridge`, without a hub: a counter that
 * every client of a room shares. Clients speak plain envelopes; `{"type":"PING"}` is answered.
 */
import { ActorSystem, Address, Envelope, Protocol } from "@signal-hub/actor-core"
import { BridgeTransport } from "@signal-hub/cloudflare-transport"
import { DurableObject } from "cloudflare:workers"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"

const COUNTER = Address.make("room", "counter")

const Counter = Protocol.make("counter", {
  add: Protocol.ask({ payload: Schema.Struct({ by: Schema.Number }), success: Schema.Number }),
})

interface Env {
  readonly ROOM: DurableObjectNamespace<Room>
}

export class Room extends DurableObject<Env> {
  readonly #transport: BridgeTransport

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    this.#transport = new BridgeTransport(ctx)
    void ctx.blockConcurrencyWhile(() => this.#start())
  }

  /** The object lives as long as its actors: their scope is never closed. */
  #start(): Promise<unknown> {
    const { kv } = this.ctx.storage
    const program = Effect.gen({ self: this }, function* () {
      const system = yield* ActorSystem.make({ name: "room", transport: this.#transport })
      return yield* system.serve(Counter, COUNTER, {
        add: ({ by }) => {
          const count = (kv.get<number>("count") ?? 0) + by
          kv.put("count", count)
          this.#announce(count)
          return count
        },
      })
    })
    return Effect.runPromise(Scope.provide(program, Scope.makeUnsafe()))
  }

  #announce(count: number): void {
    this.#transport.bridge.broadcast({
      id: crypto.randomUUID(),
      from: COUNTER,
      to: Address.make("room", "everybody"),
      type: "counted",
      payload: { count, clients: this.#transport.bridge.connectionCount },
      pattern: "tell",
      correlationId: null,
      timestamp: Date.now(),
      metadata: Envelope.NO_METADATA,
      ttl: null,
      signature: null,
    })
  }

  override fetch(request: Request): Response {
    return this.#transport.bridge.upgrade(request)
  }

  override webSocketMessage(socket: WebSocket, frame: string | ArrayBuffer): void {
    this.#transport.bridge.webSocketMessage(socket, frame)
  }

  override webSocketClose(socket: WebSocket, code: number, reason: string): void {
    this.#transport.bridge.webSocketClose(socket, code, reason)
  }

  override webSocketError(socket: WebSocket): void {
    this.#transport.bridge.webSocketError(socket)
  }
}

export default {
  fetch: (request, env) => env.ROOM.getByName(new URL(request.url).pathname).fetch(request),
} satisfies ExportedHandler<Env>
