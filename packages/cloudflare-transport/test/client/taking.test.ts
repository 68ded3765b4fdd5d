/** What comes for an actor that is not served yet: it waits unacknowledged, in order, and is taken once. */
import { describe, expect, it } from "@effect/vitest"
import { ActorSystem, Behavior, type Envelope, Protocol, VirtualActors } from "@signal-hub/actor-core"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Logger from "effect/Logger"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as fc from "fast-check"
import { connect, HubClient, type HubClientService, type SessionEvent } from "../../src/client/index.ts"
import { FakeNetwork } from "./support/FakeNetwork.ts"
import { MemoryStore } from "./support/MemoryStore.ts"
import { ReliableHub } from "./support/ReliableHub.ts"
import { pass, run, settle, startReliable } from "./support/harness.ts"

const ADA = "@(test/ada)"
const ME = "@(test/me)"
const BAR = "@(test/bar)"

const Kitchen = Protocol.make("Kitchen", {
  order: Protocol.tell({ payload: Schema.Finite }),
  left: Protocol.ask({ payload: Schema.Null, success: Schema.Finite }),
})

/** Serves a kitchen that writes down its orders. */
const serve = (system: ActorSystem.ActorSystem, at: typeof ME | typeof BAR, orders: Array<unknown>) =>
  system.serve(Kitchen, at, { order: (n) => void orders.push(n), left: () => 7 })

const ask = { pattern: "ask", id: "asked" } as const
const turn = (): Promise<void> => new Promise((next) => void setImmediate(next))

/** Answers that left, by the id of their ask. */
const answers = (envelopes: ReadonlyArray<Envelope.Envelope>) =>
  envelopes.flatMap(({ correlationId, payload, type }) => (correlationId === null ? [] : [[type, payload]]))

const unclaimed = (events: ReadonlyArray<SessionEvent>) =>
  events.flatMap((event) => (event.type === "unclaimed" ? [[event.envelope.payload, event.reason]] : []))

/** Processes of one program on one network, that share a store where it is said. */
const world = (persistence?: MemoryStore) =>
  Effect.sync(() => {
    const network = new FakeNetwork()
    const hub = new ReliableHub(network)
    const process = Effect.gen(function* () {
      const scope = yield* Scope.make()
      const at = network.sockets.length
      const options = { url: "https://hub.test/ws", webSocket: network.open, wakeups: [] }
      const retry = { schedule: Schedule.spaced(250), ...(persistence && { persistence }) }
      const client = yield* Scope.provide(HubClient.make({ ...options, ...retry }), scope)
      yield* settle
      const socket = network.sockets[at]!
      socket.open()
      yield* settle
      yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))
      yield* Effect.addFinalizer(() => Effect.sync(() => network.sockets.forEach((each) => each.drop())))
      return { client, socket }
    })
    return { hub, network, process }
  })

