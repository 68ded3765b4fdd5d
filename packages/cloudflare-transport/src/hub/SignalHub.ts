/** The Durable Object of a hub. */
import type { Address, Envelope } from "@signal-hub/actor-core"
import { DurableObject } from "cloudflare:workers"
import type { VerifyToken } from "../auth/Authentication.ts"
import { ActorsCore } from "./peers/ActorsCore.ts"
import { HubPeers } from "./peers/HubPeers.ts"
import { hubPlace } from "../delivery/Place.ts"
import { RoutingTable } from "../delivery/RoutingTable.ts"
import type { ActorRpc, Batch, Outcome, Served } from "../delivery/Rpc.ts"
import { HUB } from "../object/Schema.ts"
import type { Schema } from "../object/Tables.ts"
import { type HubEnv, limitsOf } from "../object/HubEnv.ts"
import { HubObject } from "./HubObject.ts"

/** Settings of a hub's class. */
export interface HubOptions<Env> {
  /** Leads from addresses to other objects. Without it there are only the hub's own addresses. */
  readonly table?: RoutingTable<Env>
  /** A scheme of your own for tokens, the same that the Worker has. */
  readonly verify?: VerifyToken
}

/** A hub: serves the sockets of many identities, and the calls of other objects to them. */
export class SignalHub<Env extends HubEnv = HubEnv> extends DurableObject<Env> implements Served<ActorRpc> {
  readonly #object: HubObject<ActorsCore, Env>

  constructor(ctx: DurableObjectState, env: Env, options: HubOptions<Env> = {}, schema: Schema = HUB) {
    super(ctx, env)
    const hubName = ctx.id.name ?? ""
    const { table = new RoutingTable<Env>(), verify } = options
    const place = hubPlace(table, hubName)
    this.#object = new HubObject({
      ctx,
      env,
      schema,
      limits: limitsOf(env),
      verify,
      hubName,
      table,
      place,
      start: (port) => new ActorsCore(port, (hub) => new HubPeers(hub, port, place)),
    })
  }

  override fetch(request: Request): Response {
    return this.#object.sockets.upgrade(request)
  }

  override webSocketMessage(socket: WebSocket, frame: string | ArrayBuffer): void {
    this.#object.sockets.received(socket, frame)
  }

  override webSocketClose(socket: WebSocket, code: number, reason: string): void {
    this.#object.sockets.closed(socket, code, reason)
  }

  override webSocketError(socket: WebSocket): void {
    this.#object.sockets.broken(socket)
  }

  override alarm(): void {
    this.#object.alarm()
  }

  deliver(batch: Batch): ReadonlyArray<Outcome> {
    return this.#object.rpc.deliver(batch)
  }

  request(envelope: Envelope.Envelope, timeout: number): Promise<Envelope.Envelope> {
    return this.#object.rpc.request(envelope, timeout)
  }

  watch(target: Address.Address, watcher: Address.Address): boolean {
    return this.#object.rpc.watch(target, watcher)
  }

  unwatch(target: Address.Address, watcher: Address.Address): void {
    this.#object.rpc.unwatch(target, watcher)
  }
}
