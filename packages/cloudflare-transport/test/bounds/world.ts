/** A hub, gateways, a topic, the directory, a durable actor and a client that have all been used. */
import { PersistentBehavior, Protocol } from "@signal-hub/actor-core"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import { onTestFinished } from "vitest"
import { DURABLE } from "../../src/durable/DurableSchema.ts"
import { DurableHost } from "../../src/durable/DurableHost.ts"
import { ObjectStorage } from "../../src/object/ObjectStorage.ts"
import { type Core, makeCore } from "../../src/client/Core.ts"
import { FakeNetwork } from "../client/support/FakeNetwork.ts"
import { MemoryStore } from "../client/support/MemoryStore.ts"
import { ReliableHub } from "../client/support/ReliableHub.ts"
import { durableState } from "../support/durableState.ts"
import { NodeSql } from "../support/NodeSql.ts"
import { TestHub } from "../support/TestHub.ts"
import { TestSystem } from "../support/TestSystem.ts"
import { eventually } from "../support/eventually.ts"

const [ADA, BOB] = ["@(user/ada)", "@(user/bob)"] as const

const Counter = Protocol.make("counter", {
  add: Protocol.tell({ payload: Schema.Number }),
  count: Protocol.ask({ success: Schema.Number }),
})
const counter = PersistentBehavior.make(Counter, {
  state: Schema.Number,
  initial: () => 0,
  handlers: {
    add: (count, more) => count + more,
    count: (count, _, context) => {
      context.reply(count)
      return count
    },
  },
})

export const usedHub = (): TestHub => {
  const hub = new TestHub()
  const ada = hub.connect(ADA, { sessionExpirySeconds: 60 })
  const bob = hub.connect(BOB, { sessionExpirySeconds: 60 })
  for (const client of [ada, bob]) client.subscribe("news", { presence: true })
  ada.register("@(room/1)")
  bob.watch("@(room/1)")
  ada.ask(BOB, "question", 1)
  bob.tell(ADA, "note", 1)
  ada.surely({ to: BOB, type: "note", payload: 1 })
  ada.tell("@(user/nobody)", "note", 1)
  bob.drop()
  ada.surely({ to: BOB, type: "note", payload: 2 })
  hub.open()
  return hub
}

export const usedSystem = (): TestSystem => {
  const system = new TestSystem()
  const ada = system.connect(ADA, { sessionExpirySeconds: 60 })
  const bob = system.connect(BOB, { sessionExpirySeconds: 60 })
  for (const client of [ada, bob]) client.subscribe("news", { presence: true })
  ada.register("@(room/1)")
  bob.watch("@(room/1)")
  ada.ask(BOB, "question", 1)
  ada.surely({ to: BOB, type: "note", payload: 1 })
  ada.request("hub:publish", { topic: "news", type: "item", data: 1 })
  ada.tell("@(user/nobody)", "note", 1)
  system.settle()
  return system
}

export const usedActor = async (): Promise<{ readonly host: DurableHost; readonly database: NodeSql }> => {
  const database = new NodeSql()
  const state = durableState(database)
  const host = await DurableHost.start(
    state,
    { type: "counter", behavior: counter },
    new ObjectStorage(state, { schema: DURABLE, log: () => {} }),
  )
  const envelope = {
    id: "1",
    from: ADA,
    to: host.address,
    type: "add",
    payload: 1,
    pattern: "tell",
    correlationId: null,
    timestamp: 0,
    metadata: {},
    ttl: null,
    signature: null,
    seq: 1,
  } as const
  await host.deliver({ caller: { home: ADA, claims: null, line: "line" }, deliveries: [{ envelope }] })
  return { host, database }
}

export const usedClient = async (): Promise<Core> => {
  const network = new FakeNetwork()
  const hub = new ReliableHub(network)
  hub.acknowledges = false
  const scope = Scope.makeUnsafe()
  onTestFinished(() => Effect.runPromise(Scope.close(scope, Exit.void)))
  const options = { url: "https://hub.test/ws", webSocket: network.open, persistence: new MemoryStore() }
  const core = await Effect.runPromise(Scope.provide(makeCore(options), scope))
  await eventually(() => network.last.open())
  await eventually(() => {
    if (core.connection.state().status !== "connected") throw new Error("not yet")
  })
  return core
}
