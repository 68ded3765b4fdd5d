/** The calls of other objects and Workers to an object with clients. */
import type { Address, Envelope } from "@signal-hub/actor-core"
import type { HubSockets } from "../HubSockets.ts"
import type { ObjectPart, ObjectRuntime } from "../../object/ObjectRuntime.ts"
import type { ActorsCore } from "./ActorsCore.ts"
import { unread } from "./RemoteDeliveries.ts"
import type { Place } from "../../delivery/Place.ts"
import {
  type ActorRpc,
  type Batch,
  type Delivery,
  type Outcome,
  type Served,
  TAKEN,
} from "../../delivery/Rpc.ts"

/**
 * Answers the calls of `ActorRpc` by the core. An object that stores nothing is asked without starting one, and an
 * object that nobody needs any more deletes its storage.
 */
export class ActorRpcServer<Core extends ActorsCore> implements Served<ActorRpc>, ObjectPart {
  readonly #runtime: ObjectRuntime<Core>
  readonly #sockets: HubSockets<Core>
  readonly #place: Place

  constructor(runtime: ObjectRuntime<Core>, sockets: HubSockets<Core>, place: Place) {
    this.#runtime = runtime
    this.#sockets = sockets
    this.#place = place
    runtime.attach(this)
  }

  deliver(batch: Batch): ReadonlyArray<Outcome> {
    if (this.isFresh) return batch.deliveries.map((delivery) => nobody(delivery, this.#place))
    return this.#runtime.serve((core) => core.deliver(batch))
  }

  request(envelope: Envelope.Envelope, timeout: number): Promise<Envelope.Envelope> {
    return this.#runtime.promise((core, answered) => core.request(envelope, timeout, answered))
  }

  watch(target: Address.Address, watcher: Address.Address): boolean {
    return !this.isFresh && this.#runtime.serve((core) => core.watch(target, watcher))
  }

  unwatch(target: Address.Address, watcher: Address.Address): void {
    if (!this.isFresh) this.#runtime.serve((core) => core.unwatch(target, watcher))
  }

  /**
   * True if nothing is stored or under way, so that nobody is here. Throws `StorageRejected` if this code can't read
   * what is stored.
   */
  get isFresh(): boolean {
    this.#runtime.open()
    return this.#runtime.storage.tables.isEmpty() && this.#isQuiet
  }

  /** True if nothing is under way and no socket is open: the object may sleep for ever. */
  get #isQuiet(): boolean {
    return this.#runtime.isIdle && !this.#sockets.isOpen
  }

  /**
   * Deletes what is stored once nobody needs it: there are as many gateways as there ever were identities, and as
   * many hubs as anybody thought of names. What is only in memory stays: how much of its rate an identity has spent.
   */
  ended(): void {
    const runtime = this.#runtime
    if (!runtime.isReadable) return
    const { core, storage } = runtime
    if (!core.hub.state.sessions.isEmpty || storage.isBlank || !this.#isQuiet) return
    if (core.isEmpty) storage.forget(() => core.hub.forget())
  }
}

/** The outcome of a delivery to an object without clients. */
const nobody = ({ envelope, topic }: Delivery, place: Place): Outcome => {
  if (topic !== undefined) {
    return { status: "refused", code: "not_subscribed", message: `nobody is subscribed to "${topic}"` }
  }
  if (envelope.correlationId !== null) return unread(envelope)
  if (envelope.type.startsWith("hub:")) return TAKEN
  if (!place.isHome(envelope.to)) return { status: "elsewhere" }
  return { status: "refused", code: "unknown_actor", message: `there is no actor at ${envelope.to}` }
}
