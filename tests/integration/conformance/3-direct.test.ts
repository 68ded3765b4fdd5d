/** protocol.md, section 3: tell and ask, direct envelopes, forwarding, streams, cancelling, order. */
import { describe, expect, test } from "vitest"
import { envelope, HUB, type RawClient, type Received } from "../support/RawClient.ts"
import { address, topic } from "../support/names.ts"
import { expectError, expectQuiet } from "../support/expectations.ts"
import { twoPhase, useHub } from "../support/hub.ts"

const hub = useHub()

/** Sends an ask and waits until it is with the one who is asked. */
const asked = async (asker: RawClient, target: RawClient, more: { readonly ttl?: number } = {}) => {
  const ask = envelope({ type: "question", to: target.identity, pattern: "ask", ...more })
  await asker.send(ask)
  await target.expectThat("the question", (one) => one.id === ask.id)
  return ask
}
const answerTo = (ask: { readonly id: string }, to: string, more: object = {}) =>
  envelope({ type: "answer", to, correlationId: ask.id, ...more })

describe("tell and ask", () => {
  test("every hub:* request is answered, whatever its pattern, except those marked ask only", async () => {
    const client = await hub.connect()
    const actorAddress = address("x")
    const room = topic("x")
    for (const [type, payload, answer] of [
      ["hub:heartbeat", { timestamp: 1 }, "hub:heartbeat_ack"],
      ["hub:register", { actorAddress }, "hub:registered"],
      ["hub:discover", { pattern: actorAddress }, "hub:discovered"],
      ["hub:list_actors", {}, "hub:actor_list"],
      ["hub:subscribe", { topic: room }, "hub:subscribed"],
      ["hub:publish", { topic: topic("nobody"), type: "x", data: 1 }, "hub:published"],
      ["hub:presence", { topic: room }, "hub:presence_state"],
      ["hub:watch", { actorAddress }, "hub:watching"],
      ["hub:queue_stats", {}, "hub:queue_stats_response"],
      ["hub:metrics", {}, "hub:metrics_response"],
    ] as const) {
      const told = envelope({ type, payload, pattern: "tell" })
      expect((await client.request(told)).type).toBe(answer)
    }
    await client.send(
      envelope({ type: "hub:unwatch", payload: { actorAddress } }),
      envelope({ type: "hub:unsubscribe", payload: { topic: room } }),
      envelope({ type: "hub:unregister", payload: { actorAddress } }),
    )
    await expectQuiet(client)
    // Done all the same, in silence.
    const found = await client.ask("hub:discover", { pattern: actorAddress })
    expect(found.payload).toMatchObject({ actors: [] })
  })

  test("errors are answered always, told or asked", async () => {
    const client = await hub.connect()
    for (const pattern of ["tell", "ask"]) {
      for (const type of ["hub:subscribe", "hub:unsubscribe"]) {
        const bad = envelope({ type, pattern, payload: { topic: "no topic!" } })
        expectError(await client.request(bad), "invalid_topic")
      }
    }
  })

  test("a tell to an unknown address is silent", async () => {
    const client = await hub.connect()
    await client.send(
      envelope({ type: "anyone", to: address("nobody") }),
      envelope({ type: "hub:send", payload: { to: address("nobody"), type: "anyone", data: 1 } }),
    )
    await expectQuiet(client)
  })

  test("an ask to an unknown address is answered hub:unknown_actor with the address", async () => {
    for (const version of ["1.0.0", "0.1.0"]) {
      const client = await hub.connect({ version })
      const nobody = address("nobody")
      const answer = await client.request(envelope({ type: "anyone", to: nobody, pattern: "ask" }))
      expect(answer).toMatchObject({
        type: "hub:unknown_actor",
        from: HUB,
        payload: { actorAddress: nobody, message: expect.stringMatching(/./) },
      })
    }
  })
})

