/**
 * What this client wants of the hub for as long as it is held: registrations, subscriptions, watches.
 * Each is asked for when it is first held, again on every new session and where its holders together want
 * something else than before, and undone when its last holder lets go.
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

/** What a want says of itself. Plain data, nobody else's: it is sent again on later connections. */
export type Fields = { readonly [field: string]: unknown }

/** Somebody who wants it. */
interface Holder {
  readonly fields: Fields
  /** Called once with the hub's answer to what this holder wants, or why there is none. */
  readonly waiter: (outcome: Outcome) => void
  /** True once the hub has granted it, to this session or an earlier one. */
  isGranted: boolean
}

interface Entry {
  readonly type: WantedType
  /** The field that names it, for the undo. */
  readonly name: { readonly [field: string]: string }
  /** In the order in which they came. */
  holders: Array<Holder>
  /** The last answer of the hub, and what it was to. */
  answered?: Answered | undefined
  /** What was granted last, by this session; absent where that is not known. */
  granted?: Fields | undefined
  /** The request that is under way. */
  asked?: Fields | undefined
  /** True while the hub may have something of it, which is to be undone. */
  isStored: boolean
}

interface Answered {
  readonly payload: Fields
  readonly outcome: { readonly payload: unknown }
}

/** A want that the hub refused on a later connection, so that it is no longer held. */
export interface Refused {
  readonly type: WantedType
  readonly payload: Fields
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
   * Holds what `name` names. The fields of all its holders are merged: see `merged`. `waiter` is called once with
   * the hub's answer, at once where it is known. The result lets go; it may be called more than once.
   */
  hold(
    type: WantedType,
    name: { readonly [field: string]: string },
    fields: Fields,
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
    const entry: Entry = this.#entries.get(key) ?? { type, name, holders: [], isStored: undo !== undefined }
    this.#entries.set(key, entry)
    const holder: Holder = { fields, waiter, isGranted: false }
    entry.holders.push(holder)
    this.#advance(key, entry)
    return () => this.#letGo(key, entry, holder)
  }

  #letGo(key: string, entry: Entry, holder: Holder): void {
    if (!removed(entry, holder) || this.#entries.get(key) !== entry) return
    if (entry.holders.length > 0) return this.#advance(key, entry)
    this.#entries.delete(key)
    this.#undo(key, entry)
  }

  /**
   * The hub ended it: those to whom it was granted want it no more, and nothing needs undoing. `false`: the hub has
   * never said that there is one. Then what has ended is one whose answer was lost, it is asked for again, and that
   * answer counts, as for whoever has asked since.
   */
  drop(type: WantedType, name: string): boolean {
    const key = `${type} ${name}`
    const entry = this.#entries.get(key)
    if (entry === undefined) return true
    if (entry.answered === undefined) return false
    this.#forget(key, entry)
    this.#advance(key, entry)
    return true
  }

