/**
 * Calls from one object to another, by Workers' RPC: finds the object, bounds the time, says typed what
 * went wrong. What the platform says may be repeated is, with back-off, where repeating does no harm; an
 * object that is overloaded is left alone.
 */
import type { Address } from "@signal-hub/actor-core"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { HubEnv } from "../worker/HubEnv.ts"
import type { RoutingTable } from "./RoutingTable.ts"
import { runRoute } from "./RouteCalls.ts"
import {
  type ActorRpc,
  type ArgsOf,
  type Batch,
  CallFailed,
  type Kinds,
  type MethodOf,
  type Outcome,
  type Remote,
} from "./Rpc.ts"

/** Repetitions of a call, and the milliseconds before the first: about doubled each time. */
const REPETITIONS = 4
const FIRST_DELAY = 50
const BACKOFF = Schedule.exponential(Duration.millis(FIRST_DELAY)).pipe(Schedule.jittered)

interface Options<Env> {
  readonly env: Env
  readonly table: RoutingTable<Env>
  /** Milliseconds that a call may take. */
  readonly callTimeout: number
  /** Runs the task after so many milliseconds, then flushes; the result cancels it. */
  readonly later: (milliseconds: number, task: () => void) => () => void
  /** Runs what follows from a call, then flushes. */
  readonly run: (task: () => void) => void
  /** Gives the answer of a function of the table to the object that asked. */
  readonly answer: (home: Address.Address, batch: Batch) => void
  readonly log: (event: string, fields: { readonly [field: string]: unknown }) => void
}

type AnyMethod = (...args: ReadonlyArray<unknown>) => Promise<unknown>
type Stub = { readonly [method: string]: AnyMethod }

export class Calls<Env extends HubEnv> implements Remote {
  readonly #options: Options<Env>

  constructor(options: Options<Env>) {
    this.#options = options
  }

  readonly call: Remote["call"] = (kind, name, method, args, repeat, done) => {
    const { callTimeout, later, run } = this.#options
    let isOpen = true
    const end = (result: unknown): void => {
      if (!isOpen) return
      isOpen = false
      cancel()
      done(result as never)
    }
    // While it runs, the timer keeps the object from hibernating.
    const cancel = later(callTimeout, () =>
      end(new CallFailed("timeout", `${name} did not take it within ${callTimeout} ms`)),
    )
    const called = repeat
      ? this.#repeatedly(kind, name, method, args)
      : this.#called(kind, name, String(method), args)
    called.then(
      (result) => run(() => end(result)),
      (error) => run(() => end(failureOf(error, name))),
    )
  }

  /** Once, as nearly always; further ones where that may help. */
  async #repeatedly<K extends keyof Kinds, M extends MethodOf<K>>(
    kind: K,
    name: string,
    method: M,
    args: ArgsOf<K, M>,
  ): Promise<unknown> {
    const once = () => this.#once(kind, name, String(method), args)
    try {
      return await once()
    } catch (error) {
      if (!isRepeatable(error)) throw error
      this.#options.log("call_repeated", { to: name, method, reason: String(error) })
      const again = Effect.tryPromise({ try: once, catch: (cause) => cause }).pipe(
        Effect.retry({ schedule: BACKOFF, times: REPETITIONS - 1, while: isRepeatable }),
      )
      return Effect.runPromise(again.pipe(Effect.delay(Duration.millis(FIRST_DELAY))))
    }
  }

  /** What can't even be called fails as what is called. */
  #called(
    kind: keyof Kinds,
    name: string,
    method: string,
    args: ReadonlyArray<unknown>,
  ): PromiseLike<unknown> {
    try {
      return this.#once(kind, name, method, args)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  #once(kind: keyof Kinds, name: string, method: string, args: ReadonlyArray<unknown>): PromiseLike<unknown> {
    const { env } = this.#options
    // Only gateways call these, and addresses lead to gateways only where there are any.
    if (kind === "topic") return callStub(env.TOPIC_HUB!.getByName(name), method, args)
    if (kind === "directory") return callStub(env.DIRECTORY!.getByName(name), method, args)
    const destination = this.#options.table.destination(name)
    switch (destination.kind) {
      case "gateway":
        return callStub(env.SESSION_GATEWAY!.getByName(name), method, args)
      case "nowhere":
        return Promise.resolve(withoutActor(method, args, name))
      case "function":
        return Promise.resolve(
          method === "deliver"
            ? runRoute(destination.run, args[0] as Batch, this.#options)
            : withoutActor(method, args, name),
        )
      case "namespace": {
        if (!isActors(method)) return Promise.resolve(withoutActor(method, args, name))
        const namespace = binding(env, destination.binding) as DurableObjectNamespace
        return callStub(namespace.getByName(destination.name), method, args)
      }
      case "hub":
        if (!isActors(method)) return Promise.resolve(withoutActor(method, args, name))
        return callStub(env.SIGNAL_HUB.getByName(destination.name), method, args)
      case "service":
        if (!isActors(method)) return Promise.resolve(withoutActor(method, args, name))
        return callStub(binding(env, destination.binding), method, args)
    }
  }
}

const binding = (env: object, name: string): unknown => (env as { readonly [name: string]: unknown })[name]

/** Methods of stubs are made as they are asked for: which there are, the types of `Rpc` say. */
const callStub = (stub: unknown, method: string, args: ReadonlyArray<unknown>): Promise<unknown> =>
  (stub as Stub)[method]!(...args)

const ACTORS: ReadonlySet<string> = new Set<keyof ActorRpc>(["deliver", "request", "watch", "unwatch"])

/** Whether hosts of actors answer to it; the rest is between gateways. */
const isActors = (method: string): boolean => ACTORS.has(method)

/** What an address without an object says: nobody is there. What a route has can't be claimed. */
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
}

const isRepeatable = (error: unknown): boolean => {
  const { retryable, overloaded } = error as PlatformError
  return retryable === true && overloaded !== true
}

/** What went wrong, without what the other side says of its inside. */
const failureOf = (error: unknown, name: string): CallFailed => {
  const { overloaded, remote, retryable } = error as PlatformError
  if (overloaded === true) return new CallFailed("queue_full", `${name} is overloaded`)
  if (remote === true && retryable !== true) return new CallFailed("actor_failed", `${name} failed on it`)
  return new CallFailed("actor_terminated", `${name} can't be reached, or went away meanwhile`)
}
