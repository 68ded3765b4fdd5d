/** The Durable Object of a shard of the directory: `DirectoryCore` in its shell. */
import type { Address } from "@signal-hub/actor-core"
import type { ActorEntry } from "../protocol/HubMessage.ts"
import { DIRECTORY } from "../object/Schema.ts"
import type { Schema } from "../object/Tables.ts"
import { DirectoryCore } from "./DirectoryCore.ts"
import type { GatewayEnv } from "./GatewayEnv.ts"
import { NodeShell } from "./NodeShell.ts"
import type { NodeHost } from "./NodeHost.ts"
import {
  type BroadcastResult,
  type BroadcastSlice,
  CallFailed,
  type Claimed,
  type DirectoryOp,
  type DirectoryPage,
  type DirectoryQuery,
  type DirectoryRpc,
} from "./Rpc.ts"

export class Directory extends NodeShell<DirectoryCore> implements DirectoryRpc {
  constructor(ctx: DurableObjectState, env: GatewayEnv, schema: Schema = DIRECTORY) {
    super(ctx, env, schema)
  }

  protected override start(host: NodeHost): DirectoryCore {
    return new DirectoryCore(host)
  }

  claim(entry: ActorEntry, holder: Address.Address): Promise<Claimed | null> {
    return new Promise((done, failed) =>
      this.served((core) =>
        core.claim(entry, holder, (claimed) => {
          if (claimed instanceof CallFailed) failed(new Error(claimed.message))
          else done(claimed)
        }),
      ),
    )
  }

  async holder(address: Address.Address): Promise<Address.Address | null> {
    return this.served((core) => core.holder(address))
  }

  async watch(target: Address.Address, watcher: Address.Address): Promise<boolean> {
    return this.served((core) => core.watch(target, watcher))
  }

  async unwatch(target: Address.Address, watcher: Address.Address): Promise<void> {
    this.served((core) => core.unwatch(target, watcher))
  }

  async apply(ops: ReadonlyArray<DirectoryOp>): Promise<void> {
    this.served((core) => core.apply(ops))
  }

  page(query: DirectoryQuery): Promise<DirectoryPage> {
    return new Promise((done) => this.served((core) => core.page(query, done)))
  }

  async count(): Promise<number> {
    return this.served((core) => core.count())
  }

  broadcast(slice: BroadcastSlice): Promise<BroadcastResult> {
    return new Promise((done) => this.served((core) => core.broadcast(slice, done)))
  }
}
