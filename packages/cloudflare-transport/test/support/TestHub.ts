/**
 * A host for `HubCore` without a platform: Node's SQLite, a clock that stands still until it is moved,
 * sockets that collect what is sent, one alarm. It can lose its memory as a Durable Object does.
 */
import { type Codec, Envelope } from "@signal-hub/actor-core"
import { readClaims, type TokenPayload } from "../../src/auth/Claims.ts"
import { TokenRefused } from "../../src/auth/TokenRefused.ts"
import { HubCore } from "../../src/hub/HubCore.ts"
import type { HubPort } from "../../src/hub/HubPort.ts"
import type { LogFields, LogLevel } from "../../src/object/Log.ts"
import { CloseCode } from "../../src/protocol/CloseCode.ts"
import { DEFAULT_LIMITS, type Limits } from "../../src/protocol/Limits.ts"
import { Backlog } from "../../src/session/Backlog.ts"
import type { Connection } from "../../src/session/Connection.ts"
import { HUB } from "../../src/object/Schema.ts"
import type { Schema } from "../../src/object/Tables.ts"
import { TestClient } from "./TestClient.ts"
import { type Failed, TestSocket } from "./TestSocket.ts"
import { TestTables } from "./TestTables.ts"

export interface LogLine {
  readonly level: LogLevel
  readonly event: string
  readonly fields: LogFields
}

interface Timer {
  at: number
  readonly task: () => void
}

/** Far enough from zero that a forgotten `now` shows. */
const EPOCH = 1_700_000_000_000

export class TestHub implements HubPort {
  readonly sql: TestTables
  readonly limits: Limits
  readonly log: HubPort["log"]
  logsDebug = true
  readonly name = "default"
  readonly hubName = "default"
  /** Open to everybody until `requireTokens`. */
  authenticate: HubPort["authenticate"] = null
  /** Whether tokens wait to be verified until `verify`. */
  holdsTokens = false
  #toVerify: Array<() => void> = []
  readonly logs: Array<LogLine> = []
  core: HubCore
  /** For when the alarm is armed, epoch milliseconds. */
  alarmAt: number | null = null
  alarmsSet = 0
  alarmsRun = 0
  /** How often memory was lost with the sockets still open. */
  evictions = 0
  #now = EPOCH
  #timers: Array<Timer> = []
  /** What waits for the end of the event under way. */
  #soon: Array<() => void> = []
  #lookups: Array<() => void> = []
  readonly #sockets = new Map<string, TestSocket>()
  /** What memory knows of connections; the rest is in the sockets' attachments. */
  #connections = new Map<string, Connection>()
  /** What has something in line to be sent. */
  #dirty: Array<readonly [connection: Connection, flush: () => void]> = []
  /** The bytes that wait for all slow readers. */
  backlog: Backlog
  /** What flushes could not encode, and the core was not told of yet. */
  readonly #notEncoded: Array<Parameters<Failed>> = []
  #count = 0

  readonly #makeCore: (host: TestHub) => HubCore
  /** What else happens after a frame, a close or an alarm. */
  afterwards: () => void = () => {}

  constructor(
    limits: Partial<Limits> = {},
    makeCore: (host: TestHub) => HubCore = (host) => new HubCore(host),
    schema: Schema = HUB,
  ) {
    this.sql = new TestTables(schema)
    this.#makeCore = makeCore
    this.limits = { ...DEFAULT_LIMITS, ...limits }
    this.backlog = this.#makeBacklog()
    this.log = (level, event, fields) => void this.logs.push({ level, event, fields })
    this.core = makeCore(this)
  }

  readonly now = (): number => this.#now

  readonly connection = (id: string): Connection | undefined => {
    const socket = this.#sockets.get(id)
    const connection = socket?.isOpen === true ? this.#connectionOf(socket) : undefined
    return connection !== undefined && isUsable(connection) ? connection : undefined
  }

