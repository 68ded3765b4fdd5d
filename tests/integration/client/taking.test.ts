/**
 * Programs that serve their actors late, at a hub and at gateways: what waited for them is there, also for the
 * process that comes after one that was killed.
 */
import { type ChildProcess, fork } from "node:child_process"
import { once } from "node:events"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Address, AskError } from "@signal-hub/actor-core"
import type { ConnectOptions, Hub } from "@signal-hub/cloudflare-transport/client"
import * as Schedule from "effect/Schedule"
import { describe, expect, onTestFinished, test } from "vitest"
import { UNHURRIED, useHub } from "../support/hub.ts"
import { Kitchen } from "../support/Kitchen.ts"
import { newAddress, useClients } from "../support/OwnClients.ts"

const hub = useHub({ limits: UNHURRIED })
const connect = useClients()

/** What a process of the kitchen is started with. */
interface How {
  readonly api: "promise" | "effect"
  readonly at: Address.Address
  readonly serves: boolean
  readonly file?: string
}

/** A process of the program that serves the kitchen, and the orders that it was given. */
const start = async (url: string, how: How) => {
  const orders: Array<number> = []
  const child: ChildProcess = fork(join(import.meta.dirname, "../support/kitchenProcess.ts"), {
    env: { ...process.env, KITCHEN: JSON.stringify({ url, ...how }) },
  })
  const ready = Promise.withResolvers<void>()
  child.on(
    "message",
    (message: { readonly order?: number; readonly isReady?: true; readonly error?: string }) => {
      if (message.order !== undefined) orders.push(message.order)
      else if (message.isReady) ready.resolve()
      else ready.reject(new Error(message.error))
    },
  )
  /** Ends it as a crash does. */
  const kill = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill("SIGKILL")
    await once(child, "exit")
  }
  onTestFinished(kill)
  await ready.promise
  return { orders, kill }
}

describe.each(["hub", "gateway"] as const)("at a %s", (topology) => {
  const urlOf = (): string => (topology === "hub" ? hub.url() : hub.url().replace(/\/ws$/, "/gateway"))
  const dial = (identity: Address.Address, options: ConnectOptions = {}): Promise<Hub> =>
    connect(urlOf(), { identity, schedule: Schedule.spaced(50), ...options })

  test.each([
    { api: "promise", isStored: true },
    { api: "promise", isStored: false },
    { api: "effect", isStored: true },
    { api: "effect", isStored: false },
  ] as const)(
    "fault 78: a program that is killed serves what was told, and answers what was asked, while it was gone ($api, stored: $isStored)",
    { timeout: 60_000 },
    async ({ api, isStored }) => {
      const folder = await mkdtemp(join(tmpdir(), "signal-hub-taking-"))
      onTestFinished(() => rm(folder, { recursive: true, force: true }))
      const at = newAddress("kitchen")
      const how: How = { api, at, serves: true, ...(isStored && { file: join(folder, "session") }) }
      const waiter = await dial(newAddress("waiter"))
      const kitchen = waiter.actor(Kitchen, at)
      const order = (n: number): Promise<void> => waiter.tell(at, "order", n, { until: "acknowledged" })
      // An innocent pair beside it.
      const [other, guest] = [newAddress("bar"), await dial(newAddress("guest"))]
      const drinks: Array<number> = []
      const bar = await dial(other)
      await bar.serve(Kitchen, { order: (n) => void drinks.push(n), left: () => drinks.length })

      const first = await start(urlOf(), how)
      await order(1)
      await expect.poll(() => first.orders).toEqual([1])
      await first.kill()
      for (const n of [2, 3]) await order(n)
      const left = kitchen.ask("left", null)
      for (const n of [4, 5]) await order(n)
      await guest.tell(other, "order", 1, { until: "acknowledged" })

      // It is killed again before it serves: nothing of it was taken.
      const second = await start(urlOf(), { ...how, serves: false })
      await order(6)
      await second.kill()

      const third = await start(urlOf(), how)
      await order(7)
      // What was taken last before the first was killed may come again, as its receipt may have been lost.
      await expect.poll(() => third.orders.filter((n) => n > 1)).toEqual([2, 3, 4, 5, 6, 7])
      // The first ask loads the actor system: what is told meanwhile may leave before it.
      const answered = await left
      expect(answered).toBeGreaterThanOrEqual(2)
      expect(answered).toBeLessThanOrEqual(7)
      await guest.tell(other, "order", 2, { until: "acknowledged" })
      await expect.poll(() => drinks).toEqual([1, 2])
    },
  )

  test("fault 78: an address at which nothing is served holds back no other, over a lost connection", async () => {
    const [me, also] = [newAddress("kitchen"), newAddress("bar")]
    const cook = await dial(me)
    const waiter = await dial(newAddress("waiter"))
    const drinks: Array<number> = []
    await cook.serve(Kitchen, { order: (n) => void drinks.push(n), left: () => 0 }, { address: also })
    const tell = (to: Address.Address, n: number): Promise<void> =>
      waiter.tell(to, "order", n, { until: "acknowledged" })
    await tell(me, 1)
    await tell(also, 2)
    await expect.poll(() => drinks).toEqual([2])
    const evicted =
      topology === "hub"
        ? hub.server().evict("default", "close")
        : hub.server().evictObject("SessionGateway", me, "close")
    await evicted
    await tell(also, 3)
    await tell(me, 4)
    await expect.poll(() => drinks).toEqual([2, 3])
    const orders: Array<number> = []
    await cook.serve(Kitchen, { order: (n) => void orders.push(n), left: () => 0 })
    await expect.poll(() => orders).toEqual([1, 4])
    expect(drinks).toEqual([2, 3])
  })

  test("fault 78: what nobody serves in time is told to who asks, and to the program", async () => {
    const me = newAddress("kitchen")
    const cook = await dial(me, { unclaimedTimeout: 300 })
    const given: Array<unknown> = []
    cook.onSession((event) => {
      if (event.type === "unclaimed") given.push([event.envelope.type, event.reason])
    })
    const waiter = await dial(newAddress("waiter"))
    await waiter.tell(me, "order", 1, { until: "acknowledged" })
    const error: unknown = await waiter
      .actor(Kitchen, me)
      .ask("left", null)
      .catch((failure: unknown) => failure)
    expect(error).toBeInstanceOf(AskError.ActorFailed)
    expect(error).toMatchObject({ code: "unclaimed", retryable: true })
    expect(given).toEqual([
      ["order", "timeout"],
      ["left", "timeout"],
    ])
    const orders: Array<number> = []
    await cook.serve(Kitchen, { order: (n) => void orders.push(n), left: () => 7 })
    await waiter.tell(me, "order", 2, { until: "acknowledged" })
    expect(await waiter.actor(Kitchen, me).ask("left", null)).toBe(7)
    expect(orders).toEqual([2])
  })
})
