/** The Durable Object of a shard of the directory: `DirectoryCore` in its shell. */
import type { Address } from "@signal-hub/actor-core"
import type { ActorEntry } from "../protocol/HubMessage.ts"
import { DIRECTORY } from "../storage/Schema.ts"
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
  constructor(ctx: DurableObjectState, env: GatewayEnv) {
    super(ctx, env, DIRECTORY)
  }

  protected override start(host: NodeHost): DirectoryCore {
    return new DirectoryCore(host)
  }

  claim(entry: ActorEntry, holder: Address.Address): Promise<Claimed | null> {
    return new Promise((done, failed) =>
      this.core.claim(entry, holder, (claimed) => {
        if (claimed instanceof CallFailed) failed(new Error(claimed.message))
        else done(claimed)
      }),
    )
  }

  async holder(address: Address.Address): Promise<Address.Address | null> {
    return this.core.holder(address)
  }

  async watch(target: Address.Address, watcher: Address.Address): Promise<boolean> {
    return this.core.watch(target, watcher)
  }

  async unwatch(target: Address.Address, watcher: Address.Address): Promise<void> {
    this.core.unwatch(target, watcher)
  }

  override alarm(): void {
    this.core.alarm()
  }

  async apply(ops: ReadonlyArray<DirectoryOp>): Promise<void> {
    this.core.apply(ops)
  }

  page(query: DirectoryQuery): Promise<DirectoryPage> {
    return new Promise((done) => this.core.page(query, done))
  }

  async count(): Promise<number> {
    return this.core.count()
  }

  slice(offset: number, limit: number, claims: string | null): Promise<ReadonlyArray<ActorEntry>> {
    return new Promise((done) => this.core.slice(offset, limit, claims, done))
  }

  broadcast(slice: BroadcastSlice): Promise<BroadcastResult> {
    return new Promise((done) => this.core.broadcast(slice, done))
  }
}
