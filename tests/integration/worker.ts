/** The Worker under test: a deployment as a newcomer's would be, with durable actors and routes. */
import {
  DurableActor,
  type DurableActorOptions,
  type GatewayEnv,
  makeGateway,
} from "@signal-hub/cloudflare-transport"
import { ledger } from "./support/Ledger.ts"

interface Env extends GatewayEnv {
  readonly LEDGER: DurableObjectNamespace<LedgerActor>
}

const gateway = makeGateway<Env>({
  routes: { ledger: { namespace: "LEDGER" }, lobby: { hub: "default" } },
})

export class LedgerActor extends DurableActor<Env> {
  protected override actor(env: Env): DurableActorOptions {
    return { type: "ledger", behavior: ledger, reach: gateway.reach(env) }
  }
}

export const { SessionGateway, SignalHub } = gateway
export { Directory, TopicHub } from "@signal-hub/cloudflare-transport"
export default gateway.worker
