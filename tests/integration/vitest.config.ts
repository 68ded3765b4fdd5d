import { defineConfig } from "vitest/config"

/** Files that take minutes where each frame of theirs begins with an eviction: of gateways, only each night. */
const LONG = ["3-envelope", "4-delivery", "4-registry", "7-bounds"].map(
  (name) => `conformance/${name}.test.ts`,
)

interface More {
  readonly exclude?: ReadonlyArray<string>
  readonly evicting?: boolean
  readonly timeout?: number
  readonly topology?: "hub" | "gateway"
}

const project = (name: string, include: string | Array<string>, more: More = {}) => ({
  test: {
    name,
    include: [include].flat(),
    exclude: [...(more.exclude ?? [])],
    provide: { evicting: more.evicting ?? false, topology: more.topology ?? "hub" },
    testTimeout: more.timeout ?? 30_000,
    // Only a test that fails waits so long.
    expect: { poll: { timeout: 10_000 } },
    hookTimeout: 60_000,
  },
})

/** Which topology `HUB_URL` leads to. */
const topology = process.env.HUB_URL?.endsWith("/gateway") === true ? "gateway" : "hub"

/**
 * - `conformance`: the protocol from the outside. With `HUB_URL=ws://…/ws` or `ws://…/gateway` against any
 *   server in open mode, else against one started here.
 * - `limits`: what a hub refuses, at the limit and one past it, and storms of all kinds beside an innocent
 *   pair; always started here, as most need limits of their own.
 * - `evicting`: all of these but the storms, and rights, with the object evicted before each frame.
 * - `gateway`, `gateway-evicting`: conformance once more against gateways, but for what needs two phases. Evicting,
 *   some files run only with `NIGHTLY=1`, as `npm run nightly` does.
 * - `auth`: tokens and rights: each attack that the security page names.
 * - `timing`: what needs short times or a look into the server, always started here.
 * - `fuzz`: seeded hostile frames; `FUZZ_CASES`, `FUZZ_SEED`.
 * - `client`: our client against workerd, crashes included.
 * - `browser`: our client in Chromium.
 * - `examples`: those that run by themselves.
 * - `chaos`: our clients on breaking connections, to a hub that is evicted and killed; a short run of `npm run chaos`.
 */
export default defineConfig({
  test: {
    // Each file starts a runtime; more of them at once would only compete for the processors.
    maxWorkers: 2,
    projects: [
      // Each address and topic of a gateway is an object: where a test has a thousand, it takes its time.
      project("conformance", "conformance/**/*.test.ts", {
        topology,
        ...(topology === "gateway" && { timeout: 300_000 }),
      }),
      project("limits", "limits/**/*.test.ts", { timeout: 60_000 }),
      project(
        "evicting",
        ["conformance/**/*.test.ts", "auth/rights.test.ts", "limits/{bounds,rate,backpressure}.test.ts"],
        { evicting: true, timeout: 60_000 },
      ),
      project("gateway", "conformance/**/*.test.ts", { topology: "gateway", timeout: 300_000 }),
      project("gateway-evicting", "conformance/**/*.test.ts", {
        topology: "gateway",
        evicting: true,
        exclude: process.env.NIGHTLY === "1" ? [] : LONG,
        timeout: 300_000,
      }),
      project("auth", "auth/**/*.test.ts"),
      project("timing", "timing/**/*.test.ts"),
      // As many frames as are asked for, also on a machine that does much else.
      project("fuzz", "fuzz/**/*.test.ts", {
        timeout: Math.max(180_000, 20 * Number(process.env.FUZZ_CASES ?? 0)),
      }),
      project("client", "client/**/*.test.ts"),
      project("browser", "browser/**/*.test.ts", { timeout: 90_000 }),
      project("examples", "examples/**/*.test.ts", { timeout: 120_000 }),
      project("chaos", "chaos/**/*.test.ts", { timeout: 180_000 }),
    ],
  },
})
