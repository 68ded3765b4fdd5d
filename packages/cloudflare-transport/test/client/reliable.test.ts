/** Reliable sessions, as a client has them: numbers, acknowledgments, resume and what becomes of the rest. */
import { describe, expect, it } from "@effect/vitest"
import { ActorSystem, Protocol, type Envelope } from "@signal-hub/actor-core"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { connect, type HubClientService } from "../../src/client/index.ts"
import { HUB_ADDRESS } from "../../src/protocol/HubMessage.ts"
import { FakeNetwork } from "./support/FakeNetwork.ts"
import { ReliableHub } from "./support/ReliableHub.ts"
import { outcome, pass, run, settle, start, startReliable } from "./support/harness.ts"

const ADA = "@(test/ada)"
const RELIABLE = { reliable: true } as const
const ACKNOWLEDGED = { until: "acknowledged" } as const

const payloads = (envelopes: ReadonlyArray<Envelope.Envelope>) => envelopes.map(({ payload }) => payload)
const unconfirmed = (events: ReadonlyArray<{ readonly type: string }>) =>
  events.flatMap((event) =>
    event.type === "unconfirmed" && "unconfirmed" in event ? [event.unconfirmed] : [],
  )
const listen = (client: HubClientService) =>
  Effect.gen(function* () {
    const heard: Array<Envelope.Envelope> = []
    yield* run(Stream.runForEach(client.messages, (envelope) => Effect.sync(() => void heard.push(envelope))))
    return heard
  })

