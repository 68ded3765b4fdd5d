/** A network that is scripted by the test: sockets that do only what they are told, and a hub that answers. */
import { Envelope, JsonCodec } from "@signal-hub/actor-core"
import { MsgPackCodec } from "@signal-hub/actor-core/codec/msgpack"
import { HUB_ADDRESS, PING, PONG } from "../../../src/protocol/index.ts"
import type { OpenSocket, SocketEvent, SocketLike, WakeTarget } from "../../../src/client/index.ts"
import { envelope } from "../../support/envelope.ts"

type EventType = "open" | "message" | "close" | "error"

/** A socket whose events are the test's. */
export class FakeSocket implements SocketLike {
  readonly url: string
  readonly protocols: ReadonlyArray<string>
  binaryType = "blob"
  readyState = 0
  /** The subprotocol that the server chose; `undefined` where the platform does not tell. */
  protocol: string | undefined
  bufferedAmount = 0
  /** Frames as they were sent, pings among them. */
  readonly frames: Array<string | Uint8Array> = []
  closedByClient = false
  /** The code that the client closed it with. */
  closeCode: number | undefined
  /** Says whether, and with what, the hub answers; `undefined`: silence. */
  answers: (request: Envelope.Envelope) => Answer | undefined = standardAnswer
  answersPings = true
  /** Whether the hub closes the socket after it has acknowledged a goodbye. */
  closesOnGoodbye = true
  readonly #listeners = new Map<EventType, Set<(event: SocketEvent) => void>>()

  constructor(url: string, protocols: ReadonlyArray<string>) {
    this.url = url
    this.protocols = protocols
  }

