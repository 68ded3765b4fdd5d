/** The Durable Object of a hub: `HubCore` in its shell. */
import type { VerifyToken } from "../auth/Authentication.ts"
import { type HubEnv, limitsOf } from "../worker/HubEnv.ts"
import { HubCore } from "./HubCore.ts"
import { HubShell } from "./HubShell.ts"

export class SignalHub extends HubShell<HubCore> {
  /** `verify`: a scheme of your own for tokens, the same that the Worker has. See `makeHub`. */
  constructor(ctx: DurableObjectState, env: HubEnv, verify?: VerifyToken) {
    super(ctx, env, { verify, limits: limitsOf(env), name: ctx.id.name ?? "" })
  }

  protected override start(armedAt: number | null): HubCore {
    return new HubCore(this.host, armedAt)
  }

  protected override hubOf(core: HubCore): HubCore {
    return core
  }
}
