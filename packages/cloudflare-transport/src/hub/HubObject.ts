/** The parts of a Durable Object with clients, put together. A hub or a gateway has one. */
import { authenticationOf, type VerifyToken } from "../auth/Authentication.ts"
import type { ActorsCore } from "./peers/ActorsCore.ts"
import { ActorRpcServer } from "./peers/ActorRpcServer.ts"
import { Calls } from "../delivery/Calls.ts"
import type { PeersPort } from "./peers/PeersPort.ts"
import type { Place } from "../delivery/Place.ts"
import type { RoutingTable } from "../delivery/RoutingTable.ts"
import { ObjectRuntime } from "../object/ObjectRuntime.ts"
import type { Schema } from "../object/Tables.ts"
import type { Limits } from "../protocol/Limits.ts"
import type { HubEnv } from "../object/HubEnv.ts"
import { HubSockets } from "./HubSockets.ts"

/** Settings of an object with clients, and how its core is made. */
export interface HubObjectOptions<Core, Env> {
  readonly ctx: DurableObjectState
  readonly env: Env
  readonly schema: Schema
  readonly limits: Limits
  /** A scheme of the deployment's own for tokens; `undefined`: JWTs, by the variables of `env`. */
  readonly verify: VerifyToken | undefined
  /** The name of the hub that a token must be for. */
  readonly hubName: string
  /** Leads from the addresses of other objects to those objects. */
  readonly table: RoutingTable<Env>
  readonly place: Place
  /** Makes a core. Called again after a failure. */
  readonly start: (port: PeersPort) => Core
}

/** The runtime of a core with clients, its sockets, and the calls from and to other objects. */
export class HubObject<Core extends ActorsCore, Env extends HubEnv> {
  readonly runtime: ObjectRuntime<Core>
  readonly sockets: HubSockets<Core>
  readonly rpc: ActorRpcServer<Core>

  constructor({ ctx, env, limits, place, schema, table, ...options }: HubObjectOptions<Core, Env>) {
    const runtime = (this.runtime = new ObjectRuntime<Core>({
      ctx,
      schema,
      limits,
      logLevel: env.LOG_LEVEL,
      start: (port) =>
        options.start({
          ...port,
          ...this.sockets.port,
          hubName: options.hubName,
          soon: (task) => void port.later(0, task),
          isIdentity: (address) => table.isIdentity(address),
          call: calls.call,
        }),
    }))
    this.sockets = new HubSockets(ctx, runtime, authenticationOf(env, options.verify))
    this.rpc = new ActorRpcServer(runtime, this.sockets, place)
    const calls: Calls<Env> = new Calls({
      runtime,
      env,
      table,
      answer: (home, batch) => {
        if (place.isHome(home)) runtime.run(() => void runtime.core.deliver(batch))
        else calls.call("address", home, "deliver", [batch], false, () => {})
      },
    })
  }

  /** For the object's `alarm`. */
  alarm(): void {
    const { runtime } = this
    runtime.alarm(() => runtime.run(() => runtime.core.hub.alarm()))
  }
}
