/** Messages after which the connection ends: told, and never in the way of the others for ever. */
import { describe, expect, it } from "@effect/vitest"
import type { Envelope } from "@signal-hub/actor-core"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { ClientOptions, HubEvent } from "../../src/client/index.ts"
import { envelopesOf, type FakeSocket } from "./support/FakeNetwork.ts"
import { outcome, pass, run, settle, startReliable } from "./support/harness.ts"
import { MemoryStore } from "./support/MemoryStore.ts"

const ADA = "@(test/ada)"
const RELIABLE = { reliable: true } as const
const ACKNOWLEDGED = { until: "acknowledged" } as const

type Frame = ReadonlyArray<Envelope.Envelope>
const isPoison = (frame: Frame): boolean => frame.some(({ payload }) => payload === "poison")

/**
 * A client whose frames something on the way judges: one that it refuses ends the connection, unread. Connections
 * are counted from 1.
 */
const startBehind = (
  refuses: (frame: Frame, connection: number) => boolean,
  options: Partial<ClientOptions> = {},
) =>
  Effect.gen(function* () {
    const made = yield* startReliable(options)
    const { client, network } = made
    /** Frames of each connection, but for hub:connect. */
    const frames: Array<Array<Frame>> = []
    const judge = (socket: FakeSocket): void => {
      const sent: Array<Frame> = []
      const connection = frames.push(sent)
      const send = socket.send.bind(socket)
      let isEnding = false
      socket.send = (data) => {
        const frame = envelopesOf(data)
        if (frame.some(({ type }) => type === "hub:connect")) return send(data)
        sent.push(frame)
        if (isEnding) return
        if (!refuses(frame, connection)) return send(data)
        isEnding = true
        queueMicrotask(() => socket.drop(1009))
      }
    }
    const inner = network.onSocket
    network.onSocket = (socket) => {
      inner(socket)
      judge(socket)
    }
    judge(network.last)
    const heard: Array<HubEvent> = []
    yield* run(Stream.runForEach(client.events, (event) => Effect.sync(() => void heard.push(event))))
    /** Time passes, and sockets open as they are asked for. */
    const live = (ms: number): Effect.Effect<void> =>
      Effect.gen(function* () {
        for (let at = 0; at < ms; at += 50) {
          yield* pass(50)
          if (network.last.readyState === 0) network.last.open()
          yield* settle
        }
      })
    return { ...made, frames, heard, live }
  })

describe("fault 53: a message that no connection survives", () => {
  it.effect("is sent three times, then alone, then told; what is behind it arrives, in order", () =>
    Effect.gen(function* () {
      const { client, frames, heard, hub, live, state } = yield* startBehind(isPoison)
      yield* client.tell(ADA, "n", 1, RELIABLE)
      yield* settle
      yield* client.tell(ADA, "n", "poison", RELIABLE)
      yield* client.tell(ADA, "n", 2, RELIABLE)
      yield* client.tell(ADA, "n", 3, RELIABLE)
      yield* client.tell(ADA, "volatile", 4)
      yield* live(10_000)
      expect(state().status).toBe("connected")
      expect(frames).toHaveLength(5)
      const sent = frames.map((each) => each.map((frame) => frame.map(({ payload }) => payload)))
      expect(sent.slice(0, 4)).toEqual([
        [[1], ["poison", 2, 3, 4]],
        [["poison", 2, 3]],
        [["poison", 2, 3]],
        [["poison"]],
      ])
      expect(hub.taken.map(({ seq, type }) => [seq, type])).toEqual([
        [1, "n"],
        [2, "hub:heartbeat"],
        [3, "n"],
        [4, "n"],
      ])
      expect(hub.taken.map(({ payload }) => payload)).toMatchObject([
        1,
        { timestamp: expect.any(Number) },
        2,
        3,
      ])
      const [id] = frames[3]!.flat().map((envelope) => envelope.id)
      expect(heard).toMatchObject([
        {
          type: "hub:error",
          correlationId: id,
          payload: {
            code: "undeliverable",
            retryable: false,
            message: expect.stringContaining(`"n" for ${ADA}`),
          },
        },
      ])
    }),
  )

  it.effect("rejects the call that waits for its acknowledgement, or for its answer", () =>
    Effect.gen(function* () {
      const { client, heard, hub, live } = yield* startBehind(isPoison)
      const telling = yield* run(client.tell(ADA, "n", "poison", ACKNOWLEDGED))
      const asking = yield* run(client.ask(ADA, "n", "poison", { timeout: 60_000 }))
      const behind = yield* run(client.tell(ADA, "n", "behind", ACKNOWLEDGED))
      yield* live(20_000)
      const failure = { _tag: "TransportError", reason: "undeliverable", code: "undeliverable" }
      expect(outcome(telling)).toMatchObject(failure)
      expect(outcome(asking)).toMatchObject(failure)
      expect(outcome(behind)).toBeUndefined()
      expect(hub.taken.map(({ type }) => type)).toEqual(["hub:heartbeat", "hub:heartbeat", "n"])
      expect(heard).toEqual([])
    }),
  )

  it.effect("does not reset the back-off with the connections that end so", () =>
    Effect.gen(function* () {
      const { client, live, state } = yield* startBehind(isPoison)
      yield* client.tell(ADA, "n", "poison", RELIABLE)
      const attempts: Array<number> = []
      for (let at = 0; at < 1_500; at += 50) {
        yield* live(50)
        if (state().attempts > 0 && attempts.at(-1) !== state().attempts) attempts.push(state().attempts)
      }
      expect(attempts).toEqual([1, 2, 3, 4])
    }),
  )

  it.effect("is not stored any longer, but what takes its place", () =>
    Effect.gen(function* () {
      const persistence = new MemoryStore()
      const { client, hub, live } = yield* startBehind(isPoison, { persistence })
      yield* client.tell(ADA, "n", "poison", RELIABLE)
      hub.acknowledges = false
      yield* live(5_000)
      expect(persistence.messages).toEqual([[{ timestamp: expect.any(Number) }, 1]])
      hub.acknowledge()
      yield* settle
      expect(persistence.messages).toEqual([])
    }),
  )
})

