import type { Address, Envelope } from "@signal-hub/actor-core"
import { expect, it } from "vitest"
import type { Delivery } from "../../src/durable/ActorRpc.ts"
import { Courier } from "../../src/durable/Courier.ts"
import { DurableAlarm } from "../../src/durable/DurableAlarm.ts"
import { createTables } from "../../src/durable/DurableSchema.ts"
import { NodeSql } from "../support/NodeSql.ts"

const ROOM = "@(room/1)" as Address.Address
const BOB = "@(user/bob)" as Address.Address

it("fault 31: what is handed on has the time that it had here, whatever its asker's clock says", async () => {
  const sql = new NodeSql()
  createTables(sql)
  const came: Array<Delivery> = []
  let now = 1_700_000_000_000
  const courier = new Courier({
    sql,
    alarm: new DurableAlarm(sql, null, () => {}),
    home: ROOM,
    reach: () => ({
      deliver: async ({ deliveries }) => {
        came.push(...deliveries)
        return deliveries.map(() => ({ status: "taken" }) as const)
      },
    }),
    now: () => now,
    settled: () => {},
    transaction: (writes) => writes(),
  })
  const envelope: Envelope.Envelope = {
    id: "1",
    from: "@(user/ada)" as Address.Address,
    to: BOB,
    type: "question",
    payload: null,
    pattern: "ask",
    correlationId: null,
    timestamp: now - 3_600_000,
    metadata: {},
    ttl: 30_000,
    signature: null,
    seq: 1,
  }
  courier.put(BOB, { envelope, ask: { home: ROOM, timeout: 30_000 } })
  now += 1_000
  courier.kick(BOB)
  await expect.poll(() => came).toMatchObject([{ envelope: { ttl: 29_000 }, ask: { timeout: 29_000 } }])
})
