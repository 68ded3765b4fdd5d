/**
 * The order of what comes in: an envelope is handled at once, or waits behind an earlier one of its
 * connection, which waits for another object, or for a commit together with others.
 */
import { Envelope } from "@signal-hub/actor-core/vocabulary"
import { errorEnvelope } from "../protocol/HubEnvelope.ts"
import { provisionalAddress } from "../protocol/HubMessage.ts"
import { isMessageToHub, rowOf } from "../protocol/requests.ts"
import type { Connection, Parked } from "../session/Connection.ts"
import type { Session } from "../session/Session.ts"
import type { HubState } from "./HubState.ts"

/** Who has less than this part of its burst left writes rows together with others. */
const GATHER_BELOW_TOKEN_PART = 0.9

/** Who leaves so many milliseconds after another leaves together with it. */
const CROWD_MS = 20

/** What is written in one turn at most, so that others are served before the rest. */
const MAX_WRITES_PER_TURN = 200

/** Handles an envelope now. */
type Handle = (connection: Connection, envelope: Envelope.Envelope, receivedAt: number, now: number) => void

/** What waits for a commit: an envelope led to it, which may have to be answered, or the loss of a connection. */
type Write =
  | {
      readonly connection: Connection
      readonly envelope: Envelope.Envelope
      readonly write: (now: number) => void
    }
  | { readonly connection: null; readonly write: (now: number) => void }

/** Passes each message to its handler at once, or behind the earlier ones of its connection. */
export class IngressQueue {
  readonly #hub: HubState
  readonly #handle: Handle
  /** What is written with the next commit, in the order in which it came. */
  readonly #writes: Array<Write> = []
  /** When somebody last left, epoch milliseconds. */
  #leftAt = 0
  /** Whether they are written now. */
  #together = false

  constructor(hub: HubState, handle: Handle) {
    this.#hub = hub
    this.#handle = handle
  }

  take(connection: Connection, envelope: Envelope.Envelope, receivedAt: number): void {
    if (connection.parked === null || isReceipt(connection, envelope)) {
      this.#handle(connection, envelope, receivedAt, receivedAt)
    } else if (this.#mayPark(connection, connection.parked)) {
      connection.parked.push({ envelope, receivedAt, received: connection.received })
    } else this.#refuseParked(connection, envelope, receivedAt)
  }

  /**
   * Whether the envelope writes rows and may wait for what others send: as its sender sends so much, or as it is a
   * farewell and others leave too.
   */
  mayWait({ rate, sessionId }: Connection, { type }: Envelope.Envelope): boolean {
    if (this.#together || sessionId === null) return false
    if (type === "hub:disconnect") return this.leavesInCrowd()
    return rate.tokenPart < GATHER_BELOW_TOKEN_PART && isMessageToHub(type) && rowOf(type).writes === true
  }

  /** Whether who leaves now leaves together with others: many at once would hold up all others, a commit each. */
  leavesInCrowd(): boolean {
    const now = this.#hub.port.now()
    const isCrowd = this.#writes.length > 0 || now - this.#leftAt < CROWD_MS
    this.#leftAt = now
    return isCrowd
  }

  /** What writes rows waits for what comes in together with it; so does what its connection sends next. */
  gather(connection: Connection, envelope: Envelope.Envelope, write: (now: number) => void): void {
    connection.parked ??= []
    this.#push({ connection, envelope, write })
  }

  /** What a lost connection leads to is written with the next commit, after what came on it before. */
  gatherLoss(write: (now: number) => void): void {
    this.#push({ connection: null, write })
  }

  #push(write: Write): void {
    this.#writes.push(write)
    if (this.#writes.length === 1) this.#hub.port.soon(() => this.#writeSome())
  }

  /** What the connection waited for is there: handles what came meanwhile. */
  unpark(connection: Connection): void {
    const parked = connection.parked ?? []
    connection.parked = null
    const now = this.#hub.port.now()
    for (let i = 0; i < parked.length; i++) {
      const next = parked[i]!
      if ("refusal" in next) this.#refuseNow(connection, next.refusal, next.seq, now)
      else this.#handle(connection, next.envelope, next.receivedAt, now)
      // Parked anew by what was just handled: the rest goes on waiting, before what comes later.
      if (isParked(connection)) {
        connection.parked!.push(...parked.slice(i + 1))
        return
      }
    }
  }

  /**
   * The reliable envelope that came last is refused. Behind others it is told with them: should they be lost
   * with the connection, all of it comes again, and its sender must not have heard of it.
   */
  refuse(connection: Connection, session: Session, refusal: Envelope.Envelope): void {
    const { arrived, done } = session.incoming
    if (connection.parked !== null && arrived > done)
      connection.parked.push({ refusal, seq: arrived, received: connection.received })
    else this.#hub.deliver(session, refusal, this.#hub.port.now())
  }

  #refuseNow(connection: Connection, refusal: Envelope.Envelope, seq: number, now: number): void {
    const session = this.#hub.sessions.of(connection)
    if (session === undefined) return
    session.incoming.done = seq
    this.#hub.sequences.moved(session)
    this.#hub.deliver(session, refusal, now)
  }

