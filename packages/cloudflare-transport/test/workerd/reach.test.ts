/** Durable actors, clients of gateways and clients of hubs reach one another, by one routing table. */
import { evictAllDurableObjects, evictDurableObject, runInDurableObject } from "cloudflare:test"
import { env } from "cloudflare:workers"
import { describe, expect, it } from "vitest"
import {
  answers,
  ask,
  asks,
  atGateway,
  connected,
  inHub,
  KINDS,
  newName,
  newSteward,
  open,
} from "./parties.ts"
import type { Came } from "./SocketClient.ts"
import { actors } from "./worker.ts"

/** All lose their memory. */
const evicted = () => evictAllDurableObjects()

describe.each(KINDS)("a durable actor and %s", (_, enter) => {
  it("the client asks and tells, evicted in between, and is who it is", async () => {
    const { address: to } = newSteward()
    const { address, client } = await enter()
    client.send({ to, type: "note", payload: "first", from: "@(user/forged)" })
    await ask(client, to, "log")
    await evicted()
    client.send({ to, type: "note", payload: "second" })
    expect((await ask(client, to, "log")).payload).toEqual([`${address} first`, `${address} second`])
  })

  it("the client's object is awake and knows the way: the actor is found again, evicted or crashed meanwhile", async () => {
    const { address: to, stub } = newSteward()
    const { client } = await enter()
    expect((await ask(client, to, "log")).payload).toEqual([])
    await evictDurableObject(stub)
    expect((await ask(client, to, "log")).payload).toEqual([])
    for (let n = 0; n < 3; n++) {
      await expect(runInDurableObject(stub, (_, state) => state.abort("crash"))).rejects.toThrow("crash")
      // One call may be what finds the actor crashed.
      const { payload } = await ask(client, to, "log")
      if (payload.code === "actor_terminated") {
        expect((await ask(client, to, "log")).payload).toEqual([])
      } else expect(payload).toEqual([])
    }
  })

  it("what it tells by itself arrives in order", async () => {
    const { address: to } = newSteward()
    const { address, client } = await enter()
    const id = asks(client, to, "serve", { to: address, times: 50 })
    const came: Array<unknown> = []
    while (came.length < 50) {
      const envelope = await client.came()
      if (envelope.correlationId === id) continue
      expect(envelope).toMatchObject({ type: "note", from: to })
      came.push(envelope.payload)
    }
    expect(came).toEqual(Array.from({ length: 50 }, (_, n) => n))
  })

  it("fault 5: asks in flight, from it and to it, survive the eviction of all", async () => {
    const { address: to } = newSteward()
    const { address, client } = await enter()
    const id = asks(client, to, "consult", { to: address, timeout: 20_000 })
    const question = await client.came()
    expect(question).toMatchObject({ type: "choose", from: to, to: address, pattern: "ask" })
    await evicted()
    answers(client, question, "tea")
    expect(await client.came()).toMatchObject({ correlationId: id, from: to, payload: "tea" })
  })

  it("fault 51: an ask of the actor's own with a time limit below 0 is refused, and asks nobody", async () => {
    const { address: to } = newSteward()
    const { address, client } = await enter()
    expect((await ask(client, to, "consult", { to: address, timeout: -1 })).payload).toBe("invalid_message")
    // A longer one than the longest is brought down to it.
    const id = asks(client, to, "consult", { to: address, timeout: 1e15 })
    const question = await client.came()
    expect(question).toMatchObject({ type: "choose", pattern: "ask" })
    answers(client, question, "tea")
    expect(await client.came()).toMatchObject({ correlationId: id, payload: "tea" })
  })

  it("is asked and does not answer: the actor goes on with timeout", async () => {
    const { address: to } = newSteward()
    const { address, client } = await enter()
    const id = asks(client, to, "consult", { to: address, timeout: 300 })
    expect((await client.came()).type).toBe("choose")
    const answer = await client.came()
    expect(answer.correlationId).toBe(id)
    expect(answer.payload).toBe("timeout")
  })

  it("each watches the other, over an eviction", async () => {
    const { address: to, stub } = newSteward()
    const { address, client } = await enter()
    await client.request("hub:register", { actorAddress: address })
    expect((await client.request("hub:watch", { actorAddress: to })).payload).toEqual({
      actorAddress: to,
      registered: true,
    })
    await ask(client, to, "watch", address)
    await evicted()
    await client.request("hub:unregister", { actorAddress: address })
    const watched = [`watches ${address}`, `${address} unregistered`]
    while (((await ask(client, to, "log")).payload as unknown as ReadonlyArray<string>).length < 2);
    expect((await ask(client, to, "log")).payload).toEqual(watched)
    client.send({ to, type: "leave" })
    expect(await client.came()).toMatchObject({
      type: "hub:terminated",
      payload: { actorAddress: to, reason: "unregistered" },
    })
    await evictDurableObject(stub)
    expect((await ask(client, to, "log")).payload).toEqual([])
  })

  it("hears unknown_actor of a client that is not there, and actor_terminated of one that goes", async () => {
    const { address: to } = newSteward()
    const asker = await enter()
    const nobody = asker.address.replace("reach", "nobody")
    const none = await ask(asker.client, to, "consult", { to: nobody, timeout: 20_000 })
    expect(none.payload).toBe("unknown_actor")
    const goes = await enter()
    const id = asks(asker.client, to, "consult", { to: goes.address, timeout: 20_000 })
    await goes.client.came()
    await goes.client.request("hub:disconnect")
    expect(await asker.client.came()).toMatchObject({ correlationId: id, payload: "actor_terminated" })
  })

  it("reliable envelopes arrive as such, and who sends them hears what becomes of them", async () => {
    const { address: to } = newSteward()
    const { address, client } = await enter(undefined, "1.0.0")
    const waiting: Array<Came> = []
    /** Of 1.0, what is ready together comes together. */
    const came = async (): Promise<Came> => {
      const next = waiting.shift()
      if (next?.type === "hub:ack") return came()
      if (next !== undefined) return next
      waiting.push(...[await client.came()].flat())
      return came()
    }
    client.send({ to, type: "note", payload: "surely", seq: 1 })
    const id = asks(client, to, "log", null, { seq: 2 })
    expect(await came()).toMatchObject({ correlationId: id, payload: [`${address} surely`], seq: 1 })
    const nobody = address.replace("reach", "nobody")
    const lost = client.send({ to: nobody, type: "note", seq: 3 })
    expect(await came()).toMatchObject({ type: "hub:unknown_actor", correlationId: lost, seq: 2 })
    const question = asks(client, to, "consult", { to: address, timeout: 20_000 }, { seq: 4 })
    answers(client, await came(), "tea", { seq: 5 })
    expect(await came()).toMatchObject({ correlationId: question, payload: "tea" })
  })

  it("an ask that is handed on to another actor is answered by that", async () => {
    const { address: to } = newSteward()
    const { address: other } = newSteward()
    const { address, client } = await enter()
    expect((await ask(client, to, "delegate", other)).payload).toBe(`${other} for ${address}`)
  })
})

