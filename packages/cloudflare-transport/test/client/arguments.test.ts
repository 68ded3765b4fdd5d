/** One call's bad argument: it rejects that call, before anything of it is queued, numbered or sent. */
import { describe, expect, it } from "@effect/vitest"
import { Envelope, type Address } from "@signal-hub/actor-core"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { connect, HubClient, type ClientOptions, type Hub } from "../../src/client/index.ts"
import { HUB_ADDRESS } from "../../src/protocol/index.ts"
import { connected, FakeNetwork, standardAnswer } from "./support/FakeNetwork.ts"
import { outcome, pass, run, settle, start, startReliable } from "./support/harness.ts"
import { MemoryStore } from "./support/MemoryStore.ts"

const ADA = "@(test/ada)"
const turn = (): Promise<void> => new Promise((next) => void setImmediate(next))

/** What a caller in plain JavaScript may give where an address belongs. */
const address = (value: unknown): Address.Address => value as Address.Address
/** As many levels as this, the value itself being one. */
const nested = (levels: number): unknown => (levels === 1 ? {} : { in: nested(levels - 1) })
const cyclic: { self?: unknown } = {}
cyclic.self = cyclic

/** Calls that the hub would count as a strike, or could not read: what is said to whom, and the rule that is named. */
const BAD_MESSAGES: ReadonlyArray<
  readonly [what: string, to: unknown, type: unknown, payload: unknown, options: object, rule: RegExp]
> = [
  ["an address with a space", "@(test/a b)", "n", 1, {}, /"to" must be an address/],
  ["an address in unicode", "@(test/ädä)", "n", 1, {}, /"to" must be an address/],
  ["an e-mail as an address", "ada@example.com", "n", 1, {}, /"to" must be an address/],
  ["an address of 300 characters", `@(test/${"a".repeat(292)})`, "n", 1, {}, /"to" must be an address/],
  ["no address", undefined, "n", 1, {}, /"to" must be an address/],
  ["a sender that is no address", ADA, "n", 1, { from: "@(me)" }, /"from" must be an address/],
  ["an empty type", ADA, "", 1, {}, /"type" must be a string of 1 to 256/],
  ["a type of 257 characters", ADA, "t".repeat(257), 1, {}, /"type" must be a string of 1 to 256/],
  ["a type that is a number", ADA, 5, 1, {}, /"type" must be a string of 1 to 256/],
  [
    "5 KB of metadata",
    ADA,
    "n",
    1,
    { metadata: { a: "x".repeat(5_000) } },
    /"metadata" is larger than 4096 bytes/,
  ],
  ["metadata that is an array", ADA, "n", 1, { metadata: [1] }, /"metadata" must be an object/],
  ["a bigint in metadata", ADA, "n", 1, { metadata: { a: 1n } }, /metadata\.a is a bigint/],
  ["metadata that throws", ADA, "n", 1, { metadata: throwing() }, /metadata\.a .*throws/],
  ["a payload 200 deep", ADA, "n", nested(200), {}, /nested deeper than 128/],
  ["a payload that holds itself", ADA, "n", cyclic, {}, /nested deeper than 128 levels, or holds itself/],
  ["a bigint", ADA, "n", { at: [1n] }, {}, /payload\.at\[0\] is a bigint/],
  ["a function", ADA, "n", { done: () => {} }, {}, /payload\.done is a function/],
  ["a Map", ADA, "n", { of: new Map() }, {}, /payload\.of is a Map/],
  ["NaN", ADA, "n", NaN, {}, /payload is NaN/],
  ["a getter that throws", ADA, "n", throwing(), {}, /payload\.a .*throws/],
  ["a toJSON that throws", ADA, "n", { toJSON: fail }, {}, /toJSON/],
  ["a proxy that throws", ADA, "n", new Proxy({}, { ownKeys: fail }), {}, /throws/],
]

/** Time limits that are none. */
const BAD_TIMES: ReadonlyArray<readonly [what: string, value: unknown]> = [
  ["-5", -5],
  ["NaN", NaN],
  ["-Infinity", -Infinity],
  ["a string", "5000"],
  ["a bigint", 5n],
]

