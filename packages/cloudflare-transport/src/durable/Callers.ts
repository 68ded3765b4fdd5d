/** Who asks a durable actor without having an address: a Worker, a cron. They wait in memory. */
import { type Address, type Envelope, Forwarding } from "@signal-hub/actor-core"
import { provisionalAddress } from "../protocol/HubMessage.ts"
import type { Delivery, Outcome } from "../delivery/ActorRpc.ts"
import { Taken } from "./Inbox.ts"
import type { Letters } from "./Letters.ts"

interface Waiting {
  /** Of the ask. */
  readonly id: string
  readonly end: (answer: Envelope.Envelope) => void
}

export class Callers {
  readonly #home: Address.Address
  readonly #take: (delivery: Delivery) => Outcome | Taken
  readonly #letters: Letters
  /** By the addresses that they were given. */
  readonly #waiting = new Map<Address.Address, Waiting>()

  /** `take` brings an ask in to the actor at `home`, where answers come for them. */
  constructor(home: Address.Address, take: (delivery: Delivery) => Outcome | Taken, letters: Letters) {
    this.#home = home
    this.#take = take
    this.#letters = letters
  }

  /** Gives the answer to whoever was given its address. Whether it is for one of them. */
  give(envelope: Envelope.Envelope): boolean {
    const waiting = this.#waiting.get(envelope.to)
    if (waiting === undefined) return false
    const isByHub = Forwarding.isByHub(envelope)
    // Who has the ask now need not be known here: whoever answers says for whom.
    const isEnd = isByHub ? envelope.type !== "hub:forwarded" : Forwarding.isAnswerOf(this.#home, envelope)
    if (isEnd && envelope.correlationId === waiting.id) waiting.end(envelope)
    return true
  }

  /** Asks for one of them: gives the answer, be it a failure, or that there was none in so many milliseconds. */
  async request(asked: Envelope.Envelope, timeout: number): Promise<Envelope.Envelope> {
    const letters = this.#letters
    const from = provisionalAddress(crypto.randomUUID())
    const late = Promise.withResolvers<Envelope.Envelope | null>()
    const timer = setTimeout(() => late.resolve(null), timeout)
    this.#waiting.set(from, { id: asked.id, end: late.resolve })
    try {
      const envelope = { ...asked, from, pattern: "ask", ttl: asked.ttl ?? timeout } as const
      const taken = this.#take({ envelope, ask: { home: this.#home, timeout } })
      if (taken instanceof Taken) {
        taken.isInFirstTurn = false
        await Promise.race([Taken.wait([taken], timeout), late.promise])
      }
      const outcome = taken instanceof Taken ? taken.outcome : taken
      if (outcome?.status === "answered") return letters.answer(from, asked.id, outcome.answer)
      if (outcome?.status === "refused") return letters.failure(from, asked, outcome)
      const answer = await late.promise
      if (answer !== null) return answer
    } finally {
      clearTimeout(timer)
      this.#waiting.delete(from)
    }
    return letters.timeout(from, asked.id, `no answer within ${timeout} ms`)
  }
}
