/** A hub with a scheme of your own for tokens. */
import type { VerifyToken } from "../auth/Authentication.ts"
import { SignalHub } from "../hub/SignalHub.ts"
import type { HubEnv } from "./HubEnv.ts"
import { makeHubWorker } from "./HubWorker.ts"

/** What a Worker exports: the Durable Object's class, and the handler as its default. */
export interface Hub<Env extends HubEnv> {
  readonly SignalHub: new (ctx: DurableObjectState, env: Env) => SignalHub
  readonly worker: ExportedHandler<Env>
}

/**
 * A hub whose tokens `verify` judges, wherever they come: with the upgrade, in `hub:connect` or in
 * `hub:refresh_token`. It gives what a token says, or throws where it is not good; it may take 5 s. The
 * variables about keys are not read then, `AUTH_MODE` is.
 */
export const makeHub = <Env extends HubEnv = HubEnv>({
  verify,
}: {
  readonly verify: VerifyToken<Env>
}): Hub<Env> => ({
  SignalHub: class extends SignalHub {
    constructor(ctx: DurableObjectState, env: Env) {
      super(ctx, env, (token) => verify(token, env))
    }
  },
  worker: makeHubWorker({ verify }),
})