function fail(): never {
  throw new Error("the user's own")
}
function throwing(): { readonly a: number } {
  return Object.defineProperty({ a: 1 }, "a", { enumerable: true, get: fail })
}

/** A getter that passes at the first read and gives what no codec can carry at the next. */
const fickle = (): object => {
  let reads = 0
  return Object.defineProperty({}, "a", { enumerable: true, get: () => (reads++ === 0 ? 1 : 1n) })
}

const join = async (options: Partial<ClientOptions> = {}) => {
  const network = new FakeNetwork()
  network.onSocket = (socket) => queueMicrotask(() => socket.open())
  const hub = await connect("ws://hub.test/ws", { webSocket: network.open, ...options })
  await turn()
  return { hub, network }
}

const said = (call: () => unknown): unknown => {
  try {
    return call()
  } catch (error) {
    return error
  }
}

const refusal = (rule: RegExp) => ({
  _tag: "TransportError",
  reason: "refused",
  code: "invalid_message",
  message: expect.stringMatching(rule),
})

for (const codec of ["json", "msgpack"] as const) {
  describe(`fault 49: a bad argument, over ${codec}`, () => {
    for (const [what, to, type, payload, options, rule] of BAD_MESSAGES) {
      it(`${what} rejects its own call, and nothing is sent`, async () => {
        const { hub, network } = await join({ codec })
        const before = network.last.frames.length
        const at = address(to)
        // As plain JavaScript may call it.
        const named = type as string
        const expected = refusal(rule)
        expect(said(() => hub.tell(at, named, payload, options))).toMatchObject(expected)
        expect(said(() => hub.tell(at, named, payload, { ...options, reliable: true }))).toMatchObject(
          expected,
        )
        await expect(
          hub.tell(at, named, payload, { ...options, until: "acknowledged" }),
        ).rejects.toMatchObject(expected)
        await expect(hub.ask(at, named, payload, options)).rejects.toMatchObject(expected)
        const client = HubClientOf(hub)
        expect(client.send(envelope({ to: at, type: named, payload, ...options }))).toMatchObject(expected)
        expect(
          client.send(envelope({ to: at, type: named, payload, ...options, pattern: "ask" })),
        ).toMatchObject(expected)
        await turn()
        expect(network.last.frames.length).toBe(before)
        await hub.close()
      })
    }
  })
}

/** The transport of the client, which takes envelopes as they are. */
const HubClientOf = (hub: Hub) => hub.transport
const envelope = (fields: object): Envelope.Envelope => ({
  id: "raw-1",
  from: "",
  to: ADA,
  type: "n",
  payload: null,
  pattern: "tell",
  correlationId: null,
  timestamp: 0,
  metadata: {},
  ttl: null,
  signature: null,
  ...fields,
})

describe("fault 49: time limits follow one rule", () => {
  for (const [what, value] of BAD_TIMES) {
    // As plain JavaScript may call it.
    const millis = value as number
    it(`${what} rejects its own call`, async () => {
      const { hub, network } = await join()
      const before = network.last.frames.length
      expect(said(() => hub.tell(ADA, "n", 1, { ttl: millis }))).toMatchObject(refusal(/"ttl" must be/))
      await expect(hub.tell(ADA, "n", 1, { ttl: millis, until: "acknowledged" })).rejects.toMatchObject(
        refusal(/"ttl"/),
      )
      await expect(hub.ask(ADA, "n", 1, { timeout: millis })).rejects.toMatchObject(
        refusal(/"timeout" must be/),
      )
      expect(hub.transport.send(envelope({ ttl: millis }))).toMatchObject(refusal(/"ttl"/))
      await turn()
      expect(network.last.frames.length).toBe(before)
      await hub.close()
    })
  }

  for (const codec of ["json", "msgpack"] as const) {
    it.effect(
      `fault 51: Infinity is the longest time limit of an ask, and no ttl of a tell, over ${codec}`,
      () =>
        Effect.gen(function* () {
          const { client, hub, network } = yield* startReliable({ askTimeout: Infinity, codec })
          yield* client.tell(ADA, "told", 1, { ttl: Infinity })
          const asking = yield* run(client.ask(ADA, "asked", 2))
          yield* settle
          expect(hub.volatile[0]).toMatchObject({ type: "told", ttl: null })
          expect(hub.taken[0]).toMatchObject({ type: "asked", ttl: 86_400_000 })
          yield* pass(3_600_000)
          expect(outcome(asking)).toBe("waiting")
          expect(network.sockets.length).toBeGreaterThan(0)
          yield* pass(23 * 3_600_000)
          expect(outcome(asking)).toMatchObject({ _tag: "AskTimeout" })
        }),
    )
  }
})

