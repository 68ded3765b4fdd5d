/** How tests talk to a durable actor: by its object's calls, as a client's gateway does. */
import type { Address, Envelope } from "@signal-hub/actor-core"
import type { Batch, Delivery, Outcome } from "../../../src/delivery/ActorRpc.ts"
import { batch, envelope, users } from "./actors.ts"

export interface Actor {
  readonly address: Address.Address
  readonly stub: { readonly deliver: (sent: Batch) => Promise<ReadonlyArray<Outcome>> }
}

/** Reliably, unless `fields` say otherwise. */
export const tell = (
  actor: Actor,
  type: string,
  payload: unknown,
  fields: Partial<Envelope.Envelope> = {},
): Promise<ReadonlyArray<Outcome>> =>
  actor.stub.deliver(batch(envelope(actor.address, type, payload, { seq: 1, ...fields })))

export const ask = async (
  actor: Actor,
  type: string,
  payload: unknown = null,
  fields: Partial<Envelope.Envelope> = {},
): Promise<Outcome> =>
  (await actor.stub.deliver(batch(envelope(actor.address, type, payload, { pattern: "ask", ...fields }))))[0]!

/** The outcome of an ask that was answered so. */
export const answered = (payload: unknown, type = "actor:reply") => ({
  status: "answered",
  answer: { type, payload },
})

let count = 0

/** A home for the answers to a client, which remembers what came. */
export const newUser = (): { readonly came: Array<Delivery>; readonly from: Address.Address } => {
  const came: Array<Delivery> = []
  const from: Address.Address = `@(user/u${++count})`
  users.set(from, {
    deliver: ({ deliveries }) => {
      came.push(...deliveries)
      return Promise.resolve(deliveries.map(() => ({ status: "taken" })))
    },
    watch: () => Promise.resolve(true),
    unwatch: () => Promise.resolve(),
  })
  return { came, from }
}
