/** What the client promises beside the faults that it is not to have. */
import { describe, expect, it } from "@effect/vitest"
import { Envelope } from "@signal-hub/actor-core"
import { MsgPackCodec } from "@signal-hub/actor-core/codec/msgpack"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import type { HubEvent } from "../../src/client/index.ts"
import { loadFrameCodec } from "../../src/client/FrameCodec.ts"
import { message } from "../../src/client/Message.ts"
import { HUB_ADDRESS } from "../../src/protocol/HubMessage.ts"
import { connected, standardAnswer } from "./support/FakeNetwork.ts"
import { begin, outcome, pass, run, settle, start } from "./support/harness.ts"

const ADA = "@(test/ada)"

describe("connecting", () => {
  it.effect("offers the codec, names itself in hub:connect and never puts a token into the URL", () =>
    Effect.gen(function* () {
      const { client, network } = yield* start({
        identity: "@(test/me)",
        token: "a.b-c_d",
        capabilities: ["player"],
        metadata: { app: "x" },
        sessionExpirySeconds: 30,
      })
      expect(network.last.url).toBe("wss://hub.test/ws")
      expect(network.last.protocols).toEqual(["signal-hub.json", "signal-hub.bearer.a.b-c_d"])
      expect(network.last.binaryType).toBe("arraybuffer")
      expect(network.last.sent).toHaveLength(1)
      expect(network.last.sent[0]).toMatchObject({
        to: HUB_ADDRESS,
        type: "hub:connect",
        pattern: "ask",
        payload: null,
      })
      expect(network.last.sent[0]?.metadata).toEqual({
        protocolVersion: "1.0.0",
        actorIdentity: "@(test/me)",
        capabilities: ["player"],
        clientMetadata: { app: "x" },
        sessionExpirySeconds: 30,
      })
      expect((yield* client.ready).actorIdentity).toBe("@(test/me)")
    }),
  )

  it.effect("without a token, says in the URL whose gateway it means", () =>
    Effect.gen(function* () {
      const { network } = yield* start({ url: "http://hub.test/gateway?v=2", identity: "@(test/me)" })
      const { pathname, protocol, searchParams } = new URL(network.last.url)
      expect([protocol, pathname, Object.fromEntries(searchParams)]).toEqual([
        "ws:",
        "/gateway",
        { v: "2", identity: "@(test/me)" },
      ])
    }),
  )

  it.effect("a token that no subprotocol may carry goes into hub:connect", () =>
    Effect.gen(function* () {
      const { network } = yield* start({ token: "with space" })
      expect(network.last.protocols).toEqual(["signal-hub.json"])
      expect(network.last.sent[0]?.metadata).toMatchObject({ authToken: "with space" })
    }),
  )

  it.effect("an attempt that is not answered within 5 s is given up, and its socket closed", () =>
    Effect.gen(function* () {
      const { network, state } = yield* begin()
      yield* pass(4_999)
      expect(network.last.closedByClient).toBe(false)
      yield* pass(1)
      expect(network.sockets[0]?.closedByClient).toBe(true)
      expect(state().status).toBe("reconnecting")
    }),
  )

  it.effect("a refused hub:connect is judged by its code, though the hub keeps the socket open", () =>
    Effect.gen(function* () {
      const { client, network, state } = yield* begin()
      network.last.answers = () => ({ type: "hub:error", payload: { code: "forbidden", message: "not you" } })
      network.last.open()
      yield* pass(60_000)
      expect(state()).toMatchObject({ status: "disconnected", code: 4403 })
      expect(network.sockets).toHaveLength(1)
      expect(yield* Effect.flip(client.ready)).toMatchObject({ _tag: "ConnectFailed", code: 4403 })
    }),
  )

  for (const code of [4400, 4403, 4426, 4450]) {
    it.effect(`${code} is final, and what was never sent is handed back`, () =>
      Effect.gen(function* () {
        const { client, network, state } = yield* begin()
        yield* client.tell(ADA, "unsent", 1)
        const asking = yield* run(client.ask(ADA, "unsent", 2))
        network.last.drop(code, "no")
        yield* pass(3_600_000)
        expect(network.sockets).toHaveLength(1)
        expect(outcome(asking)).toMatchObject({ _tag: "TransportError", reason: "closed" })
        const now = state()
        expect(now).toMatchObject({ status: "disconnected", code, cause: "no" })
        if (now.status === "disconnected") expect(now.undelivered.map(({ payload }) => payload)).toEqual([1])
      }),
    )
  }

  for (const code of [1000, 1001, 1005, 1006, 1009, 1011, 1012, 4408, 4412, 4413, 4503]) {
    it.effect(`${code} reconnects`, () =>
      Effect.gen(function* () {
        const { network } = yield* start()
        network.last.drop(code)
        yield* pass(250)
        expect(network.sockets).toHaveLength(2)
      }),
    )
  }

  it.effect("a token provider that fails, or takes longer than 10 s, is a failed attempt", () =>
    Effect.gen(function* () {
      let asked = 0
      const { network, state } = yield* begin({
        token: () => {
          asked++
          if (asked === 1) throw new Error("no network")
          return asked === 2 ? new Promise<string>(() => {}) : "token"
        },
      })
      expect(state()).toMatchObject({ status: "reconnecting", cause: expect.stringContaining("no network") })
      yield* pass(250)
      yield* pass(10_000)
      expect(state()).toMatchObject({ status: "reconnecting", cause: expect.stringContaining("10000 ms") })
      yield* pass(500)
      expect(asked).toBe(3)
      expect(network.sockets).toHaveLength(1)
    }),
  )

  it.effect("when its schedule ends, so does the client", () =>
    Effect.gen(function* () {
      const { network, state } = yield* begin({ schedule: Schedule.recurs(2) })
      for (let attempt = 1; attempt <= 3; attempt++) {
        expect(network.sockets).toHaveLength(attempt)
        network.last.drop(1006)
        yield* pass(0)
      }
      expect(state()).toMatchObject({ status: "disconnected", cause: expect.stringContaining("schedule") })
    }),
  )

  it.effect("the end of its scope says goodbye and closes the socket", () =>
    Effect.gen(function* () {
      const { network, state } = yield* Effect.scoped(start())
      expect(network.last.types.at(-1)).toBe("hub:disconnect")
      expect(state().status).toBe("disconnected")
    }),
  )
})

