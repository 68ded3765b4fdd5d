/** Our client at a hub and at gateways: a bad argument ends its own call, and large resumes keep to the rates. */
import type { Address } from "@signal-hub/actor-core"
import type { ConnectOptions, Hub, SessionEvent } from "@signal-hub/cloudflare-transport/client"
import * as Schedule from "effect/Schedule"
import { describe, expect, test } from "vitest"
import { WebSocket } from "ws"
import { useHub } from "../support/hub.ts"
import { newAddress, useClients } from "../support/OwnClients.ts"

/** The rates are those that a hub has by default. Pauses are another matter. */
const hub = useHub({ limits: { pauseThreshold: 1e9 } })
const connect = useClients()

/** Sockets that can be cut as a cable is, and their close codes. */
const cable = () => {
  const sockets = new Set<WebSocket>()
  const codes: Array<number> = []
  const webSocket: NonNullable<ConnectOptions["webSocket"]> = (url, protocols) => {
    const socket = new WebSocket(url, [...protocols])
    sockets.add(socket)
    socket.on("close", (code) => {
      sockets.delete(socket)
      codes.push(code)
    })
    return socket as ReturnType<NonNullable<ConnectOptions["webSocket"]>>
  }
  return { codes, webSocket, cut: (): void => sockets.forEach((socket) => socket.terminate()) }
}

const heardBy = (client: Hub): Array<string> => {
  const heard: Array<string> = []
  client.onMessage(({ type }) => void heard.push(type))
  return heard
}

const nested = (levels: number): unknown => (levels === 1 ? {} : { in: nested(levels - 1) })

describe.each(["hub", "gateway"] as const)("at a %s", (topology) => {
  const dial = (identity: Address.Address, options: ConnectOptions = {}): Promise<Hub> => {
    const url = topology === "hub" ? hub.url() : hub.url().replace(/\/ws$/, "/gateway")
    return connect(url, { identity, schedule: Schedule.spaced(50), ...options })
  }

  test.each(["json", "msgpack"] as const)(
    "faults 48, 49: by %s, bad arguments reject their calls; their connection and a pair beside it lose nothing",
    async (codec) => {
      const [ada, bob] = [newAddress("ada"), newAddress("bob")]
      const [writer, reader] = [await dial(ada), await dial(bob)]
      const heard = heardBy(reader)
      const wire = cable()
      const client = await dial(newAddress("careless"), { codec, webSocket: wire.webSocket })
      const { sessionId } = client
      const bad: ReadonlyArray<() => unknown> = [
        // As plain JavaScript may call it.
        () => client.tell("@(test/a b)" as Address.Address, "n", 1),
        () => client.tell("ada@example.com" as Address.Address, "n", 1),
        () => client.ask(`@(test/${"a".repeat(292)})`, "n", 1),
        () => client.tell(bob, "n", 1, { ttl: -5 }),
        () => client.tell(bob, "n", 1, { ttl: NaN, until: "acknowledged" }),
        () => client.ask(bob, "n", 1, { timeout: NaN }),
        () => client.ask(bob, "", 1),
        () => client.tell(bob, "t".repeat(257), 1),
        () => client.tell(bob, "n", 1, { metadata: { a: "x".repeat(5_000) } }),
        () => client.tell(bob, "n", nested(200), { reliable: true }),
        () => client.publish("no topic", "n", 1),
        () => client.register(bob, { metadata: { id: 1n } }),
        () => client.discover("@()"),
      ]
      for (let round = 0; round < 3; round++) {
        for (const [index, call] of bad.entries()) {
          const outcome = await (async () => call())().catch((error: unknown) => error)
          expect(outcome, `call ${index}`).toMatchObject({ _tag: "TransportError" })
        }
        await expect(dial(newAddress("never"), { codec, metadata: { userId: 10n } })).rejects.toMatchObject({
          _tag: "ConnectFailed",
          code: null,
        })
        await writer.tell(bob, `n${round}`, round, { until: "acknowledged" })
      }
      await client.tell(bob, "fine", 1, { until: "acknowledged" })
      await expect.poll(() => heard).toEqual(["n0", "n1", "n2", "fine"])
      expect(client.sessionId).toBe(sessionId)
      expect(wire.codes).toEqual([])
    },
  )

  test.each([
    ["16 MiB in messages of 500 KB", 32, "x".repeat(500_000)],
    ["1,000 messages of 250 numbers", 1_000, Array.from({ length: 250 }, () => 1)],
  ] as const)(
    "fault 69: %s, cut on their way, all arrive, without a close by the hub",
    { timeout: 120_000 },
    async (_, count, payload) => {
      // Several readers, as the hub keeps 16 MiB for one at most.
      const readers = await Promise.all(
        Array.from({ length: 4 }, async () => {
          const address = newAddress("to")
          return { address, heard: heardBy(await dial(address)) }
        }),
      )
      const wire = cable()
      const writer = await dial(newAddress("from"), { webSocket: wire.webSocket })
      const events: Array<SessionEvent["type"]> = []
      writer.onSession(({ type }) => void events.push(type))
      let told = 0
      const telling = Array.from({ length: count }, (_, n) =>
        writer
          .tell(readers[n % 4]!.address, `n${n}`, payload, { until: "acknowledged" })
          .then(() => void told++),
      )
      await expect.poll(() => told, { timeout: 30_000 }).toBeGreaterThan(count / 8)
      wire.cut()
      await Promise.all(telling)
      for (const [r, { heard }] of readers.entries()) {
        await expect.poll(() => heard.length, { timeout: 60_000 }).toBe(count / 4)
        expect(heard).toEqual(Array.from({ length: count / 4 }, (_, n) => `n${n * 4 + r}`))
      }
      expect(events).toContain("resumed")
      expect(wire.codes.filter((code) => code >= 4_000)).toEqual([])
    },
  )
})
