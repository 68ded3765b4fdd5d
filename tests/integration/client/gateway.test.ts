/** Our client, unchanged, at gateways: each identity has one of its own. */
import { expect, test } from "vitest"
import { Greeter, greeter, Shy } from "../support/Greeter.ts"
import { useHub } from "../support/hub.ts"
import { topic } from "../support/names.ts"
import { newAddress, reaches, useClients } from "../support/OwnClients.ts"

const hub = useHub({ own: true })
const connect = useClients()

const connectAs = (identity: ReturnType<typeof newAddress>, codec: "json" | "msgpack" = "json") =>
  connect(hub.url().replace(/\/ws$/, "/gateway"), { identity, codec })

test.each(["json", "msgpack"] as const)(
  "fault 33: by %s, actors of two gateways are asked and answer",
  async (codec) => {
    const identity = newAddress("greeter")
    const server = await connectAs(identity, codec)
    const notes: Array<string> = []
    await server.serve(Greeter, greeter(notes))
    const visitor = await connectAs(newAddress("visitor"), codec)
    const actor = visitor.actor(Greeter, identity)
    expect(await actor.ask("greet", { name: "Ada" })).toBe("hello Ada")
    await expect(actor.ask("greet", { name: "Greta" })).rejects.toEqual(new Shy({ name: "Greta" }))
    actor.tell("note", { text: "first" })
    actor.tell("note", { text: "second" })
    await actor.ask("greet", { name: "Ada" })
    expect(notes).toEqual(["first", "second"])
  },
)

test("a publication reaches the subscriber at another gateway", async () => {
  const news = topic("news")
  const reader = await connectAs(newAddress("reader"))
  const subscription = reader.subscribe(news)
  await subscription.ready
  const identity = newAddress("writer")
  const writer = await connectAs(identity)
  expect(await writer.publish(news, "headline", 1)).toEqual({ topic: news, subscriberCount: 1 })
  expect((await subscription.next()).value).toMatchObject({ from: identity, payload: 1 })
})

test("fault 10: of two clients of one gateway the first is superseded and stays away, until reclaim()", async () => {
  const identity = newAddress("twin")
  const first = await connectAs(identity)
  const second = await connectAs(identity)
  expect(await reaches(first, "superseded")).toMatchObject({ code: 4409 })
  // Long enough for a client that takes it for any close to have come back.
  await second.metrics()
  expect(first.state.status).toBe("superseded")
  first.reclaim()
  await reaches(first, "connected")
  expect(await reaches(second, "superseded")).toMatchObject({ code: 4409 })
})
