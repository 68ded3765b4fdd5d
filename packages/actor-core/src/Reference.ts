/** References, over the runtime that resolves them: to an actor of this system, or to an address. */
import type * as Effect from "effect/Effect"
import type { ActorCell } from "./ActorCell.ts"
import type { NotDelivered } from "./ActorError.ts"
import type { ActorRef, AskOptions, TellOptions } from "./ActorRef.ts"
import type { Address } from "./Address.ts"
import type { AskError } from "./AskError.ts"
import type { Addressed } from "./Message.ts"
import { ask, offer, tell } from "./Outbound.ts"
import type * as Protocol from "./Protocol.ts"
import type { Runtime } from "./Runtime.ts"

export class Reference<in out P extends Protocol.Any> implements ActorRef<P> {
  readonly protocol: P
  readonly runtime: Runtime
  readonly #address: Address | null
  readonly sender: Addressed | null
  #cell: ActorCell | null

  /** By cell or by address; one of them may be `null`. Sends in the name of `sender`; `null`: of no actor. */
  constructor(
    runtime: Runtime,
    protocol: P,
    cell: ActorCell | null,
    address: Address | null,
    sender: Addressed | null,
  ) {
    this.runtime = runtime
    this.protocol = protocol
    this.#cell = cell
    this.#address = address
    this.sender = sender
  }

  get address(): Address {
    return this.#address ?? this.#cell!.address
  }

  /** The actor here that it leads to, or `null`: there is none, or it is elsewhere. */
  get cell(): ActorCell | null {
    const known = this.#cell
    if (known !== null && !known.stopped) return known
    // Another may have the address by now.
    const found = this.runtime.cells.get(this.address) ?? null
    if (found !== null) this.#cell = found
    return found
  }

  tell<N extends Protocol.TellName<P>>(
    name: N,
    payload: Protocol.Payload<P, N>,
    options?: TellOptions,
  ): void {
    tell(this, name, payload, options)
  }

  offer<N extends Protocol.TellName<P>>(
    name: N,
    payload: Protocol.Payload<P, N>,
    options?: TellOptions,
  ): Effect.Effect<void, NotDelivered> {
    return offer(this, name, payload, options)
  }

  ask<N extends Protocol.AskName<P>>(
    name: N,
    payload: Protocol.Payload<P, N>,
    options?: AskOptions,
  ): Effect.Effect<Protocol.Success<P, N>, Protocol.Failure<P, N> | AskError> {
    // The types of a protocol and its schemas say the same: what the success schema decodes is a `Success`.
    return ask(this, name, payload, options) as Effect.Effect<
      Protocol.Success<P, N>,
      Protocol.Failure<P, N> | AskError
    >
  }
}

/** The actor of this system that the reference leads to. */
export const cellOf = (runtime: Runtime, actor: { readonly address: Address }): ActorCell | undefined =>
  actor instanceof Reference && actor.runtime === runtime
    ? ((actor as Reference<Protocol.Any>).cell ?? undefined)
    : runtime.cells.get(actor.address)
