/**
 * Reliable envelopes on their way to sessions: each session has an outbox, which is given them, gives them
 * numbers and keeps them. Here is what becomes of them as connections come and sessions go.
 */
import { AnswerStream, Envelope } from "@signal-hub/actor-core/vocabulary"
import type { Connection } from "../session/Connection.ts"
import { Outbox } from "../session/Outbox.ts"
import type { Kept } from "../session/OutboxRows.ts"
import type { Session } from "../session/Session.ts"
import { errorEnvelope } from "../protocol/HubEnvelope.ts"
import type { HubErrorCode } from "../protocol/HubError.ts"
import { HUB_ADDRESS } from "../protocol/HubMessage.ts"
import { failAsk } from "./features/AskEnds.ts"
import type { HubState } from "./HubState.ts"

/** The envelope that something is about. */
export type About = Pick<Envelope.Envelope, "id" | "seq">

/** The envelope in the delivery class of the one that it is about. */
export const likeThat = (envelope: Envelope.Envelope, about: About | null): Envelope.Envelope =>
  about?.seq === undefined ? envelope : Envelope.reliably(envelope)

/** What its sender knows the envelope by: of one that the hub was asked to send, the request's id. */
export const idAtSender = ({
  id,
  metadata: { originalMessageId, via },
}: Pick<Envelope.Envelope, "id" | "metadata">): string =>
  via === HUB_ADDRESS && typeof originalMessageId === "string" ? originalMessageId : id

/** Tells whoever sent the envelope, here or elsewhere, what became of it, in its delivery class. */
export const notifySender = (
  hub: HubState,
  envelope: Envelope.Envelope,
  code: HubErrorCode,
  message: string,
  now: number,
): void => {
  const { from, seq } = envelope
  if (from === "" || from === HUB_ADDRESS) return
  const about: About = { id: idAtSender(envelope), ...(seq !== undefined && { seq }) }
  const sender = hub.owner(from) ?? hub.resolve(from, now)
  if (sender !== undefined) return hub.reject({ session: sender, from, envelope: about, now }, code, message)
  hub.peersFor(from)?.send(likeThat(errorEnvelope(null, from, code, message, now, about.id), about), now)
}

const EXPIRED = "its ttl ran out before it was delivered"

/** Gives reliable envelopes to the outboxes of sessions, replays them, and passes them on after a takeover. */
export class Outboxes {
  readonly #hub: HubState

  constructor(hub: HubState) {
    this.#hub = hub
  }

  of(session: Session): Outbox {
    const { encodeFailures, port } = this.#hub
    return (session.outbox ??= new Outbox(port.sql, session, port.limits, {
      notEncoded: (envelope, error) => encodeFailures.add(envelope, session, error),
      unreadable: (error) =>
        port.log("error", "row_unreadable", { table: "outbox", sessionId: session.id, error: String(error) }),
    }))
  }

  offer(
    session: Session,
    envelope: Envelope.Envelope,
    connection: Connection | undefined,
    now: number,
  ): void {
    const outbox = this.of(session)
    const wasLive = session.replayed === null
    outbox.offer(envelope, connection, now)
    this.#hub.sequences.filled(session)
    // Its reader is slow: that it is behind is stored with what waits.
    if (wasLive && session.replayed !== null) this.#hub.sequences.moved(session)
    if (outbox.isOverfull && connection !== undefined) this.#hub.on.unread(session)
  }

  /** A volatile envelope waits until what came before it was replayed. `false`: too many wait. */
  hold(session: Session, envelope: Envelope.Envelope, { flow }: Connection): boolean {
    return this.of(session).hold(envelope, flow)
  }

  /** What waits for the session's client goes on to it, as far as it keeps up. */
  replay(session: Session, now: number): void {
    const connection = this.#hub.sessions.connectionOf(session)
    // To one that just connects nothing is sent before the answer.
    if (session.replayed === null || connection?.state !== "connected") return
    const late = this.of(session).replay(connection, now)
    this.#hub.sequences.moved(session)
    for (const envelope of late) this.#expired(envelope, now)
  }

  /** The session is over: what its client does not have is nobody's. */
  end(session: Session, now: number): void {
    if (session.major === 0) return
    for (const { envelope } of this.of(session).drain()) this.#hub.deadLetter(envelope, "disconnected", now)
  }

  /**
   * Another process speaks for the identity now: it gets what the loser's does not have, but for answers,
   * which are for who asked. Asks among them are its own to answer, and what is about them goes along. Part of
   * a step.
   */
  pass(loser: Session, winner: Session, isHeld: (envelope: Envelope.Envelope) => boolean, now: number): void {
    const kept = loser.major === 0 ? [] : this.of(loser).drain()
    const ids = new Set(kept.map(({ envelope: { from, id } }) => `${from} ${id}`))
    const isAskedFor = ({ correlationId, from, type }: Envelope.Envelope): boolean =>
      AnswerStream.isAboutAsk(type) && ids.has(`${from} ${correlationId}`)
    const isForWinner = ({ envelope }: Kept): boolean =>
      winner.major !== 0 && isHeld(envelope) && (envelope.correlationId === null || isAskedFor(envelope))
    const passing = kept.filter(isForWinner)
    if (passing.length > 0) this.of(winner).adopt(passing)
    for (const one of kept) if (!isForWinner(one)) this.#hub.deadLetter(one.envelope, "disconnected", now)
    for (const { envelope } of passing) {
      const ask = envelope.pattern === "ask" ? this.#askOf(envelope) : undefined
      if (ask?.targetSession === loser.id) this.#hub.asks.forward(ask, ask.target, winner.id)
    }
  }

  /** What waited for the client is too late. */
  #expired(envelope: Envelope.Envelope, now: number): void {
    const ask = envelope.pattern === "ask" ? this.#askOf(envelope) : undefined
    if (ask !== undefined) return failAsk(this.#hub, ask, "message_expired", envelope.to, now, EXPIRED)
    this.#hub.deadLetter(envelope, "expired", now)
    if (envelope.pattern === "tell" && envelope.correlationId === null) {
      notifySender(this.#hub, Envelope.reliably(envelope), "message_expired", EXPIRED, now)
    }
  }

  #askOf({ from, id }: Envelope.Envelope) {
    return from === "" ? undefined : this.#hub.asks.get(from, id)
  }
}