describe("who is addressable", () => {
  test("an identity, from its hub:connect on, registered or not", async () => {
    const ada = await hub.connect()
    const name = address("late")
    const early = await ada.request(envelope({ type: "x", to: name, pattern: "ask" }))
    expect(early.type).toBe("hub:unknown_actor")
    const late = await hub.connect({ identity: name })
    await ada.send(envelope({ type: "x", to: name }))
    expect((await late.expect("x")).from).toBe(ada.identity)
  })

  test("every address that a session registered", async () => {
    const [ada, bob] = [await hub.connect(), await hub.connect()]
    const addresses = [address("one"), address("two"), bob.identity]
    for (const actorAddress of addresses) await bob.ask("hub:register", { actorAddress })
    for (const to of addresses) {
      await ada.send(envelope({ type: "x", to }))
      expect((await bob.expect("x")).to).toBe(to)
    }
  })

  test("not one that was unregistered, nor the identity of a session that left", async () => {
    const [ada, bob] = [await hub.connect(), await hub.connect()]
    const other = address("other")
    await bob.ask("hub:register", { actorAddress: other })
    await bob.ask("hub:unregister", { actorAddress: other })
    expect((await ada.request(envelope({ type: "x", to: other, pattern: "ask" }))).type).toBe(
      "hub:unknown_actor",
    )
    await bob.ask("hub:disconnect", {})
    await bob.closed()
    expect((await ada.request(envelope({ type: "x", to: bob.identity, pattern: "ask" }))).type).toBe(
      "hub:unknown_actor",
    )
  })

  test("oneself", async () => {
    const client = await hub.connect()
    const ask = envelope({ type: "question", to: client.identity, pattern: "ask" })
    await client.send(ask)
    expect((await client.expect("question")).from).toBe(client.identity)
    await client.send(answerTo(ask, client.identity))
    expect((await client.expect("answer")).correlationId).toBe(ask.id)
  })
})

describe("direct envelopes", () => {
  test("go through as they are: same id, pattern, correlationId, payload and metadata", async () => {
    const [ada, bob] = [await hub.connect(), await hub.connect()]
    for (const pattern of ["tell", "ask"]) {
      const sent = envelope({
        type: "note",
        to: bob.identity,
        pattern,
        payload: { text: "hello", list: [1, null] },
        metadata: { tag: "t", traceparent: "00-0-0-00" },
        timestamp: 1_234,
        signature: "s",
      })
      await ada.send(sent)
      const { ttl: _, ...received } = await bob.expect("note")
      expect(received).toEqual({ ...sent, from: ada.identity, correlationId: null })
    }
  })

  test("fault 33: an ask is answered by the actor, with the answer's own type, payload and metadata", async () => {
    const [ada, bob] = [await hub.connect(), await hub.connect()]
    const ask = await asked(ada, bob)
    const answer = answerTo(ask, ada.identity, { payload: { sum: 42 }, metadata: { took: 1 } })
    await bob.send(answer)
    expect(await ada.answerTo(ask.id, "the ask")).toMatchObject({
      id: answer.id,
      type: "answer",
      from: bob.identity,
      to: ada.identity,
      pattern: "tell",
      payload: { sum: 42 },
      metadata: { took: 1 },
    })
  })

  test("an actor's failure arrives typed: actor:error {code, message, data?, retryable}", async () => {
    const [ada, bob] = [await hub.connect(), await hub.connect()]
    const ask = await asked(ada, bob)
    const failure = { code: "out_of_tea", message: "no tea", data: { _tag: "NoTea" }, retryable: true }
    await bob.send(
      envelope({ type: "actor:error", to: ada.identity, correlationId: ask.id, payload: failure }),
    )
    expect(await ada.answerTo(ask.id, "the ask")).toMatchObject({
      type: "actor:error",
      from: bob.identity,
      payload: failure,
    })
  })

  test("an answer passes only from the address that was asked", async () => {
    const [ada, bob, eve] = [await hub.connect(), await hub.connect(), await hub.connect()]
    const ask = await asked(ada, bob)
    await eve.send(answerTo(ask, ada.identity, { payload: "eve's" }))
    await eve.rest()
    await expectQuiet(ada)
    await bob.send(answerTo(ask, ada.identity, { payload: "bob's" }))
    expect(await ada.answerTo(ask.id, "the ask")).toMatchObject({ from: bob.identity, payload: "bob's" })
  })

  test("an answer passes from the address that was asked, not from another one of its holder", async () => {
    const [ada, bob] = [await hub.connect(), await hub.connect()]
    const other = address("other")
    await bob.ask("hub:register", { actorAddress: other })
    const ask = envelope({ type: "question", to: other, pattern: "ask" })
    await ada.send(ask)
    await bob.expect("question")
    await bob.send(answerTo(ask, ada.identity, { from: other, payload: "asked" }))
    expect(await ada.answerTo(ask.id, "the ask")).toMatchObject({ from: other, payload: "asked" })
  })

  test("an answer passes only once", async () => {
    const [ada, bob] = [await hub.connect(), await hub.connect()]
    const ask = await asked(ada, bob)
    await bob.send(answerTo(ask, ada.identity, { payload: 1 }), answerTo(ask, ada.identity, { payload: 2 }))
    expect((await ada.answerTo(ask.id, "the ask")).payload).toBe(1)
    await bob.rest()
    await expectQuiet(ada)
  })

  test("asks of several at once, answered in any order, get each its own answer", async () => {
    const [ada, bob] = [await hub.connect(), await hub.connect()]
    const asks = Array.from({ length: 20 }, (_, i) =>
      envelope({ type: "question", to: bob.identity, pattern: "ask", payload: i }),
    )
    await ada.send(...asks)
    const questions = await bob.expectMany("question", 20)
    await bob.send(
      ...questions
        .toReversed()
        .map((one) => answerTo(one, ada.identity, { payload: Number(one.payload) * 2 })),
    )
    for (const [i, ask] of asks.entries()) {
      expect((await ada.answerTo(ask.id, "the ask")).payload).toBe(i * 2)
    }
  })

  test("an ask whose ttl runs out gets timeout, and its answer comes too late", async () => {
    const [ada, bob] = [await hub.connect(), await hub.connect()]
    const start = Date.now()
    const ask = await asked(ada, bob, { ttl: 1_500 })
    expectError(await ada.answerTo(ask.id, "the ask"), "timeout", "message_expired")
    expect(Date.now() - start).toBeGreaterThanOrEqual(1_400)
    await bob.send(answerTo(ask, ada.identity))
    await bob.rest()
    await expectQuiet(ada)
  })

  test("an ask whose actor disconnects gets actor_terminated at once", async () => {
    const [ada, bob] = [await hub.connect(), await hub.connect()]
    const ask = await asked(ada, bob)
    await bob.ask("hub:disconnect", {})
    expectError(await ada.answerTo(ask.id, "the ask"), "actor_terminated")
  })

  test("an ask whose actor's connection drops, without a grace period, gets actor_terminated at once", async () => {
    const [ada, bob] = [await hub.connect(), await hub.connect()]
    const ask = await asked(ada, bob)
    bob.terminate()
    expectError(await ada.answerTo(ask.id, "the ask"), "actor_terminated")
  })

  twoPhase("an asker without an identity is answered at its provisional address", async () => {
    const [ada, bob] = [await hub.connect({ identity: null }), await hub.connect()]
    const ask = await asked(ada, bob)
    await bob.send(answerTo(ask, `@(session/${ada.sessionId})`, { payload: "yes" }))
    expect(await ada.answerTo(ask.id, "the ask")).toMatchObject({ from: bob.identity, payload: "yes" })
  })

  test("fault 05: an ask that is answered after a while is answered", async () => {
    const [ada, bob] = [await hub.connect(), await hub.connect()]
    const ask = await asked(ada, bob)
    // A second ask that runs out is the clock here: the first is then older than a second.
    const clock = await asked(ada, bob, { ttl: 1_300 })
    expectError(await ada.answerTo(clock.id, "the clock"), "timeout")
    await bob.send(answerTo(ask, ada.identity, { payload: "at last" }))
    expect((await ada.answerTo(ask.id, "the ask")).payload).toBe("at last")
  })
})

