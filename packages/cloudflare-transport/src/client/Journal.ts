/**
 * Keeps the session beyond this process: its ticket, what was taken, and what is reliable and not yet
 * acknowledged. Nothing is sent before what it depends on is stored. Loaded where there is a persistence.
 */
import { TransportError } from "@signal-hub/actor-core/vocabulary"
import type { CloseCode } from "../protocol/CloseCode.ts"
import type { Channel } from "./Channel.ts"
import type { FrameCodec } from "./FrameCodec.ts"
import { type Persistence, type Store, StoreTaken } from "./Persistence.ts"
import type { Ticket } from "./Resume.ts"
import type { Waiting } from "./SendQueue.ts"
import type { Ended } from "./SocketLife.ts"
import { openStore, STORE_STEPS, type StoreStep } from "./StoredVersion.ts"

/** A message as it is stored; with its number where it was sent. */
interface Kept extends Omit<Waiting, "part" | "values"> {
  readonly order: number
  /** When it was given to the queue, epoch milliseconds: another process reads it. */
  readonly since: number
}

const TAKEN: Ended = {
  // Not from the table of codes, which the client would have to load apart then.
  code: 4409 satisfies typeof CloseCode.Superseded,
  cause: "another process has taken the stored session",
  verdict: "superseded",
  connectedAt: undefined,
  retryAfterMs: undefined,
}

const MESSAGE = "message/"

export class Journal {
  readonly #persistence: Persistence
  readonly #steps: ReadonlyArray<StoreStep>
  /** Messages of an earlier process, as they were found: newer code may have given them fields. */
  readonly #found = new Map<string, Kept>()
  readonly #frames: FrameCodec
  /** `undefined`: nothing is stored any more. */
  #store: Store | undefined
  #channel: Channel | undefined
  #changes = new Map<string, unknown>()
  #waiting: Array<() => void> = []
  #writing = false
  /** Where a message stands among those that are kept, by its id. */
  readonly #orders = new Map<string, number>()
  #order = 0
  #isTaken = false
  /** Called when another process has the session. */
  onTaken = (): void => {}

  constructor(persistence: Persistence, frames: FrameCodec, steps: ReadonlyArray<StoreStep> = STORE_STEPS) {
    this.#persistence = persistence
    this.#steps = steps
    this.#frames = frames
  }

  /** Opens the store, and gives the channel what is in it. Where that fails, it is told and goes on without. */
  async open(channel: Channel): Promise<void> {
    this.#channel = channel
    this.#isTaken = false
    try {
      this.#store = await openStore(this.#persistence, this.#steps)
      this.#restore(channel, this.#store.entries)
    } catch (error) {
      this.#fail(error)
    }
  }

  /** Throws where what is stored is none of a client's. */
  #restore(channel: Channel, entries: Store["entries"]): void {
    const kept = [...entries]
      .flatMap(([key, value]) => (key.startsWith(MESSAGE) ? [value as Kept] : []))
      .toSorted((a, b) => (a.seq ?? Infinity) - (b.seq ?? Infinity) || a.order - b.order)
    this.#found.clear()
    for (const each of kept) {
      const { envelope, order } = each
      this.#found.set(envelope.id, each)
      this.#orders.set(envelope.id, order)
      this.#order = Math.max(this.#order, order + 1)
    }
    const { now, timestamp } = channel.timers
    const waiting = kept.map(({ envelope, seq, since }): Waiting => {
      const restored = channel.sender.encode(envelope, now() - Math.max(0, timestamp() - since))
      if (restored instanceof TransportError) throw restored
      if (seq !== undefined) restored.seq = seq
      return restored
    })
    channel.inbox.restore((entries.get("taken") as number | undefined) ?? 0)
    channel.session.restore(entries.get("session") as Ticket | undefined)
    channel.sender.unacknowledged.restore(waiting.filter(({ seq }) => seq !== undefined))
    channel.sender.first(waiting.filter(({ seq }) => seq === undefined))
  }

  /** Takes the store back from who took it. */
  async retake(): Promise<void> {
    const channel = this.#channel
    if ((await this.lost()) !== undefined && channel !== undefined) await this.open(channel)
  }

  /**
   * What an attempt comes to where another process has the session, and with it what was kept to be sent.
   * Else all is stored that was said so far.
   */
  async lost(): Promise<Ended | undefined> {
    await new Promise<void>((resolve) => this.stored(resolve))
    try {
      await this.#store?.write(new Map())
    } catch (error) {
      if (error instanceof StoreTaken) this.#surrender()
    }
    return this.#isTaken ? TAKEN : undefined
  }

  /** How the session is taken up; `undefined`: there is none. */
  session(ticket: Ticket | undefined): void {
    this.#change("session", ticket)
    if (ticket === undefined) this.#change("taken", undefined)
  }

  /** The last number that was taken from the hub. */
  taken(seq: number): void {
    this.#change("taken", seq)
  }

  /** Keeps the message as it is now. */
  keep({ part, seq, since }: Waiting): void {
    // It is stored later, and what the user gave may have changed by then.
    const envelope = this.#frames.decode(part)
    let order = this.#orders.get(envelope.id)
    if (order === undefined) this.#orders.set(envelope.id, (order = this.#order++))
    const { now, timestamp } = this.#channel!.timers
    const kept: Kept = {
      envelope,
      ...this.#found.get(envelope.id),
      order,
      since: timestamp() - (now() - since),
      ...(seq !== undefined && { seq }),
    }
    this.#change(MESSAGE + order, kept)
  }

  /** Keeps the message of this id no longer. */
  drop(id: string): void {
    const order = this.#orders.get(id)
    if (order === undefined) return
    this.#orders.delete(id)
    this.#found.delete(id)
    this.#change(MESSAGE + order, undefined)
  }

  /** Calls once all that was said so far is stored, or never will be; at once where it is. */
  stored(then: () => void): void {
    if (!this.#writing && this.#changes.size === 0) return then()
    this.#waiting.push(then)
    this.#begin()
  }

  #change(key: string, value: unknown): void {
    if (this.#store === undefined) return
    this.#changes.set(key, value)
    this.#begin()
  }

  #begin(): void {
    if (this.#writing) return
    this.#writing = true
    // What is said in one turn is written together.
    queueMicrotask(() => void this.#write())
  }

  async #write(): Promise<void> {
    while (this.#changes.size > 0 || this.#waiting.length > 0) {
      const changes = this.#changes
      const waiting = this.#waiting
      this.#changes = new Map()
      this.#waiting = []
      try {
        if (changes.size > 0) await this.#store?.write(changes)
      } catch (error) {
        if (error instanceof StoreTaken) {
          this.#surrender()
          this.onTaken()
        } else this.#fail(error)
      }
      for (const then of waiting) then()
    }
    this.#writing = false
  }

  #surrender(): void {
    this.#isTaken = true
    this.#store = undefined
    this.#changes.clear()
    this.#orders.clear()
    const channel = this.#channel
    // Who asked is here still, and may ask again.
    const unsent = channel?.sender.take(
      ({ envelope }) => envelope.seq !== undefined && envelope.pattern === "tell",
    )
    channel?.session.lose("superseded", unsent)
  }

  #fail(error: unknown): void {
    this.#store = undefined
    this.#changes.clear()
    this.#channel?.session.events.emit({ type: "notStored", error })
  }
}
