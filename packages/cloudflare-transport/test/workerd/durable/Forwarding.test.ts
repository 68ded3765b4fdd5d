/** Asks that are handed on to, by and between durable actors: who may answer them, and whose word they are. */
import { Address } from "@signal-hub/actor-core"
import { env } from "cloudflare:workers"
import { describe, expect, it } from "vitest"
import type { Delivery, Outcome } from "../../../src/delivery/ActorRpc.ts"
import { batch, envelope, users } from "./actors.ts"
import { answered, ask, newUser } from "./talk.ts"
import { eventually } from "../../support/eventually.ts"

const HUB = "@(cloudflare/signal-hub)"
const EVE = "@(user/eve)"
/** Milliseconds: as long as it takes. */
const PATIENCE = 20_000

let count = 0
const newName = (): string => `f${++count}-${crypto.randomUUID().slice(0, 8)}`
const accountOf = (name = newName()) => ({
  name,
  address: Address.make("account", name),
  stub: env.ACCOUNT.getByName(name),
})

/** Plays the object of an account: it takes what comes, and answers nothing by itself. */
const playAccount = (name: string): { readonly address: Address.Address; readonly came: Array<Delivery> } => {
  const address = Address.make("account", name)
  const came: Array<Delivery> = []
  users.set(address, {
    deliver: ({ deliveries }) => {
      came.push(...deliveries)
      return Promise.resolve(deliveries.map((): Outcome => ({ status: "taken" })))
    },
    watch: () => Promise.resolve(true),
    unwatch: () => Promise.resolve(),
  })
  return { address, came }
}

describe("an ask that a client forwards to a durable actor", () => {
  it("fault 68: is refused, as its payload is another's word; one that is its sender's own is answered", async () => {
    const account = accountOf()
    const { from } = newUser()
    const metadata = { forwardOf: "f1", forwardedBy: EVE }
    expect(await ask(account, "balance", null, { id: "f1", from, metadata })).toMatchObject({
      status: "answered",
      answer: { type: "actor:error", payload: { code: "forbidden", retryable: false } },
    })
    expect(await ask(account, "balance", null, { id: "f2", from })).toMatchObject(answered(0))
  })
})

describe("an ask that a durable actor forwards", () => {
  it("fault 68: is taken by another, who says for whom it answers", async () => {
    const [first, second] = [accountOf(), accountOf()]
    const { came, from } = newUser()
    expect(await ask(first, "relay", second.name, { id: "r", from })).toEqual({ status: "taken" })
    await eventually(() => expect(came).toHaveLength(2), PATIENCE)
    expect(came[1]!.envelope).toMatchObject({
      from: second.address,
      metadata: { answeredFor: first.address },
      payload: second.address,
    })
  })

  it("fault 68: says by whom it comes, whatever else was said, in the name of who asked", async () => {
    const first = accountOf()
    const name = newName()
    const { came } = playAccount(name)
    const { from } = newUser()
    const metadata = { own: 1, answeredFor: EVE, forwardedByServer: true, forwardedBy: EVE }
    expect(await ask(first, "relay", name, { id: "r", from, metadata })).toEqual({ status: "taken" })
    await eventually(() => expect(came).toHaveLength(1), PATIENCE)
    expect(came[0]).toMatchObject({ ask: { asked: first.address }, envelope: { from, type: "relay" } })
    expect(came[0]!.envelope.metadata).toEqual({
      own: 1,
      forwardOf: "r",
      forwardedBy: first.address,
      forwardedByServer: true,
    })
  })

  it("fault 67: is answered to a Worker by who has it, and by nobody who says so", async () => {
    const first = accountOf()
    const name = newName()
    const deputy = playAccount(name)
    const asked = envelope(first.address, "relay", name, { pattern: "ask" })
    const answer = first.stub.request(asked, 5_000)
    await eventually(() => expect(deputy.came).toHaveLength(1), PATIENCE)
    const caller = deputy.came[0]!.envelope.from as Address.Address
    const tell = (fields: object): Promise<unknown> =>
      first.stub.deliver(
        batch(envelope(caller, "actor:reply", "forged", { correlationId: asked.id, ...fields })),
      )
    await tell({ from: EVE })
    await tell({ from: EVE, metadata: { answeredFor: EVE } })
    await tell({ from: first.address, pattern: "ask" })
    await tell({ from: deputy.address, metadata: { answeredFor: first.address }, payload: "true" })
    expect(await answer).toMatchObject({ from: deputy.address, payload: "true" })
  })
})

describe("an ask of a durable actor", () => {
  const buying = async () => {
    const name = newName()
    const seller = playAccount(name)
    const address = Address.make("buyer", name)
    const buyer = { address, stub: env.BUYER.getByName(name) }
    const { came, from } = newUser()
    expect(await ask(buyer, "buy", 7, { id: "b", from })).toEqual({ status: "taken" })
    await eventually(() => expect(seller.came).toHaveLength(1), PATIENCE)
    const { id } = seller.came[0]!.envelope
    const say = (type: string, payload: unknown, fields: object): Promise<unknown> =>
      buyer.stub.deliver(batch(envelope(address, type, payload, { correlationId: id, ...fields })))
    const forge = async (fields: object): Promise<void> => void (await say("actor:reply", 666, fields))
    return { came, forge, say, seller }
  }

  it("fault 67: is answered by who was asked, and by nobody else", async () => {
    const { came, forge, say, seller } = await buying()
    await forge({ from: EVE })
    await forge({ from: EVE, metadata: { answeredFor: EVE } })
    await forge({ from: seller.address, pattern: "ask" })
    expect(came).toEqual([])
    await say("actor:reply", 3, { from: seller.address })
    await eventually(() => expect(came).toHaveLength(1), PATIENCE)
    expect(came[0]!.envelope.payload).toBe("left: 3")
  })

  it.each(["before", "after"])(
    "faults 67, 68: is answered by the last who has it, heard of %s the answer",
    async (when) => {
      const { came, forge, say, seller } = await buying()
      const deputy: Address.Address = "@(account/deputy)"
      const forwarded = (): Promise<unknown> => say("hub:forwarded", { actorAddress: deputy }, { from: HUB })
      if (when === "before") {
        await forwarded()
        await forge({ from: seller.address })
        expect(came).toEqual([])
      }
      await say("actor:reply", 3, { from: deputy, metadata: { answeredFor: seller.address } })
      await eventually(() => expect(came).toHaveLength(1), PATIENCE)
      expect(came[0]!.envelope.payload).toBe("left: 3")
      if (when === "after") await forwarded()
      await forge({ from: deputy })
      expect(came).toHaveLength(1)
    },
  )
})
