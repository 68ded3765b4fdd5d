/** Our client through real workerd: typed actors, topics, watches, takeovers. */
import { AskError } from "@signal-hub/actor-core"
import { describe, expect, test } from "vitest"
import { Greeter, greeter, Shy } from "../support/Greeter.ts"
import { useHub } from "../support/hub.ts"
import { topic, unique } from "../support/names.ts"
import { newAddress, reaches, useClients } from "../support/OwnClients.ts"

const hub = useHub({ own: true })
const connect = useClients()

describe.each(["json", "msgpack"] as const)("by %s", (codec) => {
  test("fault 33: an actor is asked and its own answer comes back, or its typed error", async () => {
    const identity = newAddress("greeter")
    const server = await connect(hub.url(), { identity, codec })
    const notes: Array<string> = []
    await server.serve(Greeter, greeter(notes))
    const visitor = await connect(hub.url(), { codec })
    const actor = visitor.actor(Greeter, identity)
    expect(await actor.ask("greet", { name: "Ada" })).toBe("hello Ada")
    await expect(actor.ask("greet", { name: "Greta" })).rejects.toEqual(new Shy({ name: "Greta" }))
    actor.tell("note", { text: "first" })
    actor.tell("note", { text: "second" })
    // What was told before is there before what is asked after.
    await actor.ask("greet", { name: "Ada" })
    expect(notes).toEqual(["first", "second"])
  })

  test("a thousand tells of one turn arrive in order", async () => {
    const identity = newAddress("reader")
    const reader = await connect(hub.url(), { identity, codec })
    const writer = await connect(hub.url(), { codec })
    const messages = reader.messages()
    // Within the hub's burst for a session.
    for (let i = 0; i < 300; i++) writer.tell(identity, "count", i)
    for (let i = 0; i < 300; i++) expect((await messages.next()).value?.payload).toBe(i)
  })

  test("a publication reaches its subscribers, with the publisher's address", async () => {
    const news = topic("news")
    const reader = await connect(hub.url(), { identity: newAddress("reader"), codec })
    const subscription = reader.subscribe(news)
    await subscription.ready
    const identity = newAddress("writer")
    const writer = await connect(hub.url(), { identity, codec })
    expect(await writer.publish(news, "headline", { text: "hello" })).toEqual({
      topic: news,
      subscriberCount: 1,
    })
    const { value } = await subscription.next()
    expect(value).toMatchObject({ from: identity, type: "headline", payload: { text: "hello" } })
  })
})

test("an ask to nobody fails as UnknownActor, at once", async () => {
  const visitor = await connect(hub.url())
  const nobody = newAddress("nobody")
  await expect(visitor.actor(Greeter, nobody).ask("greet", { name: "Ada" })).rejects.toBeInstanceOf(
    AskError.UnknownActor,
  )
})

test("an ask that is given up is cancelled at the actor", async () => {
  const identity = newAddress("slow")
  const server = await connect(hub.url(), { identity })
  const messages = server.messages()
  const visitor = await connect(hub.url())
  const giveUp = new AbortController()
  const answer = visitor.ask(identity, "wait", null, { signal: giveUp.signal })
  const { value: ask } = await messages.next()
  giveUp.abort(new Error("enough"))
  await expect(answer).rejects.toThrow("enough")
  expect((await messages.next()).value).toMatchObject({ type: "actor:cancel", correlationId: ask?.id })
})

test("a watched actor's end is told", async () => {
  const identity = newAddress("mortal")
  const mortal = await connect(hub.url(), { identity })
  await mortal.register(identity)
  const watcher = await connect(hub.url())
  const watch = await watcher.watch(identity)
  expect(watch.registered).toBe(true)
  await mortal.close()
  expect(await watch.terminated).toEqual({ actorAddress: identity, reason: expect.any(String) })
})

test("fault 10: of two clients with one identity the first is superseded and stays away, until reclaim()", async () => {
  const identity = newAddress("twin")
  const name = unique("twins")
  const first = await connect(hub.url(name), { identity })
  const second = await connect(hub.url(name), { identity })
  expect(await reaches(first, "superseded")).toMatchObject({ code: 4409 })
  const visitor = await connect(hub.url(name))
  await second.serve(Greeter, greeter())
  expect(await visitor.actor(Greeter, identity).ask("greet", { name: "Ada" })).toBe("hello Ada")
  expect(first.state.status).toBe("superseded")
  first.reclaim()
  await reaches(first, "connected")
  expect(await reaches(second, "superseded")).toMatchObject({ code: 4409 })
})