describe("sending", () => {
  it.effect("asks are numbered by default, tells where it is said, requests to the hub never", () =>
    Effect.gen(function* () {
      const { client, network } = yield* startReliable()
      yield* client.tell(ADA, "volatile", 1)
      yield* client.tell(ADA, "reliable", 2, RELIABLE)
      yield* run(client.ask(ADA, "asked", 3))
      yield* run(client.ask(ADA, "asked-volatile", 4, { reliable: false }))
      yield* client.publish("news", "item", 5)
      yield* run(client.tell(ADA, "acknowledged", 6, ACKNOWLEDGED))
      expect(
        network.last.sent.slice(1).flatMap(({ type, seq }) => (type === "hub:ack" ? [] : [[type, seq]])),
      ).toEqual([
        ["volatile", undefined],
        ["reliable", 1],
        ["asked", 2],
        ["asked-volatile", undefined],
        ["hub:publish", undefined],
        ["acknowledged", 3],
      ])
    }),
  )

  it.effect("fault 22: what is not acknowledged is sent again under its number, before anything else", () =>
    Effect.gen(function* () {
      const { client, hub, network, reconnect, events } = yield* startReliable()
      yield* client.register("@(test/extra)")
      hub.cut()
      for (let n = 1; n <= 3; n++) yield* client.tell(ADA, "n", n, RELIABLE)
      yield* run(client.subscribe("news"))
      network.last.drop(1006)
      yield* settle
      yield* client.tell(ADA, "n", 4, RELIABLE)
      yield* reconnect()
      expect(hub.resumes.at(-1)).toEqual({ sessionId: "s-1", resumeToken: "t-1", lastSeq: 0 })
      // What the hub has granted, it still has; what it has not answered is asked for again.
      expect(
        network.last.sent.map(({ type, payload, seq }) => (type === "n" ? [payload, seq] : type)),
      ).toEqual(["hub:connect", [1, 1], [2, 2], [3, 3], "hub:subscribe", [4, 4]])
      expect(payloads(hub.taken)).toEqual([1, 2, 3, 4])
      expect(events.map(({ type }) => type)).toEqual(["connected", "resumed"])
    }),
  )

  it.effect("what the hub had taken before the connection was lost is not sent again", () =>
    Effect.gen(function* () {
      const { client, hub, reconnect } = yield* startReliable()
      hub.acknowledges = false
      for (let n = 1; n <= 3; n++) yield* client.tell(ADA, "n", n, RELIABLE)
      yield* settle
      hub.cut()
      yield* client.tell(ADA, "n", 4, RELIABLE)
      yield* settle
      yield* reconnect()
      expect(hub.seqs).toEqual([[1, 2, 3], [4]])
      expect(payloads(hub.taken)).toEqual([1, 2, 3, 4])
    }),
  )

  it.effect("what the hub has when it takes up the session is not confirmed before it is acknowledged", () =>
    Effect.gen(function* () {
      const { client, events, hub, network, reconnect } = yield* startReliable()
      hub.acknowledges = false
      const telling = yield* run(client.tell(ADA, "n", 1, ACKNOWLEDGED))
      yield* client.tell(ADA, "n", 2, RELIABLE)
      yield* settle
      yield* reconnect()
      yield* client.tell(ADA, "n", 3, RELIABLE)
      yield* settle
      expect(hub.seqs).toEqual([[1, 2], [3]])
      expect(outcome(telling)).toBe("waiting")
      hub.acknowledge(1)
      yield* settle
      expect(outcome(telling)).toBe(undefined)
      network.last.drop(1006)
      hub.refuses = "expired"
      yield* reconnect()
      expect(unconfirmed(events)).toMatchObject([{ envelopes: [{ payload: 2 }, { payload: 3 }] }])
    }),
  )

  it.effect("fault 42: an acknowledgment of what was never sent is of no effect", () =>
    Effect.gen(function* () {
      const { client, hub, reconnect } = yield* startReliable()
      hub.cut()
      hub.acknowledges = false
      yield* client.tell(ADA, "n", 1, RELIABLE)
      for (const through of [99, -1, 0.5, Number.NaN, "1", null]) {
        hub.network.last.say("hub:ack", { through, bytes: 0 })
      }
      yield* reconnect()
      expect(payloads(hub.taken)).toEqual([1])
    }),
  )

  it.effect("what never left takes no number: too large, expired, or given up", () =>
    Effect.gen(function* () {
      const { client, hub, network, reconnect } = yield* startReliable()
      expect(yield* Effect.flip(client.tell(ADA, "n", "x".repeat(2_000_000), RELIABLE))).toMatchObject({
        reason: "too_large",
      })
      network.last.drop(1006)
      yield* settle
      yield* client.tell(ADA, "expires", 1, { ...RELIABLE, ttl: 100 })
      const late = yield* run(client.tell(ADA, "expires", 2, { ...ACKNOWLEDGED, ttl: 100 }))
      const asking = yield* run(client.ask(ADA, "given-up", 3))
      yield* Fiber.interrupt(asking)
      yield* client.tell(ADA, "n", 4, { ...RELIABLE, ttl: 10_000 })
      yield* reconnect()
      expect(hub.taken.map(({ type, seq, ttl }) => [type, seq, ttl])).toEqual([["n", 1, 9_750]])
      expect(outcome(late)).toMatchObject({ _tag: "AskTimeout" })
    }),
  )

  it.effect("fault 31: what was transmitted does not expire: it is sent again as it was", () =>
    Effect.gen(function* () {
      const { client, hub, network } = yield* startReliable()
      hub.cut()
      yield* client.tell(ADA, "n", 1, { ...RELIABLE, ttl: 100 })
      yield* settle
      network.last.drop(1006)
      yield* pass(20_000)
      network.last.open()
      yield* settle
      expect(hub.taken).toMatchObject([{ payload: 1, ttl: 100, seq: 1 }])
    }),
  )

  it.effect("10,000 may be unacknowledged; more are refused, and taken again once they are not", () =>
    Effect.gen(function* () {
      const { client, hub } = yield* startReliable()
      hub.acknowledges = false
      for (let n = 0; n < 10_000; n++) yield* client.tell(ADA, "n", n, RELIABLE)
      expect(yield* Effect.flip(client.tell(ADA, "n", 10_000, RELIABLE))).toMatchObject({
        reason: "queue_full",
      })
      yield* client.tell(ADA, "volatile", 1)
      yield* settle
      hub.acknowledge(1)
      yield* client.tell(ADA, "n", 10_000, RELIABLE)
      yield* settle
      expect(payloads(hub.taken)).toEqual([...Array(10_001).keys()])
    }),
  )

  it.effect("16 MiB may be unacknowledged, however few they are", () =>
    Effect.gen(function* () {
      const { client, hub } = yield* startReliable()
      hub.acknowledges = false
      const text = "x".repeat(1_000_000)
      for (let n = 0; n < 17; n++) yield* client.tell(ADA, "n", text, RELIABLE)
      expect(yield* Effect.flip(client.tell(ADA, "n", text, RELIABLE))).toMatchObject({
        reason: "queue_full",
      })
    }),
  )

  it.effect("fault 22: what is sent again keeps to the hub's rate, and is overtaken by nothing", () =>
    Effect.gen(function* () {
      const { client, hub, network } = yield* startReliable()
      hub.limits = { maxEnvelopesPerSecond: 200, envelopeBurst: 400 }
      hub.cut()
      for (let n = 0; n < 600; n++) yield* client.tell(ADA, "n", n, RELIABLE)
      yield* settle
      network.last.drop(1006)
      yield* pass(250)
      network.last.open()
      yield* settle
      yield* run(client.tell(ADA, "n", 600, RELIABLE))
      yield* run(client.tell(ADA, "volatile", 601))
      expect(hub.taken.length).toBeLessThan(250)
      expect(hub.volatile).toEqual([])
      yield* pass(4_000)
      expect(payloads(hub.taken)).toEqual([...Array(601).keys()])
      expect(payloads(hub.volatile)).toEqual([601])
      expect(hub.seqs.at(-1)).toEqual([...Array(601).keys()].map((n) => n + 1))
    }),
  )

  it.effect("a tell until acknowledged ends as the hub has it, or refuses it", () =>
    Effect.gen(function* () {
      const { client, hub } = yield* startReliable()
      hub.acknowledges = false
      const first = yield* run(client.tell(ADA, "n", 1, ACKNOWLEDGED))
      const second = yield* run(client.tell(ADA, "n", 2, ACKNOWLEDGED))
      const third = yield* run(client.tell("@(test/nobody)", "n", 3, ACKNOWLEDGED))
      hub.acknowledge(1)
      yield* settle
      expect([outcome(first), outcome(second)]).toEqual([undefined, "waiting"])
      hub.deliver(
        "hub:unknown_actor",
        { actorAddress: "@(test/nobody)", message: "nobody" },
        { from: "@(cloudflare/signal-hub)", correlationId: hub.taken[2]!.id },
      )
      yield* settle
      expect(outcome(third)).toMatchObject({ _tag: "UnknownActor" })
      hub.acknowledge()
      yield* settle
      expect(outcome(second)).toBeUndefined()
    }),
  )

  it.effect("to a hub that resumes no sessions everything is sent once, without numbers", () =>
    Effect.gen(function* () {
      const { client, network } = yield* start()
      yield* client.tell(ADA, "n", 1, RELIABLE)
      const telling = yield* run(client.tell(ADA, "n", 2, ACKNOWLEDGED))
      const asking = yield* run(client.ask(ADA, "n", 3))
      yield* settle
      expect(network.last.sent.slice(1).map(({ payload, seq }) => [payload, seq])).toEqual([
        [1, undefined],
        [2, undefined],
        [3, undefined],
      ])
      expect(outcome(telling)).toMatchObject({ _tag: "TransportError", reason: "refused" })
      network.last.drop(1006)
      yield* settle
      expect(outcome(asking)).toMatchObject({ _tag: "ConnectionLost" })
      yield* client.tell(ADA, "n", 4, RELIABLE)
      yield* pass(250)
      network.last.open()
      yield* settle
      expect(network.last.sent.map(({ payload, seq }) => [payload, seq])).toEqual([
        [null, undefined],
        [4, undefined],
      ])
      expect(network.last.sent[0]!.metadata).not.toHaveProperty("resume")
    }),
  )
})

