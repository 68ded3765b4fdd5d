/**
 * What the Durable Objects with clients answer to when other objects and Workers call them: a shell that
 * gives `ActorsCore` its calls to others, by the routing table.
 */
import type { Address, Envelope } from "@signal-hub/actor-core"
import type { VerifyToken } from "../auth/Authentication.ts"
import type { HubCore } from "../hub/HubCore.ts"
import { HubShell } from "../hub/HubShell.ts"
import type { Limits } from "../protocol/Limits.ts"
import type { Schema } from "../object/Tables.ts"
import type { HubEnv } from "../worker/HubEnv.ts"
import type { ActorsCore } from "./ActorsCore.ts"
import { Calls } from "./Calls.ts"
import type { NeighborsHost } from "./GatewayHost.ts"
import { unread } from "./Incoming.ts"
import type { Place } from "./Place.ts"
import type { RoutingTable } from "./RoutingTable.ts"
import { type ActorRpc, type Batch, type Delivery, type Outcome, type Served, TAKEN } from "./Rpc.ts"

export interface ActorsShellOptions<Env> {
  readonly verify: VerifyToken | undefined
  readonly limits: Limits
  readonly schema: Schema
  /** The hub's name, as tokens know it. */
  readonly name: string
  readonly table: RoutingTable<Env>
  readonly place: Place
}

export abstract class ActorsShell<Core extends ActorsCore, Env extends HubEnv>
  extends HubShell<Core, Env>
  implements Served<ActorRpc>
{
  protected readonly neighbors: NeighborsHost
  readonly #place: Place
  /** Calls in flight. */
  #calls = 0
  /** What waits for the end of the event under way. */
  readonly #deferred: Array<() => void> = []
  #isDraining = false

  constructor(ctx: DurableObjectState, env: Env, options: ActorsShellOptions<Env>) {
    super(ctx, env, options)
    const { place, table } = options
    this.#place = place
    const run = (task: () => void): void => this.run(task)
    const calls = new Calls<Env>({
      env,
      table,
      callTimeout: options.limits.callTimeout,
      now: this.host.now,
      later: this.host.later,
      run,
      answer: (home, batch) => {
        if (place.isHome(home)) run(() => void this.core.deliver(batch))
        else calls.call("address", home, "deliver", [batch], false, () => {})
      },
      log: (event, fields) => this.host.log("warn", event, fields),
    })
    this.neighbors = {
      ...this.host,
      isIdentity: (address) => table.isIdentity(address),
      call: (kind, name, method, args, repeat, done) => {
        const { core } = this
        this.#calls++
        calls.call(kind, name, method, args, repeat, (result) => {
          this.#calls--
          // A core that failed meanwhile has no say any more.
          if (this.core === core) done(result)
        })
      },
      defer: (task) => void this.#deferred.push(task),
    }
  }

  protected override get isQuiet(): boolean {
    return this.#calls === 0 && this.#deferred.length === 0 && super.isQuiet
  }

  protected override hubOf({ hub }: Core): HubCore {
    return hub
  }

  deliver(batch: Batch): ReadonlyArray<Outcome> {
    if (this.isFresh) return batch.deliveries.map((delivery) => nobody(delivery, this.#place))
    return this.served((core) => core.deliver(batch))
  }

  request(envelope: Envelope.Envelope, timeout: number): Promise<Envelope.Envelope> {
    this.open()
    return new Promise((answered) => this.run(() => this.core.request(envelope, timeout, answered)))
  }

  watch(target: Address.Address, watcher: Address.Address): boolean {
    return !this.isFresh && this.served((core) => core.watch(target, watcher))
  }

  unwatch(target: Address.Address, watcher: Address.Address): void {
    if (!this.isFresh) this.served((core) => core.unwatch(target, watcher))
  }

  protected override eventOver(): void {
    if (this.#isDraining) return
    this.#isDraining = true
    try {
      while (this.#deferred.length > 0) this.run(this.#deferred.shift()!)
    } finally {
      this.#isDraining = false
    }
  }

  protected override run(task: () => void): void {
    super.run(task)
    this.#tidy()
  }

  /** What a call gives; what it is to send leaves with it. */
  protected served<A>(work: (core: Core) => A): A {
    try {
      return work(this.core)
    } catch (error) {
      this.failed(error, null)
      throw error
    } finally {
      this.bridge.flush()
      this.eventOver()
      this.#tidy()
    }
  }

  /**
   * There are as many gateways as there ever were identities, and as many hubs as anybody thought of names: one that
   * nobody needs keeps nothing.
   */
  #tidy(): void {
    if (!this.isReadable) return
    const { sessions } = this.hubOf(this.core).state
    if (!sessions.isEmpty || this.isBlank || !this.isQuiet) return
    if (this.core.isEmpty) this.forget()
  }
}

/** What an object says in which nobody is. */
const nobody = ({ envelope, topic }: Delivery, place: Place): Outcome => {
  if (topic !== undefined) {
    return { status: "refused", code: "not_subscribed", message: `nobody is subscribed to "${topic}"` }
  }
  if (envelope.correlationId !== null) return unread(envelope)
  if (envelope.type.startsWith("hub:")) return TAKEN
  if (!place.isHome(envelope.to)) return { status: "elsewhere" }
  return { status: "refused", code: "unknown_actor", message: `there is no actor at ${envelope.to}` }
}