describe("an actor that is served late", () => {
  it.effect("fault 78: takes what came before it, in order, and only then is it acknowledged", () =>
    Effect.gen(function* () {
      const { client, hub } = yield* startReliable()
      hub.deliver("order", 1)
      const system = yield* ActorSystem.make({ transport: client.transport })
      hub.deliver("order", 2)
      hub.deliver("left", null, ask)
      hub.deliver("order", 3)
      yield* pass(1_000)
      expect(hub.acks).toEqual([])
      expect(system.deadLetters.total).toBe(0)
      const orders: Array<unknown> = []
      yield* serve(system, ME, orders)
      hub.deliver("order", 4)
      yield* pass(250)
      expect(orders).toEqual([1, 2, 3, 4])
      expect(answers(hub.taken)).toEqual([["actor:reply", 7]])
      expect(hub.acks.at(-1)).toBe(5)
    }),
  )

  it("fault 78: the same as promises, while the actor system is loaded", async () => {
    const network = new FakeNetwork()
    const fake = new ReliableHub(network)
    const { onSocket } = network
    network.onSocket = (socket) => {
      onSocket(socket)
      queueMicrotask(() => socket.open())
    }
    await using hub = await connect("ws://hub.test/ws", { webSocket: network.open, wakeups: [] })
    fake.deliver("order", 1)
    const orders: Array<unknown> = []
    const serving = hub.serve(Kitchen, { order: (n) => void orders.push(n), left: () => 7 })
    fake.deliver("order", 2)
    fake.deliver("left", null, ask)
    await turn()
    await serving
    fake.deliver("order", 3)
    await turn()
    expect(orders).toEqual([1, 2, 3])
    expect(answers(fake.taken)).toEqual([["actor:reply", 7]])
    // All but what comes within the time between two acknowledgments.
    expect(fake.outbox.map(({ payload }) => payload)).toEqual([3])
  })

  it("fault 78: a listener that is there already hears nothing before the actor does", async () => {
    const network = new FakeNetwork()
    const fake = new ReliableHub(network)
    const { onSocket } = network
    network.onSocket = (socket) => {
      onSocket(socket)
      queueMicrotask(() => socket.open())
    }
    await using hub = await connect("ws://hub.test/ws", { webSocket: network.open, wakeups: [] })
    const heard: Array<unknown> = []
    hub.onMessage(({ payload }) => void heard.push(payload))
    fake.deliver("order", "of the listener")
    const orders: Array<unknown> = []
    const serving = hub.serve(Kitchen, { order: (n) => void orders.push(n), left: () => 7 })
    fake.deliver("order", 1)
    fake.deliver("hello", "for another address", { to: BAR })
    expect(heard).toEqual(["of the listener", "for another address"])
    await serving
    await turn()
    expect([heard.slice(2), orders]).toEqual([[1], [1]])
    // Nothing is served at this one, and the client's own is free again.
    await expect(hub.serve(Kitchen, { order: () => {}, left: () => 8 })).rejects.toMatchObject({
      _tag: "AddressInUse",
    })
    fake.deliver("order", 2)
    await turn()
    expect(orders).toEqual([1, 2])
  })

  it.effect("fault 78: holds back nobody else: what is for others is taken, once, over a resume too", () =>
    Effect.gen(function* () {
      const { client, hub, reconnect } = yield* startReliable()
      const system = yield* ActorSystem.make({ transport: client.transport })
      const drinks: Array<unknown> = []
      yield* serve(system, BAR, drinks)
      hub.deliver("order", 1, { to: BAR })
      hub.deliver("order", 2)
      hub.deliver("order", 3, { to: BAR })
      hub.deliver("order", 4, { to: BAR })
      yield* settle
      expect(drinks).toEqual([1, 3, 4])
      expect(hub.acks).toEqual([1])
      yield* reconnect()
      expect(hub.resumes.at(-1)).toMatchObject({ lastSeq: 1 })
      hub.deliver("order", 5, { to: BAR })
      hub.deliver("order", 6)
      const orders: Array<unknown> = []
      yield* serve(system, ME, orders)
      yield* pass(250)
      expect(drinks).toEqual([1, 3, 4, 5])
      expect(orders).toEqual([2, 6])
      expect(hub.acks.at(-1)).toBe(6)
    }),
  )

  it.effect("fault 78: what the next process finds is what nobody took, not what came", () =>
    Effect.gen(function* () {
      const store = new MemoryStore()
      const { hub, process } = yield* world(store)
      const first = yield* process
      const drinks: Array<unknown> = []
      const bar = yield* ActorSystem.make({ transport: first.client.transport })
      yield* serve(bar, BAR, drinks)
      hub.deliver("order", 1, { to: BAR })
      hub.deliver("order", 2)
      hub.deliver("order", 3, { to: BAR })
      yield* settle
      expect([drinks, store.entries.get("taken")]).toEqual([[1, 3], 1])

      const second = yield* process
      expect(hub.resumes.at(-1)).toMatchObject({ lastSeq: 1 })
      const system = yield* ActorSystem.make({ transport: second.client.transport })
      const orders: Array<unknown> = []
      yield* serve(system, ME, orders)
      yield* settle
      expect([orders, store.entries.get("taken")]).toEqual([[2], 2])
      yield* serve(system, BAR, drinks)
      yield* pass(250)
      expect([drinks, store.entries.get("taken")]).toEqual([[1, 3, 3], 3])
    }),
  )

  it.effect("volatile messages wait as well, so that none overtakes a reliable one", () =>
    Effect.gen(function* () {
      const { client, hub, network } = yield* startReliable()
      network.last.say("order", 1, { from: ADA, to: ME })
      hub.deliver("order", 2)
      network.last.say("order", 3, { from: ADA, to: ME })
      const orders: Array<unknown> = []
      yield* serve(yield* ActorSystem.make({ transport: client.transport }), ME, orders)
      yield* settle
      expect(orders).toEqual([1, 2, 3])
    }),
  )

  it.effect("a virtual one begins with what waited for it", () =>
    Effect.gen(function* () {
      const { client, hub } = yield* startReliable()
      const system = yield* ActorSystem.make({ transport: client.transport })
      hub.deliver("order", 1, { to: "@(kitchen/main)" })
      const orders: Array<unknown> = []
      yield* settle
      const kitchen = Behavior.make(Kitchen, { order: (n) => void orders.push(n), left: () => 7 })
      yield* VirtualActors.make(system, kitchen, { type: "kitchen" })
      yield* settle
      expect(orders).toEqual([1])
      expect(hub.acks).toEqual([1])
    }),
  )

  it.effect("an ask that was given up while it waited is not asked", () =>
    Effect.gen(function* () {
      const { client, hub } = yield* startReliable()
      const system = yield* ActorSystem.make({ transport: client.transport })
      let isAsked = false
      hub.deliver("slow", null, { ...ask, to: BAR })
      hub.deliver("actor:cancel", null, { correlationId: "asked", to: BAR })
      // Of this one nothing waits.
      hub.deliver("actor:cancel", null, { correlationId: "other" })
      const Slow = Protocol.make("Slow", {
        slow: Protocol.ask({ payload: Schema.Null, success: Schema.Null }),
      })
      yield* system.serve(Slow, BAR, {
        slow: () =>
          Effect.sync(() => {
            isAsked = true
            return null
          }),
      })
      yield* pass(250)
      expect(isAsked).toBe(false)
      expect(hub.acks.at(-1)).toBe(3)
    }),
  )
})

