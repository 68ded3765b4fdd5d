/** Hubs with a scheme of your own for tokens, and with a way to what is beside them. */
import type { VerifyToken } from "../auth/Authentication.ts"
import { type Addresses, RoutingTable } from "../delivery/RoutingTable.ts"
import { SignalHub } from "../hub/SignalHub.ts"
import { type ActorCalls, actorCalls } from "./ActorCalls.ts"
import type { HubEnv } from "../object/HubEnv.ts"
import { makeHubWorker } from "./HubWorker.ts"

export interface HubSetup<Env extends HubEnv> extends Addresses<Env> {
  /**
   * Judges tokens, wherever they come: with the upgrade, in `hub:connect` or in `hub:refresh_token`. It
   * gives what a token says, or throws where it is not good; it may take 5 s. The variables about keys are
   * not read then, `AUTH_MODE` is.
   */
  readonly verify?: VerifyToken<Env>
}

/** What a Worker exports: the Durable Object's class, and the handler as its default. */
export interface Hub<Env extends HubEnv> {
  readonly SignalHub: new (ctx: DurableObjectState, env: Env) => SignalHub<Env>
  readonly worker: ExportedHandler<Env>
  /**
   * Tells and asks for Workers and crons, which have no address. `hub`, by default `default`: the one with
   * the addresses that no route names.
   */
  readonly actors: (env: Env, hub?: string) => ActorCalls
}

/** Hubs as a deployment has them. Throws where a route has a name that no address can have. */
export const makeHub = <Env extends HubEnv = HubEnv>({
  verify,
  ...addresses
}: HubSetup<Env> = {}): Hub<Env> => {
  const table = new RoutingTable<Env>(addresses)
  return {
    SignalHub: hubClass(table, verify),
    worker: makeHubWorker({ ...(verify !== undefined && { verify }) }),
    actors: (env, hub = "default") => actorCalls(env, table, hub),
  }
}

/** The class of hubs with this table. */
export const hubClass = <Env extends HubEnv>(
  table: RoutingTable<Env>,
  verify: VerifyToken<Env> | undefined,
): Hub<Env>["SignalHub"] =>
  class extends SignalHub<Env> {
    constructor(ctx: DurableObjectState, env: Env) {
      super(ctx, env, { table, ...(verify !== undefined && { verify: (token) => verify(token, env) }) })
    }
  }
