/** The Durable Object of a shard of the directory: `DirectoryCore` in its shell. */
import type { ActorEntry } from "../protocol/HubMessage.ts"
import type { Sql } from "../storage/Sql.ts"
import { DirectoryCore, migrateDirectory } from "./DirectoryCore.ts"
import { NodeShell } from "./NodeShell.ts"
import type { NodeHost } from "./NodeHost.ts"
import type {
  BroadcastResult,
  BroadcastSlice,
  DirectoryOp,
  DirectoryPage,
  DirectoryQuery,
  DirectoryRpc,
} from "./Rpc.ts"

export class Directory extends NodeShell<DirectoryCore> implements DirectoryRpc {
  protected override migrate(sql: Sql): void {
    migrateDirectory(sql)
  }

  protected override start(host: NodeHost): DirectoryCore {
    return new DirectoryCore(host)
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
