/** A socket of the test host: what was sent on it, and the attachment that outlives memory. */
import { type Envelope, JsonCodec } from "@signal-hub/actor-core"
import type { Limits } from "../../src/protocol/Limits.ts"
import type { Connection } from "../../src/session/Connection.ts"
import { Flow, type FlowState, NO_FLOW } from "../../src/session/Flow.ts"
import { fullBucket, RateBucket, type RateState } from "../../src/session/RateBucket.ts"

type Kept = Pick<
  Connection,
  "state" | "sessionId" | "major" | "strikes" | "failures" | "heardAt" | "claims" | "received"
> &
  RateState &
  FlowState

export class TestSocket {
  readonly id: string
  readonly openedAt: number
  /** What was sent and not yet taken by the test. */
  readonly sent: Array<Envelope.Envelope> = []
  /** Bytes that were sent on it in all. */
  received = 0
  isOpen = true
  /** How the hub closed it. */
  close: { readonly code: number; readonly reason: string } | undefined
  pingedAt = 0
  readonly #limits: Limits
  #attachment: string

  constructor(id: string, limits: Limits, now: number, claims: string | null) {
    this.id = id
    this.openedAt = now
    this.#limits = limits
    const fresh: Kept = {
      state: "connecting",
      sessionId: null,
      major: null,
      strikes: 0,
      failures: 0,
      heardAt: now,
      claims,
      received: 0,
      ...fullBucket(limits, now),
      ...NO_FLOW,
    }
    this.#attachment = JSON.stringify(fresh)
  }

  /** A connection as it is after hibernation: from the attachment alone. `markDirty` gets its flush. */
  wake(markDirty: (flush: () => void) => void): Connection {
    const kept = JSON.parse(this.#attachment) as Kept
    const connection: Connection = {
      ...kept,
      rate: new RateBucket(this.#limits, kept),
      flow: new Flow(this.#limits, kept),
      id: this.id,
      codec: JsonCodec,
      frame: undefined,
      openedAt: this.openedAt,
      session: undefined,
      outgoing: [],
      parked: null,
      replies: null,
      pingedAt: () => this.pingedAt,
      send: (envelope) => {
        if (connection.outgoing.push(envelope) === 1) markDirty(() => this.#flush(connection))
      },
      save: () => {
        const { state, sessionId, major, strikes, failures, heardAt, claims, received, rate, flow } =
          connection
        const { tokens, filledAt, refusals, refusedSince } = rate
        const { sent, acked, slow } = flow
        const session = { state, sessionId, major, strikes, failures, heardAt, claims, received }
        const now: Kept = { ...session, tokens, filledAt, refusals, refusedSince, sent, acked, slow }
        this.#attachment = JSON.stringify(now)
      },
      close: (code, reason) => {
        this.#flush(connection)
        if (!this.isOpen) return
        this.isOpen = false
        this.close = { code, reason }
      },
    }
    return connection
  }

  /** Sends what is in line on the connection; what finds the socket closed is lost. */
  #flush(connection: Connection): void {
    connection.frame = undefined
    if (!this.isOpen) return void connection.outgoing.splice(0)
    for (const envelope of connection.outgoing.splice(0)) {
      const frame = JSON.stringify(envelope)
      const bytes = Buffer.byteLength(frame)
      if (connection.major === 1) connection.flow.count(bytes)
      this.received += bytes
      this.sent.push(JSON.parse(frame) as Envelope.Envelope)
    }
    if (connection.major === 1) connection.save()
  }
}