const PAIRS = [
  ["hub to gateway", inHub, atGateway],
  ["gateway to hub", atGateway, inHub],
  ["gateway to gateway", atGateway, atGateway],
] as const

describe.each(PAIRS)("clients, %s", (_, from, to) => {
  it("ask, answer and tell, evicted between each frame; `from` is enforced", async () => {
    const [ada, bob] = [await from(), await to()]
    const id = asks(ada.client, bob.address, "question", 1, { from: "@(user/forged)" })
    const question = await bob.client.came()
    expect(question).toMatchObject({ id, from: ada.address, to: bob.address, payload: 1 })
    await evicted()
    answers(bob.client, question, 2)
    expect(await ada.client.came()).toMatchObject({ correlationId: id, from: bob.address, payload: 2 })
    await evicted()
    bob.client.send({ to: ada.address, type: "note", payload: 3 })
    expect(await ada.client.came()).toMatchObject({ type: "note", from: bob.address, payload: 3 })
  })

  it("fault 34: 40 tells and 40 hub:send to one arrive in order", async () => {
    const [ada, bob] = [await from(), await to()]
    for (let n = 0; n < 80; n++) {
      if (n % 2 === 0) ada.client.send({ to: bob.address, type: "n", payload: n })
      else ada.client.send({ type: "hub:send", payload: { to: bob.address, type: "n", data: n } })
    }
    for (let n = 0; n < 80; n++) expect((await bob.client.came()).payload).toBe(n)
  })

  it("fault 39: who sends to a slow reader is told to pause once, then refused, and told when it may go on, over evictions", async () => {
    const [ada, bob] = [await from(), await to(undefined, "1.0.0")]
    const text = "x".repeat(100_000)
    for (let n = 0; n < 12; n++) ada.client.send({ to: bob.address, type: "n", payload: text })
    expect(await ada.client.came()).toMatchObject({
      type: "hub:pause",
      to: ada.address,
      payload: { actorAddress: bob.address, reason: "slow_consumer" },
    })
    // What was on its way when the pause came is delivered, up to 8 MiB that bob has not acknowledged.
    for (let n = 0; n < 80; n++) ada.client.send({ to: bob.address, type: "n", payload: text })
    expect(await ada.client.came()).toMatchObject({ payload: { code: "queue_full" } })
    await evicted()
    const more = ada.client.send({ to: bob.address, type: "n", payload: "more" })
    let refused: Came
    do {
      refused = await ada.client.came()
      expect(refused.payload).toMatchObject({ code: "queue_full", details: { actorAddress: bob.address } })
    } while (refused.correlationId !== more)
    await evicted()
    bob.client.close()
    expect(await ada.client.came()).toMatchObject({
      type: "hub:resume",
      to: ada.address,
      payload: { actorAddress: bob.address },
    })
  })

  it("hub:send says that it was delivered, or that nobody is there", async () => {
    const [ada, bob] = [await from(), await to()]
    const sent = await ada.client.request("hub:send", { to: bob.address, type: "n", data: 1 })
    expect(sent).toMatchObject({ type: "hub:delivery_ack", payload: { status: "delivered" } })
    expect((await bob.client.came()).from).toBe(ada.address)
    const nobody = bob.address.replace("reach", "nobody")
    expect((await ada.client.request("hub:send", { to: nobody, type: "n" })).type).toBe("hub:unknown_actor")
  })

  it("watch one another: told once, over an eviction; of nobody nothing follows", async () => {
    const [ada, bob] = [await from(), await to()]
    const nobody = bob.address.replace("reach", "nobody")
    const none = await ada.client.request("hub:watch", { actorAddress: nobody })
    expect(none.payload).toEqual({ actorAddress: nobody, registered: false })
    await bob.client.request("hub:register", { actorAddress: bob.address })
    const watching = await ada.client.request("hub:watch", { actorAddress: bob.address })
    expect(watching.payload).toEqual({ actorAddress: bob.address, registered: true })
    await evicted()
    await bob.client.request("hub:disconnect")
    expect(await ada.client.came()).toMatchObject({
      type: "hub:terminated",
      payload: { actorAddress: bob.address, reason: "disconnected" },
    })
    expect((await ada.client.request("hub:heartbeat", { timestamp: 1 })).type).toBe("hub:heartbeat_ack")
  })

  it("a watch that was ended is not told of", async () => {
    const [ada, bob] = [await from(), await to()]
    await bob.client.request("hub:register", { actorAddress: bob.address })
    await ada.client.request("hub:watch", { actorAddress: bob.address })
    expect((await ada.client.request("hub:unwatch", { actorAddress: bob.address })).type).toBe(
      "hub:unwatched",
    )
    await bob.client.request("hub:disconnect")
    expect((await ask(ada.client, bob.address, "x")).type).toBe("hub:unknown_actor")
  })

  it("failures are typed: unknown_actor, actor_terminated, timeout", async () => {
    const [ada, bob] = [await from(), await to()]
    const nobody = bob.address.replace("reach", "nobody")
    expect(await ask(ada.client, nobody, "x")).toMatchObject({
      type: "hub:unknown_actor",
      payload: { actorAddress: nobody },
    })
    asks(ada.client, bob.address, "x", null, { ttl: 200 })
    expect((await ada.client.came()).payload.code).toBe("timeout")
    asks(ada.client, bob.address, "x")
    await bob.client.came()
    await bob.client.came()
    await bob.client.request("hub:disconnect")
    expect((await ada.client.came()).payload.code).toBe("actor_terminated")
  })

  it("an ask is cancelled, and handed on, across", async () => {
    const [ada, bob, eve] = [await from(), await to(), await from()]
    const id = asks(ada.client, bob.address, "question", 1)
    const question = await bob.client.came()
    bob.client.send({
      id: question.id,
      from: ada.address,
      to: eve.address,
      type: "question",
      payload: 1,
      pattern: "ask",
      metadata: { forwardOf: question.id },
    })
    expect(await eve.client.came()).toMatchObject({ id, from: ada.address, type: "question" })
    ada.client.send({ to: bob.address, type: "actor:cancel", correlationId: id })
    expect(await eve.client.came()).toMatchObject({ type: "actor:cancel", correlationId: id })
  })
})

