/**
 * What is on its way out of a live socket: envelopes that are sent in one turn leave in one frame, at
 * the turn's end, or sooner where the frame is full.
 */
import { FRAME_OVERHEAD, type FrameCodec, type Part } from "./FrameCodec.ts"
import type { Journal } from "./Journal.ts"
import type { SocketLike } from "./Socket.ts"

/** Bytes in the socket's own buffer above which nothing more is taken. */
export const MAX_BUFFERED = 16 * 1_048_576

/** More bytes than a rider has. */
const RIDER_BYTES = 512

export class Outgoing {
  #parts: Array<Part> = []
  #bytes = FRAME_OVERHEAD
  #scheduled = false
  readonly #socket: SocketLike
  readonly #frames: FrameCodec
  readonly #rider: () => Part | undefined
  readonly #journal: Journal | undefined
  /** Bytes that a frame may have. */
  maxFrame: number

  /** `rider` gives what leaves with a frame, where one leaves. A frame waits for what `journal` is to store. */
  constructor(
    socket: SocketLike,
    frames: FrameCodec,
    maxFrame: number,
    rider: () => Part | undefined,
    journal: Journal | undefined,
  ) {
    this.#socket = socket
    this.#frames = frames
    this.maxFrame = maxFrame
    this.#rider = rider
    this.#journal = journal
  }

  /** Whether the socket takes data: it may have begun to close before it says so. */
  get open(): boolean {
    return this.#socket.readyState === 1
  }

  /** Whether the socket takes data slower than it is given. */
  get full(): boolean {
    return (this.#socket.bufferedAmount ?? 0) > MAX_BUFFERED
  }

  push(part: Part): void {
    const size = this.#frames.sizeOf(part, this.maxFrame - this.#bytes)
    if (this.#parts.length > 0 && this.#bytes + size > this.maxFrame) this.flush()
    this.#parts.push(part)
    this.#bytes += size
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
    const rider = this.#bytes + RIDER_BYTES > this.maxFrame ? undefined : this.#rider()
    if (rider !== undefined) this.#parts.push(rider)
    const frame = this.#frames.join(this.#parts)
    this.#parts = []
    this.#bytes = FRAME_OVERHEAD
    if (this.#journal === undefined) this.#send(frame)
    else this.#journal.stored(() => this.#send(frame))
  }

  /** A socket that is closing drops it, as the network may. */
  #send(frame: string | Uint8Array): void {
    if (this.open) this.#socket.send(frame)
  }
}
