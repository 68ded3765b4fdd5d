/** What is stored meets code of other versions than its own: older, newer, and what is between. */
import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test"
import type { Address } from "@signal-hub/actor-core"
import { env } from "cloudflare:workers"
import { afterEach, describe, expect, it, vi } from "vitest"
import type { Directory } from "../../src/directory/Directory.ts"
import type { TopicHub } from "../../src/topics/TopicHub.ts"
import { ask, tell } from "./durable/talk.ts"
import { SocketClient } from "./SocketClient.ts"
import { deployed } from "./upgrading.ts"
import { eventually } from "../support/eventually.ts"

const HOUR = 3_600_000
const USER: Address.Address = "@(user/ada)"

interface Kind {
  readonly name: string
  readonly stub: DurableObjectStub<undefined>
  /** The table that the steps change. */
  readonly table: string
  /** Stores something, or writes it again; gives what is served then. Throws where it is rejected. */
  readonly use: () => Promise<unknown>
  /** What is thrown where it is rejected. */
  readonly rejection: RegExp
}

const connectTo = (stub: { fetch(request: Request): Promise<Response> }) => async () => {
  const client = await SocketClient.open(stub)
  const id = client.send({
    type: "hub:connect",
    pattern: "ask",
    metadata: { protocolVersion: "1.0.0", actorIdentity: USER, sessionExpirySeconds: 600 },
  })
  const answer = await client.came()
  if (answer.correlationId === id) return answer.type
  throw new Error(
    `${answer.type} ${answer.payload.code} ${answer.payload.retryable} ${(await client.closed).code}`,
  )
}

const SOCKETS = /^hub:error internal_error true 4503$/
const CALLS = /^storage_rejected: /

const hub = env.UPGRADING_HUB.getByName("upgrades")
const gateway = env.UPGRADING_GATEWAY.getByName(USER)
const topic = env.UPGRADING_TOPIC.getByName("upgrades")
const directory = env.UPGRADING_DIRECTORY.getByName("upgrades")
const account = { address: "@(account/upgrades)", stub: env.UPGRADING_ACCOUNT.getByName("upgrades") } as const

const entry = {
  address: "@(user/ada-2)",
  actorAddress: "@(user/ada-2)",
  capabilities: [],
  metadata: {},
  registeredAt: 1,
  expiresAt: Date.now() + HOUR,
  version: 1,
} as const

const KINDS: ReadonlyArray<Kind> = [
  { name: "hub", stub: hub, table: "identity", use: connectTo(hub), rejection: SOCKETS },
  { name: "gateway", stub: gateway, table: "identity", use: connectTo(gateway), rejection: SOCKETS },
  {
    name: "topic",
    stub: topic,
    table: "member",
    use: async () => {
      const calls = topic as unknown as TopicHub
      await calls.apply([{ do: "join", member: { owner: USER, presence: true, metadata: {} } }])
      return (await calls.members("", 10)).members.length
    },
    rejection: CALLS,
  },
  {
    name: "directory",
    stub: directory,
    table: "entry",
    use: async () => {
      const calls = directory as unknown as Directory
      await calls.claim(entry, USER)
      return calls.holder(entry.address)
    },
    rejection: CALLS,
  },
  {
    name: "durable actor",
    stub: account.stub,
    table: "actor_snapshot",
    use: async () => {
      await tell(account, "deposit", 1, { from: "@(user/teller)" })
      return (await ask(account, "balance")).status
    },
    rejection: CALLS,
  },
]

/** The code of the object is of this version from now on. */
const deploy = async (stub: DurableObjectStub<undefined>, version: number): Promise<void> => {
  await runInDurableObject(stub, () => {})
  deployed.version = version
  await evictDurableObject(stub)
}

