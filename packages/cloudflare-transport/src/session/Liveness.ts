/** Who is alive: when a connection was last heard, and until when registrations hold. Pure arithmetic. */
import { type Limits, SILENT_INTERVALS } from "../protocol/Limits.ts"
import type { Connection } from "./Connection.ts"
import type { Session } from "./Session.ts"

/** How long somebody may be silent, in milliseconds. */
const silenceAllowed = (limits: Limits): number => SILENT_INTERVALS * limits.heartbeatInterval

/** When the connection was last heard: by a frame, or by a ping that the runtime answered. */
export const lastHeard = (connection: Connection): number =>
  Math.max(connection.heardAt, connection.pingedAt())

/**
 * Whether the connection was silent for too long. Where the clock was set back since it was heard, it is as if it was
 * heard now: neither are all dead then, nor does one that dies live on until the clock is there again.
 */
export const isSilent = (connection: Connection, limits: Limits, now: number): boolean => {
  const pingedAt = connection.pingedAt()
  const isNewPing = pingedAt > now && pingedAt !== connection.aheadPingedAt
  if (isNewPing) connection.aheadPingedAt = pingedAt
  if (isNewPing || connection.heardAt > now) connection.heardAt = now
  return now - Math.max(connection.heardAt, pingedAt > now ? 0 : pingedAt) >= silenceAllowed(limits)
}

/**
 * When the session was last heard: through its connection or, without one, before it went. One whose
 * socket went unnoticed is not yet known to be silent.
 */
export const sessionHeard = (session: Session, connection: Connection | undefined, now: number): number => {
  if (connection !== undefined) return lastHeard(connection)
  return session.connectionId === null ? session.heardAt : now
}

/** Until when a registration of this TTL holds, if nothing more is heard. Epoch milliseconds. */
export const leaseUntil = (heardAt: number, ttlSeconds: number, limits: Limits): number =>
  heardAt + Math.max(ttlSeconds * 1_000, silenceAllowed(limits))