describe("between the topologies", () => {
  it("nobody in a hub may have an address that leads elsewhere", async () => {
    for (const address of ["@(user/ada)", "@(steward/1)", "@(clock/1)", "@(room/1)"]) {
      const client = await open("/ws/lobby")
      expect(await client.connect(address)).toMatchObject({ payload: { code: "forbidden" } })
    }
    const other = await open("/ws/other")
    expect(await other.connect("@(player/ada)")).toMatchObject({ payload: { code: "forbidden" } })
    const { client } = await inHub()
    const registered = await client.request("hub:register", { actorAddress: "@(user/ada)" })
    expect(registered).toMatchObject({ payload: { code: "forbidden" } })
  })

  it("who has no route to its hub can't send what nobody could answer; in its hub all is as ever", async () => {
    const bob = await atGateway()
    const ada = await connected("/ws/lobby", `@(node/${newName()})`)
    for (const pattern of ["tell", "ask"]) {
      const id = ada.client.send({ to: bob.address, type: "x", pattern })
      expect(await ada.client.came()).toMatchObject({ correlationId: id, payload: { code: "forbidden" } })
    }
    const watched = await ada.client.request("hub:watch", { actorAddress: bob.address })
    expect(watched.payload.code).toBe("forbidden")
    const eve = await inHub()
    expect((await ask(ada.client, "@(node/nobody)", "x")).type).toBe("hub:unknown_actor")
    asks(ada.client, eve.address, "x")
    expect(await eve.client.came()).toMatchObject({ from: ada.address })
  })

  it("fault 32: hostile names reach nothing", async () => {
    const { client } = await inHub()
    for (const type of ["constructor", "__proto__", "toString", "SIGNAL_HUB", "STEWARD", "DESK"]) {
      expect((await ask(client, `@(${type}/x)`, "x")).type).toBe("hub:unknown_actor")
    }
    for (const to of ["@(session/x)", "@(cloudflare/hub)"]) {
      expect((await ask(client, to, "x")).type).toBe("hub:unknown_actor")
    }
  })

  it("a function and a service of the table answer clients of a hub", async () => {
    const { address, client } = await inHub()
    expect(await ask(client, "@(clock/1)", "x", 1)).toMatchObject({ payload: { type: "x", from: address } })
    expect(await ask(client, "@(desk/1)", "x", 1)).toMatchObject({ type: "desk", from: "@(desk/1)" })
    const failed = await ask(client, "@(room/x)", "throw")
    expect(failed).toMatchObject({ type: "actor:error", payload: { code: "actor_failed" } })
    expect(JSON.stringify(failed)).not.toContain("secret")
  })
})

