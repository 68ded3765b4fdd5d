/** Asks that reach functions of the routing table by a client that forwards them. */
import { expect, it } from "vitest"
import type { Batch } from "../../src/delivery/Rpc.ts"
import { runRoute } from "../../src/delivery/RouteCalls.ts"
import type { RoutedMessage } from "../../src/delivery/RoutingTable.ts"
import { envelope } from "../support/envelope.ts"

const ADA = "@(user/ada)"
const EVE = "@(user/eve)"
const DESK = "@(desk/1)"

/** Runs a function on an ask with this metadata: what it was called with, and what was answered. */
const run = async (metadata: object, acceptForwards?: boolean) => {
  const { promise, resolve } = Promise.withResolvers<Batch>()
  const calls: Array<RoutedMessage> = []
  const asked = envelope("@(pay/1)", "pay", 7, { from: ADA, pattern: "ask", metadata: { ...metadata } })
  const batch = {
    caller: { home: EVE, claims: null },
    deliveries: [{ envelope: asked, ask: { home: ADA, timeout: 1_000, asked: DESK } }],
  } as const
  const options = {
    env: {},
    acceptForwards,
    answer: (_: unknown, given: Batch) => resolve(given),
    log: () => {},
  }
  runRoute((message) => calls.push(message), batch, options)
  return { calls, answer: (await promise).deliveries[0]!.envelope }
}

it("fault 68: a function is not called for what a client forwards; who asked hears forbidden", async () => {
  const { answer, calls } = await run({ forwardedBy: EVE })
  expect(calls).toEqual([])
  expect(answer).toMatchObject({ type: "actor:error", payload: { code: "forbidden", retryable: false } })
})

it("fault 68: one that accepts it learns whose word it is, and says for whom it answers", async () => {
  const { answer, calls } = await run({ forwardedBy: EVE }, true)
  expect(calls).toMatchObject([{ from: ADA, forwardedBy: EVE, payload: 7 }])
  expect(answer).toMatchObject({ type: "actor:reply", metadata: { answeredFor: DESK } })
})

it("a function is called for what is sent to it, and what an actor of the deployment forwards", async () => {
  expect((await run({})).calls).toMatchObject([{ forwardedBy: null }])
  const { calls } = await run({ forwardedBy: DESK, forwardedByServer: true })
  expect(calls).toMatchObject([{ from: ADA, forwardedBy: DESK }])
})
