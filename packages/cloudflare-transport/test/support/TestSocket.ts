/** A socket of the test host: what was sent on it, and the attachment that outlives memory. */
import type { Envelope } from "@signal-hub/actor-core"
import type { Connection } from "../../src/session/Connection.ts"

type Kept = Pick<Connection, "state" | "sessionId" | "major" | "strikes" | "failures" | "heardAt" | "claims">

export class TestSocket {
  readonly id: string
  readonly openedAt: number
  /** What was sent and not yet taken by the test. */
  readonly sent: Array<Envelope.Envelope> = []
  isOpen = true
  /** How the hub closed it. */
  close: { readonly code: number; readonly reason: string } | undefined
  pingedAt = 0
  #attachment: string

  constructor(id: string, now: number, claims: string | null) {
    this.id = id
    this.openedAt = now
    const fresh: Kept = {
      state: "connecting",
      sessionId: null,
      major: null,
      strikes: 0,
      failures: 0,
      heardAt: now,
      claims,
    }
    this.#attachment = JSON.stringify(fresh)
  }

  /** A connection as it is after hibernation: from the attachment alone. `markDirty` gets its flush. */
  wake(markDirty: (flush: () => void) => void): Connection {
    const kept = JSON.parse(this.#attachment) as Kept
    const connection: Connection = {
      ...kept,
      id: this.id,
      openedAt: this.openedAt,
      session: undefined,
      outgoing: [],
      parked: null,
      pingedAt: () => this.pingedAt,
      send: (envelope) => {
        if (connection.outgoing.push(envelope) === 1) markDirty(() => this.#flush(connection))
      },
      save: () => {
        const { state, sessionId, major, strikes, failures, heardAt, claims } = connection
        const now: Kept = { state, sessionId, major, strikes, failures, heardAt, claims }
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
    for (const envelope of connection.outgoing.splice(0)) {
      if (this.isOpen) this.sent.push(JSON.parse(JSON.stringify(envelope)) as Envelope.Envelope)
    }
  }
}
