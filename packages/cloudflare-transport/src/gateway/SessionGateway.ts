/** The Durable Object of one identity: `GatewayCore` in its shell, and what other objects may call. */
import type { Address, Envelope } from "@signal-hub/actor-core"
import type { VerifyToken } from "../auth/Authentication.ts"
import type { HubCore } from "../hub/HubCore.ts"
import { HubShell } from "../hub/HubShell.ts"
import type { Sql } from "../storage/Sql.ts"
import { Calls } from "./Calls.ts"
import { GatewayCore } from "./GatewayCore.ts"
import { type GatewayEnv, gatewayLimitsOf } from "./GatewayEnv.ts"
import type { GatewayHost } from "./GatewayHost.ts"
import { migrateNotices } from "./GatewaySchema.ts"
import { RoutingTable } from "./RoutingTable.ts"
import { type Batch, type GatewayRpc, type Outcome, TAKEN } from "./Rpc.ts"

export interface GatewayOptions<Env> {
  /** Where addresses lead; without it all are identities. */
  readonly table?: RoutingTable<Env>
  /** A scheme of your own for tokens, the same that the Worker has. */
  readonly verify?: VerifyToken
}

export class SessionGateway<Env extends GatewayEnv = GatewayEnv>
  extends HubShell<GatewayCore, Env>
  implements GatewayRpc
{
  readonly #host: GatewayHost
  readonly #identity: Address.Address
  /** Calls in flight, and tasks that wait for the end of the event under way. */
  #pending = 0

  constructor(ctx: DurableObjectState, env: Env, options: GatewayOptions<Env> = {}) {
    // Tokens open gateways with the hub that they open where they name none.
    super(ctx, env, { verify: options.verify, limits: gatewayLimitsOf(env), name: "default" })
    const identity = ctx.id.name as Address.Address
    this.#identity = identity
    const run = (task: () => void): void => this.run(task)
    const table = options.table ?? new RoutingTable<Env>()
    const calls = new Calls<Env>({
      env,
      table,
      callTimeout: this.host.limits.callTimeout,
      run,
      answer: (home, batch) => {
        if (home === identity) run(() => void this.core.deliver(batch))
        else calls.call("address", home, "deliver", [batch], false, () => {})
      },
      log: (event, fields) => this.host.log("warn", event, fields),
    })
    this.#host = {
      ...this.host,
      identity,
      isIdentity: (address) => table.isIdentity(address),
      call: (kind, name, method, args, repeat, done) => {
        const { core } = this
        this.#pending++
        calls.call(kind, name, method, args, repeat, (result) => {
          this.#pending--
          // A core that failed meanwhile has no say any more.
          if (this.core === core) done(result)
        })
      },
      defer: (task) => {
        this.#pending++
        queueMicrotask(() => {
          this.#pending--
          run(task)
        })
      },
    }
  }

  protected override migrate(sql: Sql, version: number): number {
    migrateNotices(sql)
    return super.migrate(sql, version)
  }

  protected override start(armedAt: number | null): GatewayCore {
    return new GatewayCore(this.#host, armedAt)
  }

  protected override get isQuiet(): boolean {
    return this.#pending === 0 && super.isQuiet
  }

  override webSocketClose(socket: WebSocket, code: number, reason: string): void {
    super.webSocketClose(socket, code, reason)
    this.#tidy()
  }

  override webSocketError(socket: WebSocket): void {
    super.webSocketError(socket)
    this.#tidy()
  }

  override alarm(): void {
    super.alarm()
    this.#tidy()
  }

  protected override run(task: () => void): void {
    super.run(task)
    this.#tidy()
  }

  /** There are as many gateways as there ever were identities: one that nobody needs keeps nothing. */
  #tidy(): void {
    if (this.isFresh || this.core.hasSession() || !this.isQuiet) return
    if (this.core.isEmpty) this.forget()
  }

  protected override hubOf({ hub }: GatewayCore): HubCore {
    return hub
  }

  async deliver(batch: Batch): Promise<ReadonlyArray<Outcome>> {
    if (this.isFresh) return batch.deliveries.map((delivery) => nobody(delivery, this.#identity))
    return this.#served((core) => core.deliver(batch))
  }

  request(envelope: Envelope.Envelope, timeout: number): Promise<Envelope.Envelope> {
    return new Promise((answered) => this.run(() => this.core.request(envelope, timeout, answered)))
  }

  async watch(target: Address.Address, watcher: Address.Address): Promise<boolean> {
    return !this.isFresh && this.#served((core) => core.watch(target, watcher))
  }

  async unwatch(target: Address.Address, watcher: Address.Address): Promise<void> {
    if (!this.isFresh) this.#served((core) => core.unwatch(target, watcher))
  }

  async hasSession(): Promise<boolean> {
    return !this.isFresh && this.#served((core) => core.hasSession())
  }

  async leases(addresses: ReadonlyArray<Address.Address>): Promise<ReadonlyArray<number | null>> {
    return this.isFresh ? addresses.map(() => null) : this.#served((core) => core.leases(addresses))
  }

  /** What a call gives; what it is to send leaves with it. */
  #served<A>(work: (core: GatewayCore) => A): A {
    try {
      return work(this.core)
    } catch (error) {
      this.failed(error, null)
      throw error
    } finally {
      this.bridge.flush()
      this.#tidy()
    }
  }
}

/** What an object says in which nobody ever was: it needs no tables for that. */
const nobody = ({ envelope, topic }: Batch["deliveries"][number], identity: Address.Address): Outcome => {
  if (topic !== undefined) {
    return { status: "refused", code: "not_subscribed", message: `nobody is subscribed to "${topic}"` }
  }
  if (envelope.correlationId !== null || envelope.type.startsWith("hub:")) return TAKEN
  if (envelope.to !== identity) return { status: "elsewhere" }
  return { status: "refused", code: "unknown_actor", message: `there is no actor at ${envelope.to}` }
}
