/** Our client and reliable sessions, at a hub and at gateways: sockets cut at any moment, objects evicted. */
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Protocol, type Address, type Envelope } from "@signal-hub/actor-core"
import type { ConnectOptions, Hub, SessionEvent, Unconfirmed } from "@signal-hub/cloudflare-transport/client"
import { filePersistence } from "@signal-hub/cloudflare-transport/client/file"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { describe, expect, onTestFinished, test } from "vitest"
import { WebSocket } from "ws"
import { Greeter, greeter } from "../support/Greeter.ts"
import { UNHURRIED, useHub } from "../support/hub.ts"
import { unique } from "../support/names.ts"
import { newAddress, reaches, useClients } from "../support/OwnClients.ts"

const hub = useHub({ limits: UNHURRIED })
const connect = useClients()

/** Sockets that can be cut as a cable is: without a word. */
const cable = () => {
  const sockets = new Set<WebSocket>()
  const webSocket: NonNullable<ConnectOptions["webSocket"]> = (url, protocols) => {
    const socket = new WebSocket(url, [...protocols])
    sockets.add(socket)
    socket.on("close", () => sockets.delete(socket))
    return socket as ReturnType<NonNullable<ConnectOptions["webSocket"]>>
  }
  return { webSocket, cut: (): void => sockets.forEach((socket) => socket.terminate()) }
}

const sessionsOf = (client: Hub): Array<SessionEvent> => {
  const events: Array<SessionEvent> = []
  client.onSession((event) => void events.push(event))
  return events
}
const unconfirmed = (events: ReadonlyArray<SessionEvent>): ReadonlyArray<Unconfirmed> =>
  events.flatMap((event) => (event.type === "unconfirmed" ? [event.unconfirmed] : []))
const typesOf = (events: ReadonlyArray<SessionEvent>) => events.map(({ type }) => type)
const collect = (client: Hub): Array<unknown> => {
  const heard: Array<unknown> = []
  client.onMessage(({ payload }: Envelope.Envelope) => void heard.push(payload))
  return heard
}

const Slow = Protocol.make("slow", {
  wait: Protocol.ask({ payload: Schema.Struct({ n: Schema.Number }), success: Schema.Number }),
})

