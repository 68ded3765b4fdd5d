import { expect, it } from "vitest"
import { isMessageToHub, rowOf } from "../../src/protocol/requests.ts"
import { TestHub } from "../support/TestHub.ts"

/** A payload of each request that succeeds for a session that has registered and subscribed. */
const PAYLOADS: { readonly [type: string]: unknown } = {
  "hub:heartbeat": { timestamp: 1 },
  "hub:register": { actorAddress: "@(room/2)" },
  "hub:unregister": { actorAddress: "@(room/1)" },
  "hub:discover": { pattern: "*" },
  "hub:list_actors": {},
  "hub:send": { to: "@(node/b)", type: "note", data: 1 },
  "hub:broadcast": { type: "note", data: 1, excludeSelf: true },
  "hub:subscribe": { topic: "other" },
  "hub:unsubscribe": { topic: "news" },
  "hub:publish": { topic: "nobody", type: "note", data: 1 },
  "hub:watch": { actorAddress: "@(room/1)" },
  "hub:unwatch": { actorAddress: "@(room/1)" },
  "hub:presence": { topic: "news" },
  "hub:queue_stats": {},
  "hub:metrics": {},
  "hub:disconnect": {},
}
const ASK_ONLY = new Set(["hub:unregister", "hub:send", "hub:unsubscribe", "hub:unwatch"])

const session = () => {
  const hub = new TestHub()
  hub.connect("@(node/b)")
  const client = hub.connect("@(node/a)")
  client.register("@(room/1)")
  client.subscribe("news")
  return client
}

it.each(Object.keys(PAYLOADS))("%s is answered to its asker by the type that belongs to it", (type) => {
  const client = session()
  const id = client.send({ type, payload: PAYLOADS[type], pattern: "ask" })
  expect(client.takeOne()).toMatchObject({
    type: isMessageToHub(type) && rowOf(type).answer,
    from: "@(cloudflare/signal-hub)",
    to: "@(node/a)",
    pattern: "tell",
    correlationId: id,
  })
})

it.each(Object.keys(PAYLOADS))("%s as a tell is answered too, unless it is ask only", (type) => {
  const client = session()
  const id = client.send({ type, payload: PAYLOADS[type], pattern: "tell" })
  const answers = client.take().map(({ correlationId }) => correlationId)
  expect(answers).toEqual(ASK_ONLY.has(type) ? [] : [id])
})

it("an answer goes to the address that asked, as enforced", () => {
  const client = session()
  expect(client.request("hub:heartbeat", { timestamp: 1 }, { from: "@(room/1)" }).to).toBe("@(room/1)")
  expect(client.request("hub:heartbeat", { timestamp: 1 }, { from: "@(node/b)" }).to).toBe("@(node/a)")
})

it("requests of one session are answered in order", () => {
  const client = session()
  const ids = Array.from({ length: 20 }, (_, n) =>
    client.send({
      type: n % 2 === 0 ? "hub:heartbeat" : "hub:nonsense",
      payload: { timestamp: 1 },
      pattern: "ask",
    }),
  )
  expect(client.take().map(({ correlationId }) => correlationId)).toEqual(ids)
})