describe("fault 49: requests to the hub", () => {
  const bad: ReadonlyArray<readonly [what: string, code: string, rule: RegExp, call: (hub: Hub) => unknown]> =
    [
      [
        "register at no address",
        "invalid_address",
        /"actorAddress"/,
        (hub) => hub.register(address("@(a b/c)")),
      ],
      [
        "register with a TTL of NaN",
        "invalid_message",
        /ttlSeconds/,
        (hub) => hub.register(ADA, { ttlSeconds: NaN }),
      ],
      [
        "register with a TTL of Infinity",
        "invalid_message",
        /ttlSeconds/,
        (hub) => hub.register(ADA, { ttlSeconds: Infinity }),
      ],
      [
        "register with a tag of 300 characters",
        "invalid_message",
        /"capabilities"/,
        (hub) => hub.register(ADA, { capabilities: ["t".repeat(300)] }),
      ],
      [
        "register with a bigint",
        "invalid_message",
        /payload\.metadata\.id is a bigint/,
        (hub) => hub.register(ADA, { metadata: { id: 1n } }),
      ],
      [
        "register with what throws",
        "invalid_message",
        /throws/,
        (hub) => hub.register(ADA, { metadata: throwing() }),
      ],
      ["subscribe to no topic", "invalid_topic", /"topic"/, (hub) => hub.subscribe("no topic").ready],
      ["listen to no topic", "invalid_topic", /"topic"/, (hub) => hub.onPublication("no topic", () => {})],
      ["publish on no topic", "invalid_topic", /"topic"/, (hub) => hub.publish("", "n", 1)],
      ["publish without a type", "invalid_message", /"type"/, (hub) => hub.publish("news", "", 1)],
      [
        "publish as the hub",
        "invalid_message",
        /"type" must not begin with "hub:"/,
        (hub) => hub.publish("news", "hub:pause", 1),
      ],
      [
        "publish a Set",
        "invalid_message",
        /payload\.data is a Set/,
        (hub) => hub.publish("news", "n", new Set()),
      ],
      [
        "publish with 5 KB of metadata",
        "invalid_message",
        /"metadata"/,
        (hub) => hub.publish("news", "n", 1, { a: "x".repeat(5_000) }),
      ],
      [
        "broadcast a type of 257 characters",
        "invalid_message",
        /"type"/,
        (hub) => hub.broadcast("t".repeat(257), 1),
      ],
      [
        "broadcast to no pattern",
        "invalid_message",
        /"metadata.targetPattern"/,
        (hub) => hub.broadcast("n", 1, { targetPattern: "@(**/a)" }),
      ],
      [
        "broadcast with what throws",
        "invalid_message",
        /throws/,
        (hub) => hub.broadcast("n", 1, { metadata: throwing() }),
      ],
      ["discover by no pattern", "invalid_message", /"pattern"/, (hub) => hub.discover("test/*")],
      ["discover NaN at once", "invalid_message", /limit/, (hub) => hub.discover("*", { limit: NaN })],
      ["list from -1", "invalid_message", /"offset"/, (hub) => hub.listActors({ offset: -1 })],
      ["list Infinity at once", "invalid_message", /limit/, (hub) => hub.listActors({ limit: Infinity })],
      ["watch no address", "invalid_address", /"actorAddress"/, (hub) => hub.watch(address("ada"))],
      ["ask for the presence on no topic", "invalid_topic", /"topic"/, (hub) => hub.presence("a b")],
      [
        "ask the hub itself, badly",
        "invalid_topic",
        /"topic"/,
        (hub) => hub.ask(HUB_ADDRESS, "hub:subscribe", { topic: "ä" }),
      ],
    ]
  for (const [what, code, rule, call] of bad) {
    it(`${what}: rejects its own call, and nothing is sent, now or on the next connection`, async () => {
      const { hub, network } = await join()
      const before = network.last.frames.length
      await expect(call(hub)).rejects.toMatchObject({
        _tag: "TransportError",
        code,
        message: expect.stringMatching(rule),
      })
      await turn()
      expect(network.last.frames.length).toBe(before)
      network.last.drop(1006)
      await hub.register(ADA)
      expect(network.last.types.filter((type) => type !== "hub:connect")).toEqual(["hub:register"])
      await hub.close()
    })
  }

  it.effect("as effects: each fails typed", () =>
    Effect.gen(function* () {
      const { client, network } = yield* start()
      const before = network.last.frames.length
      const errors = yield* Effect.all(
        [
          client.tell(address("ada"), "n", 1),
          client.tell(ADA, "n", 1n, { until: "acknowledged" }),
          client.ask(ADA, "", 1),
          client.ask(ADA, "n", 1, { timeout: NaN }),
          client.reply(envelope({ from: "nobody" }), "n", 1),
          client.register(address("ada")),
          client.subscribe("no topic"),
          client.watch(address("ada")),
          client.publish("news", "n", Symbol("s")),
          client.broadcast("", 1),
          client.discover("@()"),
          client.listActors({ limit: -1 }),
          client.presence("ä"),
          client.transport.register(address("ada")),
        ].map((call) => Effect.flip(call as Effect.Effect<unknown, { readonly _tag: string }>)),
      )
      expect(new Set(errors.map(({ _tag }) => _tag))).toEqual(new Set(["TransportError"]))
      yield* settle
      expect(network.last.frames.length).toBe(before)
    }),
  )
})