describe("receiving", () => {
  it.effect("fault 42: what comes again is not taken again", () =>
    Effect.gen(function* () {
      const { client, hub, network, reconnect } = yield* startReliable()
      const heard = yield* listen(client)
      const first = hub.deliver("n", 1)
      hub.deliver("n", 2)
      network.last.emit("message", { data: JSON.stringify(first) })
      yield* settle
      hub.cut()
      hub.deliver("n", 3)
      yield* reconnect()
      expect(hub.resumes.at(-1)).toMatchObject({ lastSeq: 2 })
      hub.deliver("n", 4)
      yield* settle
      expect(payloads(heard)).toEqual([1, 2, 3, 4])
    }),
  )

  it.effect("what is no envelope uses its number up: nothing after it is a gap", () =>
    Effect.gen(function* () {
      const { client, hub, network } = yield* startReliable()
      const heard = yield* listen(client)
      const socket = network.last
      // This one comes as what no client takes.
      socket.readyState = 0
      const first = hub.deliver("n", 1)
      socket.readyState = 1
      socket.emit("message", { data: JSON.stringify({ ...first, to: "nobody" }) })
      hub.deliver("n", 2)
      yield* settle
      expect(socket.closeCode).toBeUndefined()
      expect(payloads(heard)).toEqual([2])
    }),
  )

  it.effect("fault 42: a gap closes 4412, and what was missing comes with the resume", () =>
    Effect.gen(function* () {
      const { client, hub, network } = yield* startReliable()
      const heard = yield* listen(client)
      hub.deliver("n", 1)
      const socket = network.last
      // This one is lost on its way.
      socket.readyState = 0
      hub.deliver("n", 2)
      socket.readyState = 1
      hub.deliver("n", 3)
      yield* settle
      expect(socket.closeCode).toBe(4412)
      expect(payloads(heard)).toEqual([1])
      yield* pass(250)
      network.last.open()
      yield* settle
      expect(hub.resumes.at(-1)).toMatchObject({ lastSeq: 1 })
      expect(payloads(heard)).toEqual([1, 2, 3])
    }),
  )

  it.effect("acknowledges at once, then no more often than every 250 ms, or 64 envelopes", () =>
    Effect.gen(function* () {
      const { client, hub, network } = yield* startReliable()
      yield* listen(client)
      hub.deliver("n", 1)
      yield* settle
      expect(hub.acks).toEqual([1])
      for (let n = 2; n <= 10; n++) hub.deliver("n", n)
      yield* pass(249)
      expect(hub.acks).toEqual([1])
      yield* pass(1)
      expect(hub.acks).toEqual([1, 10])
      for (let n = 11; n <= 10 + 130; n++) hub.deliver("n", n)
      yield* settle
      // The last rides with the one before it.
      expect(hub.acks).toEqual([1, 10, 74, 138, 140])
      const { frames } = network.last
      yield* pass(20_000)
      expect(network.last.frames).toHaveLength(frames.length)
      expect(hub.outbox).toEqual([])
    }),
  )

  it.effect("an acknowledgment rides with what leaves anyway", () =>
    Effect.gen(function* () {
      const { client, hub, network } = yield* startReliable()
      yield* listen(client)
      hub.deliver("n", 1)
      yield* settle
      hub.deliver("n", 2)
      yield* client.tell(ADA, "n", 1)
      yield* settle
      const batch = JSON.parse(String(network.last.frames.at(-1))) as ReadonlyArray<{ type: string }>
      expect(batch.map(({ type }) => type)).toEqual(["n", "hub:ack"])
      expect(hub.acks).toEqual([1, 2])
    }),
  )

  it.effect("volatile messages cause no acknowledgment", () =>
    Effect.gen(function* () {
      const { network } = yield* startReliable()
      for (let n = 0; n < 500; n++) network.last.say("n", n, { from: ADA })
      yield* pass(1_000)
      expect(network.last.types).toEqual(["hub:connect"])
    }),
  )

  it.effect("what is acknowledged was dispatched", () =>
    Effect.gen(function* () {
      const { client, hub } = yield* startReliable()
      const told: Array<number> = []
      yield* run(
        Stream.runForEach(client.messages, () => Effect.sync(() => void told.push(...hub.acks.slice(-1)))),
      )
      hub.deliver("n", 1)
      yield* settle
      expect(told).toEqual([])
      expect(hub.acks).toEqual([1])
    }),
  )

  it("what comes with the hub's acceptance, before anybody can listen, is heard", async () => {
    const network = new FakeNetwork()
    const fake = new ReliableHub(network)
    const onSocket = network.onSocket
    network.onSocket = (socket) => {
      onSocket(socket)
      const { answers } = socket
      socket.answers = (envelope) => {
        // What a takeover hands over comes right behind the answer.
        if (envelope.type === "hub:connect") queueMicrotask(() => fake.deliver("n", "handed over"))
        return answers?.(envelope)
      }
      queueMicrotask(() => socket.open())
    }
    await using hub = await connect("ws://hub.test/ws", { webSocket: network.open })
    const heard: Array<unknown> = []
    hub.onMessage(({ payload }) => void heard.push(payload))
    expect(heard).toEqual(["handed over"])
    fake.deliver("n", "live")
    expect(heard).toEqual(["handed over", "live"])
  })
})