  /** What came in together is written together: a commit costs more than all else that a request does. */
  #writeSome(): void {
    const { port } = this.#hub
    const now = port.now()
    const writes = this.#writes.splice(0, MAX_WRITES_PER_TURN)
    if (this.#writes.length > 0) port.soon(() => this.#writeSome())
    this.#together = true
    for (const one of writes) {
      if (one.connection === null) {
        one.write(now)
        continue
      }
      const { connection, envelope, write } = one
      const waiting = connection.parked ?? []
      connection.parked = null
      try {
        write(now)
      } catch (error) {
        connection.parked = waiting
        const to = provisionalAddress(connection.id)
        const message = "the hub failed on this message"
        connection.send(errorEnvelope(connection.major, to, "internal_error", message, now, envelope.id))
        if (connection.parked?.length === 0) connection.parked = null
        throw error
      }
      // What was written may have to wait for another object: what came after it waits too.
      if (isParked(connection)) connection.parked!.push(...waiting)
      else {
        connection.parked = waiting
        this.unpark(connection)
      }
    }
    this.#together = false
  }

  /** Whether there is room: of envelopes, and of the bytes that have come since the first of them. */
  #mayPark(connection: Connection, parked: ReadonlyArray<Parked>): boolean {
    const bytes = connection.received - (parked[0]?.received ?? connection.received)
    return parked.length < this.#mostParked(connection) && bytes < this.#hub.port.limits.maxParkedBytes
  }

  #mostParked({ sessionId }: Connection): number {
    const { maxParked, maxParkedUnconnected } = this.#hub.port.limits
    return sessionId === null ? maxParkedUnconnected : maxParked
  }

  #refuseParked(connection: Connection, envelope: Envelope.Envelope, now: number): void {
    const hub = this.#hub
    const message = "too much waits for an earlier message of this connection"
    const session = hub.sessions.of(connection)
    if (session === undefined) {
      const to = provisionalAddress(connection.id)
      return connection.send(errorEnvelope(null, to, "queue_full", message, now, envelope.id))
    }
    const to = hub.enforceFrom(session, envelope.from, now)
    if (envelope.seq === undefined || session.major === 0) {
      return hub.reject({ session, from: to, envelope, now }, "queue_full", message)
    }
    hub.metrics.errors++
    const refusal = errorEnvelope(session.major, to, "queue_full", message, now, envelope.id)
    this.refuse(connection, session, Envelope.reliably(refusal))
  }
}

const isParked = (connection: Connection): boolean => connection.parked !== null

/**
 * A receipt waits for nothing: it is about what was sent, and what is to be sent waits for it. One that was refused
 * would not come again.
 */
const isReceipt = ({ sessionId }: Connection, { seq, type }: Envelope.Envelope): boolean =>
  type === "hub:ack" && seq === undefined && sessionId !== null
