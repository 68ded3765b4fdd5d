/**
 * A message inside a process: decoded, on its way to an actor or in its mailbox. One object a message:
 * it is its own link in the mailbox, and gets an id only where somebody asks for it.
 */
import type { Address } from "./Address.ts"
import type { ActorCell } from "./ActorCell.ts"
import type { ActorErrorPayload } from "./AskError.ts"
import type { Envelope, Metadata } from "./Envelope.ts"
import type { Transport } from "./Transport.ts"

/** Where the end of an ask goes. One of these is called, once. */
export interface Answer {
  readonly succeed: (value: unknown) => void
  /** A typed error of the protocol. */
  readonly fail: (error: unknown) => void
  readonly refuse: (refusal: ActorErrorPayload) => void
  /** Who asked gave up. */
  readonly cancelled?: () => void
  /** Where it goes to another process: the ask as it came, and how to hand it on to another actor there. */
  readonly remote: RemoteAsk | null
}

/** An ask from another process, not answered yet. */
export interface RemoteAsk {
  readonly envelope: Envelope
  readonly transport: Transport
  /** Forgets it, unanswered: somebody else answers. */
  readonly letGo: () => void
}

/** Why actors of this process refuse asks. */
export const TERMINATED: ActorErrorPayload = {
  code: "actor_terminated",
  message: "the actor stopped before it answered",
  retryable: true,
}
export const NOT_ACTIVATED: ActorErrorPayload = {
  code: "activation_failed",
  message: "the actor could not begin; the next message lets it try again",
  retryable: true,
}
export const FAILED: ActorErrorPayload = {
  code: "actor_failed",
  message: "the actor failed",
  retryable: false,
}
export const EXPIRED: ActorErrorPayload = {
  code: "message_expired",
  message: "the message expired before the actor came to it",
  retryable: true,
}
export const MAILBOX_FULL: ActorErrorPayload = {
  code: "mailbox_full",
  message: "the actor's mailbox is full",
  retryable: true,
}
export const NO_ANSWER: ActorErrorPayload = {
  code: "no_answer",
  message: "the actor handled the ask and did not answer it",
  retryable: false,
}

/** Something of this process that can be answered to by its address. */
export interface Addressed {
  readonly address: Address
}

export class Message {
  readonly name: string
  readonly payload: unknown
  readonly sender: Addressed | Address | null
  /** When it is no longer worth handling, monotonic milliseconds; `Infinity`: never. */
  readonly deadline: number
  readonly metadata: Metadata
  readonly pattern: "tell" | "ask"
  /** Made when it is read where the sender gave none. */
  id: string | null
  /** Where its answer goes; `null` where nobody waits for one, or no longer. */
  answer: Answer | null
  /** `cancelled`: not to be handled, as its asker gave up, or the timer that sent it was cancelled. */
  state: "waiting" | "taken" | "cancelled" = "waiting"
  /** What it ends with: an actor's restart outdates what its timers and pipes sent before. */
  source: object | null = null
  /** Whether a tell is reliable, should it go to another process. */
  reliable = false
  /** Of an ask: the actor that has it now. */
  holder: ActorCell | null = null
  /** The one behind it in a mailbox. */
  next: Message | null = null

  constructor(
    name: string,
    payload: unknown,
    sender: Addressed | Address | null,
    metadata: Metadata,
    deadline: number,
    answer: Answer | null,
    id: string | null,
  ) {
    this.name = name
    this.payload = payload
    this.sender = sender
    this.deadline = deadline
    this.metadata = metadata
    this.pattern = answer === null ? "tell" : "ask"
    this.id = id
    this.answer = answer
  }

  /** The answer, for who gives it: nobody else gets it after. */
  takeAnswer(): Answer | null {
    const { answer } = this
    this.answer = null
    return answer
  }
}

/** The address of a message's sender, as far as it can be answered to. */
export const senderAddress = (sender: Addressed | Address | null): Address | null =>
  sender === null || typeof sender === "string" ? sender : sender.address
