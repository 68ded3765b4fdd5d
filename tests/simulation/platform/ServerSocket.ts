/**
 * The end of a WebSocket that a Worker or a Durable Object has. Accepted for hibernation it outlives the
 * object's memory, with its attachment and its tags; a crash of the object takes it along.
 */
import type { Wire } from "./Wire.ts"

export const OPEN = 1
export const CLOSING = 2
export const CLOSED = 3

/** Most bytes of an attachment. */
const MOST_ATTACHED = 16_384

export type Frame = string | ArrayBuffer

/** The object that accepted the socket. */
export interface SocketOwner {
  readonly output: (task: () => void) => void
  readonly received: (socket: ServerSocket, frame: Frame) => void
  readonly closed: (socket: ServerSocket, code: number, reason: string, wasClean: boolean) => void
}

export class ServerSocket {
  readyState = OPEN
  tags: ReadonlyArray<string> = []
  owner: SocketOwner | undefined
  wire: Wire | undefined
  /** When the runtime last answered a ping by itself. */
  autoAnsweredAt: Date | null = null
  #attachment: string | null = null
  /** What was sent before the client's end was there. */
  readonly #early: Array<(wire: Wire) => void> = []

  /** Of a Worker's own, that does not hibernate. */
  accept(): void {}

  send(data: string | Uint8Array | ArrayBuffer): void {
    if (this.readyState !== OPEN) throw new TypeError("Can't call WebSocket send() after close().")
    const frame = copied(data)
    this.#output((wire) => wire.down((client) => client.received(frame)))
  }

  close(code = 1005, reason = ""): void {
    if (code !== 1000 && (code < 1001 || code > 4999 || [1004, 1005, 1006, 1015].includes(code))) {
      throw new TypeError(`Invalid WebSocket close code: ${code}.`)
    }
    if (this.readyState === CLOSED) return
    this.readyState = this.readyState === OPEN ? CLOSING : CLOSED
    this.#output((wire) => wire.down((client) => client.closed(code, reason)))
  }

  serializeAttachment(value: unknown): void {
    const text = JSON.stringify(value)
    if (text.length > MOST_ATTACHED) throw new Error(`an attachment of ${text.length} bytes is too large`)
    this.#attachment = text
  }

  deserializeAttachment(): unknown {
    return this.#attachment === null ? null : (JSON.parse(this.#attachment) as unknown)
  }

  /** The client's end is there. */
  link(wire: Wire): void {
    this.wire = wire
    for (const task of this.#early.splice(0)) task(wire)
  }

  #output(task: (wire: Wire) => void): void {
    const run = (): void => {
      if (this.wire === undefined) this.#early.push(task)
      else task(this.wire)
    }
    if (this.owner === undefined) run()
    else this.owner.output(run)
  }
}

/** A frame as it is when it is sent, whatever becomes of its buffer. */
export const copied = (data: string | Uint8Array | ArrayBuffer): Frame =>
  typeof data === "string" ? data : (new Uint8Array(data as Uint8Array).slice().buffer as ArrayBuffer)

/** A frame as a trace shows it. */
export const printable = (frame: Frame): string =>
  typeof frame === "string"
    ? frame
    : Buffer.from(frame)
        .toString("latin1")
        .replace(/[^ -~]+/g, "·")
