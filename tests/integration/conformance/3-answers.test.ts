/** protocol.md, section 3: who may answer an ask, who may hand it on, and whose word is what it says then. */
import { describe, expect, test } from "vitest"
import { expectError, expectQuiet } from "../support/expectations.ts"
import { useHub } from "../support/hub.ts"
import { envelope, type Fields, type RawClient, type Received } from "../support/RawClient.ts"

const hub = useHub()

const answerTo = (ask: { readonly id: string }, to: string, more: object = {}) =>
  envelope({ type: "answer", to, correlationId: ask.id, payload: "true", ...more })

/** What others have made up: every way in which an answer to the ask may look like one. */
const forgeries = (id: string, to: string, from: string): ReadonlyArray<Fields> =>
  ["tell", "ask"].flatMap((pattern) =>
    ["answer", "actor:reply", "actor:error"].map((type) =>
      envelope({
        type,
        to,
        from,
        pattern,
        correlationId: id,
        payload: "forged",
        metadata: { answeredFor: from, forwardedBy: from },
      }),
    ),
  )

/** Four that are connected: who asks, who is asked, a deputy, and somebody who means harm. */
const four = () => Promise.all(Array.from({ length: 4 }, () => hub.connect())) as Promise<Four>
type Four = [ada: RawClient, bob: RawClient, carl: RawClient, eve: RawClient]

/** Ada's ask, as Bob received it. */
const held = async (ada: RawClient, bob: RawClient): Promise<Received> => {
  const ask = envelope({ type: "question", to: bob.identity, pattern: "ask" })
  await ada.send(ask)
  return bob.expectThat("the question", (one) => one.id === ask.id)
}

const forward = (ask: Received, to: string, more: object = {}) => ({
  ...ask,
  to,
  metadata: { ...ask.metadata, forwardOf: ask.id },
  ...more,
})

/** A pair that has nothing to do with it asks and is answered. */
const innocent = async (ada: RawClient, bob: RawClient): Promise<void> => {
  const ask = await held(ada, bob)
  await bob.send(answerTo(ask, ada.identity, { payload: "innocent" }))
  expect(await ada.answerTo(ask.id, "the innocent ask")).toMatchObject({
    from: bob.identity,
    payload: "innocent",
  })
}

