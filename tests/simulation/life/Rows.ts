/** What must hold of the rows of a hub or gateway after each step: nothing is there without its owner. */
import type { ObjectPlace } from "../platform/ObjectPlace.ts"
import { TIGHT_LIMITS } from "./limits.ts"
import { OPEN } from "../platform/ServerSocket.ts"
import type { Ledger } from "./Ledger.ts"

interface Rule {
  readonly says: string
  readonly tables: ReadonlyArray<string>
  /** Rows that break it. */
  readonly query: string
  /** Only where all sessions are in one object. */
  readonly hubOnly?: boolean
  /** Only where limits are tight. */
  readonly tightOnly?: boolean
}

const NO_OWNER = (owner: string): string =>
  `NOT EXISTS (SELECT 1 FROM session WHERE identity = ${owner} OR '@(session/' || id || ')' = ${owner})`

/** Envelopes: those that an outbox takes, as many refusals and ends of asks, and what a burst of 400 leads to. */
const MOST_OUTBOX = 2 * TIGHT_LIMITS.maxOutboxEnvelopes + 400

const RULES: ReadonlyArray<Rule> = [
  {
    says: "an identity has one session",
    tables: ["session"],
    query: `SELECT identity FROM session WHERE identity IS NOT NULL GROUP BY identity HAVING count(*) > 1`,
  },
  {
    says: "a session with an identity is the identity's",
    tables: ["session", "identity"],
    query: `SELECT * FROM session WHERE identity IS NOT NULL AND NOT EXISTS (
      SELECT 1 FROM identity WHERE address = session.identity AND session = session.id AND epoch = session.epoch)`,
  },
  {
    says: "an identity's session is there",
    tables: ["session", "identity"],
    query: `SELECT * FROM identity WHERE session IS NOT NULL AND session NOT IN (SELECT id FROM session)`,
  },
  {
    says: "a session has a connection or waits for one",
    tables: ["session"],
    query: `SELECT * FROM session WHERE (connection IS NULL) = (grace_until IS NULL)`,
  },
  {
    says: "a registration has a session",
    tables: ["session", "registration"],
    query: `SELECT * FROM registration WHERE session NOT IN (SELECT id FROM session)`,
  },
  {
    says: "a subscription has an owner",
    tables: ["session", "subscription"],
    query: `SELECT * FROM subscription WHERE durable = 0 AND ${NO_OWNER("owner")}`,
  },
  {
    says: "a watch has a watcher",
    tables: ["session", "watch"],
    query: `SELECT * FROM watch WHERE ${NO_OWNER("watcher")}`,
    hubOnly: true,
  },
  {
    says: "an ask has an asker and a target",
    tables: ["session", "ask"],
    query: `SELECT * FROM ask
      WHERE (asker_session NOT LIKE '@(%' AND asker_session NOT IN (SELECT id FROM session))
      OR (target_session NOT LIKE '@(%' AND target_session NOT IN (SELECT id FROM session))`,
  },
  {
    says: "an outbox has a session",
    tables: ["session", "outbox"],
    query: `SELECT session, position FROM outbox WHERE session NOT IN (SELECT id FROM session)`,
  },
  {
    says: "what is acknowledged leaves no row",
    tables: ["session", "outbox"],
    query: `SELECT session, position, first_seq, count, out_acked FROM outbox JOIN session ON session.id = session
      WHERE first_seq + count - 1 <= out_acked`,
  },
  {
    says: "an outbox is bounded",
    tables: ["session", "outbox"],
    // What one frame brings is taken whole.
    query: `SELECT session, sum(count) AS count FROM outbox GROUP BY session HAVING sum(count) > ${MOST_OUTBOX}`,
    tightOnly: true,
  },
  {
    says: "a pause has a reader",
    tables: ["session", "pause"],
    query: `SELECT * FROM pause WHERE reader NOT IN (SELECT id FROM session)`,
    hubOnly: true,
  },
]

/** What is left of a hub or gateway where nobody is. */
const EMPTY = ["session", "registration", "subscription", "watch", "ask", "outbox", "pause", "sending"]

interface Attached {
  readonly id: string
  readonly state: string
  readonly sessionId: string | null
}

/** A socket that is connected carries its session, which knows of no other. */
const checkSockets = (place: ObjectPlace, ledger: Ledger): void => {
  for (const socket of place.sockets) {
    const attached = socket.deserializeAttachment() as Attached | null
    if (socket.readyState !== OPEN || attached?.state !== "connected") continue
    const [session] = place.storage.look<{ connection: string | null }>(
      `SELECT connection FROM session WHERE id = '${attached.sessionId}'`,
    )
    if (session?.connection === attached.id) continue
    // A gateway whose client said goodbye answers when others have heard of it.
    if (session === undefined && place.kind === "gateway") continue
    const fact = session === undefined ? "is over" : `has connection ${session.connection}`
    ledger.broken("a connected socket carries its session", `${place}: of ${attached.id} the session ${fact}`)
  }
}

export const checkRows = (place: ObjectPlace, ledger: Ledger, isTight: boolean): void => {
  const { kind, storage } = place
  if ((kind !== "hub" && kind !== "gateway") || !storage.has("session")) return
  checkSockets(place, ledger)
  for (const { hubOnly, query, says, tables, tightOnly } of RULES) {
    const isElsewhere = (hubOnly === true && kind !== "hub") || (tightOnly === true && !isTight)
    if (isElsewhere || !tables.every((table) => storage.has(table))) continue
    const [row] = storage.look(query)
    if (row !== undefined) ledger.broken(says, `${place}: ${JSON.stringify(row)}`)
  }
}

/** Nobody is connected any more, and all deadlines are over. */
export const checkEmpty = (place: ObjectPlace, ledger: Ledger): void => {
  const { kind, storage } = place
  // Of a cut socket the platform may never tell.
  if (kind === "gateway" && place.sockets.size === 0 && !storage.isBlank) {
    ledger.broken("a gateway that nobody needs keeps no table", `${place}`)
  }
  if (kind !== "hub" && kind !== "gateway") return
  for (const table of EMPTY) {
    if (!storage.has(table)) continue
    const [row] = storage.look(`SELECT * FROM ${table}`)
    if (row !== undefined)
      ledger.broken("what is over leaves no row", `${place} ${table}: ${JSON.stringify(row)}`)
  }
}
