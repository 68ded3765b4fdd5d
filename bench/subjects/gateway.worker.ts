/** The Worker of someone who uses gateways as they come, and has one kind of durable actor. */
import { PersistentBehavior, Protocol } from "@signal-hub/actor-core"
import {
  DurableActor,
  type DurableActorOptions,
  type GatewayEnv,
  makeGateway,
} from "@signal-hub/cloudflare-transport"
import * as Schema from "effect/Schema"

const Counter = Protocol.make("counter", {
  echo: Protocol.ask({
    payload: Schema.Struct({ n: Schema.Number, text: Schema.String }),
    success: Schema.Struct({ n: Schema.Number, text: Schema.String }),
  }),
  add: Protocol.ask({ payload: Schema.Number, success: Schema.Number }),
})

const counter = PersistentBehavior.make(Counter, {
  state: Schema.Number,
  initial: () => 0,
  handlers: {
    echo: (total, payload, context) => {
      context.reply(payload)
      return total
    },
    add: (total, amount, context) => {
      context.reply(total + amount)
      return total + amount
    },
  },
})

interface Env extends GatewayEnv {
  readonly COUNTER: DurableObjectNamespace<CounterActor>
}

export class CounterActor extends DurableActor<Env> {
  protected override actor(): DurableActorOptions {
    return { type: "counter", behavior: counter }
  }
}

const gateway = makeGateway<Env>({ routes: { counter: { namespace: "COUNTER" } } })
export const { SessionGateway } = gateway
export { Directory, SignalHub, TopicHub } from "@signal-hub/cloudflare-transport"
export default gateway.worker