  /** Nothing of it is granted any more, and those to whom it was are out. */
  #forget(key: string, entry: Entry): void {
    entry.holders = entry.holders.filter(({ isGranted }) => !isGranted)
    entry.answered = undefined
    entry.granted = undefined
    entry.isStored = false
    if (entry.holders.length === 0) this.#entries.delete(key)
  }

  /** The client ended: who waits for an answer hears why, and whoever wants something later. */
  end(error: RequestError): void {
    const ended = (this.#ended = { error })
    const all = [...this.#entries.values()]
    this.#entries.clear()
    for (const { holders } of all) {
      for (const { isGranted, waiter } of holders) if (!isGranted) waiter(ended)
    }
  }

  /**
   * Asks for everything again, on a new connection, in the order in which it was first wanted; where it is
   * the same session, only for what it has not granted.
   */
  replay(resumed: boolean): void {
    for (const [key, entry] of this.#entries) {
      // What another session granted, this one has not.
      if (!resumed) entry.granted = undefined
      entry.asked = undefined
      this.#advance(key, entry, this.#port.requestFirst)
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

  /**
   * Asks for what is missing, one request at a time: what was granted to its holders, and what the first of the
   * others wants beside that. So where the hub refuses, it is known whose wish that was.
   */
  #advance(key: string, entry: Entry, request: WantedPort["requestFirst"] = this.#port.request): void {
    while (entry.asked === undefined && this.#entries.get(key) === entry) {
      const newcomer = entry.holders.find(({ isGranted }) => !isGranted)
      const payload = merged(
        entry.holders.filter((one) => one.isGranted || one === newcomer).map(({ fields }) => fields),
      )
      const { answered, granted } = entry
      if (newcomer !== undefined && answered !== undefined && isSame(payload, answered.payload)) {
        newcomer.isGranted = true
        newcomer.waiter(answered.outcome)
        continue
      }
      const isMissing = newcomer !== undefined || granted === undefined || !isSame(payload, granted)
      if (isMissing && this.#port.live()) this.#ask(key, entry, payload, newcomer, request)
      return
    }
  }

  #ask(
    key: string,
    entry: Entry,
    payload: Fields,
    newcomer: Holder | undefined,
    request: WantedPort["requestFirst"],
  ): void {
    entry.asked = payload
    request(entry.type, payload, (outcome) => {
      const goOn = (): void => {
        if (entry.asked === payload) entry.asked = undefined
        this.#advance(key, entry)
      }
      if (this.#entries.get(key) !== entry) return
      if ("payload" in outcome) {
        entry.answered = { payload, outcome }
        entry.granted = payload
        entry.isStored = true
        // Not to one that let go meanwhile.
        if (newcomer !== undefined && !newcomer.isGranted && entry.holders.includes(newcomer)) {
          newcomer.isGranted = true
          newcomer.waiter(outcome)
        }
        this.#onAnswer(entry.type, Object.values(entry.name)[0]!, outcome.payload)
        return goOn()
      }
      const { error } = outcome
      if (error instanceof ConnectionLost) {
        // The hub may have granted it. The next connection asks again.
        entry.granted = undefined
        entry.isStored = true
        if (entry.asked === payload) entry.asked = undefined
        return
      }
      const isLimited = error._tag === "AskRefused" && error.code === "rate_limited"
      if (isLimited || (entry.answered !== undefined && isPassing(error))) {
        this.#timers.after((isLimited && error.retryAfterMs) || RETRY, goOn)
        return
      }
      if (newcomer === undefined) {
        // It had granted that, on an earlier connection.
        this.#forget(key, entry)
        this.#onRefused({ type: entry.type, payload, error })
      } else if (removed(entry, newcomer)) {
        if (entry.holders.length === 0) this.#entries.delete(key)
        // Granted to holders that have let go since.
        if (entry.holders.length === 0 && entry.isStored) this.#undo(key, entry)
        newcomer.waiter(outcome)
      }
      goOn()
    })
  }
}

/** Takes the holder out; `false` where it is out already. */
const removed = ({ holders }: Entry, holder: Holder): boolean => {
  const at = holders.indexOf(holder)
  if (at >= 0) holders.splice(at, 1)
  return at >= 0
}

/** Fields that are true where any holder wants them. */
const ANY: ReadonlySet<string> = new Set(["durable", "presence"])

/**
 * What several holders want, as one request: tags as a union, `durable` and `presence` if any holder wants it, and
 * all else as the last holder says that says something of it.
 */
const merged = (all: ReadonlyArray<Fields>): Fields => {
  const wanted: { [field: string]: unknown } = {}
  for (const fields of all) {
    for (const [field, value] of Object.entries(fields)) {
      const before = wanted[field]
      if (value === null || value === undefined) continue
      if (ANY.has(field)) wanted[field] = before === true || value
      else if (field === "capabilities" && Array.isArray(before) && Array.isArray(value)) {
        wanted[field] = [...new Set<unknown>([...before, ...value])]
      } else wanted[field] = value
    }
  }
  return wanted
}

const isSame = (a: Fields, b: Fields): boolean => JSON.stringify(a) === JSON.stringify(b)

/** Whether nobody has refused it for good: the way there was dead, or too much was asked at once. */
const isPassing = (error: RequestError): boolean =>
  error._tag === "AskTimeout" ||
  error._tag === "ActorTerminated" ||
  (error._tag === "AskRefused" && error.retryable && error.code !== "registry_full")

const keyOf = (type: WantedType, name: { readonly [field: string]: string }): string =>
  `${type} ${Object.values(name)[0]}`
