/** The bindings of a Worker that serves gateways. */
import { DEFAULT_LIMITS, type Limits } from "../protocol/Limits.ts"
import { type HubEnv, limitsOf } from "../worker/HubEnv.ts"
import type { Directory } from "./Directory.ts"
import type { SessionGateway } from "./SessionGateway.ts"
import type { TopicHub } from "./TopicHub.ts"

export interface GatewayEnv extends HubEnv {
  readonly SESSION_GATEWAY: DurableObjectNamespace<SessionGateway>
  readonly TOPIC_HUB: DurableObjectNamespace<TopicHub>
  readonly DIRECTORY: DurableObjectNamespace<Directory>
}

/** There are as many gateways as identities: each looks for the silent seldom. */
const GATEWAY_LIMITS: Limits = { ...DEFAULT_LIMITS, sweepInterval: 600_000 }

/** What was read once need not be read at each wake-up: the objects of an isolate have the same variables. */
const known = new WeakMap<HubEnv, Limits>()

/** The limits in force in a gateway. */
export const gatewayLimitsOf = (env: HubEnv): Limits => {
  let limits = known.get(env)
  if (limits === undefined) known.set(env, (limits = limitsOf(env, GATEWAY_LIMITS)))
  return limits
}