describe("what nobody takes", () => {
  it.effect("fault 78: is acknowledged in the end, and the program and who asked are told", () => {
    const logs: Array<string> = []
    const logger = Logger.make(({ message }) => void logs.push(String(message)))
    return Effect.gen(function* () {
      const { client, events, hub } = yield* startReliable({ unclaimedTimeout: 2_000 })
      const system = yield* ActorSystem.make({ transport: client.transport })
      hub.deliver("order", 1)
      yield* pass(1_000)
      hub.deliver("left", null, ask)
      yield* pass(999)
      expect([hub.acks, unclaimed(events), logs]).toEqual([[], [], []])
      yield* pass(1)
      expect(hub.acks).toEqual([1])
      expect(unclaimed(events)).toEqual([[1, "timeout"]])
      expect(system.deadLetters.recent()).toMatchObject([{ reason: "unclaimed", envelope: { payload: 1 } }])
      expect(logs).toEqual([expect.stringContaining(`gave up 1 envelope(s)`)])
      expect(logs[0]).toContain(`"order" for ${ME}`)
      yield* pass(1_000)
      expect(hub.acks.at(-1)).toBe(2)
      expect(answers(hub.taken)).toMatchObject([["actor:error", { code: "unclaimed", retryable: true }]])
      expect(hub.taken[0]).toMatchObject({ from: ME, to: ADA, correlationId: "asked" })
      expect(Number.isInteger(hub.taken[0]!.timestamp)).toBe(true)
      expect(logs).toHaveLength(2)
      // What comes from then on waits its own time.
      hub.deliver("order", 3)
      yield* pass(1_999)
      const orders: Array<unknown> = []
      yield* serve(system, ME, orders)
      yield* pass(250)
      expect(orders).toEqual([3])
      expect(hub.acks.at(-1)).toBe(3)
    }).pipe(Effect.provide(Logger.layer([logger])))
  })

  it.effect("waits for ever where the program says so", () =>
    Effect.gen(function* () {
      const { client, events, hub } = yield* startReliable({ unclaimedTimeout: Infinity })
      hub.deliver("order", 1)
      yield* pass(20_000)
      expect([hub.acks, unclaimed(events)]).toEqual([[], []])
      const orders: Array<unknown> = []
      yield* serve(yield* ActorSystem.make({ transport: client.transport }), ME, orders)
      yield* settle
      expect([orders, hub.acks]).toEqual([[1], [1]])
    }),
  )

  it.effect("fault 31: expires while it waits", () =>
    Effect.gen(function* () {
      const { client, events, hub } = yield* startReliable()
      hub.deliver("order", 1, { ttl: 1_000 })
      hub.deliver("order", 2, { ttl: 1_001 })
      hub.deliver("order", 3)
      yield* pass(1_000)
      const orders: Array<unknown> = []
      yield* serve(yield* ActorSystem.make({ transport: client.transport }), ME, orders)
      yield* settle
      expect(orders).toEqual([2, 3])
      expect(unclaimed(events)).toEqual([[1, "expired"]])
      yield* pass(250)
      expect(hub.acks.at(-1)).toBe(3)
    }),
  )

  it.effect("fault 70: waits 10,000 deep: volatile ones yield to reliable ones", () =>
    Effect.gen(function* () {
      const { client, events, hub, network } = yield* startReliable()
      for (let n = 1; n <= 10_001; n++) network.last.say("order", -n, { from: ADA, to: ME })
      for (let n = 1; n <= 10_001; n++) hub.deliver("order", n)
      yield* settle
      expect(unclaimed(events)).toEqual([-10_001, 10_001].map((n) => [n, "full"]))
      // Only bytes are.
      expect(Math.max(...hub.acks)).toBe(0)
      // More than a reader may fall behind, and all there at once.
      const heard: Array<unknown> = []
      yield* listen(client, heard)
      for (let turn = 0; turn < 50 && heard.length < 20_000; turn++) yield* settle
      expect(heard).toHaveLength(20_000)
      yield* pass(250)
      expect(hub.acks.at(-1)).toBe(10_001)
    }),
  )

  it.effect("fault 70: waits 16 MiB deep", () =>
    Effect.gen(function* () {
      const { client, events, hub, network } = yield* startReliable()
      const text = "x".repeat(1_048_576)
      for (let n = 1; n <= 17; n++) network.last.say("order", text, { from: ADA, to: ME })
      for (let n = 1; n <= 17; n++) hub.deliver("order", text)
      yield* settle
      expect(unclaimed(events)).toHaveLength(2)
      const heard: Array<unknown> = []
      yield* run(Stream.runForEach(client.messages, ({ seq }) => Effect.sync(() => void heard.push(seq))))
      expect(heard).toHaveLength(32)
      yield* pass(250)
      expect(hub.acks.at(-1)).toBe(17)
    }),
  )

  it.effect("is dropped with its session, of which the hub has it: it comes again, once", () =>
    Effect.gen(function* () {
      const { client, events, hub, network, reconnect } = yield* startReliable()
      hub.deliver("order", 1)
      network.last.say("order", 2, { from: ADA, to: ME })
      hub.refuses = "expired"
      yield* reconnect()
      hub.deliver("order", 1)
      const orders: Array<unknown> = []
      yield* serve(yield* ActorSystem.make({ transport: client.transport }), ME, orders)
      yield* settle
      expect(orders).toEqual([2, 1])
      expect(hub.acks).toEqual([1])
      expect(unclaimed(events)).toEqual([])
    }),
  )

  it.effect("a late answer and a publication wait for a listener, and are missed by nobody", () =>
    Effect.gen(function* () {
      const { client, events, hub, network } = yield* startReliable({ unclaimedTimeout: 1_000 })
      const say = (n: number): void => {
        hub.deliver("actor:reply", n, { correlationId: "of-an-earlier-process" })
        network.last.say("news", n, { from: ADA, to: ME, metadata: { publication: true, topic: "news" } })
      }
      say(1)
      yield* pass(1_000)
      expect(hub.acks).toEqual([1])
      expect(unclaimed(events)).toEqual([])
      say(2)
      const heard: Array<unknown> = []
      yield* listen(client, heard)
      expect(heard).toEqual([2, 2])
    }),
  )

  it.effect("is let go when the client is closed", () =>
    Effect.gen(function* () {
      const { client, hub, network, events } = yield* startReliable({ unclaimedTimeout: 1_000 })
      hub.deliver("order", 1)
      yield* run(client.close)
      expect(network.last.types.at(-1)).toBe("hub:disconnect")
      yield* pass(2_000)
      expect(unclaimed(events)).toEqual([])
      expect(hub.acks).toEqual([])
    }),
  )
})

