/** A client on a real WebSocket of workerd: raw frames, and JSON envelopes over them. */
import type { WebSocketBridge } from "../../src/bridge/WebSocketBridge.ts"
import { HUB_ADDRESS } from "../../src/protocol/HubMessage.ts"

/** An envelope as it came, its fields unjudged. */
export interface Came {
  readonly [field: string]: unknown
  readonly payload: { readonly [field: string]: unknown }
}

export class SocketClient {
  readonly #socket: WebSocket
  /** The subprotocol that the server chose. */
  readonly subprotocol: string | null
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>
  readonly #frames: Array<string | ArrayBuffer> = []
  readonly #waiting: Array<(frame: string | ArrayBuffer) => void> = []
  #count = 0

  constructor(response: Response) {
    const socket = response.webSocket
    if (socket === null) throw new Error(`no WebSocket: ${response.status}`)
    this.#socket = socket
    this.subprotocol = response.headers.get("Sec-WebSocket-Protocol")
    this.closed = new Promise((resolve) =>
      socket.addEventListener("close", ({ code, reason }) => resolve({ code, reason })),
    )
    socket.addEventListener("message", ({ data }) => {
      const next = this.#waiting.shift()
      if (next === undefined) this.#frames.push(data)
      else next(data)
    })
    socket.binaryType = "arraybuffer"
    socket.accept()
  }

  /** Opens a socket on whatever serves the upgrade. */
  static async open(
    to: { readonly fetch: (request: Request) => Promise<Response> | Response },
    subprotocol?: string,
    url = "https://hub/ws",
  ): Promise<SocketClient> {
    const headers = new Headers({ Upgrade: "websocket" })
    if (subprotocol !== undefined) headers.set("Sec-WebSocket-Protocol", subprotocol)
    return new SocketClient(await to.fetch(new Request(url, { headers })))
  }

  sendRaw(frame: string | ArrayBuffer | ArrayBufferView): void {
    this.#socket.send(frame)
  }

  /** Sends an envelope; what is left out gets a value that is valid. Gives its id. */
  send(fields: { readonly [field: string]: unknown }): string {
    const envelope = this.#envelope(fields)
    this.sendRaw(JSON.stringify(envelope))
    return envelope.id
  }

  /** Sends envelopes in one frame. */
  sendAll(batch: ReadonlyArray<{ readonly [field: string]: unknown }>): void {
    this.sendRaw(JSON.stringify(batch.map((fields) => this.#envelope(fields))))
  }

  #envelope(fields: { readonly [field: string]: unknown }) {
    const id = `m${++this.#count}`
    return { id, to: HUB_ADDRESS, type: "note", pattern: "tell", timestamp: 0, ...fields }
  }

  /** The next frame that comes. */
  frame(): Promise<string | ArrayBuffer> {
    const frame = this.#frames.shift()
    return frame === undefined
      ? new Promise((resolve) => this.#waiting.push(resolve))
      : Promise.resolve(frame)
  }

  /** The next frame as JSON. */
  async came(): Promise<Came> {
    return JSON.parse(String(await this.frame()))
  }

  /** Asks the hub; the next frame must be the answer. */
  async request(
    type: string,
    payload: unknown = null,
    fields: { readonly [field: string]: unknown } = {},
  ): Promise<Came> {
    const id = this.send({ type, payload, pattern: "ask", ...fields })
    const answer = await this.came()
    if (answer.correlationId !== id) throw new Error(`${type} was not answered: ${JSON.stringify(answer)}`)
    return answer
  }

  /** Connects as the identity, by default with protocol 0.1. */
  connect(actorIdentity?: string, metadata: { readonly [key: string]: unknown } = {}): Promise<Came> {
    return this.request("hub:connect", null, {
      metadata: { protocolVersion: "0.1.0", actorIdentity, ...metadata },
    })
  }

  close(code?: number, reason?: string): void {
    this.#socket.close(code, reason)
  }
}

/** The events of its sockets, of an object that the type of its stub knows by its calls only. */
export const socketsOf = (
  instance: object,
): Pick<WebSocketBridge, `webSocket${string}` & keyof WebSocketBridge> => instance as WebSocketBridge
