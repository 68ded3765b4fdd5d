/**
 * A client that knows the wire and nothing else: JSON text frames over a WebSocket. It imports nothing
 * of the project, so that it can judge it.
 */
import { once } from "node:events"
import { setTimeout as delay } from "node:timers/promises"
import { WebSocket } from "ws"
import { Inbox, PATIENCE } from "./Inbox.ts"
import { unique } from "./names.ts"

export const HUB = "@(cloudflare/signal-hub)"

/** Of the 400 envelopes at once and 200 a second that a hub allows, less what a test sends by itself. */
const BURST = 300
const RATE = 0.18

export type Fields = { readonly [field: string]: unknown }

/** An envelope as it arrived. */
export interface Received {
  readonly id: string
  readonly from: string
  readonly to: string
  readonly type: string
  readonly payload: unknown
  readonly pattern: string
  readonly correlationId: string | null
  readonly timestamp: number
  readonly metadata: Fields
  readonly ttl: number | null
  readonly signature: string | null
  readonly seq?: number
}

export interface Closed {
  readonly code: number
  readonly reason: string
}

export interface OpenOptions {
  /** Offered subprotocols. */
  readonly protocols?: ReadonlyArray<string>
  /** Further headers of the upgrade. */
  readonly headers?: { readonly [header: string]: string }
  /** The identity that the upgrade named, as a gateway needs it: what `handshake` connects as. */
  readonly named?: string
  /** Called before each frame of a connected client leaves. */
  readonly beforeSend?: () => Promise<void>
}

export interface ConnectOptions extends OpenOptions {
  /** `null`: without an identity. */
  readonly identity?: string | null
  readonly version?: string
  /** Further metadata of `hub:connect`. */
  readonly metadata?: Fields
}

/** An upgrade that the server answered with an HTTP status. */
export class UpgradeRefused extends Error {
  readonly status: number
  constructor(status: number) {
    super(`the upgrade was answered ${status}`)
    this.status = status
  }
}

/** An envelope to send: what isn't given is filled in; `undefined` leaves a field out. */
export const envelope = (fields: Fields): Fields & { readonly id: string } => ({
  id: unique("m"),
  to: HUB,
  pattern: "tell",
  payload: null,
  timestamp: Date.now(),
  ...fields,
})

/** The payload (or metadata) as an object. */
export const fieldsOf = (value: unknown): Fields => {
  if (typeof value !== "object" || value === null) throw new Error(`not an object: ${JSON.stringify(value)}`)
  return value as Fields
}
/** A field of the payload that must be text. */
export const textOf = (received: Received, field: string): string => {
  const value = fieldsOf(received.payload)[field]
  if (typeof value !== "string") throw new Error(`"${field}" is no text in ${JSON.stringify(received)}`)
  return value
}
/** A field of the payload that must be a number. */
export const numberOf = (received: Received, field: string): number => {
  const value = fieldsOf(received.payload)[field]
  if (typeof value !== "number") throw new Error(`"${field}" is no number in ${JSON.stringify(received)}`)
  return value
}
/** A field of the payload that must be a list of objects. */
export const listOf = (received: Received, field: string): ReadonlyArray<Fields> => {
  const value = fieldsOf(received.payload)[field]
  if (!Array.isArray(value)) throw new Error(`"${field}" is no list in ${JSON.stringify(received)}`)
  return value.map(fieldsOf)
}
/** The code of a `hub:error`. */
export const codeOf = (received: Received): unknown =>
  received.type === "hub:error" ? fieldsOf(received.payload).code : received.type

const isProbe = (value: unknown): value is Received =>
  typeof value === "object" && value !== null && "type" in value && value.type === "hub:probe"

/** A WebSocket that tells when it answers a close: with the code of the other side. */
class TellingSocket extends WebSocket {
  onClosing: ((code: number | undefined) => void) | undefined

  override close(code?: number, data?: string | Buffer): void {
    super.close(code, data)
    this.onClosing?.(code)
  }
}