describe("a Worker without a socket", () => {
  it("tells and asks clients of hubs, and durable actors", async () => {
    const { ask, tell } = actors(env)
    const { address, client } = await inHub()
    await tell(address, "hello", 1)
    expect(await client.came()).toMatchObject({ type: "hello", payload: 1 })
    const answer = ask(address, "question", 2)
    const question = await client.came()
    answers(client, question, 3)
    expect(await answer).toBe(3)
    const steward = newSteward()
    await tell(steward.address, "note", "from a Worker")
    expect(await ask(steward.address, "log")).toEqual([expect.stringContaining("from a Worker")])
  })

  it("hears typed what fails in a hub", async () => {
    const { ask, tell } = actors(env)
    await expect(ask("@(player/nobody)", "x")).rejects.toMatchObject({ code: "unknown_actor" })
    await expect(tell("@(player/nobody)", "x")).rejects.toMatchObject({ code: "unknown_actor" })
    await expect(ask("@(elsewhere/x)", "x")).rejects.toMatchObject({ code: "unknown_actor" })
    const { address, client } = await inHub()
    await expect(ask(address, "x", null, { timeout: 50 })).rejects.toMatchObject({ code: "timeout" })
    await client.came()
    const gone = ask(address, "x")
    await client.came()
    await client.request("hub:disconnect")
    await expect(gone).rejects.toMatchObject({ code: "actor_terminated" })
  })

  it.each(KINDS)("whose ask %s hands on is answered by whoever has it", async (_, enter) => {
    const [ada, eve] = [await enter(), await atGateway()]
    const answer = actors(env).ask(ada.address, "question", 1)
    const question = await ada.client.came()
    ada.client.send({
      id: question.id,
      from: question.from,
      to: eve.address,
      type: "question",
      pattern: "ask",
      metadata: { forwardOf: question.id },
    })
    const handed = await eve.client.came()
    expect(handed).toMatchObject({ id: question.id, from: question.from })
    answers(eve.client, handed, "from eve")
    expect(await answer).toBe("from eve")
  })

  it("whose ask a durable actor hands on is answered by whoever has it", async () => {
    const [first, second] = [newSteward(), newSteward()]
    const answer = await actors(env).ask(first.address, "delegate", second.address)
    expect(answer).toContain(`${second.address} for `)
  })
})