describe("answers", () => {
  test("fault 67: nobody but the ask's holder answers it, under whatever name and pattern", async () => {
    const [ada, bob, carl, eve] = await four()
    const ask = await held(ada, bob)
    for (const one of forgeries(ask.id, ada.identity, bob.identity)) await eve.send(one)
    const refusals = await eve.rest()
    expect(refusals).toHaveLength(3)
    for (const one of refusals) expectError(one, "invalid_message")
    await expectQuiet(ada, bob)
    await innocent(ada, carl)
    await bob.send(answerTo(ask, ada.identity))
    expect(await ada.answerTo(ask.id, "the ask")).toMatchObject({ from: bob.identity, payload: "true" })
  })

  test("fault 67: an answer to a request of the hub is the hub's alone", async () => {
    const [ada, bob, , eve] = await four()
    const request = envelope({ type: "hub:discover", pattern: "ask", payload: { pattern: "*" } })
    const forged = forgeries(request.id, ada.identity, "@(cloudflare/signal-hub)")
    for (const one of forged) await eve.send({ ...one, type: "hub:discovered" }, one)
    await ada.send(request)
    for (const one of forged) await eve.send({ ...one, type: "hub:discovered" }, one)
    expect(await ada.answerTo(request.id, "discover")).toMatchObject({
      type: "hub:discovered",
      from: "@(cloudflare/signal-hub)",
    })
    await eve.rest()
    await expectQuiet(ada)
    await innocent(ada, bob)
  })

  test("fault 67: an ask that names another is invalid, whatever it asks, and is no strike", async () => {
    const [ada, bob] = await four()
    const named = { pattern: "ask", correlationId: "another" }
    const asks = [
      ...Array.from({ length: 12 }, () => envelope({ type: "question", to: bob.identity, ...named })),
      envelope({ type: "hub:discover", payload: { pattern: "*" }, ...named }),
      envelope({ type: "hub:register", payload: { actorAddress: ada.identity }, ...named }),
      envelope({ type: "actor:cancel", to: bob.identity, ...named }),
    ]
    for (const one of asks) expectError(await ada.request(one), "invalid_message")
    expect(ada.isOpen).toBe(true)
    await expectQuiet(bob)
    await innocent(ada, bob)
  })

  test("fault 67: that of a 0.x client is delivered without the name", async () => {
    const [ada, bob] = [await hub.connect({ version: "0.1.0" }), await hub.connect()]
    const ask = envelope({ type: "question", to: bob.identity, pattern: "ask", correlationId: "another" })
    await ada.send(ask)
    expect(await bob.expect("question")).toMatchObject({ id: ask.id, correlationId: null })
    await bob.send(answerTo(ask, ada.identity))
    expect((await ada.answerTo(ask.id, "the ask")).payload).toBe("true")
  })

  test("fault 67: passes once", async () => {
    const [ada, bob] = await four()
    const ask = await held(ada, bob)
    await bob.send(answerTo(ask, ada.identity), answerTo(ask, ada.identity, { payload: "again" }))
    expect((await ada.answerTo(ask.id, "the ask")).payload).toBe("true")
    await bob.rest()
    await expectQuiet(ada)
  })

  test("fault 67: parts of a stream are the holder's alone, and pass in their order, each once", async () => {
    const [ada, bob, carl, eve] = await four()
    const ask = await held(ada, bob)
    const part = (n: number, done: boolean, payload: unknown = n) =>
      answerTo(ask, ada.identity, { type: "part", payload, metadata: { stream: { n, done } } })
    await bob.send(part(1, false))
    expect((await ada.expect("part")).payload).toBe(1)
    for (const one of [part(2, false, "forged"), part(2, true, "forged")]) {
      await eve.send({ ...one, from: bob.identity }, { ...one, from: bob.identity, pattern: "ask" })
    }
    await eve.rest()
    for (const n of [1, 3, 0, -1, 2 ** 60]) await bob.send(part(n, false, "out of turn"))
    await bob.send(part(1, true, "out of turn"))
    await bob.rest()
    await expectQuiet(ada)
    await innocent(ada, carl)
    await bob.send(part(2, false), part(3, true), part(4, true))
    expect((await ada.expectMany("part", 2)).map(({ payload }) => payload)).toEqual([2, 3])
    await bob.rest()
    await expectQuiet(ada)
  })
})

