/** Gateways, and hubs beside them, with one routing table and a scheme of your own for tokens. */
import type { VerifyToken } from "../auth/Authentication.ts"
import type { Reach } from "../durable/Reach.ts"
import type { GatewayEnv } from "../object/GatewayEnv.ts"
import { type Addresses, RoutingTable } from "../delivery/RoutingTable.ts"
import { SessionGateway } from "../gateway/SessionGateway.ts"
import { tableReach } from "../delivery/TableReach.ts"
import { type ActorCalls, actorCalls } from "./ActorCalls.ts"
import { makeHubWorker } from "./HubWorker.ts"
import { type Hub, hubClass } from "./makeHub.ts"

export interface GatewaySetup<Env extends GatewayEnv> extends Addresses<Env> {
  /** A scheme of your own for tokens, as `makeHub` has it. */
  readonly verify?: VerifyToken<Env>
}

/** What a Worker exports, beside `TopicHub` and `Directory`. */
export interface Gateway<Env extends GatewayEnv> {
  readonly SessionGateway: new (ctx: DurableObjectState, env: Env) => SessionGateway<Env>
  /** Hubs with the same routes. */
  readonly SignalHub: Hub<Env>["SignalHub"]
  readonly worker: ExportedHandler<Env>
  /** Tells and asks for Workers and crons, which have no address. */
  readonly actors: (env: Env) => ActorCalls
  /** What durable actors reach: all that the routes lead to, clients at gateways among them. */
  readonly reach: (env: Env) => Reach
}

/** The gateway topology as a deployment has it. Throws where a route has a name that no address can have. */
export const makeGateway = <Env extends GatewayEnv>({
  verify,
  ...addresses
}: GatewaySetup<Env> = {}): Gateway<Env> => {
  const table = new RoutingTable<Env>(addresses)
  return {
    SessionGateway: class extends SessionGateway<Env> {
      constructor(ctx: DurableObjectState, env: Env) {
        super(ctx, env, { table, ...(verify !== undefined && { verify: (token) => verify(token, env) }) })
      }
    },
    SignalHub: hubClass(table, verify),
    worker: makeHubWorker({
      isIdentity: (address) => table.isIdentity(address),
      ...(verify !== undefined && { verify }),
    }),
    actors: (env) => actorCalls(env, table),
    reach: (env) => tableReach(env, table),
  }
}