describe("sending", () => {
  it.effect("what is sent in one turn leaves in one frame", () =>
    Effect.gen(function* () {
      const { client, network } = yield* start()
      const before = network.last.frames.length
      yield* Effect.sync(() => {
        for (let n = 0; n < 5; n++) Effect.runSync(client.tell(ADA, "n", n))
      })
      yield* settle
      expect(network.last.frames.length - before).toBe(1)
      expect(network.last.sent.slice(1).map(({ payload }) => payload)).toEqual([0, 1, 2, 3, 4])
    }),
  )

  it.effect(
    "no frame is larger than the hub takes, and a message that would be is refused when it is sent",
    () =>
      Effect.gen(function* () {
        const { client, network } = yield* begin()
        network.last.answers = (request) =>
          request.type === "hub:connect" ? connected({ maxMessageSize: 2_000 }) : standardAnswer(request)
        network.last.open()
        yield* settle
        yield* Effect.sync(() => {
          for (let n = 0; n < 40; n++) Effect.runSync(client.tell(ADA, "n", "ä".repeat(200)))
        })
        yield* settle
        const sizes = network.last.frames.map((frame) => new TextEncoder().encode(String(frame)).length)
        expect(Math.max(...sizes)).toBeLessThanOrEqual(2_000)
        expect(network.last.sent).toHaveLength(41)
        const error = yield* Effect.flip(client.tell(ADA, "n", "ä".repeat(1_000)))
        expect(error).toMatchObject({ _tag: "TransportError", reason: "too_large" })
      }),
  )

  it.effect("what cannot be encoded is refused when it is sent", () =>
    Effect.gen(function* () {
      const { client } = yield* start()
      expect(yield* Effect.flip(client.tell(ADA, "n", 1n))).toMatchObject({
        reason: "refused",
        code: "invalid_message",
      })
    }),
  )

  it.effect("what is changed after it was sent is sent as it was", () =>
    Effect.gen(function* () {
      const { client, network } = yield* start()
      const payload = { n: 1 }
      yield* Effect.sync(() => {
        Effect.runSync(client.tell(ADA, "n", payload))
        payload.n = 2
      })
      yield* settle
      expect(network.last.sent.at(-1)?.payload).toEqual({ n: 1 })
    }),
  )

  it.effect("the offline queue takes 1,000 envelopes and refuses the next, typed", () =>
    Effect.gen(function* () {
      const { client } = yield* begin()
      for (let n = 0; n < 1_000; n++) yield* client.tell(ADA, "n", n)
      expect(yield* Effect.flip(client.tell(ADA, "n", 1_000))).toMatchObject({
        _tag: "TransportError",
        reason: "queue_full",
      })
    }),
  )

  it.effect("a network that takes less than is sent makes tell wait, and the queue is bounded", () =>
    Effect.gen(function* () {
      const { client, network } = yield* start({ queueLimit: 2 })
      network.last.bufferedAmount = 17 * 1_048_576
      const telling = yield* run(client.tell(ADA, "n", 1))
      yield* run(client.tell(ADA, "n", 2))
      expect(yield* Effect.flip(client.tell(ADA, "n", 3))).toMatchObject({ reason: "queue_full" })
      expect(outcome(telling)).toBe("waiting")
      network.last.bufferedAmount = 0
      yield* pass(100)
      expect(outcome(telling)).toBeUndefined()
      expect(network.last.sent.slice(1).map(({ payload }) => payload)).toEqual([1, 2])
    }),
  )

  it.effect("an ask that is given up is cancelled at the actor; one that still waits is never sent", () =>
    Effect.gen(function* () {
      const { client, network } = yield* start()
      const asking = yield* run(client.ask(ADA, "work", 1))
      yield* Fiber.interrupt(asking)
      yield* settle
      const [ask, cancel] = network.last.sent.slice(1)
      expect(cancel).toMatchObject({ to: ADA, type: "actor:cancel", pattern: "tell", correlationId: ask?.id })
      network.last.drop(1006)
      yield* settle
      const waiting = yield* run(client.ask(ADA, "work", 2))
      yield* Fiber.interrupt(waiting)
      yield* pass(250)
      network.last.open()
      yield* settle
      expect(network.last.types).toEqual(["hub:connect"])
    }),
  )

  it.effect("msgpack frames join into what the codec itself would have made", () =>
    Effect.gen(function* () {
      const frames = yield* loadFrameCodec("msgpack")
      const batch = Array.from({ length: 40 }, (_, n) => message("tell", ADA, "n", { n }, n))
      const joined = frames.join(batch.map((envelope) => frames.encode(envelope)))
      const values = MsgPackCodec.decode(joined).map(Envelope.check)
      expect(values).toEqual(batch.map(Envelope.check))
    }),
  )

  for (const codec of ["json", "msgpack"] as const) {
    it.effect(`a number is put into what is encoded already, and makes it no larger: ${codec}`, () =>
      Effect.gen(function* () {
        const frames = yield* loadFrameCodec(codec)
        for (const payload of [null, "seq:1}", { seq: 4_294_967_295 }, [{ a: '":"' }]]) {
          for (const seq of [1, 127, 128, 65_536, 4_294_967_294]) {
            const envelope = message("tell", ADA, "n", payload, 1, { reliable: true })
            const part = frames.encode(envelope)
            const size = part.length
            const numbered = frames.number(part, seq)
            expect(numbered.length).toBeLessThanOrEqual(size)
            expect(frames.codec.decode(numbered).map(Envelope.check)).toEqual([{ ...envelope, seq }])
          }
        }
      }),
    )
  }
})

