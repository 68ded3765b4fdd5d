/** The Promise API over a scripted network. Nothing here needs time to pass. */
import { Protocol } from "@signal-hub/actor-core"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import { expect, it } from "vitest"
import { connect, type ConnectOptions } from "../../src/client/index.ts"
import { FakeNetwork, type FakeSocket } from "./support/FakeNetwork.ts"

const ADA = "@(test/ada)"
const turn = (): Promise<void> => new Promise((next) => void setImmediate(next))

const join = async (options: ConnectOptions = {}) => {
  const network = new FakeNetwork()
  network.onSocket = (socket) => queueMicrotask(() => socket.open())
  const hub = await connect("ws://hub.test/ws", { webSocket: network.open, ...options })
  return { hub, network }
}

it("connects, asks, tells and says goodbye at the end of its block", async () => {
  const { hub, network } = await join()
  {
    await using here = hub
    expect(here.state.status).toBe("connected")
    expect(here.identity).toBe("@(test/me)")
    const answer = here.ask(ADA, "greet", { name: "Ada" })
    await turn()
    network.last.say("greeted", "hello Ada", { from: ADA, correlationId: network.last.sent.at(-1)?.id ?? "" })
    expect(await answer).toBe("hello Ada")
    here.tell(ADA, "bye")
    await turn()
    expect(network.last.sent.at(-1)).toMatchObject({ type: "bye", pattern: "tell", payload: null })
  }
  expect(network.last.types.at(-1)).toBe("hub:disconnect")
  expect(() => hub.tell(ADA, "late")).toThrow("closed by this client")
  await expect(hub.onPublication("news", () => {})).rejects.toThrow("closed by this client")
  await hub.close()
})

it("rejects where the first attempt fails, and leaves nothing behind", async () => {
  const network = new FakeNetwork()
  network.onSocket = (socket) => queueMicrotask(() => socket.drop(1006))
  await expect(connect("ws://hub.test/ws", { webSocket: network.open })).rejects.toMatchObject({
    _tag: "ConnectFailed",
    code: 1006,
  })
  expect(network.sockets).toHaveLength(1)
})

it("rejects a URL that no socket can have, and an aborted connect with its reason", async () => {
  await expect(connect("ftp://hub.test")).rejects.toMatchObject({ _tag: "ConnectFailed" })
  const network = new FakeNetwork()
  const abort = new AbortController()
  const connecting = connect("ws://hub.test", { webSocket: network.open, signal: abort.signal })
  await turn()
  abort.abort(new Error("changed my mind"))
  await expect(connecting).rejects.toThrow("changed my mind")
  expect(network.last.closedByClient).toBe(true)
})

it("an aborted ask rejects with the reason and is cancelled at the actor", async () => {
  const { hub, network } = await join()
  await using _ = hub
  const abort = new AbortController()
  const answer = hub.ask(ADA, "work", 1, { signal: abort.signal })
  await turn()
  abort.abort(new Error("enough"))
  await expect(answer).rejects.toThrow("enough")
  await turn()
  expect(network.last.sent.at(-1)).toMatchObject({ type: "actor:cancel", to: ADA })
})

it("a subscription iterates from its call on, and leaving the loop unsubscribes", async () => {
  const { hub, network } = await join()
  await using _ = hub
  const news = hub.subscribe("news")
  await news.ready
  const said = { from: ADA, metadata: { topic: "news", publication: true } } as const
  for (const headline of ["one", "two", "three"]) network.last.say("headline", headline, said)
  const read: Array<unknown> = []
  for await (const { payload } of news) {
    read.push(payload)
    if (read.length === 2) break
  }
  await turn()
  expect(read).toEqual(["one", "two"])
  expect(network.last.types.at(-1)).toBe("hub:unsubscribe")
})

it("a listener hears publications as they come, until it lets go", async () => {
  const { hub, network } = await join()
  await using _ = hub
  const read: Array<unknown> = []
  const news = await hub.onPublication("news", ({ payload }) => void read.push(payload))
  expect(news.topic).toBe("news")
  const said = { from: ADA, metadata: { topic: "news", publication: true } } as const
  network.last.say("headline", "one", said)
  expect(read).toEqual(["one"])
  await news.unsubscribe()
  network.last.say("headline", "two", said)
  await turn()
  expect(read).toEqual(["one"])
  expect(network.last.types.at(-1)).toBe("hub:unsubscribe")
})

