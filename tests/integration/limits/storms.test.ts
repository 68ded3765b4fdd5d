/**
 * Storms from one client, of all kinds, each from a process of its own: beside them an innocent pair loses
 * nothing, in order. On the runtime itself, as the test harness's proxy would be what breaks.
 */
import { join } from "node:path"
import type { Address } from "@signal-hub/actor-core"
import { connect, type Hub } from "@signal-hub/cloudflare-transport/client"
import { afterAll, beforeAll, expect, test } from "vitest"
import { rage } from "../../../bench/lib/rage.ts"
import { STORMS } from "../../../bench/lib/storms.ts"
import { startWorkerd, type Workerd } from "../../../bench/lib/workerd.ts"
import { newAddress } from "../support/OwnClients.ts"
import { ROOT } from "../support/hub.ts"

/** Messages that Ada tells and asks Bob, each, while a storm goes on. */
const MESSAGES = 150

let server: Workerd
let url: string
let ada: Hub
let bob: Hub
let bobs: Address.Address
/** What Ada told in all storms, and what Bob heard, in order. */
const told: Array<string> = []
const heard: Array<unknown> = []

beforeAll(async () => {
  server = await startWorkerd({
    script: join(ROOT, "worker.ts"),
    durableObjects: { SIGNAL_HUB: "SignalHub" },
    vars: { AUTH_MODE: "open" },
  })
  url = `ws://127.0.0.1:${server.port}/ws`
  bobs = newAddress("bob")
  ada = await connect(url, { identity: newAddress("ada") })
  bob = await connect(url, { identity: bobs, codec: "msgpack" })
  bob.onMessage((message) => {
    if (message.pattern === "ask") bob.reply(message, "answer", message.payload)
    else heard.push(message.payload)
  })
})

afterAll(async () => {
  await ada.close()
  await bob.close()
  await server[Symbol.asyncDispose]()
})

test.each(Object.keys(STORMS))("%s: an innocent pair loses nothing", async (name) => {
  const end = await rage(name, url)
  const messages = Array.from({ length: MESSAGES }, (_, n) => `${name} ${n}`)
  told.push(...messages)
  const exchanged = messages.map(async (message) => {
    void ada.tell(bobs, "note", message)
    return ada.ask(bobs, "question", message)
  })
  expect(await Promise.all(exchanged)).toEqual(messages)
  // An answer comes after what was told before it.
  expect(heard).toEqual(told)
  expect([ada.state.status, bob.state.status]).toEqual(["connected", "connected"])
  // It did rage.
  const { connections, frames } = await end()
  expect(connections).toBeGreaterThan(0)
  expect(connections + frames).toBeGreaterThan(10)
})
