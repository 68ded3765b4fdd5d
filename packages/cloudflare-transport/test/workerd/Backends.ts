/** Hand-written hosts of actors, some of which misbehave. */
import { DurableObject, WorkerEntrypoint } from "cloudflare:workers"
import type { Address, Envelope } from "@signal-hub/actor-core"
import { type ActorRpc, type Batch, type Delivery, type Outcome, TAKEN } from "../../src/delivery/Rpc.ts"

/** An actor that does what the type of a message says. */
export class Room extends DurableObject<Cloudflare.Env> implements ActorRpc {
  /** What came, as it was seen here. */
  readonly came: Array<Envelope.Envelope> = []

  async deliver({ deliveries }: Batch): Promise<ReadonlyArray<Outcome>> {
    const outcomes: Array<Outcome> = []
    for (const delivery of deliveries) outcomes.push(await this.#take(delivery))
    return outcomes
  }

  async request({ type, payload }: Envelope.Envelope): Promise<Envelope.Envelope> {
    return { ...answer({ type, payload }) }
  }

  async watch(): Promise<boolean> {
    return true
  }

  async unwatch(): Promise<void> {}

  async #take({ envelope, ask }: Delivery): Promise<Outcome> {
    this.came.push(envelope)
    const { type, payload } = envelope
    if (type === "throw") throw new Error("secret of the inside")
    if (type === "hang") await new Promise(() => {})
    if (type === "later" && ask !== undefined) {
      const reply = { ...answer(envelope), from: envelope.to, to: envelope.from as Address.Address }
      // Twice, which must be heard once.
      const batch = {
        caller: { home: envelope.to, claims: null },
        deliveries: [{ envelope: reply }, { envelope: reply }],
      }
      this.ctx.waitUntil(
        this.env.SESSION_GATEWAY.getByName(ask.home)
          .deliver(batch)
          .then(() => undefined),
      )
      return TAKEN
    }
    return ask === undefined ? TAKEN : { status: "answered", answer: { type: "done", payload } }
  }
}

/** A service that answers at once. */
export class Desk extends WorkerEntrypoint<Cloudflare.Env> {
  async deliver({ deliveries }: Batch): Promise<ReadonlyArray<Outcome>> {
    return deliveries.map(({ envelope, ask }) =>
      ask === undefined ? TAKEN : { status: "answered", answer: { type: "desk", payload: envelope.to } },
    )
  }
}

const answer = ({
  id = "a",
  type,
  payload,
}: {
  id?: string
  type: string
  payload: unknown
}): Envelope.Envelope => ({
  id: `answer-${id}`,
  from: "@(room/1)",
  to: "@(session/worker)",
  type: "done",
  payload: { type, payload },
  pattern: "tell",
  correlationId: id,
  timestamp: 0,
  metadata: {},
  ttl: null,
  signature: null,
})
