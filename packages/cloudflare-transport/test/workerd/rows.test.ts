/**
 * Rows and index entries that are written and read, as the platform bills them: what `docs/sizing` reckons
 * with.
 */
import { evictDurableObject, runInDurableObject } from "cloudflare:test"
import { env } from "cloudflare:workers"
import { shardOf } from "../../src/delivery/Shards.ts"
import { HUB_ADDRESS } from "../../src/protocol/HubMessage.ts"
import { SignJWT } from "jose"
import { expect, it } from "vitest"
import { JWT_SECRET } from "./secret.ts"
import { answered, ask, tell } from "./durable/talk.ts"
import { SocketClient } from "./SocketClient.ts"
import { countRows } from "./stored.ts"
import { eventually } from "../support/eventually.ts"

const newHub = () => env.TOKEN_HUB.getByName("default")
type HubStub = ReturnType<typeof newHub>

/** Milliseconds. */
const DAY = 86_400_000

/**
 * Counts what the object writes from now on. Gives the rows since it was last asked. Its alarm comes only by
 * hand from now on: the platform's would write where others are counted.
 */
const counting = async (stub: DurableObjectStub<undefined>): Promise<() => Promise<number>> => {
  let cursors: Array<{ readonly rowsWritten: number }> = []
  await runInDurableObject(stub, (_, { storage }) => {
    const setAlarm = storage.setAlarm.bind(storage)
    storage.setAlarm = () => setAlarm(Date.now() + DAY)
    const { sql } = storage
    const exec = sql.exec.bind(sql)
    sql.exec = <T extends Record<string, SqlStorageValue>>(query: string, ...bindings: Array<unknown>) => {
      const cursor = exec<T>(query, ...bindings)
      cursors.push(cursor)
      return cursor
    }
  })
  return () =>
    runInDurableObject(stub, () => {
      const written = cursors.reduce((sum, { rowsWritten }) => sum + rowsWritten, 0)
      cursors = []
      return written
    })
}

const newToken = () =>
  new SignJWT({ actorId: "user/ada" })
    .setProtectedHeader({ alg: "HS256" })
    .setExpirationTime("1h")
    .sign(new TextEncoder().encode(JWT_SECRET))

const sessionsOf = (hub: HubStub, where = "true"): Promise<number> =>
  runInDurableObject(hub, (_, { storage }) => countRows(storage, `session WHERE ${where}`))

const connected = async (hub: HubStub): Promise<SocketClient> => {
  const client = await SocketClient.open(hub)
  const metadata = {
    protocolVersion: "1.0.0",
    // So short a grace that its end need only be looked for.
    sessionExpirySeconds: 0.001,
    authToken: await newToken(),
  }
  expect((await client.connect("@(user/ada)", metadata)).type).toBe("hub:connected")
  return client
}

/** The socket closes, and the alarm ends the session. Gives the rows of both. */
const ended = async (hub: HubStub, client: SocketClient, written: () => Promise<number>) => {
  client.close(1000)
  await eventually(async () => expect(await sessionsOf(hub, "connection IS NOT NULL")).toBe(0))
  const lost = await written()
  await eventually(async () => {
    await runInDurableObject(hub, (instance) => instance.alarm())
    expect(await sessionsOf(hub)).toBe(0)
  })
  return { lost, end: await written() }
}

it("a session writes 8 rows, a subscription 3 more, a registration 5, a fresh token 2, messages none", async () => {
  const hub = newHub()
  const written = await counting(hub)
  // The first of each makes tables, which are not a session's.
  const first = await connected(hub)
  expect(await written()).toBe(7 + 3)
  await first.request("hub:subscribe", { topic: "news" })
  expect(await written()).toBe(4 + 2)
  await first.request("hub:register", { actorAddress: "@(user/ada)" })
  expect(await written()).toBe(4 + 2)
  await ended(hub, first, written)

  const bare = await connected(hub)
  expect(await written()).toBe(3)
  await bare.request("hub:publish", { topic: "nobody's", type: "item", data: 1 })
  bare.send({ to: "@(user/ada)", payload: 1 })
  await bare.came()
  expect(await written()).toBe(0)
  await bare.request("hub:refresh_token", { token: await newToken() })
  expect(await written()).toBe(2)
  expect(await ended(hub, bare, written)).toEqual({ lost: 2, end: 3 })

  const subscriber = await connected(hub)
  await subscriber.request("hub:subscribe", { topic: "news" })
  expect(await written()).toBe(3 + 2)
  expect(await ended(hub, subscriber, written)).toEqual({ lost: 2, end: 3 + 1 })

  const registrant = await connected(hub)
  await registrant.request("hub:register", { actorAddress: "@(user/ada)" })
  expect(await written()).toBe(3 + 2)
  expect(await ended(hub, registrant, written)).toEqual({ lost: 2 + 2, end: 3 + 1 })

  expect(await runInDurableObject(hub, (_, { storage: { sql } }) => sql.databaseSize)).toBe(53_248)
})

