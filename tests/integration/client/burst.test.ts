/** Bursts of our client to readers that read: nothing is refused, as `await` holds the sender back. */
import type { Address } from "@signal-hub/actor-core"
import type { Hub } from "@signal-hub/cloudflare-transport/client"
import { describe, expect, test } from "vitest"
import { useHub } from "../support/hub.ts"
import { newAddress, useClients } from "../support/OwnClients.ts"

const hub = useHub({ own: true })
const connect = useClients()

const PAYLOAD = "x".repeat(200_000)

describe.each(["hub", "gateway"] as const)("at a %s", (topology) => {
  const dial = (identity: Address.Address): Promise<Hub> =>
    connect(topology === "hub" ? hub.url() : hub.url().replace(/\/ws$/, "/gateway"), { identity })

  test.each([
    { delivery: "reliable", count: 30, senders: 1 },
    { delivery: "volatile", count: 80, senders: 1 },
    { delivery: "volatile", count: 80, senders: 8 },
  ] as const)(
    "fault 55: $count awaited $delivery tells of 200 KB, of $senders senders, all arrive",
    { timeout: 60_000 },
    async ({ delivery, count, senders }) => {
      const [to, bob] = [newAddress("reader"), newAddress("bob")]
      const heard = new Map<string, Array<number>>()
      ;(await dial(to)).onMessage(({ from, payload }) => {
        heard.set(from, [...(heard.get(from) ?? []), (payload as { readonly n: number }).n])
      })
      const beside: Array<unknown> = []
      ;(await dial(bob)).onMessage(({ payload }) => void beside.push(payload))
      const refused: Array<unknown> = []
      const each = count / senders
      const writers = await Promise.all(Array.from({ length: senders }, () => dial(newAddress("writer"))))
      await Promise.all(
        writers.map(async (writer) => {
          writer.onEvent(({ type, payload }) => {
            if (type === "hub:error") refused.push(payload)
          })
          for (let n = 0; n < each; n++) {
            await writer.tell(to, "n", { n, PAYLOAD }, { reliable: delivery === "reliable" })
          }
        }),
      )
      const innocent = await dial(newAddress("ada"))
      for (let n = 0; n < 5; n++) await innocent.tell(bob, "n", n, { until: "acknowledged" })
      await expect.poll(() => beside).toEqual([0, 1, 2, 3, 4])
      const arrived = (): number => [...heard.values()].reduce((sum, { length }) => sum + length, 0)
      await expect.poll(() => arrived() + refused.length, { timeout: 50_000 }).toBe(count)
      expect(refused).toEqual([])
      for (const numbers of heard.values()) expect(numbers).toEqual([...Array(each).keys()])
    },
  )
})
