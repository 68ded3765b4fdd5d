/**
 * The journal of a durable actor: a step's new state, what it sends, its timers, watches and asks, and that
 * its message is done with, are rows written together or not at all. What a step sends leaves after that.
 */
import {
  type ActorRef,
  type Address,
  Envelope,
  messageId,
  Persistence,
  Protocol,
  Signal,
  TimeLimit,
} from "@signal-hub/actor-core"
import {
  encodeAnswer,
  type Cause,
  type Duties,
  type Journal,
  type JournaledActor,
  type Step,
  type Then,
} from "@signal-hub/actor-core/hosting"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Causes from "effect/Cause"
import * as Result from "effect/Result"
import { isUnstorable, NotStorable } from "../object/StoredValue.ts"
import type { DurableHost } from "./DurableHost.ts"
import { DurableReceiveTimeout } from "./DurableReceiveTimeout.ts"
import { DurableTimers } from "./DurableTimers.ts"
import { encodePayload } from "./Stored.ts"

export class DurableJournal implements Journal, Duties {
  readonly duties: Duties = this
  readonly #host: DurableHost
  readonly #actor: JournaledActor
  #version = 0
  #cause: Cause = { _tag: "Start" }
  #staged: Array<() => void> = []
  #stepping = false
  readonly timers: DurableTimers
  readonly #receiveTimeout: DurableReceiveTimeout

  constructor(host: DurableHost, actor: JournaledActor) {
    this.#host = host
    this.#actor = actor
    const { alarm, sql } = host
    const now = (): number => host.now()
    const stage = (write: () => void): void => this.stage(write)
    this.timers = new DurableTimers({ sql, alarm, now, stage, protocol: actor.protocol })
    this.#receiveTimeout = new DurableReceiveTimeout({ sql, alarm, now, stage })
  }

