/**
 * Whatever is dropped, whenever, in either direction: of what is said reliably nothing is lost, doubled or
 * reordered, and what waits to be acknowledged is no more than what is not.
 */
import type { Envelope } from "@signal-hub/actor-core"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as fc from "fast-check"
import { expect, it } from "vitest"
import { MemoryStore } from "./support/MemoryStore.ts"
import { pass, run, settle, startReliable } from "./support/harness.ts"

const ADA = "@(test/ada)"
const BOB = "@(test/bob)"

type Step =
  | { readonly do: "tell" | "ask" | "hear"; readonly to: typeof ADA | typeof BOB }
  | { readonly do: "cut" | "drop" | "open" | "acknowledge" | "hold" | "gap" | "repeat" | "pause" | "resume" }
  | { readonly do: "wait"; readonly ms: number }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constantFrom("tell", "ask", "hear"), to: fc.constantFrom(ADA, BOB) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constantFrom("cut", "drop", "open", "acknowledge", "hold", "gap", "repeat", "pause", "resume"),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("wait"), ms: fc.nat(600) }) },
)

const play = (steps: ReadonlyArray<Step>, stored: boolean) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { client, hub, network, events } = yield* startReliable({
        queueLimit: 10_000,
        ...(stored && { persistence: new MemoryStore() }),
      })
      const heard: Array<unknown> = []
      yield* run(
        Stream.runForEach(client.messages, ({ payload }) => Effect.sync(() => void heard.push(payload))),
      )
      const told: Array<number> = []
      let said = 0
      for (const each of steps) {
        switch (each.do) {
          case "tell":
            told.push(told.length)
            yield* run(client.tell(each.to, "n", told.length - 1, { reliable: true }))
            break
          case "ask":
            told.push(told.length)
            yield* run(client.ask(each.to, "n", told.length - 1, { timeout: 3_600_000 }))
            break
          case "hear":
            hub.deliver("n", said++, { from: each.to })
            break
          case "cut":
            hub.cut()
            break
          case "drop":
            network.last.drop(1006)
            break
          case "open":
            if (network.last.readyState === 0) network.last.open()
            break
          case "acknowledge":
            hub.acknowledges = true
            hub.acknowledge()
            break
          case "hold":
            hub.acknowledges = false
            break
          case "gap":
            // What is said to a socket that is not open is lost on its way.
            if (network.last.readyState === 1) {
              network.last.readyState = 0
              hub.deliver("n", said++)
              network.last.readyState = 1
            }
            break
          case "repeat":
            hub.repeat()
            break
          case "pause":
            network.last.say("hub:pause", { actorAddress: ADA, reason: "slow_consumer" })
            break
          case "resume":
            network.last.say("hub:resume", { actorAddress: ADA })
            break
          case "wait":
            yield* pass(each.ms)
        }
        yield* settle
      }
      hub.acknowledges = true
      for (let attempt = 0; attempt < 3; attempt++) {
        network.last.drop(1006)
        yield* pass(250)
        network.last.open()
        yield* pass(1_000)
      }
      const to = (address: string, envelopes: ReadonlyArray<Envelope.Envelope>) =>
        envelopes.flatMap((envelope) => (envelope.to === address ? [envelope.payload as number] : []))
      for (const address of [ADA, BOB]) {
        const taken = to(address, hub.taken)
        expect(taken).toEqual(taken.toSorted((a, b) => a - b))
      }
      expect(hub.taken.map(({ payload }) => payload as number).toSorted((a, b) => a - b)).toEqual(told)
      expect(hub.taken.map(({ seq }) => seq)).toEqual(told.map((n) => n + 1))
      expect(heard).toEqual([...Array(said).keys()])
      expect(hub.outbox).toEqual([])
      for (const seqs of hub.seqs) expect(seqs).toEqual(seqs.map((_, n) => (seqs[0] ?? 0) + n))
      expect(events.filter(({ type }) => type !== "resumed").map(({ type }) => type)).toEqual(["connected"])
    }),
  )

it.each([false, true])("nothing is lost, doubled or reordered; stored: %s", { timeout: 120_000 }, (stored) =>
  fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), (steps) =>
      Effect.runPromise(Effect.provide(play(steps, stored), TestClock.layer())),
    ),
    { numRuns: 100 },
  ),
)
