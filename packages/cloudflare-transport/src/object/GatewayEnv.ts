/** The bindings of a Worker that serves gateways. */
import { DEFAULT_LIMITS, type Limits } from "../protocol/Limits.ts"
import { type HubEnv, limitsOf, oncePerEnv } from "./HubEnv.ts"
import type { Directory } from "../directory/Directory.ts"
import type { SessionGateway } from "../gateway/SessionGateway.ts"
import type { TopicHub } from "../topics/TopicHub.ts"

export interface GatewayEnv extends HubEnv {
  readonly SESSION_GATEWAY: DurableObjectNamespace<SessionGateway>
  readonly TOPIC_HUB: DurableObjectNamespace<TopicHub>
  readonly DIRECTORY: DurableObjectNamespace<Directory>
}

/** There are as many gateways as identities: each looks for the silent seldom. */
const GATEWAY_LIMITS: Limits = { ...DEFAULT_LIMITS, sweepInterval: 600_000 }

/** The limits in force in a gateway. */
export const gatewayLimitsOf = oncePerEnv((env: HubEnv): Limits => limitsOf(env, GATEWAY_LIMITS))
