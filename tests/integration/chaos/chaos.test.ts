/** Chaos on the real thing, short: what `npm run chaos` does for as long as one likes. */
import { expect, test } from "vitest"
import { runChaos } from "../../chaos/runChaos.ts"

const MESSAGES = 5_000

test("nothing is lost, doubled or reordered while sockets break, objects are evicted, processes take over and the server is killed", async () => {
  const { figures, violations } = await runChaos({ messages: MESSAGES, seed: 20_261_121 })
  expect(violations.join("\n\n")).toBe("")
  expect(figures.reliable + figures.volatile).toBe(MESSAGES)
  // What did not happen proves nothing.
  for (const name of ["kills", "evictions", "cuts", "resumes", "takeovers", "crashes"] as const) {
    expect(figures[name], name).toBeGreaterThan(0)
  }
})
