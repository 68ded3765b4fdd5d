/**
 * The sockets that have yet to say `hub:connect`: how many there may be, and for how long. One timer for
 * all of them; the sweep finds those that outlived it.
 */
import { CloseCode } from "../../protocol/CloseCode.ts"
import { errorEnvelope } from "../../protocol/HubEnvelope.ts"
import { provisionalAddress } from "../../protocol/HubMessage.ts"
import type { Connection } from "../../session/Connection.ts"
import type { HubState } from "../HubState.ts"
import { closeConnection } from "./Lifecycle.ts"

/** Holds the connections without a session. It closes those that are too many and those that wait too long. */
export class PendingConnections {
  readonly #hub: HubState
  /** Oldest first. */
  readonly #waiting = new Set<Connection>()
  #cancelTimer: (() => void) | undefined

  constructor(hub: HubState) {
    this.#hub = hub
  }

  get isEmpty(): boolean {
    return this.#waiting.size === 0
  }

  /** A socket was accepted: it waits, or is refused where too many do. */
  opened(connection: Connection, now: number): void {
    const { limits } = this.#hub.port
    if (this.#waiting.size >= limits.maxUnconnectedSockets) {
      const message = `${limits.maxUnconnectedSockets} connections wait for hub:connect, the most there may be`
      return this.#refuse(connection, message, CloseCode.Unavailable, now)
    }
    this.#waiting.add(connection)
    this.#hub.alarm.atLatest(now + limits.sweepInterval)
    this.#watch()
  }

  /** The connection waits no more. Where none does, the object may hibernate. */
  settled(connection: Connection): void {
    this.#waiting.delete(connection)
    if (this.#waiting.size > 0) return
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
  }

  /** Ends the connection where it has waited too long. */
  endOverdue(connection: Connection, now: number): boolean {
    const { connectTimeout } = this.#hub.port.limits
    // By a clock that was set back meanwhile it is long ago, too.
    if (Math.abs(now - connection.openedAt) < connectTimeout) return false
    this.settled(connection)
    const message = `no hub:connect within ${connectTimeout / 1_000} s`
    this.#refuse(connection, message, CloseCode.Timeout, now)
    return true
  }

  /** While the timer runs, the object does not hibernate. */
  #watch(): void {
    const [oldest] = this.#waiting
    if (this.#cancelTimer !== undefined || oldest === undefined) return
    const { port } = this.#hub
    const { connectTimeout } = port.limits
    const left = oldest.openedAt + connectTimeout - port.now()
    this.#cancelTimer = port.later(Math.min(Math.max(0, left), connectTimeout), () => {
      this.#cancelTimer = undefined
      const now = port.now()
      for (const connection of this.#waiting) if (!this.endOverdue(connection, now)) break
      this.#watch()
    })
  }

  #refuse(connection: Connection, message: string, code: CloseCode, now: number): void {
    const to = provisionalAddress(connection.id)
    const error = code === CloseCode.Timeout ? "timeout" : "registry_full"
    connection.send(errorEnvelope(null, to, error, message, now, null))
    this.#hub.log("warn", "connection_rejected", { connectionId: connection.id, code, reason: message })
    closeConnection(this.#hub, connection, code, message)
  }
}
