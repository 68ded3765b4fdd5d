/** Our client behind proxies, portals and at wrong paths: its verdicts on ends that aren't the hub's. */
import type { Address } from "@signal-hub/actor-core"
import type { ConnectOptions, Hub, HubEvent } from "@signal-hub/cloudflare-transport/client"
import * as Schedule from "effect/Schedule"
import { afterEach, describe, expect, test, vi } from "vitest"
import { useHub } from "../support/hub.ts"
import { newAddress, reaches, useClients } from "../support/OwnClients.ts"
import { Proxy, type ProxyOptions } from "../support/Proxy.ts"

const hub = useHub()
const connect = useClients()

const proxies: Array<Proxy> = []
afterEach(async () => {
  await Promise.all(proxies.splice(0).map((proxy) => proxy.close()))
})
const proxyOf = async (options?: ProxyOptions): Promise<Proxy> => {
  const proxy = await Proxy.start(new URL(hub.url()).origin, options)
  proxies.push(proxy)
  return proxy
}

const heardBy = (client: Hub): Array<unknown> => {
  const heard: Array<unknown> = []
  client.onMessage(({ payload }) => void heard.push(payload))
  return heard
}

describe.each([
  ["hub", "/ws"],
  ["gateway", "/gateway"],
] as const)("at a %s", (_, path) => {
  const dial = (identity: Address.Address, origin?: string, options: ConnectOptions = {}): Promise<Hub> =>
    connect(`${origin ?? new URL(hub.url()).origin}${path}`, {
      identity,
      schedule: Schedule.spaced(50),
      ...options,
    })

  test("fault 54: a proxy that ends an idle connection with 1000 costs nobody a message", async () => {
    const [ada, bob] = [newAddress("ada"), newAddress("bob")]
    const heard = heardBy(await dial(bob))
    const proxy = await proxyOf()
    const client = await dial(ada, proxy.origin)
    const { sessionId } = client
    for (let n = 0; n < 3; n++) {
      const lost = reaches(client, "reconnecting")
      proxy.endAll(1000, "idle timeout")
      expect(await lost).toMatchObject({ code: 1000, cause: "idle timeout" })
      await client.tell(bob, "n", n, { until: "acknowledged" })
      await reaches(client, "connected")
    }
    await expect.poll(() => heard).toEqual([0, 1, 2])
    expect(client.sessionId).toBe(sessionId)
  })

  test.each(["json", "msgpack"] as const)(
    "fault 53: by %s, a message that a proxy refuses is told, and what is behind it arrives",
    async (codec) => {
      const [ada, bob, eve] = [newAddress("ada"), newAddress("bob"), newAddress("eve")]
      const heard = heardBy(await dial(bob))
      const proxy = await proxyOf({ judge: ({ length }) => (length > 100_000 ? 1009 : undefined) })
      const client = await dial(ada, proxy.origin, { codec })
      const errors: Array<HubEvent> = []
      client.onEvent((event) => void errors.push(event))
      const other = await dial(eve)
      await client.tell(bob, "n", 1, { until: "acknowledged" })
      await client.tell(bob, "n", "x".repeat(200_000), { reliable: true })
      await client.tell(bob, "n", 2, { reliable: true })
      const refused = client.tell(bob, "n", "y".repeat(200_000), { until: "acknowledged" })
      const behind = client.tell(bob, "n", 3, { until: "acknowledged" })
      await expect(refused).rejects.toMatchObject({ _tag: "TransportError", reason: "undeliverable" })
      await behind
      await other.tell(bob, "n", "beside", { until: "acknowledged" })
      await expect.poll(() => heard).toEqual([1, 2, 3, "beside"])
      expect(errors).toMatchObject([{ type: "hub:error", payload: { code: "undeliverable" } }])
      expect(proxy.codes).toEqual(Array.from({ length: 8 }, () => 1009))
    },
  )

  test("fault 53: a proxy that refuses large frames gets smaller ones, and all of it arrives", async () => {
    const [ada, bob] = [newAddress("ada"), newAddress("bob")]
    const heard = heardBy(await dial(bob))
    const proxy = await proxyOf({ judge: ({ length }) => (length > 64_000 ? 1009 : undefined) })
    const client = await dial(ada, proxy.origin)
    const telling = Array.from({ length: 20 }, (_, n) =>
      client.tell(bob, "n", `${n} ${"x".repeat(10_000)}`, { until: "acknowledged" }),
    )
    await Promise.all(telling)
    await expect.poll(() => heard.length, { timeout: 20_000 }).toBe(20)
    expect(heard.map((payload) => Number.parseInt(String(payload)))).toEqual([...Array(20).keys()])
    expect(proxy.codes.length).toBeLessThan(5)
  })

  test("fault 56: a slash at the end of the path changes nothing", async () => {
    const [ada, bob] = [newAddress("ada"), newAddress("bob")]
    const heard = heardBy(await dial(bob))
    const client = await connect(`${new URL(hub.url()).origin}${path}/`, { identity: ada })
    await client.tell(bob, "n", 1, { until: "acknowledged" })
    await expect.poll(() => heard).toEqual([1])
  })

  test("fault 56: a URL object connects, and one with a fragment says what is wrong", async () => {
    const url = new URL(`${new URL(hub.url()).origin}${path}`)
    const identity = newAddress("ada")
    expect((await connect(url, { identity })).identity).toBe(identity)
    url.hash = "top"
    await expect(connect(url, { identity })).rejects.toMatchObject({
      _tag: "ConnectFailed",
      message: expect.stringMatching(/"#top".*fragment/),
    })
  })

  test.each(["json", "msgpack"] as const)(
    "fault 56: a proxy that drops the subprotocol of %s is named as what may be wrong",
    async (codec) => {
      const proxy = await proxyOf({ dropsSubprotocol: true })
      await expect(dial(newAddress("ada"), proxy.origin, { codec })).rejects.toMatchObject({
        _tag: "ConnectFailed",
        message: expect.stringContaining("Sec-WebSocket-Protocol"),
      })
    },
  )
})

