/** A session that is stored: what a process that comes after another one finds, and what becomes of the first. */
import { describe, expect, it } from "@effect/vitest"
import type { Envelope } from "@signal-hub/actor-core"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Channel } from "../../src/client/Channel.ts"
import { loadFrameCodec } from "../../src/client/FrameCodec.ts"
import { HubClient, type SessionEvent } from "../../src/client/index.ts"
import { Journal } from "../../src/client/Journal.ts"
import { message } from "../../src/client/Message.ts"
import type { SocketLike } from "../../src/client/Socket.ts"
import { makeTimers } from "../../src/client/Timers.ts"
import type { Connected } from "../../src/protocol/HubMessage.ts"
import { FakeNetwork } from "./support/FakeNetwork.ts"
import { MemoryStore } from "./support/MemoryStore.ts"
import { ReliableHub } from "./support/ReliableHub.ts"
import { pass, run, settle } from "./support/harness.ts"

const ADA = "@(test/ada)"
const RELIABLE = { reliable: true } as const
const payloads = (envelopes: ReadonlyArray<Envelope.Envelope>) => envelopes.map(({ payload }) => payload)

/** Processes on one network, that share a store. */
const world = Effect.sync(() => {
  const network = new FakeNetwork()
  const hub = new ReliableHub(network)
  const store = new MemoryStore()
  const process = Effect.gen(function* () {
    const scope = yield* Scope.make()
    const client = yield* Scope.provide(
      HubClient.make({
        url: "https://hub.test/ws",
        webSocket: network.open,
        wakeups: [],
        schedule: Schedule.spaced(250),
        persistence: store,
      }),
      scope,
    )
    const events: Array<SessionEvent> = []
    const heard: Array<Envelope.Envelope> = []
    yield* run(Stream.runForEach(client.sessions, (event) => Effect.sync(() => void events.push(event))))
    yield* run(Stream.runForEach(client.messages, (each) => Effect.sync(() => void heard.push(each))))
    const at = network.sockets.length
    yield* settle
    const socket = network.sockets[at] ?? network.last
    socket.open()
    yield* settle
    // The end of a test waits for no acknowledgments, as no time passes by then.
    yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))
    yield* Effect.addFinalizer(() => Effect.sync(() => network.sockets.forEach((each) => each.drop())))
    return { client, events, heard, socket, state: () => Effect.runSync(client.state) }
  })
  return { hub, network, process, store }
})

