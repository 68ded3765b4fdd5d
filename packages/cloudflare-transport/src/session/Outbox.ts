/**
 * The port through which envelopes leave for a session, whatever becomes of its connection. The
 * volatile outbox hands over to the live connection or refuses; one that stores what is not yet
 * acknowledged takes its place for reliable envelopes.
 */
import type { Envelope } from "@signal-hub/actor-core"
import type { Connection } from "./Connection.ts"
import type { Multicast } from "./Multicast.ts"
import type { Session } from "./Session.ts"

export interface Outbox {
  /** Whether the envelope is on its way. `false`: the session has no connection, nothing was kept. */
  readonly offer: (session: Session, envelope: Envelope.Envelope, copyOf?: Multicast) => boolean
}

/** An outbox that keeps nothing. `connectionOf` gives the open connection of a session. */
export const volatileOutbox = (connectionOf: (session: Session) => Connection | undefined): Outbox => ({
  offer: (session, envelope, copyOf) => {
    const connection = connectionOf(session)
    if (connection === undefined) return false
    connection.send(envelope, copyOf)
    return true
  },
})
