import { defineConfig } from "vitest/config"

export default defineConfig({
  test: { name: "actor-core", environment: "node", include: ["test/**/*.test.ts"] },
})
