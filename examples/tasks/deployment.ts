/** What is deployed: gateways for workers and customers, and each coordinator in an object of its own. */
import {
  DurableActor,
  type DurableActorOptions,
  type GatewayEnv,
  makeGateway,
} from "@signal-hub/cloudflare-transport"
import { coordinator } from "./Coordinator.ts"

interface Env extends GatewayEnv {
  readonly COORDINATOR: DurableObjectNamespace<Coordinator>
}

const gateway = makeGateway<Env>({
  // @(coordinator/primes) is the object "primes"; all other addresses are clients.
  routes: { coordinator: { namespace: "COORDINATOR" } },
})

export class Coordinator extends DurableActor<Env> {
  protected override actor(env: Env): DurableActorOptions {
    return { type: "coordinator", behavior: coordinator, reach: gateway.reach(env) }
  }
}

export const { SessionGateway } = gateway
export { Directory, SignalHub, TopicHub } from "@signal-hub/cloudflare-transport"
export default gateway.worker