/** All that is stored, by tables, with the statements that made them. */
const dump = (stub: DurableObjectStub<undefined>) =>
  runInDurableObject(stub, (_, { storage: { sql } }) => {
    const made = sql.exec<{ name: string; sql: string; type: string }>(
      "SELECT name, sql, type FROM sqlite_master WHERE name NOT LIKE '\\_cf\\_%' ESCAPE '\\'",
    )
    return made.toArray().map(({ name, sql: made, type }) => {
      const isRead = type === "table" && !name.startsWith("sqlite_")
      return { name, made, rows: isRead ? sql.exec(`SELECT * FROM ${name}`).toArray() : [] }
    })
  })

const notes = (stub: DurableObjectStub<undefined>, table: string) =>
  runInDurableObject(stub, (_, { storage: { sql } }) =>
    sql
      .exec<{ note: string }>(`SELECT note FROM ${table}`)
      .toArray()
      .map(({ note }) => note),
  )

const marks = (stub: DurableObjectStub<undefined>) =>
  runInDurableObject(stub, (_, { storage: { sql } }) =>
    sql
      .exec<{ name: string }>("SELECT name FROM sqlite_master WHERE type = 'view'")
      .toArray()
      .flatMap(({ name }) => sql.exec(`SELECT * FROM ${name}`).toArray()),
  )

const logged = () => {
  const lines = vi.spyOn(console, "error").mockImplementation(() => {})
  return () =>
    lines.mock.calls
      .map(([line]) => JSON.parse(String(line)) as { readonly event: string })
      .filter(({ event }) => event === "storage_rejected")
}

afterEach(() => {
  Object.assign(deployed, { version: 1, fails: false })
  vi.restoreAllMocks()
})

describe.each(KINDS)("the storage of a $name", ({ rejection, stub, table, use }) => {
  it("fault 76: is upgraded step by step, read by what is between, and loses nothing to older code", async () => {
    const log = logged()
    await deploy(stub, 1)
    const served = await use()
    expect(await marks(stub)).toEqual([])

    // A step of its own, which older code can leave alone.
    await deploy(stub, 2)
    expect(await use()).toEqual(served)
    expect(await notes(stub, table)).toEqual(["two"])
    expect(await marks(stub)).toEqual([{ version: 2, readable_from: 1 }])

    // Older code serves it, and what it writes again keeps what it does not know.
    await runInDurableObject(stub, (_, { storage: { sql } }) => sql.exec(`UPDATE ${table} SET note = 'kept'`))
    await deploy(stub, 1)
    expect(await use()).toEqual(served)
    expect(await notes(stub, table)).toEqual(["kept"])
    expect(await marks(stub)).toEqual([{ version: 2, readable_from: 1 }])

    // A step that fails leaves all as it was.
    await runInDurableObject(stub, (_, { storage }) => storage.setAlarm(Date.now() + HOUR))
    deployed.fails = true
    await deploy(stub, 3)
    const before = await dump(stub)
    await expect(use()).rejects.toThrow(rejection)
    expect(await dump(stub)).toEqual(before)
    expect(log()).toMatchObject([
      { reason: "upgrade_failed", stored: 2, code: 3, error: "Error: the disk is full" },
    ])
    deployed.fails = false
    await deploy(stub, 3)
    expect(await use()).toEqual(served)
    expect(await notes(stub, table)).toEqual(["kept, three"])
    expect(await marks(stub)).toEqual([{ version: 3, readable_from: 3 }])

    // Older code can't read it: it says so, and touches nothing.
    await runInDurableObject(stub, (_, { storage }) => storage.setAlarm(Date.now() + HOUR))
    await deploy(stub, 2)
    const newer = await dump(stub)
    await expect(use()).rejects.toThrow(rejection)
    await expect(use()).rejects.toThrow(rejection)
    expect(log().slice(1)).toMatchObject([{ reason: "newer", stored: 3, readableFrom: 3, code: 2 }])
    expect(await runDurableObjectAlarm(stub)).toBe(true)
    const alarm = await runInDurableObject(stub, (_, { storage }) => storage.getAlarm())
    expect(alarm).toBeGreaterThan(Date.now() + 60_000)
    expect(await dump(stub)).toEqual(newer)

    await deploy(stub, 3)
    expect(await use()).toEqual(served)
    expect(await notes(stub, table)).toEqual(["kept, three"])
  })
})

