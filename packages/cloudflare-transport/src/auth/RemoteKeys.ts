/**
 * The key set behind `JWKS_URL`: fetched when it is first needed, again when it is old or a token names
 * a key that it has not, one fetch at a time. Who sends tokens with made-up key names causes a fetch in
 * 30 s at most.
 */
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey } from "jose"
import { elapsedSince } from "../protocol/WallTime.ts"

/** Milliseconds that a key set is good for before it is fetched anew. */
const FRESH_FOR = 600_000
/** Milliseconds that it goes on serving while no newer one can be had. */
const STALE_FOR = 3_600_000
/** Milliseconds between the begin of one fetch and of the next. */
const COOLDOWN = 30_000
/** Milliseconds until a first key set that could not be had is tried for again. */
const RETRY = 1_000
/** Milliseconds that a fetch may take. */
const TIMEOUT = 5_000

/** No keys can be had now. */
export class KeysUnavailable extends Error {}

export class RemoteKeys {
  readonly #url: string
  readonly #now: () => number
  readonly #fetch: typeof fetch
  #keys: { readonly resolve: JWTVerifyGetKey; readonly since: number } | undefined
  /** Shared by who needs it meanwhile. */
  #pending: Promise<void> | undefined
  #triedAt = Number.NEGATIVE_INFINITY

  constructor(
    url: string,
    now: () => number = Date.now,
    fetchKeys: typeof fetch = (...args) => fetch(...args),
  ) {
    this.#url = url
    this.#now = now
    this.#fetch = fetchKeys
  }

  /** The key that the header of a token names. Throws `KeysUnavailable`, or what `jose` throws. */
  readonly resolve: JWTVerifyGetKey = async (header, token) => {
    const before = this.#keys
    if (before === undefined || elapsedSince(before.since, this.#now()) >= FRESH_FOR) await this.#reload()
    try {
      return await this.#usable()(header, token)
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error
      const known = this.#keys
      await this.#reload()
      if (this.#keys === known) throw error
      return this.#usable()(header, token)
    }
  }

  #usable(): JWTVerifyGetKey {
    const keys = this.#keys
    if (keys === undefined || this.#now() - keys.since >= STALE_FOR) {
      throw new KeysUnavailable("the keys of JWKS_URL can't be had")
    }
    return keys.resolve
  }

  /** Fetches, or waits for the fetch under way; not at all where the last one is not long ago. */
  async #reload(): Promise<void> {
    const now = this.#now()
    const wait = this.#keys === undefined ? RETRY : COOLDOWN
    const left = Math.min(this.#triedAt + TIMEOUT - now, TIMEOUT)
    if (this.#pending !== undefined && left > 0) return orAfter(left, this.#pending)
    if (elapsedSince(this.#triedAt, now) < wait) return
    this.#triedAt = now
    const pending = this.#load().finally(() => {
      if (this.#pending === pending) this.#pending = undefined
    })
    this.#pending = pending
    return pending
  }

  async #load(): Promise<void> {
    try {
      const response = await this.#fetch(this.#url, {
        headers: { Accept: "application/json" },
        redirect: "manual",
        signal: AbortSignal.timeout(TIMEOUT),
      })
      if (response.status !== 200) {
        await response.body?.cancel()
        return
      }
      const set = await response.json<JSONWebKeySet>()
      this.#keys = { resolve: createLocalJWKSet(set), since: this.#now() }
    } catch {
      // Whoever needs keys finds that there are none, or goes on with those that there were.
    }
  }
}

/** A Worker's fetch ends with its request: whoever waits for another's must not wait for ever. */
const orAfter = async (ms: number, pending: Promise<void>): Promise<void> => {
  const over = Promise.withResolvers<void>()
  const timer = setTimeout(over.resolve, ms)
  await Promise.race([pending, over.promise])
  clearTimeout(timer)
}
