/**
 * How far the reliable envelopes of sessions are, both ways: stored once a turn, with all that they led to,
 * and what came in is then told to its sender. Where something leaves for it anyway the receipt goes along;
 * else there is at most one an interval, or one for so many envelopes.
 */
import { hubEnvelope } from "../protocol/HubEnvelope.ts"
import type { Ack } from "../protocol/HubMessage.ts"
import type { Connection } from "../session/Connection.ts"
import type { Order } from "../session/InSequence.ts"
import { addressOf, type Session } from "../session/Session.ts"
import type { Sessions } from "../session/Sessions.ts"
import type { HubPort } from "./HubPort.ts"

/** Stores the sequence numbers that changed in an event, and sends acknowledgements for them. */
export class Sequences {
  readonly #port: HubPort
  readonly #sessions: Sessions
  /** Sessions whose numbers have changed in this turn. */
  readonly #moved = new Set<Session>()
  /** Sessions whose outboxes were given something in this turn. */
  readonly #filled = new Set<Session>()
  /** Sessions whose client has told what it has, which is stored with whatever is stored next, or soon. */
  readonly #acknowledged = new Set<Session>()
  #willForget = false
  /** Sessions whose client is yet to be told what was taken. */
  readonly #owed = new Set<Session>()

  constructor(port: HubPort, sessions: Sessions) {
    this.#port = port
    this.#sessions = sessions
  }

  /** A reliable envelope came. */
  order(session: Session, seq: number): Order {
    const order = session.incoming.order(seq)
    if (order !== "gap") this.#moved.add(session)
    return order
  }

  /** The session's numbers have changed. */
  moved(session: Session): void {
    this.#moved.add(session)
  }

  /** The session's outbox was given something. */
  filled(session: Session): void {
    this.#filled.add(session)
  }

  /**
   * The session's client has more of its outbox. Nothing that leaves depends on it, so that it makes no commit
   * of its own but for the last: lost in a crash, it is as if it had not come.
   */
  acknowledged(session: Session): void {
    this.#acknowledged.add(session)
    if (this.#willForget) return
    this.#willForget = true
    this.#port.later(this.#port.limits.ackInterval, () => {
      this.#willForget = false
      for (const session of this.#acknowledged) this.#moved.add(session)
    })
  }

  /** The turn is over: what has changed is stored, before anything of it leaves. */
  settle(): void {
    if (this.#filled.size > 0) {
      for (const session of this.#filled) session.outbox?.write(this.#sessions.connectionOf(session))
      this.#filled.clear()
    }
    if (this.#moved.size === 0) return
    for (const session of this.#acknowledged) this.#moved.add(session)
    this.#acknowledged.clear()
    const now = this.#port.now()
    for (const session of this.#moved) {
      // Over meanwhile: its row is gone.
      if (this.#sessions.byId(session.id) === session) this.#settle(session, now)
    }
    this.#moved.clear()
  }

  #settle(session: Session, now: number): void {
    const { incoming } = session
    const connection = this.#sessions.connectionOf(session)
    // What was refused at once comes after what still waits.
    if (connection?.parked === null) incoming.done = incoming.arrived
    session.outbox?.forget()
    this.#sessions.saveSequences(session)
    if (connection === undefined || !isToBeTold(session)) return
    const { ackEvery, ackInterval } = this.#port.limits
    const isMuch = incoming.taken - incoming.told >= ackEvery
    if (isMuch || connection.outgoing.length > 0 || now - incoming.toldAt >= ackInterval) {
      return this.#tell(session, connection, now)
    }
    this.#owed.add(session)
    if (this.#owed.size === 1) this.#port.later(ackInterval, () => this.tellOwed())
  }

  /** Those who wait for a receipt get it now. */
  tellOwed(): void {
    const now = this.#port.now()
    const owed = [...this.#owed]
    this.#owed.clear()
    for (const session of owed) {
      const connection = this.#sessions.connectionOf(session)
      if (connection !== undefined && isToBeTold(session)) this.#tell(session, connection, now)
    }
  }

  #tell(session: Session, connection: Connection, now: number): void {
    session.incoming.tell(now)
    const payload: Ack = { through: session.incoming.told, bytes: connection.received }
    connection.send(hubEnvelope("hub:ack", addressOf(session), payload, now))
  }
}

/**
 * Whether the client is to hear what was taken of it. What it was refused comes first: with the receipt alone,
 * and another process in its place, it would think that all went on.
 */
const isToBeTold = ({ incoming, replayed }: Session): boolean => incoming.isDue && replayed === null
