/**
 * Journals: what keeps the steps of one activation of a persistent actor. A step is the handling of one
 * message, or of one signal: it changes the state, sends, and answers. It is kept as a whole or not at
 * all, as far as who keeps it can: the journal of this file stores a snapshot before the answer leaves;
 * that of a durable actor stores what was sent with it.
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Result from "effect/Result"
import type { Timers } from "./ActorContext.ts"
import type { Address } from "./Address.ts"
import type { ActorRef } from "./ActorRef.ts"
import type { Envelope } from "./Envelope.ts"
import type { Persistence, PersistenceError, SnapshotConflict } from "./Persistence.ts"
import type * as Protocol from "./Protocol.ts"

/** What one message or signal has come to. */
export interface Step {
  /** The next state, encoded; `undefined`: it is the same as before. */
  readonly state: unknown
  /** The actor forgets its state: the next activation begins anew. */
  readonly forget: boolean
  /** The message is put aside: it is not done with. */
  readonly stashed: boolean
}

/** What a step begins with: a message, a signal, or the start of the actor. */
export type Cause =
  | { readonly _tag: "Message"; readonly id: string; readonly sender: Address | null }
  | { readonly _tag: "Signal"; readonly signal: symbol; readonly event: unknown }
  | { readonly _tag: "Start" }

/** Why a step was not kept. */
export type StepError = PersistenceError | SnapshotConflict

export interface Journal {
  /** The stored state, encoded, or `null`: there is none. Once for each start, and after a failed commit. */
  readonly load: Effect.Effect<{ readonly state: unknown } | null, PersistenceError>
  /** A step begins. `false`: it is not to be, as what it begins with was taken back. */
  readonly begin: (cause: Cause) => boolean
  /**
   * Keeps the step, and calls `release`, which lets its answers go, once. An effect where that takes its
   * time; the actor does nothing else meanwhile. May throw what it would fail with.
   */
  readonly commit: (step: Step, release: () => void) => void | Effect.Effect<void, StepError>
  /** The step came to nothing. */
  readonly abort: () => void
  /** What it keeps beside the state; without it that is in the actor's memory. */
  readonly duties?: Duties
}

/** What an actor has promised itself and others, where it is to outlive the actor's memory. */
export interface Duties {
  readonly timers: Timers<Protocol.Any>
  /** Milliseconds, or `null`: none. */
  readonly setReceiveTimeout: (millis: number | null) => void
  readonly watch: (address: Address) => void
  readonly unwatch: (address: Address) => void
  readonly ask: (to: ActorRef<Protocol.Any>, name: string, payload: unknown, then: Then) => void
  /** Takes over the answer to this ask, and names it. */
  readonly postpone: (asked: Envelope) => string
  /** Gives it. Whether somebody waits for it. */
  readonly answer: (token: string, name: string, answer: Result.Result<unknown, unknown>) => boolean
}

/** Where the answer to an actor's own ask goes. */
export interface Then {
  /** A message of its own protocol. */
  readonly name: string
  readonly about: unknown
  /** `undefined`: the system's. */
  readonly timeout: Duration.Input | undefined
}

/** A persistent actor, as its journal sees it. */
export interface JournaledActor {
  readonly address: Address
  readonly protocol: Protocol.Any
  /** Calls the behavior's function for a signal, as a step. */
  readonly signal: (signal: symbol, event?: unknown) => void
}

/** Who keeps the steps of persistent actors. Default: the service `Persistence`, by snapshots. */
export interface Journals {
  readonly open: (actor: JournaledActor) => Journal
}

export const Journals: Context.Service<Journals, Journals> = Context.Service<Journals>(
  "@signal-hub/actor-core/Journals",
)

/** Stores a snapshot for each step that changed the state. */
export class SnapshotJournal implements Journal {
  readonly #persistence: Persistence
  readonly #address: Address
  #version = 0

  constructor(persistence: Persistence, address: Address) {
    this.#persistence = persistence
    this.#address = address
  }

  get load(): Journal["load"] {
    return Effect.map(this.#persistence.load(this.#address), (stored) => {
      this.#version = stored?.version ?? 0
      return stored
    })
  }

  begin(): boolean {
    return true
  }

  commit({ state, forget }: Step, release: () => void): void | Effect.Effect<void, StepError> {
    if (forget) {
      if (this.#version === 0) return release()
      return Effect.map(this.#persistence.delete(this.#address, this.#version), () => {
        this.#version = 0
        release()
      })
    }
    if (state === undefined) return release()
    return Effect.map(this.#persistence.save(this.#address, state, this.#version), () => {
      this.#version++
      release()
    })
  }

  abort(): void {}
}

/** Stores at the latest a while after the first change that is not stored; answers don't wait for it. */
export class DelayedJournal implements Journal {
  readonly #journal: SnapshotJournal
  readonly #soon: () => void
  #unstored: unknown = undefined

  /** `soon` is called at the first change that is not stored: `store` is to be run in good time. */
  constructor(journal: SnapshotJournal, soon: () => void) {
    this.#journal = journal
    this.#soon = soon
  }

  get load(): Journal["load"] {
    return this.#journal.load
  }

  begin(): boolean {
    return true
  }

  commit(step: Step, release: () => void): void | Effect.Effect<void, StepError> {
    if (step.forget) {
      this.#unstored = undefined
      return this.#journal.commit(step, release)
    }
    if (step.state !== undefined) {
      if (this.#unstored === undefined) this.#soon()
      this.#unstored = step.state
    }
    release()
  }

  abort(): void {}

  /** Stores what is not stored. */
  readonly store: Effect.Effect<void, StepError> = Effect.suspend(() => {
    const state = this.#unstored
    if (state === undefined) return Effect.void
    this.#unstored = undefined
    const stored = this.#journal.commit({ state, forget: false, stashed: false }, () => undefined)
    return stored ?? Effect.void
  })
}
