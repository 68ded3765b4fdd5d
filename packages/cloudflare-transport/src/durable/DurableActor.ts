/**
 * Durable actors: an actor for each Durable Object of a class, at `@(<type>/<name of the object>)`. Its state,
 * what it is to do, and what it has promised are rows of the object's database.
 *
 * `DurableActor` is a class to extend. Who has a class of their own keeps a `DurableActorHost` in it, and
 * hands on the four calls and the alarm.
 */
import { DurableObject } from "cloudflare:workers"
import type { Address, Envelope } from "@signal-hub/actor-core"
import type { ActorRpc, Batch, Outcome, Served } from "./ActorRpc.ts"
import type { DurableActorOptions } from "./DurableActorOptions.ts"
import { DurableHost } from "./DurableHost.ts"

/** The actor of a Durable Object, to be made in its constructor. */
export class DurableActorHost implements Served<ActorRpc> {
  #host!: DurableHost

  constructor(ctx: DurableObjectState, options: DurableActorOptions) {
    // Nothing comes in before what the rows say is under way.
    void ctx.blockConcurrencyWhile(async () => {
      this.#host = await DurableHost.start(ctx, options)
    })
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
  alarm(): Promise<void> {
    return this.#host.wake()
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
