/**
 * Durable actors: an actor for each Durable Object of a class, at `@(<type>/<name of the object>)`. Its state,
 * what it is to do, and what it has promised are rows of the object's database.
 *
 * `DurableActor` is a class to extend. Who has a class of their own keeps a `DurableActorHost` in it, and
 * hands on the four calls and the alarm.
 */
import { DurableObject } from "cloudflare:workers"
import type { Address, Envelope } from "@signal-hub/actor-core"
import type { ActorRpc, Batch, Outcome, Served } from "../delivery/ActorRpc.ts"
import type { DurableActorOptions } from "./DurableActorOptions.ts"
import { makeLog } from "../object/Log.ts"
import { ObjectStorage } from "../object/ObjectStorage.ts"
import { StorageRejected } from "../object/StorageRejected.ts"
import type { Schema } from "../object/Tables.ts"
import { DurableHost } from "./DurableHost.ts"
import { DURABLE } from "./DurableSchema.ts"

/** The actor of a Durable Object, to be made in its constructor. */
export class DurableActorHost implements Served<ActorRpc> {
  readonly #storage: ObjectStorage
  /** Or why its storage can't be read by this code, and is left as it is. */
  #started!: DurableHost | StorageRejected

  constructor(ctx: DurableObjectState, options: DurableActorOptions, schema: Schema = DURABLE) {
    const storage = (this.#storage = new ObjectStorage(ctx, { schema, log: makeLog(undefined) }))
    // Nothing comes in before what the rows say is under way.
    void ctx.blockConcurrencyWhile(async () => {
      this.#started = await DurableHost.start(ctx, options, storage).catch((error: unknown) => {
        if (error instanceof StorageRejected) return error
        throw error
      })
    })
  }

  get #host(): DurableHost {
    if (this.#started instanceof StorageRejected) throw this.#started
    return this.#started
  }

  deliver(batch: Batch): ReadonlyArray<Outcome> | Promise<ReadonlyArray<Outcome>> {
    return this.#host.deliver(batch)
  }

  request(envelope: Envelope.Envelope, timeout: number): Promise<Envelope.Envelope> {
    return this.#host.request(envelope, timeout)
  }

  watch(target: Address.Address, watcher: Address.Address): Promise<boolean> {
    return this.#host.watch(target, watcher)
  }

  unwatch(target: Address.Address, watcher: Address.Address): Promise<void> {
    return this.#host.unwatch(target, watcher)
  }

  /** For the object's `alarm`, which it needs for itself. */
  async alarm(): Promise<void> {
    if (this.#started instanceof StorageRejected) return this.#storage.recheck()
    return this.#started.wake()
  }
}

/** A Durable Object that is an actor. */
export abstract class DurableActor<Env = unknown> extends DurableObject<Env> implements Served<ActorRpc> {
  readonly #actor: DurableActorHost

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    this.#actor = new DurableActorHost(ctx, this.actor(env))
  }

  /** What the actor is. Called once, before the fields of a subclass are set. */
  protected abstract actor(env: Env): DurableActorOptions

  deliver(batch: Batch): ReadonlyArray<Outcome> | Promise<ReadonlyArray<Outcome>> {
    return this.#actor.deliver(batch)
  }

  request(envelope: Envelope.Envelope, timeout: number): Promise<Envelope.Envelope> {
    return this.#actor.request(envelope, timeout)
  }

  watch(target: Address.Address, watcher: Address.Address): Promise<boolean> {
    return this.#actor.watch(target, watcher)
  }

  unwatch(target: Address.Address, watcher: Address.Address): Promise<void> {
    return this.#actor.unwatch(target, watcher)
  }

  override alarm(): Promise<void> {
    return this.#actor.alarm()
  }
}