export class RawClient {
  readonly socket: WebSocket
  /**
   * The code of the first close frame. The runtime takes 10 s and more to end the connection under a
   * socket that never received a message, so that `closed` comes late for those.
   */
  readonly closeFrame: Promise<number | undefined>
  /** Frames as they came, heartbeats included. */
  readonly frames: Array<string | Buffer> = []
  private readonly envelopes = new Inbox<Received>()
  private readonly texts = new Inbox<string>()
  private readonly beforeSend: () => Promise<void>
  private readonly named: string | undefined
  private closing: Closed | undefined
  /** What may still be sent at once, as of then, in milliseconds. */
  private allowance = BURST
  private allowedAt = performance.now()
  private readonly closeListeners: Array<(closed: Closed) => void> = []
  /** Of the last probe that came. Probes are not in the inbox: any test that reads much would meet them. */
  nonce: string | undefined
  /** As `hub:connected` told them. */
  identity = ""
  sessionId = ""

  private constructor(socket: TellingSocket, options: OpenOptions) {
    this.socket = socket
    this.closeFrame = new Promise((resolve) => {
      socket.onClosing = resolve
    })
    this.beforeSend = options.beforeSend ?? (() => Promise.resolve())
    this.named = options.named
    socket.on("message", (data: Buffer, isBinary) => this.arrived(data, isBinary))
    socket.on("error", () => undefined)
    socket.on("close", (code, reason) => {
      this.closing = { code, reason: reason.toString() }
      this.envelopes.end(`the socket was closed ${code} ${reason.toString()}`)
      this.texts.end(`the socket was closed ${code} ${reason.toString()}`)
      for (const listener of this.closeListeners.splice(0)) listener(this.closing)
    })
  }

  /** Opens a socket and sends nothing. */
  static async open(url: string, options: OpenOptions = {}): Promise<RawClient> {
    const socket = new TellingSocket(url, [...(options.protocols ?? [])], {
      perMessageDeflate: false,
      headers: { ...options.headers },
    })
    const client = new RawClient(socket, options)
    const refused = new Promise<never>((_, reject) => {
      socket.on("unexpected-response", (request, response) => {
        response.resume()
        request.destroy()
        reject(new UpgradeRefused(response.statusCode ?? 0))
      })
      socket.on("error", reject)
    })
    await Promise.race([once(socket, "open"), refused])
    return client
  }

  /** Opens a socket and connects, as protocol 1.0 and without a grace period unless told otherwise. */
  static async connect(url: string, options: ConnectOptions = {}): Promise<RawClient> {
    const client = await RawClient.open(url, options)
    const connected = await client.handshake(options)
    if (connected.type !== "hub:connected") throw new Error(`not connected: ${JSON.stringify(connected)}`)
    return client
  }

  /** Sends `hub:connect` and waits for whatever answers it. */
  async handshake(options: ConnectOptions = {}): Promise<Received> {
    const actorIdentity =
      options.identity === undefined ? (this.named ?? `@(test/${unique("actor")})`) : options.identity
    const answer = await this.ask("hub:connect", null, {
      metadata: {
        protocolVersion: options.version ?? "1.0.0",
        sessionExpirySeconds: 0,
        ...(actorIdentity === null ? {} : { actorIdentity }),
        ...options.metadata,
      },
    })
    if (answer.type === "hub:connected") {
      this.sessionId = textOf(answer, "sessionId")
      this.identity = actorIdentity ?? this.named ?? ""
    }
    return answer
  }

  /** Sends frames as they are, in one go. */
  async raw(...frames: ReadonlyArray<string | Uint8Array>): Promise<void> {
    if (this.sessionId !== "") await this.beforeSend()
    for (const frame of frames) this.socket.send(frame)
  }

  /** Sends envelopes, each in a frame of its own, in one go. */
  async send(...envelopes: ReadonlyArray<Fields>): Promise<void> {
    await this.raw(...envelopes.map((one) => JSON.stringify(one)))
  }

  /** Sends envelopes in one frame, once they are within the rate that a hub allows. */
  async sendBatch(envelopes: ReadonlyArray<unknown>): Promise<void> {
    const now = performance.now()
    this.allowance = Math.min(BURST, this.allowance + (now - this.allowedAt) * RATE) - envelopes.length
    this.allowedAt = now
    if (this.allowance < 0) await delay(-this.allowance / RATE)
    await this.raw(JSON.stringify(envelopes))
  }

