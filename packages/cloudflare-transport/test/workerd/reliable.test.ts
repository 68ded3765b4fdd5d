/** Reliable envelopes between gateways on the platform: real calls, real crashes, rows as they are billed. */
import {
  abortAllDurableObjects,
  evictAllDurableObjects,
  runDurableObjectAlarm,
  runInDurableObject,
} from "cloudflare:test"
import { env } from "cloudflare:workers"
import { expect, it } from "vitest"
import { HUB_ADDRESS } from "../../src/protocol/HubMessage.ts"
import type { HubEnv } from "../../src/object/HubEnv.ts"
import { batch, envelope, network, users } from "./durable/actors.ts"
import { type Came, SocketClient } from "./SocketClient.ts"
import worker from "./worker.ts"
import { countRows } from "./stored.ts"
import { eventually } from "../support/eventually.ts"

const gatewayOf = (identity: string) => env.SESSION_GATEWAY.getByName(identity)

const rows = (identity: string, table: string): Promise<number> =>
  runInDurableObject(gatewayOf(identity), (_, { storage }) => countRows(storage, table))

const open = (identity: string): Promise<SocketClient> => {
  const context = { waitUntil: () => {}, passThroughOnException: () => {}, props: {} }
  const handler = worker.fetch as (request: Request, env: HubEnv, context: unknown) => Promise<Response>
  return SocketClient.open(
    {
      fetch: (request) => handler(new Request(request, { headers: { Upgrade: "websocket" } }), env, context),
    },
    undefined,
    `https://hub.example/gateway?identity=${encodeURIComponent(identity)}`,
  )
}

type Fields = { readonly [field: string]: unknown }
type Numbered = Fields & { readonly seq: number }

/** A client that numbers what it sends, sends again what was not acknowledged, and acknowledges what it takes. */
class Party {
  readonly identity: string
  /** What came in its turn. */
  readonly came: Array<Came> = []
  #client: SocketClient | undefined
  #resume: { readonly sessionId: unknown; readonly resumeToken: unknown } | undefined
  #unacknowledged: Array<Numbered> = []
  #seq = 0
  #last = 0

  constructor(identity: string) {
    this.identity = identity
  }