describe("asks", () => {
  it.effect("fault 14: a reliable ask survives its connection; its answer comes on the next", () =>
    Effect.gen(function* () {
      const { client, hub, reconnect } = yield* startReliable()
      const asking = yield* run(client.ask(ADA, "work", 1))
      const unsent = yield* run(client.ask(ADA, "work", 2, { reliable: false }))
      hub.cut()
      const lost = yield* run(client.ask(ADA, "work", 3))
      hub.deliver("done", "well", { correlationId: hub.taken[0]!.id })
      yield* reconnect()
      expect(outcome(asking)).toBe("well")
      expect(outcome(unsent)).toMatchObject({ _tag: "ConnectionLost" })
      expect(payloads(hub.taken)).toEqual([1, 3])
      hub.deliver("done", "too", { correlationId: hub.taken[1]!.id })
      yield* settle
      expect(outcome(lost)).toBe("too")
    }),
  )

  it.effect("fault 14: interrupting one cancels it at its actor, reliably, across a resume too", () =>
    Effect.gen(function* () {
      const { client, hub, network, reconnect } = yield* startReliable()
      const asking = yield* run(client.ask(ADA, "work", 1))
      const { id } = hub.taken[0]!
      network.last.drop(1006)
      yield* settle
      yield* Fiber.interrupt(asking)
      yield* reconnect()
      expect(hub.taken[1]).toMatchObject({ type: "actor:cancel", to: ADA, correlationId: id, seq: 2 })
    }),
  )

  it.effect("an answer to a reliable ask is reliable, to a volatile one volatile", () =>
    Effect.gen(function* () {
      const { client, hub, network } = yield* startReliable()
      yield* run(Stream.runForEach(client.messages, (ask) => client.reply(ask, "done", ask.payload)))
      hub.deliver("work", 1, { pattern: "ask", id: "a" })
      network.last.say("work", 2, { pattern: "ask", from: ADA, id: "b" })
      yield* settle
      expect(hub.taken).toMatchObject([{ type: "done", payload: 1, correlationId: "a", seq: 1 }])
      expect(hub.volatile).toMatchObject([{ type: "done", payload: 2, correlationId: "b" }])
    }),
  )

  const Greeter = Protocol.make("Greeter", {
    greet: Protocol.ask({ payload: Schema.Struct({ name: Schema.String }), success: Schema.String }),
    wait: Protocol.ask({ payload: Schema.Struct({}), success: Schema.String }),
  })

  it.effect("actors that are served and asked through the transport go by the same", () =>
    Effect.gen(function* () {
      const { client, hub, network, reconnect } = yield* startReliable()
      const system = yield* ActorSystem.make({ name: "t", transport: client.transport })
      let stopped = false
      yield* run(
        Effect.andThen(
          system.serve(Greeter, "@(test/me)", {
            greet: ({ name }) => `hello ${name}`,
            wait: () => Effect.onInterrupt(Effect.never, () => Effect.sync(() => (stopped = true))),
          }),
          Effect.never,
        ),
      )
      hub.deliver("greet", { name: "Ada" }, { pattern: "ask", id: "a" })
      network.last.say("greet", { name: "Bob" }, { pattern: "ask", from: ADA, to: "@(test/me)", id: "b" })
      hub.deliver("wait", {}, { pattern: "ask", id: "c" })
      yield* settle
      expect(hub.taken).toMatchObject([{ payload: "hello Ada", correlationId: "a" }])
      expect(hub.volatile).toMatchObject([{ payload: "hello Bob", correlationId: "b" }])

      const asking = yield* run(system.ref(Greeter, ADA).ask("greet", { name: "me" }))
      const given = yield* run(system.ref(Greeter, ADA).ask("greet", { name: "you" }))
      hub.cut()
      hub.deliver("actor:reply", "hello me", { correlationId: hub.taken[1]!.id })
      hub.deliver("actor:cancel", null, { correlationId: "c" })
      yield* Fiber.interrupt(given)
      yield* reconnect()
      expect(outcome(asking)).toBe("hello me")
      expect(hub.taken.slice(1).map(({ type, seq }) => [type, seq])).toEqual([
        ["greet", 2],
        ["greet", 3],
        ["actor:cancel", 4],
      ])
      expect(stopped).toBe(true)
    }),
  )
})