it("fault 76: storage of version 1 is upgraded by all the steps that it lacks at once", async () => {
  const stub = env.UPGRADING_HUB.getByName("at-once")
  const connect = connectTo(stub)
  await connect()
  deployed.fails = true
  await deploy(stub, 3)
  const before = await dump(stub)
  logged()
  await expect(connect()).rejects.toThrow(SOCKETS)
  expect(await dump(stub)).toEqual(before)
  deployed.fails = false
  expect(await connect()).toBe("hub:connected")
  expect(await notes(stub, "identity")).toEqual(["two, three"])
})

it.each([
  ["hub", env.UPGRADING_HUB.getByName("asleep")],
  ["gateway", env.UPGRADING_GATEWAY.getByName("@(user/asleep)")],
])(
  "fault 76: the frame of a socket that slept through an upgrade wakes no older code of a %s",
  async (kind, stub) => {
    const log = logged()
    await deploy(stub, 2)
    const client = await SocketClient.open(stub)
    expect((await client.connect("@(user/asleep)")).type).toBe("hub:connected")
    let other = client
    if (kind === "hub") {
      other = await SocketClient.open(stub)
      await other.connect("@(user/awake)")
    }
    // Newer code is woken by another event, and upgrades what is stored.
    await deploy(stub, 3)
    await runInDurableObject(stub, (object) => object.alarm())
    await deploy(stub, 2)
    const before = await dump(stub)
    client.send({ type: "hub:heartbeat", payload: { timestamp: 1 } })
    expect(await client.came()).toMatchObject({ type: "hub:error", payload: { retryable: true } })
    expect((await client.closed).code).toBe(4503)
    // Nobody who is there waits for what does not come.
    expect((await other.closed).code).toBe(4503)
    expect(log()).toHaveLength(1)
    expect(await dump(stub)).toEqual(before)
  },
)

it("fault 76: a gateway in which older code finds nobody keeps what newer code stored beside it", async () => {
  const identity = "@(user/beside)"
  const stub = env.UPGRADING_GATEWAY.getByName(identity)
  await deploy(stub, 2)
  const client = await SocketClient.open(stub)
  expect((await client.connect(identity, { sessionExpirySeconds: 0 })).type).toBe("hub:connected")
  await runInDurableObject(stub, (_, { storage: { sql } }) => {
    sql.exec("CREATE TABLE scroll (a INTEGER)")
    sql.exec("INSERT INTO scroll (a) VALUES (7)")
  })
  await deploy(stub, 1)
  expect((await client.request("hub:disconnect")).type).toBe("hub:disconnect")
  client.close(1000)
  await eventually(async () => {
    const tables = await dump(stub)
    expect(tables.find(({ name }) => name === "identity")?.rows).toEqual([])
    expect(tables.find(({ name }) => name === "scroll")?.rows).toEqual([{ a: 7 }])
  })
})

it("fault 76: what newer code keeps with a socket stays there when older code writes that anew", async () => {
  const stub = env.UPGRADING_HUB.getByName("attachments")
  const client = await SocketClient.open(stub)
  expect((await client.connect("@(user/attached)")).type).toBe("hub:connected")
  const attached = (more: object) =>
    runInDurableObject(stub, (_, state) => {
      const [socket] = state.getWebSockets()
      const found = socket!.deserializeAttachment() as { readonly color?: string; readonly heardAt: number }
      socket!.serializeAttachment({ ...found, ...more })
      return found
    })
  const before = await attached({ color: "red", heardAt: 0 })
  await evictDurableObject(stub)
  expect((await client.request("hub:heartbeat", { timestamp: 1 })).type).toBe("hub:heartbeat_ack")
  const after = await attached({})
  expect([before.color, after.color]).toEqual([undefined, "red"])
  expect(after.heardAt).toBeGreaterThan(0)
})
