/** All Durable Objects, and the namespaces by which code calls them: over a network that loses calls. */
import type { Host } from "./Host.ts"
import { Incarnation, type Instance } from "./Incarnation.ts"
import { ObjectPlace, type ObjectsWorld } from "./ObjectPlace.ts"

/** Milliseconds that a call takes, each way. */
const USUALLY = 6
const RARELY = 400

/** An error of the platform's, with what it says of itself. */
class PlatformError extends Error {
  readonly retryable?: boolean
  readonly overloaded?: boolean
  readonly remote?: boolean
  readonly durableObjectReset?: boolean

  constructor(
    message: string,
    facts: { retryable?: boolean; overloaded?: boolean; remote?: boolean; durableObjectReset?: boolean },
  ) {
    super(message)
    Object.assign(this, facts)
  }
}

const lostError = (): PlatformError => new PlatformError("Network connection lost.", { retryable: true })
const resetError = (): PlatformError =>
  new PlatformError("Durable Object reset because its code was updated.", { retryable: true, remote: true })
/** Of a stub whose object crashed since: as workerd has it, nothing is said of repeating. */
const brokenError = (): PlatformError =>
  new PlatformError("Durable Object reset.", { durableObjectReset: true, remote: true })
const overloadedError = (): PlatformError =>
  new PlatformError("Durable Object is overloaded. Requests queued for too long.", { overloaded: true })

export class Objects {
  readonly #world: ObjectsWorld
  readonly #places = new Map<string, ObjectPlace>()
  calls = 0

  constructor(world: ObjectsWorld) {
    this.#world = world
  }

  all(): Iterable<ObjectPlace> {
    return this.#places.values()
  }

  place(kind: string, name: string): ObjectPlace {
    const key = `${kind}:${name}`
    let place = this.#places.get(key)
    if (place === undefined) this.#places.set(key, (place = new ObjectPlace(this.#world, kind, name)))
    return place
  }

  /** A `DurableObjectNamespace` of these objects. */
  namespace(kind: string): unknown {
    const getByName = (name: string): unknown => this.#stub(this.place(kind, name))
    return {
      getByName,
      idFromName: (name: string) => ({ name }),
      get: ({ name }: { readonly name: string }) => getByName(name),
    }
  }

  #stub(place: ObjectPlace): unknown {
    const known = new Map<string, (...args: ReadonlyArray<unknown>) => Promise<unknown>>()
    let crashes: number | undefined
    const isBroken = (): boolean => (crashes ??= place.crashes) !== place.crashes
    return new Proxy(
      {},
      {
        get: (_, method) => {
          if (typeof method !== "string" || method === "then") return undefined
          let call = known.get(method)
          if (call === undefined)
            known.set(method, (call = (...args) => this.#call(place, method, args, isBroken())))
          return call
        },
      },
    )
  }

  #call(
    place: ObjectPlace,
    method: string,
    args: ReadonlyArray<unknown>,
    isBroken: boolean,
  ): Promise<unknown> {
    const { faults, simulation } = this.#world
    const caller = simulation.current!
    this.calls++
    // A request goes as it is: it has a body that can be read once.
    const isFetch = method === "fetch"
    const sent = isFetch ? args : structuredClone(args)
    caller.calls++
    if (!isFetch)
      simulation.note(`${caller.name} calls ${place} ${method}`, JSON.stringify(sent).slice(0, 300))
    return new Promise((resolve, reject) => {
      const random = caller.random
      const way = (): number => random.delay(USUALLY, RARELY)
      const settle = (task: () => void): void => {
        simulation.schedule(
          way(),
          () => {
            caller.calls--
            task()
          },
          caller,
        )
      }
      const fail = (error: Error): void => settle(() => reject(error))
      const isLost = (): boolean => random.chance(faults().call)
      caller.output(() => {
        if (isBroken) return fail(brokenError())
        if (isLost()) return fail(lostError())
        if (random.chance(faults().overload)) return fail(overloadedError())
        const arrive = (): void =>
          place.dispatch({
            label: isFetch ? "fetch" : `${method} ${JSON.stringify(sent).slice(0, 300)} of ${caller.name}`,
            run: (instance) => {
              this.#serve(place, instance, method, sent, {
                done: (result) => (isLost() ? fail(lostError()) : settle(() => resolve(result))),
                failed: fail,
              })
            },
            lost: () => fail(resetError()),
          })
        simulation.schedule(way(), arrive)
      })
    })
  }

  #serve(
    place: ObjectPlace,
    instance: Instance,
    method: string,
    args: ReadonlyArray<unknown>,
    then: { readonly done: (result: unknown) => void; readonly failed: (error: Error) => void },
  ): void {
    const life = place.incarnation!
    const lost = (): void => then.failed(resetError())
    life.served.add(lost)
    const end = (answer: () => void): void => {
      if (!life.isAlive) return
      life.output(() => {
        // With a crash between the commit and this, the caller hears of the crash.
        if (life.served.delete(lost)) answer()
      })
    }
    const serve = async (): Promise<void> => {
      try {
        const result = await instance[method]!(...(args as ReadonlyArray<never>))
        const given = method === "fetch" ? result : structuredClone(result)
        end(() => then.done(given))
      } catch (error) {
        // What a method rejects with is its caller's.
        this.#world.simulation.note(`${life.name} rejects ${method}`, String(error))
        end(() => then.failed(new PlatformError(String(error), { remote: true })))
      }
    }
    void serve()
  }
}

/** The object whose code runs. */
export const placeOf = (host: Host | undefined): ObjectPlace | undefined =>
  host instanceof Incarnation ? host.place : undefined
