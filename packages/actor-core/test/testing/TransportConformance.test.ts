import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import { describe, expect, test } from "vitest"
import type { Address } from "../../src/Address.ts"
import { MsgPackCodec } from "../../src/codec/MsgPackCodec.ts"
import * as InMemoryTransport from "../../src/InMemoryTransport.ts"
import * as FaultyTransport from "../../src/testing/FaultyTransport.ts"
import * as TransportConformance from "../../src/testing/TransportConformance.ts"
import type { Transport } from "../../src/Transport.ts"

const MAX = 10_000

/** A network in memory, whose ends may be changed. */
const inMemory = (
  options: InMemoryTransport.Options,
  change: (transport: Transport) => Effect.Effect<Transport, never, never> = Effect.succeed,
): TransportConformance.Subject => {
  const network = Effect.runSync(InMemoryTransport.makeNetwork({ ...options, maxMessageSize: MAX }))
  let ends = 0
  const end = Effect.gen(function* () {
    const address: Address = `@(test/end-${++ends})`
    return { transport: yield* change(yield* network.connect), address }
  })
  return { near: end, far: end, nobody: "@(test/nobody)", maxMessageSize: MAX }
}

describe.each([
  ["the network in memory, JSON", inMemory({})],
  ["the network in memory, msgpack", inMemory({ codec: MsgPackCodec })],
  ["faults that are none", inMemory({}, (inner) => Effect.scoped(FaultyTransport.make(inner)))],
])("%s", (_, subject) => {
  for (const { name, run } of TransportConformance.cases(subject)) test(name, () => Effect.runPromise(run))
})

describe("the suite finds what is wrong", () => {
  /** The names of the cases that such a transport fails. */
  const failing = (change: (transport: Transport) => Transport): Promise<ReadonlyArray<string>> => {
    // Each on a network of its own, all at once.
    const casesOf = () => {
      const subject = inMemory({})
      const near = Effect.map(subject.near, (end) => ({ ...end, transport: change(end.transport) }))
      return TransportConformance.cases({ ...subject, near })
    }
    const each = casesOf().map(({ name }, index) =>
      Effect.match(Effect.sandbox(Effect.timeout(casesOf()[index]!.run, "1 second")), {
        onSuccess: () => [],
        onFailure: () => [name],
      }),
    )
    return Effect.runPromise(
      Effect.map(Effect.all(each, { concurrency: "unbounded" }), (names) => names.flat()),
    )
  }
  const swallow = (is: (n: number) => boolean) => (transport: Transport) => {
    let n = 0
    return {
      ...transport,
      send: (envelope) => (is(++n) ? undefined : transport.send(envelope)),
    } satisfies Transport
  }

  test.each<readonly [string, (transport: Transport) => Transport, string]>([
    ["nothing", (transport) => transport, ""],
    ["envelopes get lost", swallow((n) => n === 3), "envelopes arrive in the order sent"],
    [
      "envelopes arrive twice",
      (transport) => ({
        ...transport,
        send: (envelope) => transport.send(envelope) ?? transport.send(envelope),
      }),
      "envelopes arrive in the order sent",
    ],
    [
      "the last but one comes last",
      (transport) => {
        const held: Array<() => void> = []
        return {
          ...transport,
          send: (envelope) => {
            if (held.length === 0) return void held.push(() => transport.send(envelope))
            const refusal = transport.send(envelope)
            held.pop()?.()
            return refusal
          },
        }
      },
      "envelopes arrive in the order sent",
    ],
    [
      "it hands over in the sender's stack, and what is changed after",
      (transport) => ({
        ...transport,
        receive: (receiver) => transport.receive(receiver),
        send: (envelope) => void Promise.resolve().then(() => transport.send(envelope)),
      }),
      "what is sent is taken as it is then",
    ],
    [
      "it takes what is too large",
      (transport) => ({ ...transport, send: (envelope) => void transport.send(envelope) }),
      "what is too large",
    ],
    [
      "its registrations do not end",
      (transport) => ({
        ...transport,
        register: (address, options) =>
          Scope.provide(transport.register(address, options), Scope.makeUnsafe()),
      }),
      "a registered address is reached",
    ],
    [
      "its watches do not end with it",
      (transport) => ({
        ...transport,
        watch: (address) =>
          Effect.map(transport.watch!(address), ({ registered }) => ({
            registered,
            terminated: Effect.never,
          })),
      }),
      "a watched end is told",
    ],
    [
      "everybody is registered",
      (transport) => ({
        ...transport,
        watch: (address) =>
          Effect.map(transport.watch!(address), (watch) => ({ ...watch, registered: true })),
      }),
      "a watch on nobody",
    ],
    ["it reaches nobody", (transport) => ({ ...transport, reaches: () => false }), "it is for the address"],
    [
      "it is closed and says nothing",
      (transport) => ({
        ...transport,
        send: (envelope) => {
          const refusal = transport.send(envelope)
          return refusal?.reason === "closed" ? undefined : refusal
        },
      }),
      "closed, it takes nothing",
    ],
  ])("%s", async (_, change, expected) => {
    const names = await failing(change)
    if (expected === "") expect(names).toEqual([])
    else expect(names.some((name) => name.startsWith(expected))).toBe(true)
  })
})