describe("giving up", () => {
  test("actor:cancel reaches the actor, and the hub forgets the ask", async () => {
    const [ada, bob] = [await hub.connect(), await hub.connect()]
    const ask = await asked(ada, bob)
    await ada.send(envelope({ type: "actor:cancel", to: bob.identity, correlationId: ask.id }))
    expect(await bob.expect("actor:cancel")).toMatchObject({ from: ada.identity, correlationId: ask.id })
    await bob.send(answerTo(ask, ada.identity))
    await bob.rest()
    await expectQuiet(ada)
    // Forgotten: the id is free again.
    const again = envelope({ ...ask, payload: "again" })
    await ada.send(again)
    expect((await bob.expect("question")).payload).toBe("again")
  })

  test("nobody else's ask can be cancelled", async () => {
    const [ada, bob, eve] = [await hub.connect(), await hub.connect(), await hub.connect()]
    const ask = await asked(ada, bob)
    await eve.send(envelope({ type: "actor:cancel", to: bob.identity, correlationId: ask.id }))
    await eve.rest()
    await bob.send(answerTo(ask, ada.identity))
    expect((await ada.answerTo(ask.id, "the ask")).type).toBe("answer")
  })
})

describe("forwarding", () => {
  /** The ask as it was received, with another `to`. */
  const forward = (ask: Received, to: string, more: object = {}) => ({
    ...ask,
    to,
    metadata: { ...ask.metadata, forwardOf: ask.id },
    ...more,
  })

  /** Ada's ask as Bob received it. */
  const held = async (asker: RawClient, target: RawClient): Promise<Received> => {
    const ask = envelope({ type: "question", to: target.identity, pattern: "ask" })
    await asker.send(ask)
    return target.expectThat("the question", (one) => one.id === ask.id)
  }

  test.each([
    ["as it was received", {}],
    ["without a from, which is the server's to set", { from: undefined }],
  ])(
    "the actor that holds an ask hands it on %s; from stays the asker's, and the new target may answer",
    async (_, more) => {
      const [ada, bob, eve] = [await hub.connect(), await hub.connect(), await hub.connect()]
      const ask = await held(ada, bob)
      await bob.send(forward(ask, eve.identity, more))
      expect(await eve.expect("question")).toMatchObject({
        id: ask.id,
        from: ada.identity,
        pattern: "ask",
      })
      await eve.send(answerTo(ask, ada.identity, { payload: "eve's" }))
      expect(await ada.answerTo(ask.id, "the ask")).toMatchObject({ from: eve.identity, payload: "eve's" })
      await expectQuiet(bob)
    },
  )

  test("it may be handed on again by the one who has it now", async () => {
    const [ada, bob, eve, zoe] = [
      await hub.connect(),
      await hub.connect(),
      await hub.connect(),
      await hub.connect(),
    ]
    const ask = await held(ada, bob)
    await bob.send(forward(ask, eve.identity))
    await eve.expect("question")
    await eve.send(forward(ask, zoe.identity))
    expect((await zoe.expect("question")).from).toBe(ada.identity)
    await zoe.send(answerTo(ask, ada.identity))
    expect((await ada.answerTo(ask.id, "the ask")).from).toBe(zoe.identity)
  })

  test("handed on to nobody, the asker learns it", async () => {
    const [ada, bob] = [await hub.connect(), await hub.connect()]
    const ask = await held(ada, bob)
    await bob.send(forward(ask, address("nobody")))
    expect((await ada.answerTo(ask.id, "the ask")).type).toBe("hub:unknown_actor")
  })

  test("handed on to an actor that goes away, the asker learns it", async () => {
    const [ada, bob, eve] = [await hub.connect(), await hub.connect(), await hub.connect()]
    const ask = await held(ada, bob)
    await bob.send(forward(ask, eve.identity))
    await eve.expect("question")
    await eve.ask("hub:disconnect", {})
    expectError(await ada.answerTo(ask.id, "the ask"), "actor_terminated")
  })

  test("fault 23: who doesn't hold the ask can't lend itself another's from", async () => {
    const [ada, bob, eve, zoe] = [
      await hub.connect(),
      await hub.connect(),
      await hub.connect(),
      await hub.connect(),
    ]
    const ask = await held(ada, bob)
    await eve.send(forward(ask, zoe.identity))
    await eve.rest()
    for (const one of await zoe.rest()) expect(one.from).toBe(eve.identity)
    await bob.send(answerTo(ask, ada.identity))
    expect((await ada.answerTo(ask.id, "the ask")).from).toBe(bob.identity)
  })
})

