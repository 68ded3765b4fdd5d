/**
 * The base of every Durable Object that runs a core. It gives the core its storage, alarm, timers, clock and log,
 * and starts the core anew from its rows after a failure. A Durable Object class has one and hands the platform's
 * events to it.
 */
import type { Limits } from "../protocol/Limits.ts"
import { type LogFields, logsDebug, makeLog } from "./Log.ts"
import type { ObjectPort } from "./ObjectPort.ts"
import { ObjectStorage } from "./ObjectStorage.ts"
import { ObjectTimers } from "./ObjectTimers.ts"
import { StorageRejected } from "./StorageRejected.ts"
import type { Schema } from "./Tables.ts"

/** Settings of an object, and how its core is made. */
export interface ObjectOptions<Core> {
  readonly ctx: DurableObjectState
  readonly schema: Schema
  readonly limits: Limits
  /** The least level of log lines that are written; `info` if it is `undefined`. */
  readonly logLevel: string | undefined
  /** Makes a core, which finds its state in the rows. Called again after a failure. */
  readonly start: (port: ObjectPort) => Core
}

/** A part of an object beside its core, such as its sockets, which takes part in the events of the runtime. */
export interface ObjectPart {
  /** Tables of an older version were upgraded. Called before the core starts. */
  upgraded?(): void
  /** This code can't read what is stored. Called once in the life of the object's memory. */
  rejected?(): void
  /** The core started, and an earlier memory may have left work unfinished. */
  started?(): void
  /** The core failed. It is still there to store and send what it gave before. */
  failing?(): void
  /** The failed core was dropped. */
  dropped?(): void
  /** A task or a call has ended, and what it gave is to be sent. */
  flush?(): void
  /** A task or a call has ended, with everything that it deferred. */
  ended?(): void
}

/** Runs one core at a time. A core that failed has no effect any more. */
export class ObjectRuntime<Core> {
  readonly port: ObjectPort
  readonly storage: ObjectStorage
  readonly #start: (port: ObjectPort) => Core
  readonly #timers: ObjectTimers
  readonly #parts: Array<ObjectPart> = []
  #core: Core | undefined
  /** How many cores were dropped: tells the tasks of the current core from those of earlier ones. */
  #dropped = 0
  /** Tasks that wait for the end of the current event. */
  readonly #deferred: Array<() => void> = []
  #isDraining = false
  /** Rejects the promises that the core has yet to fulfil. */
  readonly #unfulfilled = new Set<(reason: unknown) => void>()

