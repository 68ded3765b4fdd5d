/** Gateways with a routing table and a scheme of your own for tokens. */
import type { GatewayEnv } from "../gateway/GatewayEnv.ts"
import { type Routes, RoutingTable } from "../gateway/RoutingTable.ts"
import { SessionGateway } from "../gateway/SessionGateway.ts"
import type { VerifyToken } from "../auth/Authentication.ts"
import { type ActorCalls, actorCalls } from "./ActorCalls.ts"
import { makeHubWorker } from "./HubWorker.ts"

export interface GatewaySetup<Env extends GatewayEnv> {
  /** Where addresses lead, by their first segment. */
  readonly routes?: Routes<Env>
  /** The only first segments that identities of clients have. Absent: all that are no routes. */
  readonly identities?: ReadonlyArray<string>
  /** A scheme of your own for tokens. */
  readonly verify?: VerifyToken<Env>
}

/** What a Worker exports, beside `TopicHub` and `Directory`. */
export interface Gateway<Env extends GatewayEnv> {
  readonly SessionGateway: new (ctx: DurableObjectState, env: Env) => SessionGateway<Env>
  readonly worker: ExportedHandler<Env>
  /** Tells and asks for Workers and crons, which have no address. */
  readonly actors: (env: Env) => ActorCalls
}

/** The gateway topology as a deployment has it. Throws where a route has a name that no address can have. */
export const makeGateway = <Env extends GatewayEnv>({
  routes,
  identities,
  verify,
}: GatewaySetup<Env>): Gateway<Env> => {
  const table = new RoutingTable<Env>(routes, identities)
  return {
    SessionGateway: class extends SessionGateway<Env> {
      constructor(ctx: DurableObjectState, env: Env) {
        super(ctx, env, { table, ...(verify !== undefined && { verify: (token) => verify(token, env) }) })
      }
    },
    worker: makeHubWorker({
      isIdentity: (address) => table.isIdentity(address),
      ...(verify !== undefined && { verify }),
    }),
    actors: (env) => actorCalls(env, table),
  }
}