describe("streams", () => {
  const part = (ask: { readonly id: string }, to: string, n: number, done: boolean) =>
    answerTo(ask, to, { type: "part", payload: n, metadata: { stream: { n, done } } })

  test("answers with metadata.stream pass until done, in order, and the last one ends the ask", async () => {
    const [ada, bob] = [await hub.connect(), await hub.connect()]
    const ask = await asked(ada, bob)
    await bob.send(...[1, 2, 3, 4, 5].map((n) => part(ask, ada.identity, n, n === 5)))
    const parts = await ada.expectMany("part", 5)
    expect(parts.map((one) => one.payload)).toEqual([1, 2, 3, 4, 5])
    expect(parts.map((one) => one.metadata)).toEqual(
      [1, 2, 3, 4, 5].map((n) => ({ stream: { n, done: n === 5 } })),
    )
    expect(new Set(parts.map((one) => one.correlationId))).toEqual(new Set([ask.id]))
    await bob.send(part(ask, ada.identity, 6, true))
    await bob.rest()
    await expectQuiet(ada)
  })

  test("the asker's demand reaches the actor", async () => {
    const [ada, bob] = [await hub.connect(), await hub.connect()]
    const ask = await asked(ada, bob)
    await bob.send(part(ask, ada.identity, 1, false))
    await ada.expect("part")
    await ada.send(
      envelope({ type: "actor:demand", to: bob.identity, correlationId: ask.id, payload: { n: 8 } }),
    )
    expect(await bob.expect("actor:demand")).toMatchObject({
      from: ada.identity,
      correlationId: ask.id,
      payload: { n: 8 },
    })
    await bob.send(part(ask, ada.identity, 2, true))
    expect((await ada.expect("part")).payload).toBe(2)
  })

  test("an open stream may be cancelled", async () => {
    const [ada, bob] = [await hub.connect(), await hub.connect()]
    const ask = await asked(ada, bob)
    await bob.send(part(ask, ada.identity, 1, false))
    await ada.expect("part")
    await ada.send(envelope({ type: "actor:cancel", to: bob.identity, correlationId: ask.id }))
    await bob.expect("actor:cancel")
    await bob.send(part(ask, ada.identity, 2, false))
    await bob.rest()
    await expectQuiet(ada)
  })

  test("an actor that goes away in the middle ends it with actor_terminated", async () => {
    const [ada, bob] = [await hub.connect(), await hub.connect()]
    const ask = await asked(ada, bob)
    await bob.send(part(ask, ada.identity, 1, false))
    await ada.expect("part")
    await bob.ask("hub:disconnect", {})
    expectError(await ada.answerTo(ask.id, "the ask"), "actor_terminated")
  })
})

