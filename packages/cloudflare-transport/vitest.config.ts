import { cloudflareTest } from "@cloudflare/vitest-plugin"
import { defineConfig } from "vitest/config"

/** Milliseconds that a test waits for what is to come: only one that fails waits so long. */
const PATIENCE = 10_000

/**
 * - `node`: everything that needs no platform: the client, the protocol, and the core of the hub on
 *   Node's SQLite.
 * - `workerd`: what only the platform can show: sockets that hibernate, evictions, alarms, crashes.
 */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "node",
          // Properties take their time on a busy machine.
          testTimeout: 180_000,
          expect: { poll: { timeout: PATIENCE } },
          include: [
            "test/{auth,client,durable,protocol,session,hub,gateway,bridge,bounds,object,worker}/**/*.test.ts",
          ],
        },
      },
      {
        plugins: [cloudflareTest({ wrangler: { configPath: "./test/workerd/wrangler.jsonc" } })],
        test: {
          name: "workerd",
          // A busy machine takes its time to start the platform.
          testTimeout: 60_000,
          expect: { poll: { timeout: PATIENCE } },
          include: ["test/workerd/**/*.test.ts"],
        },
      },
    ],
  },
})
