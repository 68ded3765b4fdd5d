import type { Address, Envelope } from "@signal-hub/actor-core"
import { expect, it } from "vitest"
import type { Delivery } from "../../src/delivery/ActorRpc.ts"
import { Courier } from "../../src/durable/Courier.ts"
import { DurableAlarm } from "../../src/durable/DurableAlarm.ts"
import { DURABLE } from "../../src/durable/DurableSchema.ts"
import { TestTables } from "../support/TestTables.ts"

const ROOM = "@(room/1)" as Address.Address
const BOB = "@(user/bob)" as Address.Address

const start = (now: () => number = () => 1_700_000_000_000) => {
  const sql = new TestTables(DURABLE)
  const came: Array<Delivery> = []
  const calls: Array<number> = []
  const courier = new Courier({
    sql,
    alarm: new DurableAlarm(sql, null, () => {}),
    home: ROOM,
    reach: () => ({
      deliver: async ({ deliveries }) => {
        came.push(...deliveries)
        calls.push(deliveries.length)
        return deliveries.map(() => ({ status: "taken" }) as const)
      },
    }),
    now,
    settled: () => {},
    transaction: (writes) => writes(),
  })
  return { calls, came, courier, sql }
}

const question = (timestamp: number): Envelope.Envelope => ({
  id: "1",
  from: "@(user/ada)" as Address.Address,
  to: BOB,
  type: "question",
  payload: null,
  pattern: "ask",
  correlationId: null,
  timestamp,
  metadata: {},
  ttl: 30_000,
  signature: null,
  seq: 1,
})

it("fault 31: what is handed on has the time that it had here, whatever its asker's clock says", async () => {
  let now = 1_700_000_000_000
  const { came, courier } = start(() => now)
  courier.put(BOB, { envelope: question(now - 3_600_000), ask: { home: ROOM, timeout: 30_000 } })
  now += 1_000
  courier.kick(BOB)
  await expect.poll(() => came).toMatchObject([{ envelope: { ttl: 29_000 }, ask: { timeout: 29_000 } }])
})

it("what is put there as the last of the line has left does not wait for the alarm", async () => {
  const { came, courier, sql } = start()
  const all = sql.all.bind(sql)
  let isPut = false
  const put = () => {
    courier.put(BOB, { envelope: question(0) })
    courier.kick(BOB)
  }
  sql.all = (query, ...values) => {
    const rows = all(query, ...values)
    if (!isPut && rows.length === 0 && came.length > 0) {
      isPut = true
      queueMicrotask(put)
    }
    return rows as never
  }
  put()
  await expect.poll(() => came).toHaveLength(2)
})

it.each([
  ["of a megabyte", 1_000_000, 40, 4],
  ["of two bytes", 2, 600, 256],
])("what waits %s leaves in order, in calls no larger than calls may be", async (_, size, count, most) => {
  const { calls, came, courier, sql } = start()
  for (let i = 0; i < count; i++) {
    courier.put(BOB, { envelope: { ...question(0), id: `${i}`, payload: "\u0001".repeat(size) } })
  }
  courier.kick(BOB)
  await expect.poll(() => sql.count("actor_outbox")).toBe(0)
  expect(came.map(({ envelope }) => envelope.id)).toEqual(Array.from({ length: count }, (_, i) => `${i}`))
  expect(Math.max(...calls)).toBe(most)
})
