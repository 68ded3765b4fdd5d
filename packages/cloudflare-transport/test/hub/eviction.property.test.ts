import * as fc from "fast-check"
import { afterEach, expect, it, vi } from "vitest"
import { step, type Step, World } from "../support/World.ts"

const TABLES = ["identity", "session", "registration", "subscription", "watch", "ask"]

afterEach(() => void vi.restoreAllMocks())

/** Plays the steps. `evicting`: memory is lost after each of them, unless a timer holds it up. */
const play = (world: World, steps: ReadonlyArray<Step>, settle: boolean, evicting: boolean): World => {
  // Named in the order they are made: provisional addresses are sorted by these names.
  let names = 0
  vi.spyOn(crypto, "randomUUID").mockImplementation(
    () => `00000000-0000-4000-8000-${String(names++).padStart(12, "0")}`,
  )
  for (const step of steps) {
    world.run(step)
    // Long enough for every timer in memory to have run: an eviction is possible after each step.
    if (settle) world.run({ do: "advance", ms: 1_100 })
    if (evicting) world.hub.evict()
  }
  return world
}

const rowsOf = ({ hub }: World) => Object.fromEntries(TABLES.map((table) => [table, hub.sql.count(table)]))

it.each([
  ["in an open hub", false],
  ["where tokens come, expire and are refreshed", true],
])(
  "sends everybody the same whether or not memory is lost between any two steps, %s",
  (_, tokens) => {
    // Without sweeps: when in its minute one comes is the only thing that an eviction may change.
    const world = () => new World({ sweepInterval: Number.POSITIVE_INFINITY }, tokens)
    fc.assert(
      fc.property(
        fc.array(step, { minLength: 1, maxLength: 60, size: "max" }),
        fc.boolean(),
        (steps, settle) => {
          const steady = play(world(), steps, settle, false)
          const evicted = play(world(), steps, settle, true)
          expect(evicted.transcript()).toEqual(steady.transcript())
          expect(rowsOf(evicted)).toEqual(rowsOf(steady))
          if (settle) expect(evicted.hub.evictions).toBe(steps.length)
        },
      ),
      { numRuns: 400 },
    )
  },
  60_000,
)

it.each([
  ["an open hub", false],
  ["one that wants tokens", true],
])(
  "leaves no row and no alarm behind in %s once everybody has been gone for eight days",
  (_, tokens) => {
    const everybodyGone: ReadonlyArray<Step> = [
      { do: "crash" },
      { do: "advance", ms: 4_000_000 },
      { do: "advance", ms: 8 * 24 * 3_600_000 },
    ]
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40, size: "max" }), (steps) => {
        const { hub } = play(new World({}, tokens), [...steps, ...everybodyGone], false, true)
        for (const table of TABLES) {
          expect(hub.sql.count(table), table).toBe(0)
        }
        expect(hub.alarmAt).toBe(null)
      }),
      { numRuns: 150 },
    )
  },
  60_000,
)