  get load(): Journal["load"] {
    return Effect.map(this.#host.persistence.load(this.#actor.address), (stored) => {
      this.#version = stored?.version ?? 0
      return stored
    })
  }

  // -- steps

  begin(cause: Cause): boolean {
    if (cause._tag === "Message" && !this.#host.reception.isWanted(cause.id, cause.sender)) return false
    this.#cause = cause
    this.#staged = []
    this.#stepping = true
    return true
  }

  commit(step: Step, release: () => void): void {
    const host = this.#host
    const staged = this.#staged
    const cause = this.#cause
    this.#stepping = false
    const changes = step.forget || step.state !== undefined || staged.length > 0
    const leavesNoTrace = cause._tag === "Message" && host.reception.leavesNoTrace(cause.id, cause.sender)
    const write = changes || !leavesNoTrace ? host.writes.transaction : host.writes.step
    try {
      write(() => {
        if (step.forget) this.#forget()
        else if (step.state !== undefined) this.#save(step.state)
        if (!step.stashed) this.#done()
        for (const write of staged) write()
        host.transport.release(changes, release)
      })
    } catch (cause) {
      if (isStoreError(cause)) throw cause
      const { address } = this.#actor
      const permanent = isUnstorable(cause)
      const message =
        cause instanceof NotStorable
          ? `${address} sends, answers or sets a timer with what is no plain data: ${cause.message}`
          : permanent
            ? `${address} sends, answers or sets a timer with more than a row of its database takes, 2 MB: do it in parts`
            : `the database did not take a step of ${address}: ${String(cause)}`
      throw new Persistence.PersistenceError({ address, operation: "save", message, cause, permanent })
    }
  }

  abort(): void {
    this.#stepping = false
    this.#staged = []
    this.timers.abort()
    this.#receiveTimeout.abort()
  }

  /** Whether a step is under way: what the actor sends meanwhile is a part of it. */
  get stepping(): boolean {
    return this.#stepping
  }

  /** Writes with the step that is under way, or at once. */
  stage(write: () => void): void {
    if (this.#stepping) this.#staged.push(write)
    else this.#host.writes.transaction(write)
  }

  #save(state: unknown): void {
    const { persistence } = this.#host
    const exit = Effect.runSyncExit(persistence.save(this.#actor.address, state, this.#version))
    if (Exit.isFailure(exit)) throw Causes.squash(exit.cause)
    this.#version++
  }

  #done(): void {
    const host = this.#host
    const cause = this.#cause
    if (cause._tag === "Message") host.reception.done(cause.id, cause.sender)
    else if (cause._tag === "Signal" && cause.signal === Signal.terminated) {
      host.watching.told((cause.event as Signal.Terminated).address)
    }
    this.#receiveTimeout.touched(cause._tag === "Message")
  }

  /** All that the actor has is gone; who waits for it, or watches it, hears so. */
  #forget(): void {
    const { address } = this.#actor
    const host = this.#host
    const { persistence, sql } = host
    host.owed.giveAll({ type: "actor:error", payload: GONE })
    if (this.#version > 0) Effect.runSync(persistence.delete(address, this.#version))
    this.#version = 0
    for (const table of ["actor_watching", "actor_ask"]) sql.run(`DELETE FROM ${table}`)
    this.timers.forget()
    this.#receiveTimeout.forget()
    this.#staged = []
    host.watching.tellWatchers("unregistered")
  }

  // -- duties

  setReceiveTimeout(millis: number | null): void {
    this.#receiveTimeout.set(millis)
  }

  watch(address: Address.Address): void {
    if (address === this.#actor.address) return
    this.stage(() => this.#host.watching.add(address))
  }

  unwatch(address: Address.Address): void {
    this.stage(() => this.#host.watching.remove(address))
  }

  ask(
    to: ActorRef.ActorRef<Protocol.Any>,
    name: string,
    payload: unknown,
    { about, name: next, timeout }: Then,
  ): void {
    const host = this.#host
    const limit = TimeLimit.read(timeout ?? TimeLimit.DEFAULT_ASK_TIMEOUT_MS, "timeout")
    // The runtime refuses what is no time limit before it asks the journal.
    if (typeof limit !== "number") throw limit
    const millis = TimeLimit.ofAsk(limit)
    const encoded = encodePayload(to.protocol, name, payload)
    const remembered = this.#encodeAbout(next, about)
    const id = messageId()
    const envelope = host.letters.envelope({
      id,
      to: to.address,
      type: name,
      payload: encoded,
      pattern: "ask",
      ttl: millis,
      // Reliable: it leaves under a number that it then has.
      seq: Envelope.UNNUMBERED,
    })
    this.stage(() => {
      host.own.asked(id, to.address, host.now() + millis, next, remembered)
      host.put(to.address, { envelope, ask: { home: host.address, timeout: millis } })
    })
  }

  postpone(asked: Envelope.Envelope): string {
    const token = crypto.randomUUID()
    const host = this.#host
    const home = host.owed.homeOf(asked)
    this.stage(() => host.owed.add(token, asked, home))
    return token
  }

  answer(token: string, name: string, answer: Result.Result<unknown, unknown>): boolean {
    const host = this.#host
    const owed = host.owed.find(token)
    const definition = Protocol.find(this.#actor.protocol, name)
    if (owed === undefined || definition?.pattern !== "ask") return false
    const [type, payload] = encodeAnswer(definition, name, answer)
    this.stage(() => host.owed.give(owed, { type, payload }))
    return true
  }

  /** What the ask is about, as the message that brings the answer has it: only that part is known yet. */
  #encodeAbout(next: string, about: unknown): unknown {
    const placeholder = { _tag: "Refused", code: "", message: "", retryable: false }
    const whole = encodePayload(this.#actor.protocol, next, { about, answer: placeholder })
    return (whole as { readonly about: unknown }).about
  }
}

/** Whether something failed because it could not be stored, or read. */
const isStoreError = (error: unknown): boolean =>
  error instanceof Persistence.PersistenceError || error instanceof Persistence.SnapshotConflict

/** Whether it may be stored, or read, if it is tried again. */
export const isPassing = (error: unknown): boolean =>
  isStoreError(error) && !(error instanceof Persistence.PersistenceError && error.permanent === true)

/** Why an answer that is owed never comes. */
const GONE = { code: "actor_terminated", message: "the actor has ended", retryable: true }
