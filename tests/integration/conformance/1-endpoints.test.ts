/** protocol.md, section 1: endpoints. */
import { afterEach, describe, expect, test } from "vitest"
import { fieldsOf, RawClient, UpgradeRefused, envelope } from "../support/RawClient.ts"
import { unique } from "../support/names.ts"
import { expectError } from "../support/expectations.ts"
import { useHub } from "../support/hub.ts"

const hub = useHub()

/** Sockets of these tests, which lead to hubs whatever the others connect to. */
const clients: Array<RawClient> = []
afterEach(() => {
  for (const client of clients.splice(0)) client.terminate()
})
const kept = (client: RawClient): RawClient => {
  clients.push(client)
  return client
}
const openAt = async (url: string): Promise<RawClient> => kept(await RawClient.open(url))
const connectTo = async (url: string): Promise<RawClient> => kept(await RawClient.connect(url))

describe("GET /health", () => {
  test("answers 200 with status, service, version and timestamp as JSON", async () => {
    const response = await fetch(hub.http("/health"))
    expect(response.status).toBe(200)
    expect(response.headers.get("content-type")).toMatch(/^application\/json/)
    const health = fieldsOf(await response.json())
    expect(health).toMatchObject({
      status: "ok",
      service: expect.stringMatching(/./),
      version: expect.stringMatching(/^\d+\.\d+\.\d+/),
    })
    // A number or an ISO date: both are timestamps.
    expect(new Date(health.timestamp as string | number).getTime()).toBeGreaterThan(1_700_000_000_000)
  })
})

describe("GET /ws", () => {
  test("without an upgrade it answers 426", async () => {
    const response = await fetch(hub.http("/ws"))
    await response.body?.cancel()
    expect(response.status).toBe(426)
  })

  test("with an upgrade it leads to the hub named default, and / leads there too", async () => {
    const ada = await connectTo(hub.url())
    const root = hub.url().replace(/\/ws$/, "/")
    const bob = await RawClient.connect(root)
    try {
      await bob.send(envelope({ type: "hello", to: ada.identity }))
      expect((await ada.expect("hello")).from).toBe(bob.identity)
      const byName = await connectTo(hub.url("default"))
      await byName.send(envelope({ type: "hello again", to: ada.identity }))
      expect((await ada.expect("hello again")).from).toBe(byName.identity)
    } finally {
      bob.terminate()
    }
  })

  test("/ws/:hub leads to another hub, where nobody of the default one is known", async () => {
    const name = unique("hub")
    const here = await connectTo(hub.url())
    const there = await connectTo(hub.url(name))
    const alsoThere = await connectTo(hub.url(name))
    const answer = await there.request(envelope({ type: "hello", to: here.identity, pattern: "ask" }))
    expect(answer.type).toBe("hub:unknown_actor")
    await there.send(envelope({ type: "hello", to: alsoThere.identity }))
    expect((await alsoThere.expect("hello")).from).toBe(there.identity)
  })

  test("a hub's name may have 64 characters of A-Za-z0-9_-", async () => {
    const name = `${unique("A_z-9")}${"x".repeat(64)}`.slice(0, 64)
    const client = await connectTo(hub.url(name))
    await client.sync()
  })

  test.each([["a.b"], ["x".repeat(65)], ["%20"], ["a%2Fb"], ["a/b"]])(
    "a name outside [A-Za-z0-9_-]{1,64} is refused: %s",
    async (name) => {
      // How is open: an HTTP status, or an accepted socket that is closed with a 44xx code.
      try {
        const client = await openAt(hub.url(name))
        expect((await client.closed()).code).toBeGreaterThanOrEqual(4400)
      } catch (error) {
        if (!(error instanceof UpgradeRefused)) throw error
        expect(error.status).toBeGreaterThanOrEqual(400)
        expect(error.status).toBeLessThan(500)
      }
    },
  )

  test("the upgrade alone connects nobody: a request before hub:connect is refused", async () => {
    const client = await hub.open()
    expectError(await client.ask("hub:heartbeat", { timestamp: 1 }), "not_connected")
  })
})

test("a path that is none of the endpoints answers 404", async () => {
  const response = await fetch(hub.http("/nothing-here"))
  await response.body?.cancel()
  expect(response.status).toBe(404)
})
