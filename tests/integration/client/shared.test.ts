/** Subscriptions and registrations that several parts of a program hold, through real sockets. */
import { describe, expect, test } from "vitest"
import { useHub } from "../support/hub.ts"
import { topic } from "../support/names.ts"
import { newAddress, useClients } from "../support/OwnClients.ts"

const hub = useHub({ own: true })
const connect = useClients()

describe.each(["/ws", "/gateway"])("at %s", (path) => {
  const connectAs = (word: string) =>
    connect(hub.url().replace(/\/ws$/, path), { identity: newAddress(word) })

  test("fault 57: a second subscriber without presence ends nobody's, and presence shrinks with its holder", async () => {
    const news = topic("news")
    const reader = await connectAs("reader")
    const joined: Array<unknown> = []
    reader.onEvent(({ type, payload }) => {
      if (type === "hub:presence_diff") joined.push(...payload.joined.map(({ actorAddress }) => actorAddress))
    })
    const first = reader.subscribe(news, { presence: true })
    await first.ready
    const heard: Array<unknown> = []
    const second = await reader.onPublication(news, ({ payload }) => heard.push(payload))
    const [ada, ben] = [await connectAs("ada"), await connectAs("ben")]
    await ada.subscribe(news, { presence: true }).ready
    await expect.poll(() => joined).toEqual([ada.identity])
    await ada.publish(news, "headline", 1)
    expect((await first.next()).value?.payload).toBe(1)
    await first.unsubscribe()
    // Who holds it still hears publications, and nothing of presence any more.
    // Answers come in order: by this one the hub has what the second wants.
    await reader.presence(news)
    await ben.subscribe(news, { presence: true }).ready
    await ben.publish(news, "headline", 2)
    await expect.poll(() => heard).toEqual([1, 2])
    expect(joined).toEqual([ada.identity])
    await second.unsubscribe()
    await expect.poll(async () => (await ben.publish(news, "headline", 3)).subscriberCount).toBe(2)
  })

  test("fault 57: a second registration without tags takes none away, and tags go with their holder", async () => {
    const [server, visitor] = [await connectAs("server"), await connectAs("visitor")]
    const address = newAddress("printer")
    const found = async (capability: string) =>
      (await visitor.discover(address, { capability })).actors.map((one) => one.actorAddress)
    const first = await server.register(address, { capabilities: ["color"], metadata: { floor: 1 } })
    const second = await server.register(address)
    const third = await server.register(address, { capabilities: ["duplex"] })
    await expect.poll(() => found("duplex")).toEqual([address])
    expect(await found("color")).toEqual([address])
    const { actors } = await visitor.discover(address)
    expect(actors[0]?.metadata).toEqual({ floor: 1 })
    await third.unregister()
    await expect.poll(() => found("duplex")).toEqual([])
    expect(await found("color")).toEqual([address])
    await first.unregister()
    await expect.poll(() => found("color")).toEqual([])
    expect((await visitor.discover(address)).actors).toHaveLength(1)
    await second.unregister()
    await expect.poll(async () => (await visitor.discover(address)).actors).toEqual([])
  })
})
