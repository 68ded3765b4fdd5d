/** The Durable Object of one identity: `GatewayCore` in its shell. */
import type { Address } from "@signal-hub/actor-core"
import type { VerifyToken } from "../auth/Authentication.ts"
import { GATEWAY } from "../object/Schema.ts"
import type { Schema } from "../object/Tables.ts"
import { ActorsShell } from "./ActorsShell.ts"
import { GatewayCore } from "./GatewayCore.ts"
import { type GatewayEnv, gatewayLimitsOf } from "./GatewayEnv.ts"
import { gatewayPlace } from "./Place.ts"
import { RoutingTable } from "./RoutingTable.ts"
import type { GatewayRpc, Served } from "./Rpc.ts"

export interface GatewayOptions<Env> {
  /** Where addresses lead; without it all are identities. */
  readonly table?: RoutingTable<Env>
  /** A scheme of your own for tokens, the same that the Worker has. */
  readonly verify?: VerifyToken
}

export class SessionGateway<Env extends GatewayEnv = GatewayEnv>
  extends ActorsShell<GatewayCore, Env>
  implements Served<GatewayRpc>
{
  readonly #identity: Address.Address

  constructor(
    ctx: DurableObjectState,
    env: Env,
    options: GatewayOptions<Env> = {},
    schema: Schema = GATEWAY,
  ) {
    const identity = ctx.id.name as Address.Address
    super(ctx, env, {
      verify: options.verify,
      limits: gatewayLimitsOf(env),
      schema,
      // Tokens open gateways with the hub that they open where they name none.
      name: "default",
      table: options.table ?? new RoutingTable<Env>(),
      place: gatewayPlace(identity),
    })
    this.#identity = identity
  }

  protected override start(): GatewayCore {
    return new GatewayCore({ ...this.neighbors, identity: this.#identity })
  }

  hasSession(): boolean {
    return !this.isFresh && this.served((core) => core.hasSession())
  }

  leases(addresses: ReadonlyArray<Address.Address>): ReadonlyArray<number | null> {
    return this.isFresh ? addresses.map(() => null) : this.served((core) => core.leases(addresses))
  }
}
