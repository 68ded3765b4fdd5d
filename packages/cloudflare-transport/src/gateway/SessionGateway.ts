/** The Durable Object of one identity. */
import type { Address, Envelope } from "@signal-hub/actor-core"
import { DurableObject } from "cloudflare:workers"
import type { VerifyToken } from "../auth/Authentication.ts"
import { HubObject } from "../hub/HubObject.ts"
import { GATEWAY } from "../object/Schema.ts"
import type { Schema } from "../object/Tables.ts"
import { GatewayCore } from "./GatewayCore.ts"
import { type GatewayEnv, gatewayLimitsOf } from "../object/GatewayEnv.ts"
import { gatewayPlace } from "../delivery/Place.ts"
import { RoutingTable } from "../delivery/RoutingTable.ts"
import type { Batch, GatewayRpc, Outcome, Served } from "../delivery/Rpc.ts"

/** Settings of a gateway's class. */
export interface GatewayOptions<Env> {
  /** Leads from addresses to objects. Without it, all addresses are identities. */
  readonly table?: RoutingTable<Env>
  /** A scheme of your own for tokens, the same that the Worker has. */
  readonly verify?: VerifyToken
}

/** A gateway: serves the sockets of one identity, and the calls of other objects to it. */
export class SessionGateway<Env extends GatewayEnv = GatewayEnv>
  extends DurableObject<Env>
  implements Served<GatewayRpc>
{
  readonly #object: HubObject<GatewayCore, Env>

  constructor(
    ctx: DurableObjectState,
    env: Env,
    options: GatewayOptions<Env> = {},
    schema: Schema = GATEWAY,
  ) {
    super(ctx, env)
    const identity = ctx.id.name as Address.Address
    const { table = new RoutingTable<Env>(), verify } = options
    this.#object = new HubObject({
      ctx,
      env,
      schema,
      limits: gatewayLimitsOf(env),
      verify,
      // A token for a gateway is one for the hub that tokens without a hub's name are for.
      hubName: "default",
      table,
      place: gatewayPlace(identity),
      start: (port) => new GatewayCore({ ...port, identity }),
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

  hasSession(): boolean {
    const { rpc, runtime } = this.#object
    return !rpc.isFresh && runtime.serve((core) => core.hasSession())
  }

  leases(addresses: ReadonlyArray<Address.Address>): ReadonlyArray<number | null> {
    const { rpc, runtime } = this.#object
    return rpc.isFresh ? addresses.map(() => null) : runtime.serve((core) => core.leases(addresses))
  }
}
