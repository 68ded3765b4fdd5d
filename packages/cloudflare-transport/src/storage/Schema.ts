/**
 * The tables of a hub. Rows are the truth; whatever is in memory is a cache of them. Deadlines are
 * columns with an index of those that have one, so that the earliest is one look-up. A gateway has the same
 * tables and, as it serves one identity, few rows: it would pay for an index with each of them, and at each
 * wake-up, for next to nothing.
 */
import { rowsIfThere, type Sql } from "./Sql.ts"

const TABLES: ReadonlyArray<string> = [
  `CREATE TABLE identity (
    address TEXT PRIMARY KEY,
    epoch INTEGER NOT NULL,
    session TEXT,
    released_at INTEGER
  ) WITHOUT ROWID`,
  `CREATE INDEX identity_released ON identity (released_at) WHERE released_at IS NOT NULL`,
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
    grace_until INTEGER
  ) WITHOUT ROWID`,
  `CREATE INDEX session_grace ON session (grace_until) WHERE grace_until IS NOT NULL`,
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
  `CREATE INDEX registration_session ON registration (session)`,
  `CREATE INDEX registration_lease ON registration (lease_until) WHERE lease_until IS NOT NULL`,
  `CREATE TABLE subscription (
    topic TEXT NOT NULL,
    owner TEXT NOT NULL,
    id TEXT NOT NULL,
    durable INTEGER NOT NULL,
    presence INTEGER NOT NULL,
    unused_since INTEGER,
    PRIMARY KEY (topic, owner)
  ) WITHOUT ROWID`,
  `CREATE INDEX subscription_owner ON subscription (owner)`,
  `CREATE INDEX subscription_unused ON subscription (unused_since) WHERE unused_since IS NOT NULL`,
  `CREATE TABLE watch (
    target TEXT NOT NULL,
    watcher TEXT NOT NULL,
    PRIMARY KEY (target, watcher)
  ) WITHOUT ROWID`,
  `CREATE INDEX watch_watcher ON watch (watcher)`,
  `CREATE TABLE ask (
    asker TEXT NOT NULL,
    id TEXT NOT NULL,
    asker_session TEXT NOT NULL,
    target TEXT NOT NULL,
    target_session TEXT NOT NULL,
    timeout INTEGER NOT NULL,
    deadline INTEGER NOT NULL,
    PRIMARY KEY (asker, id)
  ) WITHOUT ROWID`,
  `CREATE INDEX ask_deadline ON ask (deadline)`,
  `CREATE INDEX ask_asker_session ON ask (asker_session)`,
  `CREATE INDEX ask_target_session ON ask (target_session)`,
]

/** What brings a database from one version to the next; never changed once it is released. */
const STEPS: ReadonlyArray<ReadonlyArray<string>> = [
  TABLES,
  [
    `ALTER TABLE session ADD COLUMN claims TEXT`,
    `ALTER TABLE session ADD COLUMN token_until INTEGER`,
    `CREATE INDEX session_token ON session (token_until) WHERE token_until IS NOT NULL`,
  ],
  [
    "ALTER TABLE identity ADD COLUMN takeovers INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE identity ADD COLUMN takeovers_since INTEGER NOT NULL DEFAULT 0",
    `CREATE TABLE pause (
      reader TEXT NOT NULL,
      sender TEXT NOT NULL,
      address TEXT NOT NULL,
      PRIMARY KEY (reader, sender, address)
    ) WITHOUT ROWID`,
  ],
  [
    "ALTER TABLE identity ADD COLUMN formerly TEXT",
    "ALTER TABLE session ADD COLUMN resume_token TEXT",
    "ALTER TABLE session ADD COLUMN previous_token TEXT",
    "ALTER TABLE session ADD COLUMN in_seq INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE session ADD COLUMN out_acked INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE session ADD COLUMN replayed INTEGER",
    "ALTER TABLE ask ADD COLUMN reliable INTEGER NOT NULL DEFAULT 0",
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
  ],
  [
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
  ],
]

/** The version of the tables of this code. */
export const CURRENT = STEPS.length

/** The version of the tables that are there; 0: nobody was ever here, there are none. One row read. */
export const versionOf = (sql: Sql): number => {
  // To fail costs more than to ask: a blank database is as usual as another.
  if (sql.isBlank()) return 0
  return rowsIfThere<{ version: number }>(sql, "SELECT version FROM schema_version")?.[0]?.version ?? 0
}

/** Whether tables of this version are those of this code. */
export const isCurrent = (version: number): boolean => version >= CURRENT

/** How many identities an object serves. */
export type Serves = "many" | "one"

/** For rows of which a gateway may have as many as others make: who watches its identity. */
const ALWAYS = "CREATE INDEX watch_watcher"

const isNeeded = (statement: string, serves: Serves): boolean =>
  serves === "many" || !statement.startsWith("CREATE INDEX") || statement.startsWith(ALWAYS)

/** Brings the tables from the version that they have to that of this code, and gives it. */
export const migrate = (sql: Sql, serves: Serves, version: number = versionOf(sql)): number => {
  if (isCurrent(version)) return version
  sql.transaction(() => {
    if (version === 0) sql.run("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)")
    for (const statement of STEPS.slice(version).flat()) if (isNeeded(statement, serves)) sql.run(statement)
    sql.run("DELETE FROM schema_version")
    sql.run("INSERT INTO schema_version (version) VALUES (?)", CURRENT)
  })
  return CURRENT
}
