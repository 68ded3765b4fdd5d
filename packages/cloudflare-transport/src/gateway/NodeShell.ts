/** What the Durable Objects of topics and of the directory are alike in. */
import { DurableObject } from "cloudflare:workers"
import { makeLog } from "../hub/Log.ts"
import { Timers } from "../hub/Timers.ts"
import { durableObjectSql } from "../storage/Sql.ts"
import { type Schema, Tables } from "../storage/Tables.ts"
import { Calls } from "./Calls.ts"
import { type GatewayEnv, gatewayLimitsOf } from "./GatewayEnv.ts"
import type { NodeHost } from "./NodeHost.ts"
import { RoutingTable } from "./RoutingTable.ts"

const soon = Promise.resolve()

export abstract class NodeShell<Core> extends DurableObject<GatewayEnv> {
  readonly #host: NodeHost
  #core: Core | undefined

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
    this.#host = {
      name: ctx.id.name ?? "",
      sql: new Tables(durableObjectSql(ctx.storage), schema),
      limits,
      now: () => Date.now(),
      forget: () => void ctx.storage.deleteAll(),
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
      this.#core = this.start(this.#host)
    }
    return this.#core
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