describe("order", () => {
  const COUNT = 40
  const payloads = (all: ReadonlyArray<Received>) => all.map((one) => one.payload)
  const upTo = (count: number) => Array.from({ length: count }, (_, i) => i)

  test("fault 34: 40 direct envelopes, each in a frame of its own, arrive in the order sent", async () => {
    const [ada, bob] = [await hub.connect(), await hub.connect()]
    await ada.send(...upTo(COUNT).map((payload) => envelope({ type: "n", to: bob.identity, payload })))
    expect(payloads(await bob.expectMany("n", COUNT))).toEqual(upTo(COUNT))
  })

  test("fault 34: direct envelopes, asks and hub:send of different sizes to one address keep their order", async () => {
    const [ada, bob] = [await hub.connect(), await hub.connect()]
    const pad = (i: number) => "x".repeat(i % 5 === 0 ? 50_000 : 10)
    await ada.send(
      ...upTo(COUNT).map((i) =>
        i % 3 === 0
          ? envelope({ type: "hub:send", payload: { to: bob.identity, type: "n", data: { i, pad: pad(i) } } })
          : envelope({
              type: "n",
              to: bob.identity,
              pattern: i % 3 === 1 ? "tell" : "ask",
              payload: { i, pad: pad(i) },
            }),
      ),
    )
    const received = await bob.expectMany("n", COUNT)
    expect(received.map((one) => (one.payload as { readonly i: number }).i)).toEqual(upTo(COUNT))
  })

  test("publications of one session on one topic arrive in the order sent", async () => {
    const [ada, bob] = [await hub.connect(), await hub.connect()]
    const room = topic("order")
    await bob.ask("hub:subscribe", { topic: room })
    await ada.send(
      ...upTo(COUNT).map((data) =>
        envelope({ type: "hub:publish", payload: { topic: room, type: "n", data } }),
      ),
    )
    expect(payloads(await bob.expectMany("n", COUNT))).toEqual(upTo(COUNT))
  })

  test("hub:* requests of one session are answered in order", async () => {
    const client = await hub.connect()
    const requests = upTo(COUNT).map((i) =>
      [
        () => envelope({ type: "hub:heartbeat", pattern: "ask", payload: { timestamp: i } }),
        () => envelope({ type: "hub:register", pattern: "ask", payload: { actorAddress: address("o") } }),
        () => envelope({ type: "hub:subscribe", pattern: "ask", payload: { topic: topic("o") } }),
        () => envelope({ type: "hub:discover", pattern: "ask", payload: { pattern: "*", limit: 1 } }),
        () => envelope({ type: "hub:subscribe", pattern: "ask", payload: { topic: "!" } }),
      ][i % 5]!(),
    )
    await client.send(...requests)
    const ids = new Set(requests.map((one) => one.id))
    const answered: Array<string | null> = []
    for (const _ of requests) {
      const answer = await client.expectThat("an answer", (one) => ids.has(one.correlationId ?? ""))
      answered.push(answer.correlationId)
    }
    expect(answered).toEqual(requests.map((one) => one.id))
  })

  test("what two sessions exchange at once loses and doubles nothing", async () => {
    const [ada, bob] = [await hub.connect(), await hub.connect()]
    const to = (target: RawClient) =>
      upTo(COUNT).map((payload) => envelope({ type: "n", to: target.identity, payload }))
    await Promise.all([ada.send(...to(bob)), bob.send(...to(ada))])
    expect(payloads(await bob.expectMany("n", COUNT))).toEqual(upTo(COUNT))
    expect(payloads(await ada.expectMany("n", COUNT))).toEqual(upTo(COUNT))
    await expectQuiet(ada, bob)
    await expectQuiet(bob)
  })
})
