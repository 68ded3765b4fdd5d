/** Asks that clients forward to actors that our own client serves, through real workerd, and forged answers. */
import { type Address, Protocol } from "@signal-hub/actor-core"
import * as Schema from "effect/Schema"
import { afterEach, describe, expect, test } from "vitest"
import { useHub } from "../support/hub.ts"
import { newAddress, useClients } from "../support/OwnClients.ts"
import { envelope, RawClient } from "../support/RawClient.ts"

const hub = useHub({ own: true })
const connect = useClients()
const clients: Array<RawClient> = []
afterEach(() => {
  for (const client of clients.splice(0)) client.terminate()
})

const Teller = Protocol.make("teller", {
  pay: Protocol.ask({ payload: Schema.Number, success: Schema.String }),
})
const HUB = "@(cloudflare/signal-hub)"

describe.each([
  ["a hub", "json"],
  ["a hub", "msgpack"],
  ["gateways", "json"],
  ["gateways", "msgpack"],
] as const)("in %s, by %s", (topology, codec) => {
  const gateway = () => hub.url().replace(/\/ws$/, "/gateway")
  const own = (identity: Address.Address) =>
    connect(topology === "a hub" ? hub.url() : gateway(), { identity, codec })
  const raw = async (identity: Address.Address): Promise<RawClient> => {
    const query = `?identity=${encodeURIComponent(identity)}`
    const url = topology === "a hub" ? hub.url() : `${gateway()}${query}`
    const client = await RawClient.connect(url, { identity })
    clients.push(client)
    return client
  }

  /** Ada asks Bob, who hands it on to a teller with another payload; Bob asks for himself beside that. */
  const paying = async (acceptForwards?: (by: Address.Address) => boolean) => {
    const [ADA, BOB, TELLER] = [newAddress("ada"), newAddress("bob"), newAddress("teller")]
    const [ada, bob, server] = [await own(ADA), await own(BOB), await own(TELLER)]
    await server.serve(
      Teller,
      { pay: (amount, { forwardedBy, sender }) => `${amount} for ${sender} by ${forwardedBy}` },
      acceptForwards && { acceptForwards },
    )
    await bob.serve(Teller, {
      pay: (_, context) => {
        context.forward(context.ref(Teller, TELLER))
        return "dropped"
      },
    })
    return { ADA, BOB, TELLER, ada, bob }
  }

  test("fault 68: a served actor refuses what a client forwards; who asks itself is answered", async () => {
    const { ada, bob, BOB, TELLER } = await paying()
    await expect(ada.actor(Teller, BOB).ask("pay", 1)).rejects.toMatchObject({ code: "forbidden" })
    expect(await bob.actor(Teller, TELLER).ask("pay", 2)).toBe(`2 for ${BOB} by null`)
  })

  test("fault 68: one that accepts it learns whose word it is, and answers in the other's place", async () => {
    const { ADA, BOB, ada } = await paying((by) => by.startsWith("@(test/"))
    expect(await ada.actor(Teller, BOB).ask("pay", 1)).toBe(`1 for ${ADA} by ${BOB}`)
  })

  test("fault 67: nobody ends the ask of another, typed or not, nor its request of the hub", async () => {
    const [ADA, BOB, EVE] = [newAddress("ada"), newAddress("bob"), newAddress("eve")]
    const [ada, bob, eve] = [await own(ADA), await raw(BOB), await raw(EVE)]
    for (const ask of [() => ada.ask(BOB, "pay", 1), () => ada.actor(Teller, BOB).ask("pay", 1)]) {
      const answer = ask()
      const { id } = await bob.expect("pay")
      for (const pattern of ["ask", "tell"]) {
        for (const from of [EVE, BOB, HUB]) {
          const metadata = { answeredFor: BOB }
          const forged = { to: ADA, from, pattern, correlationId: id, payload: "forged", metadata }
          await eve.send(
            envelope({ ...forged, type: "actor:reply" }),
            envelope({ ...forged, type: "hub:error" }),
          )
        }
      }
      await eve.sync()
      const found = await ada.discover(ADA)
      expect(found).toMatchObject({ hasMore: false })
      await bob.send(envelope({ to: ADA, type: "actor:reply", correlationId: id, payload: "true" }))
      expect(await answer).toBe("true")
    }
  })
})
