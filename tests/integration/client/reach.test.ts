/** Our client and durable actors, by one routing table: at gateways, and in the hub that the table names. */
import type { Address } from "@signal-hub/actor-core"
import { describe, expect, test } from "vitest"
import { Greeter, greeter } from "../support/Greeter.ts"
import { UNHURRIED, useHub } from "../support/hub.ts"
import { Ledger } from "../support/Ledger.ts"
import { unique } from "../support/names.ts"
import { useClients } from "../support/OwnClients.ts"

const hub = useHub({ limits: { ...UNHURRIED, askVolatileFor: 20 } })
const connect = useClients()

const atGateway = async (codec: "json" | "msgpack" = "json") => {
  const identity: Address.Address = `@(member/${unique("m")})`
  return { identity, client: await connect(hub.url().replace(/\/ws$/, "/gateway"), { identity, codec }) }
}
const inHub = async () => {
  const identity: Address.Address = `@(lobby/${unique("l")})`
  return { identity, client: await connect(hub.url(), { identity }) }
}
const newLedger = () => {
  const name = unique("ledger")
  return { name, address: `@(ledger/${name})` as const }
}

describe.each([
  ["at a gateway", atGateway],
  ["in a hub", inHub],
] as const)("a client %s and a durable actor", (where, enter) => {
  /** Both sides lose their memory. */
  const evict = async (identity: string, name: string): Promise<void> => {
    const { evictObject } = hub.server()
    await Promise.all([
      where === "in a hub" ? evictObject("SignalHub", "default") : evictObject("SessionGateway", identity),
      evictObject("LedgerActor", name),
    ])
  }

  test("ask, tell, read a stream and watch one another, both evicted between the steps", async () => {
    const { client, identity } = await enter()
    const { address, name } = newLedger()
    const notes: Array<string> = []
    await client.serve(Greeter, greeter(notes))
    const actor = client.actor(Ledger, address)
    for (let n = 0; n < 20; n++) actor.tell("put", n)
    expect(await actor.ask("all", undefined)).toEqual(Array.from({ length: 20 }, (_, n) => n))
    await evict(identity, name)
    const read: Array<number> = []
    for await (const n of actor.stream("read", undefined)) read.push(n)
    expect(read).toEqual(Array.from({ length: 20 }, (_, n) => n))
    await evict(identity, name)
    expect(await actor.ask("introduce", { to: identity, name: "Ada" })).toBe("hello Ada")
    await evict(identity, name)
    actor.tell("notify", { to: identity, times: 50 })
    await expect.poll(() => notes.length).toBe(50)
    expect(notes).toEqual(Array.from({ length: 50 }, (_, n) => String(n + 1)))
    const watch = await client.watch(address)
    expect(watch.registered).toBe(true)
    await evict(identity, name)
    actor.tell("close", undefined)
    expect(await watch.terminated).toEqual({ actorAddress: address, reason: "unregistered" })
  })

  test("fault 5: an ask in flight survives the eviction of asker and answerer", async () => {
    const { client, identity } = await enter()
    const { address, name } = newLedger()
    const greeting = Promise.withResolvers<string>()
    const asked = Promise.withResolvers<void>()
    await client.serve(Greeter, {
      greet: () => {
        asked.resolve()
        return greeting.promise
      },
      note: () => {},
    })
    const answer = client.actor(Ledger, address).ask("introduce", { to: identity, name: "Ada" })
    await asked.promise
    await evict(identity, name)
    greeting.resolve("late, but hello")
    expect(await answer).toBe("late, but hello")
  })

  test("the actor hears that a client which it watches is gone", async () => {
    const [{ client, identity }, other] = [await enter(), await atGateway()]
    const { address, name } = newLedger()
    await client.serve(Greeter, greeter())
    const actor = other.client.actor(Ledger, address)
    await actor.ask("watch", identity)
    await evict(identity, name)
    await client.close()
    await expect.poll(() => actor.ask("all", undefined)).toEqual([-1])
  })
})

test("a client at a gateway asks one in a hub, and the other way", async () => {
  const [near, far] = [await atGateway("msgpack"), await inHub()]
  await far.client.serve(Greeter, greeter())
  expect(await near.client.actor(Greeter, far.identity).ask("greet", { name: "Ada" })).toBe("hello Ada")
})

test("fault 34: 10,000 sends over 50 targets keep their order while gateways and actors are evicted at random", async () => {
  const { client, identity } = await atGateway("msgpack")
  const ledgers = Array.from({ length: 25 }, newLedger)
  const came = new Map<string, Array<number>>()
  const greeters = await Promise.all(
    Array.from({ length: 25 }, async () => {
      const member = await atGateway("msgpack")
      const notes: Array<string> = []
      await member.client.serve(Greeter, greeter(notes))
      return { ...member, notes }
    }),
  )
  let seed = 42
  const random = (below: number): number => {
    seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648
    return Math.floor((seed / 2_147_483_648) * below)
  }
  const { evictObject } = hub.server()
  let evictions = 0
  /** A target's object, or with 50 the sender's gateway. */
  const evictOne = async (at: number): Promise<void> => {
    const evicted =
      at < 25
        ? await evictObject("LedgerActor", ledgers[at]!.name)
        : await evictObject("SessionGateway", greeters[at - 25]?.identity ?? identity)
    if (evicted) evictions++
  }
  let sent = 0
  while (sent < 10_000) {
    for (let n = 0; n < 400; n++) {
      const at = random(50)
      if (at < 25) client.actor(Ledger, ledgers[at]!.address).tell("put", sent++)
      else client.actor(Greeter, greeters[at - 25]!.identity).tell("note", { text: String(sent++) })
    }
    // While what was sent is on its way; an object goes when no call is under way in it.
    await Promise.all([evictOne(50), evictOne(random(50)), evictOne(random(50))])
  }
  const all = async (): Promise<number> => {
    for (const { address } of ledgers) {
      came.set(address, [...(await client.actor(Ledger, address).ask("all", undefined))])
    }
    for (const { identity, notes } of greeters) came.set(identity, notes.map(Number))
    return [...came.values()].reduce((sum, { length }) => sum + length, 0)
  }
  await expect.poll(all, { timeout: 20_000 }).toBe(10_000)
  for (const got of came.values()) expect(got).toEqual(got.toSorted((a, b) => a - b))
  expect(evictions).toBeGreaterThan(50)
}, 60_000)
