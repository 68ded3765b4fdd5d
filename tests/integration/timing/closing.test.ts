/**
 * Each close that a hub or a gateway decides on is finished within a second: the client has its close frame, answers
 * it, and the connection under it ends. Of a client that never sent a frame the platform ends it later.
 */
import { performance } from "node:perf_hooks"
import { describe, expect, test } from "vitest"
import { envelope, RawClient } from "../support/RawClient.ts"
import { address, unique } from "../support/names.ts"
import { useHub } from "../support/hub.ts"

const hub = useHub({ limits: { connectTimeout: 2_000, heartbeatInterval: 700, sweepInterval: 300 } })

const PING = '{"type":"ping"}'
const SECOND = 1_000

/** The code that the client was closed with, and how long its connection then went on, in milliseconds. */
const closing = async (client: RawClient): Promise<{ readonly code: number; readonly after: number }> => {
  await client.closeFrame
  const at = performance.now()
  const { code } = await client.closed()
  return { code, after: performance.now() - at }
}

/** Keeps the client heard. Gives what ends that. */
const heard = (client: RawClient): (() => void) => {
  const timer = setInterval(() => client.socket.send(PING), 100)
  return () => clearInterval(timer)
}

const places = [
  ["a hub", (name: string) => () => `${hub.url()}/${name}`],
  [
    "a gateway",
    () => (identity: string) =>
      `${hub.url().replace(/\/ws$/, "/gateway")}?identity=${encodeURIComponent(identity)}`,
  ],
] as const

describe.each(places)("fault 52: a close of %s is finished within a second", (_, place) => {
  const urlOf = place(unique("closing"))

  test("by a timer: no hub:connect in time", async () => {
    const client = await RawClient.open(urlOf(address("late")))
    client.socket.send(PING)
    const { code, after } = await closing(client)
    expect(code).toBe(4408)
    expect(after).toBeLessThan(SECOND)
  })

  test("by the alarm: nothing heard for three intervals", async () => {
    const identity = address("silent")
    const client = await RawClient.connect(urlOf(identity), { identity })
    const { code, after } = await closing(client)
    expect(code).toBe(4408)
    expect(after).toBeLessThan(SECOND)
  })

  test("by a frame: the third hub:connect that fails", async () => {
    const client = await RawClient.open(urlOf(address("wrong")))
    for (let attempt = 0; attempt < 3; attempt++) {
      await client.ask("hub:connect", null, { metadata: { protocolVersion: "none" } })
    }
    const { code, after } = await closing(client)
    expect(code).toBe(4400)
    expect(after).toBeLessThan(SECOND)
  })

  test("by a farewell, alone and in a crowd; others are served all along", async () => {
    const identities = Array.from({ length: 10 }, () => address("leaving"))
    const crowd = await Promise.all(
      identities.map((identity) => RawClient.connect(urlOf(identity), { identity })),
    )
    const stays = address("stays")
    const innocent = await RawClient.connect(urlOf(stays), { identity: stays })
    const stop = heard(innocent)
    const closes = crowd.map(closing)
    for (const one of crowd) void one.ask("hub:disconnect", {})
    await innocent.send(envelope({ to: stays, type: "note", payload: "still here" }))
    await innocent.expect("note")
    for (const { code, after } of await Promise.all(closes)) {
      expect(code).toBe(1000)
      expect(after).toBeLessThan(SECOND)
    }
    stop()
    innocent.terminate()
  })

  test("by another connection that takes over", async () => {
    const identity = address("taken")
    const loser = await RawClient.connect(urlOf(identity), { identity })
    const winner = await RawClient.connect(urlOf(identity), { identity })
    const { code, after } = await closing(loser)
    expect(code).toBe(4409)
    expect(after).toBeLessThan(SECOND)
    winner.terminate()
  })
})
