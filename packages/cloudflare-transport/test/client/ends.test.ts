/** Ends: whoever listens later hears of them, and nothing that was to be told of them stays behind. */
import { describe, expect, it, vi } from "@effect/vitest"
import { Protocol } from "@signal-hub/actor-core"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { connect, type ConnectOptions, type HubClientService } from "../../src/client/index.ts"
import { Emitter, End, toAsyncIterable } from "../../src/client/Emitter.ts"
import { waitAtMost } from "../../src/client/Timers.ts"
import { FakeNetwork, standardAnswer } from "./support/FakeNetwork.ts"
import { outcome, pass, run, settle, start } from "./support/harness.ts"

const ADA = "@(test/ada)"
const turn = (): Promise<void> => new Promise((next) => void setImmediate(next))

const join = async (options: ConnectOptions = {}) => {
  const network = new FakeNetwork()
  network.onSocket = (socket) => queueMicrotask(() => socket.open())
  const hub = await connect("ws://hub.test/ws", { webSocket: network.open, ...options })
  return { hub, network }
}

describe("fault 58: an end is told to whoever listens later, too", () => {
  const streams: ReadonlyArray<
    readonly [string, (client: HubClientService) => Stream.Stream<unknown, unknown>]
  > = [
    ["states", ({ states }) => states],
    ["sessions", ({ sessions }) => sessions],
    ["healths", ({ healths }) => healths],
    ["messages", ({ messages }) => messages],
    ["events", ({ events }) => events],
  ]
  it.effect.each(streams)("the stream of %s", ([, streamOf]) =>
    Effect.gen(function* () {
      const { client } = yield* start()
      const before = yield* run(Stream.runCollect(streamOf(client)))
      expect(outcome(before)).toBe("waiting")
      yield* client.close
      yield* settle
      expect(outcome(before)).not.toBe("waiting")
      const after = yield* run(Stream.runCollect(streamOf(client)))
      expect(outcome(after)).not.toBe("waiting")
    }),
  )

  it.effect("also where a refusal has ended the client, and not its user", () =>
    Effect.gen(function* () {
      const { client, network, state } = yield* start()
      network.last.drop(4403)
      yield* settle
      expect(state().status).toBe("disconnected")
      for (const [, streamOf] of streams) {
        expect(outcome(yield* run(Stream.runDrain(streamOf(client))))).not.toBe("waiting")
      }
      // The state that it ended in comes before the end.
      expect(yield* Stream.runCollect(client.states)).toMatchObject([{ status: "disconnected" }])
    }),
  )

  it("messages() that is called after the end is over at once, as is a subscription's iteration", async () => {
    const { hub } = await join()
    await hub.close()
    expect(await hub.messages().next()).toEqual({ done: true, value: undefined })
    const subscription = hub.subscribe("news")
    await expect(subscription.ready).rejects.toMatchObject({ _tag: "TransportError", reason: "closed" })
    await expect(subscription.ready).rejects.toThrow("closed by this client")
    expect(await subscription.next()).toEqual({ done: true, value: undefined })
    await expect(hub.watch(ADA)).rejects.toMatchObject({ reason: "closed" })
    await expect(hub.register("@(test/extra)")).rejects.toMatchObject({ reason: "closed" })
  })

  it("ready of a subscription that is unsubscribed at once rejects then, and blames nobody", async () => {
    const { hub, network } = await join()
    network.last.answers = (request) =>
      request.type === "hub:subscribe" ? undefined : standardAnswer(request)
    const subscription = hub.subscribe("news")
    await subscription.unsubscribe()
    await expect(subscription.ready).rejects.toMatchObject({ _tag: "TransportError", reason: "closed" })
    await expect(subscription.ready).rejects.toThrow("let go before")
    expect(network.last.types).toContain("hub:unsubscribe")
    await hub.close()
  })

  it.effect("a registration whose scope closes before the hub has answered ends with it", () =>
    Effect.gen(function* () {
      const { client, network } = yield* start()
      network.last.answers = (request) =>
        request.type === "hub:register" ? undefined : standardAnswer(request)
      const registering = yield* run(Effect.scoped(client.register("@(test/extra)")))
      expect(outcome(registering)).toBe("waiting")
      yield* Fiber.interrupt(registering)
      yield* settle
      expect(network.last.types.at(-1)).toBe("hub:unregister")
    }),
  )

  it.effect("a watch that the hub refuses on a later connection ends", () =>
    Effect.gen(function* () {
      const { client, network } = yield* start()
      const terminated = yield* run(yield* client.watch(ADA))
      network.onSocket = (socket) => {
        socket.answers = (request) =>
          request.type !== "hub:watch"
            ? standardAnswer(request)
            : {
                type: "hub:error",
                payload: { code: "forbidden", message: "no", resolution: "", retryable: false, details: {} },
              }
      }
      network.last.drop(1006)
      yield* pass(250)
      expect(outcome(terminated)).toBe("waiting")
      network.last.open()
      yield* settle
      expect(outcome(terminated)).toMatchObject({ _tag: "TransportError", reason: "refused" })
    }),
  )

  it("two who wait for the same message to leave both hear that it has", async () => {
    const Greeter = Protocol.make("greeter", { greet: Protocol.tell({ payload: Schema.String }) })
    const { hub, network } = await join({ queueLimit: 1 })
    // Loads what typed actors need.
    await hub.actor(Greeter, "@(test/ben)").tell("greet", "hi")
    network.last.say("hub:pause", { actorAddress: ADA, reason: "slow" })
    await turn()
    const first = hub.tell(ADA, "greet", "hello")
    // The queue is full: what this waits for is the first.
    const second = hub.actor(Greeter, ADA).tell("greet", "again")
    await turn()
    network.last.say("hub:resume", { actorAddress: ADA })
    await first
    await second
    await hub.close()
  })

  it("End: once, in order, at once to whoever comes later; one that throws stops no other", async () => {
    const uncaught: Array<unknown> = []
    const note = (error: unknown): void => void uncaught.push(error)
    const listeners = process.listeners("uncaughtException")
    process.removeAllListeners("uncaughtException")
    process.on("uncaughtException", note)
    try {
      const end = new End()
      const heard: Array<string> = []
      end.on(() => {
        throw new Error("mine")
      })
      end.on(() => heard.push("first"))
      const off = end.on(() => heard.push("never"))
      off()
      end.emit()
      end.emit()
      end.on(() => heard.push("later"))
      end.on(() => {
        throw new Error("late")
      })
      await turn()
      expect(heard).toEqual(["first", "later"])
      expect(uncaught.map(String)).toEqual(["Error: mine", "Error: late"])
    } finally {
      process.removeListener("uncaughtException", note)
      for (const listener of listeners) process.on("uncaughtException", listener)
    }
  })
})