  /** Asks the hub and waits for the answer, be it an error. */
  async ask(type: string, payload: unknown = null, more: Fields = {}): Promise<Received> {
    return this.request(envelope({ type, payload, pattern: "ask", ...more }))
  }

  /** Sends an envelope and waits for what carries its id as `correlationId`. */
  async request(outgoing: Fields & { readonly id: string }): Promise<Received> {
    await this.send(outgoing)
    return this.answerTo(outgoing.id, String(outgoing.type))
  }

  /**
   * Sends many requests in batches, within the hub's rate, and waits for all answers, in the order of the
   * requests.
   */
  async bulk(
    requests: ReadonlyArray<Fields & { readonly id: string }>,
    size = 100,
  ): Promise<ReadonlyArray<Received>> {
    const answers: Array<Received> = []
    for (let at = 0; at < requests.length; at += size) {
      const batch = requests.slice(at, at + size)
      await this.sendBatch(batch)
      for (const one of batch) {
        answers.push(await this.answerTo(one.id, String(one.type)))
      }
    }
    return answers
  }

  answerTo(id: string, what: string): Promise<Received> {
    return this.envelopes.take(`the answer to ${what} ${id}`, (one) => one.correlationId === id)
  }

  /** Waits for an envelope of the type, and takes it. */
  expect(type: string, patience: number = PATIENCE): Promise<Received> {
    return this.envelopes.take(type, (one) => one.type === type, patience)
  }

  /** Waits for an envelope that matches, and takes it. */
  expectThat(what: string, matches: (one: Received) => boolean): Promise<Received> {
    return this.envelopes.take(what, matches)
  }

  /** Waits for `count` envelopes of the type. */
  async expectMany(type: string, count: number): Promise<ReadonlyArray<Received>> {
    const all: Array<Received> = []
    while (all.length < count) all.push(await this.expect(type))
    return all
  }

  /** Waits for a text frame that is no envelope: a heartbeat's answer. */
  expectText(): Promise<string> {
    return this.texts.take("a text frame that is no envelope", () => true)
  }

  /** Waits until the hub has seen everything sent so far, and everything it sent before is here. */
  async sync(): Promise<void> {
    const answer = await this.ask("hub:heartbeat", { timestamp: Date.now() })
    if (answer.type !== "hub:heartbeat_ack") throw new Error(`no heartbeat: ${JSON.stringify(answer)}`)
  }

  /**
   * What is left in the inbox. A heartbeat goes there and back first: what the hub had sent to this
   * socket is in by then, as a socket keeps order. That is how "nothing comes" is tested.
   */
  async rest(): Promise<ReadonlyArray<Received>> {
    await this.sync()
    return this.envelopes.takeAll()
  }

  /** Waits for the close. */
  closed(patience: number = PATIENCE): Promise<Closed> {
    if (this.closing !== undefined) return Promise.resolve(this.closing)
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`the socket was not closed within ${patience} ms`)),
        patience,
      )
      this.closeListeners.push((closed) => {
        clearTimeout(timer)
        resolve(closed)
      })
    })
  }

  get isOpen(): boolean {
    return this.socket.readyState === WebSocket.OPEN
  }

  /** Stops reading: what the server sends, a close too, stays unseen, while sending goes on. */
  stopReading(): void {
    this.socket.pause()
  }
  startReading(): void {
    this.socket.resume()
  }

  /** Drops the connection without a word. */
  terminate(): void {
    this.socket.terminate()
  }

  private arrived(data: Buffer, isBinary: boolean): void {
    if (isBinary) {
      this.frames.push(data)
      return
    }
    const text = data.toString()
    this.frames.push(text)
    const value: unknown = JSON.parse(text)
    for (const one of Array.isArray(value) ? value : [value]) {
      if (isProbe(one)) this.nonce = textOf(one, "nonce")
      else if (typeof one === "object" && one !== null && "to" in one) this.envelopes.put(one as Received)
      else this.texts.put(text)
    }
  }
}
