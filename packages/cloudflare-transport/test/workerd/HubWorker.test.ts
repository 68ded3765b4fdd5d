import { runInDurableObject } from "cloudflare:test"
import { env } from "cloudflare:workers"
import { describe, expect, it, vi } from "vitest"
import type { HubEnv } from "../../src/object/HubEnv.ts"
import { hubWorker } from "../../src/worker/HubWorker.ts"
import { SocketClient } from "./SocketClient.ts"

/** What the Worker answers in this environment. */
const answerOf = async (request: Request, environment: unknown): Promise<Response> => {
  const context = { waitUntil: () => {}, passThroughOnException: () => {}, props: {} }
  const handler = hubWorker.fetch as (
    request: Request,
    env: HubEnv,
    context: unknown,
  ) => Promise<Response> | Response
  return handler(request, environment as HubEnv, context)
}

const worker = { fetch: (request: Request) => answerOf(request, env) }
const get = (path: string, init: RequestInit = {}) =>
  worker.fetch(new Request(`https://hub.example${path}`, init))

describe("health", () => {
  it("is told as JSON, without waking a hub", async () => {
    const response = await get("/health")
    expect(response.status).toBe(200)
    expect(response.headers.get("Content-Type")).toContain("application/json")
    expect(await response.json()).toEqual({
      status: "ok",
      service: "signal-hub",
      version: expect.any(String),
      timestamp: expect.any(Number),
    })
  })

  it("is read only", async () => {
    const response = await get("/health", { method: "POST" })
    expect(response.status).toBe(405)
    await response.body?.cancel()
  })
})

describe("paths", () => {
  it.each(["/ws", "/", "/ws/room-1", "/ws/", "/ws/room-1/", "/gateway/"])(
    "%s without an upgrade is answered 426",
    async (path) => {
      const response = await get(path)
      expect(response.status).toBe(426)
      await response.body?.cancel()
    },
  )

  it.each(["/nowhere", "/ws//", "/ws/a//", "/ws/a/b", "/ws/a b", "/ws/a.b", `/ws/${"x".repeat(65)}`, "/wss"])(
    "%s leads nowhere",
    async (path) => {
      const response = await get(path, { headers: { Upgrade: "websocket" } })
      expect(response.status).toBe(404)
      await response.body?.cancel()
    },
  )

  it.each([
    ["/ws", "default"],
    ["/", "default"],
    ["/ws/", "default"],
    ["/ws/room-1_A", "room-1_A"],
    ["/ws/room-1_A/", "room-1_A"],
    [`/ws/${"x".repeat(64)}`, "x".repeat(64)],
  ])("fault 56: %s leads to the hub %s", async (path, hub) => {
    const client = await SocketClient.open(worker, undefined, `https://hub.example${path}`)
    const { payload } = await client.connect()
    const held = await runInDurableObject(env.SIGNAL_HUB.getByName(hub), (_, { storage }) =>
      storage.sql.exec("SELECT id FROM session").toArray(),
    )
    expect(held).toContainEqual({ id: payload.sessionId })
    await client.request("hub:disconnect", {})
  })
})

describe("what reaches the hub", () => {
  it("is only what the handshake needs: nothing that speaks for another", async () => {
    const requests: Array<Request> = []
    const fake = {
      ...env,
      SIGNAL_HUB: {
        getByName: () => ({
          fetch: (request: Request) => {
            requests.push(request)
            return new Response(null, { status: 204 })
          },
        }),
      },
    }
    await answerOf(
      new Request("https://hub.example/ws?token=s3cret", {
        headers: {
          Upgrade: "websocket",
          "Sec-WebSocket-Protocol": "signal-hub.json",
          "X-Actor-Identity": "@(node/admin)",
          "CF-Connecting-IP": "1.2.3.4",
          Cookie: "session=1",
        },
      }),
      fake,
    )
    expect(requests).toHaveLength(1)
    expect(requests[0]!.url).toBe("https://hub/ws")
    expect([...requests[0]!.headers]).toEqual([
      ["sec-websocket-protocol", "signal-hub.json"],
      ["upgrade", "websocket"],
    ])
  })

  it("is nothing where nobody said who may: accepted, told why, closed 4401, and logged", async () => {
    const errors = vi.spyOn(console, "error").mockImplementation(() => {})
    try {
      for (const mode of [undefined, "", "OPEN", "token"]) {
        const request = new Request("https://hub.example/ws", { headers: { Upgrade: "websocket" } })
        const client = new SocketClient(await answerOf(request, { ...env, AUTH_MODE: mode }))
        expect(await client.came()).toMatchObject({ type: "hub:error", payload: { code: "unauthorized" } })
        expect((await client.closed).code).toBe(4401)
      }
      expect(errors.mock.calls.map(([line]) => JSON.parse(String(line)).event)).toEqual(
        Array.from({ length: 4 }, () => "connection_rejected"),
      )
    } finally {
      errors.mockRestore()
    }
  })
})
