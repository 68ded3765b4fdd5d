/**
 * What was received, and when the hub is told of it: with whatever leaves, and, where nothing does, at
 * once, but no more often than it must. What it is told, it forgets.
 */
import type { Ack } from "../protocol/HubMessage.ts"
import type { Timers } from "./Timers.ts"

/** Milliseconds between acknowledgments that nothing else takes along. */
const ACK_INTERVAL = 250
/** Envelopes that are acknowledged at once. */
const ACK_EVERY = 64

export class Acks {
  readonly #timers: Timers
  readonly #send: () => void
  /** The last number that came from the hub, of this session. */
  arrived = 0
  /** All through this number was taken. */
  through = 0
  /** Bytes of all data frames on this connection. */
  bytes = 0
  /** Of the newest probe on this connection, until the hub is told of it. */
  nonce: string | undefined
  /** What the hub was told of, on this connection. */
  #told: Ack = { through: 0, bytes: 0 }
  #toldAt = -Infinity
  #everyBytes = Infinity
  #disarm: (() => void) | undefined

  /** `send` is called when what `take` gives should leave. */
  constructor(timers: Timers, send: () => void) {
    this.#timers = timers
    this.#send = send
  }

  /** A new connection begins: its `hub:connect` says what was taken so far. */
  attach(): void {
    this.detach()
    this.bytes = 0
    this.nonce = undefined
    this.#told = { through: this.through, bytes: 0 }
    this.#everyBytes = Infinity
  }

  /** Says how many bytes came each time that it was so many. */
  countBytes(every: number): void {
    this.#everyBytes = every
  }

  /** All through this number is taken, and the hub was told of it; 0: a new session begins. */
  restart(through: number): void {
    this.arrived = through
    this.through = through
    this.#told = { ...this.#told, through }
  }

  /** A frame was taken, with all that it led to. */
  received(): void {
    const { bytes, through } = this
    if (bytes - this.#told.bytes >= this.#everyBytes || through - this.#told.through >= ACK_EVERY) {
      return this.#send()
    }
    if (!this.isOwed || this.#disarm !== undefined) return
    const wait = this.#toldAt + ACK_INTERVAL - this.#timers.now()
    if (wait <= 0) return this.#send()
    this.#disarm = this.#timers.after(wait, () => {
      this.#disarm = undefined
      this.#send()
    })
  }

  /** Whether envelopes were taken, or a probe came, that the hub does not know of yet. */
  get isOwed(): boolean {
    return this.through > this.#told.through || this.nonce !== undefined
  }

  /** What the hub is told now. */
  take(): Ack {
    this.detach()
    this.#toldAt = this.#timers.now()
    const { bytes, nonce, through } = this
    this.#told = { through, bytes }
    this.nonce = undefined
    return nonce === undefined ? this.#told : { through, bytes, nonce }
  }

  /** Says nothing more on this connection. */
  detach(): void {
    this.#disarm?.()
    this.#disarm = undefined
  }
}
