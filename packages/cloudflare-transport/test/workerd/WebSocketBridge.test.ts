import { evictDurableObject, runInDurableObject } from "cloudflare:test"
import { env } from "cloudflare:workers"
import { type Envelope, TransportError } from "@signal-hub/actor-core"
import { MsgPackCodec } from "@signal-hub/actor-core/codec/msgpack"
import { describe, expect, it, vi } from "vitest"
import { PING, PONG } from "../../src/protocol/Frame.ts"
import { HUB_ADDRESS } from "../../src/protocol/HubMessage.ts"
import { haveCodecsThrow } from "../support/ThrowingCodecs.ts"
import { SocketClient } from "./SocketClient.ts"

const ENVELOPE: Envelope.Envelope = {
  id: "m",
  from: "",
  to: HUB_ADDRESS,
  type: "note",
  payload: null,
  pattern: "tell",
  correlationId: null,
  timestamp: 1,
  metadata: {},
  ttl: null,
  signature: null,
}

/** An object of its own for each test. */
const echo = () => env.ECHO.get(env.ECHO.newUniqueId())
type EchoStub = ReturnType<typeof echo>

const told = (stub: EchoStub) => runInDurableObject(stub, (instance) => [...instance.told])

describe("the bridge alone, in an object that is no hub", () => {
  it("turns frames to envelopes and back, over hibernation too", async () => {
    const stub = echo()
    const client = await SocketClient.open(stub)
    expect(await client.request("hello", { n: 1 })).toMatchObject({ type: "hello", payload: { n: 1 } })
    await evictDurableObject(stub)
    expect(await client.request("again")).toMatchObject({ type: "again" })
    expect(await told(stub)).toEqual(["received again"])
  })

  it("fault 2: the ping is answered to the byte without waking the object", async () => {
    const stub = echo()
    const client = await SocketClient.open(stub)
    await evictDurableObject(stub)
    client.sendRaw(PING)
    expect(await client.frame()).toBe(PONG)
    // What does not run can't be evicted.
    await expect(evictDurableObject(stub)).rejects.toThrow()
  })

  it("fault 11: a socket that is closing is nobody's connection, first of all though it is", async () => {
    const stub = echo()
    await SocketClient.open(stub)
    await SocketClient.open(stub)
    await evictDurableObject(stub)
    const seen = await runInDurableObject(stub, ({ bridge }, state) => {
      const ids = state.getWebSockets().map((socket) => String(state.getTags(socket)[0]))
      state.getWebSockets()[0]!.close(1000)
      return {
        first: state.getWebSockets()[0]!.readyState,
        byId: ids.map((id) => bridge.connection(id)?.id === id),
        count: bridge.connectionCount,
      }
    })
    expect(seen).toEqual({ first: WebSocket.CLOSING, byId: [false, true], count: 1 })
  })

  it("a ping that does reach the handler is answered all the same", async () => {
    const stub = echo()
    const client = await SocketClient.open(stub)
    await runInDurableObject(stub, (instance, state) => {
      for (const socket of state.getWebSockets()) instance.webSocketMessage(socket, PING)
    })
    expect(await client.frame()).toBe(PONG)
  })

  it("the bridge's own ping is answered with the time, before anything else was said", async () => {
    const client = await SocketClient.open(echo())
    client.sendRaw('{"type":"PING"}')
    const pong: { readonly type: string; readonly timestamp: number } = JSON.parse(
      String(await client.frame()),
    )
    expect(pong.type).toBe("PONG")
    expect(Math.abs(pong.timestamp - Date.now())).toBeLessThan(10_000)
  })

  it("counts connections, and broadcasts to all or to all the others", async () => {
    const stub = echo()
    const clients = await Promise.all([1, 2, 3].map(() => SocketClient.open(stub)))
    await evictDurableObject(stub)
    const count = () => runInDurableObject(stub, (instance) => instance.bridge.connectionCount)
    expect(await count()).toBe(3)
    clients[0]!.send({ type: "everybody" })
    for (const client of clients) expect((await client.came()).type).toBe("everybody")
    clients[0]!.send({ type: "others" })
    expect((await clients[1]!.came()).type).toBe("others")
    expect((await clients[2]!.came()).type).toBe("others")
    expect((await clients[0]!.request("mine")).type).toBe("mine")
    clients[0]!.close(1000)
    await clients[0]!.closed
    expect(await count()).toBe(2)
  })

  it("fault 65: a connection that fails is closed, and those behind it get theirs", async () => {
    const stub = echo()
    const clients = await Promise.all([1, 2, 3, 4, 5, 6].map(() => SocketClient.open(stub)))
    await runInDurableObject(stub, ({ bridge }, state) => {
      const [id] = state.getTags(state.getWebSockets()[1]!)
      Object.assign(bridge.connection(id!)!, {
        flush: () => {
          throw new Error("a flush that fails")
        },
      })
    })
    clients[0]!.send({ type: "everybody" })
    const came = await Promise.all(
      clients.map((client) => Promise.race([client.came(), client.closed.then(({ code }) => code)])),
    )
    expect(came.filter((one) => one === 1011)).toHaveLength(1)
    expect(came.filter((one) => typeof one === "object" && one.type === "everybody")).toHaveLength(5)
    expect(await told(stub)).toContain("Error: a flush that fails")
    // Nor is what comes next lost on anybody.
    const next = clients.filter((_, n) => came[n] !== 1011)
    next[0]!.send({ type: "everybody" })
    for (const client of next) expect((await client.came()).type).toBe("everybody")
  })

  it("faults 65, 66: an envelope that can't be encoded is left out of the frame, and its handler told", async () => {
    const stub = echo()
    const client = await SocketClient.open(stub, "signal-hub.msgpack")
    const frame = (...types: ReadonlyArray<string>): Uint8Array =>
      MsgPackCodec.encode(types.map((type) => Object.assign({}, ENVELOPE, { id: type, type }))) as Uint8Array
    const batch = frame("first", "bad", "last")
    haveCodecsThrow(({ type }) => type === "bad")
    client.sendRaw(batch)
    const came = MsgPackCodec.decode(new Uint8Array((await client.frame()) as ArrayBuffer))
    vi.restoreAllMocks()
    expect(came).toMatchObject([{ type: "first" }, { type: "last" }])
    expect(await told(stub)).toContain("not encoded: bad")
  })

  it("what is no envelope is answered invalid_message by its field, and the socket stays", async () => {
    const client = await SocketClient.open(echo())
    client.sendRaw("{")
    expect(await client.came()).toMatchObject({
      type: "hub:error",
      correlationId: null,
      payload: { code: "invalid_message" },
    })
    client.sendRaw('{"id":"x","to":"nobody"}')
    expect(await client.came()).toMatchObject({ correlationId: "x", payload: { code: "invalid_message" } })
    client.sendRaw(new Uint8Array([1, 2, 3]))
    expect((await client.came()).payload.code).toBe("invalid_message")
    expect((await client.request("still here")).type).toBe("still here")
  })

  it("judges the envelopes of a batch each alone, in order", async () => {
    const client = await SocketClient.open(echo())
    const good = (id: string) => ({ id, to: "@(a/b)", type: "note", pattern: "tell", timestamp: 0 })
    client.sendRaw(JSON.stringify([good("1"), { id: "2" }, good("3")]))
    const answers = [await client.came(), await client.came(), await client.came()]
    expect(answers.map(({ type, correlationId }) => [type, correlationId])).toEqual([
      ["note", "1"],
      ["hub:error", "2"],
      ["note", "3"],
    ])
  })

  it("fault 30: a frame of just the size allowed is taken, one byte more is refused undecoded", async () => {
    const client = await SocketClient.open(echo())
    const frameOf = (bytes: number, filler: string) => {
      const envelope = { id: "x", to: "@(a/b)", type: "note", pattern: "tell", timestamp: 0, payload: "" }
      const room = bytes - new TextEncoder().encode(JSON.stringify(envelope)).byteLength
      const unit = new TextEncoder().encode(filler).byteLength
      const payload = filler.repeat(Math.floor(room / unit)) + "x".repeat(room % unit)
      return JSON.stringify({ ...envelope, payload })
    }
    for (const filler of ["x", "é", "€", "😀"]) {
      client.sendRaw(frameOf(2_000, filler))
      expect((await client.came()).type).toBe("note")
      client.sendRaw(frameOf(2_001, filler))
      expect(await client.came()).toMatchObject({
        correlationId: null,
        payload: { code: "message_too_large", details: { actualSize: 2_001, maxSize: 2_000 } },
      })
    }
  })

  it("ten frames in a row that are none close 4400, counted over hibernation; a good one begins anew", async () => {
    const stub = echo()
    const client = await SocketClient.open(stub)
    const wrong = async (times: number) => {
      for (let n = 0; n < times; n++) {
        client.sendRaw("{")
        expect((await client.came()).payload.code).toBe("invalid_message")
      }
    }
    await wrong(9)
    await client.request("good")
    await wrong(5)
    await evictDurableObject(stub)
    await wrong(4)
    await evictDurableObject(stub)
    await wrong(1)
    expect(await client.closed).toEqual({ code: 4400, reason: "invalid_message" })
    expect(await told(stub)).toContain("violated")
  })

  it("a handler that fails is answered for, and told, and the connection goes on", async () => {
    const stub = echo()
    const client = await SocketClient.open(stub)
    const answer = await client.request("fail")
    expect(answer.payload).toMatchObject({ code: "internal_error", retryable: true })
    expect(JSON.stringify(answer)).not.toContain("told to fail")
    expect((await client.request("on")).type).toBe("on")
    expect(await told(stub)).toEqual(["opened", "received fail", "Error: told to fail", "received on"])
  })
})

