/**
 * The hub in workerd, with its storage on disk: it can be killed, evicted and deployed anew, and goes on from
 * what is stored.
 */
import { cpSync, mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { startWorkerd, type Workerd } from "../../bench/lib/workerd.ts"

/** What is stored, counted. */
export interface Stored {
  readonly outbox: number
  readonly asks: number
  /** The epoch of each identity that a session holds. */
  readonly epochs: ReadonlyMap<string, number>
  /** Sessions that hold no identity. */
  readonly strays: number
}

export interface Server extends AsyncDisposable {
  readonly port: () => number
  /** `kill -9`, then a start on the same storage. Resolves when it listens. */
  readonly kill: () => Promise<void>
  /** The object leaves memory; its sockets hibernate, or close as with a deploy. */
  readonly evict: (webSockets: "hibernate" | "close") => Promise<void>
  /** Looks into a copy of the database. */
  readonly stored: () => Stored
}

const BINDING = "SIGNAL_HUB"
/** An eviction waits for a moment without a timer: with these such moments come soon. */
const LIMITS = { ackInterval: 20, connectTimeout: 500 }

/** `script` is the Worker's module. */
export const startServer = async (script: string): Promise<Server> => {
  const storage = mkdtempSync(join(tmpdir(), "signal-hub-chaos-"))
  const start = (): Promise<Workerd> =>
    startWorkerd({
      script,
      durableObjects: { [BINDING]: "SignalHub" },
      vars: { AUTH_MODE: "open", LOG_LEVEL: "error", LIMITS: JSON.stringify(LIMITS) },
      storage,
    })
  let workerd = await start()
  return {
    port: () => workerd.port,
    kill: async () => {
      await workerd[Symbol.asyncDispose]()
      workerd = await start()
    },
    evict: (webSockets) => workerd.evict(BINDING, "default", webSockets),
    stored: () => lookInto(storage),
    [Symbol.asyncDispose]: async () => {
      await workerd[Symbol.asyncDispose]()
      rmSync(storage, { recursive: true, force: true })
    },
  }
}

/** The hub's is the only object, so that its database is the only one. */
const lookInto = (storage: string): Stored => {
  const copy = mkdtempSync(join(tmpdir(), "signal-hub-chaos-copy-"))
  try {
    cpSync(storage, copy, { recursive: true })
    const files = readdirSync(copy, { recursive: true, encoding: "utf8" })
    const file = files.find((name) => /[0-9a-f]{64}\.sqlite$/.test(name))
    if (file === undefined) throw new Error(`no database of the hub among ${files.join(", ")}`)
    using database = new DatabaseSync(join(copy, file))
    const count = (query: string): number => Number(database.prepare(query).get()?.["n"])
    // A table that never had a row is not there.
    const isMade = (table: string): boolean =>
      count(`SELECT count(*) AS n FROM sqlite_master WHERE type = 'table' AND name = '${table}'`) > 0
    const rows = (table: string): number => (isMade(table) ? count(`SELECT count(*) AS n FROM ${table}`) : 0)
    const held = database
      .prepare("SELECT address, identity.epoch AS epoch FROM identity JOIN session ON session.id = session")
      .all()
    return {
      outbox: rows("outbox"),
      asks: rows("ask"),
      epochs: new Map(held.map(({ address, epoch }) => [String(address), Number(epoch)])),
      strays: count(
        "SELECT count(*) AS n FROM session WHERE id NOT IN (SELECT session FROM identity WHERE session IS NOT NULL)",
      ),
    }
  } finally {
    rmSync(copy, { recursive: true, force: true })
  }
}
