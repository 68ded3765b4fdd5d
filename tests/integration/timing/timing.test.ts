/**
 * What takes minutes with the default limits, with short ones: silence, grace, leases, time limits. That none of
 * them comes early is measured. That it comes in time is no figure, as machines may be busy: what is waited for
 * must come while a test has patience, many times the short limit and less than the default one.
 */
import { describe, expect, test } from "vitest"
import { envelope, fieldsOf, listOf, type RawClient } from "../support/RawClient.ts"
import { address, topic, unique } from "../support/names.ts"
import { expectError, expectQuiet } from "../support/expectations.ts"
import { UNHURRIED, useHub } from "../support/hub.ts"

const INTERVAL = 300
const SWEEP = 400
const hub = useHub({
  limits: {
    ...UNHURRIED,
    heartbeatInterval: INTERVAL,
    sweepInterval: SWEEP,
    connectTimeout: 500,
    minTtlSeconds: 1,
    defaultAskTimeout: 700,
    askVolatileFor: 100,
    maxRegistrations: 20,
    presenceWindow: 200,
    durableSubscriptionFor: 1_000,
  },
})

/** Pings until the function's promise is settled: what a client that is alive does. */
const pingingWhile = async <A>(clients: ReadonlyArray<RawClient>, wait: () => Promise<A>): Promise<A> => {
  const timer = setInterval(() => {
    for (const client of clients) if (client.isOpen) client.socket.send('{"type":"ping"}')
  }, INTERVAL / 2)
  try {
    return await wait()
  } finally {
    clearInterval(timer)
  }
}

const entries = async (client: RawClient, pattern: string) =>
  listOf(await client.ask("hub:discover", { pattern }), "actors")

test("the limits of the deployment are what hub:connected tells", async () => {
  const client = await hub.open()
  expect((await client.handshake()).payload).toMatchObject({ heartbeatInterval: INTERVAL })
})

test("a socket that doesn't connect in time is closed 4408", async () => {
  const client = await hub.open()
  expect((await client.expect("hub:error")).payload).toMatchObject({ code: "timeout" })
  expect(await client.closeFrame).toBe(4408)
})

describe("liveness", () => {
  test("fault 06: who is silent for three intervals hears heartbeat_timeout and is closed 4408; watchers hear it", async () => {
    const [ada, bob] = [await hub.connect(), await hub.connect()]
    const start = performance.now()
    await ada.ask("hub:register", { actorAddress: ada.identity })
    await bob.ask("hub:watch", { actorAddress: ada.identity })
    await pingingWhile([bob], async () => {
      expect((await ada.expect("hub:disconnect")).payload).toMatchObject({ reason: "heartbeat_timeout" })
      expect((await ada.closed()).code).toBe(4408)
      expect((await bob.expect("hub:terminated")).payload).toMatchObject({ actorAddress: ada.identity })
    })
    expect(performance.now() - start).toBeGreaterThan(2 * INTERVAL)
  })

  test("who only pings lives on, with registration and subscription", async () => {
    const ada = await hub.connect()
    const room = topic("room")
    await ada.ask("hub:register", { actorAddress: ada.identity, ttlSeconds: 1 })
    await ada.ask("hub:subscribe", { topic: room })
    await pingingWhile([ada], async () => {
      // Two silent ones, one after the other, are the clock.
      for (let i = 0; i < 2; i++) {
        const silent = await hub.connect()
        expect((await silent.closed()).code).toBe(4408)
      }
      expect(await entries(ada, ada.identity)).toHaveLength(1)
      const answer = await ada.ask("hub:publish", { topic: room, type: "news", data: 1 })
      expect(answer.payload).toMatchObject({ subscriberCount: 1 })
    })
  })

  test("any frame counts as heard", async () => {
    const ada = await hub.connect()
    const silent = await hub.connect()
    while (silent.isOpen) await ada.sync()
    expect((await silent.closed()).code).toBe(4408)
    expect(ada.isOpen).toBe(true)
  })
})

describe("grace", () => {
  test("a connection that drops leaves the session waiting: watchers hear nothing before it is over", async () => {
    const bob = await hub.connect()
    const ada = await hub.connect({ metadata: { sessionExpirySeconds: 1 } })
    await ada.ask("hub:register", { actorAddress: ada.identity, ttlSeconds: 60 })
    await bob.ask("hub:watch", { actorAddress: ada.identity })
    const start = performance.now()
    ada.terminate()
    await pingingWhile([bob], async () => {
      expect((await bob.expect("hub:terminated")).payload).toEqual({
        actorAddress: ada.identity,
        reason: "disconnected",
      })
    })
    expect(performance.now() - start).toBeGreaterThan(950)
  })

  test("an identity that is back within it keeps its registrations, subscriptions and watches; nobody hears", async () => {
    const bob = await hub.connect()
    const ada = await hub.connect({ metadata: { sessionExpirySeconds: 2 } })
    const [other, room] = [address("other"), topic("room")]
    for (const actorAddress of [ada.identity, other]) {
      await ada.ask("hub:register", { actorAddress, ttlSeconds: 60 })
      await bob.ask("hub:watch", { actorAddress })
    }
    await ada.ask("hub:subscribe", { topic: room })
    await bob.ask("hub:register", { actorAddress: bob.identity })
    await ada.ask("hub:watch", { actorAddress: bob.identity })
    ada.terminate()
    const again = await hub.connect({ identity: ada.identity, metadata: { sessionExpirySeconds: 2 } })
    await pingingWhile([again, bob], async () => {
      await bob.send(envelope({ type: "x", to: other }))
      expect((await again.expect("x")).to).toBe(other)
      const published = await bob.ask("hub:publish", { topic: room, type: "news", data: 1 })
      expect(published.payload).toMatchObject({ subscriberCount: 1 })
      await again.expect("news")
      // The time at which the old session's grace would have ended passes.
      const clock = await hub.connect({ metadata: { sessionExpirySeconds: 2 } })
      await clock.ask("hub:register", { actorAddress: clock.identity, ttlSeconds: 60 })
      await bob.ask("hub:watch", { actorAddress: clock.identity })
      clock.terminate()
      const terminated = await bob.expect("hub:terminated")
      expect(terminated.payload).toMatchObject({ actorAddress: clock.identity })
      await expectQuiet(bob)
      expect(await entries(bob, other)).toHaveLength(1)
      await bob.ask("hub:unregister", { actorAddress: bob.identity })
      expect((await again.expect("hub:terminated")).payload).toMatchObject({ actorAddress: bob.identity })
    })
  })

  test("hub:disconnect starts none", async () => {
    const bob = await hub.connect()
    const ada = await hub.connect({ metadata: { sessionExpirySeconds: 60 } })
    await ada.ask("hub:register", { actorAddress: ada.identity })
    await bob.ask("hub:watch", { actorAddress: ada.identity })
    await ada.ask("hub:disconnect", {})
    expect((await bob.expect("hub:terminated")).payload).toMatchObject({ reason: "disconnected" })
  })
})

