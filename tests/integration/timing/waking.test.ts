/** What must not wake the object, and what must not keep it awake: seen in whether it runs. */
import { expect, test } from "vitest"
import { envelope } from "../support/RawClient.ts"
import { address, unique } from "../support/names.ts"
import { startHub, useHub } from "../support/hub.ts"

const SWEEP = 200
const hub = useHub({ limits: { heartbeatInterval: 1_000, sweepInterval: SWEEP, connectTimeout: 500 } })
const calm = useHub({ own: true })

test("GET /health wakes no Durable Object", async () => {
  const fresh = await startHub()
  try {
    const response = await fetch(fresh.url.replace(/^ws/, "http").replace(/\/ws$/, "/health"))
    expect(response.status).toBe(200)
    expect(await fresh.harness.getWorker().listDurableObjectIds("SignalHub")).toEqual([])
  } finally {
    await fresh.close()
  }
})

test("a request without an upgrade wakes none either", async () => {
  const fresh = await startHub()
  try {
    const response = await fetch(fresh.url.replace(/^ws/, "http"))
    await response.body?.cancel()
    expect(response.status).toBe(426)
    expect(await fresh.harness.getWorker().listDurableObjectIds("SignalHub")).toEqual([])
  } finally {
    await fresh.close()
  }
})

test("fault 02: heartbeats are answered while the object sleeps, and don't wake it", async () => {
  const name = unique("asleep")
  const client = await calm.connect({ hub: name })
  expect(await calm.server().evict(name)).toBe(true)
  for (let i = 0; i < 20; i++) {
    await client.raw('{"type":"ping"}')
    expect(await client.expectText()).toBe('{"type":"pong"}')
  }
  // An eviction of what isn't running is refused: the object slept through all of them.
  expect(await calm.server().evict(name)).toBe(false)
  await client.sync()
  expect(await calm.server().evict(name)).toBe(true)
})

test("fault 03: no alarm is left when everybody is gone", async () => {
  const name = unique("deserted")
  const clients = await Promise.all([hub.connect({ hub: name }), hub.connect({ hub: name })])
  for (const client of clients) {
    await client.ask("hub:register", { actorAddress: client.identity })
    await client.ask("hub:disconnect", {})
    await client.closed()
  }
  await hub.server().evict(name)
  // Another hub's alarms are the clock: someone silent there is found by its sweeps, three times over.
  for (let i = 0; i < 2; i++) {
    const silent = await hub.connect({ hub: unique("clock") })
    expect((await silent.closed()).code).toBe(4408)
    expect(await hub.server().evict(name)).toBe(false)
  }
}, 60_000)

test("fault 01: everything is found after an eviction of which nobody was told", async () => {
  const name = unique("evicted")
  const [ada, bob] = [await calm.connect({ hub: name }), await calm.connect({ hub: name })]
  const other = address("other")
  await ada.ask("hub:register", { actorAddress: other })
  expect(await calm.server().evict(name)).toBe(true)
  await bob.send(envelope({ type: "x", to: other }))
  expect(await ada.expect("x")).toMatchObject({ from: bob.identity, to: other })
  expect(await calm.server().evict(name)).toBe(true)
  await ada.send(envelope({ type: "y", to: bob.identity, from: other }))
  expect((await bob.expect("y")).from).toBe(other)
})

test("strikes outlive evictions", async () => {
  const name = unique("strikes")
  const client = await calm.connect({ hub: name })
  for (let i = 0; i < 9; i++) {
    await client.raw("nonsense")
    await client.expect("hub:error")
    expect(await calm.server().evict(name)).toBe(true)
  }
  await client.raw("nonsense")
  expect((await client.closed()).code).toBe(4400)
})
