/** The Durable Object of a topic, or of a part of its subscribers. */
import { DurableObject } from "cloudflare:workers"
import type { ObjectRuntime } from "../object/ObjectRuntime.ts"
import { TOPIC } from "../object/Schema.ts"
import type { Schema } from "../object/Tables.ts"
import type { GatewayEnv } from "../object/GatewayEnv.ts"
import {
  CallFailed,
  type MembersPage,
  type TopicOp,
  type TopicResult,
  type TopicRpc,
} from "../delivery/Rpc.ts"
import { serviceRuntime } from "../delivery/serviceRuntime.ts"
import { TopicCore } from "./TopicCore.ts"

/** Runs a `TopicCore`, which gateways call. */
export class TopicHub extends DurableObject<GatewayEnv> implements TopicRpc {
  readonly #runtime: ObjectRuntime<TopicCore>

  constructor(ctx: DurableObjectState, env: GatewayEnv, schema: Schema = TOPIC) {
    super(ctx, env)
    this.#runtime = serviceRuntime(ctx, env, schema, (port) => new TopicCore(port))
  }

  apply(ops: ReadonlyArray<TopicOp>): Promise<ReadonlyArray<TopicResult>> {
    return this.#runtime.promise((core, fulfil) => core.apply(ops, fulfil))
  }

  members(after: string, limit: number): Promise<MembersPage> {
    return this.#runtime.promise((core, fulfil, reject) =>
      core.members(after, limit, (page) => {
        if (page instanceof CallFailed) reject(new Error(page.message))
        else fulfil(page)
      }),
    )
  }

  override alarm(): void {
    this.#runtime.alarm(() => this.#runtime.serve((core) => core.alarm()))
  }
}
