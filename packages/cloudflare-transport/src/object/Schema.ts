/**
 * The tables of hubs, gateways, topics and the directory. Rows are the truth, and memory is a cache of them.
 * Deadlines are columns with a partial index, so that the earliest is one look-up. A gateway has the same tables as a
 * hub. It serves one identity and so has few rows: an index would cost it a write for each row, and time at each
 * wake-up, for next to nothing.
 */
import { type Schema, schemaOf } from "./Tables.ts"

const WATCH = `CREATE TABLE watch (
  target TEXT NOT NULL,
  watcher TEXT NOT NULL,
  PRIMARY KEY (target, watcher)
) WITHOUT ROWID`

/** Notices for other objects, until they were delivered. */
const NOTICE = `CREATE TABLE notice (
  id INTEGER PRIMARY KEY,
  body TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  due_at INTEGER NOT NULL
)`

const TABLES: ReadonlyArray<string> = [
  WATCH,
  NOTICE,
  `CREATE TABLE identity (
    address TEXT PRIMARY KEY,
    epoch INTEGER NOT NULL,
    session TEXT,
    released_at INTEGER,
    takeovers INTEGER NOT NULL DEFAULT 0,
    takeovers_since INTEGER NOT NULL DEFAULT 0,
    formerly TEXT
  ) WITHOUT ROWID`,
  `CREATE TABLE session (
    id TEXT PRIMARY KEY,
    connection TEXT,
    identity TEXT,
    epoch INTEGER NOT NULL,
    major INTEGER NOT NULL,
    metadata TEXT NOT NULL,
    connected_at INTEGER NOT NULL,
    expiry_seconds INTEGER NOT NULL,
    heard_at INTEGER NOT NULL,
    grace_until INTEGER,
    claims TEXT,
    token_until INTEGER,
    resume_token TEXT,
    previous_token TEXT,
    in_seq INTEGER NOT NULL DEFAULT 0,
    out_acked INTEGER NOT NULL DEFAULT 0,
    replayed INTEGER
  ) WITHOUT ROWID`,
  `CREATE TABLE registration (
    address TEXT PRIMARY KEY,
    session TEXT NOT NULL,
    capabilities TEXT NOT NULL,
    metadata TEXT NOT NULL,
    ttl_seconds REAL NOT NULL,
    registered_at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    renewal_token TEXT NOT NULL,
    lease_until INTEGER
  ) WITHOUT ROWID`,
  `CREATE TABLE subscription (
    topic TEXT NOT NULL,
    owner TEXT NOT NULL,
    id TEXT NOT NULL,
    durable INTEGER NOT NULL,
    presence INTEGER NOT NULL,
    unused_since INTEGER,
    PRIMARY KEY (topic, owner)
  ) WITHOUT ROWID`,
  `CREATE TABLE ask (
    asker TEXT NOT NULL,
    id TEXT NOT NULL,
    asker_session TEXT NOT NULL,
    target TEXT NOT NULL,
    target_session TEXT NOT NULL,
    timeout INTEGER NOT NULL,
    deadline INTEGER NOT NULL,
    reliable INTEGER NOT NULL DEFAULT 0,
    asked TEXT,
    type TEXT,
    parts INTEGER,
    PRIMARY KEY (asker, id)
  ) WITHOUT ROWID`,
  `CREATE TABLE pause (
    reader TEXT NOT NULL,
    sender TEXT NOT NULL,
    address TEXT NOT NULL,
    PRIMARY KEY (reader, sender, address)
  ) WITHOUT ROWID`,
  `CREATE TABLE outbox (
    session TEXT NOT NULL,
    position INTEGER NOT NULL,
    first_seq INTEGER,
    count INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    frame BLOB NOT NULL,
    PRIMARY KEY (session, position)
  ) WITHOUT ROWID`,
  `CREATE TABLE numbers (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    id TEXT NOT NULL,
    reserved INTEGER NOT NULL
  )`,
  `CREATE TABLE sending (
    lane TEXT NOT NULL,
    position INTEGER NOT NULL,
    count INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    sender TEXT NOT NULL,
    session TEXT,
    claims TEXT,
    at TEXT,
    taken_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    due_at INTEGER NOT NULL DEFAULT 0,
    asks TEXT,
    envelopes BLOB NOT NULL,
    PRIMARY KEY (lane, position)
  ) WITHOUT ROWID`,
  `CREATE TABLE watermark (
    line TEXT PRIMARY KEY,
    last INTEGER NOT NULL,
    at INTEGER NOT NULL,
    refused TEXT
  ) WITHOUT ROWID`,
]

/** The one index that a gateway needs: any number of actors may watch its identity. */
const WATCHES_OF = "CREATE INDEX watch_watcher ON watch (watcher)"

const INDEXES: ReadonlyArray<string> = [
  WATCHES_OF,
  "CREATE INDEX identity_released ON identity (released_at) WHERE released_at IS NOT NULL",
  "CREATE INDEX session_grace ON session (grace_until) WHERE grace_until IS NOT NULL",
  "CREATE INDEX session_token ON session (token_until) WHERE token_until IS NOT NULL",
  "CREATE INDEX registration_session ON registration (session)",
  "CREATE INDEX registration_lease ON registration (lease_until) WHERE lease_until IS NOT NULL",
  "CREATE INDEX subscription_owner ON subscription (owner)",
  "CREATE INDEX subscription_unused ON subscription (unused_since) WHERE unused_since IS NOT NULL",
  "CREATE INDEX ask_deadline ON ask (deadline)",
  "CREATE INDEX ask_asker_session ON ask (asker_session)",
  "CREATE INDEX ask_target_session ON ask (target_session)",
]

/** The tables of a hub. */
export const HUB: Schema = schemaOf(...TABLES, ...INDEXES)

/** The tables of a gateway. */
export const GATEWAY: Schema = schemaOf(...TABLES, WATCHES_OF)

/** The tables of a topic, or of a part of its subscribers. */
export const TOPIC: Schema = schemaOf(
  `CREATE TABLE member (
    owner TEXT PRIMARY KEY,
    presence INTEGER NOT NULL,
    metadata TEXT NOT NULL,
    connected INTEGER NOT NULL DEFAULT 1
  ) WITHOUT ROWID`,
  "CREATE TABLE below (branch INTEGER PRIMARY KEY, listens INTEGER NOT NULL)",
)

/** The tables of a shard of the directory. */
export const DIRECTORY: Schema = schemaOf(
  WATCH,
  NOTICE,
  `CREATE TABLE entry (
    address TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    capabilities TEXT NOT NULL,
    metadata TEXT NOT NULL,
    registered_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    version INTEGER NOT NULL
  ) WITHOUT ROWID`,
)
