/** protocol.md, section 6: identity, sessions, takeover. */
import { describe, expect, test } from "vitest"
import {
  envelope,
  HUB,
  listOf,
  numberOf,
  RawClient,
  textOf,
  type ConnectOptions,
} from "../support/RawClient.ts"
import { address, topic } from "../support/names.ts"
import { expectError, expectQuiet } from "../support/expectations.ts"
import { isGateway, twoPhase, useHub } from "../support/hub.ts"

const hub = useHub()

const entryOf = async (client: RawClient, actorAddress: string) =>
  listOf(await client.ask("hub:discover", { pattern: actorAddress }), "actors")[0]

/** Connects as the one who has the identity, and waits until the loser knows. */
const takeOver = async (loser: RawClient, options: ConnectOptions = {}): Promise<RawClient> => {
  const winner = await hub.connect({ identity: loser.identity, ...options })
  expect((await loser.closed()).code).toBe(4409)
  return winner
}

describe("two identities", () => {
  test("a session id is neither an address nor the identity", async () => {
    const client = await hub.connect()
    expect(client.sessionId).not.toBe(client.identity)
    expect(client.sessionId).not.toMatch(/^@\(/)
  })

  test("subscriptions and registrations are the identity's: a takeover keeps them under a new session id", async () => {
    const ada = await hub.connect()
    const room = topic("room")
    await ada.ask("hub:register", { actorAddress: ada.identity })
    await ada.ask("hub:subscribe", { topic: room })
    const winner = await takeOver(ada)
    expect(winner.sessionId).not.toBe(ada.sessionId)
    const answer = await winner.ask("hub:publish", { topic: room, type: "news", data: 1 })
    expect(answer.payload).toMatchObject({ subscriberCount: 1 })
    expect((await winner.expect("news")).to).toBe(ada.identity)
  })

  test("nobody can speak as another's session", async () => {
    const [ada, bob, eve] = [await hub.connect({ identity: null }), await hub.connect(), await hub.connect()]
    await eve.send(envelope({ type: "x", to: bob.identity, from: `@(session/${ada.sessionId})` }))
    expect((await bob.expect("x")).from).toBe(eve.identity)
  })
})

describe("two phases", () => {
  twoPhase("without an identity, the first hub:register claims one; later ones add addresses", async () => {
    const [ada, bob] = [await hub.connect({ identity: null }), await hub.connect()]
    await ada.send(envelope({ type: "x", to: bob.identity }))
    expect((await bob.expect("x")).from).toBe(`@(session/${ada.sessionId})`)
    const [first, second] = [address("first"), address("second")]
    await ada.ask("hub:register", { actorAddress: first })
    await ada.ask("hub:register", { actorAddress: second })
    await ada.send(envelope({ type: "x", to: bob.identity }))
    expect((await bob.expect("x")).from).toBe(first)
    await bob.send(envelope({ type: "y", to: first }), envelope({ type: "y", to: second }))
    expect((await ada.expect("y")).to).toBe(first)
    expect((await ada.expect("y")).to).toBe(second)
  })

  test("the identity that hub:connect named stays, whatever is registered", async () => {
    const client = await hub.connect()
    await client.ask("hub:register", { actorAddress: address("other") })
    const answer = await client.ask("hub:heartbeat", { timestamp: 1 })
    expect(answer.to).toBe(client.identity)
  })
})

describe("takeover", () => {
  test("a connect as the same identity: the old one hears hub:disconnect, then is closed 4409; the new one is served", async () => {
    const ada = await hub.connect()
    const bob = await hub.connect()
    const winner = await hub.connect({ identity: ada.identity })
    expect(await ada.expect("hub:disconnect")).toMatchObject({
      from: HUB,
      payload: { reason: "duplicate_connection", message: expect.stringMatching(/./) },
    })
    expect((await ada.closed()).code).toBe(4409)
    await bob.send(envelope({ type: "x", to: ada.identity }))
    expect((await winner.expect("x")).from).toBe(bob.identity)
  })

  twoPhase("the hub:register that claims an identity takes over too", async () => {
    const ada = await hub.connect()
    await ada.ask("hub:register", { actorAddress: ada.identity })
    const claimer = await hub.connect({ identity: null })
    const room = topic("room")
    await ada.ask("hub:subscribe", { topic: room })
    const answer = await claimer.ask("hub:register", { actorAddress: ada.identity })
    expect(answer.type).toBe("hub:registered")
    expect((await ada.expect("hub:disconnect")).payload).toMatchObject({ reason: "duplicate_connection" })
    expect((await ada.closed()).code).toBe(4409)
    const published = await claimer.ask("hub:publish", { topic: room, type: "news", data: 1 })
    expect(published.payload).toMatchObject({ subscriberCount: 1 })
    expect((await claimer.expect("news")).to).toBe(ada.identity)
  })

  test("a socket that doesn't connect takes nothing: until then, and if it fails, the old one is served", async () => {
    const [ada, bob] = [await hub.connect(), await hub.connect()]
    const other = await hub.open({ identity: ada.identity })
    await other.handshake({ identity: ada.identity, version: "9.0.0" })
    expect((await other.closed()).code).toBe(4426)
    const another = await hub.open({ identity: ada.identity })
    expectError(
      await another.handshake({ identity: ada.identity, metadata: { capabilities: 7 } }),
      "invalid_message",
    )
    await bob.send(envelope({ type: "x", to: ada.identity }))
    await ada.expect("x")
    await expectQuiet(ada)
  })

  test("the registration of the identity passes, its version up; its tags and metadata stay", async () => {
    const [ada, bob] = [await hub.connect(), await hub.connect()]
    await ada.ask("hub:register", {
      actorAddress: ada.identity,
      capabilities: ["chat"],
      metadata: { n: 1 },
      ttlSeconds: 900,
    })
    const before = await entryOf(bob, ada.identity)
    await takeOver(ada)
    const after = await entryOf(bob, ada.identity)
    expect(after).toMatchObject({ address: ada.identity, capabilities: ["chat"], metadata: { n: 1 } })
    expect(Number(after?.version)).toBeGreaterThan(Number(before?.version))
  })

  test("other registrations pass where the old session had a grace period, else they end", async () => {
    const bob = await hub.connect()
    for (const sessionExpirySeconds of [0, 60]) {
      const ada = await hub.connect({ metadata: { sessionExpirySeconds } })
      const other = address("other")
      await ada.ask("hub:register", { actorAddress: other })
      await bob.ask("hub:watch", { actorAddress: other })
      const winner = await takeOver(ada, { metadata: { sessionExpirySeconds } })
      if (sessionExpirySeconds === 0) {
        expect((await bob.expect("hub:terminated")).payload).toMatchObject({ actorAddress: other })
        expect(await entryOf(bob, other)).toBeUndefined()
      } else {
        await bob.send(envelope({ type: "x", to: other }))
        expect((await winner.expect("x")).to).toBe(other)
        expect(await entryOf(bob, other)).toBeDefined()
        await expectQuiet(bob)
      }
    }
  })

  test("subscriptions and watches pass; watchers of the identity hear nothing", async () => {
    const [ada, bob, eve] = [await hub.connect(), await hub.connect(), await hub.connect()]
    const room = topic("room")
    await ada.ask("hub:register", { actorAddress: ada.identity })
    await eve.ask("hub:watch", { actorAddress: ada.identity })
    await bob.ask("hub:register", { actorAddress: bob.identity })
    await ada.ask("hub:watch", { actorAddress: bob.identity })
    await ada.ask("hub:subscribe", { topic: room })
    const winner = await takeOver(ada)
    await bob.ask("hub:publish", { topic: room, type: "news", data: 1 })
    await winner.expect("news")
    await bob.ask("hub:unregister", { actorAddress: bob.identity })
    expect((await winner.expect("hub:terminated")).payload).toMatchObject({ actorAddress: bob.identity })
    await expectQuiet(eve, winner)
    await expectQuiet(winner)
  })

  test("asks that the loser was delivered and did not answer end actor_terminated", async () => {
    const [ada, bob] = [await hub.connect(), await hub.connect()]
    const ask = envelope({ type: "question", to: ada.identity, pattern: "ask" })
    await bob.send(ask)
    await ada.expect("question")
    const winner = await takeOver(ada)
    expectError(await bob.answerTo(ask.id, "the ask"), "actor_terminated")
    await winner.send(envelope({ type: "answer", to: bob.identity, correlationId: ask.id }))
    await expectQuiet(bob, winner)
  })

  test("fault 12: asks that the loser had open are never answered to the winner", async () => {
    const [ada, bob] = [await hub.connect(), await hub.connect()]
    const ask = envelope({ type: "question", to: bob.identity, pattern: "ask" })
    await ada.send(ask)
    await bob.expect("question")
    const winner = await takeOver(ada)
    await bob.send(envelope({ type: "answer", to: ada.identity, correlationId: ask.id }))
    await expectQuiet(winner, bob)
    // The id is the winner's to use.
    await winner.send(ask)
    await bob.expect("question")
    await bob.send(envelope({ type: "answer", to: ada.identity, correlationId: ask.id, payload: "new" }))
    expect((await winner.answerTo(ask.id, "its own ask")).payload).toBe("new")
  })

  test("no other identity's session notices anything", async () => {
    const [ada, bob] = [await hub.connect(), await hub.connect()]
    await takeOver(ada)
    await expectQuiet(bob)
    expect(bob.isOpen).toBe(true)
  })

  test("fault 09: frames of the old socket that arrive after the takeover are not executed", async () => {
    const [ada, bob, eve] = [await hub.connect(), await hub.connect(), await hub.connect()]
    const [other, room] = [address("other"), topic("room")]
    await ada.ask("hub:register", { actorAddress: ada.identity })
    await ada.ask("hub:subscribe", { topic: room })
    ada.stopReading()
    const winner = await hub.connect({ identity: ada.identity })
    await ada.send(
      envelope({ type: "late", to: bob.identity }),
      envelope({ type: "hub:register", pattern: "ask", payload: { actorAddress: other } }),
      envelope({ type: "hub:unregister", pattern: "ask", payload: { actorAddress: ada.identity } }),
      envelope({ type: "hub:unsubscribe", pattern: "ask", payload: { topic: room } }),
      envelope({ type: "hub:send", pattern: "ask", payload: { to: bob.identity, type: "late", data: 1 } }),
      envelope({ type: "hub:publish", pattern: "ask", payload: { topic: room, type: "late", data: 1 } }),
      envelope({ type: "hub:disconnect", pattern: "ask", payload: {} }),
    )
    ada.startReading()
    expect((await ada.closed()).code).toBe(4409)
    await expectQuiet(bob, winner, eve)
    expect(await entryOf(eve, other)).toBeUndefined()
    expect(await entryOf(eve, ada.identity)).toBeDefined()
    const answer = await winner.ask("hub:publish", { topic: room, type: "news", data: 1 })
    expect(answer.payload).toMatchObject({ subscriberCount: 1 })
    await winner.expect("news")
    await expectQuiet(winner)
  })

  test.each([["closes 1000"], ["closes without a code"], ["drops"]])(
    "fault 08: the old socket %s late, and the new session keeps its registration, subscriptions and watchers",
    async (how) => {
      const [ada, bob] = [await hub.connect(), await hub.connect()]
      const room = topic("room")
      await ada.ask("hub:register", { actorAddress: ada.identity })
      await ada.ask("hub:subscribe", { topic: room })
      await bob.ask("hub:watch", { actorAddress: ada.identity })
      ada.stopReading()
      const winner = await hub.connect({ identity: ada.identity })
      if (how === "drops") ada.terminate()
      else {
        if (how === "closes 1000") ada.socket.close(1000)
        else ada.socket.close()
        ada.startReading()
      }
      await ada.closed()
      await expectQuiet(bob, winner)
      expect(await entryOf(bob, ada.identity)).toBeDefined()
      await bob.ask("hub:publish", { topic: room, type: "news", data: 1 })
      await winner.expect("news")
      await bob.send(envelope({ type: "x", to: ada.identity }))
      await winner.expect("x")
    },
  )

  test("fault 11: while the old socket is still closing, what is sent to the identity reaches the new one", async () => {
    const [ada, bob] = [await hub.connect(), await hub.connect()]
    ada.stopReading()
    const second = await hub.connect({ identity: ada.identity })
    second.stopReading()
    const third = await hub.connect({ identity: ada.identity })
    const ask = envelope({ type: "question", to: ada.identity, pattern: "ask" })
    await bob.send(ask)
    expect((await third.expect("question")).id).toBe(ask.id)
    await third.send(envelope({ type: "answer", to: bob.identity, correlationId: ask.id }))
    await bob.answerTo(ask.id, "the ask")
    for (const old of [ada, second]) {
      old.startReading()
      expect((await old.closed()).code).toBe(4409)
    }
  })

  test("fault 20: the close of one socket of an identity leaves the subscriptions of the one that stays", async () => {
    const first = await hub.connect()
    const room = topic("room")
    await first.ask("hub:subscribe", { topic: room })
    const second = await takeOver(first)
    const third = await takeOver(second)
    const answer = await third.ask("hub:publish", { topic: room, type: "news", data: 1 })
    expect(answer.payload).toMatchObject({ subscriberCount: 1 })
    await third.expect("news")
  })

  test("fault 04: a takeover by a session with as much client metadata as is allowed leaves one that works", async () => {
    const metadata = {
      capabilities: Array.from({ length: 64 }, (_, i) => `tag-${i}`),
      // All of it together is the envelope's metadata, which ends at 4 KiB.
      clientMetadata: { blob: "x".repeat(3_000) },
    }
    const bob = await hub.connect()
    const ada = await hub.connect({ metadata })
    const winner = await takeOver(ada, { metadata })
    await bob.send(envelope({ type: "x", to: ada.identity }))
    await winner.expect("x")
    const third = await takeOver(winner, { metadata })
    await third.sync()
  })
})

describe("simultaneous claims", () => {
  test.each(isGateway ? [["hub:connect"]] : [["hub:connect"], ["hub:register"]])(
    "fault 21: of 12 that claim one identity at once by %s exactly one wins; every loser gets 4409",
    async (by) => {
      const identity = address("prize")
      const bob = await hub.connect()
      const claims = await Promise.all(
        Array.from({ length: 12 }, () =>
          by === "hub:connect" ? hub.open({ identity }) : hub.connect({ identity: null }),
        ),
      )
      await Promise.all(
        claims.map((one) =>
          one.send(
            by === "hub:connect"
              ? envelope({
                  type: "hub:connect",
                  pattern: "ask",
                  metadata: { protocolVersion: "1.0.0", sessionExpirySeconds: 0, actorIdentity: identity },
                })
              : envelope({ type: "hub:register", pattern: "ask", payload: { actorAddress: identity } }),
          ),
        ),
      )
      const standing = new Set(claims)
      while (standing.size > 1) {
        const ends = [...standing].map(async (one) => ({ one, code: (await one.closed(20_000)).code }))
        const { one, code } = await Promise.race(ends)
        expect(code).toBe(4409)
        standing.delete(one)
      }
      const [winner] = standing
      await bob.send(envelope({ type: "x", to: identity }))
      await winner!.expect("x")
      await winner!.sync()
    },
  )
})

describe("no tug of war", () => {
  test("the loser stays out until it connects afresh, or with reclaim; then it takes over", async () => {
    const ada = await hub.connect()
    const second = await takeOver(ada)
    const third = await takeOver(second, { metadata: { reclaim: true } })
    await third.sync()
    const fourth = await takeOver(third)
    await fourth.sync()
  })
})

describe("other addresses", () => {
  test("one that is another session's identity: address_in_use, and its holder notices nothing", async () => {
    const [ada, eve] = [await hub.connect(), await hub.connect()]
    expectError(await eve.ask("hub:register", { actorAddress: ada.identity }), "address_in_use")
    await ada.ask("hub:register", { actorAddress: ada.identity })
    expectError(await eve.ask("hub:register", { actorAddress: ada.identity }), "address_in_use")
    await expectQuiet(ada, eve)
    await eve.send(envelope({ type: "x", to: ada.identity }))
    await ada.expect("x")
  })

  test("an additional one that another session holds moves; the old holder is told and stays", async () => {
    const [ada, bob, eve] = [await hub.connect(), await hub.connect(), await hub.connect()]
    const shared = address("shared")
    const token = textOf(await ada.ask("hub:register", { actorAddress: shared }), "renewalToken")
    const moved = await eve.ask("hub:register", { actorAddress: shared })
    expect(moved.type).toBe("hub:registered")
    expect(await ada.expect("hub:unregistered")).toMatchObject({
      from: HUB,
      correlationId: null,
      payload: { actorAddress: shared, reason: "superseded" },
    })
    await bob.send(envelope({ type: "x", to: shared }))
    await eve.expect("x")
    await expectQuiet(ada)
    expectError(await ada.ask("hub:renew", { renewalToken: token }), "forbidden")
    expectError(await ada.ask("hub:unregister", { actorAddress: shared }), "forbidden")
    // What it spoke as it can't speak as any more.
    await ada.send(envelope({ type: "y", to: bob.identity, from: shared }))
    expect((await bob.expect("y")).from).toBe(ada.identity)
  })
})

describe("leases", () => {
  test("expiresAt is computed when asked: frames and heartbeats of the holder put it off", async () => {
    const [ada, bob] = [await hub.connect(), await hub.connect()]
    const registered = await ada.ask("hub:register", { actorAddress: ada.identity, ttlSeconds: 100 })
    const first = numberOf(registered, "expiresAt")
    // The clock moves on by an ask that runs out.
    const ask = envelope({ type: "question", to: bob.identity, pattern: "ask", ttl: 300 })
    await ada.send(ask)
    await ada.answerTo(ask.id, "the clock")
    await ada.sync()
    const later = Number((await entryOf(bob, ada.identity))?.expiresAt)
    // How finely it is remembered when the holder was heard is the hub's: within a fifth of an interval.
    expect(later).toBeGreaterThan(first - 5_000)
    expect(later - first).toBeLessThan(60_000)
  })
})

describe("hibernation, eviction, deploy", () => {
  test("fault 01: sessions, registrations, subscriptions, watches and open asks are found by the next frame", async () => {
    const [ada, bob] = [await hub.connect(), await hub.connect()]
    const [other, room] = [address("other"), topic("room")]
    await ada.ask("hub:register", { actorAddress: other, capabilities: ["t"], metadata: { m: 1 } })
    await ada.ask("hub:subscribe", { topic: room })
    await bob.ask("hub:watch", { actorAddress: other })
    const ask = envelope({ type: "question", to: other, pattern: "ask" })
    await bob.send(ask)
    await ada.expect("question")
    await bob.ask("hub:publish", { topic: room, type: "news", data: 1 })
    await ada.expect("news")
    await ada.send(envelope({ type: "answer", from: other, to: bob.identity, correlationId: ask.id }))
    await bob.answerTo(ask.id, "the ask")
    expect(await entryOf(bob, other)).toMatchObject({ capabilities: ["t"], metadata: { m: 1 } })
    await ada.ask("hub:unregister", { actorAddress: other })
    expect((await bob.expect("hub:terminated")).payload).toMatchObject({ actorAddress: other })
  })
})
