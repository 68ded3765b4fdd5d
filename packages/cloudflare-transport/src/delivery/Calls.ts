/**
 * Calls from one object to another, by Workers' RPC: finds the object, bounds the time, says typed what
 * went wrong. What the platform says may be repeated is, with back-off, where repeating does no harm; an
 * object that is overloaded is left alone.
 */
import type { Address } from "@signal-hub/actor-core"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { LogFields } from "../object/Log.ts"
import type { ObjectRuntime } from "../object/ObjectRuntime.ts"
import { isStorageRejected } from "../object/StorageRejected.ts"
import type { HubEnv } from "../object/HubEnv.ts"
import type { RoutingTable } from "./RoutingTable.ts"
import { runRoute } from "./RouteCalls.ts"
import {
  type ActorRpc,
  type Batch,
  CallFailed,
  isUnsupported,
  type Kinds,
  type Outcome,
  type Remote,
} from "./Rpc.ts"
import { Stubs } from "./Stubs.ts"

/** Repetitions of a call, and the milliseconds before the first: about doubled each time. */
const REPETITIONS = 4
const FIRST_DELAY = 50
const BACKOFF = Schedule.exponential(Duration.millis(FIRST_DELAY)).pipe(Schedule.jittered)

/** The object that calls, and where its calls lead. */
export interface CallsOptions<Env> {
  readonly runtime: Pick<ObjectRuntime<unknown>, "port" | "run" | "unlessFailed">
  readonly env: Env
  readonly table: RoutingTable<Env>
  /** Takes the answer of a function of the table to the object that asked. */
  readonly answer: (home: Address.Address, batch: Batch) => void
}

/** Calls other objects for one object. Each call ends within `callTimeout`. */
export class Calls<Env extends HubEnv> implements Remote {
  readonly #options: CallsOptions<Env>
  readonly #stubs: Stubs

  constructor(options: CallsOptions<Env>) {
    this.#options = options
    this.#stubs = new Stubs(options.env, options.runtime.port.now)
  }

  /** While a call runs, its timer keeps the object from hibernating. */
  readonly call: Remote["call"] = (kind, name, method, args, repeat, done) => {
    const { runtime } = this.#options
    const { later, limits } = runtime.port
    const told = runtime.unlessFailed(done)
    let isOpen = true
    const end = (result: unknown): void => {
      if (!isOpen) return
      isOpen = false
      cancel()
      told(result as never)
    }
    const cancel = later(limits.callTimeout, () =>
      end(new CallFailed("timeout", `${name} did not take it within ${limits.callTimeout} ms`)),
    )
    const once = (): Promise<unknown> => this.#once(kind, name, String(method), args)
    const called = repeat ? this.#repeatedly(name, String(method), once) : once()
    called.then(
      (result) => runtime.run(() => end(result)),
      (error) => runtime.run(() => end(this.#failed(error, name, String(method), args))),
    )
  }

  readonly #log = (event: string, fields: LogFields): void =>
    this.#options.runtime.port.log("warn", event, fields)

  /** Returns the result of a call that failed. An object that lacks the method counts as one without an actor. */
  #failed(error: unknown, name: string, method: string, args: ReadonlyArray<unknown>): unknown {
    if (!isUnsupported(error, method)) return failureOf(error, name)
    this.#log("call_unsupported", { to: name, method })
    if (isActors(method) || method === "hasSession") return withoutActor(method, args, name)
    return new CallFailed("actor_failed", `${name} does not support ${method}: it runs other code`)
  }

  /** Once, as nearly always; further ones where that may help. */
  async #repeatedly(name: string, method: string, once: () => Promise<unknown>): Promise<unknown> {
    try {
      return await once()
    } catch (error) {
      if (!isRepeatable(error)) throw error
      this.#log("call_repeated", { to: name, method, reason: String(error) })
      const again = Effect.tryPromise({ try: once, catch: (cause) => cause }).pipe(
        Effect.retry({ schedule: BACKOFF, times: REPETITIONS - 1, while: isRepeatable }),
      )
      return Effect.runPromise(again.pipe(Effect.delay(Duration.millis(FIRST_DELAY))))
    }
  }

  /** Calls once. An object that can't be found fails like one that was called. */
  async #once(
    kind: keyof Kinds,
    name: string,
    method: string,
    args: ReadonlyArray<unknown>,
  ): Promise<unknown> {
    // Only gateways call these, and addresses lead to gateways only where there are any.
    if (kind === "topic") return this.#stubs.call("TOPIC_HUB", name, method, args)
    if (kind === "directory") return this.#stubs.call("DIRECTORY", name, method, args)
    const destination = this.#options.table.destination(name)
    if (destination.kind === "gateway") return this.#stubs.call("SESSION_GATEWAY", name, method, args)
    if (!isActors(method)) return withoutActor(method, args, name)
    switch (destination.kind) {
      case "nowhere":
        return withoutActor(method, args, name)
      case "function":
        if (method !== "deliver") return withoutActor(method, args, name)
        return runRoute(destination.run, args[0] as Batch, {
          env: this.#options.env,
          answer: this.#options.answer,
          log: this.#log,
          acceptForwards: destination.acceptForwards,
        })
      case "namespace":
        return this.#stubs.call(destination.binding, destination.name, method, args)
      case "hub":
        return this.#stubs.call("SIGNAL_HUB", destination.name, method, args)
      case "service":
        return service(this.#options.env, destination.binding)[method]!(...args)
    }
  }
}

type Service = { readonly [method: string]: (...args: ReadonlyArray<unknown>) => PromiseLike<unknown> }

const service = (env: object, binding: string): Service =>
  (env as { readonly [binding: string]: unknown })[binding] as Service

const ACTORS: ReadonlySet<string> = new Set<keyof ActorRpc>(["deliver", "request", "watch", "unwatch"])

/** Returns true if all objects with actors have the method. The others are between gateways. */
const isActors = (method: string): boolean => ACTORS.has(method)

/** Answers for an address without an object: nobody is there. An address of a route can't be claimed. */
const withoutActor = (method: string, args: ReadonlyArray<unknown>, name: string): unknown => {
  if (method === "watch") return false
  if (method === "hasSession") return true
  if (method === "leases") return (args[0] as ReadonlyArray<unknown>).map(() => null)
  if (method !== "deliver") return null
  const refused: Outcome = {
    status: "refused",
    code: "unknown_actor",
    message: `there is no actor at ${name}`,
  }
  return (args[0] as Batch).deliveries.map(() => refused)
}

interface PlatformError {
  readonly retryable?: boolean
  readonly overloaded?: boolean
  readonly remote?: boolean
  readonly durableObjectReset?: boolean
}

const isRepeatable = (error: unknown): boolean => {
  const { durableObjectReset, overloaded, retryable } = error as PlatformError
  return (retryable === true || durableObjectReset === true) && overloaded !== true
}

/** Returns the failure, without the details that the other side tells of its inside. */
const failureOf = (error: unknown, name: string): CallFailed => {
  const { overloaded, remote } = error as PlatformError
  if (overloaded === true) return new CallFailed("queue_full", `${name} is overloaded`)
  // An object that crashed, or that only newer code can serve, may take it another time.
  if (remote === true && !isRepeatable(error) && !isStorageRejected(error))
    return new CallFailed("actor_failed", `${name} failed on it`)
  return new CallFailed("actor_terminated", `${name} can't be reached, or went away meanwhile`)
}