describe("fault 62: nothing is half closed", () => {
  const idOfFirst = (stub: EchoStub) =>
    runInDurableObject(stub, (_, state) => String(state.getTags(state.getWebSockets()[0]!)[0]))
  const closeFromTheObject = (stub: EchoStub, id: string, code: number, reason: string) =>
    runInDurableObject(stub, ({ bridge }) => {
      const connection = bridge.connection(id)!
      try {
        connection.close(code, reason)
        return null
      } catch (error) {
        if (!(error instanceof TransportError)) throw error
        return { code: error.code, message: error.message, state: connection.state }
      }
    })

  it.each([
    [4_000, "x".repeat(124), '"reason" must be at most 123 bytes: it has 124'],
    [4_000, "é".repeat(62), '"reason" must be at most 123 bytes: it has 124'],
    [999, "", '"code"'],
    [1_005, "", '"code"'],
    [1_006, "", '"code"'],
    [1_015, "", '"code"'],
    [4_000.5, "", '"code"'],
    [5_000, "", '"code"'],
    [Number.NaN, "", '"code"'],
  ])(
    "a close with %d and such a reason is rejected, and the socket stays open and heard",
    async (code, reason, cause) => {
      const stub = echo()
      const client = await SocketClient.open(stub)
      const id = await idOfFirst(stub)
      const other = await SocketClient.open(stub)
      expect(await closeFromTheObject(stub, id, code, reason)).toEqual({
        code: "invalid_message",
        message: expect.stringContaining(cause),
        state: "connecting",
      })
      expect((await client.request("heard")).type).toBe("heard")
      await evictDurableObject(stub)
      expect((await client.request("heard still")).type).toBe("heard still")
      expect((await other.request("innocent")).type).toBe("innocent")
      // What may be said closes it.
      expect(await closeFromTheObject(stub, id, 4_000, "é".repeat(61))).toBeNull()
      expect(await client.closed).toEqual({ code: 4_000, reason: "é".repeat(61) })
      expect((await other.request("innocent")).type).toBe("innocent")
    },
  )

  it("a socket whose handler fails as it opens is closed, so that its client comes back", async () => {
    const stub = echo()
    const other = await SocketClient.open(stub)
    await runInDurableObject(stub, ({ failsOn }) => void failsOn.add("opened"))
    const client = await SocketClient.open(stub)
    expect((await client.closed).code).toBe(1_011)
    expect((await other.request("innocent")).type).toBe("innocent")
    expect(await told(stub)).toEqual([
      "opened",
      "opened",
      "Error: failed on: opened",
      "closed 1011",
      "received innocent",
    ])
  })

  it("a close is answered though the handler fails on it", async () => {
    const stub = echo()
    const client = await SocketClient.open(stub)
    await runInDurableObject(stub, (instance, state) => {
      const [socket] = state.getWebSockets()
      instance.failsOn.add("closed 4000")
      expect(() => instance.webSocketClose(socket!, 4_000, "bye")).toThrow("failed on: closed 4000")
    })
    expect(await client.closed).toEqual({ code: 4_000, reason: "bye" })
  })

  it("a ping that comes as the socket closes fails nothing", async () => {
    const stub = echo()
    const client = await SocketClient.open(stub)
    await runInDurableObject(stub, (instance, state) => {
      const [socket] = state.getWebSockets()
      socket!.close(1_000)
      instance.webSocketMessage(socket!, PING)
      instance.webSocketMessage(socket!, '{"type":"PING"}')
    })
    expect((await client.closed).code).toBe(1_000)
  })

  it("a topic that fails to store a leave has its member still", async () => {
    const topic = env.TOPIC_HUB.getByName("half-stored")
    const owner = "@(user/ada)"
    await topic.apply([{ do: "join", member: { owner, presence: true, metadata: {} } }])
    await runInDurableObject(topic, async (instance, state) => {
      const { exec } = state.storage.sql
      const failing = vi.spyOn(state.storage.sql, "exec").mockImplementation((query, ...values) => {
        if (query.startsWith("DELETE FROM member")) throw new Error("the disk is full")
        return exec.call(state.storage.sql, query, ...values)
      })
      await expect(instance.apply([{ do: "leave", owner }])).rejects.toThrow("the disk is full")
      failing.mockRestore()
      const member = { actorAddress: owner, metadata: {}, isConnected: true }
      expect((await instance.members("", 10)).members).toEqual([member])
      await instance.apply([{ do: "leave", owner }])
      expect((await instance.members("", 10)).members).toEqual([])
    })
  })
})