describe("a message that is not to blame", () => {
  it.effect("fault 53: frames that are too large are made smaller: all of it arrives", () =>
    Effect.gen(function* () {
      const { client, frames, heard, hub, live } = yield* startBehind((frame) => frame.length > 1)
      yield* Effect.sync(() => {
        for (let n = 0; n < 20; n++) Effect.runSync(client.tell(ADA, "n", n, RELIABLE))
      })
      yield* live(10_000)
      expect(hub.taken.map(({ payload }) => payload)).toEqual([...Array(20).keys()])
      expect(frames).toHaveLength(4)
      expect(heard).toEqual([])
      // As long as this connection lasts.
      yield* Effect.sync(() => {
        for (let n = 20; n < 25; n++) Effect.runSync(client.tell(ADA, "n", n, RELIABLE))
      })
      yield* live(100)
      expect(hub.taken).toHaveLength(25)
      expect(frames).toHaveLength(4)
    }),
  )

  it.effect("the hub had it, though no receipt came: it is told to nobody", () =>
    Effect.gen(function* () {
      const { client, heard, hub, live, network } = yield* startBehind(() => false)
      hub.acknowledges = false
      const telling = yield* run(client.tell(ADA, "n", 1, ACKNOWLEDGED))
      for (let n = 0; n < 6; n++) {
        network.last.drop(1006)
        yield* live(300)
      }
      hub.acknowledge()
      yield* settle
      expect(outcome(telling)).toBeUndefined()
      expect(hub.taken.map(({ payload }) => payload)).toEqual([1])
      expect(heard).toEqual([])
    }),
  )

  it.effect("the connection it was sent alone on took it, and ended: it is told to nobody", () =>
    Effect.gen(function* () {
      const { client, frames, heard, hub, live, network } = yield* startBehind(
        (frame, connection) => connection < 4 && isPoison(frame),
      )
      hub.acknowledges = false
      yield* client.tell(ADA, "n", "poison", RELIABLE)
      while (hub.taken.length === 0) yield* live(50)
      expect(frames).toHaveLength(4)
      network.last.drop(1006)
      hub.acknowledges = true
      yield* live(2_000)
      expect(frames).toHaveLength(5)
      expect(hub.taken.map(({ payload }) => payload)).toEqual(["poison"])
      expect(heard).toEqual([])
    }),
  )

  it.effect("fault 53: connections that last 10 s are counted as none", () =>
    Effect.gen(function* () {
      const { client, heard, hub, live, network } = yield* startBehind(() => false)
      // The hub's receipts, and what it was sent, are lost with each connection.
      hub.acknowledges = false
      const telling = yield* run(client.tell(ADA, "n", 1, ACKNOWLEDGED))
      for (let n = 0; n < 6; n++) {
        hub.inSeq = 0
        yield* live(10_000)
        network.last.drop(1006)
        yield* live(300)
      }
      expect(outcome(telling)).toBe("waiting")
      expect(heard).toEqual([])
    }),
  )

  it.effect(
    "fault 53: what is sent alone holds up the rest for 10 s at most, where the hub says nothing of it",
    () =>
      Effect.gen(function* () {
        const { client, frames, hub, live } = yield* startBehind(
          (frame, connection) => connection < 4 && isPoison(frame),
        )
        hub.acknowledges = false
        yield* client.tell(ADA, "n", "poison", RELIABLE)
        yield* client.tell(ADA, "n", 2, RELIABLE)
        while (hub.taken.length === 0) yield* live(50)
        expect(frames).toHaveLength(4)
        yield* live(9_000)
        const telling = yield* run(client.tell(ADA, "volatile", 3))
        yield* live(500)
        expect(outcome(telling)).toBe("waiting")
        expect(hub.taken.map(({ payload }) => payload)).toEqual(["poison"])
        yield* live(1_000)
        expect(outcome(telling)).toBeUndefined()
        expect(hub.taken.map(({ payload }) => payload)).toEqual(["poison", 2])
        expect(hub.volatile.map(({ payload }) => payload)).toEqual([3])
      }),
  )

  it.effect("fault 53: the first message of a new session is not taken for that of the old one", () =>
    Effect.gen(function* () {
      const { client, frames, heard, hub, live, network } = yield* startBehind(
        (frame, connection) => connection < 5 && isPoison(frame),
      )
      yield* client.tell(ADA, "n", "poison", RELIABLE)
      while (frames.length < 4) yield* live(50)
      hub.refuses = "expired"
      yield* live(1_000)
      hub.cut()
      yield* client.tell(ADA, "n", 1, RELIABLE)
      yield* live(100)
      network.last.drop(1006)
      yield* live(1_000)
      expect(hub.taken).toMatchObject([{ payload: 1, seq: 1 }])
      expect(heard).toEqual([])
    }),
  )
})
