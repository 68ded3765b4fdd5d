/** A party of a gateway system, with short words for what tests have it do: all that it sends is reliable. */
import { ReliableParty } from "./ReliableParty.ts"
import type { Received } from "./TestClient.ts"
import type { TestSystem } from "./TestSystem.ts"

export class Peer extends ReliableParty {
  #count = 0

  constructor(system: TestSystem, identity: string) {
    super(system.gateway(identity), identity)
    this.connect()
  }

  tell(to: string, type: string, payload: unknown = null, ttl: number | null = null): string {
    return this.#sent(to, type, payload, { ttl })
  }

  ask(to: string, type: string, payload: unknown = null, ttl: number | null = null): string {
    return this.#sent(to, type, payload, { ttl, pattern: "ask" })
  }

  answer({ from, id, to }: Received, payload: unknown): string {
    return this.#sent(from, "answer", payload, { from: to, correlationId: id })
  }

  cancel(to: string, ask: string): string {
    return this.#sent(to, "actor:cancel", null, { correlationId: ask })
  }

  /** What came reliably of this type. */
  of(type: string): ReadonlyArray<Received> {
    return this.#all((one) => one.type === type && one.seq !== undefined)
  }

  /** What came reliably about the ask, or the tell, of this id. */
  about(id: string): ReadonlyArray<Received> {
    return this.#all((one) => one.correlationId === id && one.seq !== undefined)
  }

  /** What came that is volatile, of this type. */
  volatile(type: string): ReadonlyArray<Received> {
    return this.#all((one) => one.type === type && one.seq === undefined)
  }

  #all(isMeant: (envelope: Received) => boolean): ReadonlyArray<Received> {
    this.take()
    if (this.isConnected) this.acknowledge()
    return this.came.filter(isMeant)
  }

  #sent(to: string, type: string, payload: unknown, more: object): string {
    const id = `${this.identity} ${++this.#count}`
    const envelope = {
      id,
      to: to as Received["to"],
      type,
      payload,
      pattern: "tell",
      correlationId: null,
    } as const
    this.send({ ...envelope, ...more })
    return id
  }
}