  async connect(): Promise<this> {
    const client = await open(this.identity)
    const resume = this.#resume === undefined ? {} : { resume: { ...this.#resume, lastSeq: this.#last } }
    const metadata = { protocolVersion: "1.0.0", sessionExpirySeconds: 600, ...resume }
    client.send({ type: "hub:connect", pattern: "ask", metadata })
    const [answer, ...rest] = await frame(client)
    expect(answer).toMatchObject({ type: "hub:connected" })
    const { sessionId, session } = answer!.payload
    const { inSeq, resumeToken, resumed } = session as Fields
    expect(resumed).toBe(this.#resume !== undefined)
    this.#resume = { sessionId, resumeToken }
    this.#client = client
    this.#acknowledged(Number(inSeq))
    if (this.#unacknowledged.length > 0) client.sendAll(this.#unacknowledged)
    for (const one of rest) this.#take(one)
    void this.#listen(client)
    return this
  }

  /** Sends each reliably, in one frame. */
  send(...all: ReadonlyArray<Fields>): void {
    const numbered: Array<Numbered> = []
    for (const fields of all) {
      const seq = ++this.#seq
      numbered.push({ id: `${this.identity} ${seq}`, ...fields, seq })
    }
    this.#unacknowledged.push(...numbered)
    this.#client?.sendAll(numbered)
  }

  /** What came of this type. */
  of(type: string): ReadonlyArray<Came> {
    return this.came.filter((one) => one.type === type)
  }

  async #listen(client: SocketClient): Promise<void> {
    while (this.#client === client) for (const one of await frame(client)) this.#take(one)
  }

  #take(envelope: Came): void {
    if (envelope.type === "hub:ack") return this.#acknowledged(Number(envelope.payload.through))
    if (envelope.seq === undefined || Number(envelope.seq) <= this.#last) return
    expect(envelope.seq).toBe(this.#last + 1)
    this.#last++
    this.came.push(envelope)
    this.#client?.send({ type: "hub:ack", payload: { through: this.#last, bytes: 0 } })
    // Whatever is asked is answered.
    if (envelope.pattern === "ask") {
      this.send({ to: envelope.from, type: "answer", payload: envelope.payload, correlationId: envelope.id })
    }
  }

  #acknowledged(through: number): void {
    this.#unacknowledged = this.#unacknowledged.filter(({ seq }) => seq > through)
  }
}

const frame = async (client: SocketClient): Promise<ReadonlyArray<Came>> =>
  [JSON.parse(String(await client.frame()))].flat()

const payloads = (came: ReadonlyArray<Came>): ReadonlyArray<unknown> => came.map(({ payload }) => payload)

it("faults 5, 14, 34, 42: tells and asks arrive once and in order while objects crash and are evicted", async () => {
  const [ada, bob] = [new Party("@(user/sure-ada)"), new Party("@(user/sure-bob)")]
  await Promise.all([ada.connect(), bob.connect()])
  const numbers = Array.from({ length: 120 }, (_, n) => n)
  for (const n of numbers) {
    ada.send(
      { to: bob.identity, type: "note", payload: n },
      { to: bob.identity, type: "question", pattern: "ask", payload: n, ttl: 120_000 },
    )
    if (n % 7 === 0) bob.send({ to: ada.identity, type: "note", payload: n })
    if (n % 5 === 0) await eventually(() => expect(bob.of("note").length).toBeGreaterThan(n / 2))
    if (n % 30 === 10) await evictAllDurableObjects()
    if (n % 30 === 20) {
      await abortAllDurableObjects()
      await Promise.all([ada.connect(), bob.connect()])
    }
  }
  await eventually(() => expect(ada.of("answer")).toHaveLength(numbers.length), 40_000)
  expect(payloads(bob.of("note"))).toEqual(numbers)
  expect(payloads(bob.of("question"))).toEqual(numbers)
  expect(payloads(ada.of("answer")).toSorted((a, b) => Number(a) - Number(b))).toEqual(numbers)
  expect(payloads(ada.of("note"))).toEqual(numbers.filter((n) => n % 7 === 0))
  for (const { identity } of [ada, bob]) {
    for (const table of ["sending", "ask", "outbox"]) {
      await eventually(async () => expect(await rows(identity, table), `${table} of ${identity}`).toBe(0))
    }
  }
}, 90_000)

it("fault 42: a durable actor does once what a client tells it reliably, while all objects crash", async () => {
  const account = "@(account/sure)"
  const ada = await new Party("@(user/depositor)").connect()
  const numbers = Array.from({ length: 60 }, (_, n) => n)
  for (const n of numbers) {
    ada.send({ to: account, type: "deposit", payload: 1 })
    if (n % 20 === 5) await evictAllDurableObjects()
    if (n % 20 === 15) {
      await abortAllDurableObjects()
      await ada.connect()
    }
  }
  ada.send({ to: account, type: "balance", pattern: "ask", payload: null, ttl: 60_000 })
  await eventually(() => expect(ada.of("actor:reply")).toHaveLength(1), 20_000)
  expect(payloads(ada.of("actor:reply"))).toEqual([numbers.length])
}, 60_000)

it("fault 42: a client gets once what a durable actor tells it again, as it did not hear of the first time", async () => {
  // The buyer of this name tells the account of this name, which is a client here.
  const account = "@(account/client)"
  const gateway = () => env.SESSION_GATEWAY.getByName(account)
  const client = await SocketClient.open({ fetch: (request) => gateway().fetch(request) })
  await client.connect(undefined, { protocolVersion: "1.0.0" })
  users.set(account, {
    deliver: (sent) => gateway().deliver(sent),
    watch: () => Promise.resolve(false),
    unwatch: () => Promise.resolve(),
  })
  const buyer = env.BUYER.getByName("client")
  network.calls = 0
  network.losesResult = 0
  await buyer.deliver(
    batch(envelope("@(buyer/client)", "pay", { amount: 7, times: 3, fails: false }, { seq: 1 })),
  )
  await eventually(() =>
    runInDurableObject(buyer, async (_, { storage }) => {
      expect(
        storage.sql.exec("UPDATE actor_outbox SET due_at = 0 WHERE attempts = 1").rowsWritten,
      ).toBeGreaterThan(0)
      await storage.setAlarm(Date.now() + 60_000)
    }),
  )
  await runDurableObjectAlarm(buyer)
  await eventually(() => expect(network.calls).toBe(2))
  network.losesResult = -1
  await buyer.deliver(
    batch(envelope("@(buyer/client)", "pay", { amount: 8, times: 1, fails: false }, { seq: 2 })),
  )
  const came: Array<unknown> = []
  while (came.at(-1) !== 8) {
    for (const one of await frame(client)) if (one.type === "deposit") came.push(one.payload)
  }
  expect(came).toEqual([7, 7, 7, 8])
  users.delete(account)
})

/** Counts what a gateway writes from now on, as it is billed. Gives the rows since it was last asked. */
const counting = async (identity: string): Promise<() => Promise<number>> => {
  let cursors: Array<{ readonly rowsWritten: number }> = []
  await runInDurableObject(gatewayOf(identity), (_, { storage: { sql } }) => {
    const exec = sql.exec.bind(sql)
    sql.exec = <T extends Record<string, SqlStorageValue>>(query: string, ...bindings: Array<unknown>) => {
      const cursor = exec<T>(query, ...bindings)
      cursors.push(cursor)
      return cursor
    }
  })
  return () =>
    runInDurableObject(gatewayOf(identity), () => {
      const written = cursors.reduce((sum, { rowsWritten }) => sum + rowsWritten, 0)
      cursors = []
      return written
    })
}

it("a reliable tell writes 3 rows where it is sent and 2 where it comes, however many travel together; an ask 6 and 7 with its answer", async () => {
  const [ada, bob] = ["@(user/rows-ada)", "@(user/rows-bob)"]
  const [a, b] = [await open(ada), await open(bob)]
  for (const client of [a, b]) await client.connect(undefined, { protocolVersion: "1.0.0" })
  const [here, there] = [await counting(ada), await counting(bob)]
  let seq = 0
  let answers = 0
  const note = () => ({ to: bob, seq: ++seq, type: "note" })
  const came = async (client: SocketClient, type: string): Promise<Came> => {
    for (;;) for (const one of await frame(client)) if (one.type === type) return one
  }
  const settled = async (): Promise<void> =>
    eventually(async () => expect(await rows(ada, "sending")).toBe(0))
  const acknowledge = (client: SocketClient, through: number): string =>
    client.send({ to: HUB_ADDRESS, type: "hub:ack", payload: { through, bytes: 0 } })

  const written = async () => {
    a.send(note())
    await came(b, "note")
    await settled()
    const one = [await here(), await there()]
    a.sendAll([note(), note(), note(), note(), note(), note(), note(), note()])
    await came(b, "note")
    await settled()
    const eight = [await here(), await there()]
    acknowledge(b, seq)
    await eventually(async () => expect(await rows(bob, "outbox")).toBe(0))
    await there()

    const id = a.send({ ...note(), type: "question", pattern: "ask" })
    const question = await came(b, "question")
    b.send({ to: question.from, seq: ++answers, type: "answer", correlationId: id })
    await came(a, "answer")
    await settled()
    await eventually(async () => expect(await rows(bob, "sending")).toBe(0))
    return { one, eight, ask: [await here(), await there()] }
  }
  // The first of each makes tables, and reserves numbers.
  expect(await written()).toEqual({ one: [4 + 4, 4 + 2], eight: [3, 2], ask: [4 + 6, 6 + 8] })
  // Each ask is a row at both.
  expect(await written()).toEqual({ one: [3, 2], eight: [3, 2], ask: [6, 7] })
})

it("fault 14: what was under way in a crash is sent again when the gateway next wakes, long before its alarm", async () => {
  const [ada, room] = ["@(user/crashed)", "hangs"]
  const client = await open(ada)
  await client.connect(undefined, { protocolVersion: "1.0.0" })
  const came = () => runInDurableObject(env.ROOM.getByName(room), (object) => object.came.length)
  client.send({ to: `@(room/${room})`, seq: 1, type: "hang" })
  await eventually(async () => expect(await came()).toBe(1))
  await abortAllDurableObjects()
  expect(await came()).toBe(0)
  await gatewayOf(ada).hasSession()
  await eventually(async () => expect(await came()).toBe(1))
})
