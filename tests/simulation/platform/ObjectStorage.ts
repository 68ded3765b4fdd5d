/**
 * The storage of a Durable Object: SQLite, whose writes of one turn become durable together and some time
 * after they were made. A crash takes back what is not durable yet: the last turns, never one before them.
 */
import { DatabaseSync, type StatementSync } from "node:sqlite"

const PAGE = 4_096

/** As the platform has it: its table for an alarm. */
const METADATA = "CREATE TABLE IF NOT EXISTS _cf_METADATA (key INTEGER PRIMARY KEY, value BLOB)"

type Value = string | number | null | ArrayBuffer

export interface Cursor {
  readonly toArray: () => ReadonlyArray<unknown>
  readonly one: () => unknown
}

export class ObjectStorage {
  readonly #database = new DatabaseSync(":memory:")
  readonly #statements = new Map<string, StatementSync>()
  /** Savepoints within the turn. */
  #depth = 0
  /** Number of the last turn that wrote, and of the last that is durable. */
  #turn = 0
  #durable = 0
  /** The first turn since all was durable. */
  #first = 1
  #isOpen = false
  /** For when the alarm is set, epoch milliseconds, and what it was before turns that are not durable. */
  alarm: number | null = null
  #alarms: Array<{ readonly turn: number; readonly before: number | null }> = []
  /** Told that the alarm is another. */
  onAlarm: () => void = () => {}

  readonly sql = {
    exec: (query: string, ...bindings: ReadonlyArray<Value>): Cursor => {
      if (!isRead(query)) this.#write()
      const rows = this.#prepare(query)
        .all(...bindings.map(toNode))
        .map(fromNode)
      return { toArray: () => rows, one: () => rows[0] }
    },
  }

  /** Bytes: a page, one for each table and index, and one once there was an alarm. */
  get size(): number {
    return PAGE * (1 + this.look("SELECT 1 FROM sqlite_master").length)
  }

  get isBlank(): boolean {
    return this.size === PAGE
  }

  /** All tables are gone. The alarm stays. */
  deleteAll(): void {
    this.#write()
    const tables = this.look<{ name: string }>(
      "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
    )
    for (const { name } of tables) this.#exec(`DROP TABLE ${name}`)
  }

  transactionSync<A>(writes: () => A): A {
    this.#write()
    const name = `level${this.#depth++}`
    this.#exec(`SAVEPOINT ${name}`)
    try {
      const result = writes()
      this.#exec(`RELEASE ${name}`)
      return result
    } catch (error) {
      this.#exec(`ROLLBACK TO ${name}`)
      this.#exec(`RELEASE ${name}`)
      throw error
    } finally {
      this.#depth--
    }
  }

  setAlarm(at: number | null): void {
    if (at === this.alarm) return
    this.#write()
    this.#exec(METADATA)
    this.#alarms.push({ turn: this.#turn, before: this.alarm })
    this.alarm = at
    this.onAlarm()
  }

  /** The number of the last turn that wrote. */
  get lastTurn(): number {
    return this.#turn
  }

  get isDurable(): boolean {
    return this.#durable === this.#turn
  }

  /** The number of turns that a crash may take back. */
  get atRisk(): number {
    return this.#turn - this.#durable
  }

  /** The turn is over: what is written from now on belongs to the next. Gives whether it wrote. */
  seal(): boolean {
    const wrote = this.#isOpen
    this.#isOpen = false
    return wrote
  }

  /** The turns up to this one are durable. */
  confirm(turn: number): void {
    this.#durable = Math.max(this.#durable, turn)
    if (this.#isOpen || this.#durable < this.#turn) return
    this.#settle()
  }

  /** Takes back what the turns after this one wrote; what they and those before are is settled. */
  crash(turn: number): void {
    this.#isOpen = false
    if (turn < this.#turn) this.#exec(`ROLLBACK TO turn${turn + 1}`)
    for (let last = this.#alarms.at(-1); last !== undefined && last.turn > turn; last = this.#alarms.at(-1)) {
      this.alarm = last.before
      this.#alarms.pop()
    }
    this.#durable = this.#turn
    this.#settle()
  }

  /** Rows, as somebody sees them who looks from outside. */
  look<Row>(query: string): ReadonlyArray<Row> {
    return this.#prepare(query).all() as unknown as ReadonlyArray<Row>
  }

  /** Whether there is a table of this name. */
  has(table: string): boolean {
    return this.look(`SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = '${table}'`).length > 0
  }

  close(): void {
    this.#database.close()
  }

  #settle(): void {
    if (this.#turn >= this.#first) this.#exec(`RELEASE turn${this.#first}`)
    this.#first = this.#turn + 1
    this.#alarms = []
  }

  #write(): void {
    if (this.#isOpen) return
    this.#isOpen = true
    this.#exec(`SAVEPOINT turn${++this.#turn}`)
  }

  #exec(statement: string): void {
    this.#database.exec(statement)
  }

  #prepare(query: string): StatementSync {
    let statement = this.#statements.get(query)
    if (statement === undefined) this.#statements.set(query, (statement = this.#database.prepare(query)))
    return statement
  }
}

const isRead = (query: string): boolean => /^\s*SELECT\b/i.test(query)

const toNode = (value: Value): string | number | null | Uint8Array =>
  value instanceof ArrayBuffer || ArrayBuffer.isView(value)
    ? new Uint8Array(value as ArrayBuffer).slice()
    : typeof value === "boolean"
      ? Number(value)
      : value

const fromNode = (row: { [column: string]: unknown }): { readonly [column: string]: unknown } => {
  for (const [column, value] of Object.entries(row)) {
    if (value instanceof Uint8Array) row[column] = value.slice().buffer
  }
  return row
}