describe.each(["hub", "gateway"] as const)("at a %s", (topology) => {
  const dial = (identity: Address.Address, options: ConnectOptions = {}): Promise<Hub> => {
    const url = topology === "hub" ? hub.url() : hub.url().replace(/\/ws$/, "/gateway")
    return connect(url, { identity, schedule: Schedule.spaced(50), ...options })
  }
  const evict = (identity: Address.Address, webSockets: "hibernate" | "close"): Promise<boolean> =>
    topology === "hub"
      ? hub.server().evict("default", webSockets)
      : hub.server().evictObject("SessionGateway", identity, webSockets)

  test.each(["json", "msgpack"] as const)(
    "faults 22, 42: by %s, sockets that are cut on both sides lose, double and reorder nothing",
    { timeout: 60_000 },
    async (codec) => {
      const [to, from] = [newAddress("to"), newAddress("from")]
      const [ours, theirs] = [cable(), cable()]
      const reader = await dial(to, { codec, webSocket: theirs.webSocket })
      const writer = await dial(from, { codec, webSocket: ours.webSocket })
      const heard = collect(reader)
      const [read, written] = [sessionsOf(reader), sessionsOf(writer)]
      const numbers = [...Array(600).keys()]
      const told: Array<Promise<void>> = []
      for (const n of numbers) {
        told.push(writer.tell(to, "n", n, { until: "acknowledged" }))
        if (n % 100 === 40) ours.cut()
        if (n % 150 === 90) theirs.cut()
        if (n % 200 === 150) await evict(to, n % 400 === 150 ? "hibernate" : "close")
        // The first of those that are on their way is there; so that a cut comes in the middle of some.
        if (n % 20 === 0) await told[n]
      }
      await Promise.all(told)
      await expect.poll(() => heard.length, { timeout: 20_000 }).toBe(numbers.length)
      expect(heard).toEqual(numbers)
      expect(new Set([...typesOf(read), ...typesOf(written)])).toEqual(new Set(["connected", "resumed"]))
    },
  )

  test("an actor that is told reliably hears all, once and in order, whose socket ever is cut", async () => {
    const [to, from] = [newAddress("greeter"), newAddress("teller")]
    const [ours, theirs] = [cable(), cable()]
    const server = await dial(to, { webSocket: theirs.webSocket })
    const notes: Array<string> = []
    await server.serve(Greeter, greeter(notes))
    const teller = await dial(from, { webSocket: ours.webSocket })
    const actor = teller.actor(Greeter, to)
    const texts = [...Array(60).keys()].map(String)
    for (const text of texts) {
      await actor.tell("note", { text }, { reliable: true })
      if (text === "20") ours.cut()
      if (text === "40") theirs.cut()
    }
    await expect.poll(() => notes.length).toBe(texts.length)
    expect(notes).toEqual(texts)
  })

  test("fault 14: asks in flight survive both sides' sockets and the object's memory", async () => {
    const [to, from] = [newAddress("slow"), newAddress("asker")]
    const [ours, theirs] = [cable(), cable()]
    const server = await dial(to, { webSocket: theirs.webSocket })
    const began = Promise.withResolvers<() => void>()
    await server.serve(Slow, {
      wait: ({ n }) =>
        Effect.callback<number>((resume) => began.resolve(() => resume(Effect.succeed(n * 2)))),
    })
    const asker = await dial(from, { webSocket: ours.webSocket })
    const asked = asker.actor(Slow, to).ask("wait", { n: 21 })
    const answer = await began.promise
    const lost = [reaches(asker, "reconnecting"), reaches(server, "reconnecting")]
    ours.cut()
    theirs.cut()
    await Promise.all(lost)
    await evict(to, "close")
    if (topology === "gateway") await evict(from, "close")
    // Answered while neither is there: the answer waits at the one, then at the other end.
    answer()
    expect(await asked).toBe(42)
  })

  test("an ask that is aborted while the asker is away is stopped at its actor", async () => {
    const [to, from] = [newAddress("slow"), newAddress("asker")]
    const ours = cable()
    const server = await dial(to)
    let [began, stopped] = [0, 0]
    await server.serve(Slow, {
      wait: () =>
        Effect.onInterrupt(
          Effect.suspend(() => {
            began++
            return Effect.never
          }),
          () => Effect.sync(() => void stopped++),
        ),
    })
    const asker = await dial(from, { webSocket: ours.webSocket })
    const abort = new AbortController()
    const asking = asker.actor(Slow, to).ask("wait", { n: 1 }, { signal: abort.signal })
    await expect.poll(() => began).toBe(1)
    const lost = reaches(asker, "reconnecting")
    ours.cut()
    await lost
    abort.abort(new Error("no more"))
    await expect(asking).rejects.toThrow("no more")
    await expect.poll(() => stopped).toBe(1)
  })

  test("a tell until acknowledged to nobody is reported: a hub knows it at once, a gateway after it took it", async () => {
    const [nobody, writer] = [newAddress("nobody"), await dial(newAddress("from"))]
    const unknown: Array<unknown> = []
    writer.onEvent((event) => {
      if (event.type === "hub:unknown_actor") unknown.push(event.payload.actorAddress)
    })
    const told = writer.tell(nobody, "n", 1, { until: "acknowledged" })
    if (topology === "hub") return expect(told).rejects.toMatchObject({ _tag: "UnknownActor" })
    await told
    await expect.poll(() => unknown).toEqual([nobody])
  })

  test("fault 12: taken over by another process: what was for the loser is the winner's, in order", async () => {
    const [to, from] = [newAddress("to"), newAddress("from")]
    const theirs = cable()
    const reader = await dial(to, { webSocket: theirs.webSocket })
    const heard = collect(reader)
    const writer = await dial(from)
    await writer.tell(to, "n", 1, { until: "acknowledged" })
    await expect.poll(() => heard).toEqual([1])
    const lost = reaches(reader, "reconnecting")
    theirs.cut()
    await lost
    const events = sessionsOf(reader)
    for (const n of [2, 3]) await writer.tell(to, "n", n, { until: "acknowledged" })
    const winner = await dial(to)
    const passed = collect(winner)
    await reaches(reader, "superseded")
    await expect.poll(() => [...heard, ...passed]).toEqual([1, 2, 3])
    expect(unconfirmed(events)).toEqual([])
  })

  test("stored in a file, the next process takes the session up, and the one before stays away", async () => {
    const folder = await mkdtemp(join(tmpdir(), "signal-hub-session-"))
    onTestFinished(() => rm(folder, { recursive: true, force: true }))
    const [me, peer] = [newAddress("me"), newAddress("peer")]
    const other = await dial(peer)
    const told = collect(other)
    const persistence = filePersistence(join(folder, unique("session")))
    const ours = cable()
    const first = await dial(me, { persistence, webSocket: ours.webSocket })
    const heard = collect(first)
    await other.tell(me, "n", "one", { until: "acknowledged" })
    await expect.poll(() => heard).toEqual(["one"])
    await first.tell(peer, "n", 1, { until: "acknowledged" })
    const lost = reaches(first, "reconnecting")
    ours.cut()
    await lost
    void first.tell(peer, "n", 2, { reliable: true })
    await other.tell(me, "n", "two", { until: "acknowledged" })

    const second = await dial(me, { persistence })
    const events = sessionsOf(second)
    const then = collect(second)
    expect(typesOf(events)).toEqual(["resumed"])
    expect(second.sessionId).toBe(first.sessionId ?? second.sessionId)
    await reaches(first, "superseded")
    await expect.poll(() => [...heard, ...then]).toEqual(["one", "two"])
    await expect.poll(() => told).toEqual([1, 2])
    await second.close()
    const third = await dial(me, { persistence })
    expect(typesOf(sessionsOf(third))).toEqual(["connected"])
  })
})
