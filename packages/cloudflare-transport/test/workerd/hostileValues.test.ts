/**
 * Values whose keys look like methods, through real sockets of a hub and of gateways: wherever a client may put them,
 * all goes on for everybody.
 */
import { type Codec, type Envelope, JsonCodec } from "@signal-hub/actor-core"
import { MsgPackCodec } from "@signal-hub/actor-core/codec/msgpack"
import { env } from "cloudflare:workers"
import { afterEach, describe, expect, it, vi } from "vitest"
import { HUB_ADDRESS } from "../../src/protocol/HubMessage.ts"
import type { HubEnv } from "../../src/object/HubEnv.ts"
import { haveCodecsThrow } from "../support/ThrowingCodecs.ts"
import { SocketClient } from "./SocketClient.ts"
import worker from "./worker.ts"

afterEach(() => void vi.restoreAllMocks())

type Fields = { readonly [field: string]: unknown }
type Came = Omit<Envelope.Envelope, "payload" | "metadata"> & {
  readonly payload: any
  readonly metadata: any
}

const HOSTILE = JSON.parse(`{
  "constructor": 1,
  "toJSON": 1,
  "then": { "constructor": 1, "toJSON": null, "valueOf": 1 },
  "list": [{ "toJSON": {}, "constructor": { "name": 1, "prototype": 1 } }],
  "hasOwnProperty": 1,
  "toString": 1
}`)

let count = 0
const newName = (): string => `n${++count}`

/** Opens a socket for the identity, which is a client's where its first segment is `type`. */
interface Place {
  readonly type: string
  readonly open: (identity: string, subprotocol: string) => Promise<SocketClient>
}

const aHub = (): Place => {
  const hub = env.SIGNAL_HUB.get(env.SIGNAL_HUB.newUniqueId())
  return { type: "node", open: (_, subprotocol) => SocketClient.open(hub, subprotocol) }
}

const gateways = (): Place => ({
  type: "user",
  open: (identity, subprotocol) => {
    const context = { waitUntil: () => {}, passThroughOnException: () => {}, props: {} }
    const handler = worker.fetch as (request: Request, env: HubEnv, context: unknown) => Promise<Response>
    return SocketClient.open(
      { fetch: (request) => handler(request, env, context) },
      subprotocol,
      `https://hub.example/gateway?identity=${encodeURIComponent(identity)}`,
    )
  },
})

/** A client of protocol 1.0 that looks through all that came for what it expects. */
class Party {
  readonly identity: string
  readonly #client: SocketClient
  readonly #codec: Codec
  readonly #came: Array<Came> = []
  #changed = Promise.withResolvers<void>()
  #count = 0
  #seq = 0
  session: Fields = {}
  sessionId: unknown
  close: { readonly code: number } | undefined

  private constructor(client: SocketClient, identity: string, codec: Codec) {
    this.#client = client
    this.identity = identity
    this.#codec = codec
    void client.closed.then((close) => (this.close = close))
    void (async () => {
      for (;;) {
        const frame = await client.frame()
        const data = typeof frame === "string" ? frame : new Uint8Array(frame)
        this.#came.push(...(codec.decode(data) as ReadonlyArray<Came>))
        this.#changed.resolve()
        this.#changed = Promise.withResolvers()
      }
    })()
  }

  static async enter(
    { open, type }: Place,
    codec: Codec,
    metadata: Fields = {},
    identity = `@(${type}/${newName()})`,
  ): Promise<Party> {
    const party = new Party(await open(identity, codec.subprotocol), identity, codec)
    const { payload } = await party.ask("hub:connect", null, {
      metadata: { protocolVersion: "1.0.0", sessionExpirySeconds: 60, actorIdentity: identity, ...metadata },
    })
    expect(payload).toMatchObject({ session: expect.anything() })
    party.session = payload.session
    party.sessionId = payload.sessionId
    return party
  }

  /** Comes back to the session of another connection. */
  again(place: Place, codec: Codec): Promise<Party> {
    this.#client.close()
    const { resumeToken } = this.session
    const resume = { sessionId: this.sessionId, resumeToken, lastSeq: 0 }
    return Party.enter(place, codec, { resume }, this.identity)
  }

