/**
 * The tables of a durable actor. Rows are the truth; what memory holds is a cache that may be thrown away. Blobs
 * are values as `StoredValue` has them.
 */
import { SNAPSHOT } from "./SqlitePersistence.ts"
import { type Schema, schemaOf } from "../object/Tables.ts"

export const DURABLE: Schema = schemaOf(
  SNAPSHOT,
  // What was done, so that it is not done again; with its answer, where it is an ask that has one.
  `CREATE TABLE actor_handled (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    sender TEXT NOT NULL,
    id TEXT NOT NULL,
    at INTEGER NOT NULL,
    answer BLOB,
    UNIQUE (sender, id)
  )`,
  // What was taken and is not done.
  `CREATE TABLE actor_inbox (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    sender TEXT NOT NULL,
    id TEXT NOT NULL,
    delivery BLOB NOT NULL,
    UNIQUE (sender, id)
  )`,
  // What is sent and was not taken.
  `CREATE TABLE actor_outbox (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    target TEXT NOT NULL,
    delivery BLOB NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    due_at INTEGER NOT NULL
  )`,
  `CREATE INDEX actor_outbox_target ON actor_outbox (target, n)`,
  `CREATE INDEX actor_outbox_due ON actor_outbox (due_at)`,
  // The name of what is sent reliably.
  `CREATE TABLE actor_line (id TEXT NOT NULL)`,
  // The actor's own asks: who has them, and was asked where that is another; where the answer goes, and the
  // answer, once it is there.
  `CREATE TABLE actor_ask (
    id TEXT PRIMARY KEY,
    target TEXT NOT NULL,
    next TEXT NOT NULL,
    about BLOB NOT NULL,
    deadline INTEGER NOT NULL,
    answer BLOB,
    asked TEXT
  ) WITHOUT ROWID`,
  `CREATE INDEX actor_ask_deadline ON actor_ask (deadline)`,
  // Answers that the actor owes.
  `CREATE TABLE actor_owed (
    token TEXT PRIMARY KEY,
    asker TEXT NOT NULL,
    id TEXT NOT NULL,
    home TEXT NOT NULL,
    deadline INTEGER NOT NULL,
    asked TEXT
  ) WITHOUT ROWID`,
  `CREATE INDEX actor_owed_ask ON actor_owed (asker, id)`,
  `CREATE INDEX actor_owed_deadline ON actor_owed (deadline)`,
  // Streams that are given, from memory.
  `CREATE TABLE actor_stream (
    asker TEXT NOT NULL,
    id TEXT NOT NULL,
    home TEXT NOT NULL,
    asked TEXT,
    PRIMARY KEY (asker, id)
  ) WITHOUT ROWID`,
  `CREATE TABLE actor_timer (
    key TEXT PRIMARY KEY,
    at INTEGER NOT NULL,
    every INTEGER,
    name TEXT NOT NULL,
    payload BLOB NOT NULL
  ) WITHOUT ROWID`,
  `CREATE INDEX actor_timer_at ON actor_timer (at)`,
  `CREATE TABLE actor_receive_timeout (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    at INTEGER NOT NULL,
    millis INTEGER NOT NULL
  )`,
  // Whom the actor watches; with a reason, once it has ended.
  `CREATE TABLE actor_watching (
    address TEXT PRIMARY KEY,
    begun INTEGER NOT NULL,
    reason TEXT
  ) WITHOUT ROWID`,
  // Who watches the actor.
  `CREATE TABLE actor_watcher (address TEXT PRIMARY KEY) WITHOUT ROWID`,
)
