/** What the Durable Objects of topics and of the directory are alike in. */
import { DurableObject } from "cloudflare:workers"
import { makeLog } from "../object/Log.ts"
import { Timers } from "../object/Timers.ts"
import { durableObjectSql } from "../object/Sql.ts"
import { RECHECK_MS, rejectionFields, StorageRejected } from "../object/StorageRejected.ts"
import { type Schema, Tables } from "../object/Tables.ts"
import { Calls } from "./Calls.ts"
import { type GatewayEnv, gatewayLimitsOf } from "./GatewayEnv.ts"
import type { NodeHost } from "./NodeHost.ts"
import { RoutingTable } from "./RoutingTable.ts"

const soon = Promise.resolve()

export abstract class NodeShell<Core extends { alarm(): void }> extends DurableObject<GatewayEnv> {
  readonly #host: NodeHost
  #core: Core | undefined
  readonly #tables: Tables
  #isRejected = false

  constructor(ctx: DurableObjectState, env: GatewayEnv, schema: Schema) {
    super(ctx, env)
    const limits = gatewayLimitsOf(env)
    const log = makeLog(env.LOG_LEVEL)
    const { later } = new Timers((task) => this.#run(task))
    const calls = new Calls<GatewayEnv>({
      env,
      table: new RoutingTable(),
      callTimeout: limits.callTimeout,
      now: () => Date.now(),
      later,
      run: (task) => this.#run(task),
      answer: () => {},
      log: (event, fields) => log("warn", event, fields),
    })
    const tables = (this.#tables = new Tables(durableObjectSql(ctx.storage), schema))
    this.#host = {
      name: ctx.id.name ?? "",
      sql: tables,
      limits,
      now: () => Date.now(),
      forget: () => {
        // What newer code has stored beside it may be all that there is to lose.
        if (!tables.isNewer) void ctx.storage.deleteAll()
      },
      setAlarm: (at) => void (at === null ? ctx.storage.deleteAlarm() : ctx.storage.setAlarm(at)),
      later,
      defer: (task) => void soon.then(() => this.#run(task)),
      call: calls.call,
      log,
    }
  }

  protected abstract start(host: NodeHost): Core

  protected get core(): Core {
    if (this.#core === undefined) {
      this.#open()
      this.#core = this.start(this.#host)
    }
    return this.#core
  }

  override alarm(): void {
    let core: Core
    try {
      core = this.core
    } catch (error) {
      if (!(error instanceof StorageRejected)) throw error
      // Its deadlines are for newer code, and the alarm is gone that would have woken it for them.
      return void this.ctx.storage.setAlarm(Date.now() + RECHECK_MS)
    }
    this.served(() => core.alarm())
  }

  /** Answers a call. After a failure what memory holds is in doubt: the next one begins again from the rows. */
  protected served<A>(work: (core: Core) => A): A {
    try {
      return work(this.core)
    } catch (error) {
      this.#core = undefined
      throw error
    }
  }

  /** Looks what is stored and upgrades it. Throws `StorageRejected` where this code can't read it. */
  #open(): void {
    try {
      this.#tables.open()
    } catch (error) {
      if (error instanceof StorageRejected && !this.#isRejected) {
        this.#isRejected = true
        this.#host.log("error", "storage_rejected", { name: this.#host.name, ...rejectionFields(error) })
      }
      throw error
    }
  }

  /** What memory held is in doubt after a failure: begins again from the rows, as after an eviction. */
  #run(task: () => void): void {
    try {
      task()
    } catch (error) {
      this.#host.log("error", "internal_error", { name: this.#host.name, error: String(error) })
      this.#core = undefined
    }
  }
}