describe("what is held", () => {
  it.effect("two readers of one topic are one subscription, which ends with the last", () =>
    Effect.gen(function* () {
      const { client, network } = yield* start()
      const heard: Array<unknown> = []
      const reader = Effect.scoped(
        Effect.gen(function* () {
          const news = yield* client.subscribe("news")
          yield* Stream.runForEach(Stream.take(news, 1), ({ payload }) =>
            Effect.sync(() => heard.push(payload)),
          )
        }),
      )
      const first = yield* run(reader)
      const second = yield* run(reader)
      const said = { from: ADA, metadata: { topic: "news", publication: true } } as const
      network.last.say("headline", "one", said)
      yield* Fiber.join(first)
      yield* Fiber.join(second)
      yield* settle
      expect(heard).toEqual(["one", "one"])
      expect(network.last.types.filter((type) => type === "hub:unsubscribe")).toHaveLength(1)
    }),
  )

  it.effect("a subscription that is let go offline is not taken up again, and is undone at the hub", () =>
    Effect.gen(function* () {
      const { client, network } = yield* start()
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* client.subscribe("news")
          network.last.drop(1006)
          yield* settle
        }),
      )
      yield* pass(250)
      network.last.open()
      yield* settle
      expect(network.last.types).toEqual(["hub:connect", "hub:unsubscribe"])
    }),
  )

  it.effect("a registration that the hub refuses fails typed and is not tried again", () =>
    Effect.gen(function* () {
      const { client, network } = yield* start()
      network.last.answers = () => ({
        type: "hub:error",
        payload: { code: "address_in_use", message: "taken" },
      })
      const error = yield* Effect.flip(client.register("@(test/extra)"))
      expect(error).toMatchObject({ _tag: "AskRefused", code: "address_in_use" })
      network.last.drop(1006)
      yield* pass(250)
      network.last.open()
      yield* settle
      expect(network.last.types).toEqual(["hub:connect"])
    }),
  )

  it.effect("a registration that is made offline succeeds once connected, or fails in time", () =>
    Effect.gen(function* () {
      const { client, network } = yield* begin({ askTimeout: 4_000 })
      const early = yield* run(client.register("@(test/early)"))
      expect(outcome(early)).toBe("waiting")
      network.last.open()
      yield* settle
      expect(outcome(early)).toMatchObject({ actorAddress: "@(test/early)" })
      network.last.drop(1006)
      yield* settle
      const late = yield* run(client.register("@(test/late)"))
      yield* pass(4_000)
      expect(outcome(late)).toMatchObject({ _tag: "AskTimeout" })
    }),
  )

  it.effect(
    "what waits to be registered or watched fails as soon as the client ends, and so does what comes later",
    () =>
      Effect.gen(function* () {
        const { client } = yield* begin()
        const requests = [Effect.asVoid(client.register("@(test/extra)")), Effect.asVoid(client.watch(ADA))]
        const early = yield* Effect.forEach(requests, run)
        yield* client.close
        const late = yield* Effect.forEach(requests, run)
        yield* settle
        for (const one of [...early, ...late])
          expect(outcome(one)).toMatchObject({ _tag: "TransportError", reason: "closed" })
      }),
  )

  it.effect("a rate-limited request for what is held is made again after the wait", () =>
    Effect.gen(function* () {
      const { client, network } = yield* start()
      network.last.answers = () => ({
        type: "hub:rate_limited",
        payload: { retryAfter: 700, retryAfterMs: 700, limit: 1 },
      })
      const registering = yield* run(client.register("@(test/extra)"))
      network.last.answers = standardAnswer
      yield* pass(699)
      expect(outcome(registering)).toBe("waiting")
      yield* pass(1)
      expect(outcome(registering)).toMatchObject({ actorAddress: "@(test/extra)" })
    }),
  )

  it.effect.each([
    ["leaves it unanswered", undefined, 4_000],
    [
      "is overloaded",
      { type: "hub:error", payload: { code: "queue_full", message: "m", retryable: true } },
      0,
    ],
  ] as const)("what was held is asked for again where the next connection %s", ([, answer, patience]) =>
    Effect.gen(function* () {
      const { client, network } = yield* start({ askTimeout: 4_000 })
      yield* client.register("@(test/extra)")
      network.onSocket = (socket) => {
        socket.answers = (request) => (request.type === "hub:register" ? answer : standardAnswer(request))
      }
      network.last.drop(1006)
      yield* pass(250)
      network.last.open()
      yield* settle
      expect(network.last.types).toEqual(["hub:connect", "hub:register"])
      yield* pass(patience)
      network.last.answers = standardAnswer
      yield* pass(1_000)
      expect(network.last.types).toEqual(["hub:connect", "hub:register", "hub:register"])
    }),
  )

  it.effect("an actor that ended while there was no connection is heard of after the reconnect", () =>
    Effect.gen(function* () {
      const { client, network } = yield* start()
      const end = yield* run(yield* client.watch(ADA))
      network.onSocket = (socket) => {
        socket.answers = (request) =>
          request.type === "hub:watch"
            ? { type: "hub:watching", payload: { actorAddress: ADA, registered: false } }
            : standardAnswer(request)
      }
      network.last.drop(1006)
      yield* pass(250)
      network.last.open()
      yield* settle
      expect(outcome(end)).toEqual({ actorAddress: ADA, reason: "unregistered" })
    }),
  )

  it.effect("an address that was taken over is not registered again", () =>
    Effect.gen(function* () {
      const { client, network } = yield* start()
      const events: Array<HubEvent> = []
      yield* run(Stream.runForEach(client.events, (event) => Effect.sync(() => void events.push(event))))
      yield* client.register("@(test/extra)")
      network.last.say("hub:unregistered", { actorAddress: "@(test/extra)", reason: "superseded" })
      yield* settle
      expect(events.map(({ type }) => type)).toEqual(["hub:unregistered"])
      network.last.drop(1006)
      yield* pass(250)
      network.last.open()
      yield* settle
      expect(network.last.types).toEqual(["hub:connect"])
    }),
  )
})

