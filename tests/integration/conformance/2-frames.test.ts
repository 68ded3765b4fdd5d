/** protocol.md, section 2: frames and codecs. */
import { Buffer } from "node:buffer"
import { Packr } from "msgpackr"
import { describe, expect, test } from "vitest"
import { codeOf, envelope, fieldsOf, HUB, numberOf, type Received } from "../support/RawClient.ts"
import { address, unique } from "../support/names.ts"
import { expectError, expectQuiet } from "../support/expectations.ts"
import { useHub } from "../support/hub.ts"

const hub = useHub()
const PING = '{"type":"ping"}'
const PONG = '{"type":"pong"}'

describe("subprotocol", () => {
  test("none offered: none echoed, and the socket speaks JSON", async () => {
    const client = await hub.connect()
    expect(client.socket.protocol).toBe("")
    await client.sync()
  })

  test("signal-hub.json is echoed", async () => {
    const client = await hub.connect({ protocols: ["signal-hub.json"] })
    expect(client.socket.protocol).toBe("signal-hub.json")
  })

  test("signal-hub.msgpack is echoed, and its data frames are binary", async () => {
    const client = await hub.open({ protocols: ["signal-hub.msgpack"] })
    expect(client.socket.protocol).toBe("signal-hub.msgpack")
    // 0xc1 is the one byte that msgpack never uses; the refusal comes in the socket's own codec.
    await client.raw(Uint8Array.of(0xc1), PING)
    expect(await client.expectText()).toBe(PONG)
    while (!client.frames.some((frame) => typeof frame !== "string")) {
      await client.raw(PING)
      await client.expectText()
    }
    expect(client.frames.filter((frame) => typeof frame === "string" && !frame.includes("pong"))).toEqual([])
  })

  test("of several exactly one is echoed", async () => {
    const client = await hub.open({ protocols: ["signal-hub.msgpack", "signal-hub.json"] })
    expect(["signal-hub.msgpack", "signal-hub.json"]).toContain(client.socket.protocol)
  })

  test.each([[["signal-hub.bearer.abc", "signal-hub.json"]], [["signal-hub.json", "signal-hub.bearer.abc"]]])(
    "signal-hub.bearer.<token> is never echoed: %s",
    async (protocols) => {
      const client = await hub.open({ protocols })
      expect(client.socket.protocol).toBe("signal-hub.json")
    },
  )
})