describe("leases", () => {
  test("one whose session is away ends at its ttl, though the grace period is longer", async () => {
    const bob = await hub.connect()
    const ada = await hub.connect({ metadata: { sessionExpirySeconds: 60 } })
    await ada.ask("hub:register", { actorAddress: ada.identity, ttlSeconds: 1 })
    await bob.ask("hub:watch", { actorAddress: ada.identity })
    ada.terminate()
    await pingingWhile([bob], async () => {
      expect((await bob.expect("hub:terminated")).payload).toEqual({
        actorAddress: ada.identity,
        reason: "expired",
      })
      expect(await entries(bob, ada.identity)).toEqual([])
    })
  })
})

describe("asks", () => {
  test("without a ttl an ask has the default time limit, then timeout", async () => {
    const [ada, bob] = [await hub.connect(), await hub.connect()]
    const ask = envelope({ type: "question", to: bob.identity, pattern: "ask" })
    const start = performance.now()
    await ada.send(ask)
    await pingingWhile([ada, bob], async () => {
      expectError(await ada.answerTo(ask.id, "the ask"), "timeout")
    })
    expect(performance.now() - start).toBeGreaterThan(650)
  })

  test("fault 05: an ask that is open when the object is evicted is answered, and another times out in time", async () => {
    const [ada, bob] = [await hub.connect(), await hub.connect()]
    const ask = (ttl: number) => envelope({ type: "question", to: bob.identity, pattern: "ask", ttl })
    const [answered, late] = [ask(10_000), ask(600)]
    await ada.send(answered, late)
    await bob.expectMany("question", 2)
    expect(await hub.server().evict()).toBe(true)
    await pingingWhile([ada, bob], async () => {
      await bob.send(envelope({ type: "answer", to: ada.identity, correlationId: answered.id }))
      expect((await ada.answerTo(answered.id, "the ask")).type).toBe("answer")
      await hub.server().evict()
      expectError(await ada.answerTo(late.id, "the late one"), "timeout")
    })
  })
})

test("a hub that holds as many registrations as it may: registry_full, until one goes", async () => {
  const client = await hub.connect({ hub: unique("full") })
  const all = Array.from({ length: 20 }, () => address("a"))
  for (const actorAddress of all) {
    expect((await client.ask("hub:register", { actorAddress })).type).toBe("hub:registered")
  }
  const more = { actorAddress: address("more") }
  expectError(await client.ask("hub:register", more), "registry_full")
  await client.ask("hub:unregister", { actorAddress: all[0] })
  expect((await client.ask("hub:register", more)).type).toBe("hub:registered")
})

test("joins that come together are told together", async () => {
  const room = topic("room")
  const ada = await hub.connect()
  await ada.ask("hub:subscribe", { topic: room, presence: true })
  const others = await Promise.all(Array.from({ length: 6 }, () => hub.connect()))
  await Promise.all(others.map((one) => one.ask("hub:subscribe", { topic: room })))
  const joined = new Set<unknown>()
  let diffs = 0
  await pingingWhile([ada, ...others], async () => {
    while (joined.size < 6) {
      for (const member of listOf(await ada.expect("hub:presence_diff"), "joined")) {
        if (member.actorAddress !== ada.identity) joined.add(member.actorAddress)
      }
      diffs++
    }
  })
  expect(diffs).toBeLessThan(6)
})

test("a durable subscription that nobody used for long is forgotten", async () => {
  const name = unique("durable")
  const ada = await hub.connect({ hub: name })
  const bob = await hub.connect({ hub: name })
  const room = topic("room")
  await ada.ask("hub:subscribe", { topic: room, durable: true })
  await ada.ask("hub:disconnect", {})
  await ada.closed()
  await pingingWhile([bob], async () => {
    // The clock: a grace of 2 s is longer than the subscription's second.
    const clock = await hub.connect({ hub: name, metadata: { sessionExpirySeconds: 2 } })
    await clock.ask("hub:register", { actorAddress: clock.identity, ttlSeconds: 60 })
    await bob.ask("hub:watch", { actorAddress: clock.identity })
    clock.terminate()
    await bob.expect("hub:terminated")
    const again = await hub.connect({ hub: name, identity: ada.identity })
    const answer = await again.ask("hub:publish", { topic: room, type: "news", data: 1 })
    expect(fieldsOf(answer.payload).subscriberCount).toBe(0)
  })
})