  constructor({ ctx, limits, logLevel, schema, start }: ObjectOptions<Core>) {
    const log = makeLog(logLevel)
    const rejected = (): void => {
      for (const part of this.#parts) part.rejected?.()
    }
    const storage = (this.storage = new ObjectStorage(ctx, { schema, log, rejected }))
    this.#start = start
    this.#timers = new ObjectTimers((task) => this.run(task))
    this.port = {
      name: ctx.id.name ?? "",
      limits,
      sql: storage.tables,
      now: () => Date.now(),
      log,
      logsDebug: logsDebug(logLevel),
      // With SQLite it is known in this turn, so that what follows is stored with the other writes of the turn.
      armedAt: (done) => void storage.armedAt().then(this.unlessFailed(done)),
      setAlarm: (at) => storage.setAlarm(at),
      later: (milliseconds, task) => this.#timers.later(milliseconds, this.unlessFailed(task)),
      defer: (task) => void this.#deferred.push(this.unlessFailed(task)),
      forget: () => storage.forget(),
    }
  }

  /** Tells the part, from now on, what happens to the object. */
  attach(part: ObjectPart): void {
    this.#parts.push(part)
  }

  /** True if a core is in memory. */
  get isRunning(): boolean {
    return this.#core !== undefined
  }

  /** The core, started if none is in memory. Throws `StorageRejected` if this code can't read what is stored. */
  get core(): Core {
    return this.#core ?? this.#open()
  }

  #open(): Core {
    this.open()
    const core = this.begin()
    for (const part of this.#parts) part.started?.()
    return core
  }

  /** Starts a core on storage that is known to be readable, where no earlier memory has left work unfinished. */
  begin(): Core {
    return (this.#core = this.#start(this.port))
  }

  /**
   * Checks the version of what is stored, and upgrades it, unless a core is in memory. Throws `StorageRejected` if
   * this code can't read it.
   */
  open(): void {
    if (this.#core !== undefined || !this.storage.open()) return
    for (const part of this.#parts) part.upgraded?.()
  }

  /** True if this code can read what is stored. Must be asked first in each event of the platform. */
  get isReadable(): boolean {
    try {
      this.open()
      return true
    } catch (error) {
      if (!(error instanceof StorageRejected)) throw error
      return false
    }
  }

  /** True if no timer runs and nothing is deferred. */
  get isIdle(): boolean {
    return this.#timers.isIdle && this.#deferred.length === 0
  }

  /** The task, which does nothing if the core of this moment has failed before it is called. */
  unlessFailed<Args extends ReadonlyArray<unknown>>(task: (...args: Args) => void): (...args: Args) => void {
    const dropped = this.#dropped
    return (...args) => {
      if (this.#dropped === dropped) task(...args)
    }
  }

  /** Runs a task of the core, then sends what it gave. A failure of the task is a failure of the core. */
  run(task: () => void): void {
    try {
      task()
    } catch (error) {
      this.fail(error)
    }
    this.#end()
  }

  /** Returns what the core answers to a call, and sends what it gave. Throws if the core fails on it. */
  serve<A>(work: (core: Core) => A): A {
    try {
      return work(this.core)
    } catch (error) {
      this.fail(error)
      throw error
    } finally {
      this.#end()
    }
  }

  /**
   * The same for an answer that the core gives later, by `fulfil`. The promise is rejected by `reject`, and if the
   * core fails before that.
   */
  promise<A>(
    work: (core: Core, fulfil: (answer: A) => void, reject: (reason: unknown) => void) => void,
  ): Promise<A> {
    return new Promise((resolve, reject) => {
      const isOpen = (): boolean => this.#unfulfilled.delete(reject)
      this.#unfulfilled.add(reject)
      this.serve((core) =>
        work(
          core,
          (answer) => {
            if (isOpen()) resolve(answer)
          },
          (reason) => {
            if (isOpen()) reject(reason)
          },
        ),
      )
    })
  }

  /** For the object's alarm: does the work, unless the deadlines are those of newer code. */
  alarm(work: () => void): void {
    if (this.isReadable) work()
    else this.storage.recheck()
  }

  /** Runs the deferred tasks. Must be called at the end of an event that neither `run` nor `serve` has processed. */
  endEvent(): void {
    if (this.#isDraining) return
    this.#isDraining = true
    try {
      while (this.#deferred.length > 0) this.run(this.#deferred.shift()!)
    } finally {
      this.#isDraining = false
    }
  }

  #end(): void {
    for (const part of this.#parts) part.flush?.()
    this.endEvent()
    for (const part of this.#parts) part.ended?.()
  }

  /**
   * The core failed, so its memory is in doubt. Drops it: the next one begins from the rows, as after an eviction.
   * `about` goes into the log line.
   */
  fail(error: unknown, about: LogFields = {}): void {
    if (error instanceof StorageRejected) {
      this.#drop(error)
      return this.storage.reject(error)
    }
    this.#logFailure(error, about)
    for (const part of this.#parts) this.#attempt(() => part.failing?.())
    // Its calls to other objects leave, too, as far as it made them before.
    for (const task of this.#deferred.splice(0)) this.#attempt(task)
    this.#drop(error)
    for (const part of this.#parts) part.dropped?.()
  }

  #attempt(task: () => void): void {
    try {
      task()
    } catch (error) {
      this.#logFailure(error, {})
    }
  }

  #logFailure(error: unknown, about: LogFields): void {
    this.port.log("error", "internal_error", { name: this.port.name, ...about, error: String(error) })
  }

  #drop(error: unknown): void {
    this.#dropped++
    this.#core = undefined
    for (const reject of this.#unfulfilled) reject(error)
    this.#unfulfilled.clear()
  }
}