describe("a session that is not resumed", () => {
  for (const reason of ["unknown_session", "expired", "buffer_overflow", "server_reset"] as const) {
    it.effect(`fault 19: ${reason}: what is not known is reported, what is wanted is asked for again`, () =>
      Effect.gen(function* () {
        const { client, events, hub, network, reconnect } = yield* startReliable()
        const heard = yield* listen(client)
        yield* client.register("@(test/extra)")
        hub.deliver("n", 1)
        const answered = yield* run(client.ask(ADA, "taken", 0))
        yield* settle
        hub.cut()
        yield* client.tell(ADA, "n", 1, RELIABLE)
        const telling = yield* run(client.tell(ADA, "n", 2, ACKNOWLEDGED))
        yield* settle
        network.last.drop(1006)
        yield* settle
        yield* client.tell(ADA, "n", 3, RELIABLE)
        hub.refuses = reason
        hub.taken.length = 0
        yield* reconnect()
        expect(unconfirmed(events)).toMatchObject([{ reason, envelopes: [{ payload: 1 }, { payload: 2 }] }])
        expect(events.at(-1)).toMatchObject({ type: "notResumed", reason, session: { sessionId: "s-2" } })
        expect(outcome(telling)).toMatchObject({ _tag: "SessionLost", reason })
        expect(outcome(answered)).toMatchObject({ _tag: "SessionLost", reason })
        expect(hub.taken).toMatchObject([{ payload: 3, seq: 1 }])
        expect(network.last.types).toContain("hub:register")
        // Both directions begin anew.
        hub.deliver("n", "anew")
        yield* reconnect()
        expect(payloads(heard)).toEqual([1, "anew"])
        expect(hub.resumes.at(-1)).toMatchObject({ sessionId: "s-2", lastSeq: 1 })
      }),
    )
  }

  it.effect("fault 22: what the new session did not come to grant is asked for when that is resumed", () =>
    Effect.gen(function* () {
      const { client, hub, network, reconnect } = yield* startReliable()
      yield* client.register("@(test/extra)")
      network.last.drop(1006)
      yield* settle
      hub.refuses = "expired"
      // The hub accepts, and hears nothing after that.
      const { onSocket } = network
      network.onSocket = (socket) => {
        onSocket(socket)
        const { answers } = socket
        socket.answers = (envelope) => (envelope.type === "hub:connect" ? answers?.(envelope) : undefined)
      }
      yield* reconnect()
      expect(network.last.types).toContain("hub:register")
      network.onSocket = onSocket
      network.last.drop(1006)
      yield* settle
      yield* reconnect()
      expect(hub.resumes.at(-1)).toMatchObject({ sessionId: "s-2" })
      expect(network.last.types).toContain("hub:register")
    }),
  )

  it.effect("a watch whose answer was lost ends once, though what it watched had ended meanwhile", () =>
    Effect.gen(function* () {
      const { client, hub, network, reconnect } = yield* startReliable()
      const ends: Array<unknown> = []
      yield* run(
        Stream.runForEach(client.events, ({ type, payload }) =>
          Effect.sync(() => type === "hub:terminated" && ends.push(payload)),
        ),
      )
      hub.cut()
      const watching = yield* run(client.watch(ADA))
      yield* settle
      const ended = () => hub.deliver("hub:terminated", { actorAddress: ADA }, { from: HUB_ADDRESS })
      ended()
      yield* reconnect()
      expect(outcome(watching)).not.toBe("waiting")
      expect(ends).toEqual([])
      expect(network.last.types).toContain("hub:watch")
      ended()
      yield* settle
      expect(ends).toEqual([{ actorAddress: ADA }])
    }),
  )

  it.effect("forbidden: the client forgets it, and connects anew on the same socket, once", () =>
    Effect.gen(function* () {
      const { client, events, hub, network, reconnect, state } = yield* startReliable()
      hub.cut()
      yield* client.tell(ADA, "n", 1, RELIABLE)
      hub.refuses = "forbidden"
      yield* reconnect()
      expect(network.last.types.filter((type) => type === "hub:connect")).toHaveLength(2)
      expect(network.last.sent[1]!.metadata).not.toHaveProperty("resume")
      expect(state().status).toBe("connected")
      expect(events.map(({ type }) => type)).toEqual(["connected", "unconfirmed", "notResumed"])
      expect(events.at(-1)).toMatchObject({ reason: "forbidden" })

      network.last.answers = () => ({ type: "hub:error", payload: { code: "forbidden", message: "no" } })
      network.onSocket = (socket) => {
        socket.answers = () => ({ type: "hub:error", payload: { code: "forbidden", message: "no" } })
      }
      yield* reconnect()
      expect(state()).toMatchObject({ status: "disconnected", code: 4403 })
      expect(network.last.types).toEqual(["hub:connect", "hub:connect"])
    }),
  )

  it.effect("a hub that resumes none any more is one that did not resume", () =>
    Effect.gen(function* () {
      const { client, events, hub, network, reconnect } = yield* startReliable()
      hub.cut()
      yield* client.tell(ADA, "n", 1, RELIABLE)
      network.onSocket = () => {}
      yield* reconnect()
      expect(unconfirmed(events)).toMatchObject([{ envelopes: [{ payload: 1 }] }])
      expect(events.at(-1)).toMatchObject({ type: "notResumed", session: { session: null } })
    }),
  )

  it.effect("fault 12: superseded: what is not known is reported, and it stays away until reclaim()", () =>
    Effect.gen(function* () {
      const { client, events, hub, network, state } = yield* startReliable()
      const asking = yield* run(client.ask(ADA, "work", 1))
      hub.cut()
      yield* client.tell(ADA, "n", 2, RELIABLE)
      yield* settle
      network.last.say("hub:disconnect", { reason: "duplicate_connection", message: "a newer connection" })
      network.last.drop(4409)
      yield* pass(3_600_000)
      expect(network.sockets).toHaveLength(1)
      expect(outcome(asking)).toMatchObject({ _tag: "SessionLost", reason: "superseded" })
      expect(unconfirmed(events)).toMatchObject([{ reason: "superseded", envelopes: [{ payload: 2 }] }])

      yield* client.reclaim
      yield* settle
      network.last.open()
      yield* settle
      expect(state().status).toBe("connected")
      expect(network.last.sent[0]!.metadata).toMatchObject({ reclaim: true })
      expect(network.last.sent[0]!.metadata).not.toHaveProperty("resume")
      expect(events.at(-1)).toMatchObject({ type: "notResumed", reason: "superseded" })
      yield* client.tell(ADA, "n", 3, RELIABLE)
      yield* settle
      expect(hub.taken.at(-1)).toMatchObject({ payload: 3, seq: 1 })
    }),
  )

  it.effect("fault 12: a resume of a session that was superseded meanwhile ends superseded", () =>
    Effect.gen(function* () {
      const { events, network, state } = yield* startReliable()
      network.last.drop(1006)
      yield* pass(250)
      network.last.answers = () => undefined
      network.last.open()
      yield* settle
      network.last.say("hub:disconnect", { reason: "duplicate_connection", message: "while you slept" })
      network.last.drop(4409)
      yield* pass(3_600_000)
      expect(state().status).toBe("superseded")
      expect(network.sockets).toHaveLength(2)
      expect(unconfirmed(events)).toEqual([])
    }),
  )
})