describe("fault 59: no listener is added after the outcome", () => {
  it("an ask that fails at once leaves nothing at its abort signal", async () => {
    const { hub } = await join()
    const { signal } = new AbortController()
    const added = vi.spyOn(signal, "addEventListener")
    const removed = vi.spyOn(signal, "removeEventListener")
    await expect(hub.ask(ADA, "greet", 1, { timeout: -1, signal })).rejects.toThrow()
    await expect(hub.ask("nobody" as typeof ADA, "greet", 1, { signal })).rejects.toThrow()
    await hub.close()
    await expect(hub.ask(ADA, "greet", 1, { signal })).rejects.toThrow("closed")
    expect(added).not.toHaveBeenCalled()
    // One that is open has its listener, and takes it away.
    const { hub: other } = await join()
    const open = other.ask(ADA, "greet", 1, { signal })
    expect(added).toHaveBeenCalledTimes(1)
    await other.close()
    await expect(open).rejects.toThrow()
    expect(removed.mock.calls.at(-1)?.[1]).toBe(added.mock.calls[0]?.[1])
  })

  it.effect("a wait that is over at once has nothing to stop later", () =>
    Effect.gen(function* () {
      const { armed, timers } = countingTimers()
      const stop = vi.fn()
      yield* waitAtMost(timers, 1_000, (done) => {
        done()
        return stop
      })
      expect(stop).toHaveBeenCalled()
      expect(armed()).toBe(0)
    }),
  )

  it("an iteration that its source ends at once listens to nothing", async () => {
    const values = new Emitter<number>(3)
    const end = new End()
    values.emit(1)
    end.emit()
    const iterator = toAsyncIterable(
      { on: (listener) => values.on(listener), onEnd: (ended) => end.on(ended) },
      () => {},
    )
    expect(values.size).toBe(0)
    expect(await iterator.next()).toEqual({ done: false, value: 1 })
    expect((await iterator.next()).done).toBe(true)
  })

  it("nor does what listens for its end stay where that has come", () => {
    const off = vi.fn()
    toAsyncIterable(
      {
        on: () => () => {},
        onEnd: (ended) => {
          ended()
          return off
        },
      },
      () => {},
    )
    expect(off).toHaveBeenCalledTimes(1)
  })

  it.effect("a client that a refusal has ended for good does not listen for wake-ups any more", () =>
    Effect.gen(function* () {
      const { network, page } = yield* start()
      expect(page.size).toBe(3)
      network.last.drop(4403)
      yield* settle
      expect(page.size).toBe(0)
    }),
  )
})

const countingTimers = () => {
  let count = 0
  const timers = {
    now: () => 0,
    timestamp: () => 0,
    after: () => {
      count++
      return () => void count--
    },
  }
  return { armed: () => count, timers }
}
