/** The timers of one actor, and its receive timeout. They wait in the system's `Deadlines`. */
import * as Duration from "effect/Duration"
import type { ActorCell } from "./ActorCell.ts"
import type { Timers } from "./ActorContext.ts"
import { Deadline } from "./Deadlines.ts"
import { NO_METADATA } from "./Envelope.ts"
import { Message } from "./Message.ts"
import type * as Protocol from "./Protocol.ts"
import * as Signal from "./Signal.ts"

class Timer extends Deadline {
  readonly #timers: ActorTimers
  readonly #name: string
  readonly #payload: unknown
  /** Milliseconds, or `null`: once. */
  readonly interval: number | null
  /** The last one that it sent. */
  message: Message | null = null

  constructor(timers: ActorTimers, name: string, payload: unknown, interval: number | null) {
    super()
    this.#timers = timers
    this.#name = name
    this.#payload = payload
    this.interval = interval
  }

  /** Whether nothing more comes of it. */
  get over(): boolean {
    return this.index < 0 && this.message?.state !== "waiting"
  }

  fire(): void {
    // One tick at most waits in the mailbox.
    if (this.message?.state !== "waiting") this.message = this.#timers.send(this.#name, this.#payload)
    this.#timers.fired(this)
  }
}

/** Timers whose message is handled are left in the map until they outnumber the others by this. */
const SLACK = 16

export class ActorTimers implements Timers<Protocol.Any> {
  readonly #cell: ActorCell
  readonly #source: object
  readonly #timers = new Map<string, Timer>()
  #pending = 0

  constructor(cell: ActorCell, source: object) {
    this.#cell = cell
    this.#source = source
  }

  readonly once = (key: string, delay: Duration.Input, name: string, payload: unknown): void => {
    this.#set(key, new Timer(this, name, payload, null), Math.max(0, Duration.toMillis(delay)))
  }

  readonly every = (key: string, interval: Duration.Input, name: string, payload: unknown): void => {
    const millis = Duration.toMillis(interval)
    if (!(millis >= 1)) throw new RangeError(`a timer can't tick every ${millis} ms: 1 ms at least`)
    this.#set(key, new Timer(this, name, payload, millis), millis)
  }

  readonly has = (key: string): boolean => this.#timers.get(key)?.over === false

  readonly cancel = (key: string): boolean => {
    const timer = this.#timers.get(key)
    if (timer === undefined) return false
    this.#timers.delete(key)
    const { over } = timer
    this.#end(timer)
    return !over
  }

  readonly cancelAll = (): void => {
    for (const timer of this.#timers.values()) this.#end(timer)
    this.#timers.clear()
  }

  /** Whether one is still to fire. */
  get pending(): boolean {
    return this.#pending > 0
  }

  /** Sends a timer's message; it is dropped where it comes after this incarnation's end. */
  send(name: string, payload: unknown): Message {
    const message = new Message(name, payload, this.#cell, NO_METADATA, Infinity, null, null)
    message.source = this.#source
    this.#cell.deliver(message)
    return message
  }

  fired(timer: Timer): void {
    const { deadlines } = this.#cell.runtime
    if (timer.interval === null) {
      this.#pending--
      return
    }
    // Ticks that are past already are left out, and the rate is kept.
    const late = Math.max(0, Math.floor((deadlines.now() - timer.at) / timer.interval))
    deadlines.set(timer, timer.at + (late + 1) * timer.interval)
  }

  #set(key: string, timer: Timer, millis: number): void {
    this.cancel(key)
    if (this.#timers.size > 2 * this.#pending + SLACK) {
      for (const [key, timer] of this.#timers) if (timer.over) this.#timers.delete(key)
    }
    this.#timers.set(key, timer)
    this.#pending++
    const { deadlines } = this.#cell.runtime
    if (Number.isFinite(millis)) deadlines.set(timer, deadlines.now() + millis)
  }

  #end(timer: Timer): void {
    if (timer.index >= 0) this.#pending--
    this.#cell.runtime.deadlines.clear(timer)
    if (timer.message?.state === "waiting") timer.message.state = "cancelled"
  }
}

/** Signals an actor that no message came for a while. */
export class ReceiveTimeout extends Deadline {
  readonly #cell: ActorCell
  readonly #millis: number
  /** When the last message was handled; moved for each, while the deadline stays where it is. */
  lastAt: number

  constructor(cell: ActorCell, millis: number) {
    super()
    this.#cell = cell
    this.#millis = millis
    const { deadlines } = cell.runtime
    this.lastAt = deadlines.now()
    deadlines.set(this, this.lastAt + millis)
  }

  fire(): void {
    const { deadlines } = this.#cell.runtime
    const now = deadlines.now()
    if (this.#cell.occupied) this.lastAt = now
    if (now - this.lastAt >= this.#millis) {
      this.lastAt = now
      this.#cell.system(() => {
        // It may have been taken back, or the actor restarted, while the signal waited.
        if (this.#cell.incarnation?.receiveTimeout === this) this.#cell.signal(Signal.receiveTimeout)
      })
    }
    deadlines.set(this, this.lastAt + this.#millis)
  }
}