  send(fields: Fields): string {
    const id = `${this.identity} ${++this.#count}`
    const envelope = {
      id,
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
      ...fields,
    } as Envelope.Envelope
    this.#client.sendRaw(this.#codec.encode([envelope]))
    return id
  }

  surely(fields: Fields): string {
    return this.send({ ...fields, seq: ++this.#seq })
  }

  async expect(matches: (came: Came) => boolean): Promise<Came> {
    for (;;) {
      const at = this.#came.findIndex(matches)
      if (at >= 0) return this.#came.splice(at, 1)[0]!
      await this.#changed.promise
    }
  }

  of(type: string): Promise<Came> {
    return this.expect((came) => came.type === type)
  }

  ask(type: string, payload: unknown = null, fields: Fields = {}): Promise<Came> {
    const id = this.send({ type, payload, pattern: "ask", ...fields })
    return this.expect(({ correlationId }) => correlationId === id)
  }

  disconnect(): void {
    this.#client.close()
  }
}

/** An innocent pair, which must get each of its messages, in order. */
const aPair = async (place: Place) => {
  const [ada, bob] = await Promise.all([Party.enter(place, JsonCodec), Party.enter(place, MsgPackCodec)])
  let sent = 0
  return {
    exchange: async (): Promise<void> => {
      ada.surely({ to: bob.identity, type: "innocent", payload: ++sent })
      expect((await bob.of("innocent")).payload).toBe(sent)
      expect([ada.close, bob.close]).toEqual([undefined, undefined])
    },
  }
}

describe.each([
  ["a hub", aHub],
  ["gateways", gateways],
])("a value whose keys look like methods, on %s", { timeout: 20_000 }, (_, make) => {
  const CODECS: ReadonlyArray<readonly [string, Codec]> = [
    ["JSON", JsonCodec],
    ["msgpack", MsgPackCodec],
  ]

  it.each(CODECS)(
    "fault 65: arrives in payloads and metadata, whatever the receiver speaks (from %s)",
    async (_, codec) => {
      const place = make()
      const pair = await aPair(place)
      const sender = await Party.enter(place, codec)
      for (const [, theirs] of CODECS) {
        const receiver = await Party.enter(place, theirs)
        const message = { to: receiver.identity, payload: HOSTILE, metadata: HOSTILE }
        sender.send({ ...message, type: "volatile" })
        sender.surely({ ...message, type: "reliable" })
        sender.send({ type: "hub:send", payload: { to: receiver.identity, type: "sent", data: HOSTILE } })
        for (const type of ["volatile", "reliable"]) {
          expect(await receiver.of(type)).toMatchObject({ payload: HOSTILE, metadata: HOSTILE })
        }
        expect((await receiver.of("sent")).payload).toEqual(HOSTILE)
        await pair.exchange()
      }
    },
  )

  it("fault 65: reaches somebody in grace with the next connect, also one that left it unacknowledged", async () => {
    const place = make()
    const pair = await aPair(place)
    const sender = await Party.enter(place, MsgPackCodec)
    const first = await Party.enter(place, MsgPackCodec)
    const tell = (type: string) =>
      sender.surely({ to: first.identity, type, payload: HOSTILE, metadata: HOSTILE })
    tell("unacknowledged")
    await first.of("unacknowledged")
    first.disconnect()
    tell("in grace")
    await pair.exchange()
    for (const [, codec] of CODECS) {
      const next = await first.again(place, codec)
      first.session = next.session
      for (const type of ["unacknowledged", "in grace"]) {
        expect(await next.of(type)).toMatchObject({ payload: HOSTILE, metadata: HOSTILE })
      }
      next.disconnect()
      await pair.exchange()
    }
  })

  it("fault 65: published, reaches six subscribers, and so does what is published after it", async () => {
    const place = make()
    const pair = await aPair(place)
    const publisher = await Party.enter(place, JsonCodec)
    const subscribers = await Promise.all(
      Array.from({ length: 6 }, (_, n) => Party.enter(place, n % 2 === 0 ? JsonCodec : MsgPackCodec)),
    )
    const topic = newName()
    for (const one of subscribers) await one.ask("hub:subscribe", { topic })
    for (const [type, data] of [
      ["hostile", HOSTILE],
      ["after", 1],
    ]) {
      const { payload } = await publisher.ask("hub:publish", { topic, type, data }, { metadata: HOSTILE })
      expect(payload).toMatchObject({ subscriberCount: 6 })
      for (const one of subscribers) expect((await one.of(String(type))).payload).toEqual(data)
    }
    await pair.exchange()
  })

  it("fault 65: as metadata of a registration or a client, breaks neither discovery nor presence", async () => {
    const place = make()
    const pair = await aPair(place)
    const hostile = await Party.enter(place, JsonCodec, { clientMetadata: HOSTILE })
    const actorAddress = `@(node/${newName()})`
    expect((await hostile.ask("hub:register", { actorAddress, metadata: HOSTILE })).type).toBe(
      "hub:registered",
    )
    const topic = newName()
    for (const [, codec] of CODECS) {
      const reader = await Party.enter(place, codec)
      const found = await reader.ask("hub:discover", { pattern: actorAddress })
      expect(found.payload.actors).toMatchObject([{ metadata: HOSTILE }])
      await reader.ask("hub:subscribe", { topic, presence: true })
    }
    const reader = await Party.enter(place, MsgPackCodec)
    await reader.ask("hub:subscribe", { topic, presence: true })
    await hostile.ask("hub:subscribe", { topic, presence: true })
    const joined = await reader.expect(
      ({ payload, type }) =>
        type === "hub:presence_diff" &&
        payload.joined.some((one: Fields) => one.actorAddress === hostile.identity),
    )
    expect(joined.payload.joined).toContainEqual({ actorAddress: hostile.identity, metadata: HOSTILE })
    const members: Array<Fields> = []
    let cursor: unknown
    do {
      const { payload } = await reader.ask("hub:presence", { topic, cursor })
      members.push(...payload.members)
      cursor = payload.cursor
    } while (cursor !== undefined)
    expect(members.find((one) => one.actorAddress === hostile.identity)).toMatchObject({ metadata: HOSTILE })
    await pair.exchange()
  })

  it("faults 65, 66: is refused to its sender alone where an encoder throws on it, in whatever class it is sent", async () => {
    const place = make()
    const pair = await aPair(place)
    const sender = await Party.enter(place, JsonCodec)
    const receiver = await Party.enter(place, MsgPackCodec)
    const away = await Party.enter(place, MsgPackCodec)
    away.disconnect()
    const topic = newName()
    const subscribers = await Promise.all(Array.from({ length: 6 }, () => Party.enter(place, MsgPackCodec)))
    for (const one of subscribers) await one.ask("hub:subscribe", { topic })
    vi.spyOn(console, "error").mockImplementation(() => {})
    // What this test sends and reads itself is JSON, or of other types.
    haveCodecsThrow(({ type }) => type === "bad", [MsgPackCodec])
    const refused = async (id: string): Promise<void> => {
      const { payload } = await sender.expect(({ correlationId }) => correlationId === id)
      expect(payload).toMatchObject({ code: "invalid_message" })
      await pair.exchange()
    }
    await refused(sender.send({ to: receiver.identity, type: "bad" }))
    await refused(sender.send({ to: receiver.identity, type: "bad", pattern: "ask" }))
    await refused(sender.surely({ to: receiver.identity, type: "bad" }))
    await refused(sender.surely({ to: receiver.identity, type: "bad", pattern: "ask" }))
    await refused(sender.surely({ to: away.identity, type: "bad" }))
    await refused(
      sender.send({ type: "hub:publish", pattern: "ask", payload: { topic, type: "bad", data: 1 } }),
    )
    await sender.ask("hub:publish", { topic, type: "good", data: 1 })
    for (const one of subscribers) expect((await one.of("good")).payload).toBe(1)
    sender.surely({ to: receiver.identity, type: "good" })
    await receiver.of("good")
    const { payload } = await sender.ask("hub:metrics")
    expect(payload.errors).toBeGreaterThanOrEqual(3)
    const back = await away.again(place, MsgPackCodec)
    sender.surely({ to: back.identity, type: "good" })
    await back.of("good")
  })
})
