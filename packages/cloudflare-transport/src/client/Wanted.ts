/**
 * What this client wants of the hub for as long as it is held: registrations, subscriptions, watches.
 * Each is asked for when it is first held, again on every new session, and undone when its last
 * holder lets go.
 */
import { ConnectionLost, type RequestError } from "./ClientError.ts"
import type { Timers } from "./Timers.ts"

export type WantedType = "hub:register" | "hub:subscribe" | "hub:watch"
/** The request that undoes it: `hub:unregister`, `hub:unsubscribe`, `hub:unwatch`. */
const undoOf = (type: WantedType): string => `hub:un${type.slice(4)}`

/** The answer to a request, or why there is none. */
export type Outcome = { readonly payload: unknown } | { readonly error: RequestError }

/** How requests reach the hub. */
export interface WantedPort {
  readonly live: () => boolean
  /** Sends a request in order with all else; the id that it went under. */
  readonly request: (type: string, payload: unknown, settle: (outcome: Outcome) => void) => string
  /** Sends a request ahead of what is queued. */
  readonly requestFirst: (type: string, payload: unknown, settle: (outcome: Outcome) => void) => void
  /** Takes back a request that may still be queued. */
  readonly forget: (id: string) => void
}

/** Milliseconds until a refused want is asked for again, where the hub does not say. */
const RETRY = 1_000

interface Entry {
  readonly type: WantedType
  /** The field that names it, for the undo. */
  readonly name: { readonly [field: string]: string }
  payload: { readonly [field: string]: unknown }
  holders: number
  answer: { readonly payload: unknown } | undefined
  /** The payload that was granted last, by this session. */
  granted?: object
  readonly waiters: Set<(outcome: Outcome) => void>
}

/** A want that the hub refused on a later connection, so that it is no longer held. */
export interface Refused {
  readonly type: WantedType
  readonly payload: { readonly [field: string]: unknown }
  readonly error: RequestError
}

export class Wanted {
  readonly #entries = new Map<string, Entry>()
  readonly #undone = new Map<string, string>()
  readonly #port: WantedPort
  readonly #timers: Timers
  readonly #onRefused: (refused: Refused) => void
  #ended: { readonly error: RequestError } | undefined
  readonly #onAnswer: (type: WantedType, name: string, payload: unknown) => void

  /** `onAnswer` hears each answer of the hub to a want, `onRefused` each that had been granted before. */
  constructor(
    port: WantedPort,
    timers: Timers,
    onAnswer: (type: WantedType, name: string, payload: unknown) => void,
    onRefused: (refused: Refused) => void,
  ) {
    this.#port = port
    this.#timers = timers
    this.#onAnswer = onAnswer
    this.#onRefused = onRefused
  }

  /**
   * Holds what `name` names, with these further fields, of which the last holder's count. `waiter` is called once with the hub's answer,
   * at once where it is known. The result lets go; it may be called more than once.
   */
  hold(
    type: WantedType,
    name: { readonly [field: string]: string },
    fields: { readonly [field: string]: unknown },
    waiter: (outcome: Outcome) => void,
  ): () => void {
    if (this.#ended !== undefined) {
      waiter(this.#ended)
      return () => {}
    }
    const key = keyOf(type, name)
    const undo = this.#undone.get(key)
    if (undo !== undefined) this.#port.forget(undo)
    this.#undone.delete(key)
    const payload = { ...fields, ...name }
    let entry = this.#entries.get(key)
    if (entry === undefined) {
      entry = { type, name, payload, holders: 0, answer: undefined, waiters: new Set() }
      this.#entries.set(key, entry)
    }
    const held = entry
    const known = held.answer !== undefined && JSON.stringify(held.payload) === JSON.stringify(payload)
    held.holders++
    if (known) waiter(held.answer!)
    else {
      held.payload = payload
      held.waiters.add(waiter)
      if (this.#port.live()) this.#ask(key, held, this.#port.request)
    }
    let letGo = false
    return () => {
      if (letGo) return
      letGo = true
      held.waiters.delete(waiter)
      held.holders--
      if (held.holders > 0 || this.#entries.get(key) !== held) return
      this.#entries.delete(key)
      this.#undo(key, held)
    }
  }

  /**
   * The hub ended it: it is wanted no more, and nothing needs undoing. `false`: the hub has never said that there
   * is one. Then what has ended is one whose answer was lost, it is asked for again, and that answer counts.
   */
  drop(type: WantedType, name: string): boolean {
    const key = `${type} ${name}`
    const entry = this.#entries.get(key)
    if (entry !== undefined && entry.answer === undefined) return false
    this.#entries.delete(key)
    return true
  }

  /** The client ended: who waits for an answer hears why, and whoever wants something later. */
  end(error: RequestError): void {
    this.#ended = { error }
    for (const entry of this.#entries.values()) this.#tell(entry, this.#ended)
    this.#entries.clear()
  }

  /**
   * Asks for everything again, on a new connection, in the order in which it was first wanted; where it is
   * the same session, only for what it has not granted.
   */
  replay(resumed: boolean): void {
    for (const [key, entry] of this.#entries) {
      // What another session granted, this one has not.
      if (!resumed) delete entry.granted
      if (entry.granted !== entry.payload) this.#ask(key, entry, this.#port.requestFirst)
    }
  }

  #undo(key: string, entry: Entry): void {
    let id: string | undefined
    id = this.#port.request(undoOf(entry.type), entry.name, (outcome) => {
      if (id === undefined || this.#undone.get(key) !== id) return
      this.#undone.delete(key)
      // The session may live on at the hub and pass to the next connection, so it must be heard.
      if ("error" in outcome && outcome.error instanceof ConnectionLost) this.#undo(key, entry)
    })
    this.#undone.set(key, id)
  }

  #ask(key: string, entry: Entry, request: WantedPort["requestFirst"]): void {
    const { payload } = entry
    request(entry.type, payload, (outcome) => {
      if (this.#entries.get(key) !== entry) return
      if ("payload" in outcome) {
        entry.answer = outcome
        entry.granted = payload
        this.#tell(entry, outcome)
        this.#onAnswer(entry.type, Object.values(entry.name)[0]!, outcome.payload)
        return
      }
      const { error } = outcome
      // Lost with its connection: the next one asks again.
      if (error instanceof ConnectionLost) return
      const granted = entry.answer !== undefined
      const isLimited = error._tag === "AskRefused" && error.code === "rate_limited"
      if (isLimited || (granted && isPassing(error))) {
        const again = (): void => {
          if (this.#port.live() && this.#entries.get(key) === entry) this.#ask(key, entry, this.#port.request)
        }
        this.#timers.after((isLimited && error.retryAfterMs) || RETRY, again)
        return
      }
      this.#entries.delete(key)
      this.#tell(entry, outcome)
      if (granted) this.#onRefused({ type: entry.type, payload: entry.payload, error })
    })
  }

  #tell(entry: Entry, outcome: Outcome): void {
    const waiters = [...entry.waiters]
    entry.waiters.clear()
    for (const waiter of waiters) waiter(outcome)
  }
}

/** Whether nobody has refused it for good: the way there was dead, or too much was asked at once. */
const isPassing = (error: RequestError): boolean =>
  error._tag === "AskTimeout" ||
  error._tag === "ActorTerminated" ||
  (error._tag === "AskRefused" && error.retryable && error.code !== "registry_full")

const keyOf = (type: WantedType, name: { readonly [field: string]: string }): string =>
  `${type} ${Object.values(name)[0]}`
