/**
 * Stubs of other objects, kept from one call to the next: each is a connection of its own to its object, which takes
 * longer to make than a message, and counts 32 KiB of memory until it is collected. A stub has one call at a
 * time, as what breaks it fails all of them. One that failed may stay broken, and one that rested may have lost its
 * connection: neither is used again.
 */

/** Milliseconds after which a stub that rested is made anew: an idle object is evicted after as long. */
const KEPT_FOR = 10_000
/** How many are kept, the latest that were used. */
const MOST = 64

/** A stub that is not in use. */
export class Stub {
  readonly key: string
  readonly #methods: { [method: string]: Method } = {}
  readonly #stub: { readonly [method: string]: Method }
  usedAt = 0

  constructor(key: string, stub: object) {
    this.key = key
    this.#stub = stub as { readonly [method: string]: Method }
  }

  /** Which methods there are, the types of `Rpc` say; the platform makes one as it is asked for. */
  call(method: string, args: ReadonlyArray<unknown>): PromiseLike<unknown> {
    return (this.#methods[method] ??= this.#stub[method]!)(...args)
  }
}

type Method = (...args: ReadonlyArray<unknown>) => PromiseLike<unknown>

export class Stubs {
  readonly #bindings: { readonly [binding: string]: unknown }
  readonly #now: () => number
  /** By their binding and name. */
  readonly #kept = new Map<string, Stub>()

  constructor(env: object, now: () => number) {
    this.#bindings = env as { readonly [binding: string]: unknown }
    this.#now = now
  }

  /** A stub of the object of this name, for one call. Throws where the name can't be one. */
  take(binding: string, name: string): Stub {
    const key = `${binding}/${name}`
    const kept = this.#kept.get(key)
    if (kept !== undefined) this.#kept.delete(key)
    if (kept !== undefined && this.#now() - kept.usedAt <= KEPT_FOR) return kept
    return new Stub(key, (this.#bindings[binding] as DurableObjectNamespace).getByName(name))
  }

  /** The call succeeded: the stub is for the next one. */
  keep(stub: Stub): void {
    stub.usedAt = this.#now()
    this.#kept.set(stub.key, stub)
    if (this.#kept.size > MOST) this.#kept.delete(this.#kept.keys().next().value!)
  }
}