test.each([
  ["a captive portal", { page: "<html>pay here</html>" }],
  ["a wrong path", {}],
] as const)("fault 56: %s is logged while the first connect goes on", async (_, options) => {
  const proxy = await proxyOf(options)
  const lines: Array<string> = []
  const spy = vi.spyOn(console, "log").mockImplementation((...line: ReadonlyArray<unknown>) => {
    lines.push(line.map(String).join(" "))
  })
  const giveUp = new AbortController()
  const connecting = connect(`${proxy.origin}/wrong?key=s3cret`, {
    identity: newAddress("ada"),
    schedule: Schedule.spaced(10),
    waitOnFirstConnect: true,
    signal: giveUp.signal,
  })
  const rejected = expect(connecting).rejects.toThrow("enough")
  try {
    await expect.poll(() => lines.length).toBeGreaterThanOrEqual(3)
  } finally {
    spy.mockRestore()
    giveUp.abort(new Error("enough"))
    await rejected
  }
  expect(lines.join("\n")).not.toContain("s3cret")
  for (const [index, attempts] of [1, 2, 4].entries()) {
    expect(lines[index]).toMatch(new RegExp(`after ${attempts} attempt.*captive portal`))
    expect(lines[index]).toContain(`${proxy.origin}/wrong`)
  }
})

test("fault 56: /ws/room and /ws/room/ are one hub", async () => {
  const [ada, bob] = [newAddress("ada"), newAddress("bob")]
  const heard = heardBy(await connect(hub.url("room-1"), { identity: bob }))
  const client = await connect(`${hub.url("room-1")}/`, { identity: ada })
  await client.tell(bob, "n", 1, { until: "acknowledged" })
  await expect.poll(() => heard).toEqual([1])
})
