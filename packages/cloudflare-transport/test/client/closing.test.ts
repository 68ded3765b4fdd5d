/** A program that closes its client in the middle of a frame. */
import { describe, expect, it } from "@effect/vitest"
import type { Envelope } from "@signal-hub/actor-core"
import * as Effect from "effect/Effect"
import { connect, type Hub } from "../../src/client/index.ts"
import { FakeNetwork, type FakeSocket, fromHub } from "./support/FakeNetwork.ts"
import { ReliableHub } from "./support/ReliableHub.ts"

const ADA = "@(test/ada)"
const ME = "@(test/me)"
const turn = (): Promise<void> => new Promise((next) => void setImmediate(next))

const join = async (isReliable = false) => {
  const network = new FakeNetwork()
  const reliable = isReliable ? new ReliableHub(network) : undefined
  const opened = network.onSocket
  network.onSocket = (socket) => {
    opened(socket)
    queueMicrotask(() => socket.open())
  }
  const hub = await connect("ws://hub.test/ws", { webSocket: network.open, wakeups: [] })
  return { hub, network, reliable }
}

/** One frame of several envelopes. */
const frame = (socket: FakeSocket, ...batch: ReadonlyArray<Envelope.Envelope>): void =>
  socket.emit("message", { data: JSON.stringify(batch) })

const note = (payload: unknown, more: Partial<Envelope.Envelope> = {}): Envelope.Envelope =>
  fromHub("note", payload, { from: ADA, to: ME, ...more })
const published = (payload: unknown): Envelope.Envelope =>
  note(payload, { metadata: { topic: "news", publication: true } })
const paused = (n: number): Envelope.Envelope =>
  fromHub("hub:pause", { actorAddress: `@(test/n${n})`, reason: "slow" }, {})

/** Hears something, and closes the hub at the first. */
const ways: ReadonlyArray<
  readonly [
    string,
    (hub: Hub, hear: (value: unknown) => void) => Promise<unknown>,
    (n: number) => Envelope.Envelope,
  ]
> = [
  ["messages", async (hub, hear) => hub.onMessage(({ payload }) => hear(payload)), (n) => note(n)],
  [
    "publications",
    (hub, hear) => hub.onPublication("news", ({ payload }) => hear(payload)),
    (n) => published(n),
  ],
  ["events", async (hub, hear) => hub.onEvent(({ type }) => hear(type)), paused],
]

describe("fault 60: after close() in a listener the rest of the frame is not delivered", () => {
  it.each(ways)("%s", async (_, listen, envelopeOf) => {
    const [closing, innocent] = [await join(), await join()]
    const heard: Array<unknown> = []
    const others: Array<unknown> = []
    let closed: Promise<void> | undefined
    await listen(closing.hub, (value) => {
      heard.push(value)
      closed ??= closing.hub.close()
    })
    await listen(innocent.hub, (value) => others.push(value))
    const batch = [1, 2, 3].map(envelopeOf)
    frame(closing.network.last, ...batch)
    frame(innocent.network.last, ...batch)
    // Nor what comes until the goodbye is said.
    frame(closing.network.last, envelopeOf(4))
    await closed
    expect(heard).toHaveLength(1)
    expect(others).toHaveLength(3)
    await innocent.hub.close()
  })

  it("also where what waited for a listener is given to it", async () => {
    const { hub, network } = await join()
    frame(network.last, note(1), note(2), note(3))
    const heard: Array<unknown> = []
    let closed: Promise<void> | undefined
    hub.onMessage(({ payload }) => {
      heard.push(payload)
      closed ??= hub.close()
    })
    await closed
    expect(heard).toEqual([1])
  })

  it("and by Effect", async () => {
    const { hub, network } = await join()
    const heard: Array<unknown> = []
    let closed: Promise<void> | undefined
    Effect.runSync(
      Effect.scoped(
        hub.transport
          .receive(({ payload }) => {
            heard.push(payload)
            closed ??= hub.close()
          })
          .pipe(Effect.andThen(Effect.sync(() => frame(network.last, note(1), note(2), note(3))))),
      ),
    )
    await closed
    expect(heard).toEqual([1])
  })

  it("reliable ones that are not delivered are not acknowledged: the hub has them still", async () => {
    const { hub, network, reliable } = await join(true)
    const heard: Array<unknown> = []
    let closed: Promise<void> | undefined
    hub.onMessage(({ payload }) => {
      heard.push(payload)
      if (payload === 2) closed = hub.close()
    })
    reliable!.outbox = [1, 2, 3, 4].map((n) => note(n, { seq: n }))
    frame(network.last, ...reliable!.outbox)
    await turn()
    await closed
    expect(heard).toEqual([1, 2])
    expect(reliable!.acks.at(-1)).toBe(2)
    expect(reliable!.outbox.map(({ payload }) => payload)).toEqual([3, 4])
  })

  it("an open ask is answered all the same, and an iteration gives what it has", async () => {
    const { hub, network } = await join()
    const messages = hub.messages()
    const asked = hub.ask(ADA, "greet")
    await turn()
    const { id } = network.last.sent.at(-1)!
    let closed: Promise<void> | undefined
    hub.onEvent(() => (closed = hub.close()))
    frame(network.last, note(1), paused(1), note(2), note("hello", { type: "greeted", correlationId: id }))
    expect(await asked).toBe("hello")
    await closed
    expect(await messages.next()).toEqual({ done: false, value: expect.objectContaining({ payload: 1 }) })
    expect((await messages.next()).done).toBe(true)
  })
})
