import * as fc from "fast-check"
import { expect, it } from "vitest"
import { GatewayWorld, step, type Step } from "../support/World.ts"
import { backend, TestSystem } from "../support/TestSystem.ts"
import type { Limits } from "../../src/protocol/Limits.ts"
import { TAKEN } from "../../src/delivery/Rpc.ts"

/** Plays the steps. `evicting`: all objects lose their memory after each of them, unless a timer holds one up. */
const play = (
  steps: ReadonlyArray<Step>,
  settle: boolean,
  evicting: boolean,
  limits: Partial<Limits> = {},
) => {
  const world = new GatewayWorld(limits)
  let evictions = 0
  for (const step of steps) {
    world.run(step)
    if (settle) world.run({ do: "advance", ms: 1_100 })
    if (evicting) evictions += world.system.evictAll()
  }
  return { world, evictions }
}

it("sends everybody the same whether or not objects lose their memory between any two steps", () => {
  fc.assert(
    fc.property(
      fc.array(step, { minLength: 1, maxLength: 50, size: "max" }),
      fc.boolean(),
      (steps, settle) => {
        // Without sweeps: when one comes is the only thing that an eviction may change.
        const limits = { sweepInterval: Number.POSITIVE_INFINITY }
        const steady = play(steps, settle, false, limits)
        const evicted = play(steps, settle, true, limits)
        expect(evicted.world.transcript()).toEqual(steady.world.transcript())
        // Beside gateways, which come by and by, there are always topics and shards in use.
        if (settle) expect(evicted.evictions).toBeGreaterThanOrEqual(evicted.world.system.gateways.size)
      },
    ),
    { numRuns: 100 },
  )
}, 60_000)

it("leaves no row and no alarm behind, in any object, once everybody has been gone for eight days", () => {
  const everybodyGone: ReadonlyArray<Step> = [
    { do: "crash" },
    { do: "advance", ms: 4_000_000 },
    { do: "advance", ms: 8 * 24 * 3_600_000 },
  ]
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30, size: "max" }), (steps) => {
      const { system } = play([...steps, ...everybodyGone], false, true).world
      system.advance(60_000)
      for (const [identity, { hub }] of system.gateways) {
        expect(hub.isForgotten, identity).toBe(true)
        expect(hub.alarmAt, `alarm of ${identity}`).toBe(null)
      }
      for (const [name, { host, alarmAt }] of system.directories) {
        for (const table of ["notice", "watch", "entry"]) {
          expect(host.sql.count(table), `${table} of ${name}`).toBe(0)
        }
        expect(alarmAt).toBe(null)
      }
      for (const [name, { host }] of system.topics) expect(host.sql.tables(), name).toEqual([])
    }),
    { numRuns: 60 },
  )
}, 60_000)

it("fault 34: 10,000 sends over 50 targets keep their order while objects are evicted at random", () => {
  fc.assert(
    fc.property(fc.nat(), (seed) => {
      const system = new TestSystem({}, seed)
      const targets = Array.from({ length: 50 }, (_, n) =>
        n % 2 === 0 ? `@(user/target-${n})` : `@(room/${n})`,
      )
      const received = new Map<string, Array<unknown>>(targets.map((target) => [target, []]))
      for (const target of targets) {
        if (!target.startsWith("@(room/")) continue
        system.backends.set(
          target,
          backend(({ envelope }) => {
            received.get(envelope.to)!.push(envelope.payload)
            return TAKEN
          }),
        )
      }
      const clients = targets
        .filter((target) => !system.backends.has(target))
        .map((one) => system.connect(one))
      const ada = system.connect("@(user/ada)")
      // Frames come faster than calls end: what is under way is only sometimes brought to its end.
      const settle = system.settle
      let count = 0
      system.gateway("@(user/ada)").afterwards = () => {
        if ((count * 7 + seed) % 13 === 0) settle()
        if ((count * 11 + seed) % 97 === 0) {
          settle()
          system.evictAll()
        }
      }
      for (; count < 10_000; count++) ada.tell(targets[(count * 31 + seed) % 50]!, "n", count)
      settle()
      for (const client of clients) {
        received.get(client.identity!)!.push(...client.takeOf("n").map(({ payload }) => payload))
      }
      let all = 0
      for (const got of received.values()) {
        all += got.length
        expect(got).toEqual((got as Array<number>).toSorted((a, b) => a - b))
      }
      expect(all).toBe(10_000)
    }),
    { numRuns: 5 },
  )
}, 60_000)
