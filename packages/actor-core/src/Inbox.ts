/**
 * The inbox of one actor: its mailbox with the bound that it has, who waits outside for room, and what
 * the actor put aside. It decides what is kept; when a message is handled is its actor's matter.
 */
import { StashFull } from "./ActorError.ts"
import type { ActorErrorPayload } from "./AskError.ts"
import type { Reason } from "./DeadLetters.ts"
import { type Mailbox, MessageQueue } from "./Mailbox.ts"
import { type Addressed, MAILBOX_FULL, type Message, TERMINATED } from "./Message.ts"

/** How many messages an actor can put aside, unless its options say otherwise. */
const DEFAULT_STASH = 1_000

/** Who the messages are for. */
interface Owner extends Addressed {
  /** Ends a message that is not handled. */
  readonly drop: (reason: Reason, message: Message, refusal: ActorErrorPayload) => void
}

/** Told once what became of an offered message: taken, or refused and why. */
export type Taken = (refusal: Reason | null) => void

export class Inbox extends MessageQueue {
  readonly #owner: Owner
  readonly #bound: Mailbox | undefined
  /** Messages that wait for room. */
  #offers: Map<Message, Taken> | null = null
  #stash: Array<Message> | null = null

  constructor(owner: Owner, bound: Mailbox | undefined) {
    super()
    this.#owner = owner
    this.#bound = bound
  }

  get #full(): boolean {
    return this.#bound !== undefined && this.size >= this.#bound.capacity
  }

  /** Takes the message in, or ends it as the bound says. */
  put(message: Message): void {
    if (!this.#full) return this.push(message)
    const overflow = this.#bound?.overflow
    if (overflow === "backpressure" && message.answer !== null) {
      // Who asks waits anyway.
      const taken: Taken = (refusal) => {
        if (refusal !== null) this.#owner.drop(refusal, message, TERMINATED)
      }
      return void this.#wait(message, taken)
    }
    if (overflow !== "drop-oldest") return this.#owner.drop("mailbox_full", message, MAILBOX_FULL)
    const oldest = this.shift()
    this.push(message)
    if (oldest?.state === "waiting") this.#owner.drop("mailbox_full", oldest, MAILBOX_FULL)
  }

  /** As `put`, and says when there was room, or that there is none. What is returned takes it back. */
  offer(message: Message, taken: Taken): (() => void) | undefined {
    const overflow = this.#full ? this.#bound?.overflow : undefined
    if (overflow === "backpressure") return this.#wait(message, taken)
    if (overflow !== "fail") this.put(message)
    taken(overflow === "fail" ? "mailbox_full" : null)
    return undefined
  }

  #wait(message: Message, taken: Taken): () => void {
    this.#offers ??= new Map()
    this.#offers.set(message, taken)
    return () => this.withdraw(message)
  }

  /** Nobody waits any more for the message to be taken. */
  withdraw(message: Message): void {
    this.#offers?.delete(message)
  }

  /** The next message; its room is for one that waits outside. */
  take(): Message | null {
    const message = this.shift()
    // What was put aside may have come back meanwhile, without asking for room.
    if (message === null || this.#offers === null || this.#full) return message
    for (const [offered, taken] of this.#offers) {
      this.#offers.delete(offered)
      this.push(offered)
      taken(null)
      break
    }
    if (this.#offers.size === 0) this.#offers = null
    return message
  }

  /** Puts a message aside. Throws `StashFull`. */
  stash(message: Message, limit: number = DEFAULT_STASH): void {
    this.#stash ??= []
    if (this.#stash.length >= limit) {
      throw new StashFull({
        message: `${this.#owner.address} has put ${limit} messages aside, which is its limit`,
      })
    }
    this.#stash.push(message)
  }

  /** What was put aside comes before all that waits, oldest first. */
  unstashAll(): void {
    const stashed = this.#stash ?? []
    this.#stash = null
    for (const message of stashed.toReversed()) {
      if (message.state === "cancelled") continue
      message.state = "waiting"
      this.unshift(message)
    }
  }

  /** Whether nothing waits in it, and nothing is put aside. */
  get empty(): boolean {
    return this.size === 0 && this.#stash === null
  }

  /** All that is in it waits, whatever its bound: another activation of the actor takes it over. */
  gather(): void {
    this.unstashAll()
    const offers = this.#offers
    this.#offers = null
    for (const [message, taken] of offers ?? []) {
      this.push(message)
      taken(null)
    }
  }

  /** Ends all that is in it: the actor handles no more. */
  close(refusal: ActorErrorPayload): void {
    const all = this.#stash ?? []
    this.#stash = null
    for (let message = this.shift(); message !== null; message = this.shift()) all.push(message)
    const offers = this.#offers
    this.#offers = null
    for (const message of all) this.#abandon(message, refusal)
    for (const taken of offers?.values() ?? []) taken("terminated")
  }

  #abandon(message: Message, refusal: ActorErrorPayload): void {
    // What the actor sent to itself is nobody's loss.
    if (message.state === "cancelled" || message.source !== null) return
    this.#owner.drop("terminated", message, refusal)
  }
}
