import { defineConfig } from "vitest/config"

export default defineConfig({
  // Properties take their time on a busy machine.
  test: { name: "actor-core", environment: "node", include: ["test/**/*.test.ts"], testTimeout: 60_000 },
})