describe("closing", () => {
  it.effect("waits for acknowledgments a second at most, and reports what has none", () =>
    Effect.gen(function* () {
      const { client, events, hub, network } = yield* startReliable()
      hub.acknowledges = false
      yield* client.tell(ADA, "n", 1, RELIABLE)
      const closing = yield* run(client.close)
      yield* pass(500)
      expect(network.last.types).not.toContain("hub:disconnect")
      yield* pass(600)
      expect(outcome(closing)).toBeUndefined()
      expect(unconfirmed(events)).toMatchObject([{ reason: "closed", envelopes: [{ payload: 1 }] }])

      const other = yield* startReliable()
      yield* other.client.tell(ADA, "n", 1, RELIABLE)
      yield* settle
      yield* run(other.client.close)
      expect(other.network.last.types).toContain("hub:disconnect")
      yield* settle
      expect(unconfirmed(other.events)).toEqual([])
    }),
  )
})

it("as promises: events from the first on, tells until acknowledged", async () => {
  const network = new FakeNetwork()
  const fake = new ReliableHub(network)
  const onSocket = network.onSocket
  network.onSocket = (socket) => {
    onSocket(socket)
    queueMicrotask(() => socket.open())
  }
  await using hub = await connect("ws://hub.test/ws", { webSocket: network.open })
  const events: Array<string> = []
  hub.onSession(({ type }) => void events.push(type))
  expect(events).toEqual(["connected"])
  await hub.tell(ADA, "n", 1, { until: "acknowledged" })
  expect(payloads(fake.taken)).toEqual([1])
  fake.acknowledges = false
  const telling = hub.tell(ADA, "n", 2, { until: "acknowledged" })
  await hub.close()
  await expect(telling).rejects.toMatchObject({ _tag: "SessionLost", reason: "closed" })
  expect(events).toEqual(["connected", "unconfirmed"])
})
