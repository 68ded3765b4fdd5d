/**
 * Which object serves an address: the one named by it, else the one that the directory says. Carries batches
 * there, and remembers who served an address that is not its own name; what is wrong of that is found out by the
 * next batch.
 */
import type { Address } from "@signal-hub/actor-core/vocabulary"
import { type Batch, CallFailed, isOnward, type Outcome } from "./Rpc.ts"
import type { AddressPort } from "./ServicePort.ts"
import { shardOf } from "./Shards.ts"

/** Objects that are tried for one address: whoever held it when last seen, its own, whoever holds it now. */
const MOST_HOPS = 3
/** Addresses of which it is remembered who serves them. */
const MOST_HINTS = 1_000

/** Told once, later, what became of each, or why there is nothing to tell. */
type Done = (outcomes: ReadonlyArray<Outcome | CallFailed> | CallFailed) => void

export class Whereabouts {
  readonly #port: AddressPort
  /** The objects that serve addresses which are not their own names. */
  readonly #hints = new Map<string, Address.Address>()

  constructor(port: AddressPort) {
    this.#port = port
  }

  /** Carries a batch of which all is for one address. */
  carry(batch: Batch, done: Done): void {
    const { to } = batch.deliveries[0]!.envelope
    this.#carryTo(batch, this.#hints.get(to) ?? to, 1, done)
  }

  /** It is known to be served there. */
  note(address: string, at: Address.Address): void {
    this.#hints.delete(address)
    if (at === address) return
    this.#hints.set(address, at)
    if (this.#hints.size > MOST_HINTS) this.#hints.delete(this.#hints.keys().next().value!)
  }

  /** Carries the batch to the object at the address `at`; what that does not have, to another that may. */
  #carryTo(batch: Batch, at: Address.Address, hop: number, done: Done): void {
    this.#port.call("address", at, "deliver", [batch], false, (outcomes) => {
      if (outcomes instanceof CallFailed || !outcomes.some(isOnward)) return done(outcomes)
      const { to } = batch.deliveries[0]!.envelope
      const settle = (onward: (index: number) => Outcome | CallFailed): void => {
        let index = 0
        done(outcomes.map((outcome) => (isOnward(outcome) ? onward(index++) : outcome)))
      }
      const goOn = (next: Address.Address): void => {
        const deliveries = batch.deliveries.filter((_, i) => isOnward(outcomes[i]!))
        this.#carryTo({ caller: batch.caller, deliveries }, next, hop + 1, (there) =>
          settle((index) => (there instanceof CallFailed ? there : there[index]!)),
        )
      }
      if (hop === MOST_HOPS) return settle(() => UNKNOWN)
      if (at !== to) {
        this.#hints.delete(to)
        return goOn(to)
      }
      if (!this.#port.isIdentity(to)) return settle(() => UNKNOWN)
      this.#port.call("directory", shardOf(to), "holder", [to], true, (holder) => {
        if (typeof holder !== "string") return settle(() => holder ?? UNKNOWN)
        this.note(to, holder)
        goOn(holder)
      })
    })
  }
}

const UNKNOWN: Outcome = { status: "refused", code: "unknown_actor", message: "there is no such actor" }