describe("a stored session", () => {
  it.effect("is taken up by the next process, with what was unacknowledged and what was taken", () =>
    Effect.gen(function* () {
      const { hub, process, store } = yield* world
      const first = yield* process
      hub.deliver("n", "in-1")
      yield* settle
      hub.acknowledges = false
      yield* first.client.tell(ADA, "n", 1, RELIABLE)
      yield* settle
      hub.cut()
      yield* first.client.tell(ADA, "n", 2, RELIABLE)
      yield* settle
      hub.deliver("n", "in-2")
      expect(store.messages).toEqual([
        [1, 1],
        [2, 2],
      ])
      hub.acknowledges = true

      const second = yield* process
      expect(hub.resumes.at(-1)).toEqual({ sessionId: "s-1", resumeToken: "t-1", lastSeq: 1 })
      expect(second.events.map(({ type }) => type)).toEqual(["resumed"])
      expect(payloads(hub.taken)).toEqual([1, 2])
      expect(payloads(second.heard)).toEqual(["in-2"])
      yield* second.client.tell(ADA, "n", 3, RELIABLE)
      yield* settle
      expect(hub.taken.at(-1)).toMatchObject({ payload: 3, seq: 3 })
      expect(store.messages).toEqual([])
    }),
  )

  it.effect("goes on counting where all was acknowledged", () =>
    Effect.gen(function* () {
      const { hub, process, store } = yield* world
      const first = yield* process
      for (let n = 1; n <= 3; n++) yield* first.client.tell(ADA, "n", n, RELIABLE)
      yield* settle
      expect(store.messages).toEqual([])
      const second = yield* process
      yield* second.client.tell(ADA, "n", 4, RELIABLE)
      yield* settle
      expect(hub.taken.map(({ payload, seq }) => [payload, seq])).toEqual([1, 2, 3, 4].map((n) => [n, n]))
    }),
  )

  it.effect("fault 42: nor by what is sent at once on hearing of it", () =>
    Effect.gen(function* () {
      const frames = yield* loadFrameCodec("json")
      const timers = yield* makeTimers
      const store = new MemoryStore()
      const journal = new Journal(store, frames)
      const limits = { queueLimit: 100, requestTimeout: 1_000, unclaimedTimeout: 1_000 }
      const channel = new Channel({ timers, frames, ...limits, onUnclaimed: () => {}, journal })
      yield* Effect.promise(() => journal.open(channel))
      /** What was acknowledged, and what was stored as taken by then. */
      const acks: Array<readonly [through: number, taken: unknown]> = []
      const send = (frame: string) => {
        for (const { type, payload } of [JSON.parse(frame)].flat())
          if (type === "hub:ack") acks.push([payload.through, store.entries.get("taken")])
      }
      channel.attach({ readyState: 1, bufferedAmount: 0, send } as unknown as SocketLike)
      const session = { epoch: 1, resumeToken: "t", resumed: false, inSeq: 0 }
      channel.establish({ sessionId: "s", maxMessageSize: 2_000, session } as unknown as Connected)
      yield* settle
      // More than a frame holds: some of it leaves before the rest is heard.
      channel.inbox.messages.on(() => {
        for (let i = 0; i < 3; i++) channel.send(message("tell", ADA, "n", "x".repeat(1_000), 0))
      })
      const heard = message("tell", ADA, "n", 1, 0)
      channel.receive(JSON.stringify([1, 2].map((seq) => Object.assign({}, heard, { seq }))))
      yield* settle
      expect(acks.map(([through]) => through)).toEqual([1, 2])
      for (const [through, taken] of acks) expect(taken).toBeGreaterThanOrEqual(through)
    }),
  )

  it.effect("fault 42: nothing is sent, and nothing acknowledged, before it is stored", () =>
    Effect.gen(function* () {
      const { hub, process, store } = yield* world
      const { client, heard } = yield* process
      const written = Promise.withResolvers<void>()
      store.gate = written.promise
      yield* Effect.addFinalizer(() => Effect.sync(() => written.resolve()))
      yield* client.tell(ADA, "n", 1, RELIABLE)
      hub.deliver("n", "in-1")
      yield* client.tell(ADA, "volatile", 2)
      yield* pass(1_000)
      expect(payloads(heard)).toEqual(["in-1"])
      expect([hub.taken, hub.volatile, hub.acks]).toEqual([[], [], []])
      written.resolve()
      yield* settle
      expect([payloads(hub.taken), payloads(hub.volatile), hub.acks]).toEqual([[1], [2], [1]])
    }),
  )

  it.effect("what waited for a connection is sent by the next process, asks excepted", () =>
    Effect.gen(function* () {
      const { hub, network, process, store } = yield* world
      const first = yield* process
      first.socket.drop(1006)
      yield* settle
      yield* first.client.tell(ADA, "n", 1, RELIABLE)
      yield* first.client.tell(ADA, "volatile", 2)
      yield* run(first.client.ask(ADA, "asked", 3))
      yield* first.client.tell(ADA, "n", 4, RELIABLE)
      yield* settle
      expect(store.messages.map(([payload]) => payload)).toEqual([1, 4])
      yield* process
      expect(network.sockets.length).toBeGreaterThan(1)
      expect(hub.taken.map(({ payload, seq }) => [payload, seq])).toEqual([
        [1, 1],
        [4, 2],
      ])
    }),
  )

  it.effect("fault 12: two at once: the second takes it up, the first is superseded and stays away", () =>
    Effect.gen(function* () {
      const { hub, network, process } = yield* world
      const first = yield* process
      const second = yield* process
      first.socket.say("hub:disconnect", { reason: "duplicate_connection", message: "a newer connection" })
      first.socket.drop(4409)
      yield* pass(60_000)
      expect(first.state().status).toBe("superseded")
      expect(second.state().status).toBe("connected")
      expect(network.sockets).toHaveLength(2)
      // Its end touches nothing of what is stored by now.
      yield* second.client.tell(ADA, "n", 1, RELIABLE)
      yield* settle
      expect(payloads(hub.taken)).toEqual([1])
    }),
  )

  it.effect(
    "fault 12: a first that hears nothing sends nothing any more: what it has to say is reported",
    () =>
      Effect.gen(function* () {
        const { hub, network, process } = yield* world
        const first = yield* process
        const second = yield* process
        // Its socket is still open, as far as it knows.
        yield* first.client.tell(ADA, "n", "late", RELIABLE)
        yield* settle
        expect(first.state().status).toBe("superseded")
        expect(first.socket.closedByClient).toBe(true)
        expect(payloads(hub.taken)).toEqual([])
        expect(first.events.at(-1)).toMatchObject({
          type: "unconfirmed",
          unconfirmed: { reason: "superseded", envelopes: [{ payload: "late" }] },
        })
        yield* pass(60_000)
        expect(network.sockets).toHaveLength(2)
        expect(second.state().status).toBe("connected")
      }),
  )

  it.effect("fault 12: a first that comes back later finds it taken, and does not even try", () =>
    Effect.gen(function* () {
      const { network, process } = yield* world
      const first = yield* process
      yield* process
      first.socket.drop(1006)
      yield* pass(60_000)
      expect(first.state().status).toBe("superseded")
      expect(network.sockets).toHaveLength(2)
    }),
  )

  it.effect("reclaim() takes it back from the second, as that one left it", () =>
    Effect.gen(function* () {
      const { hub, network, process } = yield* world
      const first = yield* process
      const second = yield* process
      first.socket.drop(4409)
      yield* settle
      hub.cut()
      yield* second.client.tell(ADA, "n", 1, RELIABLE)
      yield* settle
      yield* first.client.reclaim
      yield* settle
      network.last.open()
      yield* settle
      expect(network.last.sent[0]!.metadata).toMatchObject({ reclaim: true, resume: { resumeToken: "t-2" } })
      expect(payloads(hub.taken)).toEqual([1])
      expect(first.state().status).toBe("connected")
    }),
  )

  it.effect("close() ends it: the next process begins anew, and nothing is sent twice", () =>
    Effect.gen(function* () {
      const { hub, process, store } = yield* world
      const first = yield* process
      yield* first.client.tell(ADA, "n", 1, RELIABLE)
      yield* settle
      yield* first.client.close
      expect(store.entries).toEqual(new Map())
      const second = yield* process
      expect(hub.resumes).toEqual([undefined, undefined])
      expect(second.events.map(({ type }) => type)).toEqual(["connected"])
    }),
  )

  it.effect("not resumed: what the earlier process had sent is reported by the next", () =>
    Effect.gen(function* () {
      const { hub, process } = yield* world
      const first = yield* process
      hub.cut()
      yield* first.client.tell(ADA, "n", 1, RELIABLE)
      yield* settle
      hub.refuses = "expired"
      const second = yield* process
      expect(second.events).toMatchObject([
        { type: "unconfirmed", unconfirmed: { reason: "expired", envelopes: [{ payload: 1 }] } },
        { type: "notResumed", reason: "expired" },
      ])
    }),
  )

  it.effect("a store that fails is told, and what is reliable goes on without it", () =>
    Effect.gen(function* () {
      const { hub, process, store } = yield* world
      const { client, events } = yield* process
      store.failure = new Error("disk full")
      yield* client.tell(ADA, "n", 1, RELIABLE)
      yield* settle
      expect(events.at(-1)).toMatchObject({ type: "notStored", error: { message: "disk full" } })
      yield* client.tell(ADA, "n", 2, RELIABLE)
      yield* settle
      expect(payloads(hub.taken)).toEqual([1, 2])
      const unopened = yield* process
      expect(unopened.events.map(({ type }) => type)).toEqual(["notStored", "connected"])
    }),
  )
})

