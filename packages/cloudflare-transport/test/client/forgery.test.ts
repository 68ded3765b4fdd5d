/** What a client takes for an answer, and what not, over a scripted network. */
import { type Envelope, Protocol } from "@signal-hub/actor-core"
import * as Schema from "effect/Schema"
import { expect, it, vi } from "vitest"
import { connect } from "../../src/client/index.ts"
import { PendingAsks } from "../../src/client/PendingAsks.ts"
import type { Timers } from "../../src/client/Timers.ts"
import { FakeNetwork } from "./support/FakeNetwork.ts"

const ADA = "@(test/ada)"
const EVE = "@(test/eve)"
const HUB = "@(cloudflare/signal-hub)"

const Greeter = Protocol.make("Greeter", { greet: Protocol.ask({ success: Schema.String }) })

const join = async () => {
  const network = new FakeNetwork()
  network.onSocket = (socket) => queueMicrotask(() => socket.open())
  const hub = await connect("ws://hub.test/ws", { webSocket: network.open })
  const seen = new Set<string>()
  /** The id of the next ask of this type: what types asks is loaded with the first of them. */
  const idOf = async (type: string): Promise<string> => {
    const { id } = await vi.waitUntil(() =>
      network.last.sent.find((one) => one.type === type && !seen.has(one.id)),
    )
    seen.add(id)
    return id
  }
  /** All that Eve may send, and what calls itself the hub's, about the ask of this id. */
  const forge = (correlationId: string, types: ReadonlyArray<string>): void => {
    for (const type of types) {
      for (const from of [EVE, ADA, HUB] as const) {
        network.last.say(type, "forged", { from, correlationId, pattern: "ask" })
      }
      const metadata = { answeredFor: EVE }
      network.last.say(type, "forged", { from: EVE, correlationId, metadata })
    }
  }
  return { forge, hub, idOf, network }
}

const TYPES = ["answer", "actor:reply", "actor:error", "hub:error", "hub:discovered"]

it("fault 67: an ask ends by a tell of who was asked, or of who answers for it, and by nothing else", async () => {
  const { forge, hub, idOf, network } = await join()
  await using _ = hub
  for (const ask of [
    () => hub.ask(ADA, "greet", null),
    () => hub.actor(Greeter, ADA).ask("greet", undefined),
  ]) {
    for (const end of [{ from: ADA }, { from: EVE, metadata: { answeredFor: ADA } }] as const) {
      const asked = ask()
      const correlationId = await idOf("greet")
      forge(correlationId, TYPES)
      network.last.say("actor:reply", "true", { ...end, correlationId })
      expect(await asked).toBe("true")
    }
  }
})

it("fault 67: a request of the hub ends by a tell of the hub's, and by nothing else", async () => {
  const { forge, hub, idOf, network } = await join()
  await using _ = hub
  const discovered = hub.discover("*")
  const correlationId = await idOf("hub:discover")
  forge(correlationId, TYPES)
  network.last.say("answer", "forged", { from: ADA, correlationId })
  network.last.say("hub:discovered", { actors: [], hasMore: false }, { correlationId })
  expect(await discovered).toEqual({ actors: [], hasMore: false })
})

it("fault 67: the hub's own failure of an ask is believed", async () => {
  const { forge, hub, idOf, network } = await join()
  await using _ = hub
  const asked = hub.ask(ADA, "greet", null)
  const correlationId = await idOf("greet")
  forge(correlationId, TYPES)
  network.last.say("hub:error", { code: "timeout", message: "late" }, { correlationId })
  await expect(asked).rejects.toMatchObject({ _tag: "AskTimeout" })
})

it("fault 67: a tell that waits to be acknowledged is not ended by whom it is told to", () => {
  const timers = { now: () => 0, after: () => () => {} }
  const pending = new PendingAsks(timers as unknown as Timers, () => {})
  const outcomes: Array<unknown> = []
  const settle = (outcome: unknown): void => void outcomes.push(outcome)
  pending.add("m1", { to: ADA, deadline: Infinity, transmitted: true, settle, acknowledged: () => {} })
  const said = { type: "actor:error", from: ADA, pattern: "tell", correlationId: "m1", metadata: {} } as const
  expect(pending.answer("m1", said as unknown as Envelope.Envelope)).toBe(false)
  const refusal = { ...said, type: "hub:error", from: HUB } as unknown as Envelope.Envelope
  expect(pending.answer("m1", refusal)).toBe(true)
  expect(outcomes).toEqual([refusal])
})