const listen = (client: HubClientService, heard: Array<unknown>) =>
  run(Stream.runForEach(client.messages, ({ payload }) => Effect.sync(() => void heard.push(payload))))

it.effect("a listener takes all that waits, in the order it came, whoever it is for", () =>
  Effect.gen(function* () {
    const { client, hub } = yield* startReliable()
    for (let n = 1; n <= 4; n++) hub.deliver("order", n, { to: n % 2 === 0 ? BAR : ME })
    yield* settle
    expect(hub.acks).toEqual([])
    const heard: Array<unknown> = []
    yield* listen(client, heard)
    expect(heard).toEqual([1, 2, 3, 4])
    expect(hub.acks).toEqual([4])
  }),
)

it.effect("an actor that serves another one as it takes its first message", () =>
  Effect.gen(function* () {
    const { client, hub } = yield* startReliable()
    const system = yield* ActorSystem.make({ transport: client.transport })
    const [orders, drinks]: [Array<unknown>, Array<unknown>] = [[], []]
    const scope = yield* Effect.scope
    // Listens between the two: it is called while the first of them is offered.
    const off = client.transport.receive(({ to }) => {
      if (to === ME && orders.length === 0) {
        orders.push("began")
        Effect.runSync(
          Scope.provide(
            system.spawn(
              Behavior.make(Kitchen, {
                order: (n) => void drinks.push(n),
                left: () => 7,
              }),
              { address: BAR },
            ),
            scope,
          ),
        )
      }
      return to === ME
    })
    hub.deliver("order", 1, { to: BAR })
    hub.deliver("order", 2)
    hub.deliver("order", 3, { to: BAR })
    yield* off
    yield* settle
    expect(drinks).toEqual([1, 3])
    expect(hub.acks).toEqual([3])
  }),
)

