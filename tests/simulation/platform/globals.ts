/**
 * What code finds around it, replaced: clocks, timers, randomness, the console, and what Workers have and
 * Node has not. Imported before everything else. Outside a simulation's events all is the real thing.
 */
import { Host } from "./Host.ts"
import { real } from "./real.ts"
import type { Scheduled } from "./Queue.ts"
import type { Simulation } from "./Simulation.ts"
import { PlatformResponse, SocketPair } from "./web.ts"

let active: Simulation | undefined

/** From now on the globals are this simulation's. */
export const activate = (simulation: Simulation | undefined): void => {
  active = simulation
}

/** The id of a message, by the process that makes it. Stands for the module `MessageId` of the packages. */
export const messageId = (): string => running().messageId()

/** A map that each process has for itself, as what a module holds is its process's alone. */
export const mapOfProcess = <K, V>(): Pick<Map<K, V>, "get" | "set" | "delete"> => {
  const maps = new WeakMap<Host, Map<K, V>>()
  const own = (): Map<K, V> => {
    const host = running()
    const found = maps.get(host)
    if (found !== undefined) return found
    const made = new Map<K, V>()
    maps.set(host, made)
    return made
  }
  return {
    get: (key) => own().get(key),
    set: (key, value) => own().set(key, value),
    delete: (key) => own().delete(key),
  }
}

const running = (): Host => {
  if (active?.current === undefined) throw new Error("nobody runs: code outside an event of the simulation")
  return active.current
}

class Timer {
  readonly #event: Scheduled
  readonly #host: Host
  isSet = true

  constructor(simulation: Simulation, host: Host, delay: number, task: () => void) {
    this.#host = host
    host.timers++
    this.#event = simulation.schedule(
      delay,
      () => {
        this.clear()
        task()
      },
      host,
    )
  }

  clear(): void {
    if (!this.isSet) return
    this.isSet = false
    this.#host.timers--
    this.#event.cancel()
  }

  ref(): this {
    return this
  }

  unref(): this {
    return this
  }
}

type Task = (...args: ReadonlyArray<unknown>) => void

const later = (delay: number, task: Task, args: ReadonlyArray<unknown>): Timer | undefined =>
  active?.current === undefined ? undefined : new Timer(active, active.current, delay, () => task(...args))

const clear = (timer: unknown): void => {
  if (timer instanceof Timer) timer.clear()
  else real.clearTimeout(timer as NodeJS.Timeout)
}

const replaced = {
  setTimeout: (task: Task, delay = 0, ...args: ReadonlyArray<unknown>): unknown =>
    later(delay, task, args) ?? real.setTimeout(task, delay, ...args),
  setImmediate: (task: Task, ...args: ReadonlyArray<unknown>): unknown =>
    later(0, task, args) ?? real.setImmediate(task, ...args),
  clearTimeout: clear,
  clearImmediate: clear,
  Date: class extends real.Date {
    constructor(...args: ReadonlyArray<never>) {
      if (args.length === 0) super(now())
      else super(...(args as unknown as [number]))
    }

    static override now(): number {
      return now()
    }
  },
  Response: PlatformResponse,
  WebSocketPair: SocketPair,
  WebSocketRequestResponsePair: class {
    readonly request: string
    readonly response: string

    constructor(request: string, response: string) {
      this.request = request
      this.response = response
    }
  },
}

const now = (): number => active?.dateNow() ?? real.Date.now()

Object.assign(globalThis, replaced)
const random = Math.random
Math.random = () => active?.current?.random.next() ?? random()
Object.defineProperty(performance, "now", { value: () => active?.now ?? real.performanceNow() })
const hrtime = process.hrtime.bigint
process.hrtime.bigint = () => (active === undefined ? hrtime() : BigInt(Math.round(active.now * 1e6)))
Object.defineProperties(crypto, {
  randomUUID: { value: () => running().random.uuid() },
  getRandomValues: {
    value: <A extends ArrayBufferView>(array: A): A => {
      running().random.bytes(new Uint8Array(array.buffer, array.byteOffset, array.byteLength))
      return array
    },
  },
})
/** The fiber in a line of Effect's logger. A process counts its fibers over all the lives that it lives. */
const FIBER_ID = /#\d+(?=\):)/
for (const level of ["debug", "info", "warn", "error", "log"] as const) {
  console[level] = (...parts: ReadonlyArray<unknown>) => {
    if (active === undefined) real.console[level](...parts)
    else active.onLog(active.current, level, parts.map(String).join(" ").replace(FIBER_ID, "#…"))
  }
}
process.on("unhandledRejection", (error) => {
  if (active === undefined) throw error
  active.onError(active.current, error)
})
