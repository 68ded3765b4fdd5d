/** What a durable actor remembers of what it has done, beside its rows. */
import type { Address, Envelope } from "@signal-hub/actor-core"
import { expect, it } from "vitest"
import { DurableAlarm } from "../../src/durable/DurableAlarm.ts"
import { DURABLE } from "../../src/durable/DurableSchema.ts"
import { Inbox, Taken } from "../../src/durable/Inbox.ts"
import { TestTables } from "../support/TestTables.ts"

const HOME = "@(room/1)" as Address.Address

const question = (id: string): Envelope.Envelope => ({
  id,
  from: "@(user/ada)" as Address.Address,
  to: HOME,
  type: "question",
  payload: null,
  pattern: "ask",
  correlationId: null,
  timestamp: 1,
  metadata: {},
  ttl: null,
  signature: null,
})

const start = () => {
  const sql = new TestTables(DURABLE)
  const received: Array<string> = []
  const inbox = new Inbox({
    sql,
    alarm: new DurableAlarm(sql, null, () => {}),
    now: () => 1_700_000_000_000,
    transaction: (writes) => writes(),
    follow: (task) => task(),
    receive: ({ id }) => void received.push(id),
  })
  /** Asks, and answers so many bytes. */
  const answered = (id: string, bytes: number): void => {
    const taken = inbox.take({ envelope: question(id) })
    if (!(taken instanceof Taken)) throw new Error(`${id} is remembered`)
    inbox.closeLightly(taken, { type: "actor:answer", payload: "x".repeat(bytes) })
  }
  const isRemembered = (id: string): boolean => !(inbox.take({ envelope: question(id) }) instanceof Taken)
  return { answered, isRemembered, received }
}

it("fault 70: answers that are no rows are remembered by their bytes: the last 4 MiB, and those before", () => {
  const { answered, isRemembered, received } = start()
  for (let n = 0; n < 20; n++) answered(`${n}`, 1_000_000)
  const remembered = Array.from({ length: 20 }, (_, n) => n).filter((n) => isRemembered(`${n}`))
  expect(remembered.at(-1)).toBe(19)
  expect(remembered.length).toBeGreaterThanOrEqual(4)
  expect(remembered.length).toBeLessThanOrEqual(8)
  // What is not is asked anew.
  expect(received).toHaveLength(20 + 20 - remembered.length)
})

it("small ones are remembered by their number", () => {
  const { answered, isRemembered } = start()
  for (let n = 0; n < 600; n++) answered(`${n}`, 10)
  expect(isRemembered("599")).toBe(true)
  expect(isRemembered("350")).toBe(true)
  expect(isRemembered("50")).toBe(false)
})
