/**
 * What an address leads to, as an object to call: by the routing table of a deployment. For durable actors,
 * which reach others by it, and for Workers, which have no address.
 */
import type { Address, Envelope } from "@signal-hub/actor-core"
import { makeLog } from "../object/Log.ts"
import { errorEnvelope } from "../protocol/HubEnvelope.ts"
import type { HubEnv } from "../object/HubEnv.ts"
import { runRoute } from "./RouteCalls.ts"
import type { RouteFunction, RoutingTable } from "./RoutingTable.ts"
import type { ActorRpc, GatewayRpc, Outcome } from "./Rpc.ts"
import { shardOf } from "./Shards.ts"

/** The object that serves an address; `undefined`: there is none. */
export type TableReach = (address: Address.Address) => ActorRpc | undefined

/** `hub`: the name of the one in which addresses are that the table says nothing of. */
export const tableReach = <Env extends HubEnv>(
  env: Env,
  table: RoutingTable<Env>,
  hub?: string,
): TableReach => {
  const log = makeLog(env.LOG_LEVEL)
  const bindings = env as unknown as { readonly [binding: string]: unknown }
  const reach: TableReach = (address) => {
    if (hub !== undefined && table.isOfHub(hub, address)) {
      return asActors(env.SIGNAL_HUB.getByName(hub))
    }
    const destination = table.destination(address)
    switch (destination.kind) {
      case "gateway":
        return throughDirectory(env, address)
      case "hub":
        return asActors(env.SIGNAL_HUB.getByName(destination.name))
      case "namespace":
        return asActors((bindings[destination.binding] as DurableObjectNamespace).getByName(destination.name))
      case "service":
        return bindings[destination.binding] as ActorRpc
      case "function":
        return asFunction(destination.run, {
          env,
          acceptForwards: destination.acceptForwards,
          answer: (home, batch) =>
            void reach(home)
              ?.deliver(batch)
              .catch(() => {}),
          log: (event, fields) => log("warn", event, fields),
        })
      case "nowhere":
        return undefined
    }
  }
  return reach
}

/** A stub has the methods of its class, each as a promise; the types of stubs say it less simply. */
const asActors = (stub: object): ActorRpc => stub as ActorRpc

/** The gateway of an address; where that does not have it, the one that the directory says. */
const throughDirectory = (env: HubEnv, address: Address.Address): ActorRpc => {
  const gatewayOf = (identity: Address.Address): GatewayRpc =>
    asActors(env.SESSION_GATEWAY!.getByName(identity)) as GatewayRpc
  const shard = () => env.DIRECTORY!.getByName(shardOf(address))
  const own = gatewayOf(address)
  return {
    deliver: async (batch) => {
      const outcomes = [...(await own.deliver(batch))]
      const onward = [...outcomes.keys()].filter((at) => isOnward(outcomes[at]!))
      const holder = onward.length === 0 ? null : await shard().holder(address)
      if (holder === null || holder === address) return outcomes.map(settled)
      const deliveries = onward.map((at) => batch.deliveries[at]!)
      const there = await gatewayOf(holder).deliver({ ...batch, deliveries })
      for (const [i, at] of onward.entries()) outcomes[at] = there[i]!
      return outcomes.map(settled)
    },
    // A gateway asks the directory by itself.
    request: (envelope, timeout) => own.request(envelope, timeout),
    watch: async (target, watcher) =>
      (await own.watch(target, watcher)) || (await shard().watch(target, watcher)),
    unwatch: async (target, watcher) => {
      await Promise.all([own.unwatch(target, watcher), shard().unwatch(target, watcher)])
    },
  }
}

/** Whether another object may have the address. */
const isOnward = (outcome: Outcome): boolean =>
  outcome.status === "elsewhere" || (outcome.status === "refused" && outcome.code === "unknown_actor")

/** Nobody knows a further one. */
const settled = (outcome: Outcome): Outcome =>
  outcome.status === "elsewhere"
    ? { status: "refused", code: "unknown_actor", message: "there is no such actor" }
    : outcome

type FunctionOptions<Env> = Parameters<typeof runRoute<Env>>[2]

/** A function of the table, as an actor: it has no end that could be watched. */
const asFunction = <Env>(run: RouteFunction<Env>, options: FunctionOptions<Env>): ActorRpc => ({
  deliver: (batch) => Promise.resolve(runRoute(run, batch, options)),
  request: (envelope, timeout) => {
    const home = envelope.from as Address.Address
    const { promise, resolve } = Promise.withResolvers<Envelope.Envelope>()
    const late = `${envelope.to} did not answer within ${timeout} ms`
    const timer = setTimeout(
      () => resolve(errorEnvelope(null, home, "timeout", late, Date.now(), envelope.id)),
      timeout,
    )
    const batch = { caller: { home, claims: null }, deliveries: [{ envelope, ask: { home, timeout } }] }
    const answer: FunctionOptions<Env>["answer"] = (_, { deliveries }) => resolve(deliveries[0]!.envelope)
    runRoute(run, batch, { ...options, answer })
    return promise.finally(() => clearTimeout(timer))
  },
  watch: () => Promise.resolve(false),
  unwatch: () => Promise.resolve(),
})