  addEventListener(type: EventType, listener: (event: SocketEvent) => void): void {
    const set = this.#listeners.get(type) ?? new Set()
    this.#listeners.set(type, set.add(listener))
  }
  removeEventListener(type: EventType, listener: (event: SocketEvent) => void): void {
    this.#listeners.get(type)?.delete(listener)
  }
  emit(type: EventType, event: SocketEvent = {}): void {
    for (const listener of this.#listeners.get(type) ?? []) listener(event)
  }
  close(code?: number): void {
    this.closedByClient = true
    this.closeCode = code
    this.readyState = 2
  }

  send(data: string | Uint8Array): void {
    this.frames.push(data)
    if (data === PING) {
      if (this.answersPings) queueMicrotask(() => this.emit("message", { data: PONG }))
      return
    }
    for (const request of envelopesOf(data)) {
      const answer = this.answers(request)
      if (answer === undefined) continue
      this.say(answer.type, answer.payload, { correlationId: request.id, ...answer.envelope })
      if (request.type === "hub:disconnect" && this.closesOnGoodbye) queueMicrotask(() => this.drop(1000))
    }
  }

  /** The network lets the socket open. */
  open(): this {
    this.readyState = 1
    this.emit("open")
    return this
  }
  /** The other side, or the network, closes it. */
  drop(code = 1006, reason = ""): void {
    this.readyState = 3
    this.emit("close", { code, reason })
  }
  /** The hub says something; `envelope` overrides any field. */
  say(type: string, payload: unknown, envelope: Partial<Envelope.Envelope> = {}): void {
    const said = fromHub(type, payload, envelope)
    // In JSON it may say what our codec would not.
    const isText = this.protocols[0] === JsonCodec.subprotocol
    this.emit("message", { data: isText ? JSON.stringify(said) : MsgPackCodec.encode([said]) })
  }

  /** All envelopes sent so far. */
  get sent(): ReadonlyArray<Envelope.Envelope> {
    return this.frames.filter((frame) => frame !== PING).flatMap(envelopesOf)
  }
  /** Their types. */
  get types(): ReadonlyArray<string> {
    return this.sent.map(({ type }) => type)
  }
  get pings(): number {
    return this.frames.filter((frame) => frame === PING).length
  }
}

export interface Answer {
  readonly type: string
  readonly payload: unknown
  readonly envelope?: Partial<Envelope.Envelope>
}

export const envelopesOf = (frame: string | Uint8Array): ReadonlyArray<Envelope.Envelope> => {
  const codec = typeof frame === "string" ? JsonCodec : MsgPackCodec
  return codec.decode(frame).map((each) => {
    const envelope = Envelope.check(each)
    if (envelope instanceof Envelope.Malformed) throw new Error(envelope.reason)
    return envelope
  })
}

let answered = 0
export const fromHub = (
  type: string,
  payload: unknown,
  fields: Partial<Envelope.Envelope>,
): Envelope.Envelope =>
  envelope("@(session/s-1)", type, payload, { id: `hub-${answered++}`, from: HUB_ADDRESS, ...fields })

/** What a hub says to `hub:connect`, in the parts that a client reads. */
export const connected = (fields: object = {}): Answer => ({
  type: "hub:connected",
  payload: {
    sessionId: "s-1",
    serverVersion: "0.1.0",
    supportedVersions: ["1.0.0"],
    maxMessageSize: 1_048_576,
    heartbeatInterval: 25_000,
    capabilities: {
      maxActorsPerInstance: 1_000,
      supportsBackpressure: true,
      supportedContentTypes: ["application/json"],
    },
    limits: {},
    topology: "hub",
    ...fields,
  },
  envelope: { metadata: { actorIdentity: "@(test/me)" } },
})

/** What a hub that has no objections answers. */
export const standardAnswer = ({ type, payload }: Envelope.Envelope): Answer | undefined => {
  const fields = (payload ?? {}) as { readonly [field: string]: unknown }
  switch (type) {
    case "hub:connect":
      return connected()
    case "hub:register":
      return {
        type: "hub:registered",
        payload: { actorAddress: fields.actorAddress, expiresAt: 1, renewalToken: "r", version: 1 },
      }
    case "hub:subscribe":
      return { type: "hub:subscribed", payload: { topic: fields.topic, subscriptionId: "sub-1" } }
    case "hub:watch":
      return { type: "hub:watching", payload: { actorAddress: fields.actorAddress, registered: true } }
    case "hub:unregister":
      return { type: "hub:unregistered", payload: fields }
    case "hub:unsubscribe":
      return { type: "hub:unsubscribed", payload: fields }
    case "hub:publish":
      return { type: "hub:published", payload: { topic: fields.topic, subscriberCount: 1 } }
    case "hub:disconnect":
      return { type: "hub:disconnect", payload: { acknowledged: true } }
    default:
      return undefined
  }
}

/** Hands out sockets, and keeps them in order. */
export class FakeNetwork {
  readonly sockets: Array<FakeSocket> = []
  /** What each new socket is told before it is handed out. */
  onSocket: (socket: FakeSocket) => void = () => {}
  readonly open: OpenSocket = (url, protocols) => {
    const socket = new FakeSocket(url, protocols)
    this.sockets.push(socket)
    this.onSocket(socket)
    return socket
  }

  get last(): FakeSocket {
    const socket = this.sockets.at(-1)
    if (socket === undefined) throw new Error("no socket was opened")
    return socket
  }
}

/** A page that fires what it is told to. */
export class FakePage implements WakeTarget {
  readonly #listeners = new Map<string, Set<() => void>>()
  addEventListener(type: string, listener: () => void): void {
    this.#listeners.set(type, (this.#listeners.get(type) ?? new Set()).add(listener))
  }
  removeEventListener(type: string, listener: () => void): void {
    this.#listeners.get(type)?.delete(listener)
  }
  /** How many listen. */
  get size(): number {
    return [...this.#listeners.values()].reduce((sum, { size }) => sum + size, 0)
  }
  fire(type: string): void {
    for (const listener of this.#listeners.get(type) ?? []) listener()
  }
}
