import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { HUB_ADDRESS, type Address } from "../src/Address.ts"
import { check, Malformed, type Envelope } from "../src/Envelope.ts"
import * as InMemoryTransport from "../src/InMemoryTransport.ts"
import type { Transport } from "../src/Transport.ts"

const ADA: Address = "@(browser/ada)"
const BOB: Address = "@(browser/bob)"
const settled = Effect.promise(() => new Promise<void>((resolve) => void setImmediate(resolve)))

let ids = 0
const envelope = (fields: Partial<Envelope> & Pick<Envelope, "to">): Envelope => {
  const value = check({ id: `id-${++ids}`, type: "t", pattern: "tell", timestamp: 0, ...fields })
  if (value instanceof Malformed) throw new Error(value.reason)
  return value
}

interface Peer extends Transport {
  readonly got: Array<Envelope>
  readonly take: () => ReadonlyArray<Envelope>
}

const join = Effect.fnUntraced(function* (network: InMemoryTransport.Network, ...addresses: Array<Address>) {
  const transport = yield* network.connect
  const got: Array<Envelope> = []
  yield* transport.receive((one) => void got.push(one))
  for (const address of addresses) yield* transport.register(address)
  return { ...transport, got, take: () => got.splice(0) } satisfies Peer
})

describe("the network in memory", () => {
  it.effect("delivers in order, later, and by value", () =>
    Effect.gen(function* () {
      const network = yield* InMemoryTransport.makeNetwork()
      const ada = yield* join(network, ADA)
      const bob = yield* join(network, BOB)
      const payload = { n: [1] }
      ada.send(envelope({ id: "1", to: BOB, payload }))
      payload.n.push(2)
      ada.send(envelope({ id: "2", to: BOB, payload }))
      expect(bob.got).toEqual([])
      yield* settled
      expect(bob.got.map((one) => [one.id, one.payload])).toEqual([
        ["1", { n: [1] }],
        ["2", { n: [1, 2] }],
      ])
    }),
  )

  it.effect("delivers no lie about who sent it (fault 23)", () =>
    Effect.gen(function* () {
      const network = yield* InMemoryTransport.makeNetwork()
      const ada = yield* join(network, ADA, "@(browser/ada2)")
      const nobody = yield* join(network)
      const bob = yield* join(network, BOB)
      for (const from of ["", ADA, "@(browser/ada2)", BOB, HUB_ADDRESS] as const)
        ada.send(envelope({ to: BOB, from }))
      nobody.send(envelope({ to: BOB, from: ADA }))
      yield* settled
      expect(bob.got.map((one) => one.from).slice(0, 5)).toEqual([ADA, ADA, "@(browser/ada2)", ADA, ADA])
      const [, , , , , last] = bob.got
      expect(last?.from).toMatch(/^@\(session\//)
      // Whom the provisional address can be answered to.
      bob.send(envelope({ to: last!.from as Address }))
      yield* settled
      expect(nobody.got.length).toBe(1)
    }),
  )

  it.effect("tells an asker that nobody is there, and keeps silent on a tell", () =>
    Effect.gen(function* () {
      const network = yield* InMemoryTransport.makeNetwork()
      const ada = yield* join(network, ADA)
      ada.send(envelope({ id: "ask", to: BOB, pattern: "ask" }))
      ada.send(envelope({ id: "tell", to: BOB }))
      yield* settled
      expect(ada.got).toMatchObject([
        {
          type: "hub:unknown_actor",
          from: HUB_ADDRESS,
          correlationId: "ask",
          payload: { actorAddress: BOB },
        },
      ])
      expect(network.deadLetters.recent()).toMatchObject([
        { reason: "unknown_actor", envelope: { id: "tell" } },
      ])
    }),
  )

  it.effect("lets an ask be answered once, by who was asked", () =>
    Effect.gen(function* () {
      const network = yield* InMemoryTransport.makeNetwork()
      const ada = yield* join(network, ADA)
      const bob = yield* join(network, BOB)
      const eve = yield* join(network, "@(browser/eve)")
      ada.send(envelope({ id: "q", to: BOB, pattern: "ask" }))
      yield* settled
      eve.send(envelope({ to: ADA, correlationId: "q", payload: "eve" }))
      bob.send(envelope({ to: ADA, correlationId: "q", payload: "bob" }))
      bob.send(envelope({ to: ADA, correlationId: "q", payload: "again" }))
      yield* settled
      expect(ada.got.map((one) => one.payload)).toEqual(["bob"])
      expect(network.deadLetters.counts).toEqual({ late_answer: 2 })
    }),
  )

  it.effect("refuses the id of an ask that is open, and what it has no word for", () =>
    Effect.gen(function* () {
      const network = yield* InMemoryTransport.makeNetwork()
      const ada = yield* join(network, ADA)
      const bob = yield* join(network, BOB)
      ada.send(envelope({ id: "q", to: BOB, pattern: "ask" }))
      ada.send(envelope({ id: "q", to: BOB, pattern: "ask" }))
      ada.send(envelope({ to: BOB, type: "hub:send" }))
      ada.send(envelope({ to: BOB, pattern: "ask", ttl: 0 }))
      yield* settled
      expect(bob.got.length).toBe(1)
      expect(ada.got.map((one) => (one.payload as { readonly code: string }).code)).toEqual([
        "invalid_message",
        "unknown_type",
        "message_expired",
      ])
    }),
  )

  it.effect("ends open asks when who was asked goes, after what it had sent before", () =>
    Effect.gen(function* () {
      const network = yield* InMemoryTransport.makeNetwork()
      const ada = yield* join(network, ADA)
      const scope = yield* Scope.make()
      const bob = yield* join(network, BOB).pipe(Scope.provide(scope))
      ada.send(envelope({ id: "q1", to: BOB, pattern: "ask" }))
      ada.send(envelope({ id: "q2", to: BOB, pattern: "ask" }))
      yield* settled
      bob.send(envelope({ to: ADA, correlationId: "q1", payload: "just in time" }))
      yield* Scope.close(scope, Exit.void)
      yield* settled
      expect(ada.got).toMatchObject([
        { correlationId: "q1", payload: "just in time" },
        { correlationId: "q2", type: "hub:error", payload: { code: "actor_terminated" } },
      ])
    }),
  )

  it.effect("once closed, takes nothing and hands over nothing (fault 46)", () =>
    Effect.gen(function* () {
      const network = yield* InMemoryTransport.makeNetwork()
      const ada = yield* join(network, ADA)
      const scope = yield* Scope.make()
      const bob = yield* join(network, BOB).pipe(Scope.provide(scope))
      ada.send(envelope({ to: BOB, payload: "before" }))
      yield* settled
      yield* Scope.close(scope, Exit.void)
      ada.send(envelope({ to: BOB, payload: "after" }))
      yield* settled
      expect(bob.got.map((one) => one.payload)).toEqual(["before"])
      expect(bob.send(envelope({ to: ADA }))).toMatchObject({ reason: "closed" })
      expect(yield* Effect.flip(Effect.scoped(bob.register(BOB)))).toMatchObject({ reason: "closed" })
      yield* settled
      expect(ada.got).toEqual([])
    }),
  )

  it.effect("moves an address to who registered it last, and only that one can give it up (fault 8)", () =>
    Effect.gen(function* () {
      const network = yield* InMemoryTransport.makeNetwork()
      const ada = yield* join(network, ADA)
      const old = yield* Scope.make()
      const first = yield* join(network, BOB).pipe(Scope.provide(old))
      const second = yield* join(network, BOB)
      yield* Scope.close(old, Exit.void)
      ada.send(envelope({ to: BOB }))
      yield* settled
      expect([first.got.length, second.got.length]).toEqual([0, 1])
    }),
  )

  it.effect("reserves what the hub reserves, and refuses what the codec can't carry", () =>
    Effect.gen(function* () {
      const network = yield* InMemoryTransport.makeNetwork()
      const ada = yield* join(network, ADA)
      for (const address of [HUB_ADDRESS, "@(session/1)"] as const) {
        expect(yield* Effect.flip(Effect.scoped(ada.register(address)))).toMatchObject({ code: "forbidden" })
      }
      const unfit = { ...envelope({ to: BOB }), payload: 1n }
      expect(ada.send(unfit)).toMatchObject({ reason: "refused", code: "invalid_message" })
      const large = envelope({ to: BOB })
      expect(ada.send({ ...large, metadata: { a: "x".repeat(5_000) } })).toMatchObject({
        code: "invalid_message",
        message: expect.stringContaining("metadata") as string,
      })
    }),
  )
})