describe("heartbeat", () => {
  test("fault 02: the text frame ping is answered by the text frame pong, both to the byte, before hub:connect too", async () => {
    const client = await hub.open()
    await client.raw(PING)
    expect(await client.expectText()).toBe(PONG)
    await client.handshake()
    await client.raw(PING)
    expect(await client.expectText()).toBe(PONG)
  })

  test("the same on a msgpack socket", async () => {
    const client = await hub.open({ protocols: ["signal-hub.msgpack"] })
    await client.raw(PING)
    expect(await client.expectText()).toBe(PONG)
  })

  test('the bridge\'s form {"type":"PING"} is answered {"type":"PONG","timestamp":ms}, before hub:connect too', async () => {
    const client = await hub.open()
    for (const when of ["before", "after"]) {
      const before = Date.now()
      await client.raw('{"type":"PING"}')
      const pong = fieldsOf(JSON.parse(await client.expectText()))
      expect(pong, when).toEqual({ type: "PONG", timestamp: expect.any(Number) })
      expect(Math.abs(Number(pong.timestamp) - before)).toBeLessThan(60_000)
      if (when === "before") await client.handshake()
    }
  })

  const withFields: ReadonlyArray<readonly [ping: object, id: object]> = [
    [{ type: "PING", id: "p-1", timestamp: 1, more: { of: "it" } }, { id: "p-1" }],
    [{ type: "PING", timestamp: 1 }, {}],
    [{ type: "HEARTBEAT_PING", id: "h-1" }, { id: "h-1" }],
    [{ type: "HEARTBEAT_PING", id: 7, payload: null }, { id: 7 }],
    [{ type: "HEARTBEAT_PING" }, {}],
    // An id that no envelope could have is not repeated.
    [{ type: "PING", id: "x".repeat(129) }, {}],
    [{ type: "PING", id: { of: "it" } }, {}],
  ]
  test.each([[[]], [["signal-hub.msgpack"]]])(
    "PING and HEARTBEAT_PING with further fields are answered PONG with their id, before hub:connect too: %j",
    async (protocols) => {
      const client = await hub.open({ protocols })
      for (const when of ["before", "after"]) {
        for (const [ping, id] of withFields) {
          await client.raw(JSON.stringify(ping))
          const pong: unknown = JSON.parse(await client.expectText())
          expect(pong, when).toEqual({ type: "PONG", timestamp: expect.any(Number), ...id })
        }
        // The handshake of this client speaks JSON.
        if (protocols.length === 0 && when === "before") await client.handshake()
      }
    },
  )

  test("such pings are no strikes, and each of a batch is answered in its place", async () => {
    const client = await hub.connect()
    await client.raw(
      ...Array.from({ length: 25 }, (_, n) => JSON.stringify({ type: "HEARTBEAT_PING", id: n })),
    )
    for (let id = 0; id < 25; id++) {
      expect(JSON.parse(await client.expectText())).toMatchObject({ type: "PONG", id })
    }
    await client.raw(
      JSON.stringify([
        { type: "PING", id: "a" },
        { type: "HEARTBEAT_PING", id: "b" },
      ]),
    )
    for (const id of ["a", "b"]) expect(JSON.parse(await client.expectText())).toMatchObject({ id })
    await expectQuiet(client)
  })

  test("a message of such a type to somebody is a message", async () => {
    const [ada, ben] = [await hub.connect(), await hub.connect({ identity: address("ben") })]
    await ada.send(envelope({ type: "PING", to: ben.identity, payload: 1 }))
    expect(await ben.expect("PING")).toMatchObject({ payload: 1 })
    // One without a right address is what it was: malformed, and a strike.
    const request = envelope({ type: "PING", to: "nobody" })
    expect(codeOf(await ada.request(request))).toBe("invalid_message")
  })

  test("many heartbeats are no strikes and no requests", async () => {
    const client = await hub.connect()
    await client.raw(
      ...Array.from({ length: 25 }, () => PING),
      ...Array.from({ length: 25 }, () => '{"type":"PING"}'),
    )
    for (let i = 0; i < 50; i++) await client.expectText()
    await expectQuiet(client)
  })
})

