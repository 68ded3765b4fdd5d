/** The Durable Object of a hub: its core in its shell, and the way to other objects, where it has one. */
import type { VerifyToken } from "../auth/Authentication.ts"
import { ActorsCore } from "../gateway/ActorsCore.ts"
import { ActorsShell } from "../gateway/ActorsShell.ts"
import { Neighbors } from "../gateway/Neighbors.ts"
import { hubPlace, type Place } from "../gateway/Place.ts"
import { RoutingTable } from "../gateway/RoutingTable.ts"
import { HUB } from "../object/Schema.ts"
import type { Schema } from "../object/Tables.ts"
import { type HubEnv, limitsOf } from "../worker/HubEnv.ts"

export interface HubOptions<Env> {
  /** Where addresses lead that are not the hub's own; without it there are none. */
  readonly table?: RoutingTable<Env>
  /** A scheme of your own for tokens, the same that the Worker has. */
  readonly verify?: VerifyToken
}

export class SignalHub<Env extends HubEnv = HubEnv> extends ActorsShell<ActorsCore, Env> {
  readonly #place: Place

  constructor(ctx: DurableObjectState, env: Env, options: HubOptions<Env> = {}, schema: Schema = HUB) {
    const name = ctx.id.name ?? ""
    const table = options.table ?? new RoutingTable<Env>()
    const place = hubPlace(table, name)
    super(ctx, env, { verify: options.verify, limits: limitsOf(env), schema, name, table, place })
    this.#place = place
  }

  protected override start(): ActorsCore {
    return new ActorsCore(this.neighbors, (hub) => new Neighbors(hub, this.neighbors, this.#place))
  }
}
