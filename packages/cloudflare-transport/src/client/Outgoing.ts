/**
 * What is on its way out of a live socket: envelopes that are sent in one turn leave in one frame, at
 * the turn's end, or sooner where the frame is full.
 */
import { ratedBytes } from "../protocol/Frame.ts"
import { FRAME_OVERHEAD, type FrameCodec, type Part } from "./FrameCodec.ts"
import type { Journal } from "./Journal.ts"
import type { Waiting } from "./SendQueue.ts"
import type { SocketLike } from "./Socket.ts"
import { ENVELOPE_VALUES } from "./Validation.ts"

/** Bytes in the socket's own buffer above which nothing more is taken. */
const MAX_BUFFERED = 16 * 1_048_576

/** More bytes, and more values, than a rider has. */
const RIDER_BYTES = 512
const RIDER_VALUES = 2 * ENVELOPE_VALUES

/** The most that a frame may hold. */
export interface FrameLimits {
  readonly maxMessageSize: number
  readonly maxValues: number
}

export interface OutgoingOptions {
  readonly frames: FrameCodec
  /** A frame waits for what it is to store. */
  readonly journal: Journal | undefined
  /** Gives what leaves with a frame, where one leaves. */
  readonly rider: () => Part | undefined
  /** A frame of so many bytes leaves. */
  readonly onFrame: (bytes: number) => void
}

export class Outgoing {
  #parts: Array<Part> = []
  #bytes = FRAME_OVERHEAD
  /** Values in the frame; of the array that it is, one. */
  #values = 1
  #scheduled = false
  readonly #socket: SocketLike
  readonly #options: OutgoingOptions
  limits: FrameLimits
  /** True where each envelope leaves in a frame of its own. */
  isSingle = false

  constructor(socket: SocketLike, limits: FrameLimits, options: OutgoingOptions) {
    this.#socket = socket
    this.limits = limits
    this.#options = options
  }

  /** Whether the socket takes data: it may have begun to close before it says so. */
  get open(): boolean {
    return this.#socket.readyState === 1
  }

  /** Whether the socket takes data slower than it is given. */
  get full(): boolean {
    return (this.#socket.bufferedAmount ?? 0) > MAX_BUFFERED
  }

  /** Bytes of the next frame, as it is so far. */
  get bytes(): number {
    return this.#bytes
  }

  /** Sends it with the next frame. */
  push({ part, values }: Pick<Waiting, "part" | "values">): void {
    const { maxMessageSize, maxValues } = this.limits
    const size = this.#options.frames.sizeOf(part, maxMessageSize - this.#bytes)
    const isFull = this.#bytes + size > maxMessageSize || this.#values + values > maxValues
    if (this.#parts.length > 0 && isFull) this.flush()
    this.#parts.push(part)
    this.#bytes += size
    this.#values += values
    if (this.isSingle) return this.flush()
    if (this.#scheduled) return
    this.#scheduled = true
    queueMicrotask(() => {
      this.#scheduled = false
      this.flush()
    })
  }

  /** Sends what there is, now. */
  flush(): void {
    if (this.#parts.length === 0) return
    const { frames, journal, onFrame, rider: riderOf } = this.#options
    const { maxMessageSize, maxValues } = this.limits
    const hasRoom = this.#bytes + RIDER_BYTES <= maxMessageSize && this.#values + RIDER_VALUES <= maxValues
    const rider = hasRoom ? riderOf() : undefined
    if (rider !== undefined) this.#parts.push(rider)
    const frame = frames.join(this.#parts)
    this.#parts = []
    this.#bytes = FRAME_OVERHEAD
    this.#values = 1
    onFrame(ratedBytes(frame, Infinity))
    if (journal === undefined) this.#send(frame)
    else journal.stored(() => this.#send(frame))
  }

  /** A socket that is closing drops it, as the network may. */
  #send(frame: string | Uint8Array): void {
    if (this.open) this.#socket.send(frame)
  }
}
