/**
 * The order in which clients of one process say `hub:connect` for the same identity at the same URL: that in which
 * they began. The last to say it has the identity. A client that began earlier and said it later would take it from
 * the one that is there to stay, as where a page mounts, unmounts and mounts again.
 */
import * as Effect from "effect/Effect"
import type { FetchToken } from "./Token.ts"
import { waitAtMost, type Timers } from "./Timers.ts"

/** Milliseconds that a client waits at most for earlier ones whose token provider has yet to say whose they are. */
const MAX_TOKEN_WAIT_MS = 2_000

/** A place in a line. */
interface Place {
  readonly line: string
  /** Called when it is the first of the line. */
  onFirst: () => void
}

/** The places of each line that are not left yet. */
const lines = new Map<string, Array<Place>>()

const enter = (line: string): Place => {
  const place = { line, onFirst: () => {} }
  const places = lines.get(line)
  if (places === undefined) lines.set(line, [place])
  else places.push(place)
  return place
}

const leave = (place: Place): void => {
  const places = lines.get(place.line)!
  places.splice(places.indexOf(place), 1)
  if (places.length === 0) lines.delete(place.line)
  else places[0]!.onFirst()
}

/** Calls when the place is the first, at once where it is; the result takes that back. */
const whenFirst = (place: Place, first: () => void): (() => void) => {
  if (lines.get(place.line)?.[0] === place) first()
  else place.onFirst = first
  return () => (place.onFirst = () => {})
}

/** The identity that the token's claims name; the token itself where they can't be read here. */
const identityIn = (token: string): unknown => {
  try {
    const { actorId, sub } = JSON.parse(atob(token.split(".")[1]!.replace(/-/g, "+").replace(/_/g, "/")))
    return actorId ?? sub ?? token
  } catch {
    return token
  }
}

/** The turns of one client. */
export class ConnectTurn {
  readonly #url: string
  readonly #identity: string | undefined
  readonly #timers: Timers
  #place: Place | undefined

  /** Enters the line, where it is known by now; else that of the clients of the URL of which it is not. */
  constructor(
    url: string | URL,
    identity: string | undefined,
    token: string | FetchToken | undefined,
    timers: Timers,
  ) {
    this.#url = String(url)
    this.#identity = identity
    this.#timers = timers
    const line =
      typeof token === "function" && identity === undefined ? this.#url : this.#lineOf(token as string)
    if (line !== undefined) this.#place = enter(line)
  }

  /** Waits until earlier clients of the same identity have been answered, or have given up. */
  wait(token: string | undefined): Effect.Effect<void> {
    return Effect.suspend(() => {
      const line = this.#lineOf(token)
      const place = this.#place
      if (place === undefined || place.line === line) return this.#waitIn(line)
      const earlier = waitAtMost(this.#timers, MAX_TOKEN_WAIT_MS, (done) => whenFirst(place, done))
      return Effect.andThen(
        earlier,
        Effect.suspend(() => {
          // Before those behind it are let on.
          const waiting = this.#waitIn(line, true)
          leave(place)
          return waiting
        }),
      )
    })
  }

  /** The hub has answered, or nothing is asked of it any more. */
  end(): void {
    if (this.#place !== undefined) leave(this.#place)
    this.#place = undefined
  }

  #waitIn(line: string | undefined, isNew = this.#place === undefined): Effect.Effect<void> {
    if (isNew) this.#place = line === undefined ? undefined : enter(line)
    const place = this.#place
    if (place === undefined) return Effect.void
    return Effect.callback((resume) => {
      const off = whenFirst(place, () => resume(Effect.void))
      return Effect.sync(off)
    })
  }

  /** `undefined`: nobody else can have its identity. */
  #lineOf(token: string | undefined): string | undefined {
    const identity = this.#identity ?? (token && identityIn(token))
    return identity === undefined || identity === "" ? undefined : `${this.#url} ${String(identity)}`
  }
}