describe("forwarding", () => {
  test("fault 68: says by whom, and the answer says for whom", async () => {
    const [ada, bob, carl, eve] = await four()
    const ask = await held(ada, bob)
    await bob.send(forward(ask, carl.identity, { payload: "bob's word" }))
    const handed = await carl.expect("question")
    expect(handed).toMatchObject({ id: ask.id, from: ada.identity, payload: "bob's word" })
    expect(handed.metadata).toEqual({ forwardOf: ask.id, forwardedBy: bob.identity })
    await innocent(eve, bob)
    await carl.send(answerTo(ask, ada.identity))
    expect(await ada.answerTo(ask.id, "the ask")).toMatchObject({
      from: carl.identity,
      metadata: { answeredFor: bob.identity },
      payload: "true",
    })
  })

  test("fault 68: again, the last who did so is named, and it is answered for who was asked", async () => {
    const [ada, bob, carl, eve] = await four()
    const ask = await held(ada, bob)
    await bob.send(forward(ask, carl.identity))
    await carl.send(forward(await carl.expect("question"), eve.identity))
    const handed = await eve.expect("question")
    expect(handed.metadata).toEqual({ forwardOf: ask.id, forwardedBy: carl.identity })
    await eve.send(answerTo(ask, ada.identity))
    expect((await ada.answerTo(ask.id, "the ask")).metadata).toEqual({ answeredFor: bob.identity })
  })

  test("fault 68: under another type is forbidden, and the ask stays with its holder", async () => {
    const [ada, bob, carl] = await four()
    const ask = await held(ada, bob)
    await bob.send(forward(ask, carl.identity, { type: "transfer" }))
    expectError(await bob.answerTo(ask.id, "the forward"), "forbidden")
    await expectQuiet(carl)
    await bob.send(answerTo(ask, ada.identity))
    expect((await ada.answerTo(ask.id, "the ask")).from).toBe(bob.identity)
  })

  test("faults 67, 68: who has handed an ask on may neither answer it any more nor hand it on again", async () => {
    const [ada, bob, carl, eve] = await four()
    const ask = await held(ada, bob)
    await bob.send(forward(ask, carl.identity))
    await carl.expect("question")
    for (const one of forgeries(ask.id, ada.identity, bob.identity)) await bob.send(one)
    await bob.send(forward(ask, eve.identity, { payload: "bob's word" }))
    // It is an ask of his own.
    expect(await eve.expect("question")).toMatchObject({ from: bob.identity })
    await bob.rest()
    await expectQuiet(ada, carl)
    await innocent(ada, eve)
    await carl.send(answerTo(ask, ada.identity))
    expect(await ada.answerTo(ask.id, "the ask")).toMatchObject({ from: carl.identity, payload: "true" })
  })

  test("fault 68: who doesn't hold an ask says nothing in the asker's name", async () => {
    const [ada, bob, carl, eve] = await four()
    const ask = await held(ada, bob)
    await eve.send(forward(ask, carl.identity, { payload: "eve's word" }))
    const own = await carl.expect("question")
    expect(own.from).toBe(eve.identity)
    expect(own.metadata).toEqual({ forwardOf: ask.id })
    await bob.send(answerTo(ask, ada.identity))
    expect((await ada.answerTo(ask.id, "the ask")).from).toBe(bob.identity)
  })

  test("faults 67, 68: nobody says for whom an answer is, or by whom an ask comes, but the server", async () => {
    const [ada, bob, carl, eve] = await four()
    const marks = { answeredFor: ada.identity, forwardedBy: ada.identity, forwardedByServer: true }
    const metadata = { own: 1, ...marks }
    await eve.send(
      envelope({ type: "note", to: bob.identity, metadata }),
      envelope({ type: "question", to: bob.identity, pattern: "ask", metadata }),
      envelope({ type: "hub:send", payload: { to: bob.identity, type: "sent", data: 1 }, metadata }),
    )
    expect((await bob.expect("note")).metadata).toEqual({ own: 1 })
    const ask = await bob.expect("question")
    expect(ask.metadata).toEqual({ own: 1 })
    const sent = await bob.expect("sent")
    expect(sent.metadata).toMatchObject({ own: 1, forwarded: true })
    for (const mark of Object.keys(marks)) expect(sent.metadata).not.toHaveProperty(mark)
    await bob.send(answerTo(ask, eve.identity, { metadata }))
    expect((await eve.answerTo(ask.id, "the ask")).metadata).toEqual({ own: 1 })
    const again = await held(ada, bob)
    await bob.send(forward(again, carl.identity, { metadata: { ...metadata, forwardOf: again.id } }))
    expect((await carl.expect("question")).metadata).toEqual({
      own: 1,
      forwardOf: again.id,
      forwardedBy: bob.identity,
    })
  })

  test("fault 68: what the server says has room beside 4 KiB of metadata", async () => {
    const [ada, bob, carl] = await four()
    const most = (more: object) => {
      const taken = JSON.stringify({ ...more, full: "" }).length
      return { ...more, full: "x".repeat(4_096 - taken) }
    }
    const ask = await held(ada, bob)
    const metadata = most({ forwardOf: ask.id })
    await bob.send(forward(ask, carl.identity, { metadata }))
    expect((await carl.expect("question")).metadata).toEqual({ ...metadata, forwardedBy: bob.identity })
    await carl.send(answerTo(ask, ada.identity, { metadata: most({}) }))
    expect((await ada.answerTo(ask.id, "the ask")).metadata).toEqual({
      ...most({}),
      answeredFor: bob.identity,
    })
  })
})
