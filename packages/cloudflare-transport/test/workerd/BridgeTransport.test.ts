import { evictDurableObject, runInDurableObject } from "cloudflare:test"
import { env } from "cloudflare:workers"
import { expect, it } from "vitest"
import { SocketClient } from "./SocketClient.ts"

const newHost = () => env.HOST.get(env.HOST.newUniqueId())

it("an actor behind the bridge is asked and answers, over hibernation too", async () => {
  const host = newHost()
  const client = await SocketClient.open(host)
  for (const n of [1, 2]) {
    const id = client.send({ to: "@(echo/1)", type: "question", pattern: "ask", payload: n })
    expect(await client.came()).toMatchObject({ from: "@(echo/1)", correlationId: id, payload: n })
    await evictDurableObject(host)
  }
})

it("fault 23: a client is the address that it was given, whatever it writes", async () => {
  const host = newHost()
  const [a, b] = [await SocketClient.open(host), await SocketClient.open(host)]
  await a.request("question", 1, { to: "@(echo/1)" })
  const victim = await runInDurableObject(host, ({ came }) => String(came[0]!.from))
  await b.request("question", 2, { to: "@(echo/1)", from: victim })
  const forged = await runInDurableObject(host, ({ came }) => String(came[1]!.from))
  expect(forged).not.toBe(victim)
  expect(forged).toMatch(/^@\(session\/[0-9a-f-]{36}\)$/)
})

it("a client that is gone is unknown to who sends to it", async () => {
  const host = newHost()
  const client = await SocketClient.open(host)
  await client.request("question", 1, { to: "@(echo/1)" })
  client.close(1000)
  await client.closed
  const error = await runInDurableObject(host, (instance) => {
    const refused = instance.answer(instance.came[0]!)
    return refused === undefined ? undefined : { reason: refused.reason, code: refused.code }
  })
  expect(error).toEqual({ reason: "refused", code: "unknown_actor" })
})

it("hub:* messages are refused: there is no hub here", async () => {
  const client = await SocketClient.open(newHost())
  const answer = await client.request("hub:connect", null)
  expect(answer).toMatchObject({ type: "hub:error", payload: { code: "unknown_type" } })
})
