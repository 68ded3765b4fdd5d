/** The runtime of topics and of the directory. */
import { ObjectRuntime } from "../object/ObjectRuntime.ts"
import type { Schema } from "../object/Tables.ts"
import { Calls } from "./Calls.ts"
import { type GatewayEnv, gatewayLimitsOf } from "../object/GatewayEnv.ts"
import { RoutingTable } from "./RoutingTable.ts"
import type { ServicePort } from "./ServicePort.ts"

/** Makes the runtime of an object whose core calls other objects and has no clients of its own. */
export const serviceRuntime = <Core>(
  ctx: DurableObjectState,
  env: GatewayEnv,
  schema: Schema,
  start: (port: ServicePort) => Core,
): ObjectRuntime<Core> => {
  const runtime: ObjectRuntime<Core> = new ObjectRuntime({
    ctx,
    schema,
    limits: gatewayLimitsOf(env),
    logLevel: env.LOG_LEVEL,
    start: (port) => start({ ...port, call: calls.call }),
  })
  const calls = new Calls<GatewayEnv>({ runtime, env, table: new RoutingTable(), answer: () => {} })
  return runtime
}