describe("the transport", () => {
  it.effect("answers an ask that is lost with its connection, by an error envelope", () =>
    Effect.gen(function* () {
      const { client, network } = yield* start()
      const heard: Array<Envelope.Envelope> = []
      yield* client.transport.receive((envelope) => void heard.push(envelope))
      const ask = message("ask", ADA, "work", 1, 0)
      expect(client.transport.send(ask)).toBeUndefined()
      yield* settle
      network.last.drop(1006)
      yield* settle
      expect(heard).toMatchObject([
        { type: "hub:error", from: HUB_ADDRESS, correlationId: ask.id, payload: { code: "connection_lost" } },
      ])
    }),
  )

  it.effect("hands over each answer of a stream, and what else comes, in order", () =>
    Effect.gen(function* () {
      const { client, network } = yield* start()
      const heard: Array<unknown> = []
      yield* client.transport.receive(({ payload }) => void heard.push(payload))
      const ask = message("ask", ADA, "work", 1, 0)
      client.transport.send(ask)
      for (let n = 1; n <= 3; n++) {
        network.last.say("item", n, {
          from: ADA,
          correlationId: ask.id,
          metadata: { stream: { n, done: n === 3 } },
        })
      }
      network.last.say("other", "tell", { from: ADA })
      expect(heard).toEqual([1, 2, 3, "tell"])
    }),
  )

  it.effect.each([
    ["is given up after its time", [], ["hub:error"]],
    ["may take longer where its asker demands: it is a stream", ["actor:demand"], []],
  ] as const)("an ask without an answer %s", ([, says, hears]) =>
    Effect.gen(function* () {
      const { client, network } = yield* start()
      const heard: Array<string> = []
      yield* client.transport.receive(({ type }) => void heard.push(type))
      const ask = message("ask", ADA, "work", 1, 0)
      client.transport.send(ask)
      for (const type of says) client.transport.send(message("tell", ADA, type, { n: 0 }, 0, {}, ask.id))
      for (let i = 0; i < 4; i++) {
        yield* pass(20_000)
        network.last.emit("message", { data: '{"type":"pong"}' })
      }
      expect(heard).toEqual(hears)
    }),
  )

  it.effect.each([
    ["says done", "item", { stream: { n: 1, done: true } }],
    ["does not say whether it is the last", "item", { stream: { n: 1 } }],
    ["is a failure", "actor:error", { stream: { n: 1, done: false } }],
  ] as const)("takes an answer that %s for the last, as the hub does", ([, type, metadata]) =>
    Effect.gen(function* () {
      const { client, network } = yield* start()
      const heard: Array<string> = []
      yield* client.transport.receive((envelope) => void heard.push(envelope.type))
      const ask = message("ask", ADA, "work", 1, 0)
      client.transport.send(ask)
      network.last.say(type, null, { from: ADA, correlationId: ask.id, metadata })
      yield* settle
      network.last.drop(1006)
      yield* settle
      expect(heard).toEqual([type])
    }),
  )
})