describe("fault 49: what a bad argument leaves as it was", () => {
  it.effect("a reliable one takes no number: what comes after it is no gap", () =>
    Effect.gen(function* () {
      const { client, hub } = yield* startReliable()
      yield* client.tell(ADA, "n", 1, { reliable: true })
      yield* Effect.flip(client.tell(address("@(a b/c)"), "n", 2, { reliable: true }))
      yield* Effect.flip(client.ask(ADA, "n", new Map()))
      yield* client.tell(ADA, "n", 3, { reliable: true })
      yield* settle
      expect(hub.taken.map(({ payload, seq }) => [payload, seq])).toEqual([
        [1, 1],
        [3, 2],
      ])
    }),
  )

  it("an ask under the id of one that is open is rejected, and the open one is answered", async () => {
    const { hub, network } = await join()
    const answers: Array<unknown> = []
    const stop = hub.onMessage(({ payload }) => void answers.push(payload))
    const transport = hub.transport
    await Effect.runPromise(
      Effect.scoped(
        Effect.gen(function* () {
          yield* transport.receive(({ payload }) => void answers.push(payload))
          expect(transport.send(envelope({ pattern: "ask" }))).toBeUndefined()
          expect(transport.send(envelope({ pattern: "ask" }))).toMatchObject(
            refusal(/"id" is that of an ask/),
          )
          network.last.say("answer", "the first's", { from: ADA, correlationId: "raw-1" })
        }),
      ),
    )
    expect(answers).toEqual(["the first's"])
    stop()
    await hub.close()
  })

  it("an id of 129 characters, and of none", async () => {
    const { hub } = await join()
    for (const id of ["", "i".repeat(129)]) {
      expect(hub.transport.send(envelope({ id }))).toMatchObject(refusal(/"id" must be a string of 1 to 128/))
    }
    await hub.close()
  })

  it.effect("what is larger than the hub takes, as its limits are known only later, is told", () =>
    Effect.gen(function* () {
      const network = new FakeNetwork()
      const client = yield* HubClient.make({ url: "ws://hub.test/ws", webSocket: network.open, wakeups: [] })
      yield* settle
      yield* client.tell(ADA, "n", "x".repeat(3_000))
      const asking = yield* run(
        client.ask(
          ADA,
          "n",
          Array.from({ length: 200 }, () => 1),
        ),
      )
      yield* client.tell(ADA, "n", "fits")
      const events: Array<unknown> = []
      network.last.answers = (request) =>
        request.type === "hub:connect"
          ? connected({ maxMessageSize: 2_000, limits: { maxValues: 100 } })
          : standardAnswer(request)
      const hearing = yield* run(
        Effect.promise(async () => {
          for await (const event of (await import("effect/Stream")).toAsyncIterable(client.events))
            events.push(event)
        }),
      )
      network.last.open()
      yield* settle
      expect(network.last.sent.slice(1).map(({ payload }) => payload)).toEqual(["fits"])
      expect(outcome(asking)).toMatchObject({ _tag: "TransportError", reason: "too_large" })
      expect(events).toMatchObject([{ type: "hub:error", payload: { code: "message_too_large" } }])
      expect(outcome(hearing)).toBe("waiting")
    }),
  )
})

