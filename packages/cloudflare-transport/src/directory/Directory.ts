/** The Durable Object of a shard of the directory. */
import type { Address } from "@signal-hub/actor-core"
import { DurableObject } from "cloudflare:workers"
import type { ObjectRuntime } from "../object/ObjectRuntime.ts"
import { DIRECTORY } from "../object/Schema.ts"
import type { Schema } from "../object/Tables.ts"
import type { ActorEntry } from "../protocol/HubMessage.ts"
import { DirectoryCore } from "./DirectoryCore.ts"
import type { GatewayEnv } from "../object/GatewayEnv.ts"
import {
  type BroadcastResult,
  type BroadcastSlice,
  CallFailed,
  type Claimed,
  type DirectoryOp,
  type DirectoryPage,
  type DirectoryQuery,
  type DirectoryRpc,
} from "../delivery/Rpc.ts"
import { serviceRuntime } from "../delivery/serviceRuntime.ts"

/** Runs a `DirectoryCore`, which gateways call. */
export class Directory extends DurableObject<GatewayEnv> implements DirectoryRpc {
  readonly #runtime: ObjectRuntime<DirectoryCore>

  constructor(ctx: DurableObjectState, env: GatewayEnv, schema: Schema = DIRECTORY) {
    super(ctx, env)
    this.#runtime = serviceRuntime(ctx, env, schema, (port) => new DirectoryCore(port))
  }

  claim(entry: ActorEntry, holder: Address.Address): Promise<Claimed | null> {
    return this.#runtime.promise((core, fulfil, reject) =>
      core.claim(entry, holder, (claimed) => {
        if (claimed instanceof CallFailed) reject(new Error(claimed.message))
        else fulfil(claimed)
      }),
    )
  }

  async holder(address: Address.Address): Promise<Address.Address | null> {
    return this.#runtime.serve((core) => core.holder(address))
  }

  async watch(target: Address.Address, watcher: Address.Address): Promise<boolean> {
    return this.#runtime.serve((core) => core.watch(target, watcher))
  }

  async unwatch(target: Address.Address, watcher: Address.Address): Promise<void> {
    this.#runtime.serve((core) => core.unwatch(target, watcher))
  }

  async apply(ops: ReadonlyArray<DirectoryOp>): Promise<void> {
    this.#runtime.serve((core) => core.apply(ops))
  }

  page(query: DirectoryQuery): Promise<DirectoryPage> {
    return this.#runtime.promise((core, fulfil) => core.page(query, fulfil))
  }

  async count(): Promise<number> {
    return this.#runtime.serve((core) => core.count())
  }

  broadcast(slice: BroadcastSlice): Promise<BroadcastResult> {
    return this.#runtime.promise((core, fulfil) => core.broadcast(slice, fulfil))
  }

  override alarm(): void {
    this.#runtime.alarm(() => this.#runtime.serve((core) => core.alarm()))
  }
}