  readonly connections = (): Iterable<Connection> =>
    [...this.#sockets.keys()].flatMap((id) => this.connection(id) ?? [])

  /** Later in the turn, as in a Durable Object. */
  readonly armedAt = (done: (at: number | null) => void): void => {
    const { alarmAt, core } = this
    this.#lookups.push(() => this.core === core && done(alarmAt))
  }

  readonly setAlarm = (at: number | null): void => {
    this.alarmAt = at
    this.alarmsSet++
  }

  readonly later = (milliseconds: number, task: () => void): (() => void) => {
    const timer = { at: this.#now + milliseconds, task }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer)
    }
  }

  readonly soon = (task: () => void): void => void this.#soon.push(task)

  readonly defer = (task: () => void): void => this.soon(task)

  /** From now on nobody enters without a token; the text of a good one is its payload as JSON. */
  requireTokens(): this {
    this.authenticate = (token, done) => {
      this.#toVerify.push(() => done(judge(token, this.#now)))
      if (!this.holdsTokens) this.soon(() => this.verify())
    }
    return this
  }

  /** Tokens that wait are verified now. */
  verify(): void {
    for (const verified of this.#toVerify.splice(0)) verified()
    this.#runSoon()
    this.flush()
  }

  /** Opens a socket, without connecting; with the claims of a token that came with the upgrade. */
  open(token: TokenPayload | null = null, codec?: Codec): TestClient {
    const claims = token === null ? null : readClaims(token).text
    const socket = new TestSocket(`connection-${++this.#count}`, this.limits, this.#now, claims, codec)
    this.#sockets.set(socket.id, socket)
    this.core.opened(this.#connectionOf(socket))
    this.flush()
    return new TestClient(this, socket)
  }

  /** Opens a socket with this token, and connects on it as the token's identity. */
  enter(token: TokenPayload, metadata: { readonly [key: string]: unknown } = {}): TestClient {
    const client = this.open(token)
    client.connect(undefined, metadata)
    return client
  }

  /** Opens a socket and connects on it, as `identity` if that is given. */
  connect(identity?: string, metadata: { readonly [key: string]: unknown } = {}): TestClient {
    const client = this.open()
    client.connect(identity, metadata)
    return client
  }

  /** A frame with these values arrives on the socket. */
  receive(socket: TestSocket, ...values: ReadonlyArray<unknown>): void {
    for (const value of values) this.#receiveOne(socket, value)
    this.#runSoon()
    this.flush()
    this.afterwards()
  }

  #receiveOne(socket: TestSocket, value: unknown): void {
    // A clone: what a client sends is never shared with the hub's memory.
    const envelope = Envelope.check(structuredClone(value))
    if (envelope instanceof Envelope.Malformed) throw new Error(`the test's envelope: ${envelope.reason}`)
    // Of a socket that was closed too: the bridge drops such frames, but the core must not rely on it.
    const connection = this.#connectionOf(socket)
    connection.heardAt = this.#now
    connection.received += JSON.stringify(value).length
    if (connection.major !== 1) connection.flow.heard()
    // Written down each time, unlike the bridge, which may forget some seconds: so that with and
    // without an eviction can be compared to the millisecond.
    connection.save()
    const order = envelope.seq === undefined ? undefined : this.core.order(connection, envelope.seq)
    if (order === "gap") this.core.violated(connection, CloseCode.SequenceGap, "sequence_gap")
    else if (order !== "repeat") this.core.received(connection, envelope, this.#now)
  }

  /** The runtime answers a ping on the socket: nothing wakes. */
  ping(socket: TestSocket): void {
    socket.pingedAt = this.#now
  }

  /** The socket is gone, and the hub is told so. May be told again. */
  closed(socket: TestSocket, cause: string): void {
    socket.isOpen = false
    this.core.closed(this.#connectionOf(socket), cause)
    this.#connectionOf(socket).flow.end()
    this.#connections.delete(socket.id)
    this.#sockets.delete(socket.id)
    this.#runSoon()
    this.flush()
    this.afterwards()
  }

  /** Moves the clock, running what falls due on the way. */
  advance(milliseconds: number): void {
    const until = this.#now + milliseconds
    for (let steps = 0; ; steps++) {
      if (steps > 10_000) throw new Error("timers or alarms arm themselves without end")
      const timer = this.#timers.reduce<Timer | undefined>(
        (first, next) => (first === undefined || next.at < first.at ? next : first),
        undefined,
      )
      const due = Math.min(timer?.at ?? Number.POSITIVE_INFINITY, this.alarmAt ?? Number.POSITIVE_INFINITY)
      if (due > until) break
      this.#now = Math.max(this.#now, due)
      if (timer !== undefined && timer.at === due) {
        this.#timers = this.#timers.filter((other) => other !== timer)
        timer.task()
        this.#runSoon()
        this.flush()
      } else this.alarm()
    }
    this.#now = until
  }

  /** Whether nothing is under way, and no socket is there. */
  get isQuiet(): boolean {
    return !this.isBusy && this.#sockets.size === 0
  }

  /** Deletes all that is stored. Memory stays. */
  readonly forget = (): void => {
    this.core.forget()
    this.sql.wipe()
  }

  /** Whether nothing is stored. */
  get isForgotten(): boolean {
    return this.sql.isEmpty()
  }

  /** The clock is set forward, or back where `milliseconds` is below 0. Timers in memory go on as they were. */
  jump(milliseconds: number): void {
    this.#now += milliseconds
    for (const timer of this.#timers) timer.at += milliseconds
  }

  /** The alarm comes, now. */
  alarm(): void {
    this.alarmAt = null
    this.alarmsRun++
    this.core.alarm()
    this.flush()
  }

  /** Whether a timer runs, for which an eviction would wait. */
  get isBusy(): boolean {
    return this.#timers.length + this.#toVerify.length > 0
  }

  /** Memory is lost while the sockets sleep on. Gives whether it could be: timers hold it up. */
  evict(): boolean {
    if (this.isBusy) return false
    this.evictions++
    this.restart()
    return true
  }

  /** Memory, timers and sockets are lost; nobody is told. */
  crash(): void {
    for (const socket of this.#sockets.values()) socket.isOpen = false
    this.#sockets.clear()
    this.restart()
    this.core.recover()
  }

  /** The events logged, by name. */
  logged(event: string): ReadonlyArray<LogFields> {
    return this.logs.filter((line) => line.event === event).map(({ fields }) => fields)
  }

  flush(): void {
    this.core.settle()
    for (let dirty = this.#dirty.splice(0); dirty.length > 0; dirty = this.#dirty.splice(0)) {
      for (const [, flush] of dirty) flush()
      for (const failure of this.#notEncoded.splice(0)) this.core.notEncoded(...failure)
      this.core.settle()
      for (const [connection] of dirty) {
        if (!connection.flow.isLost || connection.state !== "connected") continue
        if (connection.major !== 1) connection.flow.look(connection.pingedAt())
        if (!connection.flow.isLost) continue
        this.core.violated(connection, CloseCode.SlowConsumer, "slow_consumer")
      }
    }
    for (const lookup of this.#lookups.splice(0)) lookup()
  }

  #runSoon(): void {
    for (let task = this.#soon.shift(); task !== undefined; task = this.#soon.shift()) task()
  }

  readonly #failed: Failed = (...failure) => void this.#notEncoded.push(failure)
  readonly #addressOf = (connection: Connection) => this.core.addressOf(connection)

  readonly #markDirty = (connection: Connection, flush: () => void): void =>
    void this.#dirty.push([connection, flush])

  /** Memory and timers are lost, as after a failure in the middle of an event. */
  restart(): void {
    this.#timers = []
    this.#soon = []
    this.#toVerify = []
    this.#connections = new Map()
    this.backlog = this.#makeBacklog()
    this.#dirty = []
    this.#lookups = []
    this.core = this.#makeCore(this)
  }

  #makeBacklog(): Backlog {
    return new Backlog(this.limits, () => {
      for (const socket of this.#sockets.values()) this.#connectionOf(socket)
    })
  }

  #connectionOf(socket: TestSocket): Connection {
    let connection = this.#connections.get(socket.id)
    if (connection === undefined)
      this.#connections.set(
        socket.id,
        (connection = socket.wake(this.#markDirty, this.#failed, this.#addressOf, this.backlog)),
      )
    return connection
  }
}

const judge = (token: string, now: number): ReturnType<typeof readClaims> | TokenRefused => {
  try {
    const claims = readClaims(JSON.parse(token))
    if ((claims.expiresAt ?? Number.POSITIVE_INFINITY) > now) return claims
    return new TokenRefused({ code: "token_expired", message: "the token has expired" })
  } catch (error) {
    if (error instanceof TokenRefused) return error
    return new TokenRefused({ code: "unauthorized", message: "the token is not valid" })
  }
}

const isUsable = ({ state }: Connection): boolean => state !== "disconnecting" && state !== "disconnected"
