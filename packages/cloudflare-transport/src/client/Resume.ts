/**
 * The session as this client keeps it: what takes it up on the next connection, and what becomes of its
 * reliable messages where it is not taken up.
 */
import type { Envelope } from "@signal-hub/actor-core/vocabulary"
import type { Connected, NotResumedReason, Resume as ResumeRequest } from "../protocol/HubMessage.ts"
import { SessionLost } from "./ClientError.ts"
import { Emitter } from "./Emitter.ts"
import type { Inbox } from "./Inbox.ts"
import type { Journal } from "./Journal.ts"
import type { PendingAsks } from "./PendingAsks.ts"
import type { SessionEvent } from "./State.ts"
import type { Unacknowledged } from "./Unacknowledged.ts"

/**
 * Why a session was not taken up: what the hub says (`expired`, …), `forbidden` where it did not believe
 * this client, `superseded` where another connection had taken the identity.
 */
export type SessionLostReason = NotResumedReason | "forbidden" | "superseded"

/** Reliable messages that were sent, and of which nobody knows whether the hub has them, in order. */
export interface Unconfirmed {
  /** Why they never will be confirmed; `closed`: this client ended. */
  readonly reason: SessionLostReason | "closed"
  /** Asks among them have failed, too. */
  readonly envelopes: ReadonlyArray<Envelope.Envelope>
}

/** What takes a session up; a secret. */
export type Ticket = Omit<ResumeRequest, "lastSeq">

/** Events that are kept while nobody listens: the last so many. */
const KEPT = 100

export class Resume {
  readonly events = new Emitter<SessionEvent>(KEPT)
  readonly #unacknowledged: Unacknowledged
  readonly #inbox: Inbox
  readonly #pending: PendingAsks
  readonly #journal: Journal | undefined
  #ticket: Ticket | undefined
  #lost: SessionLostReason | undefined

  constructor(
    unacknowledged: Unacknowledged,
    inbox: Inbox,
    pending: PendingAsks,
    journal: Journal | undefined,
  ) {
    this.#unacknowledged = unacknowledged
    this.#inbox = inbox
    this.#pending = pending
    this.#journal = journal
  }

  /** What `hub:connect` says to have the session again; `undefined`: there is none. */
  get request(): ResumeRequest | undefined {
    return this.#ticket && { ...this.#ticket, lastSeq: this.#inbox.through }
  }

  /** The session that an earlier process had. */
  restore(ticket: Ticket | undefined): void {
    this.#ticket = ticket
  }

  /** The hub accepted. Whether it is the same session; and why not, where it was to be. */
  accept({ session, sessionId }: Connected): boolean | SessionLostReason {
    const resumed = session?.resumed === true && this.#ticket !== undefined
    if (resumed) this.#unacknowledged.resume(session.inSeq)
    else if (this.#ticket !== undefined) this.lose(session?.reason ?? "unknown_session")
    this.#ticket = session && { sessionId, resumeToken: session.resumeToken }
    this.#journal?.session(this.#ticket)
    const lost = this.#lost
    this.#lost = undefined
    return lost ?? resumed
  }

  /** The session is over, and with it `unsent`: who waits for what it was to bring is told. */
  lose(reason: Unconfirmed["reason"], unsent: ReadonlyArray<Envelope.Envelope> = []): void {
    if (this.#ticket === undefined && unsent.length === 0) return
    this.#ticket = undefined
    this.#journal?.session(undefined)
    if (reason !== "closed") this.#lost = reason
    const envelopes = [...this.#unacknowledged.end().map(({ envelope }) => envelope), ...unsent]
    this.#inbox.reset()
    this.#pending.loseReliable(
      new SessionLost({
        reason,
        message: `the session was lost with this on its way (${reason}); it may have been acted on`,
      }),
    )
    if (envelopes.length === 0) return
    this.events.emit({ type: "unconfirmed", unconfirmed: { reason, envelopes } })
  }
}