it("reliable messages of a frame write 2 rows together, and 2 more once they are acknowledged", async () => {
  const hub = newHub()
  const client = await connected(hub)
  const written = await counting(hub)
  const to = "@(user/ada)"
  const self = (seq: number) => ({ to, seq, type: "item", payload: seq })
  client.send(self(1))
  await client.came()
  // And the first makes a table.
  expect(await written()).toBe(2 + 2)
  client.sendAll([2, 3, 4, 5, 6, 7, 8, 9].map(self))
  await client.came()
  expect(await written()).toBe(2)
  client.send({ to: HUB_ADDRESS, type: "hub:ack", payload: { through: 9, bytes: 0 } })
  await eventually(async () => expect(await written()).toBe(1 + 2))
})

it("a gateway's session writes 5 rows, a subscription 6 with its topic's, a registration 7 with the directory's", async () => {
  const [identity, other] = ["@(user/rows)", "@(user/rows-other)"]
  const gateway = env.COUNTING_GATEWAY.getByName(identity)
  const topic = env.TOPIC_HUB.getByName("rows")
  const shard = env.DIRECTORY.getByName(shardOf(other))
  const writers = [await counting(gateway), await counting(topic), await counting(shard)]
  const written = async () => {
    let sum = 0
    for (const one of writers) sum += await one()
    return sum
  }
  /** The rows of connecting, of what is done then, and of the end, until all have heard of it. */
  const session = async (use: (client: SocketClient) => Promise<unknown>) => {
    const client = await SocketClient.open(gateway)
    await client.connect(identity, { sessionExpirySeconds: 0.001 })
    const connect = await written()
    await use(client)
    const used = await written()
    client.close(1000)
    await eventually(async () => {
      await runInDurableObject(gateway, (object, { storage }) => {
        object.alarm()
        expect(countRows(storage, "session") + countRows(storage, "notice")).toBe(0)
      })
    })
    return { connect, use: used, end: await written() }
  }
  const bare = async () => {}
  const subscribe = (client: SocketClient) => client.request("hub:subscribe", { topic: "rows" })
  const register = (client: SocketClient) => client.request("hub:register", { actorAddress: other })

  // The first of each makes tables.
  expect(await session(bare)).toEqual({ connect: 4 + 2, use: 0, end: 3 })
  const size = () => runInDurableObject(gateway, (_, { storage: { sql } }) => sql.databaseSize)
  expect(await size()).toBe(16_384)
  expect(await session(bare)).toEqual({ connect: 2, use: 0, end: 3 })
  expect(await session(subscribe)).toEqual({ connect: 2, use: 4 + 2, end: 2 + 3 + 4 })
  expect(await session(subscribe)).toEqual({ connect: 2, use: 2, end: 3 + 4 })
  expect(await session(register)).toEqual({ connect: 2, use: 4 + 2, end: 3 + 5 })
  expect(await session(register)).toEqual({ connect: 2, use: 2, end: 3 + 5 })
  expect(await size()).toBe(28_672)
})

const SLEEPER = "@(user/sleeper)"
const [hub, gateway] = [env.COUNTING_HUB.getByName(SLEEPER), env.COUNTING_GATEWAY.getByName(SLEEPER)]

it.each([
  { stub: hub, read: () => runInDurableObject(hub, (object) => object.rowsRead()) },
  { stub: gateway, read: () => runInDurableObject(gateway, (object) => object.rowsRead()) },
])(
  "a wake-up reads one row until the frame is answered, however many tables there are: $stub.name",
  async ({ read, stub }) => {
    const client = await SocketClient.open(stub)
    expect((await client.connect(SLEEPER)).type).toBe("hub:connected")
    await evictDurableObject(stub)
    expect((await client.request("hub:heartbeat", { timestamp: 1 })).type).toBe("hub:heartbeat_ack")
    expect(await read()).toBe(1)
    client.close(1000)
  },
)

it("an idle durable actor wakes by 5 rows: what tables it has, and its state", async () => {
  const stub = env.COUNTING_ACCOUNT.getByName("idle")
  const account = { address: "@(account/idle)", stub } as const
  await tell(account, "deposit", 10, { from: "@(user/teller)" })
  await evictDurableObject(stub)
  expect(await ask(account, "balance")).toMatchObject(answered(10))
  expect(await runInDurableObject(stub, (object) => object.rowsRead())).toBe(5)
})

it("a gateway that nobody was at reads one row to say so, and makes no table", async () => {
  const stub = env.COUNTING_GATEWAY.getByName("@(user/nobody)")
  expect(await stub.hasSession()).toBe(false)
  const found = await runInDurableObject(stub, (object, { storage: { sql } }) => ({
    read: object.rowsRead(),
    size: sql.databaseSize,
  }))
  expect(found.read).toBe(1)
  expect(found.size).toBeLessThanOrEqual(4_096)
})

it("the platform refuses PRAGMA user_version, which would have cost nothing", async () => {
  await runInDurableObject(env.HOST.getByName("pragma"), (_, { storage: { sql } }) => {
    expect(() => sql.exec("PRAGMA user_version")).toThrow("not authorized")
  })
})