describe("fault 48: what the user gave throws where it is given", () => {
  const bad: ReadonlyArray<readonly [what: string, options: object, rule: RegExp]> = [
    ["a bigint in the metadata", { metadata: { userId: 10n } }, /metadata\.userId is a bigint/],
    ["metadata that holds itself", { metadata: cyclic }, /holds itself/],
    ["a getter that throws in the metadata", { metadata: throwing() }, /throws/],
    ["a toJSON that throws in the metadata", { metadata: { toJSON: fail } }, /toJSON/],
    ["a toJSON deep in the metadata", { metadata: { a: { toJSON: fail } } }, /toJSON/],
    ["metadata that is a string", { metadata: "ada" }, /"metadata" must be an object/],
    ["5 KB of metadata", { metadata: { a: "x".repeat(5_000) } }, /"metadata" is larger/],
    [
      "metadata that leaves no room for a resume",
      { metadata: { a: "x".repeat(3_900) } },
      /"metadata" is larger/,
    ],
    ["an identity that is no address", { identity: "@(a b/c)" }, /"identity"/],
    ["capabilities that are no array", { capabilities: "player" }, /"capabilities"/],
    ["a token that is a number", { token: 5 }, /"token"/],
    [
      "a session expiry of -1",
      { sessionExpirySeconds: -1 },
      /"sessionExpirySeconds" must be a finite number from 0/,
    ],
    ["a session expiry of NaN", { sessionExpirySeconds: NaN }, /"sessionExpirySeconds"/],
    ["a session expiry of Infinity", { sessionExpirySeconds: Infinity }, /"sessionExpirySeconds"/],
    ["a time limit of NaN", { askTimeout: NaN }, /"askTimeout"/],
    ["a time limit of -1", { askTimeout: -1 }, /"askTimeout"/],
    ["a queue of NaN", { queueLimit: NaN }, /"queueLimit"/],
    ["a queue of -1", { queueLimit: -1 }, /"queueLimit"/],
  ]
  for (const codec of ["json", "msgpack"] as const) {
    for (const [what, options, rule] of bad) {
      it(`${what}, over ${codec}: connect rejects before a socket is opened`, async () => {
        const network = new FakeNetwork()
        network.onSocket = (socket) => queueMicrotask(() => socket.drop(1006))
        const expected = { _tag: "ConnectFailed", code: null, message: expect.stringMatching(rule) }
        await expect(
          connect("ws://hub.test/ws", { webSocket: network.open, codec, ...options }),
        ).rejects.toMatchObject(expected)
        const made = HubClient.make({ url: "ws://hub.test/ws", webSocket: network.open, codec, ...options })
        expect(await Effect.runPromise(Effect.flip(Effect.scoped(made)))).toMatchObject(expected)
        expect(network.sockets).toEqual([])
      })
    }
  }

  it.effect("each connection tells of the metadata as it was, whatever became of it", () =>
    Effect.gen(function* () {
      const metadata: { [key: string]: unknown } = { app: "chess" }
      const { network, reconnect } = yield* startReliable({ metadata })
      metadata.app = 1n
      yield* reconnect()
      expect(network.sockets).toHaveLength(2)
      expect(network.last.sent[0]?.metadata).toMatchObject({ clientMetadata: { app: "chess" } })
    }),
  )

  it.effect("a registration is asked for again as it was, whatever became of it", () =>
    Effect.gen(function* () {
      const metadata: { [key: string]: unknown } = { level: 1 }
      const { client, network } = yield* start()
      yield* client.register(ADA, { metadata })
      metadata.level = 1n
      network.last.drop(1006)
      yield* pass(250)
      network.last.open()
      yield* settle
      const again = network.last.sent.find(({ type }) => type === "hub:register")
      expect(again?.payload).toMatchObject({ metadata: { level: 1 } })
    }),
  )

  it.effect("what waits with a time limit leaves as it was, whatever became of it", () =>
    Effect.gen(function* () {
      const payload: { [key: string]: unknown } = { n: 1, at: "noon" }
      const { client, network } = yield* start()
      network.last.say("hub:pause", { actorAddress: ADA, reason: "slow_consumer" })
      yield* run(client.tell(ADA, "n", payload, { ttl: 5_000 }))
      yield* run(client.tell(ADA, "after", 2))
      payload.n = 1n
      yield* pass(1_000)
      network.last.say("hub:resume", { actorAddress: ADA })
      yield* settle
      expect(network.last.sent.slice(1)).toMatchObject([
        { type: "n", payload: { n: 1, at: "noon" }, ttl: 4_000 },
        { type: "after" },
      ])
    }),
  )

  it.effect("what is stored is what was sent, whatever became of it: the session stays stored", () =>
    Effect.gen(function* () {
      const store = new MemoryStore()
      const { client, events } = yield* startReliable({ persistence: store })
      const payload: { [key: string]: unknown } = { n: 1 }
      yield* Effect.sync(() => {
        Effect.runSync(client.tell(ADA, "n", payload, { reliable: true }))
        payload.n = fail
      })
      yield* settle
      expect(events.map(({ type }) => type)).not.toContain("notStored")
    }),
  )

  it("a value that changes between two reads rejects its own call", async () => {
    const { hub, network } = await join()
    const before = network.last.frames.length
    expect(said(() => hub.tell(ADA, "n", fickle()))).toMatchObject({
      _tag: "TransportError",
      reason: "refused",
    })
    await turn()
    expect(network.last.frames.length).toBe(before)
    await hub.close()
  })

  it.effect("a token provider that gives no text is a failed attempt", () =>
    Effect.gen(function* () {
      let asked = 0
      const network = new FakeNetwork()
      // As plain JavaScript may give it.
      const token = (): string => (asked++ === 0 ? (10n as unknown as string) : "fine")
      const client = yield* HubClient.make({
        url: "ws://hub.test/ws",
        token,
        webSocket: network.open,
        wakeups: [],
      })
      yield* settle
      expect(Effect.runSync(client.state)).toMatchObject({
        status: "reconnecting",
        cause: expect.stringContaining("a bigint"),
      })
      yield* pass(250)
      expect(network.last.protocols).toContain("signal-hub.bearer.fine")
    }),
  )

  it.effect("a store that holds what is none of a client's is given up, and told", () =>
    Effect.gen(function* () {
      const store = new MemoryStore()
      store.entries.set("message/0", { order: 0, since: 0, envelope: { id: 1, payload: "no envelope" } })
      const { events, state } = yield* startReliable({ persistence: store })
      expect(state().status).toBe("connected")
      expect(events.map(({ type }) => type)).toContain("notStored")
    }),
  )

  it("a receiver of the transport that throws at an answer stops nothing", async () => {
    const { hub, network } = await join()
    const uncaught = new Promise<unknown>((resolve) => process.once("uncaughtException", resolve))
    const others = process.listeners("uncaughtException").slice(0, -1)
    for (const other of others) process.off("uncaughtException", other)
    await Effect.runPromise(
      Effect.scoped(
        Effect.gen(function* () {
          yield* hub.transport.receive(fail)
          hub.transport.send(envelope({ pattern: "ask" }))
          expect(
            Exit.isSuccess(
              yield* Effect.exit(
                Effect.sync(() => network.last.say("a", 1, { from: ADA, correlationId: "raw-1" })),
              ),
            ),
          ).toBe(true)
        }),
      ),
    )
    expect(await uncaught).toMatchObject({ message: "the user's own" })
    for (const other of others) process.on("uncaughtException", other)
    expect(hub.state.status).toBe("connected")
    await hub.close()
  })
})
