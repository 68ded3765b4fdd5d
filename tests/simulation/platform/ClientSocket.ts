/** The end of a WebSocket that a client has: what the client's port to one asks for. */
import type { Host } from "./Host.ts"
import { CLOSED, CLOSING, copied, type Frame, OPEN } from "./ServerSocket.ts"
import type { Wire } from "./Wire.ts"

type EventType = "open" | "message" | "close" | "error"

interface Event {
  readonly data?: unknown
  readonly code?: number
  readonly reason?: string
}

export class ClientSocket {
  binaryType = "blob"
  readyState = 0
  readonly bufferedAmount = 0
  readonly host: Host
  wire!: Wire
  readonly #listeners: { readonly [type in EventType]: Set<(event: Event) => void> } = {
    open: new Set(),
    message: new Set(),
    close: new Set(),
    error: new Set(),
  }

  constructor(host: Host) {
    this.host = host
  }

  send(data: string | Uint8Array): void {
    if (this.readyState === 0) throw new Error("the socket is not open yet")
    if (this.readyState !== OPEN) return
    const frame = copied(data)
    this.wire.up((server) => server.owner?.received(server, frame))
  }

  close(code = 1005, reason = ""): void {
    if (this.readyState >= CLOSING) return
    const wasOpen = this.readyState === OPEN
    this.readyState = CLOSING
    if (wasOpen) this.wire.up((server) => server.owner?.closed(server, code, reason, true))
    else this.wire.giveUp()
  }

  addEventListener(type: EventType, listener: (event: Event) => void): void {
    this.#listeners[type].add(listener)
  }

  removeEventListener(type: EventType, listener: (event: Event) => void): void {
    this.#listeners[type].delete(listener)
  }

  // -- what the network does, as an event of the host

  opened(): void {
    if (this.readyState !== 0) return
    this.readyState = OPEN
    this.#emit("open", {})
  }

  received(data: Frame): void {
    if (this.readyState !== OPEN) return
    this.wire.note("down", data)
    this.#emit("message", { data })
  }

  /** The server closed, or answered a close. */
  closed(code: number, reason: string): void {
    if (this.readyState === CLOSED) return
    const answers = this.readyState === OPEN
    this.readyState = CLOSED
    if (answers) this.wire.up((server) => server.owner?.closed(server, code, reason, true))
    this.#emit("close", { code, reason })
  }

  /** It has failed, and its host has noticed. */
  failed(code: number): void {
    if (this.readyState === CLOSED) return
    this.readyState = CLOSED
    this.#emit("error", {})
    this.#emit("close", { code, reason: "" })
  }

  #emit(type: EventType, event: Event): void {
    for (const listener of this.#listeners[type]) listener(event)
  }
}
