/**
 * Stubs of other objects, kept while calls through them follow one another: each is a connection of its own to its
 * object, which takes longer to make than a message. A stub has one call at a time, as what breaks it fails all of
 * them. One that failed stays broken, and is not used again. One that rested may be broken by then, if its object
 * crashed meanwhile, and would fail a call that a new one carries: it is not used again either.
 */
import type { HubEnv } from "../object/HubEnv.ts"

/** Milliseconds for which a stub may rest. */
const KEPT_FOR = 100
/** How many are kept: the latest. */
const MOST = 64

type Method = (...args: ReadonlyArray<unknown>) => PromiseLike<unknown>
type Stub = { readonly [method: string]: Method }

interface Kept {
  readonly stub: Stub
  /** Those that were called: the platform makes one as it is asked for. */
  readonly methods: { [method: string]: Method }
  usedAt: number
}

export class Stubs {
  readonly #bindings: { readonly [binding: string]: unknown }
  readonly #now: () => number
  /** Those that are not in use, by binding and name. */
  readonly #kept = new Map<string, Kept>()

  constructor(env: HubEnv, now: () => number) {
    this.#bindings = env as unknown as { readonly [binding: string]: unknown }
    this.#now = now
  }

  /** Calls the object of this name. Which methods it has, the types of `Rpc` say. */
  async call(binding: string, name: string, method: string, args: ReadonlyArray<unknown>): Promise<unknown> {
    const key = `${binding}/${name}`
    const kept = this.#take(key) ?? this.#make(binding, name)
    const { methods, stub } = kept
    const result = await Reflect.apply((methods[method] ??= stub[method]!), stub, args)
    this.#keep(key, kept)
    return result
  }

  #take(key: string): Kept | undefined {
    const kept = this.#kept.get(key)
    if (kept === undefined) return undefined
    this.#kept.delete(key)
    return this.#now() - kept.usedAt <= KEPT_FOR ? kept : undefined
  }

  #make(binding: string, name: string): Kept {
    const stub = (this.#bindings[binding] as DurableObjectNamespace).getByName(name)
    return { stub: stub as unknown as Stub, methods: {}, usedAt: 0 }
  }

  #keep(key: string, kept: Kept): void {
    kept.usedAt = this.#now()
    this.#kept.delete(key)
    this.#kept.set(key, kept)
    if (this.#kept.size > MOST) this.#kept.delete(this.#kept.keys().next().value!)
  }
}