it("a listener that is refused at first rejects, and one that is refused later is told", async () => {
  const { hub, network } = await join({ schedule: Schedule.spaced(0) })
  await using _ = hub
  const refused = { type: "hub:error", payload: { code: "forbidden", message: "no" } }
  const refuse = (socket: FakeSocket, topic: string): void => {
    const { answers } = socket
    socket.answers = (request) =>
      (request.payload as { readonly topic?: string } | null)?.topic === topic ? refused : answers(request)
  }
  refuse(network.last, "secrets")
  await expect(hub.onPublication("secrets", () => {})).rejects.toMatchObject({ code: "forbidden" })
  const told = Promise.withResolvers<unknown>()
  const heard: Array<unknown> = []
  await hub.onPublication("news", (news) => void heard.push(news), { onRefused: told.resolve })
  network.onSocket = (socket) => {
    refuse(socket, "news")
    queueMicrotask(() => socket.open())
  }
  network.last.drop(1006)
  expect(await told.promise).toMatchObject({ code: "forbidden" })
  network.last.say("headline", "one", { from: ADA, metadata: { topic: "news", publication: true } })
  expect(heard).toEqual([])
})

it("a refused subscription is told to who waits for it and to who only iterates", async () => {
  const { hub, network } = await join()
  await using _ = hub
  network.last.answers = ({ type }) =>
    type === "hub:subscribe"
      ? { type: "hub:error", payload: { code: "forbidden", message: "no" } }
      : undefined
  network.last.closesOnGoodbye = false
  const news = hub.subscribe("news")
  await expect(news.ready).rejects.toMatchObject({ code: "forbidden" })
  await expect(news.next()).rejects.toMatchObject({ code: "forbidden" })
  network.last.drop(1000)
})

it("a listener that throws stops neither the next one nor the connection", async () => {
  const { hub, network } = await join()
  await using _ = hub
  const uncaught = new Promise<unknown>((resolve) => process.once("uncaughtException", resolve))
  const others = process.listeners("uncaughtException").slice(0, -1)
  for (const other of others) process.off("uncaughtException", other)
  const heard: Array<unknown> = []
  hub.onMessage(() => {
    throw new Error("a careless listener")
  })
  hub.onMessage(({ payload }) => void heard.push(payload))
  network.last.say("hi", 1, { from: ADA })
  expect(await uncaught).toMatchObject({ message: "a careless listener" })
  for (const other of others) process.on("uncaughtException", other)
  expect(heard).toEqual([1])
  expect(hub.state.status).toBe("connected")
})

const Greeter = Protocol.make("Greeter", {
  greet: Protocol.ask({ payload: Schema.Struct({ name: Schema.String }), success: Schema.String }),
})

it("serves an actor at its identity and asks one by its protocol, which may forward the ask", async () => {
  const { hub, network } = await join()
  await using _ = hub
  const served = await hub.serve(Greeter, { greet: ({ name }) => `hello ${name}` })
  expect(served.address).toBe("@(test/me)")
  network.last.say("greet", { name: "Ada" }, { id: "ask-1", from: ADA, to: "@(test/me)", pattern: "ask" })
  await turn()
  expect(network.last.sent.at(-1)).toMatchObject({ to: ADA, correlationId: "ask-1", payload: "hello Ada" })

  const answer = hub.actor(Greeter, ADA).ask("greet", { name: "Bob" })
  await turn()
  const asked = network.last.sent.at(-1)
  expect(asked).toMatchObject({ to: ADA, type: "greet", pattern: "ask", payload: { name: "Bob" } })
  network.last.say("actor:reply", "hello Bob", { from: ADA, correlationId: asked?.id ?? "" })
  expect(await answer).toBe("hello Bob")

  const forwarded = hub.actor(Greeter, ADA).ask("greet", { name: "Eve" })
  await turn()
  const id = network.last.sent.at(-1)?.id ?? ""
  const byBob = { from: "@(test/bob)", correlationId: id } as const
  network.last.say("actor:reply", "forged", byBob)
  network.last.say("actor:reply", "hello from Bob", { ...byBob, metadata: { answeredFor: ADA } })
  expect(await forwarded).toBe("hello from Bob")
  await served.stop()
  await turn()
  expect(network.last.types.at(-1)).toBe("hub:unregister")
})

it("fault 58: a listener for a topic that comes after the end is told so, and nothing throws", async () => {
  const { hub } = await join()
  await hub.close()
  await expect(hub.onPublication("news", () => {})).rejects.toMatchObject({
    _tag: "TransportError",
    reason: "closed",
  })
})