describe("subprotocols", () => {
  it.each([
    [undefined, null],
    ["signal-hub.json", "signal-hub.json"],
    ["signal-hub.msgpack", "signal-hub.msgpack"],
    ["signal-hub.bearer.s3cret, signal-hub.json", "signal-hub.json"],
    ["signal-hub.bearer.s3cret", null],
    ["graphql-ws", null],
  ])("of %s offered %s is echoed", async (offered, echoed) => {
    expect((await SocketClient.open(echo(), offered)).subprotocol).toBe(echoed)
  })

  it("msgpack frames are batches, and the codec outlives hibernation", async () => {
    const stub = echo()
    const client = await SocketClient.open(stub, "signal-hub.msgpack")
    const envelope = (id: string) => ({
      id,
      from: "" as const,
      to: "@(a/b)" as const,
      type: "note",
      payload: { bytes: new Uint8Array([1, 2]) },
      pattern: "tell" as const,
      correlationId: null,
      timestamp: 0,
      metadata: {},
      ttl: null,
      signature: null,
    })
    for (const ids of [["1", "2"], ["3"]]) {
      client.sendRaw(MsgPackCodec.encode(ids.map(envelope)))
      const batch = MsgPackCodec.decode(new Uint8Array((await client.frame()) as ArrayBuffer))
      expect(batch).toMatchObject(
        ids.map((id) => ({ correlationId: id, payload: { bytes: new Uint8Array([1, 2]) } })),
      )
      await evictDurableObject(stub)
    }
  })

  it("what is no upgrade is answered 426", async () => {
    const response = await echo().fetch("https://echo/")
    expect(response.status).toBe(426)
    await response.body?.cancel()
  })
})

