/** Streams that durable actors give to clients of gateways and of hubs. */
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test"
import { env } from "cloudflare:workers"
import { describe, expect, it } from "vitest"
import { asks, atGateway, inHub, KINDS, newSteward } from "./parties.ts"
import { given } from "./Steward.ts"
import { actors } from "./worker.ts"
import type { Came, SocketClient } from "./SocketClient.ts"
import { countRows } from "./stored.ts"
import { eventually } from "../support/eventually.ts"

/** The next elements of the stream. */
const elements = async (client: SocketClient, id: string, from: number, to: number): Promise<void> => {
  for (let n = from; n <= to; n++) {
    expect(await client.came()).toMatchObject({
      correlationId: id,
      payload: n,
      metadata: { stream: { n, done: false } },
    })
  }
}

const about = (client: SocketClient, to: string, id: string, type: string, payload: unknown = null) =>
  void client.send({ to, type, correlationId: id, payload })

const rows = (stub: DurableObjectStub, table: string): Promise<number> =>
  runInDurableObject(stub, (_, { storage }) => countRows(storage, table))

/** Until nothing is left of the stream. */
const isOver = (stub: DurableObjectStub) =>
  eventually(async () => expect(await rows(stub, "actor_stream")).toBe(0))

const nothingElse = async (client: SocketClient): Promise<void> => {
  expect((await client.request("hub:heartbeat", { timestamp: 1 })).type).toBe("hub:heartbeat_ack")
}

describe.each(KINDS)("a stream of a durable actor, read by %s", (_, enter) => {
  it("gives what is demanded, then its end, and nothing is made that is not demanded", async () => {
    const { address: to, stub } = newSteward()
    const { client } = await enter()
    const made = given.elements
    const id = asks(client, to, "count", 40)
    await elements(client, id, 1, 16)
    expect(given.elements - made).toBeLessThanOrEqual(17)
    await nothingElse(client)
    about(client, to, id, "actor:demand", { n: 10 })
    await elements(client, id, 17, 26)
    await nothingElse(client)
    about(client, to, id, "actor:demand", { n: 100 })
    await elements(client, id, 27, 40)
    expect(await client.came()).toMatchObject({
      correlationId: id,
      payload: null,
      metadata: { stream: { n: 41, done: true } },
    })
    await isOver(stub)
  })

  it("ends with the typed error, after what came before", async () => {
    const { address: to, stub } = newSteward()
    const { client } = await enter()
    const id = asks(client, to, "count", 2.5)
    await elements(client, id, 1, 2)
    expect(await client.came()).toMatchObject({
      type: "actor:error",
      correlationId: id,
      payload: { code: "Uneven", data: { after: 2 } },
    })
    await isOver(stub)
  })

  it("is ended by a cancel: the actor lets go of its source", async () => {
    const { address: to, stub } = newSteward()
    const { client } = await enter()
    const { ended } = given
    const id = asks(client, to, "count", 1_000)
    await elements(client, id, 1, 16)
    about(client, to, id, "actor:cancel")
    await eventually(() => expect(given.ended).toBe(ended + 1))
    await nothingElse(client)
    await isOver(stub)
  })

  it("runs beside the actor's messages, and may be quiet between its elements", async () => {
    const { address: to } = newSteward()
    const { client } = await enter()
    const id = asks(client, to, "follow")
    client.send({ to, type: "note", payload: "one" })
    expect(await client.came()).toMatchObject({ correlationId: id, payload: "one" })
    client.send({ to, type: "note", payload: "two" })
    expect(await client.came()).toMatchObject({ correlationId: id, payload: "two" })
    about(client, to, id, "actor:cancel")
  })

  it("goes on over an eviction of the reader's side", async () => {
    const { address: to } = newSteward()
    const { address, client } = await enter()
    const id = asks(client, to, "count", 20)
    await elements(client, id, 1, 16)
    const home = enter === inHub ? env.SIGNAL_HUB.getByName("lobby") : env.SESSION_GATEWAY.getByName(address)
    await evictDurableObject(home)
    about(client, to, id, "actor:demand", { n: 10 })
    await elements(client, id, 17, 20)
    expect((await client.came()).metadata).toEqual({ stream: { n: 21, done: true } })
  })

  it("fault 5: whose memory is lost ends actor_terminated, by the alarm at the latest", async () => {
    const { address: to, stub } = newSteward()
    const { client } = await enter()
    const id = asks(client, to, "count", 1_000)
    await elements(client, id, 1, 16)
    await expect(
      runInDurableObject(stub, (_, state) => state.abort("the test lets it crash")),
    ).rejects.toThrow()
    await runDurableObjectAlarm(env.STEWARD.getByName(to.slice("@(steward/".length, -1)))
    expect(await client.came()).toMatchObject({
      type: "actor:error",
      correlationId: id,
      payload: { code: "actor_terminated" },
    })
  })

  it("ends when its reader goes", async () => {
    const { address: to, stub } = newSteward()
    const { client } = await enter()
    asks(client, to, "follow")
    client.send({ to, type: "note", payload: "heard" })
    expect((await client.came()).payload).toBe("heard")
    expect(await rows(stub, "actor_stream")).toBe(1)
    await client.request("hub:disconnect")
    const other = await enter()
    other.client.send({ to, type: "note", payload: "for nobody" })
    await isOver(stub)
  })
})

describe("a stream", () => {
  it("that a Worker asks for is refused, typed", async () => {
    const { address: to, stub } = newSteward()
    const { ended } = given
    await expect(actors(env).ask(to, "count", 3)).rejects.toMatchObject({ code: "unknown_message" })
    await eventually(() => expect(given.ended).toBe(ended + 1))
    await isOver(stub)
  })

  it("two readers have streams of their own", async () => {
    const { address: to } = newSteward()
    const [ada, bob] = [await atGateway(), await inHub()]
    const ids = [ada, bob].map(({ client }) => asks(client, to, "count", 3))
    await elements(ada.client, ids[0]!, 1, 3)
    await elements(bob.client, ids[1]!, 1, 3)
    const ends: ReadonlyArray<Came> = [await ada.client.came(), await bob.client.came()]
    expect(ends.map(({ metadata }) => metadata)).toEqual([
      { stream: { n: 4, done: true } },
      { stream: { n: 4, done: true } },
    ])
  })
})
