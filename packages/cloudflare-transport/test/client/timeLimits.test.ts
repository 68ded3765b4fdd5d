/** Time limits of asks: the same by every way that leads from a client to an actor. */
import { Protocol } from "@signal-hub/actor-core"
import * as Schema from "effect/Schema"
import { describe, expect, it } from "vitest"
import { connect, type ConnectOptions, type Hub } from "../../src/client/index.ts"
import { FakeNetwork } from "./support/FakeNetwork.ts"

const ADA = "@(test/ada)"
const Greeter = Protocol.make("greeter", {
  greet: Protocol.ask({ success: Schema.String }),
  rolls: Protocol.stream({ success: Schema.Number }),
})

const join = async (options: ConnectOptions = {}) => {
  const network = new FakeNetwork()
  network.onSocket = (socket) => queueMicrotask(() => socket.open())
  const hub = await connect("ws://hub.test/ws", { webSocket: network.open, ...options })
  return { hub, network }
}

type Ask = (hub: Hub, options?: { readonly timeout?: number }) => Promise<unknown>
const WAYS: ReadonlyArray<readonly [way: string, ask: Ask]> = [
  ["hub.ask", (hub, options) => hub.ask(ADA, "greet", undefined, options)],
  ["a typed reference", (hub, options) => hub.actor(Greeter, ADA).ask("greet", undefined, options)],
]

/** Short, as what ends too late is what some of these look for. */
describe.each(["json", "msgpack"] as const)("over %s", { timeout: 5_000 }, (codec) => {
  describe.each(WAYS)("an ask by %s", (_, ask) => {
    it.each([
      ["the client's", { askTimeout: 7_000 }, undefined, 7_000],
      ["30 s where nobody says otherwise", {}, undefined, 30_000],
      ["its own", { askTimeout: 7_000 }, { timeout: 2_000 }, 2_000],
      ["24 hours for Infinity", {}, { timeout: Infinity }, 86_400_000],
      ["24 hours for a client's Infinity", { askTimeout: Infinity }, undefined, 86_400_000],
      ["24 hours for more", {}, { timeout: 1e12 }, 86_400_000],
    ] as const)("fault 51: has the time limit that it should: %s", async (_, options, how, ttl) => {
      const { hub, network } = await join({ ...options, codec })
      const asked = ask(hub, how).catch((error: unknown) => error)
      await expect.poll(() => network.last.sent.at(-1)).toMatchObject({ type: "greet", ttl })
      await hub.close()
      await asked
    })

    it("fault 51: ends when the client's askTimeout is over", async () => {
      const { hub } = await join({ askTimeout: 20, codec })
      await expect(ask(hub)).rejects.toMatchObject({ _tag: "AskTimeout" })
      await hub.close()
    })

    it.each([NaN, -1])("fault 51: is refused with a time limit of %s, typed", async (timeout) => {
      const { hub, network } = await join({ codec })
      const before = network.last.frames.length
      await expect(ask(hub, { timeout })).rejects.toMatchObject({
        code: "invalid_message",
        message: expect.stringContaining('"timeout" must be a number of milliseconds from 0, or Infinity'),
      })
      expect(network.last.frames.length).toBe(before)
      await hub.close()
    })
  })

  it("fault 51: a stream waits for its next element as long as the client says", async () => {
    const { hub } = await join({ askTimeout: 20, codec })
    const rolls = hub.actor(Greeter, ADA).stream("rolls", undefined)
    await expect(rolls.next()).rejects.toMatchObject({ _tag: "AskTimeout" })
    const wrong = hub.actor(Greeter, ADA).stream("rolls", undefined, { timeout: -1 })
    await expect(wrong.next()).rejects.toMatchObject({ _tag: "AskRefused", code: "invalid_message" })
    await hub.close()
  })
})