describe("batches", () => {
  const heartbeat = (timestamp: number) =>
    envelope({ type: "hub:heartbeat", pattern: "ask", payload: { timestamp } })

  test.each([["1.0.0"], ["0.1.0"]])(
    "the server takes batches from anyone, and in order: %s",
    async (version) => {
      const client = await hub.connect({ version })
      const batch = [1, 2, 3, 4, 5].map(heartbeat)
      await client.sendBatch(batch)
      const answers = await client.expectMany("hub:heartbeat_ack", 5)
      expect(answers.map((one) => one.correlationId)).toEqual(batch.map((one) => one.id))
    },
  )

  test("to sessions of 0.x the server sends one object in each frame", async () => {
    const client = await hub.connect({ version: "0.1.0" })
    await client.sendBatch([1, 2, 3, 4, 5].map(heartbeat))
    await client.expectMany("hub:heartbeat_ack", 5)
    for (const frame of client.frames) expect(String(frame)).toMatch(/^\{/)
  })

  test("the envelopes of a batch are judged each alone", async () => {
    const client = await hub.connect()
    const [first, last] = [heartbeat(1), heartbeat(2)]
    const bad = envelope({ type: "hub:heartbeat", pattern: "shout" })
    await client.sendBatch([first, bad, 7, last])
    expect((await client.answerTo(first.id, "the first")).type).toBe("hub:heartbeat_ack")
    expectError(await client.answerTo(bad.id, "the bad one"), "invalid_message")
    expectError(
      await client.expectThat("the error of 7", (one) => one.correlationId === null),
      "invalid_message",
    )
    expect((await client.answerTo(last.id, "the last")).type).toBe("hub:heartbeat_ack")
  })

  test("a connect and what follows it may be one batch", async () => {
    const client = await hub.open()
    const follower = heartbeat(3)
    await client.sendBatch([
      envelope({ type: "hub:connect", pattern: "ask", metadata: { protocolVersion: "1.0.0" } }),
      follower,
    ])
    await client.expect("hub:connected")
    expect((await client.answerTo(follower.id, "heartbeat")).type).toBe("hub:heartbeat_ack")
  })

  test("an empty batch leaves the session as it is", async () => {
    const client = await hub.connect()
    await client.raw("[]")
    await client.sync()
  })
})

describe("a frame larger than maxMessageSize", () => {
  /** A frame of exactly this many bytes that tells oneself something. */
  const tellOf = (to: string, bytes: number, character = "x") => {
    const frame = (text: string) =>
      JSON.stringify(envelope({ id: "sized", type: "sized", to, timestamp: 1, payload: text }))
    const room = bytes - Buffer.byteLength(frame(""))
    const width = Buffer.byteLength(character)
    return frame(character.repeat(Math.floor(room / width)) + "x".repeat(room % width))
  }
  const tooLarge = (one: Received) =>
    one.type === "hub:message_too_large" || codeOf(one) === "message_too_large"

  test("is refused with message_too_large, correlationId null; the session stays", async () => {
    const client = await hub.open()
    const max = numberOf(await client.handshake(), "maxMessageSize")
    await client.raw(tellOf(client.identity, max + 1))
    const refusal = await client.expectThat("message_too_large", tooLarge)
    expect(refusal.type).toBe("hub:message_too_large")
    expect(refusal.correlationId).toBeNull()
    expect(refusal.payload).toMatchObject({
      messageSize: max + 1,
      actualSize: max + 1,
      maxSize: max,
    })
    await expectQuiet(client)
  })

  test("one of exactly maxMessageSize bytes is taken", async () => {
    const client = await hub.open()
    const max = numberOf(await client.handshake(), "maxMessageSize")
    await client.raw(tellOf(client.identity, max))
    expect((await client.expect("sized")).id).toBe("sized")
  })

  test("fault 30: the size is counted in bytes, not in characters", async () => {
    const client = await hub.open()
    const max = numberOf(await client.handshake(), "maxMessageSize")
    const frame = tellOf(client.identity, max + 1, "ä")
    expect(frame.length).toBeLessThan(max)
    await client.raw(frame)
    await client.expectThat("message_too_large", tooLarge)
    await expectQuiet(client)
  })

  test("fault 30: it is refused undecoded, be it JSON or not", async () => {
    const client = await hub.open()
    const max = numberOf(await client.handshake(), "maxMessageSize")
    await client.raw("[".repeat(max + 1))
    await client.expectThat("message_too_large", tooLarge)
    await client.raw(new Uint8Array(max + 1))
    await client.expectThat("message_too_large", tooLarge)
    await expectQuiet(client)
  })

  test("a session of 0.x and an unconnected socket get it as hub:error with details", async () => {
    const client = await hub.open()
    for (const when of ["unconnected", "0.x"]) {
      await client.raw("x".repeat(1_048_577 * 2))
      const refusal = await client.expectThat("message_too_large", tooLarge)
      const payload = expectError(refusal, "message_too_large")
      expect(refusal.correlationId, when).toBeNull()
      expect(payload.details).toMatchObject({ actualSize: 2_097_154, maxSize: expect.any(Number) })
      if (when === "unconnected") await client.handshake({ version: "0.1.0" })
    }
    await client.sync()
  })
})

describe("what is malformed", () => {
  test.each([
    ["no JSON", "nonsense"],
    ["half of an object", '{"id":"a","type":'],
    ["nothing", ""],
    ["a number", "7"],
    ["null", "null"],
    ["text", '"hub:connect"'],
    ["an object without fields", "{}"],
  ])("a frame that holds %s: invalid_message, correlationId null; the session stays", async (_, frame) => {
    const client = await hub.connect()
    await client.raw(frame)
    const refusal = await client.expect("hub:error")
    expectError(refusal, "invalid_message")
    expect(refusal.correlationId).toBeNull()
    await expectQuiet(client)
  })

  test("a binary frame on a JSON socket: invalid_message; the session stays", async () => {
    const client = await hub.connect()
    await client.raw(Buffer.from(JSON.stringify(envelope({ type: "x", to: client.identity }))))
    expectError(await client.expect("hub:error"), "invalid_message")
    await client.sync()
  })

  const nested = (levels: number): string => "[".repeat(levels) + "]".repeat(levels)
  /** The envelope is level 1. */
  const ofDepth = (to: string, id: string, depth: number) =>
    JSON.stringify(envelope({ id, type: "deep", to, payload: "?" })).replace('"?"', nested(depth - 1))

  test("nested 128 deep it is delivered, 129 deep it is invalid_message with its id", async () => {
    const client = await hub.connect()
    const [fits, deeper] = [unique("m"), unique("m")]
    await client.raw(ofDepth(client.identity, fits, 128), ofDepth(client.identity, deeper, 129))
    expect((await client.expect("deep")).id).toBe(fits)
    expectError(await client.answerTo(deeper, "the deeper one"), "invalid_message")
    await expectQuiet(client)
  })

  test("nested 200,000 deep it is invalid_message and hurts nobody", async () => {
    const client = await hub.connect()
    await client.raw(ofDepth(client.identity, unique("m"), 200_000))
    expectError(await client.expect("hub:error"), "invalid_message")
    await client.sync()
  })

  test("10 in a row close 4400", async () => {
    const client = await hub.connect()
    for (let i = 0; i < 9; i++) {
      await client.raw("nonsense")
      expectError(await client.expect("hub:error"), "invalid_message")
    }
    await client.raw("nonsense")
    expect((await client.closed()).code).toBe(4400)
  })

  test("10 malformed envelopes of one batch close 4400 too", async () => {
    const client = await hub.connect()
    await client.sendBatch(Array.from({ length: 10 }, () => ({})))
    expect((await client.closed()).code).toBe(4400)
  })

  test("10 that are not in a row don't: something valid in between starts the count again", async () => {
    const client = await hub.connect()
    for (let round = 0; round < 3; round++) {
      await client.raw(...Array.from({ length: 9 }, () => "nonsense"))
      for (let i = 0; i < 9; i++) expectError(await client.expect("hub:error"), "invalid_message")
      await client.sync()
    }
  })

  test("they count before hub:connect too", async () => {
    const client = await hub.open()
    await client.raw(...Array.from({ length: 10 }, () => "nonsense"))
    expect((await client.closed()).code).toBe(4400)
  })

  test("refused requests that are well formed are no strikes", async () => {
    const client = await hub.connect()
    for (let i = 0; i < 12; i++) {
      const answer = await client.ask("hub:subscribe", { topic: "no topic!" })
      expectError(answer, "invalid_topic")
    }
    const nobody = await client.request(envelope({ type: "x", to: HUB, pattern: "ask" }))
    expect(nobody.type).toBe("hub:error")
    await client.sync()
  })
})

/** Without what msgpackr adds of its own. */
const packr = new Packr({ useRecords: false })

describe("fault 69: a frame with more values than maxValues", () => {
  /** A tell whose frame holds so many values. */
  const tellOf = (to: string, values: number) => {
    const tell = envelope({ id: "many", type: "many", to, payload: [] as ReadonlyArray<number> })
    const others = 1 + Object.keys(tell).length
    return { ...tell, payload: Array.from({ length: values - others }, () => 0) }
  }
  const maxOf = (connected: Received) =>
    numberOf({ ...connected, payload: fieldsOf(connected.payload).limits }, "maxValues")
  const MAX = 50_000

  test("is refused with message_too_large undecoded; one of just as many is taken, and others notice nothing", async () => {
    const [client, ada, bob] = await Promise.all([hub.open(), hub.connect(), hub.connect()])
    const connected = await client.handshake()
    expect(maxOf(connected)).toBe(MAX)
    await client.raw(JSON.stringify(tellOf(client.identity, MAX)))
    expect((await client.expect("many")).payload).toHaveLength(MAX - 7)
    await client.raw(JSON.stringify(tellOf(client.identity, MAX + 1)))
    const refusal = await client.expect("hub:message_too_large")
    expect(refusal.correlationId).toBeNull()
    expect(refusal.payload).toMatchObject({
      values: MAX + 1,
      maxValues: MAX,
      messageSize: expect.any(Number),
      maxSize: numberOf(connected, "maxMessageSize"),
    })
    await expectQuiet(client)
    await ada.send(envelope({ type: "note", to: bob.identity, payload: 1 }))
    expect((await bob.expect("note")).payload).toBe(1)
  })

  test("to 0.x it is hub:error, with the numbers in details", async () => {
    const client = await hub.connect({ version: "0.1.0" })
    await client.raw(JSON.stringify([tellOf(client.identity, MAX)]))
    const refusal = await client.expect("hub:error")
    expect(refusal.payload).toMatchObject({
      code: "message_too_large",
      details: { values: MAX + 1, maxValues: MAX },
    })
  })

  test("nesting above 128 comes first", async () => {
    const client = await hub.connect()
    const frame = JSON.stringify(tellOf(client.identity, MAX + 100))
    await client.raw(frame.replace("[0,", `[${"[".repeat(150)}${"]".repeat(150)},`))
    expectError(await client.expect("hub:error"), "invalid_message")
    await expectQuiet(client)
  })

  test("empty objects, strings full of brackets and keys count as what they are", async () => {
    const client = await hub.connect()
    const tell = envelope({ type: "kinds", to: client.identity })
    const fits = { keys: Object.fromEntries(Array.from({ length: 20_000 }, (_, n) => [`[,{${n}`, {}])) }
    await client.raw(JSON.stringify({ ...tell, payload: { ...fits, text: "[0,".repeat(60_000) } }))
    await client.expect("kinds")
    await client.raw(JSON.stringify({ ...tell, payload: Array.from({ length: 25_000 }, () => [{}]) }))
    expect(fieldsOf((await client.expect("hub:message_too_large")).payload).values).toBe(50_007)
  })

  test("the same in msgpack, where byte strings and extensions count too", async () => {
    const identity = address("actor")
    const client = await hub.open({ protocols: ["signal-hub.msgpack"], named: identity })
    const answers = () =>
      client.frames
        .filter((frame) => typeof frame !== "string")
        .flatMap((frame) => packr.unpack(frame) as ReadonlyArray<ReadonlyArray<unknown>>)
    const answered = async (type: string) => {
      await expect.poll(() => answers().map((fields) => fields[3]), { timeout: 10_000 }).toContain(type)
      return answers().find((fields) => fields[3] === type)![6]
    }
    const send = (type: string, to: string, payload: unknown, metadata: object = {}) =>
      client.raw(packr.pack([[unique("m"), null, to, type, 0, 1, payload, null, metadata]]))
    await send("hub:connect", HUB, null, {
      protocolVersion: "1.0.0",
      actorIdentity: identity,
      sessionExpirySeconds: 0,
    })
    await answered("hub:connected")
    // The batch, the envelope, its nine fields, of which one is the payload.
    const others = 2 + 9
    const mixed = Array.from({ length: MAX - others }, (_, n) =>
      n % 2 === 0 ? new Uint8Array(0) : new Date(1e12),
    )
    await send("fits", identity, mixed)
    await answered("fits")
    await send("many", identity, [...mixed, 0])
    expect(await answered("hub:message_too_large")).toMatchObject({ values: MAX + 1, maxValues: MAX })
    await send("later", identity, 1)
    await answered("later")
  })

  test("a msgpack frame that lies about its lengths, or is too deep, is invalid_message", async () => {
    const client = await hub.open({ protocols: ["signal-hub.msgpack"] })
    const lying = new Uint8Array(60_000).fill(0x90)
    lying.set([0xdd, 0xff, 0xff, 0xff, 0xff])
    const deep = new Uint8Array(60_000).fill(0x91)
    deep[deep.length - 1] = 0x90
    for (const [at, frame] of [lying, deep].entries()) {
      await client.raw(frame)
      await expect.poll(() => client.frames.length, { timeout: 10_000 }).toBe(at + 1)
      const [[, , , type, , , payload]] = packr.unpack(client.frames[at] as Uint8Array)
      expect([type, payload.code]).toEqual(["hub:error", "invalid_message"])
    }
  })
})
