/** A Durable Object that hosts something else than a hub behind the bridge: it echoes. */
import { DurableObject } from "cloudflare:workers"
import type { Envelope } from "@signal-hub/actor-core"
import { WebSocketBridge } from "../../src/bridge/WebSocketBridge.ts"
import { provisionalAddress } from "../../src/protocol/HubMessage.ts"
import { DEFAULT_LIMITS } from "../../src/protocol/Limits.ts"
import type { Connection } from "../../src/session/Connection.ts"

export class Echo extends DurableObject {
  readonly bridge: WebSocketBridge
  /** What the bridge told, in order. Lost with memory. */
  readonly told: Array<string> = []
  /** The events that its handler fails on, once they were told. */
  readonly failsOn = new Set<string>()

  constructor(ctx: DurableObjectState, env: Cloudflare.Env) {
    super(ctx, env)
    this.bridge = new WebSocketBridge(
      ctx,
      {
        addressOf: ({ id }) => provisionalAddress(id),
        opened: () => this.#tell("opened"),
        received: (connection, envelope) => this.#received(connection, envelope),
        closed: (_connection, cause) => this.#tell(cause),
        failed: (error) => void this.told.push(String(error)),
        violated: () => void this.told.push("violated"),
        notEncoded: (_connection, { id }) => void this.told.push(`not encoded: ${id}`),
      },
      { ...DEFAULT_LIMITS, maxMessageSize: 2_000 },
    )
  }

  override fetch(request: Request): Response {
    return this.bridge.upgrade(request)
  }

  override webSocketMessage(socket: WebSocket, frame: string | ArrayBuffer): void {
    this.bridge.webSocketMessage(socket, frame)
  }

  override webSocketClose(socket: WebSocket, code: number, reason: string): void {
    this.bridge.webSocketClose(socket, code, reason)
  }

  override webSocketError(socket: WebSocket): void {
    this.bridge.webSocketError(socket)
  }

  #tell(event: string): void {
    this.told.push(event)
    if (this.failsOn.has(event)) throw new Error(`failed on: ${event}`)
  }

  #received(connection: Connection, envelope: Envelope.Envelope): void {
    this.told.push(`received ${envelope.type}`)
    if (envelope.type === "fail") throw new Error("told to fail")
    if (envelope.type === "everybody") return this.bridge.broadcast(envelope)
    if (envelope.type === "others") return this.bridge.broadcast(envelope, connection)
    connection.send({ ...envelope, correlationId: envelope.id })
  }
}
