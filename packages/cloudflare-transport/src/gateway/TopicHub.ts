/** The Durable Object of a topic, or of a part of its subscribers: `TopicCore` in its shell. */
import { TOPIC } from "../object/Schema.ts"
import type { Schema } from "../object/Tables.ts"
import type { GatewayEnv } from "./GatewayEnv.ts"
import { NodeShell } from "./NodeShell.ts"
import type { NodeHost } from "./NodeHost.ts"
import { CallFailed, type MembersPage, type TopicOp, type TopicResult, type TopicRpc } from "./Rpc.ts"
import { TopicCore } from "./TopicCore.ts"

export class TopicHub extends NodeShell<TopicCore> implements TopicRpc {
  constructor(ctx: DurableObjectState, env: GatewayEnv, schema: Schema = TOPIC) {
    super(ctx, env, schema)
  }

  protected override start(host: NodeHost): TopicCore {
    return new TopicCore(host)
  }

  apply(ops: ReadonlyArray<TopicOp>): Promise<ReadonlyArray<TopicResult>> {
    return new Promise((done) => this.served((core) => core.apply(ops, done)))
  }

  members(after: string, limit: number): Promise<MembersPage> {
    return new Promise((done, failed) =>
      this.served((core) =>
        core.members(after, limit, (page) => {
          if (page instanceof CallFailed) failed(new Error(page.message))
          else done(page)
        }),
      ),
    )
  }
}