describe("fault 76: a session of another version", () => {
  it.effect("is left as it is by older code, which says so and goes on without it", () =>
    Effect.gen(function* () {
      const { process, store } = yield* world
      const stored = { version: 2, readableFrom: 2 }
      store.entries.set("schema", stored).set("session", { sessionId: "s", resumeToken: "t" }).set("taken", 5)
      const before = new Map(store.entries)
      const { client, events } = yield* process
      expect(events[0]).toMatchObject({
        type: "notStored",
        error: { _tag: "StoreRejected", stored: 2, code: 1 },
      })
      yield* client.tell(ADA, "n", 1, RELIABLE)
      yield* settle
      expect(store.entries).toEqual(before)
    }),
  )

  it.effect("that code in between can read keeps the fields of its messages", () =>
    Effect.gen(function* () {
      const { hub, process, store } = yield* world
      const first = yield* process
      hub.acknowledges = false
      first.socket.drop(1006)
      yield* settle
      yield* first.client.tell(ADA, "n", 1, RELIABLE)
      yield* settle
      const [key, kept] = [...store.entries].find(([key]) => key.startsWith("message/"))!
      expect(kept).not.toHaveProperty("seq")
      store.entries.set("schema", { version: 2, readableFrom: 1 })
      store.entries.set(key, { ...(kept as object), color: "red" })
      yield* process
      yield* settle
      // Sent by now, and so written again, with its number.
      expect(store.entries.get(key)).toMatchObject({ color: "red", seq: 1 })
      expect(store.entries.get("schema")).toEqual({ version: 2, readableFrom: 1 })
    }),
  )
})