type Step =
  | { readonly do: "deliver" | "say"; readonly to: typeof ME | typeof BAR }
  | { readonly do: "serve" | "stop"; readonly at: typeof ME | typeof BAR }
  | { readonly do: "reconnect" | "restart" }
  | { readonly do: "wait"; readonly ms: number }

const at = fc.constantFrom(ME, BAR)
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constantFrom("deliver", "say"), to: at }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom("serve", "stop"), at }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("reconnect", "restart") }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("wait"), ms: fc.nat(300) }) },
)

const play = (steps: ReadonlyArray<Step>) =>
  Effect.gen(function* () {
    const store = new MemoryStore()
    const { hub, network, process } = yield* world(store)
    /** What each process took, by address; a number that was never acknowledged counts from the hub's outbox. */
    const taken: Array<{ readonly [at: string]: Array<number> }> = []
    const everTaken = new Set<number>()
    let systems: ActorSystem.ActorSystem
    let served = new Map<string, Scope.Closeable>()
    const begin = Effect.gen(function* () {
      const { client } = yield* process
      systems = yield* ActorSystem.make({ transport: client.transport })
      served = new Map()
      taken.push({ [ME]: [], [BAR]: [] })
    })
    yield* begin
    let n = 0
    const reliable: Array<number> = []
    for (const each of steps) {
      switch (each.do) {
        case "deliver":
          reliable.push(++n)
          hub.deliver("order", n, { to: each.to })
          break
        case "say":
          network.last.say("order", ++n, { from: ADA, to: each.to })
          break
        case "serve": {
          if (served.has(each.at)) break
          const scope = yield* Scope.make()
          served.set(each.at, scope)
          const into = taken.at(-1)!
          yield* Scope.provide(
            systems!.serve(Kitchen, each.at, {
              order: (order) => {
                into[each.at]!.push(order)
                everTaken.add(order)
              },
              left: () => 7,
            }),
            scope,
          )
          break
        }
        case "stop": {
          yield* settle
          const scope = served.get(each.at)
          served.delete(each.at)
          if (scope !== undefined) yield* Scope.close(scope, Exit.void)
          break
        }
        case "reconnect":
          network.last.drop(1006)
          yield* pass(250)
          network.last.open()
          yield* settle
          break
        case "restart":
          hub.cut()
          yield* begin
          break
        default:
          yield* pass(each.ms)
      }
      yield* settle
      // What the hub no longer has was taken by somebody.
      const kept = new Set(hub.outbox.map(({ payload }) => payload))
      for (const order of reliable) if (!kept.has(order)) expect(everTaken).toContain(order)
    }
    for (const one of taken) {
      for (const orders of Object.values(one)) {
        // Once, and in order, in each process.
        expect(orders).toEqual([...new Set(orders)].toSorted((a, b) => a - b))
      }
    }
    const orders: Array<unknown> = []
    for (const address of [ME, BAR] as const) {
      if (!served.has(address)) yield* serve(systems!, address, orders)
    }
    yield* pass(500)
    for (const order of orders) everTaken.add(order as number)
    for (const order of reliable) expect(everTaken).toContain(order)
    expect(hub.outbox).toEqual([])
  })

it("fault 78: whatever is served when, over resumes and restarts: all is taken, in order, and never before", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), (steps) =>
      Effect.runPromise(Effect.scoped(play(steps)).pipe(Effect.provide(TestClock.layer()))),
    ),
    { numRuns: 40 },
  )
}, 60_000)