describe("closing", () => {
  it.each([1000, 3000, 4999])("a close %i is answered by itself", async (code) => {
    const stub = echo()
    const client = await SocketClient.open(stub)
    client.close(code, "bye")
    expect((await client.closed).code).toBe(code)
    expect(await told(stub)).toEqual(["opened", `closed ${code}`])
  })

  it("reserved codes are never sent: they are answered 1000", async () => {
    const stub = echo()
    await SocketClient.open(stub)
    const close = vi.spyOn(WebSocket.prototype, "close").mockImplementation(() => {})
    try {
      await runInDurableObject(stub, (instance, state) => {
        const [socket] = state.getWebSockets()
        for (const code of [1004, 1005, 1006, 1015]) instance.webSocketClose(socket!, code, "")
      })
      expect(close.mock.calls).toEqual([1, 2, 3, 4].map(() => [1000, ""]))
    } finally {
      close.mockRestore()
    }
  })

  it("a close and an error of one socket are told once, in either order", async () => {
    for (const order of [
      ["closed 1006", "socket error"],
      ["socket error", "closed 1006"],
    ]) {
      const stub = echo()
      await SocketClient.open(stub)
      await runInDurableObject(stub, (instance, state) => {
        const [socket] = state.getWebSockets()
        for (const cause of order) {
          if (cause === "socket error") instance.webSocketError(socket!)
          else instance.webSocketClose(socket!, 1006, "")
        }
      })
      expect(await told(stub)).toEqual(["opened", order[0]])
    }
  })

  it("a socket that is no connection of the bridge is left alone", async () => {
    const stub = echo()
    await runInDurableObject(stub, (instance) => {
      const [, foreign] = Object.values(new WebSocketPair()) as [WebSocket, WebSocket]
      foreign.accept()
      instance.webSocketMessage(foreign, "{}")
      instance.webSocketError(foreign)
    })
    expect(await told(stub)).toEqual([])
  })
})
