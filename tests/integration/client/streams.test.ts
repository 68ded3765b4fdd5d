/** Streams of answers between our own clients, through real workerd. */
import { AskError, ActorStream, ActorSystem } from "@signal-hub/actor-core"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { describe, expect, test } from "vitest"
import { useHub } from "../support/hub.ts"
import { newAddress, useClients } from "../support/OwnClients.ts"
import { Enough, Ticker, ticker } from "../support/Ticker.ts"

const hub = useHub({ own: true })
const connect = useClients()
const upTo = (n: number): ReadonlyArray<number> => Array.from({ length: n }, (_, i) => i + 1)

const read = async (elements: AsyncIterable<number>, into: Array<number> = []): Promise<Array<number>> => {
  for await (const n of elements) into.push(n)
  return into
}

describe.each(["json", "msgpack"] as const)("by %s", (codec) => {
  const two = async () => {
    const identity = newAddress("ticker")
    const ended: Array<string> = []
    const server = await connect(hub.url(), { identity, codec })
    await server.serve(Ticker, ticker(ended), { acceptForwards: true })
    const visitor = await connect(hub.url(), { codec })
    return { server, visitor, identity, ended, actor: visitor.actor(Ticker, identity) }
  }

  test("all elements come in order, while the actor answers others", async () => {
    const { actor } = await two()
    const streams = [actor.stream("count", { to: 150 }), actor.stream("count", { to: 100 }, { window: 64 })]
    const [long, short, pong] = await Promise.all([
      read(streams[0]!),
      read(streams[1]!),
      actor.ask("ping", undefined),
    ])
    expect(long).toEqual(upTo(150))
    expect(short).toEqual(upTo(100))
    expect(pong).toBe("pong")
  })

  test("a typed error in the middle comes after what came before it", async () => {
    const { actor } = await two()
    const got: Array<number> = []
    await expect(read(actor.stream("count", { to: 20, ending: "fail" }), got)).rejects.toEqual(
      new Enough({ after: 20 }),
    )
    expect(got).toEqual(upTo(20))
  })

  test("who leaves the loop ends it at the actor", async () => {
    const { actor, ended } = await two()
    for await (const n of actor.stream("count", { to: 1_000_000 })) if (n === 40) break
    await expect.poll(() => ended).toEqual(["count"])
  })

  test("who aborts while nothing comes ends it at the actor", async () => {
    const { actor } = await two()
    const controller = new AbortController()
    const stream = actor.stream("count", { to: 2, ending: "wait" }, { signal: controller.signal })
    expect([(await stream.next()).value, (await stream.next()).value]).toEqual([1, 2])
    const ended = expect(stream.next()).rejects.toThrow("enough")
    controller.abort(new Error("enough"))
    await ended
    expect(await actor.ask("ping", undefined)).toBe("pong")
  })

  test("an actor that goes in the middle ends it actor_terminated", async () => {
    const { actor, server } = await two()
    const stream = actor.stream("count", { to: 2, ending: "wait" })
    expect([(await stream.next()).value, (await stream.next()).value]).toEqual([1, 2])
    const ended = expect(stream.next()).rejects.toBeInstanceOf(AskError.ActorTerminated)
    await server.close()
    await ended
  })

  test("a stream that is handed on comes from who got it", async () => {
    const { identity, visitor } = await two()
    const front = newAddress("front")
    const broker = await connect(hub.url(), { identity: front, codec })
    await broker.serve(Ticker, {
      count: (_, context) => {
        context.forward(context.ref(Ticker, identity))
        return Stream.empty
      },
      ping: () => "front",
    })
    expect(await read(visitor.actor(Ticker, front).stream("count", { to: 100 }))).toEqual(upTo(100))
  })
})

test("a stream that is read slowly is not cut off by the hub's time limit for an answer", async () => {
  const identity = newAddress("ticker")
  const server = await connect(hub.url(), { identity })
  await server.serve(Ticker, ticker([]))
  const visitor = await connect(hub.url())
  const count = Effect.gen(function* () {
    const system = yield* ActorSystem.make({ transport: visitor.transport })
    const got: Array<number> = []
    // The reader takes longer over one element than an answer may take.
    const options = { timeout: "1 second" } as const
    yield* Stream.runForEach(
      ActorStream.ask(system.ref(Ticker, identity), "count", { to: 40 }, options),
      (n) => {
        got.push(n)
        return n === 1 ? Effect.sleep("2500 millis") : Effect.void
      },
    )
    return got
  })
  expect(await Effect.runPromise(Effect.scoped(count))).toEqual(upTo(40))
})
